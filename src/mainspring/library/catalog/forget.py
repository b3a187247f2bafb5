"""How documents leave the catalog, and what a person asked to forget leaves no byte behind."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterable, Sequence

from mainspring.errors import StoreError
from mainspring.library.catalog.file import CatalogFile
from mainspring.library.catalog.schema import BUSY_MS, explain
from mainspring.library.catalog.words import drop_pages


class Forgetting(CatalogFile):
    """Removing documents, and checking the file."""

    def remove(self, documents: Iterable[int]) -> int:
        """Take documents, with their pages and words, out. Returns how many were there.

        They are not found any more, and what the file holds of them is overwritten bit by bit as it is written to;
        :meth:`forget` overwrites it at once.
        """
        removed = 0
        for document in documents:
            with self.transaction() as db:
                removed += _remove(db, document)
        return removed

    def forget(self, documents: Sequence[int], *, by: str) -> int:
        """Take documents out so that no byte of them is left in the file. Returns how many were there.

        A document forgotten is not indexed again with its folder, only when it is named. That something was forgotten,
        when and by whom is kept; what it was is not, and the log of queries is emptied.

        Raises:
            StoreError: the disk is full, or another process kept an old state of the library open for too long; they
                are removed then, and the bytes go with the next :meth:`compact`.
        """
        forgotten = 0
        salt = bytes.fromhex(self.read("SELECT value FROM meta WHERE key = 'salt'")[0][0])
        with self.transaction() as db:
            for document in documents:
                row = db.execute("SELECT uri FROM documents WHERE id = ?", (document,)).fetchone()
                if row is None:
                    continue
                db.execute("INSERT OR IGNORE INTO forgotten (name) VALUES (?)", (_name(salt, row[0]),))
                db.execute(
                    "INSERT INTO decisions (document, at, by, what, before, after) VALUES (?,?,?,'forget','','')",
                    (document, time.time(), by),
                )
                forgotten += _remove(db, document)
            db.execute("DELETE FROM queries")
        if forgotten:
            self.compact()
        return forgotten

    def is_forgotten(self, uri: str) -> bool:
        """True when a person had this forgotten, so that it is indexed again only when it is named."""
        (count,) = self.read("SELECT count(*) FROM forgotten")[0]
        if not count:
            return False
        salt = bytes.fromhex(self.read("SELECT value FROM meta WHERE key = 'salt'")[0][0])
        return bool(self.read("SELECT 1 FROM forgotten WHERE name = ?", (_name(salt, uri),)))

    def remember_again(self, uri: str) -> None:
        """Let a forgotten name be indexed again."""
        salt = bytes.fromhex(self.read("SELECT value FROM meta WHERE key = 'salt'")[0][0])
        with self.transaction() as db:
            db.execute("DELETE FROM forgotten WHERE name = ?", (_name(salt, uri),))

    def compact(self, *, wait_s: float = 10.0) -> None:
        """Rewrite the file without what was removed.

        Raises:
            StoreError: the disk is full, or another process kept an old state open for longer than `wait_s` seconds.
        """
        with self.transaction() as db:
            db.execute("INSERT INTO words (words) VALUES ('optimize')")  # drops words of pages that are gone
        with self.alone() as db:
            db.execute("VACUUM")  # pages of the file are made anew: no left-over of deleted rows inside of any
            db.execute(f"PRAGMA busy_timeout={round(wait_s * 1000)}")
            try:
                busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                db.execute(f"PRAGMA busy_timeout={BUSY_MS}")
            if busy:
                raise StoreError(
                    f"the library {self.path.parent} is being read by another process, which still sees what was "
                    "removed; end it, then run: mainspring library compact"
                )

    def check(self) -> list[str]:
        """What is wrong with the file, one sentence each; empty when it is whole. Reads all of it."""
        found: list[str] = []
        try:
            with self.alone() as db:
                found += [str(row[0]) for row in db.execute("PRAGMA integrity_check(20)") if row[0] != "ok"]
                if found:
                    return found
                db.execute("INSERT INTO words (words) VALUES ('integrity-check')")
                for question, statement in _QUESTIONS.items():
                    (count,) = db.execute(statement).fetchone()
                    if count:
                        found.append(f"{count} {question}")
        except StoreError as error:
            found.append(str(error))
        except sqlite3.Error as error:
            found.append(str(explain(error, self.path)))
        return found

    # --- queries, only when the user turned it on ---

    def log_queries(self, on: bool) -> None:
        """Turn the log of queries on, or off; turned off, it is emptied."""
        with self.transaction() as db:
            db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('log_queries', ?)", (str(int(on)),))
            if not on:
                db.execute("DELETE FROM queries")

    def asked(self, query: str, pages: Sequence[int]) -> None:
        """Log a query with the pages that it found; does nothing unless :meth:`log_queries` turned it on."""
        if self.read("SELECT 1 FROM meta WHERE key = 'log_queries' AND value = '1'"):
            with self.transaction() as db:
                db.execute(
                    "INSERT INTO queries (at, query, pages) VALUES (?,?,?)",
                    (time.time(), query, " ".join(map(str, pages))),
                )

    def queries(self) -> list[tuple[float, str, list[int]]]:
        """The logged queries, oldest first: (Unix time, query, pages)."""
        rows = self.read("SELECT at, query, pages FROM queries ORDER BY number")
        return [(at, query, [int(n) for n in pages.split()]) for at, query, pages in rows]

    def decisions(self, document: int) -> list[tuple[float, str, str, str, str]]:
        """What people decided on a document, oldest first: (Unix time, who, what, label before, label after)."""
        rows = self.read(
            "SELECT at, by, what, before, after FROM decisions WHERE document = ? ORDER BY number", (document,)
        )
        return [(at, by, what, before, after) for at, by, what, before, after in rows]


_QUESTIONS = {
    "pages belong to no document": ("SELECT count(*) FROM pages WHERE document NOT IN (SELECT id FROM documents)"),
    "pages have no text": "SELECT count(*) FROM pages WHERE id NOT IN (SELECT page FROM texts)",
    "texts have no page": "SELECT count(*) FROM texts WHERE page NOT IN (SELECT id FROM pages)",
    "documents say another number of pages than they have": (
        "SELECT count(*) FROM documents d WHERE state != 'reading'"
        " AND pages != (SELECT count(*) FROM pages p WHERE p.document = d.id)"
    ),
    "pages cannot be found by their words": (
        "SELECT abs((SELECT count(*) FROM pages) - (SELECT count(*) FROM words_docsize))"
    ),
}


def _remove(db: sqlite3.Connection, document: int) -> int:
    pages = db.execute("SELECT id FROM pages WHERE document = ?", (document,)).fetchall()
    drop_pages(db, [id_ for (id_,) in pages])
    db.execute("DELETE FROM readers WHERE document = ?", (document,))
    return db.execute("DELETE FROM documents WHERE id = ?", (document,)).rowcount


def _name(salt: bytes, uri: str) -> bytes:
    return hashlib.sha256(salt + uri.encode("utf-8", "surrogatepass")).digest()
