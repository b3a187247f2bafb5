"""What a search reads: one committed state of the index, in memory. It never changes once it is made."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mainspring.errors import StoreError
from mainspring.library.index import rows
from mainspring.library.index.calibration import Calibration, from_blobs
from mainspring.library.index.manifest import explained
from mainspring.library.index.numbers import F32, I8, I64, Mask, offsets, quantise
from mainspring.library.index.segment import Named, Segment

_TRIES = 8


@dataclass(frozen=True)
class Live:
    """A segment with what was removed from it: `dead[place]` is True for those pages; None when there are none."""

    segment: Segment
    calibration: Calibration
    dead: Mask | None = None

    @cached_property
    def alive(self) -> int:
        """Pages that are left."""
        return len(self.segment.ids) - (0 if self.dead is None else int(self.dead.sum()))

    @cached_property
    def filled(self) -> Mask:
        """Which places hold a page that can be found: not removed, and with a vector."""
        mask = self.segment.token_counts > 0
        return mask if self.dead is None else mask & ~self.dead

    @cached_property
    def findable(self) -> I64:
        """The places of `filled`."""
        return np.flatnonzero(self.filled)

    def places(self) -> I64:
        """Places of the pages that are left."""
        if self.dead is None:
            return np.arange(len(self.segment.ids), dtype=np.int64)
        return np.flatnonzero(~self.dead)

    def place(self, page: int) -> int:
        """Where the page lies; -1 when it is not here or was removed."""
        at = self.segment.place(page)
        return -1 if at < 0 or (self.dead is not None and self.dead[at]) else at


class Waiting(NamedTuple):
    """A page that waits: its number, and its vectors in eight bits with what a step of each is worth."""

    page: int
    codes: I8
    scale: F32


@dataclass(frozen=True)
class Pending:
    """Pages that wait in the manifest, by the number of their row, with vectors as they would be kept now."""

    by_row: dict[int, Waiting] = field(default_factory=dict)

    @cached_property
    def by_page(self) -> dict[int, int]:
        """Row of each page."""
        return {waiting.page: row for row, waiting in self.by_row.items()}

    @cached_property
    def filled(self) -> list[Waiting]:
        """Those that have vectors, in order of their rows."""
        return [waiting for waiting in self.by_row.values() if len(waiting.codes)]

    @cached_property
    def ids(self) -> I64:
        """Numbers of the pages of `filled`."""
        return np.array([waiting.page for waiting in self.filled], dtype=np.int64)

    @cached_property
    def codes(self) -> I8:
        """All vectors of `filled` in eight bits."""
        return np.concatenate([waiting.codes for waiting in self.filled])

    @cached_property
    def scale(self) -> F32:
        """What a step of each of `codes` is worth."""
        return np.concatenate([waiting.scale for waiting in self.filled])

    @cached_property
    def offsets(self) -> I64:
        """Where the vectors of each of `filled` begin."""
        return offsets(np.array([len(waiting.codes) for waiting in self.filled], dtype=np.int64))

    @cached_property
    def tokens(self) -> int:
        """How many vectors wait."""
        return sum(len(waiting.codes) for waiting in self.filled)


@dataclass(frozen=True)
class State:
    """One generation of the index."""

    generation: int
    current: Calibration
    calibrations: dict[int, Calibration]
    live: tuple[Live, ...]
    pending: Pending
    last_gone: int

    @cached_property
    def ids(self) -> I64:
        """Numbers of all pages, sorted."""
        parts = [live.segment.ids[live.places()] for live in self.live]
        parts.append(np.fromiter(self.pending.by_page, dtype=np.int64, count=len(self.pending.by_page)))
        return np.sort(np.concatenate(parts))

    @cached_property
    def tokens(self) -> int:
        """Vectors of all pages."""
        return sum(int(live.segment.token_counts[live.places()].sum()) for live in self.live) + self.pending.tokens

    @cached_property
    def findable(self) -> int:
        """Pages in segments that have vectors."""
        return sum(len(live.findable) for live in self.live)

    def find(self, page: int) -> Live | None:
        """The segment that holds a page."""
        return next((live for live in self.live if live.place(page) >= 0), None)


def load(connection: sqlite3.Connection, folder: Path, path: Path, dim: int, old: State | None) -> State:
    """The newest committed state; what `old` has of it is taken from there.

    Raises:
        StoreError: a file is missing or damaged.
    """
    missing = -1
    for _ in range(_TRIES):
        generation = 0
        with explained(path):
            connection.execute("BEGIN")
            try:
                generation = int(connection.execute("SELECT value FROM meta WHERE key = 'generation'").fetchone()[0])
                if old is not None and old.generation == generation:
                    return old
                return _load(connection, folder, path, dim, old, generation)
            except FileNotFoundError as error:
                if missing == generation:  # nobody has changed anything since: it is really gone
                    raise StoreError(
                        f"the index file {error.filename} is missing; restore the folder {folder} from a backup, or "
                        f"delete it and index again"
                    ) from error
                missing = generation
            finally:
                connection.execute("ROLLBACK")
    raise StoreError(f"the index {folder} changes faster than it can be read; try again")


def _load(
    connection: sqlite3.Connection, folder: Path, path: Path, dim: int, old: State | None, generation: int
) -> State:
    nothing = Calibration(0, dim)
    known = old.calibrations if old else {0: nothing}
    calibrations = {0: nothing}
    for id_, tokens in connection.execute("SELECT id, tokens FROM calibrations ORDER BY id").fetchall():
        calibrations[id_] = known.get(id_) or _calibration(connection, path, dim, id_, tokens)
    current = calibrations[max(calibrations)]
    before = {live.segment.named.id: live for live in old.live} if old else {}
    fresh: dict[int, list[int]] = {}
    last_gone = old.last_gone if old else 0
    for seq, segment, page in connection.execute(
        "SELECT seq, segment, page FROM gone WHERE seq > ? ORDER BY seq", (last_gone,)
    ):
        fresh.setdefault(segment, []).append(page)
        last_gone = seq
    live = []
    for row in connection.execute(
        "SELECT id, file, calibration, pages, tokens, pooled, size, head, digest FROM segments ORDER BY id"
    ).fetchall():
        named = Named(*row)
        was = before.get(named.id)
        kept = was or Live(Segment(folder, named), calibrations[named.calibration])
        if named.id in fresh:
            dead = np.zeros(len(kept.segment.ids), dtype=np.bool_) if kept.dead is None else kept.dead.copy()
            dead[kept.segment.places(np.unique(np.array(fresh[named.id], dtype=np.int64)))] = True
            kept = Live(kept.segment, kept.calibration, dead)
        live.append(kept)
    same = old is not None and old.current.id == current.id
    pending = _pending(connection, path, current, old.pending if old is not None and same else Pending())
    return State(generation, current, calibrations, tuple(live), pending, last_gone)


def _calibration(connection: sqlite3.Connection, path: Path, dim: int, id_: int, tokens: int) -> Calibration:
    row = connection.execute(
        "SELECT mean, basis, coarse, fine, starts FROM calibrations WHERE id = ?", (id_,)
    ).fetchone()
    return from_blobs(id_, dim, tokens, dict(zip(("mean", "basis", "coarse", "fine", "starts"), row, strict=True)))


def _pending(connection: sqlite3.Connection, path: Path, current: Calibration, old: Pending) -> Pending:
    numbers = connection.execute("SELECT seq, page FROM pending ORDER BY seq").fetchall()
    if len(numbers) == len(old.by_row) and all(seq in old.by_row for seq, _ in numbers):
        return old
    by_row: dict[int, Waiting] = {}
    for seq, page in numbers:
        by_row[seq] = old.by_row[seq] if seq in old.by_row else _waiting(connection, path, current, seq, page)
    return Pending(by_row)


def _waiting(connection: sqlite3.Connection, path: Path, current: Calibration, seq: int, page: int) -> Waiting:
    kept, _ = current.documents(raw(connection, path, current.dim, seq))
    return Waiting(page, *quantise(kept))


def raw(connection: sqlite3.Connection, path: Path, dim: int, seq: int) -> F32:
    """The vectors of a waiting page as the encoder made them. Raises StoreError when they are damaged."""
    count, crc, blob = connection.execute("SELECT count, crc, vectors FROM pending WHERE seq = ?", (seq,)).fetchone()
    vectors = rows.decode(count, crc, blob, dim)
    if vectors is None:
        raise StoreError(
            f"row {seq} of the index manifest {path} is damaged; restore the folder from a backup, or delete it and "
            f"index again"
        )
    return vectors
