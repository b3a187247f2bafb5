"""Runs a project's tests in the sandbox: which runner, what failed, where and why."""

from __future__ import annotations

from mainspring.tools.runners.detect import Runner, detect, detect_runner
from mainspring.tools.runners.found import Frame, TestFailure, TestOutcome
from mainspring.tools.runners.report import TestReport
from mainspring.tools.runners.run import run_tests

__all__ = ["Frame", "Runner", "TestFailure", "TestOutcome", "TestReport", "detect", "detect_runner", "run_tests"]
