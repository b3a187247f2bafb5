"""Every journaled event and every piece of an answer, as it happens."""

import asyncio

from mainspring import Agent, ScriptedModel, ToolCallPart, tool


@tool(effect="read")
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


agent = Agent("sum", model=ScriptedModel([ToolCallPart("", "add", {"a": 2, "b": 3}), "It is five."]), tools=[add])


async def main() -> None:
    async for event in agent.stream("2 + 3?"):
        print(f"{event.seq or '-':>3} {event.kind:18} {str(dict(event.payload))[:90]}")


asyncio.run(main())
