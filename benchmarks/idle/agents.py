"""The declaration that the service loads: an agent whose runs sleep until a time, or look whether something came.

The model is no model, but counts how often it is asked. `clock` is replaced where time is simulated.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence

from mainspring import Agent, Message, NotYet, Usage, tool
from mainspring.messages import ToolCallPart, ToolResultPart, assistant
from mainspring.model import ModelSettings, ToolSpec

SLEEP, REPORT = "sleep until ", "report on "


class Asked:
    """A model that counts its calls; what it answers follows from the task."""

    name = "counting"
    context_window = 100_000

    def __init__(self) -> None:
        self.calls = 0

    async def respond(self, messages: Sequence[Message], tools: Sequence[ToolSpec], settings: ModelSettings) -> Message:
        """Sleep first where the task says so, else be done."""
        self.calls += 1
        usage = Usage(calls=1)
        task = next(m.text for m in messages if m.role == "user")
        slept = any(isinstance(p, ToolResultPart) for p in messages[-1].parts)
        if task.startswith(SLEEP) and not slept:
            until = float(task.removeprefix(SLEEP))
            return assistant("", ToolCallPart(f"c{next(_numbers)}", "sleep_until", {"when": until}), usage=usage)
        return assistant("done", usage=usage)


_numbers = itertools.count()
clock: list[Callable[[], float]] = [time.time]
model = Asked()


@tool(effect="read", authority=[])
def sleep_until(when: float) -> str:
    """Wait for a time."""
    if clock[0]() < when:
        raise NotYet("it is too early", wake_at=when)
    return "it is time"


idler = Agent("idler", model=model, tools=[sleep_until])
