"""Calls the process tools as a run would."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mainspring.tool import ToolContext
from mainspring.tools.shells import process_tools

Call = Callable[..., str]


def calls(workspace: Path, home: Path | None, run_id: str = "r1", **settings: Any) -> Call:
    """A function that takes ``"start"``, ``"read"``, ``"write"`` or ``"stop"`` and that tool's arguments."""
    functions = {tool.name: tool.function for tool in process_tools(**settings)}
    context = ToolContext(run_id=run_id, workspace=workspace, home=home, key="k1")

    def call(what: str, /, **arguments: Any) -> str:
        answer = asyncio.run(functions[f"{what}_process"](context=context, **arguments))
        assert isinstance(answer, str)
        return answer

    return call
