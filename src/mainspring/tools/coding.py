"""The five tools for work on code, bound to a workspace."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from mainspring.errors import SandboxError, StoreError, ToolError
from mainspring.label import Label
from mainspring.tool import Happened, Settled, Tool, ToolContext
from mainspring.tools import editing, provenance, reading, recovery, searching
from mainspring.tools.capture import shorten
from mainspring.tools.limits import SandboxLimits, SandboxSettings
from mainspring.tools.provenance import WORKSPACE
from mainspring.tools.runners import run_tests
from mainspring.tools.sandbox import CommandResult, Sandbox
from mainspring.tools.surroundings import Around, loopback, nothing
from mainspring.value import Labelled

MAX_TIMEOUT_S = 3600
_OUTPUT_CHARACTERS = 24_000

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Coding:
    """How the tools work.

    Args:
        workspace: the folder, when it is not to come from the run.
        test_command: what `execute_tests` runs instead of what it detects, as a shell command.
        limits: what commands and tests may use.
        settings: the hosts that commands may reach, and limits in a person's units; tests reach none.
        around: what commands and tests see besides the workspace.
    """

    workspace: Path | None = None
    test_command: str | None = None
    limits: SandboxLimits | None = None
    settings: SandboxSettings = field(default_factory=SandboxSettings)
    around: Around = nothing

    def tools(self) -> list[Tool]:
        """The five tools."""
        edit = {"prepare": self._prepare_edit, "reconcile": self._reconcile_edit}
        command = {"prepare": self._prepare_command, "reconcile": self._reconcile_command}
        tests = {"prepare": self._prepare_command, "reconcile": self._reconcile_tests}
        make: Callable[..., Tool] = Tool
        return [
            make(self.read_file, effect="read", authority=["path"], label=WORKSPACE),
            make(self.search_codebase, effect="read", authority=["path"], label=WORKSPACE),
            make(self.edit_file, effect="write", authority=["path"], undoable=True, label=WORKSPACE, **edit),
            make(self.run_terminal_command, authority=["command"], label=WORKSPACE, **self._reach(), **command),
            make(self.execute_tests, effect="write", authority=["target"], undoable=True, label=WORKSPACE, **tests),
        ]

    def read_file(self, path: str, context: ToolContext, start_line: int = 1, lines: int = 250) -> Labelled:
        """Read a text file as numbered lines, or list a folder.

        Args:
            path: relative to the workspace
        """
        workspace, home = self._workspace(context), context.home
        most = provenance.MAX_HASHED_BYTES if provenance.keeps_labels(home) else 0
        page = reading.read(workspace, path, start_line, lines, home, most)
        return Labelled(page.text, {"": provenance.label_read(home, workspace / page.path, page.digest)})

    def search_codebase(
        self, query: str, context: ToolContext, path: str = ".", glob: str = "", regex: bool = False
    ) -> str:
        """Find lines in the workspace's text files; ignored files are left out. A lower-case query matches any case.

        Args:
            path: file or folder to search
            glob: such as *.py
        """
        return searching.search(self._workspace(context), query, path, glob, regex, context.home)

    def edit_file(self, path: str, old: str, new: str, context: ToolContext, every: bool = False) -> Labelled:
        """Replace text in a file, or create one. Returns the diff.

        Args:
            old: exact text as it is in the file, unique; empty to create the file
            new: text to put in its place
            every: replace all occurrences
        """
        workspace = self._workspace(context)
        change = editing.plan(workspace, context.home, path, old, new, every)
        prepared = context.prepared
        if prepared is not None and editing.digest(change.before) != prepared["before"]:
            raise ToolError(f"{change.path} was changed by someone else meanwhile; read it again")
        if prepared is None and context.home is not None:
            editing.prepare(context.home, change)
        assert change.after is not None
        label = self._edit_label(context, change.path, editing.digest(change.before))
        text = editing.apply(workspace, context.home, change, context.key)
        return self._kept(context, change.path, provenance.digest_of(change.after), Labelled(text, {"": label}))

    async def run_terminal_command(self, command: str, context: ToolContext, timeout_s: int = 60) -> str:
        """Run a bash command in the workspace, without network; only the workspace is writable, .git is not."""
        workspace = self._workspace(context)
        seconds = _seconds(timeout_s)
        if not command.strip() or "\0" in command:
            raise ToolError("command is empty or holds a NUL byte; give one shell command")

        around = self.around(context)

        def run(stop: threading.Event) -> CommandResult:
            sandbox = Sandbox(
                workspace,
                home=context.home,
                limits=self._limits(),
                python=around.python,
                read_only=around.read_only,
                hosts=self.settings.hosts,
                loopback=loopback(context),
            )
            record = recovery.record_file(context)
            return sandbox.run(
                ["bash", "-c", command], timeout_s=seconds, stop=stop, record=record, report=context.report
            )

        answer = _describe(await _stoppable(run), seconds)
        recovery.remember(context, answer)
        return answer

    async def execute_tests(self, context: ToolContext, target: str = "", timeout_s: int = 300) -> str:
        """Run the project's tests and report what failed, where and why.

        Args:
            target: file, folder or test id; empty runs all
        """
        workspace = self._workspace(context)
        seconds = _seconds(timeout_s)
        around = self.around(context)
        report = await _stoppable(
            lambda stop: run_tests(
                workspace,
                context.home,
                target,
                self.test_command,
                seconds,
                python=around.python,
                limits=self._limits(),
                stop=stop,
                record=recovery.record_file(context),
                report=context.report,
                caches=self.settings.caches,
                read_only=around.read_only,
                loopback=loopback(context),
            )
        )
        answer = shorten(report.text(), _OUTPUT_CHARACTERS)
        recovery.remember(context, answer)
        return answer

    def _reach(self) -> dict[str, Any]:
        """What a command can do: with hosts granted, it can tell and change what nobody can take back."""
        hosts = self.settings.hosts
        if not hosts:
            return {"effect": "write", "undoable": True}
        return {
            "effect": "irreversible",
            "outside": True,
            "description": "Run a bash command in the workspace; only the workspace is writable, .git is not. "
            f"Network, by HTTP(S) only: {', '.join(hosts)}.",
        }

    def _limits(self) -> SandboxLimits:
        return self.settings.limits(self.limits)

    def _workspace(self, context: ToolContext) -> Path:
        workspace = self.workspace or context.workspace
        if workspace is None:
            raise ToolError("this run has no workspace; start it with workspace=... (or --workspace DIR)")
        return workspace

    def _prepare_edit(
        self, path: str, old: str, new: str, context: ToolContext, every: bool = False
    ) -> Mapping[str, Any]:
        change = editing.plan(self._workspace(context), context.home, path, old, new, every)
        return editing.prepare(context.home, change)

    def _reconcile_edit(self, context: ToolContext) -> Settled:
        settled = editing.reconcile(self._workspace(context), context.home, context.prepared, context.key)
        if not isinstance(settled, Happened) or context.prepared is None:
            return settled
        # If the crash came after the label was kept, what was there before now counts as replaced, so the label says
        # besides that somebody chose it: stricter, never cleaner.
        path, before, after = (context.prepared[name] for name in ("path", "before", "after"))
        answer = Labelled(settled.value, {"": self._edit_label(context, path, before)})
        return Happened(self._kept(context, path, after, answer))

    def _edit_label(self, context: ToolContext, path: str, before: str | None) -> Label:
        return provenance.edit_label(context.home, self._workspace(context) / path, before, context.labels)

    def _kept(self, context: ToolContext, path: str, after: str, answer: Labelled) -> Labelled:
        """The edit's answer, once the file's label is kept; where it cannot be, the file is an outsider's."""
        if context.home is not None:
            try:
                known = provenance.provenance(context.home)
                known.record(self._workspace(context) / path, after, answer.labels[""], context.run_id)
            except StoreError as error:
                context.report(f"{path} will count as written by anyone: {error}")
        return answer

    def _prepare_command(self, context: ToolContext) -> Mapping[str, Any]:
        return recovery.prepare(self._workspace(context), context.home)

    def _reconcile_command(self, context: ToolContext) -> Settled:
        return recovery.reconcile(self._workspace(context), context, alone=not self.settings.hosts)

    def _reconcile_tests(self, context: ToolContext) -> Settled:
        return recovery.reconcile(self._workspace(context), context)


async def _stoppable(run: Callable[[threading.Event], _Answer]) -> _Answer:
    """Run a sandboxed call in a thread; when we are cancelled, end it and wait until nothing of it is left."""
    stop = threading.Event()
    thread = asyncio.ensure_future(asyncio.to_thread(run, stop))
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait({thread})
        raise


def _seconds(timeout_s: int) -> float:
    if not 1 <= timeout_s <= MAX_TIMEOUT_S:
        raise ToolError(f"timeout_s must be from 1 to {MAX_TIMEOUT_S}; got {timeout_s}")
    return float(timeout_s)


def _describe(result: CommandResult, seconds: float) -> str:
    if result.ended == "exit":
        head = f"exit code {result.exit_code}"
    elif result.ended == "timeout":
        head = f"ended: still running after {seconds:.0f} s"
    elif result.ended == "cancelled":
        raise SandboxError("the command was cancelled")
    else:
        return "\n".join([f"ended: {result.notes[0]}", *result.notes[1:], _shown(result)])
    return "\n".join([head, *result.notes, _shown(result)])


def _shown(result: CommandResult) -> str:
    return shorten(result.output, _OUTPUT_CHARACTERS).rstrip() or "(no output)"
