"""What a command sees besides its workspace, told by whoever knows where the workspace came from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from mainspring.tool import ToolContext


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


def nothing(context: ToolContext) -> Surroundings:
    """A workspace that stands for itself."""
    return Surroundings()
