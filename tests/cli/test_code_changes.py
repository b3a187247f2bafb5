"""`mainspring code list`, `diff`, `apply` and `undo`, with real runs, repositories and working copies."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from cli_program import COMMAND, environment, json_lines, mainspring

sys.path.insert(0, str(Path(__file__).parents[1] / "code"))
from git_project import fill, git, make

from mainspring.code.git import CodeRecord, Repository, WorkingCopy, load, record

CLERK = Path(__file__).with_name("clerk.py")


@pytest.fixture(scope="module")
def run_home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A home with one finished run, and its id."""
    home = tmp_path_factory.mktemp("home")
    mainspring("run", "Mend the first line", "-q", "-a", f"{CLERK}:reader", home=home)
    return home, str(json_lines(mainspring("runs", "--json", home=home).stdout)[-1]["id"])


@pytest.fixture
def made(run_home: tuple[Path, str], tmp_path: Path) -> CodeRecord:
    """The run's working copy of a new project, with a patch in it."""
    home, run = run_home
    project = make(tmp_path / "project", {"a.txt": "one\ntwo\nthree\nfour\n", "bin": b"\0\1"})
    made = record(home, run, _copy(project, home, run))
    fill(made.path, {"a.txt": "ONE\ntwo\nthree\nfour\n", "new\x1b[2J.txt": "n\n", "bin": b"\0\2"})
    return made


def _copy(project: Path, home: Path, run: str) -> WorkingCopy:
    old = home / "worktrees" / run
    if old.exists():
        load(home, run).copy.remove()
    for applied in (home / "code" / "applied").glob("*.json"):
        applied.unlink()
    return WorkingCopy.make(Repository.find(project), home, run)


def test_the_diff_goes_to_a_terminal_and_to_git(made: CodeRecord) -> None:
    run = made.run_id.rpartition("-")[2]
    shown = mainspring("code", "diff", run, home=made.home).stdout
    assert "-one\n+ONE\n" in shown
    assert "\x1b" not in shown
    git(made.repository.top, "apply", "--check", given=shown.encode())
    stat = mainspring("code", "diff", "--stat", home=made.home).stdout.splitlines()
    assert stat[0].split() == ["a.txt", "|", "2", "+-"]
    assert stat[1].split() == ["bin", "|", "Bin", "2", "B", "->", "2", "B"]
    assert stat[-1] == " 3 files, +2 -1"
    lines = json_lines(mainspring("code", "diff", run, "--json", home=made.home).stdout)
    assert [(line["path"], line["change"], line["added"]) for line in lines] == [
        ("a.txt", "changed", 1), ("bin", "changed", 0), ("new\x1b[2J.txt", "added", 1)
    ]  # fmt: skip


def test_apply_list_and_undo(made: CodeRecord) -> None:
    project = made.repository.top
    said = mainspring("code", "apply", made.run_id, "--yes", home=made.home).stdout
    assert said == f"applied 3 files to {project}; take it back: mainspring code undo {made.run_id}\n"
    assert (project / "a.txt").read_text().startswith("ONE\n")
    [listed] = json_lines(mainspring("code", "list", "--json", home=made.home).stdout)
    assert (listed["became"], listed["files"], listed["repository"]) == ("applied", 3, str(project))
    head, row = mainspring("code", "list", home=made.home).stdout.splitlines()
    assert head.split() == ["ID", "STATUS", "FILES", "PATCH", "AGE", "TASK"]
    assert row.split()[:4] == [made.run_id, "done", "3", "applied"]
    assert row.endswith("Mend the first line")
    assert mainspring("code", "undo", home=made.home).stdout == f"took back 3 files in {project}\n"
    assert git(project, "status", "--porcelain") == ""
    again = mainspring("code", "undo", home=made.home)
    assert "nothing was undone" in again.stderr
    [listed] = json_lines(mainspring("code", "list", "--json", home=made.home).stdout)
    assert listed["became"] == "undone"


def test_the_patch_outlives_the_copy(made: CodeRecord) -> None:
    before = mainspring("code", "diff", home=made.home).stdout
    made.remove()
    assert mainspring("code", "diff", home=made.home).stdout == before
    [done] = json_lines(mainspring("code", "apply", "--yes", "--json", home=made.home).stdout)
    assert done["files"] == ["a.txt", "bin", "new\x1b[2J.txt"]


