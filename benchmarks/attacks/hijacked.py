"""Models that belong to the attacker from the moment at which they can read a word of theirs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from mainspring.messages import (
    FilePart,
    ImagePart,
    Message,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    Usage,
    assistant,
)
from mainspring.model import ModelSettings, ToolSpec

#: Characters of an outsider's text that must be shown in a row before a planner can follow it.
SHOWN = 12

#: An answer of the model: text, or the calls of one step as (tool, arguments).
Line: TypeAlias = "str | tuple[str, dict[str, Any]] | list[tuple[str, dict[str, Any]]]"


class Hijacked:
    """A planner that follows its script until it is shown what an outsider wrote, and the outsider's from then on.

    Which line is next follows from the messages alone, so that a resumed run goes on where it was. No sense of right
    and wrong, and no filter: the worst model that a run can have.

    Args:
        honest: what it does for its user, an answer a step.
        evil: what the outsider's text has it do instead.
        planted: every text that an outsider wrote; `SHOWN` characters of one in a row, anywhere but in the model's own
            words, hijack it: in a message, a picture, the description of a tool.
        reader: what it answers when it is asked without tools, to read or to compile grants: the attacker's choice.
    """

    clean = True
    context_window = 1_000_000
    takes = frozenset({"image/", "application/"})

    def __init__(
        self, honest: Iterable[Line], evil: Iterable[Line], planted: Iterable[str], reader: Sequence[str] = ()
    ) -> None:
        self.honest, self.evil = list(honest), list(evil)
        self.pieces = frozenset(t[n : n + SHOWN] for t in planted for n in range(max(1, len(t) - SHOWN + 1)))
        self.reader = list(reader)
        self.hijacked = False
        self.name = "hijacked"

    async def respond(self, messages: Sequence[Message], tools: Sequence[ToolSpec], settings: ModelSettings) -> Message:
        """The next line of whoever has the say."""
        if not tools:
            return said(self.reader.pop(0) if self.reader else "", "reader")
        turned = self._turned(messages, tools)
        script, began = (self.honest, 0) if turned is None else (self.evil, turned)
        at = sum(1 for m in messages[began:] if m.role == "assistant")
        return said(script[at] if at < len(script) else "That is all.", f"{len(messages)}")

    def shown(self, text: str) -> bool:
        """Whether an outsider's words stand in `text`."""
        return any(text[n : n + SHOWN] in self.pieces for n in range(max(1, len(text) - SHOWN + 1)))

    def _turned(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> int | None:
        """The first message that shows an outsider's words; 0 when a tool's description does; None when none does."""
        if any(self.shown(f"{tool.name} {tool.description} {tool.schema}") for tool in tools):
            self.hijacked = True
            return 0
        for number, message in enumerate(messages):
            if message.role != "assistant" and any(self.shown(text) for text in _texts(message.parts)):
                self.hijacked = True
                return number
        return None


class HijackedReader:
    """A model without tools that says what the text it reads wants it to say, one answer after the other."""

    def __init__(self, answers: Iterable[str]) -> None:
        self.answers = list(answers)

    async def respond(self, messages: Sequence[Message], tools: Sequence[ToolSpec], settings: ModelSettings) -> Message:
        """The attacker's answer."""
        return said(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0], "reader")


def _texts(parts: Iterable[Any]) -> Iterator[str]:
    """What a model can read in a message: a picture is read as well."""
    for part in parts:
        if isinstance(part, TextPart):
            yield part.text
        elif isinstance(part, ToolResultPart):
            yield from _texts(part.content)
        elif isinstance(part, ImagePart | FilePart):
            yield part.data.decode("latin-1")


def said(line: Line, number: str) -> Message:
    """A line as an assistant's message; `number` makes the ids of its calls."""
    calls = line if isinstance(line, list) else [line] if isinstance(line, tuple) else []
    parts = [ToolCallPart(f"c{number}-{n}", name, arguments) for n, (name, arguments) in enumerate(calls)]
    said = assistant(line if isinstance(line, str) else "", *parts)
    return Message("assistant", said.parts, usage=Usage(1, 1, calls=1, usd=0.0), model="hijacked")
