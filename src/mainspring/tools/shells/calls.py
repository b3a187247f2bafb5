"""The tools for processes that stay: start, read, write and stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mainspring.errors import ToolError
from mainspring.tool import Happened, Settled, Tool, ToolContext
from mainspring.tools import recovery
from mainspring.tools.limits import SandboxLimits, SandboxSettings
from mainspring.tools.provenance import WORKSPACE
from mainspring.tools.shells.keys import keystrokes
from mainspring.tools.shells.output import Page
from mainspring.tools.shells.pattern import Pattern
from mainspring.tools.shells.process import Process
from mainspring.tools.shells.registry import ProcessLimits, RunProcesses, close_run, of_run, recover_run
from mainspring.tools.surroundings import Around, nothing

MAX_WAIT_S = 600
_QUIET_S = 0.3
_TICK_S = 0.05
_COMMAND_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Processes:
    """How the tools work; see :func:`mainspring.tools.shells.process_tools`."""

    workspace: Path | None = None
    limits: SandboxLimits | None = None
    settings: SandboxSettings = field(default_factory=SandboxSettings)
    allowed: ProcessLimits = field(default_factory=ProcessLimits)
    around: Around = nothing

    def tools(self) -> list[Tool]:
        """The four tools."""
        make: Callable[..., Tool] = Tool
        started = {"prepare": self._prepare, "reconcile": self._reconcile_start}
        typed = {"prepare": self._prepare_write, "reconcile": self._reconcile_write}
        write = {"effect": "write", "undoable": True, "label": WORKSPACE, "outside": False}
        read = {"effect": "read", "parallel": False, "label": WORKSPACE, "outside": False}
        found = [
            make(self.start_process, authority=["command"], selector=["name"], **write, **started),
            make(self.read_process, authority=[], selector=["name"], **read),
            make(self.write_process, authority=["text"], selector=["name"], **write, **typed),
            make(self.stop_process, authority=[], selector=["name"], reconcile=self._reconcile_stop, **write),
        ]
        for tool in found:
            tool.recover, tool.close = recover_run, close_run
        return found

    async def start_process(self, context: ToolContext, command: str = "", name: str = "", wait_s: int = 3) -> str:
        """Start a bash command in a terminal that stays (server, REPL, long build); no command: a shell. Processes of
        this run reach each other at 127.0.0.1.

        Args:
            wait_s: for its first output
        """
        seconds = _seconds(wait_s)
        if "\0" in command or len(command) > 32_000:
            raise ToolError("command holds a NUL byte or more than 32,000 characters; put it into a script")
        workspace = self._workspace(context)
        run = self._run(context)
        limits = self.settings.limits(self.limits)
        record = recovery.record_file(context)
        begun = asyncio.ensure_future(
            asyncio.to_thread(run.start, name, command, workspace, limits, self.allowed, record, self.around(context))
        )
        try:
            process = await asyncio.shield(begun)
            await _wait(process, seconds, "")
        except asyncio.CancelledError:
            await asyncio.wait({begun})
            if not begun.cancelled() and begun.exception() is None:
                await asyncio.to_thread(begun.result().stop, "its start was cancelled")
            raise
        answer = _shown(process, process.output.read_new(), run)
        recovery.remember(context, answer)
        return answer

    async def read_process(
        self, context: ToolContext, name: str = "", wait_s: int = 5, until: str = "", from_line: int = 0
    ) -> str:
        """New output of a process, or its screen; no name: list the processes.

        Args:
            wait_s: for output to come and settle
            until: wait for this text or regex instead
            from_line: read again from this line
        """
        seconds = _seconds(wait_s)
        run = self._run(context)
        if not name:
            return _listed(run)
        process = run.get(name)
        if from_line > 0:
            return _shown(process, process.output.read_from(from_line), run)
        await _wait(process, seconds, until)
        return _shown(process, process.output.read_new(), run)

    async def write_process(self, name: str, text: str, context: ToolContext, wait_s: int = 3, until: str = "") -> str:
        """Type into a process and read what comes. Keys: <enter> <ctrl-c> <ctrl-d> <tab> <esc> <up> <down> <left>
        <right> <backspace> <pageup>...

        Args:
            text: end a line with <enter>
        """
        seconds = _seconds(wait_s)
        run = self._run(context)
        process = run.get(name)
        typed = keystrokes(text)
        await asyncio.to_thread(process.write, typed)
        await _wait(process, seconds, until)
        answer = _shown(process, process.output.read_new(), run)
        recovery.remember(context, answer)
        return answer

    async def stop_process(self, name: str, context: ToolContext) -> str:
        """End a process."""
        run = self._run(context)
        process = run.get(name)
        await asyncio.to_thread(process.stop, "it was stopped", True)
        return _shown(process, process.output.read_new(), run)

    def _workspace(self, context: ToolContext) -> Path:
        workspace = self.workspace or context.workspace
        if workspace is None:
            raise ToolError("this run has no workspace; start it with workspace=... (or --workspace DIR)")
        return workspace

    @staticmethod
    def _run(context: ToolContext) -> RunProcesses:
        if not context.run_id:
            raise ToolError("processes belong to a run, and this call has none; pass ToolContext(run_id=...)")
        return of_run(context.run_id, context.home)

    def _prepare(self, context: ToolContext, command: str = "", name: str = "", wait_s: int = 3) -> Mapping[str, Any]:
        return recovery.prepare(self._workspace(context), context.home)

    def _prepare_write(
        self, name: str, text: str, context: ToolContext, wait_s: int = 3, until: str = ""
    ) -> Mapping[str, Any]:
        return recovery.prepare(self._workspace(context), context.home)

    def _reconcile_start(self, context: ToolContext) -> Settled:
        self._run(context)  # sets aside what it may have left
        settled = recovery.reconcile(self._workspace(context), context)
        if isinstance(settled, Happened):
            return Happened(f"{settled.value}\n[it has ended since, when Mainspring itself was ended; start it again]")
        return settled

    def _reconcile_write(self, context: ToolContext) -> Settled:
        self._run(context)
        # When nothing changed it is tried again, and then told that the process is gone.
        return recovery.reconcile(self._workspace(context), context)

    @staticmethod
    def _reconcile_stop(context: ToolContext) -> Settled:
        return Happened("ended, at the latest when Mainspring itself was ended")


async def _wait(process: Process, seconds: float, until: str) -> None:
    """Until the process has ended, its output holds the pattern, or, without one, has come and settled."""
    now = time.monotonic()
    began, deadline = now, now + seconds
    with Pattern(until) as pattern:
        while not process.ended.is_set():
            now = time.monotonic()
            if until:
                if pattern.found(process.output.new_text()):
                    return
            elif process.output.has_new() and now - max(process.output.changed_at, began) >= _QUIET_S:
                return
            if now >= deadline:
                if until:  # the last search may need a moment more
                    pattern.found(process.output.new_text(), wait_s=_QUIET_S)
                return
            await asyncio.sleep(min(_TICK_S, max(deadline - now, 0.001)))


def _shown(process: Process, page: Page, run: RunProcesses) -> str:
    head = f"{process.name} {process.state()}"
    if page.screen:
        head += f"; its screen, lines {page.first}-{page.last}"
    elif page.last < page.first:
        head += f"; nothing new after line {page.total}"
    else:
        head += f"; lines {page.first}-{page.last}"
        if page.last < page.total:
            head += f" of {page.total}"
        if page.before:
            head += f"; new lines from {page.before} on are left out, read them with from_line={page.before}"
    notes, run.notes = run.notes, []
    return "\n".join([head, *notes, *process.take_notes(), *([page.text] if page.text else [])])


def _listed(run: RunProcesses) -> str:
    lines = []
    for process in run.all():
        command = process.command or "bash"
        lines.append(f"{process.name} {process.state()}: {command.splitlines()[0][:_COMMAND_CHARACTERS]}")
    lines += [f"{name} ended when Mainspring itself was ended; start it again if needed" for name in run.lost]
    return "\n".join(lines) or "no process was started"


def _seconds(wait_s: int) -> float:
    if not 0 <= wait_s <= MAX_WAIT_S:
        raise ToolError(f"wait_s must be from 0 to {MAX_WAIT_S}; got {wait_s}")
    return float(wait_s)
