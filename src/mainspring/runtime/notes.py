"""What a run keeps word for word through every change of its context: notes, and what people said and decided.

Nothing here is ever dropped. What has no room in a context stays here, is counted there, and can be paged through.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

#: Longest note, in characters: one fact or one piece of work, not a document.
MAX_NOTE_CHARS = 2_000
#: Most notes that may be open at once.
MAX_OPEN = 10_000

#: How something a person did came about: rules and questions they wrote, or what they decided about a call.
Spoken: TypeAlias = Literal["said", "approved", "denied", "doubt", "right"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Person:
    """What a person said or decided, as the model may see it; `trusted` says that nobody else wrote a part of it,
    unless it is marked as pasted."""

    kind: Spoken
    text: str
    trusted: bool = True


class Notes:
    """Decisions and open work, in the order in which they were noted, and what is done; a note has a number."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[int, dict[str, str]]] = {}  # text -> number and note
        self._numbers: dict[int, str] = {}
        self.done: list[tuple[int, dict[str, str]]] = []
        self.count = 0

    def __len__(self) -> int:
        return len(self._open)

    def apply(self, note: Mapping[str, str]) -> None:
        """Take a note of the journal: a new one, or ``done`` for the open one of this text or number."""
        closed = self.find(note["text"])
        if note["kind"] == "done":
            if closed is not None:
                number, old = self._close(closed)
                self.done.append((number, old))
            return
        if note["text"] in self._open:
            self._close(note["text"])  # noted again: it moves to the end
        self.count += 1
        self._open[note["text"]] = (self.count, dict(note))
        self._numbers[self.count] = note["text"]

    def find(self, said: str) -> str | None:
        """The text of the open note that `said` means: its text, or its number as ``n12``."""
        if said in self._open:
            return said
        word = said.strip().removeprefix("n")
        return self._numbers.get(int(word)) if word.isascii() and word.isdigit() and len(word) < 10 else None

    def near(self, said: str, most: int = 3) -> list[str]:
        """Open notes that read alike, as they are shown."""
        close = difflib.get_close_matches(said, list(self._open)[-500:], most, 0.4)
        return [shown(self._open[text]) for text in close]

    def open(self) -> list[tuple[int, dict[str, str]]]:
        """Open notes with their numbers, oldest first."""
        return list(self._open.values())

    def _close(self, text: str) -> tuple[int, dict[str, str]]:
        number, note = self._open.pop(text)
        del self._numbers[number]
        return number, note


def shown(numbered: tuple[int, Mapping[str, str]]) -> str:
    """A note as the model reads it."""
    number, note = numbered
    return f"n{number} {note['kind']}: {note['text']}"


def fitting(items: Sequence[T], sizes: Sequence[int], ranks: Sequence[int], room: int) -> list[T]:
    """Those of `items` that fit into `room` characters, in their order: the lowest rank first, then the newest."""
    chosen: set[int] = set()
    for index in sorted(range(len(items)), key=lambda i: (ranks[i], -i)):
        if sizes[index] <= room:
            room -= sizes[index]
            chosen.add(index)
    return [item for index, item in enumerate(items) if index in chosen]


def fitting_notes(notes: Notes, room: int) -> list[tuple[int, dict[str, str]]]:
    """The open notes that fit: open work before decisions, newer before older."""
    items = notes.open()
    return fitting(items, [len(shown(i)) + 3 for i in items], [i[1]["kind"] != "todo" for i in items], room)


def fitting_people(people: Sequence[Person], room: int) -> list[Person]:
    """What people did, as far as it fits: what they said before what they decided, and a mere yes last."""
    ranks = [{"said": 0, "approved": 2}.get(p.kind, 1) for p in people]
    return fitting(people, [len(p.text) + 3 for p in people], ranks, room)
