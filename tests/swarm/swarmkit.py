"""What the tests of sub-agents share: models that answer from what they are told, and leads that spawn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from mainspring import Agent, Message, Run, ScriptedModel
from mainspring.messages import ToolCallPart, Usage, assistant
from mainspring.swarm import spawn_tool


class Says:
    """A model that answers with a function of its task, after a pause, and costs the same each time."""

    context_window = 1_000_000
    takes: frozenset[str] = frozenset()

    def __init__(
        self,
        answer: Callable[[str], str],
        *,
        usd: float = 0.0,
        tokens: int = 0,
        pause: Callable[[str], float] | None = None,
    ) -> None:
        self.answer, self.usd, self.tokens, self.pause = answer, usd, tokens, pause
        self.name = "says"
        self.asked: list[str] = []
        self.now = self.most = 0

    async def respond(self, messages: Sequence[Message], tools: Any, settings: Any) -> Message:
        task = next(m.text for m in messages if m.role == "user")
        self.asked.append(task)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.pause(task) if self.pause is not None else 0)
            said = assistant(self.answer(task))
        finally:
            self.now -= 1
        usage = Usage(self.tokens, 0, calls=1, usd=self.usd)
        return Message("assistant", said.parts, usage=usage, model=self.name, finish="stop")


def spawns(tasks: Sequence[Any], **more: Any) -> ToolCallPart:
    """A model's call of `spawn`."""
    return ToolCallPart("c-spawn", "spawn", {"tasks": list(tasks), **more})


def lead(tasks: Sequence[Any], worker: Agent, *, tools: Sequence[Any] = (), call: Any = None, **declared: Any) -> Agent:
    """An agent that spawns once and ends. `call` are further arguments of the call."""
    agent: dict[str, Any] = {n: declared.pop(n) for n in ("limits", "grants", "guard", "workspace") if n in declared}
    return Agent(
        "lead",
        model=ScriptedModel([spawns(tasks, **(call or {})), "done"]),
        tools=[*tools, spawn_tool([worker], **declared)],
        **agent,
    )


def answer(run: Run) -> dict[str, Any]:
    """What the one call of `spawn` gave back."""
    import json

    (done,) = [e for e in run.events() if e.kind == "effect.done" and e.payload["tool"] == "spawn"]
    text = done.payload["content"][0]["text"]
    found: dict[str, Any] = json.loads(text) if text.startswith("{") else {"said": text}
    return found


def outputs(run: Run) -> list[Any]:
    """The answers alone."""
    return [a["answer"] for a in answer(run)["answers"]]
