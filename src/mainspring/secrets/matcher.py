"""Finds any of many secrets in a text, in one pass.

Every form looked for is at least eight bytes long, so each occurrence covers four whole bytes that begin at a multiple
of five. Looking at every fifth place for one of the forms' groups of four finds all candidates without reading the text
once per form (Karp and Rabin's idea, with a set in place of a rolling hash); a candidate is then compared in full.
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from collections.abc import Mapping

from mainspring.secrets.variants import MIN_FORM, variants

_GROUP = 4
_STRIDE = MIN_FORM - _GROUP + 1
# A line end with the blanks around it, as it is or as JSON and program texts write it, on however many levels. What
# stands in front says that each run of blanks is tried once, from its beginning.
_BREAK = re.compile(rb"(?<![ \t\\])[ \t\\]*(?:\r?\n|(?<=\\)(?:r\\+)?n)[ \t]*")
_BREAK_BEGUN = re.compile(rb"(?<![ \t\\])[ \t\\]*(?:\r|(?<=\\)r\\*)?\Z")


class Matcher:
    """Replaces secrets by ``[secret:NAME]``.

    Args:
        values: name -> the values that the secret has or had.
    """

    def __init__(self, values: Mapping[str, set[str]]) -> None:
        self._groups: dict[bytes, list[tuple[int, bytes, bytes]]] = {}
        self._starts: dict[bytes, set[bytes]] = {}
        self.longest = 0
        for name, known in sorted(values.items()):
            mark = f"[secret:{name}]".encode()
            for value in known:
                for form in variants(value):
                    self.longest = max(self.longest, len(form))
                    self._starts.setdefault(form[:2], set()).add(form)
                    for offset in range(_STRIDE):
                        self._groups.setdefault(form[offset : offset + _GROUP], []).append((offset, form, mark))

    def __bool__(self) -> bool:
        return bool(self._groups)

    def replace(self, text: str) -> str:
        """The text with every secret in it replaced."""
        if not self._groups or len(text) < MIN_FORM:
            return text
        data = text.encode("utf-8", "surrogatepass")
        found = self.find(data)
        return text if not found else _spliced(data, found).decode("utf-8", "surrogatepass")

    def find(self, data: bytes) -> list[tuple[int, int, bytes]]:
        """`(start, end, replacement)` of each secret, in order, without overlaps; line ends inside do not hide one."""
        small = data.lower()
        found = self._search(small)
        if b"\n" in small or b"\\n" in small:
            found += self._search_joined(small)
        return _merged(found)

    def _search(self, small: bytes) -> list[tuple[int, int, bytes]]:
        groups = self._groups
        places = [i for i in range(0, len(small), _STRIDE) if small[i : i + _GROUP] in groups]
        return [
            (place - offset, place - offset + len(form), mark)
            for place in places
            for offset, form, mark in groups[small[place : place + _GROUP]]
            if place >= offset and small.startswith(form, place - offset)
        ]

    def _search_joined(self, small: bytes) -> list[tuple[int, int, bytes]]:
        """Secrets that are broken over lines, as base64 in mail and keys are."""
        joined, starts, shifts = _joined(small)
        found = []
        for start, end, mark in self._search(joined):
            first = shifts[bisect_right(starts, start) - 1]
            last = shifts[bisect_right(starts, end - 1) - 1]
            if first != last:
                found.append((start + first, end + last, mark))
        return found

    def unfinished(self, data: bytes) -> int:
        """Where the stretch at the end of `data` begins that may be the beginning of a secret, or its length."""
        begin = max(0, len(data) - 2 * self.longest)
        tail = data[begin:].lower()
        # What stands at the end may be half of a line end, or belong to the secret itself.
        return begin + min(self._unfinished(tail), self._unfinished(_BREAK_BEGUN.sub(b"", tail, 1)), len(tail))

    def _unfinished(self, tail: bytes) -> int:
        joined, starts, shifts = _joined(tail)
        for at in range(max(0, len(joined) - self.longest), len(joined)):
            rest = joined[at:]
            if len(rest) == 1:
                hit = any(start[0] == rest[0] for start in self._starts)
            else:
                hit = any(form.startswith(rest) for form in self._starts.get(rest[:2], ()))
            if hit:
                return at + shifts[bisect_right(starts, at) - 1]
        return sys.maxsize


def _joined(small: bytes) -> tuple[bytes, list[int], list[int]]:
    """The text without its line ends; where each line then begins, and by how much it has moved."""
    lines: list[bytes] = []
    starts: list[int] = []
    shifts: list[int] = []
    at = length = 0
    for gap in _BREAK.finditer(small):
        lines.append(small[at : gap.start()])
        starts.append(length)
        shifts.append(at - length)
        length += gap.start() - at
        at = gap.end()
    lines.append(small[at:])
    starts.append(length)
    shifts.append(at - length)
    return b"".join(lines), starts, shifts


def _merged(found: list[tuple[int, int, bytes]]) -> list[tuple[int, int, bytes]]:
    """Overlaps joined into one stretch, which is named after the longest secret in it."""
    merged: list[tuple[int, int, bytes]] = []
    longest = 0
    for start, end, mark in sorted(found, key=lambda f: (f[0], -f[1])):
        if merged and start < merged[-1][1]:
            first, last, before = merged[-1]
            merged[-1] = (first, max(last, end), mark if end - start > longest else before)
            longest = max(longest, end - start)
        else:
            merged.append((start, end, mark))
            longest = end - start
    return merged


def _spliced(data: bytes, found: list[tuple[int, int, bytes]]) -> bytes:
    parts: list[bytes] = []
    at = 0
    for start, end, mark in found:
        parts += (data[at:start], mark)
        at = end
    parts.append(data[at:])
    return b"".join(parts)


class Stream:
    """Replaces secrets in a text that comes in pieces; a secret cut in two is found. Made by `Secrets.stream`.

    What may be the beginning of a secret is kept back until the next piece shows whether it is one.
    """

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher
        self._kept = b""

    def feed(self, piece: str) -> str:
        """The next stretch that can be shown."""
        data = self._kept + piece.encode("utf-8", "surrogatepass")
        if not self._matcher:
            return piece
        found = self._matcher.find(data)
        cut = self._matcher.unfinished(data)
        for start, end, _ in found:
            if start < cut < end:
                cut = start  # a longer form of the same secret may still be coming
        self._kept = data[cut:]
        return _spliced(data[:cut], [f for f in found if f[1] <= cut]).decode("utf-8", "surrogatepass")

    def end(self) -> str:
        """What was kept back."""
        data, self._kept = self._kept, b""
        return _spliced(data, self._matcher.find(data)).decode("utf-8", "surrogatepass")
