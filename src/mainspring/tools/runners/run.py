"""Runs a project's tests in the sandbox and reads what failed, where and why."""

from __future__ import annotations

import os
import re
import shlex
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from mainspring.errors import ToolError
from mainspring.tools.runners.parse import Found, TestFailure, read_junit, read_unittest
from mainspring.tools.sandbox import CommandResult, Sandbox, SandboxLimits

__all__ = ["TestFailure", "TestReport", "detect_runner", "run_tests"]

SCRATCH = "/run/scratch"
_SHOWN_FAILURES = 10
_SHOWN_OUTPUT = 3000
_MISSING = {
    "go": "the Go toolchain",
    "cargo": "the Rust toolchain (a copy in a home folder cannot be seen from the sandbox)",
    "npm": "Node.js with npm",
}


@dataclass(frozen=True, slots=True)
class TestReport:
    """What a test run found.

    Args:
        runner: ``"pytest"``, ``"unittest"``, ``"go"``, ``"cargo"``, ``"npm"`` or ``"custom"``.
        command: what ran, as a person would type it.
        exit_code: its exit code, or None when it was ended.
        ended: ``"exit"``, ``"timeout"``, ``"cancelled"``, or the limit that ended it (see `CommandResult`).
        passed, failed, errors, skipped: counts; all 0 when `counted` is False.
        counted: the runner told how many tests passed and failed.
        failures: each failed test, in order.
        output: what the run printed, cleaned and bounded.
        seconds: how long it took.
        notes: what a person should know.
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

    @property
    def ok(self) -> bool:
        """True when the runner ended by itself and reported success."""
        return self.exit_code == 0

    @property
    def timed_out(self) -> bool:
        """True when the time was up."""
        return self.ended == "timeout"

    def text(self, failures: int = _SHOWN_FAILURES) -> str:
        """A short account for a model or a person, with at most that many failures in detail."""
        lines = [self._headline(), *self.notes]
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
        else:
            how = "PASSED" if self.ok else f"FAILED (exit code {self.exit_code})"
        if not self.counted:
            return f"{how}: {self.command}"
        counts = [f"{self.passed} passed"]
        names = (("failed", self.failed), ("errors", self.errors), ("skipped", self.skipped))
        counts += [f"{number} {name}" for name, number in names if number]
        return f"{how}: {', '.join(counts)} in {self.seconds:.1f} s ({self.runner})"


def run_tests(
    workspace: str | Path,
    home: str | Path | None = None,
    target: str = "",
    command: str | None = None,
    timeout_s: float = 300.0,
    *,
    python: str | Path | None = None,
    limits: SandboxLimits | None = None,
    stop: threading.Event | None = None,
    record: Path | None = None,
    report: Callable[[str], None] | None = None,
) -> TestReport:
    """Run the tests of a workspace in the sandbox.

    Args:
        workspace: the project.
        home: Mainspring's folder, kept out of sight when it lies in the workspace.
        target: files, folders, test ids or options for the runner; empty means all tests.
        command: a shell command instead of the detected one, such as ``"python -m pytest -q"``.
        timeout_s: seconds after which the run is ended.
        python: the interpreter; default the workspace's ``.venv``, else the one that runs Mainspring.
        limits: what the run may use.
        stop: set it from another thread to end the run.
        record: a file that names the sandbox's first process while it runs.
        report: receives a recent line of output, twice a second at most.

    Raises:
        ToolError: no runner was found, or the target is no shell words.
        SandboxError: the sandbox cannot be set up.
    """
    sandbox = Sandbox(workspace, home=home, python=python, limits=limits)
    run = _Runs(sandbox, timeout_s, stop, record, report)
    try:
        words = shlex.split(target)
    except ValueError as error:
        raise ToolError(f"target {target!r} cannot be read: {error}; quote it like a shell command") from None
    if command is not None:
        runner = "pytest" if re.search(r"(^|[\s/])(py\.test|pytest)(\s|$)", command) else "custom"
        return run(runner, ["bash", "-c", f'{command} "$@"', "bash", *words])
    runner = detect_runner(sandbox.workspace)
    found = run(runner, _command(runner, sandbox.python, words))
    if runner == "pytest" and "No module named pytest" in found.output and not found.counted:
        retry = run("unittest", _command("unittest", sandbox.python, words))
        if retry.counted and retry.passed + retry.failed + retry.errors:
            return retry
        raise ToolError(
            f"pytest is not installed for {sandbox.python}, and unittest finds no tests; install pytest "
            "into the workspace's .venv, or configure a test command"
        )
    return found


def detect_runner(workspace: Path) -> str:
    """Which runner a project uses, told from its files. Raises ToolError when nothing is recognised."""
    names = set(os.listdir(workspace))
    if names & {"pytest.ini", "conftest.py", "tox.ini", "setup.py", "setup.cfg", "pyproject.toml"}:
        return "pytest"
    for name, runner in (("go.mod", "go"), ("Cargo.toml", "cargo"), ("package.json", "npm")):
        if name in names:
            return runner
    if any(re.fullmatch(r"test_.*\.py|.*_test\.py", name) for name in names) or any(
        any(Path(workspace, folder).glob("**/test*.py")) for folder in ("tests", "test") if folder in names
    ):
        return "pytest"
    raise ToolError(
        "no tests recognised: looked for pytest or unittest files, go.mod, Cargo.toml and package.json at "
        "the top of the workspace; run them with run_terminal_command, or configure a test command"
    )


def _command(runner: str, python: Path, words: list[str]) -> list[str]:
    """The detected runner's command, with the target in the runner's own form."""
    if runner == "unittest":
        return [str(python), "-m", "unittest", "-v", *map(_module_name, words)]
    return {
        "pytest": [str(python), "-m", "pytest", "-v", *words],
        "go": ["go", "test", *(words or ["./..."])],
        "cargo": ["cargo", "test", "--offline", *words],
        "npm": ["npm", "test", "--", *words],
    }[runner]


@dataclass(frozen=True, slots=True)
class _Runs:
    sandbox: Sandbox
    timeout_s: float
    stop: threading.Event | None
    record: Path | None
    report: Callable[[str], None] | None

    def __call__(self, runner: str, command: list[str]) -> TestReport:
        with tempfile.TemporaryDirectory(prefix="mainspring-tests-") as scratch:
            result = self.sandbox.run(
                [*command, *(_pytest_options(self.timeout_s) if runner == "pytest" else [])],
                timeout_s=self.timeout_s,
                scratch=Path(scratch),
                env={"CI": "1"},
                stop=self.stop,
                record=self.record,
                report=self.report,
            )
            shown = [os.path.basename(command[0]), *command[1:]]
            if command[0] == "bash":
                shown = [command[2].removesuffix(' "$@"'), *command[4:]]
            report = TestReport(
                runner,
                " ".join(shown),
                result.exit_code,
                result.ended,
                output=result.output,
                seconds=result.seconds,
                notes=result.notes,
            )
            if runner == "pytest":
                return _with_counts(report, read_junit(Path(scratch), "junit.xml", self.sandbox.workspace))
        _refuse_missing(runner, result)
        # A configured command may well be unittest, so its report is looked for there too.
        return _with_counts(report, read_unittest(result.output, self.sandbox.workspace))


def _pytest_options(timeout_s: float) -> list[str]:
    """A report that we can read, no traces in the workspace, and the stack of a test that hangs."""
    options = [f"--junitxml={SCRATCH}/junit.xml", "--tb=short", "--color=no", "--continue-on-collection-errors"]
    for setting in (
        "junit_family=xunit1",
        "cache_dir=/tmp/pytest",
        f"faulthandler_timeout={timeout_s * 0.8:.1f}",
    ):
        options += ["-o", setting]
    return options


def _with_counts(report: TestReport, found: Found | None) -> TestReport:
    if found is None:
        return report
    counts, failures = found
    return replace(
        report,
        passed=counts["passed"],
        failed=counts["failed"],
        errors=counts["errors"],
        skipped=counts["skipped"],
        counted=True,
        failures=failures,
    )


def _module_name(word: str) -> str:
    """``tests/test_a.py::TestA::test_b`` as unittest writes it: ``tests.test_a.TestA.test_b``."""
    path, *names = word.split("::")
    if path.endswith(".py"):
        path = path[:-3].replace("/", ".")
    return ".".join([path, *names])


def _refuse_missing(runner: str, result: CommandResult) -> None:
    if runner in _MISSING and result.exit_code in (126, 127):
        raise ToolError(f"the project's tests need {_MISSING[runner]}, which is not installed under /usr")
