"""Compares two runs of a project's tests: what broke, what was mended, and what a change's own tests show."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
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
        runner: which one ran; several are joined by ``" + "``.
        broken: why its report cannot be believed, or "".
    """

    ran: bool
    ok: bool
    outcomes: Mapping[str, str] = field(default_factory=dict)
    said: str = ""
    empty: bool = False
    runner: str = ""
    broken: str = ""

    @classmethod
    def of(cls, report: TestReport) -> Suite:
        """From what a runner reported."""
        ran = report.ended == "exit" and (report.ok or report.counted or report.exit_code is not None)
        headline = report.text(0).partition("\n")[0]
        nothing = report.counted and not (report.passed or report.failed or report.errors or report.skipped)
        good = report.ok and not nothing
        return cls(ran, good, dict(report.outcomes), headline, nothing, report.runner, report.broken)

    def named(self, *outcomes: str) -> frozenset[str]:
        """Tests that ended so."""
        return frozenset(test for test, outcome in self.outcomes.items() if outcome in outcomes)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The tests before and after a change.

    Args:
        broken: passed before, and failed after it.
        gone: passed before, and were skipped or not run at all after it.
        hidden: failed before, and were skipped or not run at all after it.
        mended: failed before (or stopped the suite), and passed after it.
        added: were not there before, and passed after it.
        failing: are new, and failed.
    """

    broken: frozenset[str]
    gone: frozenset[str]
    hidden: frozenset[str]
    mended: frozenset[str]
    added: frozenset[str]
    failing: frozenset[str]


def compare(before: Suite, after: Suite) -> Comparison:
    """What a change did to the tests."""
    good, bad = before.named("passed"), before.named(*_BAD)
    now_good, now_bad = after.named("passed"), after.named(*_BAD)
    ran = now_good | now_bad
    # A file that could not be collected is not a test: when it can, its tests have names of their own.
    files = frozenset(test for test in bad if any(other.startswith(f"{test}::") for other in after.outcomes))
    return Comparison(
        broken=good & now_bad,
        gone=good - ran,
        hidden=bad - ran - files,
        mended=bad & now_good,
        added=now_good - frozenset(before.outcomes),
        failing=now_bad - frozenset(before.outcomes),
    )


def whole_suite(before: Suite, after: Suite, flaky: Iterable[str] = (), accepted: Collection[str] = ()) -> Check:
    """Whether the suite is at least as good as before, as a line of the ledger.

    Args:
        flaky: tests that failed after the change and passed when they were run again: said, never hidden.
        accepted: ids of findings that a person accepted; the one named where tests went away is among them when that
            was wanted.
    """
    name = "whole suite"
    if after.empty and before.empty:
        return Check(name, "not done", "the project has no tests that were found")
    if wrong := _wrong(before, after):
        return Check(name, "failed", wrong)
    if after.broken:  # and nothing ran before it either
        return Check(name, "not done", f"{after.said}; before the change: {before.said}")
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
    if failing := found.failing - unsteady:
        problems.append(f"{len(failing)} new ones fail: {_named(failing)}")
    told = [after.said]
    if found.gone or found.hidden:
        lost, key = _lost(found)
        if key in accepted:
            told.append(f"{lost}, as a person accepted")
        else:
            problems.append(f"{lost} (if that was asked for, a person has to accept it: finding {key})")
    if problems:
        return Check(name, "failed", "; ".join(problems))
    if not before.ran:
        told.append(f"without the change it did not end by itself: {before.said}")
    if still := (after.named(*_BAD) & before.named(*_BAD)) - unsteady:
        told.append(f"{len(still)} failed before the change and still do: {_named(still)}")
    if unsteady:
        told.append(f"flaky, failed once and passed when run again: {_named(unsteady)}")
    return Check(name, "passed", "; ".join(told))


def _wrong(before: Suite, after: Suite) -> str:
    """What is wrong with the run as a whole, whatever its single tests say; or ""."""
    if after.empty:
        return f"no test ran with the change; before it: {before.said}"
    if not after.ran:
        return f"it did not end by itself: {after.said}"
    if lost := _runners(before) - _runners(after):
        return (
            f"{', '.join(sorted(lost))} ran the tests before the change, and with it only {after.runner or 'nothing'}"
        )
    idle = not after.named("passed") and not before.named("passed") and bool(before.broken)
    if after.broken and not idle:
        return f"its report cannot be believed: {after.said}"
    if not after.ok and not before.ran:
        return f"{after.said}; without the change it did not end by itself, so nothing excuses that: {before.said}"
    silent = after.outcomes and not after.ok and not after.named(*_BAD)
    if silent and (before.ok or before.named(*_BAD) or not before.outcomes):
        return f"it failed, and no single test says why: {after.said}; before the change: {before.said}"
    if not before.outcomes and not before.empty and after.outcomes and not after.ok:
        return f"{after.said}; before the change: {before.said}"
    return ""


def _runners(suite: Suite) -> frozenset[str]:
    return frozenset(name for name in suite.runner.split(" + ") if name and not suite.empty)


def _lost(found: Comparison) -> tuple[str, str]:
    """The tests that went out of sight, in words; and the id under which a person may accept exactly that."""
    parts = []
    if found.gone:
        parts.append(f"{len(found.gone)} passed before and are skipped or not run any more: {_named(found.gone)}")
    if found.hidden:
        parts.append(f"{len(found.hidden)} failed before and are skipped or not run any more: {_named(found.hidden)}")
    names = "\0".join(sorted(found.gone | found.hidden))
    return "; ".join(parts), f"tests-{hashlib.sha256(names.encode()).hexdigest()[:12]}"


def _named(tests: Iterable[str]) -> str:
    names = sorted(tests)
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
