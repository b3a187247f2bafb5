"""What a run tells its watchers, in LangGraph's stream modes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from mainspring.errors import DeclarationError
from mainspring.label import SYSTEM
from mainspring.langchain.messages import ChatMessage, show_messages
from mainspring.messages import Message
from mainspring.runtime.context import preview
from mainspring.runtime.events import KINDS
from mainspring.runtime.state import RunState
from mainspring.store import Event

_MODES = ("updates", "values", "messages", "custom")


class Translator:
    """Turns one run's events into stream items.

    Args:
        mode: one mode, or a list of them.
        before: the conversation so far, the new input included.
        shown: makes a message what the caller wants to see.
        state: the run's state so far; it is kept up to date from the events.
    """

    def __init__(
        self,
        mode: str | Sequence[str],
        before: Sequence[ChatMessage],
        shown: Callable[[ChatMessage], Any],
        state: RunState,
    ) -> None:
        self._single = isinstance(mode, str)
        self._modes = [mode] if isinstance(mode, str) else list(mode)
        for one in self._modes:
            if one not in _MODES:
                raise DeclarationError(f"stream_mode {one!r} is unknown; use {', '.join(_MODES)}")
        self._values = list(before)
        self._shown = shown
        self._state = state
        self._run_id = state.run_id
        self._answers = sum(1 for message in before if message.type == "ai")
        self._streamed = False
        self._told = {call.part.id for call in state.calls.values() if call.result is not None}

    def begin(self) -> Iterator[Any]:
        """What is known before the run starts."""
        yield from self._item("values", self._all())

    def event(self, event: Any) -> Iterator[Any]:
        """What an event adds."""
        payload: Mapping[str, Any] = event.payload
        if event.kind == "delta":
            if payload["kind"] == "text":
                self._streamed = True
                yield from self._piece(payload["text"])
        elif event.kind == "progress":
            yield from self._item("custom", dict(payload))
        elif event.seq is not None:
            known = KINDS.get(event.kind, 1)
            whole = Event(self._run_id, event.seq, event.at, event.kind, known, SYSTEM, dict(payload), "")
            self._state.apply(whole)
            if event.kind == "model.answered":
                yield from self._answered(self._state.plain[-1])
            else:
                yield from self._results()

    def end(self, interrupts: Sequence[Any] | None) -> Iterator[Any]:
        """What is left to say when the run has stopped."""
        if interrupts:
            yield from self._item("updates", {"__interrupt__": tuple(interrupts)})
            yield from self._item("values", self._all() | {"__interrupt__": list(interrupts)})

    def _answered(self, message: Message) -> Iterator[Any]:
        self._answers += 1
        shown = show_messages(message, self._run_id, self._answers)
        if not self._streamed and message.text:
            yield from self._piece(message.text)
        self._streamed = False
        yield from self._added("model", shown)

    def _results(self) -> Iterator[Any]:
        """Results that were not there before, whether a tool, the guard or a person gave them."""
        for call in list(self._state.calls.values()):
            if call.result is None or call.part.id in self._told:
                continue
            self._told.add(call.part.id)
            result = preview(call.result, self._state.preview_chars)
            shown = show_messages(Message("tool", (result,)), self._run_id, 0)
            for message in shown:
                yield from self._item("messages", (self._shown(message), {"langgraph_node": "tools"}))
            yield from self._added("tools", shown)

    def _added(self, node: str, messages: Sequence[ChatMessage]) -> Iterator[Any]:
        self._values += messages
        yield from self._item("updates", {node: {"messages": [self._shown(m) for m in messages]}})
        if node == "model" or not self._state.open_calls:
            yield from self._item("values", self._all())

    def _piece(self, text: str) -> Iterator[Any]:
        if "messages" in self._modes:
            piece = ChatMessage("ai", text, id=f"{self._run_id}:assistant{self._answers + 1}")
            about = {"langgraph_node": "model", "run_id": self._run_id}
            yield from self._item("messages", (self._shown(piece), about))

    def _all(self) -> dict[str, Any]:
        return {"messages": [self._shown(message) for message in self._values]}

    def _item(self, mode: str, value: Any) -> Iterator[Any]:
        if mode in self._modes:
            yield value if self._single else (mode, value)
