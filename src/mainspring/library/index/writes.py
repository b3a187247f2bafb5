"""Changes to the manifest, each one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import numpy as np

from mainspring.library.index import calibration as calibrations
from mainspring.library.index import rows
from mainspring.library.index.build import Made
from mainspring.library.index.calibration import Calibration
from mainspring.library.index.numbers import F32, I64
from mainspring.library.index.state import State


def take_out(connection: sqlite3.Connection, state: State, pages: I64) -> int:
    """Remove the sorted pages wherever they are. `state` is the newest one. Returns how many there were."""
    count = 0
    for live in state.live:
        places = live.segment.places(pages)
        if live.dead is not None:
            places = places[~live.dead[places]]
        mark_gone(connection, live.segment.named.id, live.segment.ids[places])
        count += len(places)
    waiting = [(int(page),) for page in pages if int(page) in state.pending.by_page]
    connection.executemany("DELETE FROM pending WHERE page = ?", waiting)
    return count + len(waiting)


def mark_gone(connection: sqlite3.Connection, segment: int, pages: Iterable[int] | I64) -> None:
    """Note that pages of a segment are removed."""
    connection.executemany(
        "INSERT OR IGNORE INTO gone (segment, page) VALUES (?, ?)", [(segment, int(page)) for page in pages]
    )


def put_row(connection: sqlite3.Connection, page: int, vectors: F32) -> None:
    """Put a page among those that wait."""
    crc, blob = rows.encode(vectors)
    connection.execute(
        "INSERT INTO pending (page, count, crc, vectors) VALUES (?, ?, ?, ?)", (page, len(vectors), crc, blob)
    )


def put_segment(connection: sqlite3.Connection, made: Made, calibration: int) -> int:
    """Name a segment. Returns its number."""
    cursor = connection.execute(
        "INSERT INTO segments (file, calibration, pages, tokens, pooled, size, head, digest) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (made.file, calibration, made.pages, made.tokens, made.pooled, made.size, made.head, made.digest),
    )
    return int(cursor.lastrowid or 0)


def put_calibration(connection: sqlite3.Connection, made: Calibration, *, fresh: bool = True) -> int:
    """Keep a calibration that segments are about to be named by. Returns its number.

    One that is not fresh may have been dropped while the segment was written, because another process has joined all
    others by a newer one: it is kept again under its own number, which nobody else gets.
    """
    if not fresh:
        kept = made.id == 0 or connection.execute("SELECT 1 FROM calibrations WHERE id = ?", (made.id,)).fetchone()
        if kept:
            return made.id
    blobs = made.blobs()
    cursor = connection.execute(
        "INSERT INTO calibrations (id, tokens, mean, basis, coarse, fine, starts, digest) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            None if fresh else made.id,
            made.tokens,
            *(blobs[name] for name in ("mean", "basis", "coarse", "fine", "starts")),
            calibrations.digest(blobs),
        ),
    )
    return int(cursor.lastrowid or 0)


def drop_segments(connection: sqlite3.Connection, segments: Iterable[int]) -> None:
    """Forget segments, and calibrations that no segment is kept by any more but the newest."""
    for id_ in segments:
        connection.execute("DELETE FROM segments WHERE id = ?", (id_,))
        connection.execute("DELETE FROM gone WHERE segment = ?", (id_,))
    connection.execute(
        "DELETE FROM calibrations WHERE id NOT IN (SELECT calibration FROM segments) "
        "AND id < (SELECT max(id) FROM calibrations)"
    )


def gone_of(connection: sqlite3.Connection, segments: Iterable[int]) -> I64:
    """All removed pages of segments, sorted."""
    found = [
        page
        for id_ in segments
        for (page,) in connection.execute("SELECT page FROM gone WHERE segment = ?", (id_,)).fetchall()
    ]
    return np.unique(np.array(found, dtype=np.int64))
