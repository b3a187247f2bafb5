"""A terminal's screen and what scrolled off it. It answers no queries: what a program prints never becomes its input.

Import it only when a process is started: pyte is a part that a plain run does not need.
"""

from __future__ import annotations

import contextlib
import unicodedata
from collections import deque
from functools import lru_cache
from typing import Any

import pyte
from pyte import modes
from pyte.screens import Char
from wcwidth import wcwidth

_OTHER_SCREEN = frozenset({47, 1047, 1049})
_MODES = frozenset({4, 20})  # insert, and new line
_PRIVATE_MODES = frozenset({6, 7})  # origin, and wrapping
_COMBINED = 3
_SAVED = 8


class Emulator(pyte.Screen):
    """A screen that numbers its lines from 1 since the start, and remembers which ones nobody has seen.

    Args:
        columns, rows: its size, which no sequence changes.
        keep: lines kept of those that scrolled off.
    """

    def __init__(self, columns: int, rows: int, keep: int) -> None:
        self.above: deque[str] = deque(maxlen=keep)
        self.scrolled = 0
        self.addressed = False
        self._unseen_above: int | None = None
        self._other: tuple[Any, ...] | None = None
        self._combined = 0
        super().__init__(columns, rows)
        self.mark_seen()

    # What is asked of it.

    @property
    def full_screen(self) -> bool:
        """Whether the program places text on the screen, instead of writing line after line, since the last mark."""
        return self.addressed or self._other is not None

    @property
    def oldest(self) -> int:
        """Number of the first line that is still kept."""
        return self.scrolled - len(self.above) + 1

    @property
    def last(self) -> int:
        """Number of the last line that holds text; 0 for an empty screen."""
        return self.scrolled + next((y + 1 for y in range(self.lines - 1, -1, -1) if self.row(y)), 0)

    def first_unseen(self) -> int | None:
        """Number of the first line that was written or changed since the last mark."""
        if self._unseen_above is not None:
            return self._unseen_above
        return self.scrolled + min(self.dirty) + 1 if self.dirty else None

    def mark_seen(self) -> None:
        """Everything up to here has been seen."""
        self.dirty.clear()
        self.addressed = False
        self._unseen_above = None

    def text(self, first: int, last: int) -> list[str]:
        """Lines by number, of those that are kept; spaces at their ends are dropped."""
        found = []
        for number in range(max(first, self.oldest), min(last, self.scrolled + self.lines) + 1):
            row = number - self.scrolled - 1
            found.append(self.row(row) if row >= 0 else self.above[number - self.oldest])
        return found

    def row(self, y: int) -> str:
        """A line of the screen, from 0."""
        line = self.buffer.get(y)
        if not line:
            return ""
        return "".join(line[x].data for x in range(min(max(line) + 1, self.columns))).rstrip()

    # What the stream calls.

    def draw(self, data: str) -> None:
        """Place text at the cursor."""
        if not data.isascii():
            data = self._printable(data)
            super().draw(data)
            return
        if modes.IRM in self.mode or modes.DECAWM not in self.mode:
            super().draw(data)
            return
        self._combined = 0
        here = 0
        while here < len(data):
            if self.cursor.x >= self.columns:
                self.dirty.add(self.cursor.y)
                self.carriage_return()
                self.linefeed()
            x = self.cursor.x
            piece = data[here : here + self.columns - x]
            line = self.buffer[self.cursor.y]
            for place, character in enumerate(piece, x):
                line[place] = _cell(character)
            here += len(piece)
            self.cursor.x = x + len(piece)
            self.dirty.add(self.cursor.y)

    def _printable(self, data: str) -> str:
        """Without what has no width (it could hide text) and without heaps of accents on one letter."""
        kept = []
        for character in data:
            if unicodedata.combining(character):
                self._combined += 1
                if self._combined <= _COMBINED:
                    kept.append(character)
            elif wcwidth(character) > 0:
                self._combined = 0
                kept.append(character)
        return "".join(kept)

    def index(self) -> None:
        """One line down; at the end of the screen its first line scrolls off."""
        top, bottom = self.margins or (0, self.lines - 1)
        if self.cursor.y != bottom:
            super().index()
            return
        unseen = set(self.dirty)
        if top == 0 and self._other is None:
            self.above.append(self.row(0))
            self.scrolled += 1
            if 0 in unseen and self._unseen_above is None:
                self._unseen_above = self.scrolled
            super().index()
            # In a region, the lines below it stay where they are and so get other numbers.
            self.dirty = {y - 1 for y in unseen if 0 < y <= bottom} | {bottom} | {y for y in unseen if y > bottom}
            return
        super().index()

    def cursor_position(self, line: int | None = None, column: int | None = None) -> None:
        """Anywhere on the screen."""
        self.addressed = True
        super().cursor_position(line, column)

    def cursor_to_line(self, line: int | None = None) -> None:
        """Any line of the screen."""
        self.addressed = True
        super().cursor_to_line(line)

    def save_cursor(self) -> None:
        """A few places are remembered, not any number of them."""
        super().save_cursor()
        del self.savepoints[:-_SAVED]

    def set_mode(self, *numbers: int, **kwargs: Any) -> None:
        """The modes that concern where text goes; the width is not for programs to set."""
        if kwargs.get("private") and _OTHER_SCREEN & set(numbers) and self._other is None:
            self._other = (dict(self.buffer), self.cursor.x, self.cursor.y, self.margins)
            self.buffer.clear()
            self.margins = None
            self.cursor_position()
            self.dirty.update(range(self.lines))
        super().set_mode(*_known(numbers, kwargs), **kwargs)

    def reset_mode(self, *numbers: int, **kwargs: Any) -> None:
        """The opposite of :meth:`set_mode`; the first screen comes back as it was."""
        if kwargs.get("private") and _OTHER_SCREEN & set(numbers) and self._other is not None:
            buffer, self.cursor.x, self.cursor.y, self.margins = self._other
            self._other = None
            self.buffer.clear()
            self.buffer.update(buffer)
            self.mark_seen()
            self.dirty.add(self.cursor.y)
        super().reset_mode(*_known(numbers, kwargs), **kwargs)

    def resize(self, lines: int | None = None, columns: int | None = None) -> None:
        """Its size is given from outside, once."""

    def reset(self) -> None:
        """As at the start, but for what scrolled off."""
        self._other = None
        super().reset()
        self.addressed = True


def _known(numbers: tuple[int, ...], kwargs: dict[str, Any]) -> list[int]:
    known = _PRIVATE_MODES if kwargs.get("private") else _MODES
    return [number for number in numbers if number in known]


@lru_cache(maxsize=256)
def _cell(character: str) -> Char:
    return Char(character)


class Stream:
    """Feeds an emulator with cleaned text; what pyte cannot digest is left out."""

    def __init__(self, screen: Emulator) -> None:
        self._stream = pyte.Stream(screen)

    def feed(self, text: str) -> None:
        """Place text and obey its control sequences."""
        while text:
            begin = text.find("\x1b", 1)
            piece, text = (text, "") if begin < 0 else (text[:begin], text[begin:])
            # An odd sequence (too many numbers, none where one is needed) costs itself, not what follows.
            with contextlib.suppress(AssertionError, AttributeError, LookupError, TypeError, ValueError):
                self._stream.feed(piece)
