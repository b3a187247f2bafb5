"""Alone or split: decided from the task's shape, with what splitting gained, and the tree of the run."""

import asyncio
import subprocess
import sys

from mainspring import Agent
from mainspring.messages import Message, TextPart, ToolCallPart, Usage
from mainspring.swarm import decide, run_sync

CITIES = ["Lima", "Oslo", "Rome", "Kyiv", "Doha", "Baku"]


class Clerk:
    """A model that takes its time: told to split, it hands out the cities; else it looks one up."""

    name = "clerk"

    async def respond(self, messages: list[Message], tools: object, settings: object) -> Message:
        await asyncio.sleep(0.3)
        part: TextPart | ToolCallPart
        if messages[-1].role == "tool":
            part = TextPart("Six cities, six answers.")
        elif "Split this task" in messages[0].text:
            part = ToolCallPart("c1", "spawn", {"tasks": [f"How high is {city}?" for city in CITIES]})
        else:
            part = TextPart("High enough.")
        return Message("assistant", (part,), usage=Usage(400, 20, calls=1, usd=0.001))


agent = Agent("clerk", model=Clerk(), instructions="Answer briefly.")
for task in ("How high is Lima?", "How high is each of my favourite cities?"):
    choice = decide(agent, task)
    print(f"{task}\n  {choice.strategy}: {choice.reason}")

listed = "How high are these?\n" + "\n".join(f"{n}. {city}" for n, city in enumerate(CITIES, 1))
run = run_sync(agent, listed)
print(f"{listed.splitlines()[0]} ...\n  {run.events()[0].payload['bounds']['cause']['strategy']['reason']}")
print(run.status, "-", run.output, flush=True)
subprocess.run([sys.executable, "-m", "mainspring", "runs", "show", run.id, "--tree"], check=True)
