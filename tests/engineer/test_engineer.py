"""The engineer on a real repository: what may be reported as done, and what may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from calculator import BROKEN, DONE, MEND, MENDED, NEW_TEST, SOURCE, VERIFY, Scripted, call, git, repository
from mainspring.engineer import CodeResult, code_sync
from mainspring.errors import DeclarationError
from mainspring.messages import assistant

pytestmark = pytest.mark.slow


def work(home: Path, repo: Path, *lines: Any, **options: Any) -> CodeResult:
    return code_sync("Mend pages()", repo, model=Scripted(*lines), home=home, **options)


def checks(result: CodeResult) -> dict[str, tuple[str, str]]:
    assert result.report.verification is not None
    return {check.name: (check.verdict, check.detail) for check in result.report.verification.checks}


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return repository(tmp_path / "repo")


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """The same one without the fault."""
    return repository(tmp_path / "sound", SOURCE.replace(BROKEN, MENDED))


def test_a_mended_fault_is_verified_and_the_persons_files_stay(home: Path, repo: Path) -> None:
    (repo / "notes.txt").write_text("mine, not committed")
    result = work(home, repo, MEND, VERIFY, DONE)
    assert result.done, result.report.text()
    assert result.report.verified
    assert checks(result)["shown by a test"][0] == "passed"
    assert "test_pages" in checks(result)["shown by a test"][1]
    assert result.report.patch.paths == ("paging.py",)
    assert BROKEN in (repo / "paging.py").read_text()
    assert git(repo, "status", "--porcelain") == "?? notes.txt\n"
    assert "Verified:" in result.report.text()


def test_a_model_that_only_says_so_is_not_done(home: Path, repo: Path) -> None:
    result = work(home, repo, MEND, DONE)
    assert result.run.status == "failed"
    assert not result.report.verified
    assert "was not verified" in result.run.reason
    assert "Not verified:" in result.report.text()


def test_a_patch_that_mends_nothing_is_not_done(home: Path, repo: Path) -> None:
    wrong = call("edit_file", path="paging.py", old=BROKEN, new="range(0, len(items) - size - 1, size)")
    result = work(home, repo, wrong, VERIFY, DONE)
    assert result.run.status == "failed"
    assert "did not pass" in result.run.reason


def test_an_edit_after_the_verification_undoes_it(home: Path, repo: Path) -> None:
    later = call("edit_file", path="paging.py", old="return sum(items)", new="return sum(items) + 1")
    result = work(home, repo, MEND, VERIFY, later, DONE)
    assert result.run.status == "failed"
    assert not result.report.verified


def test_a_deleted_test_is_not_a_mended_one(home: Path, repo: Path) -> None:
    gone = call("run_terminal_command", command="rm tests/test_paging.py")
    result = work(home, repo, gone, VERIFY, DONE)
    assert result.run.status == "failed"


def test_a_weakened_test_is_not_a_mended_fault(home: Path, repo: Path) -> None:
    weaker = call(
        "edit_file",
        path="tests/test_paging.py",
        old="assert pages([1, 2, 3], 2) == [[1, 2], [3]]",
        new="assert pages([1, 2, 3], 2)",
    )
    result = work(home, repo, weaker, VERIFY, DONE)
    assert result.run.status == "failed"
    assert checks(result)["scan"][0] == "failed"
    assert "assert" in checks(result)["scan"][1]


def test_what_works_only_with_a_file_that_git_ignores_fails(home: Path, tmp_path: Path) -> None:
    repo = repository(tmp_path / "repo", **{".gitignore": "local.py\n"})
    body = "def pages(items, size):\n    return [items[i : i + size] for i in range(0, len(items), size)]\n"
    hidden = call("edit_file", path="local.py", old="", new=body)
    uses = call("edit_file", path="paging.py", old='"""Pages."""\n', new='"""Pages."""\n\nimport local\n')
    calls = call("edit_file", path="paging.py", old=f"[items[start : start + size] for start in {BROKEN}]",
                 new="local.pages(items, size)")  # fmt: skip
    tested: list[str] = []

    def after_tests(results: list[str]) -> Any:
        tested.append(results[-1])
        return VERIFY

    result = work(home, repo, hidden, uses, calls, call("execute_tests"), after_tests, DONE)
    assert tested[0].startswith("PASSED"), tested  # in the agent's own copy it works
    assert result.run.status == "failed"
    assert checks(result)["whole suite"][0] == "failed"


def test_new_behaviour_needs_a_test_that_fails_without_it(home: Path, sound: Path) -> None:
    feature = call("edit_file", path="paging.py", old="return sum(items)", new="return sum(items or ())")
    result = work(home, sound, feature, VERIFY, DONE)
    assert result.run.status == "failed"
    assert checks(result)["shown by a test"][0] == "failed"

    test = call("edit_file", path="tests/test_total.py", old="", new=NEW_TEST)
    result = work(home, sound, feature, test, VERIFY, DONE)
    assert result.done, result.report.text()
    assert "test_total_of_nothing_is_zero" in checks(result)["shown by a test"][1]


def test_a_test_that_passes_without_the_change_shows_nothing(home: Path, sound: Path) -> None:
    feature = call("edit_file", path="paging.py", old="return sum(items)", new="return sum(items or ())")
    idle = call("edit_file", path="tests/test_total.py", old="", new="def test_nothing():\n    assert 1 + 1 == 2\n")
    result = work(home, sound, feature, idle, VERIFY, DONE)
    assert result.run.status == "failed"
    assert checks(result)["shown by a test"][0] == "failed"


def test_a_reason_why_no_test_can_show_it_stands_in_the_report(home: Path, sound: Path) -> None:
    words = call("edit_file", path="paging.py", old='"""The sum."""', new='"""The sum of all items."""')
    result = work(home, sound, words, call("verify_change", no_test="only a docstring"), DONE)
    assert result.done, result.report.text()
    assert checks(result)["shown by a test"] == ("not done", "no test shows it; the agent's reason: only a docstring")
    assert "only a docstring" in result.report.text()


def test_a_broken_file_fails_before_any_test_runs(home: Path, sound: Path) -> None:
    broken = call("run_terminal_command", command="printf 'def (:\\n' > paging.py")
    result = work(home, sound, broken, VERIFY, DONE)
    assert result.run.status == "failed"
    assert checks(result)["syntax"][0] == "failed"
    assert "whole suite" not in checks(result)


def test_a_question_needs_no_patch(home: Path, repo: Path) -> None:
    result = work(home, repo, call("read_file", path="paging.py"), assistant("pages() loses the last page."))
    assert result.done
    assert not result.report.patch
    assert "nothing was changed" in result.report.text()


def test_of_two_attempts_the_verified_one_is_offered(home: Path, repo: Path) -> None:
    from mainspring.engineer import code_agent

    def declare(number: int) -> Any:
        lines = (MEND, VERIFY, DONE) if number else (MEND, DONE)
        return code_agent(Scripted(*lines), name=f"attempt-{number}")

    result = code_sync("Mend pages()", repo, agent=declare, attempts=2, home=home)
    assert result.done
    assert result.report.verified


def test_no_attempt_is_begun_after_a_verified_one(home: Path, repo: Path) -> None:
    from mainspring.engineer import code_agent

    begun: list[int] = []

    def declare(number: int) -> Any:
        begun.append(number)
        return code_agent(Scripted(MEND, VERIFY, DONE), name=f"attempt-{number}")

    options: dict[str, Any] = {"agent": declare, "attempts": 3, "beside": 1, "home": home}
    assert code_sync("Mend pages()", repo, first_verified=True, **options).report.verified
    assert begun == [0]
    with pytest.raises(DeclarationError, match="beside is a whole number from 1, not 0"):
        code_sync("Mend pages()", repo, **{**options, "beside": 0})
