"""Runs a project's tests in the sandbox: which runner, what failed, where and why."""

from __future__ import annotations

from mainspring.tools.runners.detect import Runner, detect, detect_runner
from mainspring.tools.runners.flaky import FlakyReport, Verdict, find_flaky
from mainspring.tools.runners.found import Frame, TestFailure, TestOutcome
from mainspring.tools.runners.order import History, order
from mainspring.tools.runners.report import TestReport
from mainspring.tools.runners.run import run_tests

__all__ = [
    "FlakyReport",
    "Frame",
    "History",
    "Runner",
    "TestFailure",
    "TestOutcome",
    "TestReport",
    "Verdict",
    "detect",
    "detect_runner",
    "find_flaky",
    "order",
    "run_tests",
]