def test_conflicts_are_told_with_files_and_lines(made: CodeRecord) -> None:
    project = made.repository.top
    fill(project, {"a.txt": "one\ntwo\nthree\nFOUR\n"})
    refused = mainspring("code", "apply", "--yes", home=made.home, expect=1)
    assert "a.txt, lines 4: changed since" in refused.stderr
    assert not (project / "new\x1b[2J.txt").exists()
    refused = mainspring("code", "apply", "--yes", "--json", home=made.home, expect=1)
    [told] = json_lines(refused.stdout)
    assert told["conflicts"] == [{"path": "a.txt", "lines": [[4, 4]], "reason": "changed since"}]
    [done] = json_lines(mainspring("code", "apply", "--yes", "--merge", "--json", home=made.home).stdout)
    assert done["merged"] == ["a.txt"]
    assert (project / "a.txt").read_text() == "ONE\ntwo\nthree\nFOUR\n"
    fill(project, {"a.txt": "changed again\n"})
    refused = mainspring("code", "undo", "--json", home=made.home, expect=1)
    assert json_lines(refused.stdout)[0]["conflicts"][0]["path"] == "a.txt"


def test_a_branch(made: CodeRecord) -> None:
    project = made.repository.top
    [done] = json_lines(mainspring("code", "apply", "--branch", "fix", "--yes", "--json", home=made.home).stdout)
    assert git(project, "rev-parse", "fix").strip() == done["commit"]
    assert git(project, "log", "-1", "--format=%s", "fix") == "Mend the first line\n"
    assert git(project, "status", "--porcelain") == ""
    taken = mainspring("code", "apply", "--branch", "fix", "--yes", home=made.home, expect=1)
    assert "there is a branch fix already" in taken.stderr
    said = mainspring("code", "undo", "--all", home=made.home).stdout
    assert said == f"deleted branch fix (it was at {done['commit'][:12]})\n"
    assert git(project, "branch", "--list", "fix") == ""


def test_in_place(run_home: tuple[Path, str], tmp_path: Path) -> None:
    home, run = run_home
    project = make(tmp_path / "project", {"a.txt": "one\n"})
    _copy(project, home, run).remove()
    made = record(home, run, WorkingCopy.in_place(Repository.find(project), home, run))
    fill(project, {"a.txt": "two\n", "b.txt": "b\n"})
    made.keep()
    assert "are there already" in mainspring("code", "apply", "--yes", home=home, expect=1).stderr
    fill(project, {"a.txt": "mine\n"})
    assert "a.txt, lines 1" in mainspring("code", "undo", home=home, expect=1).stderr
    fill(project, {"a.txt": "two\n"})
    assert mainspring("code", "undo", home=home).stdout == f"took back 2 files in {project}\n"
    assert git(project, "status", "--porcelain") == ""
    made.copy.remove()


def test_wrong_usage(made: CodeRecord, tmp_path: Path) -> None:
    home = made.home
    assert "say --yes" in mainspring("code", "apply", home=home, expect=2).stderr
    assert "go with --branch" in mainspring("code", "apply", "-m", "x", home=home, expect=2).stderr
    assert "exclude" in mainspring("code", "undo", "--all", "--last", "2", home=home, expect=2).stderr
    assert "no run begins with" in mainspring("code", "diff", "zz", home=home, expect=1).stderr
    empty = tmp_path / "empty"
    assert mainspring("code", "list", home=empty).stdout.startswith("no runs on code")
    assert "no run on code yet" in mainspring("code", "diff", home=empty, expect=1).stderr
    made.copy.reset()
    assert "changed no file" in mainspring("code", "apply", "--yes", home=home, expect=1).stderr
    assert "no file was changed" in mainspring("code", "diff", home=home).stderr


@pytest.mark.parametrize("answer", ["y", "n"])
def test_a_person_is_asked(made: CodeRecord, answer: str) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    done = subprocess.run(
        [*COMMAND, "code", "apply"], stdin=theirs, capture_output=True, env=environment(made.home), check=False
    )
    os.close(ours)
    os.close(theirs)
    asked = done.stderr.decode()
    assert "a.txt" in asked
    assert "NOT verified: nothing was tested of this patch" in asked
    assert f"Apply it to {made.repository.top}?" in asked
    assert (done.returncode, (made.repository.top / "a.txt").read_text()[:3]) == (
        (0, "ONE") if answer == "y" else (1, "one")
    )
