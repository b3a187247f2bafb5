"""Tells a test that fails always from one that fails now and then, or only after others."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mainspring.errors import ToolError
from mainspring.tools.runners.found import TestFailure
from mainspring.tools.runners.report import TestReport
from mainspring.tools.runners.run import run_tests

ALWAYS, FLAKY, ORDER, SUITE, UNKNOWN = (
    "always fails",
    "flaky",
    "order-dependent",
    "fails only in the suite",
    "could not be rerun",
)
_BAD = ("failed", "error")
_MOST = 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """What reruns told of one test that had failed.

    Args:
        id: the test.
        kind: ``"always fails"``; ``"flaky"`` (alone, it failed and passed); ``"order-dependent"`` (alone it always
            passed, and among the failed ones it failed); ``"fails only in the suite"`` (alone and among the failed
            ones it passed, in the whole suite it failed again); ``"could not be rerun"``.
        alone: outcomes of the runs by itself.
        together: outcomes of the runs with others.
    """

    id: str
    kind: str
    alone: tuple[str, ...]
    together: tuple[str, ...] = ()

    def text(self) -> str:
        """One line."""
        bad = sum(o in _BAD for o in self.alone)
        kind = self.kind
        if kind == FLAKY and not bad and not any(o in _BAD for o in self.together):
            kind = "flaky, or mended meanwhile"  # it failed once, and no rerun showed it again
        line = f"{self.id}: {kind} (failed {bad} of {len(self.alone)} times alone"
        if self.together:
            line += f", {sum(o in _BAD for o in self.together)} of {len(self.together)} with others"
        return line + ")"


@dataclass(frozen=True, slots=True)
class FlakyReport:
    """The verdicts of `find_flaky`, and tests beyond the first 20 that were not rerun."""

    verdicts: tuple[Verdict, ...]
    left_out: tuple[str, ...] = ()

    def of_kind(self, kind: str) -> list[str]:
        """The ids of the tests with that verdict."""
        return [v.id for v in self.verdicts if v.kind == kind]

    def text(self) -> str:
        """A line for each test. A test that passed on a retry is named with its failures, never as passed."""
        lines = [v.text() for v in self.verdicts]
        if self.left_out:
            lines.append(f"not rerun: {len(self.left_out)} more failed tests")
        return "\n".join(lines) or "no test had failed"


def find_flaky(
    workspace: Any, failures: Sequence[TestFailure | str] | TestReport, times: int = 3, **settings: Any
) -> FlakyReport:
    """Run failed tests again: each alone, all of them in their order, and the suite, with another hash seed each time.

    A test that fails for a reason outside of it (time of day, load) may still look steady: `times` runs can show that a
    test is flaky, and never that it is not.

    Args:
        workspace: the project.
        failures: the failed tests, or the report that has them.
        times: how often each is run alone.
        settings: as for `run_tests`: `home`, `command`, `timeout_s` (of each run), `python`, `caches`, `stop`...

    Raises:
        ValueError: `times` is below 1.
        ToolError, SandboxError: as `run_tests`.
    """
    if times < 1:
        raise ValueError(f"times must be 1 or more, not {times}")
    given = failures.failures if isinstance(failures, TestReport) else failures
    kinds = {f.id: f.kind for f in given if isinstance(f, TestFailure)}
    ids = list(dict.fromkeys(f.id if isinstance(f, TestFailure) else f for f in given))
    ids, left = [i for i in ids if kinds.get(i) != "compile"][:_MOST], ids[_MOST:]
    alone: dict[str, list[str]] = {test: [] for test in ids}
    seed = 0
    for test in ids:
        for _ in range(times):
            seed += 1
            alone[test].append(_outcome(_again(workspace, [test], seed, settings), test))
    steady = [test for test in ids if "passed" in alone[test] and not set(_BAD) & set(alone[test])]
    group: dict[str, list[str]] = {test: [] for test in steady}
    suite: dict[str, list[str]] = {test: [] for test in steady}
    if steady:
        if len(ids) > 1:
            _take(group, _again(workspace, ids, 0, settings))
        _take(suite, _again(workspace, [], 0, settings))
        if any("passed" in suite[test] for test in steady):  # once more, with another seed
            _take(suite, _again(workspace, [], seed + 1, settings))
    return FlakyReport(
        tuple(_verdict(test, alone[test], group.get(test, []), suite.get(test, [])) for test in ids), tuple(left)
    )


def _again(workspace: Any, tests: list[str], seed: int, settings: dict[str, Any]) -> TestReport | None:
    env = {**settings.get("env", {}), "PYTHONHASHSEED": str(seed)}
    # Another plugin's shuffling would hide what the order does.
    if "PYTEST_ADDOPTS" not in env:
        env["PYTEST_ADDOPTS"] = "-p no:randomly -p no:random_order"
    try:
        return run_tests(workspace, **{**settings, "target": shlex.join(tests), "env": env, "keep": False})
    except ToolError:
        if not tests:
            raise
        return None


def _take(outcomes: dict[str, list[str]], report: TestReport | None) -> None:
    for test, known in outcomes.items():
        known.append(_outcome(report, test))


def _outcome(report: TestReport | None, test: str) -> str:
    if report is None or report.exit_code is None:
        return "error" if report is not None and report.timed_out else "unknown"
    told = report.outcomes.get(test)
    if told is not None:
        return told
    return "error" if report.broken.startswith("died early") else "unknown"


def _verdict(test: str, alone: list[str], group: list[str], suite: list[str]) -> Verdict:
    bad, good = [o for o in alone if o in _BAD], [o for o in alone if o == "passed"]
    in_suite, in_group = any(o in _BAD for o in suite), any(o in _BAD for o in group)
    if not bad and not good:
        kind = UNKNOWN
    elif bad:
        kind = FLAKY if good else ALWAYS
    elif in_group:
        kind = ORDER
    elif in_suite:
        kind = SUITE if all(o in _BAD for o in suite) else FLAKY
    else:
        kind = FLAKY  # it failed once, and never again
    return Verdict(test, kind, tuple(alone), (*group, *suite))
