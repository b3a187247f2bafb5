"""A text that is too long for one context: each piece is read by a sub-agent, and the answers are put together."""

import asyncio
import re

from mainspring import Agent, ScriptedModel
from mainspring.swarm import map_reduce

log = "\n".join(f"day {n}: {'the pump failed' if n % 17 == 0 else 'nothing to report'}" for n in range(1, 400))


# Yours would be model="openai:..." or "local"; this one plays its lines, so that the example runs anywhere.
def read(messages):
    text = messages[-1].text
    days = re.findall(r"day (\d+): the pump failed", text) or re.findall(r"\d+(?=[,.])", text)
    return ", ".join(days) + "." if days else "none."


reader = Agent("reader", model=ScriptedModel([read]))
found = asyncio.run(
    map_reduce(
        reader,
        log,
        map="On which days did the pump fail?",
        reduce="Put these lists of days together, in order.",
        chunk=400,  # tokens of one piece
        budget=40,  # tokens that one sub-agent puts together, so that this takes several rounds
    )
)
print("failed on days", found.outputs[0])
print("sub-agents:", found.usage.calls)
print("who may have written that:", sorted(found.answers[0].label.strangers))
