"""What pictures said, kept by the digest of their pixels, so that none is read twice."""

from __future__ import annotations

import contextlib
import json
import math
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast, get_args

from mainspring.errors import StoreError
from mainspring.library.page import Box, RegionKind
from mainspring.library.sight.lines import Line, Sighted
from mainspring.store.tables import write_ahead

_KINDS = frozenset(get_args(RegionKind))
_SCHEMA = """
CREATE TABLE IF NOT EXISTS read (
  key BLOB PRIMARY KEY, used_at INTEGER NOT NULL, bytes INTEGER NOT NULL, lines TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS read_by_use ON read(used_at);
PRAGMA user_version = 1;
"""


class Cache:
    """A SQLite file. Safe to use from several threads and processes; thrown away and begun anew when damaged.

    Args:
        path: the file; its folder is made.
        bytes_: most bytes of answers; those longest unused go first.
        clock: Unix time.
    """

    def __init__(self, path: Path, *, bytes_: int = 512 << 20, clock: Callable[[], float] = time.time) -> None:
        self._path, self._most, self._clock = path, bytes_, clock
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self.thrown_away = 0

    def get(self, key: bytes) -> Sighted | None:
        """The answer under a key, or None."""

        def look(db: sqlite3.Connection) -> str | None:
            row = db.execute("SELECT lines, used_at FROM read WHERE key = ?", (key,)).fetchone()
            if row is None:
                return None
            if int(self._clock()) - row[1] > 86_400:  # a day is near enough, and spares a write for each look
                with contextlib.suppress(sqlite3.OperationalError):
                    db.execute("UPDATE read SET used_at = ? WHERE key = ?", (int(self._clock()), key))
            return str(row[0])

        text = self._do(look)
        if text is None:
            return None
        try:
            return unpacked(json.loads(text))
        except (ValueError, KeyError, TypeError):
            self._do(lambda db: db.execute("DELETE FROM read WHERE key = ?", (key,)))
            return None

    def put(self, key: bytes, sighted: Sighted) -> None:
        """Keep an answer; durable when this returns."""
        text = json.dumps(asdict(sighted), ensure_ascii=False, separators=(",", ":"))

        def write(db: sqlite3.Connection) -> None:
            db.execute("BEGIN IMMEDIATE")
            try:
                size = len(text.encode()) + 100
                db.execute("INSERT OR REPLACE INTO read VALUES (?, ?, ?, ?)", (key, int(self._clock()), size, text))
                held = db.execute("SELECT total(bytes) FROM read").fetchone()[0]
                if held > self._most:
                    for old, bytes_ in db.execute("SELECT key, bytes FROM read ORDER BY used_at, key").fetchall():
                        if held <= self._most * 0.9:
                            break
                        db.execute("DELETE FROM read WHERE key = ?", (old,))
                        held -= bytes_
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

        self._do(write)

    def count(self) -> int:
        """How many answers it holds."""
        return int(self._do(lambda db: db.execute("SELECT count(*) FROM read").fetchone()[0]))

    def close(self) -> None:
        """Free the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _do(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        with self._lock:
            for again in (True, False):
                try:
                    with self._errors():
                        return work(self._open())
                except _DamagedError as error:
                    if not again:
                        raise StoreError(f"the cache {self._path} cannot be written anew: {error}") from error
                    self._throw_away()
        raise AssertionError("not reached")

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if "malformed" in str(error) or "no such" in str(error):
                raise _DamagedError(str(error)) from error
            raise StoreError(
                f"the cache of read pictures {self._path}: {error}; free disk space, or remove it"
            ) from error
        except sqlite3.DatabaseError as error:
            raise _DamagedError(str(error)) from error

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(f"the folder of {self._path} cannot be made: {error}") from error
            db = sqlite3.connect(self._path, timeout=30, check_same_thread=False, isolation_level=None)
            self._connection = db
            if db.execute("PRAGMA user_version").fetchone()[0] not in (0, 1):
                raise _DamagedError("it is of another version")
            write_ahead(db)
            db.execute("PRAGMA synchronous = FULL")
            db.executescript(_SCHEMA)
        return self._connection

    def _throw_away(self) -> None:
        """Nothing in a cache is worth mending."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self.thrown_away += 1
        for ending in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self._path}{ending}").unlink()


class _DamagedError(Exception):
    """The file is not what it should be."""


def unpacked(values: Any) -> Sighted:
    """The answer from its plain values. Raises KeyError, TypeError or ValueError when they are none.

    They are looked at like a stranger's: a picture may have taken over the process that read it.
    """
    lines = tuple(Line(str(line["text"]), _box(line["box"]), float(line["confidence"])) for line in values["lines"])
    rows = tuple(int(row) for row in values["rows"])
    if len(rows) != len(lines):
        raise ValueError("rows do not fit lines")
    areas = tuple((cast("RegionKind", str(kind)), _box(box)) for kind, box in values["areas"])
    if any(kind not in _KINDS for kind, _ in areas):
        raise ValueError("an unknown kind of region")
    return Sighted(lines, rows, int(values["turned"]), areas)


def _box(values: Any) -> Box:
    box = Box(*(float(values[side]) for side in ("left", "top", "right", "bottom")))
    if not all(map(math.isfinite, (box.left, box.top, box.right, box.bottom))):
        raise ValueError("a place that is none")
    return box
