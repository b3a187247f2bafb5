"""Runs a project's tests in the sandbox and reads what failed, where and why."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shlex
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.errors import ToolError
from mainspring.tools import fingerprint
from mainspring.tools.capture import shorten
from mainspring.tools.runners import watching
from mainspring.tools.runners.commands import (
    NODE_REPORTER,
    NODE_REPORTER_SOURCE,
    SCRATCH,
    Caches,
    command_of,
    environment,
    missing_packages,
    missing_program,
    package_caches,
    system_settings,
)
from mainspring.tools.runners.detect import Runner, detect, nearest
from mainspring.tools.runners.judge import judged, read
from mainspring.tools.runners.order import History
from mainspring.tools.runners.report import TestReport
from mainspring.tools.sandbox import CommandResult, Sandbox, SandboxLimits

if TYPE_CHECKING:
    from mainspring.tools.network import Loopback

_PARSED_BYTES = 8 << 20
_KEPT_CHARACTERS = 256 << 10
_SEVERAL = 8
# What a build makes anew each time is no change of a file that somebody wrote.
_BUILT = re.compile(
    r"(^|/)(target|build|dist|node_modules|\.gradle|coverage|\.nyc_output|[^/]*\.egg-info)/|\.pyc$|(^|/)\.coverage"
)


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
    first: Sequence[str] = (),
    caches: bool = False,
    read_only: Sequence[str | Path] = (),
    env: dict[str, str] | None = None,
    loopback: Loopback | None = None,
    keep: bool = True,
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
        first: test ids to run before all others (see `mainspring.tools.runners.order`); when one of them fails, the
            rest is not run, and the report says so.
        caches: show the toolchains and package caches of the user's home folder, read-only.
        read_only: further folders that the tests may read, at the same path.
        env: variables besides those that are always set.
        loopback: the network of processes that the tests may reach; default none but their own.
        keep: note the outcomes in the history that `home` has.

    Raises:
        ToolError: no runner was found, the runner is not installed, or the target is no shell words.
        SandboxError: the sandbox cannot be set up.
    """
    found = package_caches() if caches else Caches()
    limits = limits or SandboxLimits()
    sandbox = Sandbox(
        workspace,
        home=home,
        python=python,
        limits=replace(limits, output_bytes=max(limits.output_bytes, _PARSED_BYTES)),
        read_only=[*read_only, *found.read_only, *system_settings()],
        loopback=loopback,
    )
    run = _Runs(sandbox, timeout_s, stop, record, report, found, dict(env or {}))
    try:
        words = shlex.split(target)
    except ValueError as error:
        raise ToolError(f"target {target!r} cannot be read: {error}; quote it like a shell command") from None
    hidden = None if home is None else Path(home)
    before = fingerprint.take(sandbox.workspace, hidden)
    told = _first_then_rest(run, command, words, list(first))
    if hidden is not None and keep:
        history = History.load(hidden, sandbox.workspace)
        history.note(told)
        with contextlib.suppress(OSError):  # a saving for later runs only
            history.save(hidden, sandbox.workspace)
    changes = [c for c in before.changes(fingerprint.take(sandbox.workspace, hidden)) if c[0] in "~-"]
    return replace(told, changed=tuple(c for c in changes if not _BUILT.search(c[1:])))


def _first_then_rest(run: _Runs, command: str | None, words: list[str], first: list[str]) -> TestReport:
    if not first:
        return _all(run, command, words)
    early = _all(run, command, first)
    if not early.ok:
        note = f"only the {len(first)} tests that matter first were run, because some of them failed"
        return replace(early, notes=(*early.notes, note))
    left = replace(run, timeout_s=max(1.0, run.timeout_s - early.seconds))
    whole = _all(left, command, words)
    return replace(whole, seconds=early.seconds + whole.seconds)


def _all(run: _Runs, command: str | None, words: list[str]) -> TestReport:
    """One run, or one of each project in a workspace that has none at its top."""
    if command is not None:
        name = "pytest" if re.search(r"(^|[\s/])(py\.test|pytest)(\s|$)", command) else "custom"
        return run(Runner(name, "", "configured", 1.0), ["bash", "-c", f'{command} "$@"', "bash", *words])
    workspace = run.sandbox.workspace
    runner = nearest(workspace, words[0] if words else "")
    if words or not runner.folder:
        others = [r.name for r in detect(workspace) if not r.folder and r.name != runner.name and r.confidence > 0.4]
        whole = _one(run, runner, words)
        note = f"other runners were seen here and not run: {', '.join(others)}"
        return replace(whole, notes=(*whole.notes, note)) if others and not words else whole
    told: TestReport | None = None
    folders: set[str] = set()
    until = time.monotonic() + run.timeout_s
    for one in detect(workspace):
        if one.folder in folders or len(folders) >= _SEVERAL or one.confidence < 0.4:
            continue
        folders.add(one.folder)
        left = max(1.0, until - time.monotonic())
        try:
            now = _one(replace(run, timeout_s=left), one, [])
        except ToolError as error:
            now = TestReport(one.name, f"{one.name} in {one.folder}", 1, "exit", broken=str(error))
        told = now if told is None else _joined(told, now)
        if now.ended != "exit":
            break
    return told if told is not None else _one(run, runner, words)


