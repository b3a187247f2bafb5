"""From a PDF page to blocks in reading order: titles, text, lists, tables, captions, figures."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mainspring.library.page import Box, RegionKind
from mainspring.library.read.base import Notes
from mainspring.library.read.blocks import Block
from mainspring.library.read.pdf_chars import Char, Frame, Things, chars_on, frame_of, things_on
from mainspring.library.read.pdf_figures import box_of, figures, unread_share, with_figures
from mainspring.library.read.pdf_lines import Line, Rect, around, joined, lines_of
from mainspring.library.read.pdf_order import in_order
from mainspring.library.read.pdf_tables import table_text, tables

if TYPE_CHECKING:
    from pypdfium2 import PdfPage  # type: ignore[import-untyped]

_CAPTION = re.compile(
    r"(?:figure|fig\.|table|tab\.|chart|exhibit|abbildung|abb\.|tabelle|figura|tableau|图|表|圖)\s*[\dIVX一二三四五六七八九十]",
    re.I,
)
_ITEM = re.compile(r"(?:[•◦▪‣●○■□–—*-]|\(?\d{1,3}[.)]|\(?[a-z][.)])\s+\S")


@dataclass(frozen=True, slots=True)
class Layout:
    """A page's blocks in reading order, its size in points, and the share of it that is picture without text."""

    blocks: list[Block]
    width: float
    height: float
    unread: float


def layout(page: PdfPage, notes: Notes) -> Layout:
    """What stands on a page.

    A page whose text lies on its side is laid out as it is read; the boxes are those of the page as it is shown.
    """
    shown = frame_of(page)
    frame = shown
    things = things_on(page, frame)
    chars = chars_on(page, frame, things, notes)
    turned = _main_angle(chars)
    if turned != frame.rotation:
        frame = Frame(frame.left, frame.bottom, frame.right, frame.top, turned)
        things = things_on(page, frame)
        chars = [_turned(char, shown, frame) for char in chars]
    lines = lines_of(chars, frame.rotation)
    body = _body_size(lines)
    blocks: list[tuple[Rect, Block]] = []
    for group in in_order(lines):
        for lines_of_block, kind in _blocks(group, things, body, frame):
            rect = around(lines_of_block)
            text = table_text(lines_of_block) if kind == "table" else joined([line.text for line in lines_of_block])
            size = max(line.size for line in lines_of_block)
            level = _level(size, body) if kind == "title" else 0
            blocks.append((rect, Block(text, kind, box_of(rect, frame), level=level)))
    placed = with_figures(blocks, figures(things, [rect for rect, _ in blocks], frame), frame)
    unread = unread_share(things.pictures, lines, frame)
    back = (shown.rotation - frame.rotation) % 360
    if back:
        placed = [replace(block, box=block.box and _turn_box(block.box, back)) for block in placed]
    return Layout(placed, shown.width, shown.height, unread)


def _main_angle(chars: list[Char]) -> int:
    """How most of the text is turned; a page is upright after a clockwise rotation by as much."""
    counts = Counter(char.angle for char in chars if not char.text.isspace())
    return counts.most_common(1)[0][0] if counts else 0


def _turned(char: Char, shown: Frame, frame: Frame) -> Char:
    box = Box(char.left / shown.width, char.top / shown.height, char.right / shown.width, char.bottom / shown.height)
    new = _turn_box(box, (frame.rotation - shown.rotation) % 360)
    return replace(
        char,
        left=new.left * frame.width,
        top=new.top * frame.height,
        right=new.right * frame.width,
        bottom=new.bottom * frame.height,
    )


def _turn_box(box: Box, degrees: int) -> Box:
    """A box after the page is turned clockwise."""
    if degrees == 90:
        return Box(1 - box.bottom, box.left, 1 - box.top, box.right)
    if degrees == 180:
        return Box(1 - box.right, 1 - box.bottom, 1 - box.left, 1 - box.top)
    if degrees == 270:
        return Box(box.top, 1 - box.right, box.bottom, 1 - box.left)
    return box


def _body_size(lines: list[Line]) -> float:
    """The size that most characters of the page are set in."""
    weights: dict[float, int] = {}
    for line in lines:
        size = round(line.size * 2) / 2
        weights[size] = weights.get(size, 0) + len(line.text)
    return max(weights, key=lambda size: weights[size]) if weights else 0.0


def _level(size: float, body: float) -> int:
    ratio = size / body if body else 1.0
    return 1 if ratio >= 1.7 else 2 if ratio >= 1.35 else 3


def _blocks(lines: list[Line], things: Things, body: float, frame: Frame) -> list[tuple[list[Line], RegionKind]]:
    """Lines in order as blocks: tables first, then paragraphs by gaps and sizes."""
    blocks: list[tuple[list[Line], RegionKind]] = []
    for piece, is_table in tables(lines, things):
        if is_table:
            blocks.append((piece, "table"))
            continue
        held: list[Line] = []
        for line in piece:
            if held and _new_paragraph(held, line):
                blocks.append((held, _kind(held, body, frame)))
                held = []
            held.append(line)
        if held:
            blocks.append((held, _kind(held, body, frame)))
    return blocks


def _new_paragraph(held: list[Line], line: Line) -> bool:
    last = held[-1]
    gap = line.top - last.bottom
    size = max(last.size, line.size)
    if abs(last.size - line.size) > 0.12 * size or gap > 0.75 * size or gap < -1.5 * size:
        return True
    if _CAPTION.match(line.text):
        return True
    if _ITEM.match(line.text):
        return not _ITEM.match(held[0].text)
    indent = line.left - min(one.left for one in held)
    short = last.right < max(one.right for one in held) - 3 * size
    return short and 0.9 * size < indent < 5 * size and len(held) > 1


def _kind(lines: list[Line], body: float, frame: Frame) -> RegionKind:
    text = lines[0].text
    size = max(line.size for line in lines)
    if _CAPTION.match(text) and len(lines) <= 12:
        return "caption"
    if len(lines) <= 2 and sum(len(line.text) for line in lines) < 120:
        if lines[-1].bottom < 0.07 * frame.height and size <= body * 1.1:
            return "header"
        if lines[0].top > 0.93 * frame.height and size <= body * 1.1:
            return "footer"
    if body and size >= 1.15 * body and len(lines) <= 4 and sum(len(line.text) for line in lines) < 250:
        return "title"
    return "list" if _ITEM.match(text) else "text"
