"""Lines of text found on a picture, and the order in which a person reads them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from mainspring.library.page import Box, Page, Region, RegionKind

#: Two boxes stand in one row when they share this part of the lower one's height.
_ROW = 0.5
#: A line at least this wide, of its block's width, ends the columns above it and begins new ones below.
_WIDE = 0.6
#: Lines on each side of a gutter that make it one between columns, and their width in line heights at the least:
#: the narrow cells of a table are read row by row.
_COLUMN_LINES, _COLUMN_WIDTH = 3, 6.0


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text.

    Args:
        text: what it says, NFC, on one line.
        box: where it stands, as fractions of the picture as it was given (not turned).
        confidence: mean probability (0 to 1) of its characters, by the recogniser.
    """

    text: str
    box: Box
    confidence: float


@dataclass(frozen=True, slots=True)
class Sighted:
    """What was read from a picture.

    Args:
        lines: in reading order.
        rows: for each line, the number of its row; lines of one row stand beside each other.
        turned: degrees (0, 90, 180, 270) by which the picture was turned clockwise to be read.
        areas: tables, figures, captions, titles ... (`layout.regions`); none for a turned page.
    """

    lines: tuple[Line, ...] = ()
    rows: tuple[int, ...] = ()
    turned: int = 0
    areas: tuple[tuple[RegionKind, Box], ...] = ()

    @property
    def text(self) -> str:
        """All of it: rows by newlines, pieces of a row by spaces."""
        return self.placed()[0]

    def placed(self) -> tuple[str, tuple[tuple[int, int], ...]]:
        """The text, and which characters (start, end) of it each line covers."""
        parts: list[str] = []
        spans: list[tuple[int, int]] = []
        at = 0
        for n, line in enumerate(self.lines):
            if n:
                parts.append(" " if self.rows[n] == self.rows[n - 1] else "\n")
                at += 1
            parts.append(line.text)
            spans.append((at, at + len(line.text)))
            at += len(line.text)
        return "".join(parts), tuple(spans)


def page_from(
    sighted: Sighted,
    base: Page,
    regions: Sequence[tuple[RegionKind, Box]] | None = None,
    *,
    most_chars: int = 20_000,
) -> Page:
    """The page `base` with what was read from its picture as text.

    Args:
        base: gives number, heading, size and time.
        regions: instead of `sighted.areas`. A line takes the kind of the region that it stands in; tables and
            figures become regions of their own as well.
        most_chars: as `ReadLimits.page_chars`; lines beyond are left out.
    """
    regions = sighted.areas if regions is None else regions
    text, spans = sighted.placed()
    lines = list(zip(sighted.lines, spans, strict=True))
    lines = [(line, span) for line, span in lines if span[1] <= most_chars]
    text = text[: lines[-1][1][1]] if lines else ""
    found: list[Region] = []
    inside: list[list[tuple[int, int]]] = [[] for _ in regions]
    for line, (start, end) in lines:
        kind: RegionKind = "text"
        for n, (other, box) in enumerate(regions):
            if covered(line.box, box) >= 0.6:
                inside[n].append((start, end))
                kind = other if other not in ("table", "figure") else kind
        found.append(Region(start, end, kind, line.box))
    for n, (kind, box) in enumerate(regions):
        if kind in ("table", "figure"):
            first = min((start for start, _ in inside[n]), default=len(text) if not lines else _near(lines, box))
            found.append(Region(first, max((end for _, end in inside[n]), default=first), kind, box))
    return Page(
        number=base.number,
        text=text,
        regions=tuple(sorted(found, key=lambda region: (region.start, region.end))),
        heading=base.heading,
        source="ocr" if text else "none",
        pictured=True,
        unread=0.0,
        width=base.width,
        height=base.height,
        begins_s=base.begins_s,
        ends_s=base.ends_s,
    )


def _near(lines: Sequence[tuple[Line, tuple[int, int]]], box: Box) -> int:
    """Where in the text a box without words belongs: before the first line that begins below its top."""
    below = [start for line, (start, _) in lines if line.box.top >= box.top]
    return min(below, default=lines[-1][1][1])


def covered(box: Box, by: Box) -> float:
    """Which share (0 to 1) of a box another one covers."""
    area = (box.right - box.left) * (box.bottom - box.top)
    width = min(box.right, by.right) - max(box.left, by.left)
    height = min(box.bottom, by.bottom) - max(box.top, by.top)
    return width * height / area if width > 0 and height > 0 and area > 0 else 0.0


