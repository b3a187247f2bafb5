"""The scripted model of the context benchmark: what it does at each step, and a record of every prompt it got."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.context import facts
from benchmarks.context.tokens import as_function
from benchmarks.context.workspace import MODULES
from mainspring import Message, ModelSettings, ToolCallPart, Usage
from mainspring.messages import TextPart, ToolResultPart, assistant
from mainspring.model import ToolSpec
from mainspring.runtime.compaction import SUMMARY_ORDER

#: Steps at which a person is asked and says no, and at which two calls are left in doubt.
ASK_AT, DOUBT_AT, LOST_AT = 40, 50, 55
SUMMARY = "The modules were read in turn, small edits were made and the tests of each were run; they pass so far."


@dataclass(slots=True)
class Record:
    """What is known of the prompts so far. Sizes are in bytes of the prompt as a provider receives it."""

    calls: int = 0
    compared: int = 0
    repeated: int = 0
    previous: int = 0
    compared_all: int = 0
    repeated_all: int = 0
    compared_summary: int = 0
    repeated_summary: int = 0
    summaries: int = 0
    compactions: int = 0
    smallest_reuse: float = 1.0
    largest_prompt: int = 0
    forgotten: set[str] = field(default_factory=set)
    known: list[str] = field(default_factory=list)
    after_compaction: bool = False
    last_prompt: bytes = b""
    last_text: str = ""
    tools: Sequence[ToolSpec] = ()

    def compacted(self) -> None:
        """The context was just rewritten: the next call has a new prefix by intent."""
        self.compactions += 1
        self.after_compaction = True

    def take(self, messages: Sequence[Message], tools: Sequence[ToolSpec], *, summary: bool) -> None:
        """Compare one prompt with the one before."""
        prompt = serialise(messages, tools)
        same = common_prefix(self.last_prompt, prompt)
        if self.last_prompt:
            self.compared_all += len(prompt)
            self.repeated_all += same
            if summary:
                self.compared_summary += len(prompt)
                self.repeated_summary += same
            elif not self.after_compaction:
                self.compared += len(prompt)
                self.repeated += same
                self.previous += len(self.last_prompt)
                self.smallest_reuse = min(self.smallest_reuse, same / len(self.last_prompt))
        self.last_prompt = prompt
        self.largest_prompt = max(self.largest_prompt, len(prompt))
        if summary:
            self.summaries += 1
            return
        self.calls += 1
        self.after_compaction = False
        self.tools = tools
        self.last_text = plain_text(messages)
        self.forgotten.update(facts.missing(self.known, self.last_text))


class Worker:
    """A model that follows a fixed plan for `steps` steps."""

    name = "scripted"
    context_window = 128_000

    def __init__(self, steps: int, arguments: Callable[[str, int], dict[str, Any]]) -> None:
        self.steps = steps
        self.step = 0
        self.record = Record()
        self._arguments = arguments

    async def respond(self, messages: Sequence[Message], tools: Sequence[ToolSpec], settings: ModelSettings) -> Message:
        """The next call of the plan, a summary when one is asked for, or the last word."""
        summary = messages[-1].text.endswith(SUMMARY_ORDER)
        self.record.take(messages, tools, summary=summary)
        if summary:
            return assistant(SUMMARY, usage=Usage(calls=1))
        self.step += 1
        if self.step >= self.steps:
            return assistant("All modules were looked at; the tests pass.", usage=Usage(calls=1))
        name, arguments, words = self._plan(self.step)
        call = ToolCallPart(f"call-{self.step}", name, arguments)
        return assistant(words, call, usage=Usage(calls=1))

    def _plan(self, step: int) -> tuple[str, dict[str, Any], str]:
        if step in facts.DECISIONS:
            self.record.known.append(facts.DECISIONS[step])
            return "note", {"kind": "decision", "text": facts.DECISIONS[step]}, ""
        if step in facts.TODOS:
            self.record.known.append(facts.TODOS[step])
            return "note", {"kind": "todo", "text": facts.TODOS[step]}, ""
        if step == ASK_AT:
            return "publish", {"branch": "autumn-7c"}, "Everything so far is ready to be published."
        if step == DOUBT_AT:
            return "order_parcel", {"order": "T-90217"}, "The parcel can be ordered now."
        if step == LOST_AT:
            return "call_supplier", {"order": "T-90217"}, "The supplier should know."
        turn = ("search_codebase", "read_file", "edit_file", "execute_tests", "read_file", "run_terminal_command")
        name = turn[step % len(turn)]
        module = (step * 7) % MODULES
        return name, self._arguments(name, module), f"Step {step}: module_{module:02d} is next."


def serialise(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> bytes:
    """A prompt as a provider receives it: the tools first, as their caches have it, then the messages."""
    lines = [json.dumps([as_function(spec) for spec in tools])]
    lines += [json.dumps(_as_provider(message), ensure_ascii=False) for message in messages]
    return "\n".join(lines).encode()


def common_prefix(first: bytes, second: bytes) -> int:
    """Length of the longest common prefix."""
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def plain_text(messages: Sequence[Message]) -> str:
    """All that the messages say: text, results and the arguments of calls."""
    texts: list[str] = []
    for message in messages:
        for part in message.parts:
            if isinstance(part, TextPart | ToolResultPart):
                texts.append(part.text)
            elif isinstance(part, ToolCallPart):
                texts.append(json.dumps(dict(part.arguments), ensure_ascii=False))
    return "\n".join(texts)


def _as_provider(message: Message) -> dict[str, Any]:
    value: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.tool_calls:
        value["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": json.dumps(dict(c.arguments))}}
            for c in message.tool_calls
        ]
    results = [p for p in message.parts if isinstance(p, ToolResultPart)]
    if results:
        value["content"] = [{"tool_call_id": r.call_id, "content": r.text} for r in results]
    return value
