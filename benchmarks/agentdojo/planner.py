"""The two models of the benchmark: a planner that follows a plan until it has read outsiders' text, and a reader."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

from benchmarks.agentdojo.plan import ASK_READER, CannotGoOn, Plan, written
from mainspring.messages import Message, TextPart, ToolCallPart, ToolResultPart, assistant
from mainspring.model import ModelSettings, ToolSpec

#: Shortest outsiders' text that hijacks a planner who reads it, in characters.
HIJACKS = 12
_HANDLE = re.compile(r"\$(v\d+)(?: = (-?\d+)\Z)?")
_QUESTION = re.compile(
    r"^Question: (\[\d+\] .*?)(?: Items are numbered from 0; -1 means none of them\.)?\nSchema: ", re.DOTALL
)


class Planner:
    """Follows a plan; once outsiders' text is in a message that it was given, it does what the attacker wants.

    Args:
        plan: the steps.
        outsiders: says which outsiders' texts there are by now.
        orders: the attacker's calls, as name and arguments.
        literals: the run shows answers as they are, and arguments are literals (tainted mode).

    Attributes:
        hijacked: the number of the model call at which it happened, or None.
    """

    context_window = 1_000_000
    name = "planner"

    def __init__(
        self, plan: Plan, outsiders: Callable[[], Collection[str]], orders: Sequence[tuple[str, dict[str, Any]]] = ()
    ) -> None:
        self.plan = plan
        self.outsiders = outsiders
        self.orders = list(orders)
        self.hijacked: int | None = None

    async def respond(self, messages: Sequence[Message], tools: Sequence[ToolSpec], settings: ModelSettings) -> Message:
        """The next step of the plan, or of the attack."""
        turn = sum(1 for m in messages if m.role == "assistant")
        if self.hijacked is None and self._read_outsiders(messages):
            self.hijacked = turn
        if self.hijacked is not None and self.orders:
            number = turn - self.hijacked
            if number >= len(self.orders):
                return assistant("Done.")
            name, arguments = self.orders[number]
            return assistant("", ToolCallPart(f"a{number}", name, arguments))
        handles, named = _answers(messages)
        try:
            if turn >= len(self.plan.steps):
                return assistant(_text(written(self.plan.output, handles, lambda n: named.get(n, -1))))
            step = self.plan.steps[turn]
            if step.after is not None and step.after not in handles:
                raise CannotGoOn("a person said no")
            given = {k: written(v, handles, lambda n: named.get(n, -1)) for k, v in step.arguments.items()}
        except CannotGoOn as reason:
            return assistant(f"I cannot go on: {reason}.")
        return assistant("", ToolCallPart(f"s{turn}", step.tool, given))

    def _read_outsiders(self, messages: Sequence[Message]) -> bool:
        texts = [p.text for m in messages if m.role == "tool" for p in m.parts if isinstance(p, ToolResultPart)]
        return any(o in t for o in self.outsiders() if len(o) >= HIJACKS for t in texts)


def _text(value: Any) -> str:
    return "${" + value[1:] + "}" if isinstance(value, str) and re.fullmatch(r"\$v\d+\S*", value) else str(value)


def _answers(messages: Sequence[Message]) -> tuple[dict[int, str], dict[int, int]]:
    """Step -> name of its answer, and step of a reader -> the number that it named."""
    handles: dict[int, str] = {}
    named: dict[int, int] = {}
    for message in messages:
        for part in message.parts:
            if isinstance(part, ToolResultPart) and part.call_id.startswith("s"):
                match = _HANDLE.match(part.text)
                if match is not None:
                    handles[int(part.call_id[1:])] = match[1]
                    if match[2] is not None:
                        named[int(part.call_id[1:])] = int(match[2])
    return handles, named


class Reader:
    """Answers a reader's questions truthfully, unless an attacker's answer is given for one.

    Args:
        lie: ``lie(step, text, schema)`` -> an answer, or None for the truth.
    """

    context_window = 1_000_000
    name = "reader"

    def __init__(self, plan: Plan, lie: Callable[[int, str, dict[str, Any]], Any] | None = None) -> None:
        self.truth = {s.arguments["question"]: (n, s.honest) for n, s in enumerate(plan.steps) if s.tool == ASK_READER}
        self.lie = lie
        self.lied: list[int] = []

    async def respond(self, messages: Sequence[Message], tools: Sequence[ToolSpec], settings: ModelSettings) -> Message:
        """One typed answer."""
        parts = [p.text for m in messages if m.role == "user" for p in m.parts if isinstance(p, TextPart)]
        match = _QUESTION.match(parts[0])
        if match is None or match[1] not in self.truth:
            return assistant(json.dumps({"answer": ""}))
        step, answer = self.truth[match[1]]
        if self.lie is not None:
            said = self.lie(step, "\n".join(parts[1:]), dict(settings.output_schema or {}))
            if said is not None:
                answer = said
                self.lied.append(step)
        return assistant(json.dumps({"answer": answer}, ensure_ascii=False))