def clean(text: str) -> str:
    """Text as a page may hold it: NFC, on one line, without control characters and lone surrogates."""
    text = unicodedata.normalize("NFC", text)
    kept = (" " if c.isspace() else c for c in text if c.isspace() or unicodedata.category(c) not in ("Cc", "Cs"))
    return " ".join("".join(kept).split())


#: (left, top, right, bottom) in any unit.
_Rect = tuple[float, float, float, float]


def reading_order(boxes: Sequence[_Rect]) -> list[list[int]]:
    """Numbers of the boxes, row by row, as they are read: columns first, then rows, then from left to right."""
    if not boxes:
        return []
    heights = sorted(bottom - top for _, top, _, bottom in boxes)
    return _block(boxes, sorted(range(len(boxes)), key=lambda n: boxes[n][1]), heights[len(heights) // 2] or 1.0)


def _block(boxes: Sequence[_Rect], numbers: list[int], height: float) -> list[list[int]]:
    split = _gutter(boxes, numbers, height)
    if split is not None:
        return [row for side in split for row in _block(boxes, side, height)]
    left, right = min(boxes[n][0] for n in numbers), max(boxes[n][2] for n in numbers)
    wide = [n for n in numbers if boxes[n][2] - boxes[n][0] >= _WIDE * (right - left)]
    if wide and len(wide) < len(numbers):
        return _between(boxes, numbers, wide, height)
    return rows_of(boxes, numbers)


def _between(boxes: Sequence[_Rect], numbers: list[int], wide: list[int], height: float) -> list[list[int]]:
    """Cut a block at its wide lines; what stands between two of them may have columns."""
    row_of = {n: number for number, row in enumerate(rows_of(boxes, numbers)) for n in row}
    is_wide = {row_of[n] for n in wide}
    pieces: list[tuple[bool, list[int]]] = []
    for n in sorted(numbers, key=lambda n: row_of[n]):
        flag = row_of[n] in is_wide
        if not pieces or pieces[-1][0] != flag:
            pieces.append((flag, []))
        pieces[-1][1].append(n)
    if len(pieces) == 1:
        return rows_of(boxes, numbers)
    found: list[list[int]] = []
    for flag, piece in pieces:
        found += rows_of(boxes, piece) if flag else _block(boxes, piece, height)
    return found


def _gutter(boxes: Sequence[_Rect], numbers: list[int], height: float) -> tuple[list[int], list[int]] | None:
    """The widest empty strip from top to bottom with a column of text on each side; None when there is none."""
    if len(numbers) < 2 * _COLUMN_LINES:
        return None
    by_left = sorted(numbers, key=lambda n: boxes[n][0])
    best: tuple[float, float] | None = None
    right = boxes[by_left[0]][2]
    for n in by_left[1:]:
        gap = boxes[n][0] - right
        if gap >= 0.5 * height and (best is None or gap > best[0]):
            best = gap, right
        right = max(right, boxes[n][2])
    if best is None:
        return None
    sides = [n for n in numbers if boxes[n][2] <= best[1]], [n for n in numbers if boxes[n][2] > best[1]]
    for side in sides:
        widths = sorted(boxes[n][2] - boxes[n][0] for n in side)
        if len(side) < _COLUMN_LINES or widths[len(widths) // 2] < _COLUMN_WIDTH * height:
            return None
    return sides


def rows_of(boxes: Sequence[_Rect], numbers: Sequence[int]) -> list[list[int]]:
    """Rows from top to bottom by vertical overlap, each from left to right."""
    rows: list[tuple[float, float, list[int]]] = []
    for n in sorted(numbers, key=lambda n: (boxes[n][1] + boxes[n][3]) / 2):
        _, top, _, bottom = boxes[n]
        if rows:
            above_top, above_bottom, row = rows[-1]
            shared = min(bottom, above_bottom) - max(top, above_top)
            if shared > _ROW * min(bottom - top, above_bottom - above_top):
                row.append(n)
                rows[-1] = (min(top, above_top), max(bottom, above_bottom), row)
                continue
        rows.append((top, bottom, [n]))
    return [sorted(row, key=lambda n: boxes[n][0]) for _, _, row in rows]
