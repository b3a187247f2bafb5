"""What a process has shown: its bytes become numbered lines of clean text, and what is new is told apart from what was
read before."""

from __future__ import annotations

import codecs
import threading
import time
from dataclasses import dataclass

from mainspring.tools.shells.escapes import Cleaner

ROWS, COLUMNS = 30, 160
KEPT_LINES = 10_000
#: Lines and characters of one answer.
SHOWN_LINES = 300
SHOWN_CHARACTERS = 24_000
# Placing characters is slow (about 0.5 MB/s), so a flood is not drawn as a whole: its beginning, and its end.
_BURST = 512 << 10
_PER_S = 32 << 10
_LINE = 32
_TAIL = 16 << 10
_SLICE = 8 << 10
_SEARCHED = 16 << 10


@dataclass(frozen=True, slots=True)
class Page:
    """Some lines of a process.

    Args:
        first, last: their numbers, from 1; `last` is below `first` when there are none.
        total: number of the last line there is.
        text: the lines.
        screen: they are the whole screen of a program that draws on it.
        before: number of the first new line that is left out before them, or 0.
    """

    first: int
    last: int
    total: int
    text: str
    screen: bool = False
    before: int = 0


class Output:
    """Takes a terminal's bytes in one thread and answers questions in others."""

    def __init__(self) -> None:
        from mainspring.tools.shells.emulator import Emulator, Stream

        self._lock = threading.Lock()
        self._screen = Emulator(COLUMNS, ROWS, KEPT_LINES)
        self._stream = Stream(self._screen)
        self._cleaner = Cleaner()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._waiting = bytearray()
        self._skipped = 0
        self._credit = float(_BURST)
        self._credited = time.monotonic()
        self.changed_at = time.monotonic()

    def feed(self, data: bytes) -> bool:
        """Take what the terminal gave; False when it gives more than can be drawn, so that it may be slowed down."""
        with self._lock:
            now = time.monotonic()
            self._credit = min(self._credit + (now - self._credited) * _PER_S, _BURST)
            self._credited = self.changed_at = now
            self._waiting += data
            flooded = self._skipped > 0 or _cost(self._waiting) > self._credit
            if flooded:
                surplus = len(self._waiting) - _TAIL
                if surplus > _TAIL:
                    del self._waiting[:surplus]
                    self._skipped += surplus
                if self._credit < 2 * _TAIL:
                    return False
        self.settle()
        return not flooded

    def settle(self) -> None:
        """Draw what is waiting, a little at a time so that nobody who asks has to wait long."""
        while self._waiting:
            with self._lock:
                self._draw()
            if self._waiting:
                time.sleep(0.0005)

    @property
    def patience_s(self) -> float | None:
        """After how long a silence to call :meth:`settle`; None when nothing waits to be drawn."""
        if not self._waiting:
            return None
        return 0.05 if self._credit > 0 else 0.5  # a flood pauses as well, when the machine is busy

    def has_new(self) -> bool:
        """Whether there are lines that were not read."""
        with self._lock:
            return self._screen.first_unseen() is not None

    def new_text(self) -> str:
        """The end of what was not read, without marking it as read."""
        with self._lock:
            first = self._screen.first_unseen()
            if first is None:
                return ""
            return "\n".join(self._screen.text(max(first, self._screen.last - 500), self._screen.last))[-_SEARCHED:]

    def read_new(self) -> Page:
        """What was not read, or the screen of a program that draws on it; marks it as read."""
        with self._lock:
            screen = self._screen
            first, last = screen.first_unseen(), screen.last
            whole = screen.full_screen and first is not None
            if whole:
                first = screen.scrolled + 1
            elif first is None:
                first = last + 1
            wanted = max(first, screen.oldest)
            page = self._page(max(wanted, last - SHOWN_LINES + 1), last, whole, at_end=True)
            screen.mark_seen()
            if page.first > first and not whole:
                return Page(page.first, page.last, page.total, page.text, before=wanted)
            return page

    def read_from(self, line: int) -> Page:
        """Lines from a number on; what counts as read stays as it is."""
        with self._lock:
            first = max(line, self._screen.oldest)
            return self._page(first, min(first + SHOWN_LINES - 1, self._screen.last), False, at_end=False)

    def _page(self, first: int, last: int, whole: bool, at_end: bool) -> Page:
        lines = self._screen.text(first, last)
        size = sum(map(len, lines)) + len(lines)
        while lines and size > SHOWN_CHARACTERS:
            size -= len(lines.pop(0 if at_end else -1)) + 1
        if at_end:
            first = last - len(lines) + 1
        return Page(first, first + len(lines) - 1, self._screen.last, "\n".join(lines), whole)

    def _draw(self) -> None:
        if self._skipped:
            # Where the gap ends, nobody knows what the bytes before it had begun.
            self._cleaner = Cleaner()
            self._decoder.reset()
            del self._waiting[: self._waiting.find(b"\n") + 1]
            self._stream.feed(f"\r\n[... {self._skipped:,} bytes of output left out here ...]\r\n")
            self._skipped = 0
        data = bytes(self._waiting[:_SLICE])
        del self._waiting[:_SLICE]
        self._credit -= _cost(data)
        self._stream.feed(self._cleaner.feed(self._decoder.decode(data)))


def _cost(data: bytes | bytearray) -> int:
    """What drawing takes, in bytes: a line that scrolls costs as much as its characters do."""
    return len(data) + _LINE * data.count(b"\n")
