"""How fast a provider is asked: limits from ``[rates]``, pauses that it asks for, and who goes first.

There is one gate for each section of ``[rates]`` and for each other model, shared by all runs of the process. See
docs/rates.md.
"""

from __future__ import annotations

import re
import threading
import weakref
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from mainspring.config.sections import RateSettings
from mainspring.errors import ModelError
from mainspring.messages import Message
from mainspring.model import Model, ModelSettings, ToolSpec, model_name
from mainspring.models.rates.gate import Gate, Ticket
from mainspring.models.rates.line import Caller

__all__ = ["Caller", "Gate", "Paced", "RateSettings", "Ticket", "gate_of", "gone_through", "overloaded"]

#: Characters of a prompt for each token, where nobody has counted.
CHARS_PER_TOKEN = 4.0

_gates: dict[tuple[str, str], Gate] = {}
_of_objects: weakref.WeakKeyDictionary[Any, Gate] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def gate_of(spec: str | Model, sections: Mapping[str, RateSettings], source: str = "") -> Gate:
    """The gate before a model.

    Args:
        spec: the model as its agent names it. An object without a section has a gate of its own, whatever its name.
        sections: pattern -> settings, as in ``[rates."openai:*"]``; the longest pattern that fits is taken.
        source: the configuration's file, so that homes with other settings have gates of their own.
    """
    name = spec if isinstance(spec, str) else model_name(spec)
    pattern = fitting(name, sections)
    with _lock:
        if pattern is None and not isinstance(spec, str):
            try:
                return _of_objects.setdefault(spec, Gate(name))
            except TypeError:  # it can be no key, or nothing can refer to it weakly
                return Gate(name)
        key = ("", name) if pattern is None else (source, pattern)
        gate = _gates.get(key)
        if gate is None:
            gate = _gates[key] = Gate(name if pattern is None else pattern)
    if pattern is not None:
        gate.configure(sections[pattern])
    return gate


def fitting(name: str, patterns: Mapping[str, object]) -> str | None:
    """The pattern that says most of `name`: with the most characters besides ``*``; None when none fits."""
    found = [p for p in patterns if _compiled(p).fullmatch(name)]
    return max(found, key=lambda p: (len(p.replace("*", "")), "*" not in p, p), default=None)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.DOTALL)


def overloaded(error: ModelError) -> bool:
    """Whether a failure says that there are too many calls: 429, or busy (503, 529) with a pause named."""
    return error.status == 429 or (error.status in (503, 529) and error.retry_after_s is not None)


class Paced:
    """A model whose calls go through its gate; everything else is the model's own."""

    def __init__(self, model: Model, gate: Gate, caller: Caller) -> None:
        self._model = model
        self._gate = gate
        self._caller = caller

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    @property
    def name(self) -> str:
        """The model's name."""
        return model_name(self._model)

    async def respond(self, messages: Sequence[Message], tools: Sequence[ToolSpec], settings: ModelSettings) -> Message:
        """Answer `messages`, when it is this call's turn; raises ModelError as the model does."""
        gate = self._gate
        reads = sum(len(m.text) for m in messages) / CHARS_PER_TOKEN
        ticket = gate.try_enter(reads, settings.max_output_tokens)
        ticket = ticket or await gate.enter(reads, settings.max_output_tokens, self._caller)
        assert ticket is not None  # no longest pause was named
        try:
            message = await self._model.respond(messages, tools, settings)
            gone_through(gate, ticket, message)
            return message
        except ModelError as error:
            if overloaded(error):
                gate.refused(ticket, error.retry_after_s)
            raise
        finally:
            gate.left(ticket)


def gone_through(gate: Gate, ticket: Ticket, message: Message) -> None:
    """Tell the gate what an answer has used."""
    usage = getattr(message, "usage", None)
    counts = (getattr(usage, "input_tokens", 0), getattr(usage, "output_tokens", 0))
    read, written = (c if isinstance(c, int) and c > 0 else 0 for c in counts)
    gate.answered(ticket, read, written)
