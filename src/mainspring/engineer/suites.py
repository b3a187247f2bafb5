"""Compares two runs of a project's tests: what broke, what was mended, and what a change's own tests show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mainspring.engineer.ledger import Check, Verdict

if TYPE_CHECKING:
    from mainspring.tools.runners import TestReport

_NAMED = 8
_BAD = frozenset({"failed", "error"})


@dataclass(frozen=True, slots=True)
class Suite:
    """One run of the tests, as far as it says something about single tests.

    Args:
        ran: the runner ended by itself and ran something.
        ok: it reported success, and there was something to run.
        outcomes: test id -> ``"passed"``, ``"failed"``, ``"error"`` or ``"skipped"``; empty where the runner does not
            tell.
        said: its headline.
        empty: there is no test at all, or no runner that we know.
    """

    ran: bool
    ok: bool
    outcomes: Mapping[str, str] = field(default_factory=dict)
    said: str = ""
    empty: bool = False

    @classmethod
    def of(cls, report: TestReport) -> Suite:
        """From what a runner reported."""
        ran = report.ended == "exit" and (report.ok or report.counted or report.exit_code is not None)
        headline = report.text(0).partition("\n")[0]
        nothing = report.counted and not (report.passed or report.failed or report.errors or report.skipped)
        return cls(ran, report.ok and not nothing, dict(report.outcomes), headline, empty=nothing)

    def named(self, *outcomes: str) -> frozenset[str]:
        """Tests that ended so."""
        return frozenset(test for test, outcome in self.outcomes.items() if outcome in outcomes)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The tests before and after a change.

    Args:
        broken: passed before, and failed after it.
        gone: passed before, and were not run after it.
        mended: failed before (or stopped the suite), and passed after it.
        added: were not there before, and passed after it.
        failing: are new, and failed.
    """

    broken: frozenset[str]
    gone: frozenset[str]
    mended: frozenset[str]
    added: frozenset[str]
    failing: frozenset[str]


def compare(before: Suite, after: Suite) -> Comparison:
    """What a change did to the tests."""
    good, bad = before.named("passed"), before.named(*_BAD)
    now_good, now_bad = after.named("passed"), after.named(*_BAD)
    return Comparison(
        broken=good & now_bad,
        gone=good - frozenset(after.outcomes),
        mended=bad & now_good,
        added=now_good - frozenset(before.outcomes),
        failing=now_bad - frozenset(before.outcomes),
    )


def whole_suite(before: Suite, after: Suite, flaky: Iterable[str] = ()) -> Check:
    """Whether the suite is at least as good as before, as a line of the ledger.

    Args:
        flaky: tests that failed after the change and passed when they were run again: said, never hidden.
    """
    name = "whole suite"
    if after.empty and before.empty:
        return Check(name, "not done", "the project has no tests that were found")
    if after.empty:
        return Check(name, "failed", f"no test ran with the change; before it: {before.said}")
    if not after.ran:
        return Check(name, "failed", f"it did not end by itself: {after.said}")
    if not after.outcomes and not before.outcomes:
        if after.ok:
            return Check(name, "passed", f"{after.said} (the runner does not tell single tests)")
        verdict: Verdict = "failed" if before.ok else "not done"
        return Check(name, verdict, f"{after.said}; before the change: {before.said}")
    found = compare(before, after)
    unsteady = frozenset(flaky)
    problems = []
    if broken := found.broken - unsteady:
        problems.append(f"{len(broken)} passed before and fail now: {_named(broken)}")
    if found.gone:
        problems.append(f"{len(found.gone)} passed before and are not run any more: {_named(found.gone)}")
    if failing := found.failing - unsteady:
        problems.append(f"{len(failing)} new ones fail: {_named(failing)}")
    if problems:
        return Check(name, "failed", "; ".join(problems))
    if not before.outcomes and not after.ok:
        return Check(name, "failed", f"{after.said}; before the change: {before.said}")
    told = [after.said]
    if still := (after.named(*_BAD) & before.named(*_BAD)) - unsteady:
        told.append(f"{len(still)} failed before the change and still do: {_named(still)}")
    if unsteady:
        told.append(f"flaky, failed once and passed when run again: {_named(unsteady)}")
    return Check(name, "passed", "; ".join(told))


def _named(tests: Iterable[str]) -> str:
    names = sorted(tests)
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
