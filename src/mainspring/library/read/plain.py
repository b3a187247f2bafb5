"""Plain text, logs and data files: pages of paragraphs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mainspring.library.read.base import FlowReading, Notes, read_bytes, title_of
from mainspring.library.read.blocks import Block
from mainspring.library.read.charset import declared_in, decode
from mainspring.library.read.protocol import About, ReadLimits

_BREAKS = re.compile("\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_PARAGRAPH = re.compile(r"\n[ \t]*\n")


def read_text(path: Path, limits: ReadLimits) -> tuple[str, str]:
    """A text file's text with newlines only, and its encoding."""
    data = read_bytes(path, limits)
    text, encoding = decode(data, declared_in(data[:4096]))
    del data
    return _BREAKS.sub("\n", text), encoding


def open_text(path: Path, limits: ReadLimits) -> FlowReading:
    text, encoding = read_text(path, limits)
    notes = Notes()
    if "\ufffd" in text:
        notes.add(f"{text.count(chr(0xFFFD)):,} characters could not be decoded as {encoding}")
    first = text[:2000].strip().partition("\n")[0]
    title = title_of(path, first if _reads_like_title(first, text) else "")
    about = About("text", title, {"encoding": encoding})
    return FlowReading(path.name, about, lambda: paragraphs(text), limits, notes)


def paragraphs(text: str, line: int = 1) -> Iterator[Block]:
    """Blocks between empty lines, with the line at which each begins. Long ones are split when pages are made."""
    at = 0
    while at < len(text):
        found = _PARAGRAPH.search(text, at)
        end = found.start() if found else len(text)
        piece = text[at:end]
        if piece.strip():
            lead = len(piece) - len(piece.lstrip("\n"))
            yield Block(piece[lead:], line=line + lead)
        after = found.end() if found else len(text)
        line += text.count("\n", at, after)
        at = after


def _reads_like_title(first: str, text: str) -> bool:
    """A short first line with an empty or underlining one below it, and no end of a sentence."""
    rest = text.lstrip()[len(first) :]
    below = rest[1:].partition("\n")[0].strip()
    return (
        3 <= len(first) <= 100
        and not first.endswith((".", ",", ";", "。", "，"))
        and (not below or set(below) <= set("=-~*"))
        and any(character.isalpha() for character in first)
    )
