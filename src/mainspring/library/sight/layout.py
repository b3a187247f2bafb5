"""Where tables, figures, captions and titles stand on a page picture, by rules over its ink and its lines.

Nothing is learned here, and nothing is guessed without a sign: a table has rules or aligned columns, a figure is a
large connected area that is not text, a caption says so and stands beside one of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mainspring.library.page import Box, RegionKind
from mainspring.library.sight.lines import Line, covered, rows_of

if TYPE_CHECKING:
    from PIL.Image import Image

#: Longest side at which a page is measured.
_SIDE = 1_000
#: A figure covers this share of the page, and of its width and height, at the least.
_FIGURE, _FIGURE_SIDE = 0.015, 0.05
#: A title is so many times higher than the line in the middle.
_TITLE = 1.35
#: Headers and footers stand within this share of the page's height from its edge.
_MARGIN = 0.07
_CAPTION = re.compile(
    r"(?:fig(?:ure|\.)?|table|tab\.|chart|plate|图表?|圖|表格?)\s*[\dIVXA-Z一二三四五六七八九十]+(?:[.:：、\-–\s]|$)",
    re.I,
)

Found = tuple[RegionKind, Box]


def regions(image: Image, lines: Sequence[Line]) -> list[Found]:
    """The regions of a page, from top to bottom.

    Args:
        image: the page, RGB, upright.
        lines: its text, with boxes on that picture.
    """
    ink = _ink(image)
    boxes = [line.box for line in lines]
    tables = _ruled(ink)
    tables += [box for box in _aligned(lines) if not any(_touch(box, other) for other in tables)]
    figures = [box for box in _figures(ink, boxes, tables) if not any(covered(box, other) > 0.5 for other in tables)]
    found: list[Found] = [("table", box) for box in tables]
    found.extend(("figure", box) for box in figures)
    found += _lines(lines, [*tables, *figures])
    return sorted(found, key=lambda item: (item[1].top, item[1].left))


def _ink(image: Image) -> Any:
    """What differs from the paper: 255 there, 0 elsewhere; at most `_SIDE` pixels long."""
    import cv2
    import numpy as np
    from PIL import Image as Pillow

    share = min(1.0, _SIDE / max(image.size))
    size = max(1, round(image.width * share)), max(1, round(image.height * share))
    pixels = np.asarray(image.convert("RGB").resize(size, Pillow.Resampling.BOX)).astype(np.int16)
    # The paper is the commonest colour, in coarse steps so that noise does not split it.
    codes, counts = np.unique((pixels >> 4).reshape(-1, 3), axis=0, return_counts=True)
    paper = (codes[counts.argmax()] << 4) + 8
    mask = (np.abs(pixels - paper).max(axis=2) > 36).astype(np.uint8) * 255
    return cv2.medianBlur(mask, 3) if min(size) > 600 and float(np.mean(mask > 0)) > 0.4 else mask


def _ruled(ink: Any) -> list[Box]:
    """Tables with rules: at least three level and two upright lines, or the other way, that cross."""
    import cv2
    import numpy as np

    high, wide = ink.shape
    level = cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones((1, max(20, wide // 18)), np.uint8))
    upright = cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones((max(12, high // 60), 1), np.uint8))
    # Solid areas (bars, photos) are no lines.
    solid = cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones((9, 9), np.uint8))
    level[cv2.dilate(solid, np.ones((3, 3), np.uint8)) > 0] = 0
    upright[cv2.dilate(solid, np.ones((3, 3), np.uint8)) > 0] = 0
    grid = cv2.dilate(np.maximum(level, upright), np.ones((3, 3), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(grid)
    found = []
    for n in range(1, count):
        x, y, w, h = (int(v) for v in stats[n][:4])
        if w < 0.1 * wide or h < 0.02 * high:
            continue
        here = labels[y : y + h, x : x + w] == n
        rows = _runs(((level[y : y + h, x : x + w] > 0) & here).sum(axis=1) > 0.5 * w)
        columns = _runs(((upright[y : y + h, x : x + w] > 0) & here).sum(axis=0) > 0.5 * h)
        if rows >= 2 and columns >= 2 and rows + columns >= 5:
            found.append(Box(x / wide, y / high, (x + w) / wide, (y + h) / high))
    return found


def _runs(flags: Any) -> int:
    """How many unbroken stretches of True there are."""
    import numpy as np

    return int(np.count_nonzero(np.diff(np.concatenate([[0], flags.astype(np.int8)])) == 1))


def _aligned(lines: Sequence[Line]) -> list[Box]:
    """Tables without rules: three or more rows in turn whose short pieces begin or end under each other."""
    if not lines:
        return []
    places = [(line.box.left, line.box.top, line.box.right, line.box.bottom) for line in lines]
    height = sorted(p[3] - p[1] for p in places)[len(places) // 2]
    rows = rows_of(places, list(range(len(places))))
    found: list[Box] = []
    run: list[list[int]] = []

    def close() -> None:
        if len(run) >= 3:
            some = [places[n] for row in run for n in row]
            found.append(
                Box(min(p[0] for p in some), min(p[1] for p in some), max(p[2] for p in some), max(p[3] for p in some))
            )
        run.clear()

    for row in rows:
        cells = len(row) >= 2 and all(len(lines[n].text) <= 40 for n in row)
        if run and cells and (not _under(places, run[-1], row) or _gap(places, run[-1], row) > 2.5 * height):
            close()
        if cells:
            run.append(row)
        else:
            close()
    close()
    return found


def _under(places: Sequence[tuple[float, float, float, float]], above: list[int], row: list[int]) -> bool:
    """Whether most pieces of the shorter row begin, end or have their middle where one above does."""

    def near(a: int, b: int) -> bool:
        one, other = places[a], places[b]
        middles = abs((one[0] + one[2]) - (other[0] + other[2])) / 2
        return min(abs(one[0] - other[0]), abs(one[2] - other[2]), middles) < 0.015

    hits = sum(any(near(n, m) for m in above) for n in row)
    return hits >= 2 and hits * 2 > min(len(above), len(row))


def _gap(places: Sequence[tuple[float, float, float, float]], above: list[int], row: list[int]) -> float:
    return min(places[n][1] for n in row) - max(places[n][3] for n in above)


def _figures(ink: Any, lines: Sequence[Box], tables: Sequence[Box]) -> list[Box]:
    """Large areas of ink that are neither text nor tables."""
    import cv2
    import numpy as np

    high, wide = ink.shape
    rest = ink.copy()
    for box in tables:
        rest[int(box.top * high) : int(box.bottom * high) + 2, int(box.left * wide) : int(box.right * wide) + 2] = 0
    words = np.zeros_like(rest)
    for box in lines:
        words[int(box.top * high) : int(box.bottom * high) + 1, int(box.left * wide) : int(box.right * wide) + 1] = 255
    bare = cv2.bitwise_and(rest, cv2.bitwise_not(words))
    reach = max(5, round(0.02 * max(high, wide)))
    joined = cv2.morphologyEx(bare, cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(joined)
    found = []
    for n in range(1, count):
        x, y, w, h = (int(v) for v in stats[n][:4])
        if w * h >= _FIGURE * wide * high and w >= _FIGURE_SIDE * wide and h >= _FIGURE_SIDE * high:
            found.append(Box(x / wide, y / high, (x + w) / wide, (y + h) / high))
    # A part of a figure that stands within another's rectangle belongs to it.
    return [box for box in found if not any(other is not box and covered(box, other) > 0.9 for other in found)]


def _lines(lines: Sequence[Line], areas: Sequence[Box]) -> list[Found]:
    """Captions, titles, headers and footers among the lines."""
    free = [line for line in lines if not any(covered(line.box, area) > 0.6 for area in areas)]
    if not free:
        return []
    heights = sorted(line.box.bottom - line.box.top for line in free)
    middle = heights[len(heights) // 2]
    found: list[Found] = []
    for line in free:
        box, height = line.box, line.box.bottom - line.box.top
        others = [other.box for other in free if other is not line]
        if _CAPTION.match(line.text) and any(_beside(box, area, 3 * middle) for area in areas):
            found.append(("caption", box))
        elif box.bottom <= _MARGIN and height <= 1.2 * middle and _alone(box, others, middle, below=True):
            found.append(("header", box))
        elif box.top >= 1 - _MARGIN and height <= 1.2 * middle and _alone(box, others, middle, below=False):
            found.append(("footer", box))
        elif len(free) > 1 and height >= _TITLE * middle and len(line.text) <= 120:
            found.append(("title", box))
    return found


def _alone(box: Box, others: Sequence[Box], height: float, *, below: bool) -> bool:
    """Whether there is room of a line and a half between a line at the edge and the text."""
    gaps = [other.top - box.bottom if below else box.top - other.bottom for other in others]
    same = [other for other in others if min(other.bottom, box.bottom) > max(other.top, box.top)]
    return all(gap >= 1.5 * height for gap in gaps if gap > -height / 2) or (bool(same) and len(same) == len(others))


def _beside(box: Box, area: Box, reach: float) -> bool:
    """Whether a line stands right above or below an area, or within its lowest or highest part."""
    over = min(box.right, area.right) > max(box.left, area.left)
    return over and (abs(area.top - box.bottom) <= reach or abs(box.top - area.bottom) <= reach)


def _touch(one: Box, other: Box) -> bool:
    return covered(one, other) > 0.3 or covered(other, one) > 0.3
