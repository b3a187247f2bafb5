"""Bounded capture of a command's output, and its cleaning for people and models."""

from __future__ import annotations

import re
from collections import deque

# Control sequences of ECMA-48, in 7 and 8 bits: OSC, DCS/SOS/PM/APC strings, CSI, two-byte escapes.
_ESCAPES = re.compile(
    r"(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|(?:\x1b[P^_X]|[\x90\x98\x9e\x9f])[^\x1b\x9c]*(?:\x1b\\|\x9c)?"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|\x1b[ -/]*[0-~]?"
)
# Other control characters, and the marks that reorder text on a screen (they can hide what is there).
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")


class HeadTail:
    """Keeps the first and the last bytes of a stream, and counts what it dropped between them.

    Args:
        limit: bytes to keep in all: a third of it from the beginning, the rest from the end.
    """

    def __init__(self, limit: int) -> None:
        self._head_room = limit // 3
        self._tail_room = limit - self._head_room
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self.total = 0

    def feed(self, data: bytes) -> None:
        """Take the next piece of the stream."""
        self.total += len(data)
        if len(self._head) < self._head_room:
            room = self._head_room - len(self._head)
            self._head += data[:room]
            data = data[room:]
        if data:
            self._tail.append(data)
            self._tail_size += len(data)
            while self._tail_size - len(self._tail[0]) >= self._tail_room:
                self._tail_size -= len(self._tail.popleft())

    @property
    def dropped(self) -> int:
        """Bytes that were read and not kept."""
        return self.total - len(self._head) - min(self._tail_size, self._tail_room)

    def text(self) -> str:
        """What was kept, cleaned by :func:`plain_text`, with a line that counts what is missing."""
        tail = b"".join(self._tail)[-self._tail_room :] if self._tail else b""
        if not self.dropped:
            return plain_text((bytes(self._head) + tail).decode("utf-8", "replace"))
        return (
            plain_text(bytes(self._head).decode("utf-8", "replace"))
            + f"\n[... {self.dropped:,} of {self.total:,} bytes left out here ...]\n"
            + plain_text(tail.decode("utf-8", "replace"))
        )


def plain_text(text: str) -> str:
    """Text without terminal escapes, control characters and reordering marks; newlines and tabs stay.

    A line that overwrites itself with carriage returns (a progress bar) keeps its last state.
    """
    text = _ESCAPES.sub("", text.replace("\r\n", "\n"))
    if "\r" in text:
        text = "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n"))
    return _CONTROLS.sub("", text)


def shorten(text: str, limit: int) -> str:
    """At most about `limit` characters of a text: its beginning and, mostly, its end, cut at line breaks."""
    if len(text) <= limit:
        return text
    head_end = text.rfind("\n", 0, limit // 3)
    head = text[: head_end if head_end > 0 else limit // 3]
    start = len(text) - (limit - len(head))
    line = text.find("\n", start)
    tail = text[line + 1 if 0 <= line < len(text) - 1 else start :]
    return f"{head}\n[... {len(text) - len(head) - len(tail):,} characters left out here ...]\n{tail}"
