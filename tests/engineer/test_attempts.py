"""Which of several attempts is offered."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from mainspring.code.patch import FileChange, Patch
from mainspring.engineer.attempts import best, essence


def attempt(name: str, code: bytes, *, verified: bool = True, done: bool = True, test: bytes = b"") -> Any:
    patch = Patch.of([FileChange("a.py", b"x = 0\n", code), FileChange("tests/test_a.py", None, test or b"t\n")])
    return SimpleNamespace(name=name, done=done, report=SimpleNamespace(patch=patch, verified=verified))


def test_verified_before_unverified() -> None:
    results = [attempt("no", b"x = 1\n", verified=False), attempt("yes", b"x = 1\ny = 2\n")]
    assert best(results).name == "yes"


def test_what_most_agree_on_wins_over_what_is_smaller() -> None:
    results = [attempt("alone", b"x = 2\n"), attempt("one", b"x = 1\ny = 1\n"), attempt("two", b"x = 1 \n\ny = 1\n")]
    assert best(results).name == "one"


def test_votes_of_the_unverified_do_not_count() -> None:
    wrong = [attempt(f"wrong{n}", b"x = 9\n", verified=False, done=False) for n in range(3)]
    assert best([*wrong, attempt("right", b"x = 1\n")]).name == "right"


def test_the_smallest_of_equals() -> None:
    assert best([attempt("long", b"x = 1\n# and\n# more\n"), attempt("short", b"x = 1\n")]).name == "short"


def test_agreement_is_on_code_and_not_on_tests() -> None:
    one, other = attempt("a", b"x = 1\n", test=b"one\n"), attempt("b", b"x = 1\n", test=b"other\n")
    assert essence(one.report.patch) == essence(other.report.patch)
    assert essence(one.report.patch) != essence(attempt("c", b"x = 2\n").report.patch)
