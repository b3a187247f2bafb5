"""From the characters of a PDF page to blocks in reading order: lines, columns, titles, tables, captions, figures."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

from mainspring.library.page import Box, RegionKind
from mainspring.library.read.base import Notes
from mainspring.library.read.blocks import Block
from mainspring.library.read.pdf_chars import Char, Frame, Things, chars_on, frame_of, things_on

if TYPE_CHECKING:
    from pypdfium2 import PdfPage  # type: ignore[import-untyped]

Rect = tuple[float, float, float, float]

_CAPTION = re.compile(
    r"(?:figure|fig\.|table|tab\.|chart|exhibit|abbildung|abb\.|tabelle|figura|tableau|图|表|圖)\s*[\dIVX一二三四五六七八九十]",
    re.I,
)
#: A drawing has at least so many lines and areas.
_DRAWING = 6
_LEADERS = re.compile(r"(?: ?[.·…]){5,} ?")
_ITEM = re.compile(r"(?:[•◦▪‣●○■□–—*-]|\(?\d{1,3}[.)]|\(?[a-z][.)])\s+\S")
_CJK = re.compile(
    "[\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff]"
)


@dataclass(slots=True)
class Line:
    """A run of words on one baseline, without a wide gap in it."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    size: float

    @property
    def height(self) -> float:
        return max(self.bottom - self.top, 1.0)


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
    for group in _in_order(lines, frame.width, frame.height):
        for lines_of_block, kind in _blocks(group, things, body, frame):
            rect = _around(lines_of_block)
            text = _table_text(lines_of_block) if kind == "table" else joined([line.text for line in lines_of_block])
            size = max(line.size for line in lines_of_block)
            level = _level(size, body) if kind == "title" else 0
            blocks.append((rect, Block(text, kind, _box(rect, frame), level=level)))
    placed = _with_figures(blocks, figures(things, [rect for rect, _ in blocks], frame), frame)
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


def lines_of(chars: list[Char], upright: int = 0) -> list[Line]:
    """Lines from characters in pdfium's order: broken where it breaks them, and at gaps as wide as between columns."""
    lines: list[Line] = []
    held: list[Char] = []

    def end() -> None:
        text = "".join(char.text for char in held)
        solid = [char for char in held if not char.text.isspace() and char.right >= char.left]
        if text.strip() and solid:
            lines.append(
                Line(
                    _unspaced(_LEADERS.sub(" ... ", " ".join(text.replace("\t", " ").split()))),
                    min(char.left for char in solid),
                    min(char.top for char in solid),
                    max(char.right for char in solid),
                    max(char.bottom for char in solid),
                    median(char.size for char in solid) or max(char.bottom - char.top for char in solid),
                )
            )
        held.clear()

    last: Char | None = None
    for char in chars:
        if char.text in "\r\n":
            end()
            last = None
            continue
        if not char.text.isspace() and char.text != "\u00ad":
            if last is not None and _apart(last, char, upright):
                end()
            last = char
        held.append(char)
    end()
    return lines


def _apart(one: Char, other: Char, upright: int) -> bool:
    """A gap between two characters that no space makes, or another baseline."""
    size = max(one.size, other.size, 4.0)
    if one.angle != other.angle:
        return True
    if one.angle != upright:  # a note on the page's side: pdfium's own lines are as good as any
        return False
    gap = max(other.left - one.right, one.left - other.right)
    if gap > 1.6 * size:
        return True
    return min(one.bottom, other.bottom) - max(one.top, other.top) < -0.6 * size


def _unspaced(text: str) -> str:
    """Without the single spaces that stand between ideographs only because the file places each by itself."""
    if not _CJK.search(text):
        return text
    return re.sub(f"(?<={_CJK.pattern}) (?={_CJK.pattern})", "", text)