def _one(run: _Runs, runner: Runner, words: list[str]) -> TestReport:
    sandbox = run.sandbox
    found = run(runner, command_of(runner, sandbox.workspace, sandbox.python, words, run.caches))
    if runner.name == "pytest" and "No module named pytest" in found.output and not found.counted:
        other = replace(runner, name="unittest")
        retry = run(other, command_of(other, sandbox.workspace, sandbox.python, words, run.caches))
        if retry.counted and retry.passed + retry.failed + retry.errors:
            return retry
        raise ToolError(
            f"pytest is not installed for {sandbox.python}, and unittest finds no tests; install pytest "
            "into the workspace's .venv, or configure a test command"
        )
    return found


def _joined(one: TestReport, two: TestReport) -> TestReport:
    """The reports of two projects as one: bad if one of them is."""
    worse = two if one.ok or two.ended != "exit" else one
    return replace(
        worse,
        runner=f"{one.runner} + {two.runner}",
        command=f"{one.command}; {two.command}",
        passed=one.passed + two.passed,
        failed=one.failed + two.failed,
        errors=one.errors + two.errors,
        skipped=one.skipped + two.skipped,
        counted=one.counted or two.counted,
        failures=one.failures + two.failures,
        output=shorten(f"{one.output}\n{two.output}", _KEPT_CHARACTERS),
        seconds=one.seconds + two.seconds,
        notes=(*one.notes, *two.notes),
        tests=one.tests + two.tests,
        unfinished=one.unfinished + two.unfinished,
        broken="; ".join(filter(None, (one.broken, two.broken))),
    )


@dataclass(frozen=True, slots=True)
class _Runs:
    sandbox: Sandbox
    timeout_s: float
    stop: threading.Event | None
    record: Path | None
    report: Callable[[str], None] | None
    caches: Caches = field(default_factory=Caches)
    env: dict[str, str] = field(default_factory=dict)

    def __call__(self, runner: Runner, command: list[str]) -> TestReport:
        with tempfile.TemporaryDirectory(prefix="mainspring-tests-") as folder:
            scratch = Path(folder)
            since = time.time_ns()
            watched = None
            if runner.name == "node":
                (scratch / NODE_REPORTER).write_text(NODE_REPORTER_SOURCE, encoding="utf-8")
            if runner.name == "pytest":
                result, watched = self._watched(runner, command, scratch)
            else:
                result = self._run(runner, command, scratch, {}, [])
            refused = missing_program(runner.name, result.exit_code, result.output)
            if refused:
                raise ToolError(refused)
            shown = [os.path.basename(command[0]), *command[1:]]
            if command[0] == "bash":
                shown = [command[2].removesuffix(' "$@"'), *command[4:]]
            told = TestReport(
                runner.name,
                " ".join(shown),
                result.exit_code,
                result.ended,
                output=shorten(result.output, _KEPT_CHARACTERS),
                seconds=result.seconds,
                notes=result.notes,
            )
            found = read(runner, result.output, scratch, self.sandbox.workspace, since)
        wanting = missing_packages(result.output) if result.exit_code else ""
        if wanting:
            told = replace(told, notes=(*told.notes, wanting))
        return judged(told, runner, found, watched)

    def _watched(self, runner: Runner, command: list[str], scratch: Path) -> tuple[CommandResult, watching.Watched]:
        """Run pytest with our plugin; without it where the project's command cannot load it."""
        nonce = secrets.token_hex(16)
        plugins = scratch / "plugins"
        plugins.mkdir()
        (plugins / f"{watching.NAME}.py").write_text(watching.SOURCE, encoding="utf-8")
        options = _pytest_options(self.timeout_s)
        pipe = watching.Pipe(nonce)
        try:
            env = {"PYTHONPATH": f"{SCRATCH}/plugins", watching.VARIABLE: pipe.variable}
            result = self._run(runner, [*command, *options, "-p", watching.NAME], scratch, env, [pipe.write])
        finally:
            seen = pipe.close()
        if not seen.begun and f"No module named '{watching.NAME}'" in result.output:
            return self._run(runner, [*command, *options], scratch, {}, []), watching.Watched()
        return result, seen

    def _run(
        self, runner: Runner, command: list[str], scratch: Path, env: dict[str, str], inherit: list[int]
    ) -> CommandResult:
        usual = f"{self.sandbox.python.parent}:/usr/local/bin:/usr/bin:/bin"
        where = environment(runner.name, self.sandbox.workspace / runner.folder, self.caches, usual)
        return self.sandbox.run(
            command,
            timeout_s=self.timeout_s,
            cwd=runner.folder or ".",
            scratch=scratch,
            env=where | self.env | env,
            stop=self.stop,
            record=self.record,
            report=self.report,
            inherit=inherit,
        )


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
