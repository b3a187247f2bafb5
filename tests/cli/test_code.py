"""`mainspring code`: what a person types, and what they see."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from calculator import BROKEN, MENDED, git, repository

TESTS = Path(__file__).resolve().parents[1]

#: A program that is `mainspring` with a model that mends the fault, or only says that it did.
PLAYED = f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
from calculator import DONE, MEND, VERIFY, Scripted
import mainspring.engineer.agent as agent
true = agent.code_agent
lines = (MEND, DONE) if sys.argv.pop(1) == "lies" else (MEND, VERIFY, DONE)
import mainspring.engineer
mainspring.engineer.code_agent = lambda model, **more: true(Scripted(*lines), **more)
from mainspring.cli import main
sys.exit(main())
"""


def mainspring(home: Path, *arguments: str, plays: str = "honestly") -> subprocess.CompletedProcess[str]:
    environment = {"MAINSPRING_HOME": str(home), "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin", "LANG": "C.UTF-8"}
    command = [sys.executable, "-c", PLAYED, plays, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return repository(tmp_path / "repo")


@pytest.mark.slow
def test_a_task_its_report_and_the_way_into_the_files_and_out_again(home: Path, repo: Path) -> None:
    done = mainspring(home, "code", "Mend pages()", "--repo", str(repo), "--no-input")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Done: a patch that passed its verification.")
    assert "shown by a test" in done.stdout
    assert BROKEN in (repo / "paging.py").read_text()

    assert MENDED in mainspring(home, "code", "diff", "last").stdout
    applied = mainspring(home, "code", "apply", "last", "--yes")
    assert applied.returncode == 0, applied.stderr
    assert MENDED in (repo / "paging.py").read_text()
    undone = mainspring(home, "code", "undo", "last")
    assert undone.returncode == 0, undone.stderr
    assert BROKEN in (repo / "paging.py").read_text()
    report = json.loads(mainspring(home, "code", "report", "last", "--json").stdout)
    assert report["verified"] is True
    assert report["files"] == [{"path": "paging.py", "kind": "changed", "added": 1, "removed": 1}]


@pytest.mark.slow
def test_a_branch_is_made_only_of_a_verified_patch(home: Path, repo: Path) -> None:
    lied = mainspring(home, "code", "Mend it", "-r", str(repo), "--no-input", "--branch", "one", plays="lies")
    assert lied.returncode == 1
    assert "was not verified" in lied.stderr
    assert "Not verified:" in lied.stdout
    done = mainspring(home, "code", "Mend it", "-r", str(repo), "--no-input", "--branch", "two", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["kind"] == "report"
    assert git(repo, "branch", "--format=%(refname:short)").split() == ["main", "two"]
    assert MENDED in git(repo, "show", "two:paging.py")
    assert BROKEN in (repo / "paging.py").read_text()


@pytest.mark.slow
def test_a_run_that_goes_on_ends_with_its_report(home: Path, repo: Path) -> None:
    stopped = mainspring(home, "code", "Mend pages()", "--repo", str(repo), "--no-input", "--limit", "steps=1")
    assert stopped.returncode == 1, stopped.stderr
    assert not stopped.stdout.startswith("Done:")
    gone_on = mainspring(home, "runs", "resume", "last", "--limit", "steps=20", "--no-input")
    assert gone_on.returncode == 0, gone_on.stderr
    assert gone_on.stdout.startswith("Done: a patch that passed its verification.")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["code", "aply"], "did you mean 'apply'?"),
        (["code", " "], "the task is empty"),
        (["code", "x y", "--repo", "{plain}"], "no git repository"),
        (["code", "x y", "--in-place", "--branch", "b"], "choose one"),
        (["code", "x y", "--attempts", "2", "--in-place"], "copies of their own"),
        (["code", "x y", "--json", "--quiet"], "choose one"),
        (["code", "report", "nothing"], "no run begins with 'nothing'"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_cannot_be_done_is_said_with_what_to_do(
    home: Path, tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    done = mainspring(home, *[word.replace("{plain}", str(plain)) for word in arguments])
    assert done.returncode in (1, 2)
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
