"""The one question that the runtime asks of the guard, and its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from mainspring.label import Label
from mainspring.tool import Effect

Outcome: TypeAlias = Literal["allow", "ask", "deny"]


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a call may go ahead, and why."""

    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call as the guard sees it.

    Args:
        tool: its name.
        effect: what it may do.
        undoable: it stays in the workspace and can be undone, or in a sandbox without network.
        authority: the arguments that carry authority.
        arguments: checked values as JSON.
        label: label of the arguments.
    """

    tool: str
    effect: Effect
    undoable: bool
    authority: tuple[str, ...]
    arguments: Mapping[str, Any]
    label: Label


@dataclass(frozen=True, slots=True)
class CallContext:
    """Where the call comes from.

    Args:
        run_id, agent, step: which run, whose, at which model call.
        label: label of everything the model has seen so far.
    """

    run_id: str
    agent: str
    step: int
    label: Label
