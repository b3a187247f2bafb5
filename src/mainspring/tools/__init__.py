"""The first tools: reading, searching and editing a workspace, running commands and tests in a sandbox.

from mainspring import Agent
from mainspring.tools import coding_tools

agent = Agent("coder", model="local", tools=coding_tools(), workspace="my-project")
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainspring.tool import Tool
    from mainspring.tools.sandbox import SandboxLimits

    read_file: Tool
    search_codebase: Tool
    edit_file: Tool
    run_terminal_command: Tool
    execute_tests: Tool

__all__ = [
    "coding_tools",
    "edit_file",
    "execute_tests",
    "read_file",
    "run_terminal_command",
    "search_codebase",
]


def coding_tools(
    workspace: str | os.PathLike[str] | None = None,
    *,
    test_command: str | None = None,
    limits: SandboxLimits | None = None,
) -> list[Tool]:
    """The five tools for work on code.

    Args:
        workspace: the folder to work in; by default each run's own workspace.
        test_command: what `execute_tests` runs, such as ``"python -m pytest -q"``; detected by default.
        limits: what commands and tests may use (`mainspring.tools.sandbox.SandboxLimits`).
    """
    from pathlib import Path

    from mainspring.tools.coding import Coding

    folder = None if workspace is None else Path(workspace).expanduser().absolute()
    return Coding(folder, test_command, limits).tools()


def __getattr__(name: str) -> Any:
    # Each tool is also there by itself, for the run's own workspace; made when first asked for.
    if name in __all__:
        globals().update({tool.name: tool for tool in coding_tools()})
        return globals()[name]
    raise AttributeError(f"module 'mainspring.tools' has no attribute {name!r}")
