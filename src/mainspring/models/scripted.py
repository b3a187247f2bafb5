"""A model that follows a script: for tests, examples and benchmarks of everything but the model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from mainspring.errors import ModelError
from mainspring.messages import Message, ToolCallPart, Usage, assistant
from mainspring.model import Delta, ModelSettings, ToolSpec

Line: TypeAlias = "Message | str | ToolCallPart | Exception | Callable[[Sequence[Message]], Message | str]"


class ScriptedModel:
    """Answers with the lines of a script, one a call.

    A line is a Message, a text, a tool call, an exception to raise, or a function of the messages. Which line is
    next follows from the number of answers already in the conversation, so a resumed run goes on where it
    was, as a real model would. With `loop`, the script starts over when it ends.

    Raises:
        ModelError: the script has no more lines.
    """

    context_window = 1_000_000
    takes = frozenset({"image/", "application/"})

    def __init__(self, script: Iterable[Line], *, name: str = "scripted", loop: bool = False) -> None:
        self.script = list(script)
        self.name = name
        self.loop = loop
        self.calls = 0
        self._raised: set[int] = set()

    async def respond(self, messages: Sequence[Message], tools: Sequence[ToolSpec], settings: ModelSettings) -> Message:
        """The next line of the script, as an assistant's message."""
        self.calls += 1
        index = sum(1 for message in messages if message.role == "assistant") + len(self._raised)
        if index >= len(self.script) and not (self.loop and self.script):
            raise ModelError(f"the script has {len(self.script)} lines and was asked for number {index + 1}")
        line = self.script[index % len(self.script)]
        if isinstance(line, Exception):
            self._raised.add(index)
            raise line
        if callable(line):
            line = line(messages)
        if isinstance(line, str):
            line = assistant(line)
        elif isinstance(line, ToolCallPart):
            line = assistant("", line)
        if settings.on_delta is not None and line.text:
            settings.on_delta(Delta("text", line.text))
        usage = line.usage or Usage(0, 0, calls=1, usd=0.0)
        return Message("assistant", line.parts, usage=usage, model=self.name, finish=line.finish)
