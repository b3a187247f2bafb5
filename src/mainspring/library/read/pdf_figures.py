"""Figures of a PDF page, and how much of it is picture without words."""

from __future__ import annotations

from mainspring.library.page import Box
from mainspring.library.read.blocks import Block
from mainspring.library.read.pdf_chars import Frame, Things
from mainspring.library.read.pdf_lines import Line, Rect

#: A drawing has at least so many lines and areas.
_DRAWING = 6


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


def with_figures(blocks: list[tuple[Rect, Block]], found: list[Rect], frame: Frame) -> list[Block]:
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
        out.insert(at, (figure, Block("", "figure", box_of(figure, frame))))
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


def _area(rect: Rect) -> float:
    return max(0.0, rect[2] - rect[0]) * max(0.0, rect[3] - rect[1])


def _common(one: Rect, other: Rect) -> Rect:
    return max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])


def box_of(rect: Rect, frame: Frame) -> Box:
    def share(value: float, whole: float) -> float:
        return round(min(1.0, max(0.0, value / whole)), 5)

    return Box(
        share(rect[0], frame.width),
        share(rect[1], frame.height),
        share(rect[2], frame.width),
        share(rect[3], frame.height),
    )
