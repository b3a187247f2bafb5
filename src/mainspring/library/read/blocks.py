"""From blocks of text to pages: what every reader shares.

A reader yields `Block`s in reading order. `page_of` makes one page of them; `sections` makes pages along headings,
of some 3,000 characters each. Text is tidied block by block, before it is joined, so that a region's offsets are those
of the text that is kept.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from mainspring.library.page import Box, Page, Region, RegionKind, TextSource
from mainspring.library.read.tidy import one_line, tidy

#: A section longer than this is split at a paragraph.
SECTION_CHARS = 3_000
#: A section shorter than this is joined with its neighbour under the same heading.
TINY_CHARS = 400
_SEPARATOR = "\n\n"
_SENTENCE = re.compile(r"(?<=[.!?;])\s+|(?<=[。！？；])")


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, heading, table, picture ... of a document.

    Args:
        text: its words; lines of a table or list separated by newlines.
        kind, box: as in `Region`.
        level: 1 to 9 for a heading that opens a section; 0 for everything else.
        line: 1-based line of the file at which it begins, when that means something.
    """

    text: str
    kind: RegionKind = "text"
    box: Box | None = None
    level: int = 0
    line: int | None = None


def page_of(
    number: int,
    blocks: Iterable[Block],
    limit: int,
    removed: Counter[str],
    *,
    heading: str = "",
    pictured: bool = False,
    unread: float = 0.0,
    width: float = 0.0,
    height: float = 0.0,
    line: int | None = None,
) -> tuple[Page, int]:
    """A page of these blocks, and how many characters were cut off because it is longer than `limit`.

    Args:
        removed: counts characters that were taken out (see `tidy`).
    """
    parts: list[str] = []
    regions: list[Region] = []
    at = lost = 0
    for block in blocks:
        text = "\n".join(line.rstrip(" \t") for line in tidy(block.text, removed).split("\n")).strip("\n")
        if not text.strip() and block.kind != "figure":
            continue
        begin = at + (len(_SEPARATOR) if at and text else 0)
        room = limit - begin
        if text and len(text) > room:
            lost += len(text) - max(room, 0)
            text = _whole(text, max(room, 0))
        if text:
            if at:
                parts.append(_SEPARATOR)
            parts.append(text)
            regions.append(Region(begin, begin + len(text), block.kind, block.box))
            at = begin + len(text)
        elif block.kind == "figure":
            regions.append(Region(at, at, "figure", block.box))
    text = "".join(parts)
    source: TextSource = "text" if text else "none"
    page = Page(
        number=number,
        text=text,
        regions=tuple(regions),
        heading=heading,
        source=source,
        pictured=pictured,
        unread=min(1.0, max(0.0, unread)),
        width=width,
        height=height,
        line=line,
    )
    return page, lost


def _whole(text: str, room: int) -> str:
    """The first `room` characters, not ending between a letter and the mark that belongs to it."""
    from unicodedata import combining

    while room and room < len(text) and (combining(text[room]) or text[room] in "\u200c\u200d\ufe0f"):
        room -= 1
    return text[:room].rstrip()


class Headings:
    """The headings that a place stands under, outermost first."""

    def __init__(self) -> None:
        self._open: list[tuple[int, str]] = []

    def enter(self, level: int, text: str) -> None:
        """A heading of this level opens; those of its level and below are over."""
        while self._open and self._open[-1][0] >= level:
            self._open.pop()
        said = one_line(text, 200)
        if said:
            self._open.append((level, said))

    def path(self) -> tuple[str, ...]:
        return tuple(text for _, text in self._open)


def sections(blocks: Iterable[Block], page_chars: int, removed: Counter[str]) -> Iterator[Page]:
    """Pages along the headings of a flow of blocks: a section each; long ones split, tiny neighbours joined.

    No text is lost: a block longer than a page goes on in the next one.
    """
    target = min(SECTION_CHARS, page_chars)
    number = 0
    for heading, held in _groups(blocks, target):
        page, _ = page_of(number + 1, held, page_chars, removed, heading=heading, line=held[0].line)
        if page.text:
            number += 1
            yield page


def _groups(blocks: Iterable[Block], target: int) -> Iterator[tuple[str, list[Block]]]:
    headings = Headings()
    held: list[Block] = []
    under: tuple[str, ...] = ()
    size = outermost = 0
    for whole in blocks:
        for block in split_block(whole, target):
            before = headings.path()
            if block.level:
                headings.enter(block.level, block.text)
            new = bool(block.level) and any(not one.level for one in held)
            tiny = size < TINY_CHARS and block.level >= outermost and len(before) > 0
            if held and (size + len(block.text) > target or (new and not tiny)):
                yield " > ".join(under), held
                held, size = [], 0
            if not held:
                under, outermost = headings.path(), block.level or 1
            elif new:  # a tiny section and its neighbour: what both stand under
                under = _common(under, headings.path())
            elif block.level:
                under = headings.path()
                outermost = min(outermost, block.level)
            held.append(block)
            size += len(block.text) + len(_SEPARATOR)
    if held:
        yield " > ".join(under), held


def _common(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    shared = 0
    while shared < min(len(one), len(other)) and one[shared] == other[shared]:
        shared += 1
    return one[:shared]


def split_block(block: Block, target: int) -> Iterator[Block]:
    """The block in pieces of at most `target` characters: at lines, else sentences, else anywhere."""
    if len(block.text) <= target:
        yield block
        return
    line = block.line
    first = True
    for piece in _pieces(block.text, target):
        if piece.strip():
            yield replace(block, text=piece, line=line, level=block.level if first else 0)
            first = False
        if line is not None:
            line += piece.count("\n")


def _pieces(text: str, target: int) -> Iterator[str]:
    at = 0
    while at < len(text):
        end = at + target
        if end >= len(text):
            yield text[at:]
            return
        cut = text.rfind("\n", at + target // 4, end) + 1
        if cut <= 0:
            sentences = [found.end() for found in _SENTENCE.finditer(text, at + target // 4, end) if found.end() <= end]
            cut = sentences[-1] if sentences else text.rfind(" ", at + target // 4, end) + 1
        if cut <= at:
            cut = end
        yield text[at:cut]
        at = cut
