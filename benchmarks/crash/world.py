"""The agents that are killed: a deterministic model, and one tool for each way of acting on the witness."""

from __future__ import annotations

import asyncio
import importlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.crash.plans import read_task
from benchmarks.crash.witness import Witness
from mainspring import Agent, DidNotHappen, Happened, Message, Policy, ToolContext, Unknown, tool
from mainspring.messages import ToolCallPart, Usage, assistant
from mainspring.model import ModelSettings, ToolSpec

#: Points of our own: around the act itself, where the journal cannot look.
WITNESS_POINTS = ("witness.before", "witness.after", "witness.child", "reconcile.asked")


class Place:
    """Where this process acts; set after the fork, before the agents run."""

    witness: Witness
    acks: Path
    reach: Callable[[str], None] = staticmethod(lambda name: None)


def acknowledge(line: str) -> None:
    """Note, outside the journal, something that a watcher or the model was told."""
    descriptor = os.open(Place.acks, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode() + b"\n")
    finally:
        os.close(descriptor)


class PlanModel:
    """Asks for the next step of the plan in the task, by the number of answers in the conversation."""

    name = "plan"
    context_window = 1_000_000
    takes: frozenset[str] = frozenset()

    async def respond(self, messages: Sequence[Message], tools: Sequence[ToolSpec], settings: ModelSettings) -> Message:
        """The calls of the next step, or a closing sentence."""
        for message in messages:
            for part in message.parts:
                if hasattr(part, "call_id"):
                    acknowledge(f"seen {settings.run_id} {part.call_id}")
        task = next(m.text for m in messages if m.role == "user")
        steps = read_task(task)
        index = sum(1 for m in messages if m.role == "assistant")
        await asyncio.sleep(0)
        usage = Usage(10, 10, calls=1, usd=0.0)
        if index >= len(steps):
            return assistant(f"did {len(steps)} steps", usage=usage)
        calls = [ToolCallPart(f"call_{index}_{n}", name, {"n": n}) for name, n in steps[index]]
        return assistant("", *calls, usage=usage)


def _act(kind: str, context: ToolContext, n: int, key: str) -> None:
    Place.reach("witness.before")
    Place.witness.append(kind, context.run_id, n, key)
    Place.reach("witness.after")


async def _in_child(kind: str, context: ToolContext, n: int, key: str) -> None:
    """Act through a child process that cannot outlive this one.

    The child asks the kernel to die with its parent, says so, and acts only when told to after that: if this
    process dies before the word, the child reads the end of its input; after it, the kernel kills the child.
    """
    Place.reach("witness.before")
    command = f"echo ready; read go || exit 1; {Place.witness.append_command(kind, context.run_id, n, key)}"
    child = await asyncio.create_subprocess_exec(
        *("setpriv", "--pdeathsig", "KILL", "sh", "-c", command),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    await child.stdout.readline()
    child.stdin.write(b"go\n")
    await child.stdin.drain()
    Place.reach("witness.child")
    if await child.wait() != 0:
        raise RuntimeError("the child process failed")
    Place.reach("witness.after")


@tool(effect="read")
def look(n: int, context: ToolContext) -> str:
    """Look at something."""
    _act("read", context, n, "-")
    return f"looked {n}"


@tool(effect="irreversible", idempotency="key", parallel=True)
def charge(n: int, key: str, context: ToolContext) -> str:
    """Charge a card; the service honours the key."""
    Place.reach("witness.before")
    Place.witness.charge(context.run_id, n, key)
    Place.reach("witness.after")
    return f"charged {n}"


def _ask_service(n: int, context: ToolContext) -> Happened | DidNotHappen:
    Place.reach("reconcile.asked")
    return Happened(f"booked {n}") if Place.witness.find(context.key) else DidNotHappen()


@tool(effect="irreversible", reconcile=_ask_service, parallel=True)
async def book(n: int, context: ToolContext) -> str:
    """Book a seat; the service can be asked by key whether it was booked."""
    _act("book", context, n, context.key)
    return f"booked {n}"


@tool(effect="irreversible", reconcile=_ask_service, parallel=True)
async def book_by_child(n: int, context: ToolContext) -> str:
    """Book a seat through a child process."""
    await _in_child("book", context, n, context.key)
    return f"booked {n}"


def _ticket(n: int) -> dict[str, str]:
    return {"ticket": os.urandom(8).hex()}


def _ask_ticket(n: int, context: ToolContext) -> Happened | DidNotHappen:
    Place.reach("reconcile.asked")
    assert context.prepared is not None
    found = Place.witness.find(context.prepared["ticket"])
    return Happened(f"reserved {n}") if found else DidNotHappen()


@tool(effect="irreversible", prepare=_ticket, reconcile=_ask_ticket)
def reserve(n: int, context: ToolContext) -> str:
    """Reserve a table under a ticket drawn before the intent."""
    assert context.prepared is not None
    _act("reserve", context, n, context.prepared["ticket"])
    return f"reserved {n}"


def _cannot_tell(n: int) -> Unknown:
    Place.reach("reconcile.asked")
    return Unknown("the service keeps no list")


@tool(effect="irreversible", reconcile=_cannot_tell, parallel=True)
def guess(n: int, context: ToolContext) -> str:
    """Tell a service that cannot be asked afterwards."""
    _act("guess", context, n, context.key)
    return f"told {n}"


@tool(effect="irreversible", parallel=True)
def publish(n: int, context: ToolContext) -> str:
    """Publish a post."""
    _act("publish", context, n, context.key)
    return f"published {n}"


@tool(effect="irreversible")
async def publish_by_child(n: int, context: ToolContext) -> str:
    """Publish a post through a child process."""
    await _in_child("publish", context, n, context.key)
    return f"published {n}"


TOOLS = (look, charge, book, book_by_child, reserve, guess, publish, publish_by_child)


def declare() -> dict[str, Agent]:
    """The two agents: one may act freely, the other asks a person before each effect."""
    limits = {"steps": 100}
    agents = {
        "crash-allows": Agent(
            "crash-allows", model=PlanModel(), tools=TOOLS, limits=limits, policy=Policy(allow=["*"])
        ),
        "crash-asks": Agent("crash-asks", model=PlanModel(), tools=TOOLS, limits=limits),
    }
    # All imports and validators are made before the fork, not in each worker.
    importlib.import_module("mainspring.runtime.loop")
    for item in TOOLS:
        item.validate({"n": 0})
    return agents
