"""The one question that the runtime asks of the guard, and its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from mainspring.guard.grants import Grant
from mainspring.label import SYSTEM, Label
from mainspring.tool import Effect, Role

Outcome: TypeAlias = Literal["allow", "ask", "deny"]
#: How a run is guarded, see `mainspring.guard.modes`.
Mode: TypeAlias = Literal["plain", "contained", "clean", "tainted"]
MODES: tuple[Mode, ...] = ("plain", "contained", "clean", "tainted")


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a call.

    Args:
        value: what would be passed, with every handle resolved.
        label: who may have written it, and who may read it.
        role: what it decides.
        origin: where it came from, for a person: ``"v3[0].sender"``, ``"written by the model"``.
        whole: True when it is one value as somebody wrote it, and not joined from several.
    """

    value: Any
    label: Label
    role: Role = "authority"
    origin: str = ""
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call as the guard sees it.

    Args:
        tool: its name.
        effect: what it may do.
        undoable: it stays in the workspace and can be undone, or in a sandbox without network.
        outside: it tells somebody outside what it is passed.
        arguments: by name, resolved and labelled.
        server: the MCP server that the tool belongs to, or "".
        defaults: what the tool's arguments are where the call leaves them out.
    """

    tool: str
    effect: Effect
    undoable: bool
    outside: bool
    arguments: Mapping[str, Argument]
    server: str = ""
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def consequential(self) -> bool:
        """True when it needs authority: it cannot be undone here, or tells somebody outside something."""
        return self.outside or not (self.effect == "read" or (self.effect == "write" and self.undoable))

    @property
    def values(self) -> dict[str, Any]:
        """The arguments without labels."""
        return {name: argument.value for name, argument in self.arguments.items()}


@dataclass(frozen=True, slots=True)
class CallContext:
    """Where the call comes from.

    Args:
        run_id, agent, step: which run, whose, at which model call.
        label: label of everything that the calling model has seen so far.
        mode: how the run is guarded.
        principals: for whom the run acts, and who acts: people first, the agent itself last.
        grants: rights that the run holds.
        used: grant id -> calls that it has covered so far.
        revoked: names of principals and ids of grants that were taken back.
        now: Unix time in seconds.
    """

    run_id: str
    agent: str
    step: int
    label: Label = SYSTEM
    mode: Mode = "plain"
    principals: tuple[str, ...] = ()
    grants: tuple[Grant, ...] = ()
    used: Mapping[str, int] = field(default_factory=dict)
    revoked: frozenset[str] = frozenset()
    now: float = 0.0


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a call may go ahead, and why.

    Args:
        reason: for a person and for the journal; it quotes no argument's value.
        grant: the grant that covers the call and is used up by one, or "".
        policy: names of the rules that decided.
        people: how many different people must say yes, when it asks.
        approvers: who may say yes; empty means any person.
    """

    outcome: Outcome
    reason: str
    grant: str = ""
    policy: tuple[str, ...] = ()
    people: int = 1
    approvers: tuple[str, ...] = ()