def joined(lines: list[str]) -> str:
    """Lines of a paragraph, a newline between them; a word that a hyphen breaks at a line's end is whole again."""
    out: list[str] = []
    for line in lines:
        soft = bool(out) and out[-1].endswith("\u00ad")
        hard = bool(out) and len(out[-1]) > 2 and out[-1].endswith(("-", "\u2010")) and out[-1][-2].islower()
        if soft or (hard and line[:1].islower()):
            word, _, rest = line.partition(" ")
            out[-1] = out[-1][:-1] + word
            if rest:
                out.append(rest)
        else:
            out.append(line)
    return "\n".join(out)


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


# Reading order: the XY-cut of Nagy and Seth (1984). A region is cut along the widest empty column if there is one with
# enough text on both sides, else along empty rows; columns are read left to right, rows from the top.


def _in_order(lines: list[Line], width: float, height: float) -> list[list[Line]]:
    groups: list[list[Line]] = []
    _cut(lines, groups, width, depth=0)
    return groups


def _cut(lines: list[Line], groups: list[list[Line]], width: float, depth: int) -> None:
    if len(lines) < 4 or depth > 12:
        if lines:
            groups.append(_by_rows(lines))
        return
    column = _gutter(lines)
    if column is not None:
        left = [line for line in lines if (line.left + line.right) / 2 < column]
        right = [line for line in lines if (line.left + line.right) / 2 >= column]
        first, second = (right, left) if _right_to_left(lines) else (left, right)
        _cut(first, groups, width, depth + 1)
        _cut(second, groups, width, depth + 1)
        return
    for upper, lower in _row_cuts(lines):
        if _gutter(upper) is not None or _gutter(lower) is not None:
            _cut(upper, groups, width, depth + 1)
            _cut(lower, groups, width, depth + 1)
            return
    groups.append(_by_rows(lines))


def _gutter(lines: list[Line]) -> float | None:
    """The middle of an empty column between two columns of prose; None when there is none.

    Prose fills its column; cells of a table do not, so a table is not cut and its rows stay together.
    """
    if len(lines) < 4:
        return None
    size = median(line.size for line in lines)
    edges = sorted((line.left, line.right) for line in lines)
    reach = edges[0][1]
    best: tuple[float, float] | None = None
    for left, right in edges[1:]:
        if left - reach > max(0.8 * size, 4.0) and (best is None or left - reach > best[0]):
            best = (left - reach, (left + reach) / 2)
        reach = max(reach, right)
    if best is None:
        return None
    for side in (
        [line for line in lines if line.right <= best[1]],
        [line for line in lines if line.left >= best[1]],
    ):
        if len(side) < 2:
            return None
        wide = max(line.right for line in side) - min(line.left for line in side)
        full = sum(line.right - line.left > 0.6 * wide for line in side)
        letters = sum(_weight(line.text) for line in side) / len(side)
        if full < 0.5 * len(side) or letters < 18:
            return None
    return best[1]


def _weight(text: str) -> int:
    """Length of a line in Latin letters; an ideograph is as wide as two."""
    return len(text) + len(_CJK.findall(text))


def _row_cuts(lines: list[Line]) -> list[tuple[list[Line], list[Line]]]:
    """Ways to cut into an upper and a lower part at an empty row, the widest rows first."""
    ordered = sorted(lines, key=lambda line: line.top)
    gaps = []
    reach = ordered[0].bottom
    for index in range(1, len(ordered)):
        gap = ordered[index].top - reach
        if gap > 0:
            gaps.append((gap, index))
        reach = max(reach, ordered[index].bottom)
    gaps.sort(reverse=True)
    return [(ordered[:index], ordered[index:]) for _, index in gaps[:24]]


