"""The order in which the lines of a PDF page are read.

The XY-cut of Nagy and Seth (1984): a region is cut along its widest empty column where prose stands on both sides, else
along an empty row above or below such a pair of columns. Columns are read left to right, rows from the top.
"""

from __future__ import annotations

import unicodedata
from statistics import median

from mainspring.library.read.pdf_lines import Line, weight

#: More lines than this are no prose but a drawing made of letters; they are read row by row.
_MOST_LINES = 3_000


def in_order(lines: list[Line]) -> list[list[Line]]:
    """The lines in groups, columns and what lies across them, each in the order of reading."""
    groups: list[list[Line]] = []
    _cut(lines, groups, depth=0)
    return groups


def _cut(lines: list[Line], groups: list[list[Line]], depth: int) -> None:
    if len(lines) < 4 or depth > 12 or len(lines) > _MOST_LINES:
        if lines:
            groups.append(_by_rows(lines))
        return
    column = _gutter(lines)
    if column is not None:
        left = [line for line in lines if (line.left + line.right) / 2 < column]
        right = [line for line in lines if (line.left + line.right) / 2 >= column]
        first, second = (right, left) if _right_to_left(lines) else (left, right)
        _cut(first, groups, depth + 1)
        _cut(second, groups, depth + 1)
        return
    for upper, lower in _row_cuts(lines):
        if _gutter(upper) is not None or _gutter(lower) is not None:
            _cut(upper, groups, depth + 1)
            _cut(lower, groups, depth + 1)
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
        letters = sum(weight(line.text) for line in side) / len(side)
        if full < 0.5 * len(side) or letters < 18:
            return None
    return best[1]


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
