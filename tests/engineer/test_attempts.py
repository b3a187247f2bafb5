"""Which of several attempts is offered."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from mainspring.code.patch import FileChange, Patch
from mainspring.engineer.attempts import best, essence, until


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


class Bench:
    """Attempts that end when they are told to, and note what became of them."""

    def __init__(self, *good: int, broken: tuple[int, ...] = ()) -> None:
        self.good, self.broken = good, broken
        self.begun: list[int] = []
        self.stopped: list[int] = []
        self.most = 0
        self._working = 0

    async def attempt(self, number: int) -> str:
        self.begun.append(number)
        self._working += 1
        self.most = max(self.most, self._working)
        try:
            await asyncio.sleep(0.001 * (number + 1) if number in (*self.good, *self.broken) else 0.02)
            if number in self.broken:
                raise OSError(f"attempt {number} broke")
            return f"{'good' if number in self.good else 'bad'} {number}"
        finally:
            self._working -= 1

    async def stop(self, number: int) -> None:
        self.stopped.append(number)

    def run(self, count: int, beside: int) -> list[str]:
        return asyncio.run(until(self.attempt, count, lambda r: r.startswith("good"), self.stop, beside=beside))


def test_one_after_another_until_one_is_verified() -> None:
    bench = Bench(2)
    assert bench.run(8, beside=1) == ["bad 0", "bad 1", "good 2"]
    assert (bench.begun, bench.stopped, bench.most) == ([0, 1, 2], [], 1)


def test_those_beside_a_verified_one_are_stopped_and_waited_for() -> None:
    bench = Bench(1)
    assert bench.run(8, beside=3) == ["bad 0", "good 1", "bad 2"]
    assert (sorted(bench.stopped), bench.most) == ([0, 2], 3)


def test_without_a_verified_one_all_are_made() -> None:
    bench = Bench()
    assert bench.run(5, beside=2) == [f"bad {n}" for n in range(5)]
    assert bench.most == 2


def test_an_attempt_that_breaks_costs_only_itself() -> None:
    assert Bench(2, broken=(0, 1)).run(4, beside=1) == ["good 2"]
    with pytest.raises(OSError, match="attempt 0 broke"):
        Bench(broken=(0, 1)).run(2, beside=1)


def test_who_is_cancelled_leaves_none_at_work() -> None:
    bench = Bench()

    async def main() -> None:
        work = asyncio.create_task(until(bench.attempt, 4, lambda r: False, bench.stop, beside=2))
        await asyncio.sleep(0.005)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work

    asyncio.run(main())
    assert bench._working == 0
    assert len(bench.begun) == 2
