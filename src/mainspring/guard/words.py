"""What of a user's turn is the user's own words, and what was pasted into it.

A quoted block, a fenced block or an attached file may be a stranger's text. It is data: it carries its own label, gives
no authority, and no grant is made from it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mainspring.messages import FilePart, ImagePart, Message, TextPart

#: A run of marks that opens or closes a fenced block. A lookahead keeps the search linear.
_RUN = re.compile(r"(?<![`~])(?:`{3,}|~{3,})(?![`~])")
_CLOSING = re.compile(r"[^\S\n]*(?:>[^\S\n]*)?(`{3,}|~{3,})[^\S\n]*\n?\Z")
_QUOTE = re.compile(r"[^\S\n]*(?:(?:[-*+]|\d{1,9}[.)])[^\S\n]*)*>")
_LINE_ENDS = re.compile("[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a turn; `pasted` says that it is not the user's own."""

    text: str
    pasted: bool


def segments(text: str) -> list[Segment]:
    """A turn cut into the user's own words and what was pasted, in order; nothing is left out.

    Pasted is a fenced block, with its fences, and every line that begins with ``>``; also within lists and indented.
    Where it is not clear, it is pasted: then more is asked, and nothing more is granted.
    """
    found: list[Segment] = []
    fence = ""
    at = 0
    for line in _LINE_ENDS.sub("\n", text).splitlines(keepends=True):  # as many characters as before
        piece = text[at : at + len(line)]
        at += len(line)
        if fence:
            _append(found, piece, True)
            closing = _CLOSING.match(line)
            if closing is not None and closing[1].startswith(fence):
                fence = ""
            continue
        runs = _RUN.findall(line)
        if len(runs) % 2:  # an even number opens and closes within the line
            start = line.rindex(runs[-1])
            _append(found, piece[:start], _QUOTE.match(line) is not None)
            _append(found, piece[start:], True)
            fence = runs[-1]
        else:
            _append(found, piece, _QUOTE.match(line) is not None)
    return found


def _append(found: list[Segment], text: str, pasted: bool) -> None:
    """Add a stretch; neighbours of one kind become one."""
    if not text:
        return
    if found and found[-1].pasted == pasted:
        found[-1] = Segment(found[-1].text + text, pasted)
    else:
        found.append(Segment(text, pasted))


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
