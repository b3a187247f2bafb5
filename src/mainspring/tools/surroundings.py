"""What a command sees besides its workspace, told by whoever knows where the workspace came from."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from mainspring.tool import ToolContext

if TYPE_CHECKING:
    from mainspring.tools.network import Loopback


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a sandbox shows besides the workspace.

    Args:
        python: the interpreter that ``python`` means; None for the workspace's own, else ours.
        read_only: folders that commands may read, at the same path.
    """

    python: Path | None = None
    read_only: tuple[Path, ...] = ()


Around: TypeAlias = Callable[[ToolContext], Surroundings]


def loopback(context: ToolContext) -> Loopback | None:
    """The network of the processes that this run started, so that a command reaches their ports; None without one."""
    shells = sys.modules.get("mainspring.tools.shells.registry")  # not loaded: none was ever started
    return None if shells is None else shells.loopback_of(context.run_id, context.home)


def nothing(context: ToolContext) -> Surroundings:
    """A workspace that stands for itself."""
    return Surroundings()
