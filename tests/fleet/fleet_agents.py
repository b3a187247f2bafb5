"""Agents for the tests of workers: scripted models, and effects that are counted in files."""

import os
import time
from pathlib import Path

from mainspring import Agent, Policy, ScriptedModel, ToolCallPart, tool

FOLDER = Path(os.environ.get("FLEET_EFFECTS", "."))


def _note(name: str, text: str) -> None:
    descriptor = os.open(FOLDER / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, f"{text}\n".encode())
    os.close(descriptor)


@tool(effect="irreversible", authority=["to"], idempotency="key")
def pay(to: str, key: str) -> str:
    """Pay somebody, at a bank that honours keys."""
    try:  # the target's own record of keys, made in one step
        os.close(os.open(FOLDER / f"paid-{key}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return f"paid {to} before"
    _note("ledger", f"{to} {key}")
    return f"paid {to}"


@tool(effect="read", authority=[])
def look() -> str:
    """Look, for a moment."""
    time.sleep(float(os.environ.get("FLEET_LOOK_S", "0.02")))
    return "seen"


@tool(effect="read", authority=[])
def dawdle() -> str:
    """Take a while, until somebody says that it is enough."""
    _note("dawdling", "begun")
    until = time.monotonic() + 30
    while not (FOLDER / "enough").exists() and time.monotonic() < until:
        time.sleep(0.02)
    _note("dawdled", "once")
    return "dawdled"


@tool(effect="read", authority=[])
def die() -> str:
    """Kill the process that executes it."""
    os._exit(9)


def steps(*names: str) -> list[ToolCallPart | str]:
    """A script: these tools in turn, and then done."""
    return [ToolCallPart("", n, {"to": f"bob-{i}"} if n == "pay" else {}) for i, n in enumerate(names)] + ["done"]


_POLICY = Policy(allow=["pay"])
clerk = Agent("clerk", model=ScriptedModel(steps("look", "pay", "look", "pay")), tools=[look, pay], policy=_POLICY)
reader = Agent("reader", model=ScriptedModel(["read"]))
dawdler = Agent(
    "dawdler", model=ScriptedModel(steps("pay", "dawdle", "pay")), tools=[dawdle, pay, look], policy=_POLICY
)
