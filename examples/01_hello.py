"""A question, a tool, an answer. The first run fetches the embedded model."""

import os

from mainspring import Agent, tool


@tool(effect="read")
def forecast(city: str) -> str:
    """The weather of today in a city."""
    return f"{city}: 14 degrees, light rain from three o'clock."


agent = Agent(
    "clerk",
    model=os.environ.get("MAINSPRING_MODEL", "local"),
    instructions="Answer in one short sentence.",
    tools=[forecast],
)
run = agent.run_sync("Shall I take an umbrella to Bergen?")
print(run.status, "-", run.output)
print(f"{run.steps} steps, {run.usage.tokens} tokens; the journal has {len(run.events())} events")
