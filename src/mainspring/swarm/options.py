"""What a declaration says of its sub-agents, and what one call asks for."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from mainspring.agent import Agent
from mainspring.errors import DeclarationError
from mainspring.runtime.journal import RunEvent
from mainspring.runtime.run import Run

#: When a call is satisfied; see `Options.join`.
Join: TypeAlias = Literal["all", "first", "k", "verified", "vote"]
JOINS: tuple[Join, ...] = ("all", "first", "k", "verified", "vote")
#: ``check(answer, run) -> str | None``, sync or async: a complaint means that the answer does not count.
Check: TypeAlias = Callable[[Any, Run], "str | Awaitable[str | None] | None"]
#: Called with a sub-agent's run id and each of its events, from the event loop.
ChildWatcher: TypeAlias = Callable[[str, RunEvent], None]

#: Longest task and longest input of one sub-agent, in characters.
MAX_TASK_CHARS = 2_000_000
#: Most times that one part is begun, duplicates included.
MAX_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Subtask:
    """One part of the work, for one sub-agent.

    Args:
        task: what it is to do.
        agent: which of the declared agents does it; "" for the first.
        inputs: name -> value that it works on, kept apart from the task's words; a program may pass labelled `Value`s.
        workspace: a folder within the creator's, or "" for the creator's own, or "none".
        tools: the only ones of the agent's tools that it gets; None means all of them.
        grants: rights of the creator that it gets: ``{"tool": name, "count": n, "arguments": {...}}``; they are taken
            out of the creator's.
        priority: higher ones begin first.
    """

    task: str
    agent: str = ""
    inputs: dict[str, Any] = field(default_factory=dict)
    workspace: str = ""
    tools: list[str] | None = None
    grants: list[dict[str, Any]] = field(default_factory=list)
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What holds for every call of one declaration.

    Args:
        agents: who may be started; empty means the creator's own declaration.
        join: how a call ends when it does not say: ``"all"`` have ended, the ``"first"`` good answer, ``"k"`` good
            ones, ``"verified"`` (the first that `check` accepts), or ``"vote"`` (the most frequent answer, as soon as
            no other can overtake it).
        k: for ``"k"``, how many.
        check: says what is wrong with an answer, or None; answers that it complains of are not good ones.
        children: most sub-agents below one run, at all depths together.
        depth: most runs that stand above a sub-agent.
        concurrency: most that work at the same time.
        timeout_s: wall seconds after which a sub-agent is cancelled; None means never.
        retries: how often a part that failed is begun again, if its agent can change nothing.
        duplicates: whether a part that takes three times as long as the others gets a second sub-agent, if it can
            change nothing; the first answer counts.
        board: whether siblings may leave notes for each other with `post_note` and `read_board`.
        call_usd: the most that one model call of a sub-agent can cost. Where it is known, all of them together never
            pass the creator's limit; else each may pass its share by one call, as any run may.
        queue: which workers take them up, where workers do.
    """

    agents: tuple[Agent, ...] = ()
    join: Join = "all"
    k: int = 1
    check: Check | None = None
    children: int = 1_000
    depth: int = 3
    concurrency: int = 100
    timeout_s: float | None = None
    retries: int = 0
    duplicates: bool = True
    board: bool = False
    call_usd: float | None = None
    queue: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.agents, Agent) or not all(isinstance(a, Agent) for a in self.agents):
            raise DeclarationError(f"agents is a list of agents, not {self.agents!r}")
        names = [a.name for a in self.agents]
        if len(set(names)) != len(names):
            raise DeclarationError(f"two of the sub-agents have one name: {sorted(names)}; rename one")
        if self.join not in JOINS:
            raise DeclarationError(f"join {self.join!r} is unknown; use one of {JOINS}")
        for name, most in (("k", 1_000), ("children", 100_000), ("depth", 20), ("concurrency", 1_000)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
                raise DeclarationError(f"{name} is a whole number from 1 to {most:,}, not {value!r}")
        if isinstance(self.retries, bool) or not isinstance(self.retries, int) or not 0 <= self.retries <= 3:
            raise DeclarationError(f"retries is a whole number from 0 to 3, not {self.retries!r}")
        for name in ("timeout_s", "call_usd"):
            value = getattr(self, name)
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf
            ):
                raise DeclarationError(f"{name} is a positive number or None, not {value!r}")
        if self.check is not None and not callable(self.check):
            raise DeclarationError(f"check is a function of the answer and its run, not {self.check!r}")
        if self.join == "verified" and self.check is None:
            raise DeclarationError("join='verified' needs check=..., a function that says what is wrong with an answer")

    @property
    def attempts(self) -> int:
        """Most times that one part is begun."""
        return min(MAX_ATTEMPTS, 1 + self.retries + self.duplicates)


def options_of(agents: Sequence[Agent], declared: Mapping[str, Any]) -> Options:
    """Options from a declaration's words; raises DeclarationError."""
    if isinstance(agents, Agent):
        agents = (agents,)
    try:
        return Options(agents=tuple(agents), **declared)
    except TypeError as error:
        raise DeclarationError(f"not a declaration of sub-agents: {error}") from None
