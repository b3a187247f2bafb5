"""The most telling piece of a page: where the query's words, or what its words mean, stand close together."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mainspring import lexical
from mainspring.library.page import Box, Page, Region

#: Characters of a snippet; half as many of a script without spaces, which say as much.
WIDTH = 280
_PACKED_WIDTH = 140
#: Within so many characters of a snippet's edge, a better place to cut is looked for.
_SLACK = 60
_ENDS = re.compile(r"[.!?;:]\s|[。!?;]|\n")
_JOINERS = "\u200d\u200c"


@dataclass(frozen=True, slots=True)
class Meeting:
    """A place of a text that meets something of the query.

    Args:
        start, end: which characters.
        what: which word or token of the query; a snippet counts each once.
        weight: how much it says.
    """

    start: int
    end: int
    what: str
    weight: float


def of_words(text: str, query: str) -> list[Meeting]:
    """Where the query's words stand. A word says the more the longer it is and the rarer on this page."""
    wanted = lexical.terms(query)
    prefixes = tuple(word for word, begins in wanted.items() if begins)
    found: list[tuple[str, int, int]] = []
    for word, start, end in lexical.places(text):
        if word in wanted and not wanted[word]:
            found.append((word, start, end))
        elif prefixes and word.startswith(prefixes):
            found.append((word[:1], start, end))
    often = Counter(word for word, _, _ in found)
    return [Meeting(start, end, word, min(len(word), 8) / (1.0 + math.log(often[word]))) for word, start, end in found]


def covered(meetings: Iterable[Meeting], query: str) -> float:
    """The share (0 to 1) of the query's different words that a text has, each by its length."""
    wanted = lexical.terms(query)
    met = {m.what for m in meetings}
    whole = sum(min(len(word), 8) for word in wanted)
    return sum(min(len(word), 8) for word in wanted if word in met) / whole if whole else 0.0


def snippet(page: Page, meetings: Sequence[Meeting], width: int = 0) -> tuple[int, int]:
    """Which characters of a page's text to show: the window whose meetings say most; without any, its beginning.

    Args:
        width: characters; 0 for what suits the script.
    """
    text = page.text
    if not text.strip():
        return 0, 0
    ordered = sorted(meetings, key=lambda m: (m.start, m.end))
    first = ordered[0].start if ordered else len(text) - len(text.lstrip())
    width = width or (_PACKED_WIDTH if _is_packed(text[first : first + 80]) else WIDTH)
    best, best_end = _densest(ordered, width) if ordered else (first, first)
    room = max(width - (best_end - best), 0)
    start = _begin(text, best, room // 3)
    end = _end(text, best_end, max(width - (best_end - start), 0))
    while start < end and text[start].isspace() and whole(text, start + 1) > start:
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def box_of(page: Page, start: int, end: int) -> Box | None:
    """The smallest box around the regions that these characters lie in; None when they have no place."""
    boxes = [r.box for r in met(page.regions, start, end) if r.box is not None]
    if not boxes:
        return None
    return Box(
        min(b.left for b in boxes), min(b.top for b in boxes), max(b.right for b in boxes), max(b.bottom for b in boxes)
    )


def met(regions: Iterable[Region], start: int, end: int) -> list[Region]:
    """The regions that hold any of these characters."""
    return [r for r in regions if r.start < end and start < r.end]


def whole(text: str, at: int) -> int:
    """The place at or before `at` that cuts no character in two as people see them (a letter and its marks, an emoji).

    The rules of Unicode's annex 29 as far as they matter for cutting a text.
    """
    at = min(max(at, 0), len(text))
    while 0 < at < len(text) and _goes_on(text, at):
        at -= 1
    return at


def _goes_on(text: str, at: int) -> bool:
    char, before = text[at], text[at - 1]
    if unicodedata.category(char) in ("Mn", "Me", "Mc") or char in _JOINERS or "\U0001f3fb" <= char <= "\U0001f3ff":
        return True
    if before == "\u200d" or (before == "\r" and char == "\n"):
        return True
    if "\u1160" <= char <= "\u11ff":  # vowels and tails of Hangul that was taken apart
        return True
    if _is_flag(char) and _is_flag(before):  # flags are pairs: an odd number of halves before means one is open
        run = 0
        while run < at and _is_flag(text[at - 1 - run]):
            run += 1
        return run % 2 == 1
    return False


def _is_flag(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _densest(ordered: Sequence[Meeting], width: int) -> tuple[int, int]:
    """The window of at most `width` characters with the largest sum of different meetings; the first of equal ones."""
    best, span, left = -1.0, (ordered[0].start, ordered[0].end), 0
    weights: dict[str, list[float]] = {}
    total = 0.0
    for meeting in ordered:
        kept = weights.setdefault(meeting.what, [])
        before = max(kept, default=0.0)
        kept.append(meeting.weight)
        total += max(before, meeting.weight) - before
        while ordered[left].start < meeting.end - width and ordered[left] is not meeting:
            gone = weights[ordered[left].what]
            before = max(gone)
            gone.remove(ordered[left].weight)
            total += max(gone, default=0.0) - before
            left += 1
        # Repeats of a word say a little more, so that a window full of it goes before one that names it once.
        score = total + 0.01 * sum(len(w) for w in weights.values())
        if score > best + 1e-9:
            best, span = score, (ordered[left].start, meeting.end)
    return span


def _begin(text: str, at: int, room: int) -> int:
    """A good place to begin at or before `at`: behind the end of a sentence or line, else of a word."""
    if at <= room:
        return 0
    low = max(at - max(room, _SLACK), 0)
    ends = [m.end() for m in _ENDS.finditer(text, low, at)]
    if ends:
        return whole(text, ends[0] if ends[0] >= at - room else ends[-1])
    start = at - room
    space = text.find(" ", start, at)
    return whole(text, space + 1 if 0 <= space - start <= _SLACK else start)


def _end(text: str, at: int, room: int) -> int:
    high = min(at + room, len(text))
    if high == len(text):
        return high
    ends = [m.end() for m in _ENDS.finditer(text, at, high)]
    if ends and ends[-1] >= high - _SLACK:
        return whole(text, ends[-1])
    space = text.rfind(" ", at, high)
    return whole(text, space if space >= max(high - _SLACK, at) else high)


def _is_packed(text: str) -> bool:
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return wide * 3 > len(text)