def _by_rows(lines: list[Line]) -> list[Line]:
    """From the top; what shares a row from the left, or from the right in scripts that run so."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda one: (one.top + one.bottom) / 2):
        middle = (line.top + line.bottom) / 2
        if rows and rows[-1][0].top <= middle <= rows[-1][0].bottom:
            rows[-1].append(line)
        else:
            rows.append([line])
    backwards = _right_to_left(lines)
    return [line for row in rows for line in sorted(row, key=lambda one: -one.right if backwards else one.left)]


def _right_to_left(lines: list[Line]) -> bool:
    directions = [unicodedata.bidirectional(character) for line in lines[:40] for character in line.text[:40]]
    return sum(way in ("R", "AL") for way in directions) > sum(way == "L" for way in directions)


def _blocks(lines: list[Line], things: Things, body: float, frame: Frame) -> list[tuple[list[Line], RegionKind]]:
    """Lines in order as blocks: tables first, then paragraphs by gaps and sizes."""
    blocks: list[tuple[list[Line], RegionKind]] = []
    for piece, is_table in _tables(lines, things):
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


def _tables(lines: list[Line], things: Things) -> list[tuple[list[Line], bool]]:
    """Lines in order as pieces that are a table or are none.

    A table: three rows or more one after another, most of several cells whose edges stand under each other; or two
    rows when lines are ruled between or around them.
    """
    rows: list[list[Line]] = []
    for line in lines:
        middle = (line.top + line.bottom) / 2
        if rows and rows[-1][0].top - 1 <= middle <= rows[-1][0].bottom + 1:
            rows[-1].append(line)
        else:
            rows.append([line])
    pieces: list[tuple[list[Line], bool]] = []
    loose: list[Line] = []
    at = 0
    while at < len(rows):
        end = _table_end(rows, at)
        ruled = end - at >= 2 and _ruled([line for row in rows[at:end] for line in row], things)
        if end - at >= 3 or ruled:
            if loose:
                pieces.append((loose, False))
                loose = []
            pieces.append(([line for row in rows[at:end] for line in row], True))
            at = end
        else:
            loose += rows[at]
            at += 1
    if loose:
        pieces.append((loose, False))
    return pieces


def _table_end(rows: list[list[Line]], at: int) -> int:
    """Index after the last row of the table that begins at `at`."""
    if len(rows[at]) < 2:
        return at
    columns = list(rows[at])
    end = last_wide = at
    for index in range(at, len(rows)):
        row = rows[index]
        before = rows[index - 1] if index > at else row
        gap = min(line.top for line in row) - max(line.bottom for line in before)
        if index > at and gap > 2.5 * max(line.size for line in row):
            break
        fits = sum(any(_aligned(line, column) for column in columns) for line in row)
        if fits < 0.6 * len(row):
            break
        if len(row) >= 2:
            columns += [line for line in row if not any(_aligned(line, column) for column in columns)]
            last_wide = index
        elif index - last_wide > 2:
            break
        end = index
    return last_wide + 1 if end >= last_wide else end


def _aligned(one: Line, other: Line) -> bool:
    slack = 0.8 * max(one.size, 4.0)
    return (
        abs(one.left - other.left) < slack
        or abs(one.right - other.right) < slack
        or abs(one.left + one.right - other.left - other.right) < 2 * slack
    )


def _ruled(lines: list[Line], things: Things) -> bool:
    left, top, right, bottom = _around(lines)
    near = [r for r in things.rules if r[2] > left and r[0] < right and top - 12 < r[1] and r[3] < bottom + 12]
    return sum(r[2] - r[0] > 0.5 * (right - left) for r in near) >= 2


def _table_text(lines: list[Line]) -> str:
    """Rows as lines, cells between bars."""
    out: list[str] = []
    row: list[Line] = []
    for line in lines:
        middle = (line.top + line.bottom) / 2
        if row and not row[0].top - 1 <= middle <= row[0].bottom + 1:
            out.append(" | ".join(one.text for one in row))
            row = []
        row.append(line)
    out.append(" | ".join(one.text for one in row))
    return "\n".join(out).replace("\u00ad", "-")


def figures(things: Things, texts: list[Rect], frame: Frame) -> list[Rect]:
    """Where pictures and drawings stand, those that touch as one. A ground for the whole page is none."""
    page = frame.width * frame.height
    found = [rect for rect in things.pictures if _area(rect) > 0.005 * page]
    parts = [rect for rect in (*things.areas[:600], *things.rules[:200]) if _area(rect) < 0.8 * page]
    for rect in _merged(parts):
        if sum(_area(_common(rect, part)) > 0.5 * _area(part) for part in parts) < _DRAWING:
            continue  # a box, a bar, a ground for text
        covered = sum(_area(_common(rect, text)) for text in texts)
        if _area(rect) > 0.01 * page and covered < 0.5 * _area(rect) and min(rect[2] - rect[0], rect[3] - rect[1]) > 24:
            found.append(rect)
    return _merged(found)


def _merged(rects: list[Rect]) -> list[Rect]:
    merged: list[Rect] = []
    for rect in sorted(rects):
        now = rect
        while True:
            touching = [other for other in merged if _touch(now, other)]
            if not touching:
                break
            merged = [other for other in merged if other not in touching]
            for other in touching:
                now = (min(now[0], other[0]), min(now[1], other[1]), max(now[2], other[2]), max(now[3], other[3]))
        merged.append(now)
    return merged


def _touch(one: Rect, other: Rect, near: float = 6.0) -> bool:
    return (
        one[0] - near < other[2] and other[0] - near < one[2] and one[1] - near < other[3] and other[1] - near < one[3]
    )


def _with_figures(blocks: list[tuple[Rect, Block]], found: list[Rect], frame: Frame) -> list[Block]:
    """The figures among the blocks: each before its caption, or before the first block that begins below its top."""
    out = [(rect, block) for rect, block in blocks]
    for figure in found:
        at = len(out)
        for index, (rect, block) in enumerate(out):
            beside = rect[0] < figure[2] and rect[2] > figure[0]
            if (block.kind == "caption" and beside and -12 < rect[1] - figure[3] < 40) or (
                beside and rect[1] >= figure[1] and block.kind != "figure"
            ):
                at = index
                break
        out.insert(at, (figure, Block("", "figure", _box(figure, frame))))
    return [block for _, block in out]


def unread_share(pictures: list[Rect], lines: list[Line], frame: Frame) -> float:
    """Share of the page that pictures cover and no text stands on, on a grid of 64 by 64."""
    if not pictures:
        return 0.0
    import numpy as np

    grid = np.zeros((64, 64), dtype=bool)

    def fill(rect: Rect, value: bool) -> None:
        left, top = int(rect[0] / frame.width * 64 + 0.5), int(rect[1] / frame.height * 64 + 0.5)
        right, bottom = int(rect[2] / frame.width * 64 + 0.5), int(rect[3] / frame.height * 64 + 0.5)
        grid[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = value

    for rect in pictures:
        fill(rect, True)
    if grid.any():
        for line in lines:
            pad = line.size / 2
            fill((line.left - pad, line.top - pad, line.right + pad, line.bottom + pad), False)
    return float(grid.mean())


def _around(lines: list[Line]) -> Rect:
    return (
        min(line.left for line in lines),
        min(line.top for line in lines),
        max(line.right for line in lines),
        max(line.bottom for line in lines),
    )


def _area(rect: Rect) -> float:
    return max(0.0, rect[2] - rect[0]) * max(0.0, rect[3] - rect[1])


def _common(one: Rect, other: Rect) -> Rect:
    return max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])


def _box(rect: Rect, frame: Frame) -> Box:
    def share(value: float, whole: float) -> float:
        return round(min(1.0, max(0.0, value / whole)), 5)

    return Box(
        share(rect[0], frame.width),
        share(rect[1], frame.height),
        share(rect[2], frame.width),
        share(rect[3], frame.height),
    )
