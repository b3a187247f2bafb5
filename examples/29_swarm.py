"""Sub-agents: runs that a run starts, with a part of its rights and its budget. A crash repeats none that has ended."""

import asyncio

from mainspring import Agent, Message, Run, ScriptedModel, ToolCallPart, tool
from mainspring.swarm import run_tasks, spawn_tool

PEOPLE = {"Oslo": 717_710, "Bergen": 291_940, "Trondheim": 214_565}


@tool(effect="read", authority=[])
def population(city: str) -> int:
    """How many people live there."""
    return PEOPLE[city]


# Yours would be model="openai:..." or "local"; these play their lines, so that the example runs anywhere.
def look_up(messages):
    return Message("assistant", (ToolCallPart("", "population", {"city": messages[-1].text.split()[-1]}),))


def say(messages):
    return f"{messages[-1].parts[0].text} people"


worker = Agent("worker", model=ScriptedModel([look_up, say]), tools=[population])
tasks = [f"How many people live in {city}" for city in PEOPLE]
lead = Agent(
    "lead",
    model=ScriptedModel([ToolCallPart("", "spawn", {"tasks": tasks}), "Oslo is the largest."]),
    tools=[population, spawn_tool([worker])],  # a sub-agent's tools are at most its creator's
    limits={"usd": 1.0},  # for all of them together
)

run = lead.run_sync("Which city is the largest?")
print(run.status, "-", run.output)
for child in sorted(Run.list(limit=10), key=lambda r: r.id):
    if child.state.bounds.parent == run.id:
        print(f"  {child.id.removeprefix(run.id)} {child.task}: {child.output}")

# The same from a program that has no run of its own. With `run_id` it goes on where it was, after a crash as well.
asked = []


def guess(messages):
    asked.append(messages)
    return ["Oslo", "Bergen", "Oslo", " oslo"][len(asked) - 1]


async def vote():
    guesser = Agent("guesser", model=ScriptedModel([guess]))
    return await run_tasks(guesser, ["Which city is the largest?"] * 4, join="vote", run_id="the-vote")


found = asyncio.run(vote())
print(f"vote: {found.answers[0].output}, {found.votes} of {found.of}")
calls = len(asked)
asyncio.run(vote())
print("model calls the second time:", len(asked) - calls)
