"""What of a user's turn is the user's own words, and what was pasted into it.

A quoted block, a fenced block or an attached file may be a stranger's text. It is data: it carries its own label, gives
no authority, and no grant is made from it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mainspring.messages import FilePart, ImagePart, Message, TextPart

#: What may stand before a fence or a quote at the beginning of a line: blanks, list marks, and other quotes.
_PREFIX = re.compile(r"(?:[^\S\n]|>|[-*+](?=[^\S\n]|>)|\d{1,9}[.)](?=[^\S\n]|>))*")
_RUN = re.compile(r"`{3,}|~{3,}")
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
    quoted = False  # whether the open fence stands in a quote
    at = 0
    for line in _LINE_ENDS.sub("\n", text).splitlines(keepends=True):  # as many characters as before
        piece = text[at : at + len(line)]
        at += len(line)
        prefix = _prefix(line)
        body = line[len(prefix) :]
        if fence:
            _append(found, piece, True)
            if _closes(body, fence) and (">" in prefix) <= quoted:
                fence = ""
            continue
        opening = _RUN.match(body)
        if opening is not None and not (opening[0][0] == "`" and "`" in body[opening.end() :]):
            _append(found, piece, True)
            fence, quoted = opening[0], ">" in prefix
            continue
        start = _open_within(body)
        if start is None:
            _append(found, piece, ">" in prefix)
            continue
        cut = len(prefix) + start[0]
        _append(found, piece[:cut], ">" in prefix)
        _append(found, piece[cut:], True)
        fence, quoted = start[1], ">" in prefix
    return found


def _prefix(line: str) -> str:
    match = _PREFIX.match(line)
    return match[0] if match is not None else ""


def _closes(body: str, fence: str) -> bool:
    """Whether a line ends the block: the same mark, at least as often, and nothing behind it."""
    bare = body.rstrip()
    return len(bare) >= len(fence) and set(bare) == {fence[0]}


def _open_within(body: str) -> tuple[int, str] | None:
    """Where in a line a fence stands open at its end, and what it is: an odd number of runs of one mark."""
    for mark in "`~":
        runs = [m for m in _RUN.finditer(body) if m[0][0] == mark]
        if len(runs) % 2:
            return runs[-1].start(), runs[-1][0]
    return None


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
