"""Runs with sub-agents for the tests, started as a spawning tool starts them; scripted models, a real journal."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from mainspring import Agent, Run, ScriptedModel, ToolContext, tool
from mainspring.messages import Message, TextPart, ToolCallPart, Usage, user
from mainspring.runtime.bounds import Bounds
from mainspring.runtime.execution import begin
from mainspring.runtime.starting import Start
from mainspring.store import open_store
from mainspring.value import Labelled

EACH = Usage(100, 10, calls=1, usd=0.01)


def says(text: str, *calls: ToolCallPart, usage: Usage = EACH) -> Message:
    return Message("assistant", (TextPart(text), *calls), usage=usage)


class Failing:
    """A model that is not there."""

    name = "failing"

    async def respond(self, messages: object, tools: object, settings: object) -> Message:
        raise ConnectionError("no model")


def worker(index: int, failing: frozenset[int] = frozenset()) -> Agent:
    model: Any = Failing() if index in failing else ScriptedModel([says(f"part {index} is done")])
    return Agent("worker", model=model, model_retries=1, limits={"steps": 5})


def parent(home: Path, count: int, failing: frozenset[int] = frozenset(), *, splits: int = 1) -> Agent:
    """An agent that starts `count` sub-agents in each of `splits` calls, and whose tool says what they spent."""

    @tool(effect="read", authority=[])
    async def split(round: int, context: ToolContext) -> Labelled:
        store = open_store(home)
        intent = next(
            e.seq
            for e in store.events(context.run_id)
            if e.kind == "effect.intended" and e.payload["key"] == context.key
        )

        async def child(index: int) -> Run:
            agent = worker(index, failing)
            bounds = Bounds(cause={"run": context.run_id, "intent": intent, "index": index}, depth=1)
            start = Start(
                agent=agent,
                messages=[user(f"part {index} of round {round}")],
                limits=agent.limits,
                run_id=f"{context.run_id}.{intent}.{index}",
                bounds=bounds,
            )
            return await begin(store, start, None)

        done = await asyncio.gather(*(child(i) for i in range(count)))
        spent = Usage()
        for run in done:
            spent += run.usage
        return Labelled(f"{count} parts are done", {}, spent)

    calls = [says("", ToolCallPart(f"c{n}", "split", {"round": n})) for n in range(splits)]
    return Agent("parent", model=ScriptedModel([*calls, says("all is done")]), tools=[split])
