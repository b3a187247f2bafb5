"""Full verification of an index."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np

from mainspring.errors import StoreError
from mainspring.library.index import calibration, rows
from mainspring.library.index.manifest import connect, explained
from mainspring.library.index.segment import file_digest
from mainspring.library.index.state import State


def problems(now: State, folder: Path, path: Path) -> list[str]:
    """What is wrong with the files behind a state, in sentences."""
    found: list[str] = []
    for live in now.live:
        named = live.segment.named
        try:
            whole = file_digest(folder / named.file) == named.digest
        except FileNotFoundError:
            continue  # joined into another while we read; the map keeps it alive for this state
        if not whole:
            found.append(f"{named.file}: its bytes are not those that were written")
        if int(live.segment.lists.max(initial=0)) >= max(1, len(live.segment.ids)):
            found.append(f"{named.file}: its lists name a page that it does not have")
    pages = now.ids
    if len(np.unique(pages)) != len(pages):
        found.append("a page is in the index twice")
    with closing(connect(path, 5.0)) as connection:
        try:
            with explained(path):
                found += _manifest(connection, now)
        except StoreError as error:
            found.append(str(error))
    return found


def _manifest(connection: sqlite3.Connection, now: State) -> list[str]:
    found = [f"manifest: {row[0]}" for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
    for id_, mean, basis, coarse, fine, starts, digest in connection.execute(
        "SELECT id, mean, basis, coarse, fine, starts, digest FROM calibrations"
    ):
        blobs = {"mean": mean, "basis": basis, "coarse": coarse, "fine": fine, "starts": starts}
        if calibration.digest(blobs) != digest:
            found.append(f"manifest: calibration {id_} is not the one that was written")
    for seq, page, count, crc, blob in connection.execute("SELECT seq, page, count, crc, vectors FROM pending"):
        if rows.decode(count, crc, blob, now.current.dim) is None:
            found.append(f"manifest: the vectors of page {page} (row {seq}) are damaged")
    return found
