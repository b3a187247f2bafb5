"""The `locate_fault` tool: which functions the failing tests execute and the passing ones do not."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import textwrap
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mainspring.code.repair import tracing
from mainspring.code.repair.localize import Suspect, failing_statement, rank
from mainspring.errors import SandboxError, ToolError
from mainspring.label import Label
from mainspring.tool import Settled, Tool, ToolContext
from mainspring.tools import recovery
from mainspring.tools.sandbox import CommandResult, Sandbox, SandboxLimits
from mainspring.tools.surroundings import Around, nothing

_SUSPECTS = 6
_SHOWN_TESTS = 3
_SHOWN_LINES = 60
_SECONDS = 20.0
_PER_TEST_S = 5.0
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class FaultLocator:
    """Makes the `locate_fault` tool.

    Args:
        workspace: the project, when it is not to come from the run.
        test_command: how its tests are run. Only variables set in front of it and arguments after ``pytest`` are
            used: the tests always run under pytest here, which also runs unittest's.
        limits: what the tests may use.
        around: what the tests see besides the workspace.
    """

    workspace: Path | None = None
    test_command: str | None = None
    limits: SandboxLimits | None = None
    around: Around = nothing

    def tool(self) -> Tool:
        """The tool."""
        return Tool(
            self.locate_fault,
            effect="write",  # tests may write anything in the workspace
            authority=["tests"],
            undoable=True,
            label=Label(frozenset({"tool:workspace"})),
            prepare=self._prepare,
            reconcile=self._reconcile,
        )

    async def locate_fault(self, context: ToolContext, tests: list[str] | None = None) -> str:
        """Find the functions and lines to blame for failing tests, from which tests execute them.

        Args:
            tests: ids of failing tests, run first
        """
        workspace = self._workspace(context)
        environment, arguments = read_test_command(self.test_command)
        wanted = {
            "failing": tests or [],
            "seconds": _SECONDS,
            "per_test": _PER_TEST_S,
            "arguments": arguments,
        }
        program = Path(tracing.__file__).read_text(encoding="utf-8")
        stop = threading.Event()
        around = self.around(context)

        def run() -> CommandResult:
            sandbox = Sandbox(
                workspace, home=context.home, limits=self.limits, python=around.python, read_only=around.read_only
            )
            command = [str(sandbox.python), "-c", program, json.dumps(wanted)]
            record = recovery.record_file(context)
            return sandbox.run(command, timeout_s=_SECONDS * 6, env=environment, stop=stop, record=record)

        thread = asyncio.ensure_future(asyncio.to_thread(run))
        try:
            result = await asyncio.shield(thread)
        except asyncio.CancelledError:
            stop.set()
            await asyncio.wait({thread})
            raise
        if result.ended == "cancelled":
            raise SandboxError("the tests were cancelled")
        answer = json.dumps(report(_trace(result), workspace), ensure_ascii=False)
        recovery.remember(context, answer)
        return answer

    def _workspace(self, context: ToolContext) -> Path:
        workspace = self.workspace or context.workspace
        if workspace is None:
            raise ToolError("this run has no workspace; start it with workspace=... (or --workspace DIR)")
        return workspace

    def _prepare(self, context: ToolContext) -> Mapping[str, Any]:
        return recovery.prepare(self._workspace(context), context.home)

    def _reconcile(self, context: ToolContext) -> Settled:
        return recovery.reconcile(self._workspace(context), context)


def read_test_command(command: str | None) -> tuple[dict[str, str], list[str]]:
    """Variables set in front of a test command, and the arguments that follow ``pytest`` in it."""
    environment: dict[str, str] = {}
    words = shlex.split(command or "")
    while words and (match := _ASSIGNMENT.match(words[0])):
        environment[match.group(1)] = match.group(2)
        words.pop(0)
    for index, word in enumerate(words):
        if word.rpartition("/")[2] in ("pytest", "py.test"):
            return environment, [w for w in words[index + 1 :] if w not in ("-q", "-v", "-x")]
    return environment, []


def report(trace: Mapping[str, Any], workspace: Path) -> dict[str, Any]:
    """What the tool answers: failing tests with their source, and the suspects, best first."""
    failing = [
        {
            "id": test["id"],
            "error": test["error"],
            "source": textwrap.dedent(failing_statement(test, workspace)),
        }
        for test in sorted(trace["tests"], key=lambda t: len(t["error"]))[:_SHOWN_TESTS]
    ]
    suspects = [_described(s) for s in rank(trace, workspace)[:_SUSPECTS]]
    return {"failed": trace["failed"], "passed": trace["passed"], "tests": failing, "suspects": suspects}


def _described(suspect: Suspect) -> dict[str, Any]:
    best = sorted(suspect.lines, key=lambda item: -item[1])[:_SHOWN_LINES]
    return {
        "path": suspect.source.path,
        "function": suspect.source.name,
        "first": suspect.source.first,
        "last": suspect.source.last,
        "score": suspect.score,
        "call": suspect.call,
        "lines": [[number, round(score, 2)] for number, score in sorted(best)],
    }


def _trace(result: CommandResult) -> dict[str, Any]:
    _, mark, text = result.output.rpartition(tracing.MARK)
    try:
        found = json.loads(text.strip().splitlines()[0]) if mark else None
    except (ValueError, IndexError):
        found = None
    if not isinstance(found, dict) or not found["passed"] + found["failed"]:
        how = "the time was up" if result.ended == "timeout" else f"exit code {result.exit_code}"
        raise ToolError(f"the tests could not be traced under pytest ({how}): {result.output[-1500:].strip()}")
    return found
