"""Runs a project's tests in the sandbox: which runner, what failed, where and why."""

from __future__ import annotations

from mainspring.tools.runners.parse import Frame, TestFailure
from mainspring.tools.runners.run import TestReport, detect_runner, run_tests

__all__ = ["Frame", "TestFailure", "TestReport", "detect_runner", "run_tests"]
