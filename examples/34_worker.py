"""Runs are put into the journal, and a worker executes them: several at once, until nothing is left."""

import asyncio

from mainspring import Agent, ScriptedModel, ToolCallPart, tool
from mainspring.fleet import Worker
from mainspring.store import open_store


@tool(effect="read", authority=[])
async def look_up(order: str) -> str:
    """What is known of an order."""
    await asyncio.sleep(0.1)
    return f"order {order} is on its way"


script = [ToolCallPart("", "look_up", {"order": "17"}), "It is on its way."]
clerk = Agent("clerk", model=ScriptedModel(script), tools=[look_up])

runs = [clerk.enqueue(f"Where is order {number}?") for number in range(20)]
runs.append(clerk.enqueue("Where is my order? It is urgent.", priority=1))
print(len(runs), "runs wait; the first is", runs[0].status)

# In another process, on this machine or another: mainspring worker --agent FILE
worker = Worker(open_store(), [clerk], concurrency=8)
asyncio.run(worker.run(until_idle=True))

print("done:", sum(run.status == "done" for run in runs), "-", runs[-1].output)
