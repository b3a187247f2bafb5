"""What of a user's turn is the user's own words, and what was pasted into it.

A quoted block, a fenced block or an attached file may be a stranger's text. It is data: it carries its own label, gives
no authority, and no grant is made from it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mainspring.messages import FilePart, ImagePart, Message, TextPart

#: Text between these is pasted: a fenced block, or lines that begin with ``>``; also within lists and indented. Where
#: it is not clear, it is pasted: then something more is asked, and nothing more is granted.
_FENCE = re.compile(r"(`{3,}|~{3,})[^\n`]*\n.*?(?:^[^\S\n]*\1[`~]*[^\S\n]*$|\Z)", re.MULTILINE | re.DOTALL)
_QUOTE = re.compile(r"(?:^[^\S\n]*(?:(?:[-*+]|\d+[.)])[^\S\n]*)*>[^\n]*(?:\n|\Z))+", re.MULTILINE)
_LINE_ENDS = re.compile("[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a turn; `pasted` says that it is not the user's own."""

    text: str
    pasted: bool


def segments(text: str) -> list[Segment]:
    """A turn cut into the user's own words and what was pasted, in order; nothing is left out."""
    lines = _LINE_ENDS.sub("\n", text)  # as many characters as before
    spans = [m.span() for m in _FENCE.finditer(lines)]
    for match in _QUOTE.finditer(lines):
        if not any(a <= match.start() < b for a, b in spans):
            spans.append(match.span())
    found: list[Segment] = []
    end = 0
    for start, stop in sorted(spans):
        if stop <= end:
            continue
        if start > end:
            found.append(Segment(text[end:start], False))
        found.append(Segment(text[max(start, end) : stop], True))
        end = stop
    if end < len(text):
        found.append(Segment(text[end:], False))
    return found


def own_words(message: Message) -> str:
    """The user's own words of a message, without what was pasted and without files."""
    texts = [s.text for p in message.parts if isinstance(p, TextPart) for s in segments(p.text) if not s.pasted]
    return "\n".join(texts)


def has_paste(message: Message) -> bool:
    """True when a message holds anything that is not the user's own words."""
    return any(
        isinstance(p, FilePart | ImagePart) or (isinstance(p, TextPart) and any(s.pasted for s in segments(p.text)))
        for p in message.parts
    )
