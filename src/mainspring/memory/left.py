"""What a finished run left behind, as its journal says: task, words of people, decisions, open work, outcome."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Literal, TypeAlias

from mainspring.messages import decode
from mainspring.store import Event

#: What is found of a run.
What: TypeAlias = Literal["task", "said", "decision", "todo", "outcome"]
#: Longest text that is kept of one entry, in characters: what is found is a pointer to a run, not the run.
MAX_CHARS = 4_000


class Noted:
    """Which work a run left open; a note is closed by its text or by its number (see docs/long-tasks.md)."""

    def __init__(self) -> None:
        self.open: set[str] = set()
        self._texts: list[str] = []

    def take(self, event: Event) -> None:
        note = event.payload.get("note") if event.kind == "effect.done" else None
        if not note:
            return
        text = str(note["text"])
        if note["kind"] != "done":
            self._texts.append(text[:MAX_CHARS])
            self.open.add(text[:MAX_CHARS])
            return
        number = text.strip().removeprefix("n")
        if text[:MAX_CHARS] not in self.open and number.isascii() and number.isdigit() and len(number) < 10:
            text = self._texts[int(number) - 1] if 0 < int(number) <= len(self._texts) else text
        self.open.discard(text[:MAX_CHARS])


def texts(event: Event) -> Iterator[tuple[What, str]]:
    payload = event.payload
    if event.kind == "run.started":
        texts = [decode(m).text for m in payload["messages"] if m.get("role") == "user"]
        yield "task", "\n".join(texts)
    elif event.kind == "message.added":
        yield "said", decode(payload["message"]).text
    elif event.kind == "effect.done" and payload.get("note"):
        note = payload["note"]
        if note["kind"] in ("decision", "todo"):
            yield note["kind"], note["text"]
    elif event.kind == "run.ended":
        output = payload["output"]
        said = output if isinstance(output, str) else "" if output is None else json.dumps(output, ensure_ascii=False)
        text = "\n".join(t for t in (payload["reason"], said) if t)
        if text:
            yield "outcome", text
