"""The process is killed right after a payment. The run goes on, and nothing is paid twice."""

import os
import signal
import sys
from pathlib import Path

from mainspring import Agent, Policy, Run, ScriptedModel, ToolCallPart, tool
from mainspring.store import default_home

BANK = Path(os.environ.get("BANK", default_home() / "example-bank.txt"))


@tool(effect="irreversible", authority=["to"], idempotency="key")
def pay(to: str, key: str) -> str:
    """A bank that honours keys."""
    BANK.parent.mkdir(parents=True, exist_ok=True)
    entries = BANK.read_text().splitlines() if BANK.exists() else []
    if f"{key} {to}" not in entries:
        with BANK.open("a") as bank:
            bank.write(f"{key} {to}\n")
    if len(sys.argv) > 1:
        os.kill(os.getpid(), signal.SIGKILL)  # the power fails before the answer is on disk
    return f"paid {to}"


script = [ToolCallPart("", "pay", {"to": "bob"}), "Bob is paid."]
agent = Agent("clerk", model=ScriptedModel(script), tools=[pay], policy=Policy(allow=["pay"]))

if len(sys.argv) > 1:
    agent.run_sync("Pay Bob.", run_id=sys.argv[1])
else:
    run_id = f"crash-{os.getpid()}"
    child = os.spawnv(os.P_WAIT, sys.executable, [sys.executable, __file__, run_id])
    run = Run.load(run_id)
    print(f"the first process ended with signal {-child}; the run is {run.status}")
    run.resume_sync()
    print(run.status, "-", run.output)
    key = next(e.payload["key"] for e in run.events() if e.kind == "effect.intended")
    print("payments under this key:", sum(line.startswith(key) for line in BANK.read_text().splitlines()))
