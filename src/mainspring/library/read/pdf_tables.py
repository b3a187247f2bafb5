"""Tables of a PDF page, by how their cells stand under each other."""

from __future__ import annotations

from mainspring.library.read.pdf_chars import Things
from mainspring.library.read.pdf_lines import Line, around

_MOST_COLUMNS = 60


def tables(lines: list[Line], things: Things) -> list[tuple[list[Line], bool]]:
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
    last_wide = at
    for index in range(at, len(rows)):
        row = rows[index]
        before = rows[index - 1] if index > at else row
        gap = min(line.top for line in row) - max(line.bottom for line in before)
        if index > at and gap > 2.5 * max(line.size for line in row):
            break
        fits = sum(any(_aligned(line, column) for column in columns) for line in row)
        if fits < 0.6 * len(row):
            break
        if len(row) >= 2 and len(columns) < _MOST_COLUMNS:
            columns += [line for line in row if not any(_aligned(line, column) for column in columns)]
        if len(row) >= 2:
            last_wide = index
        elif index - last_wide > 2:
            break
    return last_wide + 1


def _aligned(one: Line, other: Line) -> bool:
    slack = 0.8 * max(one.size, 4.0)
    return (
        abs(one.left - other.left) < slack
        or abs(one.right - other.right) < slack
        or abs(one.left + one.right - other.left - other.right) < 2 * slack
    )


def _ruled(lines: list[Line], things: Things) -> bool:
    left, top, right, bottom = around(lines)
    near = [r for r in things.rules if r[2] > left and r[0] < right and top - 12 < r[1] and r[3] < bottom + 12]
    return sum(r[2] - r[0] > 0.5 * (right - left) for r in near) >= 2


def table_text(lines: list[Line]) -> str:
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
