"""What a test run found, for programs and as a short text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from mainspring.tools.runners.found import TestFailure, TestOutcome

_SHOWN_FAILURES = 10
_SHOWN_OUTPUT = 3000
_NAMED = 12


@dataclass(frozen=True, slots=True)
class TestReport:
    """What a test run found.

    Args:
        runner: a name of `mainspring.tools.runners.Runner`, or ``"custom"``; several are joined by ``" + "``.
        command: what ran, as a person would type it.
        exit_code: its exit code, or None when it was ended.
        ended: ``"exit"``, ``"timeout"``, ``"cancelled"``, or the limit that ended it (see `CommandResult`).
        passed, failed, errors, skipped: counts; all 0 when `counted` is False.
        counted: the runner told how many tests passed and failed.
        failures: each failed test, in order; compile errors and files that cannot be collected too.
        output: what the run printed, cleaned and bounded.
        seconds: how long it took.
        notes: what a person should know.
        tests: each test that ran, where the runner names them.
        collected: how many tests the runner meant to run, where it tells.
        unfinished: tests that began and did not end; the last is the one that hung or ended the process.
        broken: why the run cannot count as passed whatever its exit code: it died early, nothing ran, its report
            contradicts itself. Empty when nothing of that was seen.
        changed: files of the workspace that were there before and that the run changed (``~``) or removed (``-``).
    """

    __test__: ClassVar[bool] = False  # its name must not make pytest collect it

    runner: str
    command: str
    exit_code: int | None
    ended: str
    passed: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0
    counted: bool = False
    failures: tuple[TestFailure, ...] = ()
    output: str = ""
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    tests: tuple[TestOutcome, ...] = ()
    collected: int | None = None
    unfinished: tuple[str, ...] = ()
    broken: str = ""
    changed: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """True when the runner ended by itself and reported success, and nothing contradicts it."""
        return self.exit_code == 0 and not self.broken

    @property
    def timed_out(self) -> bool:
        """True when the time was up."""
        return self.ended == "timeout"

    @property
    def outcomes(self) -> Mapping[str, str]:
        """Test id -> ``"passed"``, ``"failed"``, ``"error"`` or ``"skipped"``; empty where the runner names no test."""
        return {test.id: test.outcome for test in self.tests}

    def text(self, failures: int = _SHOWN_FAILURES) -> str:
        """A short account for a model or a person, with at most that many failures in detail."""
        lines = [self._headline(), *self.notes]
        if self.unfinished and not self.ok:
            more = f" (and {len(self.unfinished) - 1} more had begun)" if len(self.unfinished) > 1 else ""
            *_, last = self.unfinished
            lines.append(f"did not end: {last}{more}")
        if self.changed:
            named = ", ".join(self.changed[:_NAMED]) + (", ..." if len(self.changed) > _NAMED else "")
            lines.append(f"the tests changed {len(self.changed)} files that were there before: {named}")
        for failure in self.failures[:failures]:
            lines += ["", failure.text()]
        if len(self.failures) > failures:
            lines += [
                "",
                f"... and {len(self.failures) - failures} more: "
                + ", ".join(f.id for f in self.failures[failures : failures + 20]),
            ]
        if not self.failures and not (self.ok and self.counted):
            lines += ["", self.output[-_SHOWN_OUTPUT:].strip() or "(no output)"]
        return "\n".join(lines)

    def _headline(self) -> str:
        if self.ended == "timeout":
            how = f"TIMED OUT after {self.seconds:.0f} s"
        elif self.exit_code is None:
            how = "CANCELLED" if self.ended == "cancelled" else f"ENDED (limit: {self.ended})"
        elif self.broken:
            how = f"FAILED (exit code {self.exit_code}; {self.broken})"
        else:
            how = "PASSED" if self.ok else f"FAILED (exit code {self.exit_code})"
        if not self.counted:
            if self.ok:
                how += " (by its exit code only; no test was counted)"
            return f"{how}: {self.command}"
        counts = [f"{self.passed} passed"]
        names = (("failed", self.failed), ("errors", self.errors), ("skipped", self.skipped))
        counts += [f"{number} {name}" for name, number in names if number]
        return f"{how}: {', '.join(counts)} in {self.seconds:.1f} s ({self.runner})"
