"""The index on disk: one SQLite file a repository. It holds nothing that could not be worked out again."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mainspring.errors import StoreError
from mainspring.store.tables import write_ahead

__all__ = ["FORMAT", "Database", "Row"]

#: Version of the tables, and of what is read from a file: another one is worked out anew.
FORMAT = 1

_TABLES = """
CREATE TABLE files (
    id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, mtime INTEGER NOT NULL, size INTEGER NOT NULL,
    digest BLOB NOT NULL, left_out TEXT NOT NULL, head TEXT NOT NULL, packed BLOB NOT NULL
);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE VIRTUAL TABLE words USING fts5(path, names, text, tokenize='unicode61', detail='column')
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One file as it is kept; `left_out` says why nothing of it is indexed, "" when it is."""

    path: str
    mtime: int
    size: int
    digest: bytes
    left_out: str
    head: str
    packed: bytes
    words: tuple[str, str, str] = ("", "", "")


class Database:
    """The file of one repository; without a home it is in memory.

    `note` says whether an older or damaged one was replaced. Used under the index's lock.
    """

    def __init__(self, home: Path | None, root: Path) -> None:
        """Open or make it. Raises StoreError when the home cannot be written."""
        self.note = ""
        self.path: Path | None = None
        if home is not None:
            name = hashlib.sha256(os.fsencode(root)).hexdigest()[:24]
            self.path = home / "index" / f"{name}.sqlite"
        try:
            if self.path is not None:
                self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._prepare()
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"the index {self.path} cannot be opened: {error}; make the home writable") from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def rebuild(self, why: str) -> None:
        """Start anew with an empty file."""
        with contextlib.suppress(sqlite3.Error):
            self._db.close()
        self._remove()
        self.note = f"the index was {why} and is built anew"
        self._connect()
        self._make()

    def rows(self) -> Iterator[Row]:
        """Every file, by path."""
        for row in self._db.execute(
            "SELECT path, mtime, size, digest, left_out, head, packed FROM files ORDER BY path"
        ).fetchall():
            yield Row(os.fsdecode(row[0]), *row[1:])

    def facts(self, path: str) -> tuple[str, bytes] | None:
        """What is kept of a file, as `Facts.decode` takes it."""
        found: tuple[str, bytes] | None = self._db.execute(
            "SELECT head, packed FROM files WHERE path=?", (os.fsencode(path),)
        ).fetchone()
        return found

    def write(self, rows: Iterable[Row], gone: Iterable[str] = (), touched: Iterable[Row] = ()) -> None:
        """Put files, take others out, and set the times of `touched` ones, as one transaction."""
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        try:
            for path in gone:
                self._delete(path)
            for row in rows:
                self._delete(row.path)
                cursor = db.execute(
                    "INSERT INTO files (path, mtime, size, digest, left_out, head, packed) VALUES (?,?,?,?,?,?,?)",
                    (os.fsencode(row.path), row.mtime, row.size, row.digest, row.left_out, row.head, row.packed),
                )
                if not row.left_out:
                    db.execute(
                        "INSERT INTO words (rowid, path, names, text) VALUES (?,?,?,?)", (cursor.lastrowid, *row.words)
                    )
            for row in touched:
                db.execute(
                    "UPDATE files SET mtime=?, size=? WHERE path=?", (row.mtime, row.size, os.fsencode(row.path))
                )
            db.execute("COMMIT")
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")

    def get(self, key: str) -> str:
        """A remembered text, "" when there is none."""
        found = self._db.execute("SELECT value FROM meta WHERE key=?", (key,)).fetchone()
        return found[0] if found is not None else ""

    def set(self, key: str, value: str) -> None:
        """Remember a text."""
        self._db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?,?)", (key, value))

    def search(self, words: Iterable[str], limit: int) -> list[str]:
        """Paths whose words match any of these, best first (BM25; a name counts more than a word of the text)."""
        asked = " OR ".join(f'"{word}"*' if len(word) > 3 else f'"{word}"' for word in words if word.isalnum())
        if not asked:
            return []
        rows = self._db.execute(
            "SELECT files.path FROM words JOIN files ON files.id=words.rowid WHERE words MATCH ? "
            "ORDER BY bm25(words, 3.0, 4.0, 1.0), files.path LIMIT ?",
            (asked, limit),
        )
        return [os.fsdecode(row[0]) for row in rows.fetchall()]

    def _delete(self, path: str) -> None:
        found = self._db.execute("SELECT id FROM files WHERE path=?", (os.fsencode(path),)).fetchone()
        if found is not None:
            self._db.execute("DELETE FROM words WHERE rowid=?", found)
            self._db.execute("DELETE FROM files WHERE id=?", found)

    def _prepare(self) -> None:
        try:
            self._connect()
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version == FORMAT:
                self._db.execute("SELECT count(*) FROM files, meta").fetchone()
                self._db.execute("SELECT count(*) FROM words WHERE words MATCH 'a'").fetchone()
                return
            why = "made by another version" if version else ""
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
                raise
            why = "damaged"
        if why:
            self.rebuild(why)
        else:
            self._make()

    def _connect(self) -> None:
        place = ":memory:" if self.path is None else str(self.path)
        db = self._db = sqlite3.connect(place, timeout=30, isolation_level=None, check_same_thread=False)
        write_ahead(db)
        db.execute("PRAGMA synchronous=OFF")  # what a power cut damages is built anew

    def _make(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        if self._db.execute("PRAGMA user_version").fetchone()[0] == 0:  # else another process was faster
            for statement in _TABLES.split(";\n"):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version={FORMAT}")
        self._db.execute("COMMIT")

    def _remove(self) -> None:
        if self.path is not None:
            for end in ("", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    Path(f"{self.path}{end}").unlink()
