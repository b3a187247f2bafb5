"""Processes that stay: shells, servers and REPLs with a terminal, in the sandbox, for as long as their run goes on.

from mainspring import Agent
from mainspring.tools import coding_tools
from mainspring.tools.shells import process_tools

agent = Agent("coder", model="local", tools=[*coding_tools(), *process_tools()], workspace="my-project")
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.tools.shells.registry import ProcessLimits, close_all, close_run, loopback_of, recover_run

if TYPE_CHECKING:
    from mainspring.tool import Tool
    from mainspring.tools.limits import SandboxLimits, SandboxSettings
    from mainspring.tools.surroundings import Around

__all__ = ["ProcessLimits", "close_all", "close_run", "loopback_of", "process_tools", "recover_run"]


def process_tools(
    workspace: str | os.PathLike[str] | None = None,
    *,
    limits: SandboxLimits | None = None,
    sandbox: SandboxSettings | Mapping[str, Any] | None = None,
    processes: ProcessLimits | None = None,
    around: Around | None = None,
) -> list[Tool]:
    """The tools `start_process`, `read_process`, `write_process` and `stop_process`.

    Args:
        workspace: the folder to work in; by default each run's own workspace.
        limits: what each process may use; of the memory, the share that `processes` says.
        sandbox: limits in a person's units, as :func:`mainspring.tools.coding_tools` takes them. The hosts in it are
            for single commands: a process that stays reaches no host.
        processes: how many there may be, and for how long.
        around: what they see besides the workspace (`mainspring.tools.surroundings`).

    Raises:
        DeclarationError: a setting is unknown or has no fitting value.
    """
    from mainspring.tools.limits import SandboxSettings
    from mainspring.tools.shells.calls import Processes
    from mainspring.tools.surroundings import nothing

    folder = None if workspace is None else Path(workspace).expanduser().absolute()
    return Processes(
        folder, limits, SandboxSettings.read(sandbox), processes or ProcessLimits(), around or nothing
    ).tools()
