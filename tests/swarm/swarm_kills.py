"""Run a swarm in a process that is killed at its n-th passing of a named point; print what its journal says.

python swarm_kills.py HOME POINT NUMBER     runs until it is killed (NUMBER 0: never)
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from mainspring import Agent, Run, ScriptedModel, points
from mainspring.errors import RunNotFoundError
from mainspring.messages import Message, ToolCallPart, Usage, assistant
from mainspring.store import open_store
from mainspring.swarm import spawn_tool


class Counted:
    """Answers with its task, and writes down how often it was paid for which."""

    name = "counted"

    def __init__(self, paid: Path) -> None:
        self.paid = paid

    async def respond(self, messages: list[Message], tools: object, settings: object) -> Message:
        task = next(m.text for m in messages if m.role == "user")
        with self.paid.open("a") as out:
            out.write(task + "\n")
            out.flush()
            os.fsync(out.fileno())
        return Message("assistant", assistant(task.upper()).parts, usage=Usage(1, 1, calls=1, usd=1.0))


def main(home: Path, point: str, number: int) -> None:
    seen = 0

    def hook(name: str) -> None:
        nonlocal seen
        if name == point:
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

    points.hook = hook
    worker = Agent("worker", model=Counted(home.parent / "paid"))
    tasks = [f"t{n}" for n in range(6)]
    script = [ToolCallPart("c", "spawn", {"tasks": tasks}), "done"]
    agent = Agent("lead", model=ScriptedModel(script), tools=[spawn_tool([worker], concurrency=3, duplicates=False)])
    try:
        run = Run.load("r", home=home)
        run.resume_sync(agent)
    except RunNotFoundError:
        run = agent.run_sync("go", home=home, run_id="r")
    (done,) = [e for e in run.events() if e.kind == "effect.done"]
    store = open_store(home)
    children = {r.id: r.status for r in store.children("r")}
    for run_id in ("r", *children):
        store.verify(run_id)
    print(json.dumps({
        "status": run.status,
        "answers": [a["answer"] for a in json.loads(done.payload["content"][0]["text"])["answers"]],
        "children": children,
        "usd": run.usage.usd,
    }))  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
