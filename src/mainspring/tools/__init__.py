"""The first tools: reading, searching and editing a workspace, running commands and tests in a sandbox, the web.

from mainspring import Agent
from mainspring.tools import coding_tools

agent = Agent("coder", model="local", tools=coding_tools(), workspace="my-project")
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainspring.tool import Tool
    from mainspring.tools.limits import SandboxLimits, SandboxSettings
    from mainspring.tools.surroundings import Around

    read_file: Tool
    search_codebase: Tool
    edit_file: Tool
    run_terminal_command: Tool
    execute_tests: Tool
    web_fetch: Tool

__all__ = [
    "coding_tools",
    "edit_file",
    "execute_tests",
    "read_file",
    "run_terminal_command",
    "search_codebase",
    "web_fetch",
]


def coding_tools(
    workspace: str | os.PathLike[str] | None = None,
    *,
    test_command: str | None = None,
    limits: SandboxLimits | None = None,
    sandbox: SandboxSettings | Mapping[str, Any] | None = None,
    around: Around | None = None,
) -> list[Tool]:
    """The five tools for work on code.

    Args:
        workspace: the folder to work in; by default each run's own workspace.
        test_command: what `execute_tests` runs, such as ``"python -m pytest -q"``; detected by default.
        limits: what commands and tests may use (`mainspring.tools.limits.SandboxLimits`).
        sandbox: the hosts that commands may reach and limits in a person's units, as the section ``[sandbox]`` of
            the configuration has them: ``{"hosts": ["pypi.org"], "cpu_s": 600, "memory_mb": 4000, "processes": 200,
            "disk_mb": 2000}``. With hosts, `run_terminal_command` is irreversible and tells somebody outside.
        around: what commands and tests see besides the workspace (`mainspring.tools.surroundings`).

    Raises:
        DeclarationError: a setting is unknown or has no fitting value.
    """
    from pathlib import Path

    from mainspring.tools.coding import Coding
    from mainspring.tools.limits import SandboxSettings
    from mainspring.tools.surroundings import nothing

    folder = None if workspace is None else Path(workspace).expanduser().absolute()
    return Coding(folder, test_command, limits, SandboxSettings.read(sandbox), around or nothing).tools()


def __getattr__(name: str) -> Any:
    # Each tool is also there by itself, for the run's own workspace; made when first asked for.
    if name == "web_fetch":
        from mainspring.tools.web import web_fetch

        globals()[name] = web_fetch
        return web_fetch
    if name in __all__:
        globals().update({tool.name: tool for tool in coding_tools()})
        return globals()[name]
    raise AttributeError(f"module 'mainspring.tools' has no attribute {name!r}")
