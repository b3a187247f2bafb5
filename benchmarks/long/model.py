"""The scripted model: it knows only what its context holds, and looks a thing up when it is offered a way to."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence

from benchmarks.context.worker import common_prefix, serialise
from mainspring import Message, ModelSettings, ToolCallPart, Usage
from mainspring.messages import TextPart, ToolResultPart, assistant
from mainspring.model import ToolSpec

#: How each kind of planted thing is told from the rest of a text.
PATTERNS = {
    "task": r"Fixed task gauge {} reads (\d+)\.",
    "order": r"Fixed order gauge {} reads (\d+)\.",
    "said": r"Rule {} is from now on (\d+)\.",
    "decision": r"Setting {} reads (\d+)\.",
    "told": r"Meter {} reads (\d+)\.",
}
#: Where a thing that is not in the context may be looked up.
PAGES = {"said": "people", "decision": "notes", "told": "steps", "work": "notes"}
SUMMARY = "The parts were gone through in turn; nothing unusual was seen."


class Knower:
    """Follows what the tool says, and answers questions from the text of its context alone."""

    name = "knower"

    def __init__(self, window: int, looks_up: bool = True) -> None:
        self.context_window = window
        self.looks_up = looks_up
        self.cpu_s = 0.0  # of this model itself
        self.largest = 0  # characters of the longest context
        self.calls = 0
        self.compared = self.repeated = self.compared_all = self.repeated_all = 0  # bytes of prompts
        self._last = b""
        self._messages = 0

    async def respond(self, messages: Sequence[Message], tools: Sequence[ToolSpec], settings: ModelSettings) -> Message:
        """The next call, a summary, or the last word: the open work that it knows of."""
        began = time.process_time()
        try:
            self.calls += 1
            self._compare(messages, tools)
            return self._answer(messages, {t.name for t in tools})
        finally:
            self.cpu_s += time.process_time() - began

    def _compare(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> None:
        """How much of this prompt is the beginning of the one before; a fold has a new beginning by intent."""
        prompt = serialise(messages, tools)
        if self._last:
            same = common_prefix(self._last, prompt)
            self.compared_all += len(prompt)
            self.repeated_all += same
            if len(messages) >= self._messages:
                self.compared += len(prompt)
                self.repeated += same
        self._last, self._messages = prompt, len(messages)

    def _answer(self, messages: Sequence[Message], offered: set[str]) -> Message:
        everything = sum(len(t) for t in _texts(messages))
        self.largest = max(self.largest, everything)
        if messages[-1].text.startswith("[mainspring] The conversation has become too long"):
            return assistant(SUMMARY, usage=Usage(calls=1))
        part, since = _last_part(messages)
        if part is None:  # folded: the digest of steps says where it was
            worked = re.findall(r'work\(\{"number": (\d+)\}\)', "\n".join(_texts(messages)))
            return _call("work", number=max(map(int, worked), default=1))
        done = {c.name for m in since for c in m.tool_calls}
        # What was looked up was true when it was; it answers the question that it was looked up for.
        text = "\n".join(_texts(m for m in messages if not _is_page(m) or m in since))
        looked = [r.text for m in since for r in m.parts if isinstance(r, ToolResultPart) and r.name == "read_notes"]
        note = re.search(r"^NOTE (\w+): (.*)$", part, re.MULTILINE)
        if note is not None and "note" not in done:
            return _call("note", kind=note[1], text=note[2])
        ask = re.search(r"^ASK (\w+) (\w+) (\S+)$", part, re.MULTILINE)
        if ask is not None and "answer" not in done:
            known = _known(text, ask[2], ask[3])
            page = PAGES.get(ask[2])
            if known is None and not looked and page and self.looks_up and "read_notes" in offered:
                return _call("read_notes", of=page, query=ask[3])
            if known is None and ask[2] == "work":
                known = "done"  # it was noted once, and is no open note any more
            return _call("answer", question=ask[1], text=known or "unknown")
        coming = re.search(r"^NEXT (\d+)$", part, re.MULTILINE)
        if coming is not None:
            return _call("work", number=int(coming[1]))
        if not self.looks_up or "read_notes" not in offered:
            return assistant("open: " + " ".join(sorted(_open(text))), usage=Usage(calls=1))
        if not looked or (more := re.search(r"go on with offset=(\d+)\]\Z", looked[-1])) is not None:
            offset = int(more[1]) if looked and more is not None else 0
            return _call("read_notes", of="notes", query="todo", offset=offset)
        return assistant("open: " + " ".join(sorted(_open("\n".join(looked)))), usage=Usage(calls=1))


def _known(text: str, kind: str, name: str) -> str | None:
    if kind == "work":
        found = re.findall(rf"(todo|done): Open work {re.escape(name)}:", text)
        return {"todo": "open", "done": "done"}[found[-1]] if found else None
    found = re.findall(PATTERNS[kind].format(re.escape(name)), text)
    return found[-1] if found else None


def _open(text: str) -> set[str]:
    newest = {name: state for state, name in re.findall(r"(todo|done): Open work (\S+):", text)}
    return {name for name, state in newest.items() if state == "todo"}


def _last_part(messages: Sequence[Message]) -> tuple[str | None, Sequence[Message]]:
    """What the tool said last of the work, and everything after it."""
    for index in range(len(messages) - 1, -1, -1):
        for part in messages[index].parts:
            if isinstance(part, ToolResultPart) and part.name == "work":
                return part.text, messages[index:]
    return None, ()


def _is_page(message: Message) -> bool:
    return any(isinstance(p, ToolResultPart) and p.name == "read_notes" for p in message.parts)


def _texts(messages: Iterable[Message]) -> list[str]:
    """What the context says, without the calls."""
    return [p.text for m in messages for p in m.parts if isinstance(p, TextPart | ToolResultPart)]


def _call(name: str, /, **arguments: object) -> Message:
    return assistant("", ToolCallPart("", name, arguments), usage=Usage(calls=1))
