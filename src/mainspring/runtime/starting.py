"""The first event of a run, and the run's row: for a person's task, a sub-agent's and a schedule's alike."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mainspring.agent import Agent, Limits
from mainspring.guard import Grant, Mode
from mainspring.guard.modes import choose
from mainspring.guard.people import principals
from mainspring.label import Label
from mainspring.messages import Message, encode
from mainspring.runtime.bounds import NO_BOUNDS, Bounds
from mainspring.runtime.clean import ORDERS
from mainspring.runtime.output import OutputType
from mainspring.runtime.room import check_room
from mainspring.runtime.settings import settings_of
from mainspring.runtime.turns import Turn, take_turn
from mainspring.store import Appended, Changes, Lease, NewEvent, Store
from mainspring.tool import Tool


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegated:
    """What a run that another one starts brings along instead of a user's own words.

    Args:
        label: of the task's text; the sub-agent's context begins with it. It gives no grants.
        grants: the rights that it gets; they were taken out of its creator's.
        values: name -> ``{"data": ..., "labels": {path: encoded label}}``, its first handles, ``v1`` and so on.
        principals: for whom it acts, down to itself.
        mode: the weakest way in which it may be guarded.
    """

    label: Label
    grants: Sequence[Grant] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    principals: tuple[str, ...] = ()
    mode: Mode | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Everything that a new run begins with.

    Args:
        by: the person on whose behalf it acts.
        bounds: what it may not go beyond.
        grants: instead of the agent's own and of those made of the user's words; None leaves it at these.
        delegated: set when no person wrote the task.
        priority: higher ones are taken up first by workers.
        queue: the name of the workers that take it up; "" for any.
    """

    agent: Agent
    messages: Sequence[Message]
    limits: Limits
    workspace: Path | None = None
    run_id: str | None = None
    by: str = "user"
    bounds: Bounds = NO_BOUNDS
    grants: Sequence[Grant] | None = None
    delegated: Delegated | None = None
    priority: int = 0
    queue: str = ""


#: From what lets a run do most to what lets it do least.
_STRICTNESS: tuple[Mode, ...] = ("plain", "contained", "tainted", "clean")


def create(store: Store, start: Start) -> tuple[Lease, Appended]:
    """Begin a run and own it; its first event is on its way to the disk."""
    payload, label = _first_event(store, start)
    version = 2 if "bounds" in payload else 1  # a Mainspring that knows no bounds must not execute it
    event = NewEvent("run.started", payload, label, version)
    text = "\n".join(m.text for m in start.messages if m.role == "user")
    return store.create(
        start.run_id or new_run_id(),
        [event],
        agent=start.agent.name,
        task=text[:500],
        parent=start.bounds.parent,
        priority=start.priority,
        queue=start.queue,
    )


def enqueue(store: Store, start: Start) -> str:
    """Create a run for a worker to execute, and return its id. On disk when it returns.

    Raises:
        StoreError: a run of this id exists already, or too many wait in its queue.
    """
    if start.bounds.parent is None:  # whoever has begun something must be able to finish it
        check_room(store, start.queue)
    lease, appended = create(store, start)
    appended.done.result()
    store.append(lease, [], Changes(status="waiting", wake_at=time.time(), release=True)).done.result()
    return lease.run_id


def _first_event(store: Store, start: Start) -> tuple[dict[str, Any], Label]:
    agent, workspace, delegated = start.agent, start.workspace, start.delegated
    tools = settings_of(store.home).configured(start.bounds.hold(agent.tools))
    mode, why = mode_of(start, tools)
    if delegated is None:
        turn = take_turn(start.messages, mode, 0)
    else:
        turn = Turn(list(start.messages), dict(delegated.values), "", delegated.label)
    orders = [instructions_of(agent, store.home), ORDERS if mode == "clean" and tools else ""]
    if agent.output_type is not None:
        orders.append(OutputType(agent.output_type).order())
    whom = delegated.principals if delegated is not None else principals(start.by, agent.name)
    guard: dict[str, Any] = {"mode": mode, "why": why, "principals": list(whom)}
    given = delegated.grants if delegated is not None else agent.grants if start.grants is None else start.grants
    if given is not None:
        guard["grants"] = [g.encode() for g in given]
    elif any(t.consequential for t in tools.values()):
        guard["turns"] = [turn.words]
    payload = {
        "agent": agent.describe(),
        "digest": agent.digest(),
        "origin": agent.origin,
        "system": "\n\n".join(o for o in orders if o),
        "messages": [encode(m) for m in turn.messages],
        "workspace": None if workspace is None else str(workspace),
        "limits": asdict(start.limits),
        "pid": os.getpid(),
        "guard": guard,
    }
    if start.bounds != NO_BOUNDS:
        payload["bounds"] = start.bounds.encode()
    if turn.values:
        payload["values"] = turn.values
    return payload, turn.label.join(unseen(tools))


def mode_of(start: Start, tools: Mapping[str, Tool]) -> tuple[Mode, str]:
    """How a run with these tools will be guarded, and why."""
    agent = start.agent
    if agent.guard == "auto":
        mode, why = choose(tools.values(), agent.capable(), start.workspace is not None)
    else:
        mode, why = agent.guard, "as declared"  # type: ignore[assignment]
    floor = None if start.delegated is None else start.delegated.mode
    if floor is not None and _STRICTNESS.index(mode) < _STRICTNESS.index(floor) and mode != "plain":
        return floor, f"the run that started it is guarded so ({floor})"
    return mode, why


def unseen(tools: Mapping[str, Tool]) -> Label:
    """What servers say of their tools stands in the prompt: until a person has looked, it is a stranger's word."""
    return Label(frozenset(f"mcp:{t.server}" for t in tools.values() if t.unseen))


def instructions_of(agent: Agent, home: Path) -> str:
    """The agent's standing orders. A file's are used only as a person approved them: whatever can write files could
    write them otherwise.

    Raises:
        DeclarationError: the file is missing, or not as it was approved; with the difference.
    """
    if isinstance(agent.instructions, str):
        return agent.instructions
    from mainspring.guard.pins import Pins, read_instructions

    return read_instructions(agent.instructions, Pins(home)).text


def new_run_id() -> str:
    """A run id that sorts by time: date, time, and 40 random bits."""
    return time.strftime("%Y%m%d-%H%M%S-", time.gmtime()) + secrets.token_hex(5)
