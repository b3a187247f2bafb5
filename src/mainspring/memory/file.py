"""The file of a memory: transactions, rows, and what a judgement changes."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mainspring import lexical
from mainspring.errors import StoreError
from mainspring.label import Label
from mainspring.memory.records import COLUMNS, Record, Verdict, as_text, read_row, settled_labels
from mainspring.memory.schema import connect, explain
from mainspring.store.tables import transaction


class MemoryFile:
    """One SQLite file of records, as the rest of this room uses it."""

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises StoreError."""
        self.path = path
        self.lock = threading.RLock()
        self.db = connect(path)

    def close(self) -> None:
        """Close the file."""
        with self.lock:
            self.db.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, on disk at the end; database errors come out as StoreError."""
        with self.lock, self.explained(), transaction(self.db):
            yield self.db

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Database errors as StoreError, with advice."""
        try:
            yield
        except sqlite3.Error as error:
            raise explain(error, self.path) from error

    def rows(self, clause: str, values: Sequence[Any] = (), source: str = "records") -> list[Record]:
        """Records by an SQL condition of our own making."""
        found = []
        statement = f"SELECT {COLUMNS} FROM {source} WHERE {clause}"  # noqa: S608 - values are bound
        for row in self.read(statement, values):
            parents = self.read("SELECT parent FROM parents WHERE child=? ORDER BY parent", (row[0],))
            try:
                found.append(read_row(row, tuple(p for (p,) in parents)))
            except ValueError:
                raise StoreError(f"record {row[1]!r} of {self.path} is damaged: its value is no JSON") from None
        return found

    def insert(self, fields: Mapping[str, Any], label: Label, parents: Iterable[str]) -> None:
        """Write a new record inside a transaction, make it findable, and note what it was made from.

        Its label joined with its parents' is worked out by :meth:`settle`.
        """
        row = {**fields, "label": label.encode(), "effective": label.encode(), "outsider": 1}
        number = self.db.execute(
            f"INSERT INTO records ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",  # noqa: S608 - our names
            tuple(row.values()),
        ).lastrowid
        self.db.executemany(
            "INSERT OR IGNORE INTO parents (child, parent) VALUES (?,?)", [(number, p) for p in parents]
        )
        found = " ".join(lexical.words(f"{row['about']}\n{as_text(json.loads(row['value']))}"))
        self.db.execute("INSERT INTO terms (rowid, words) VALUES (?,?)", (number, found))

    def settle(self, *ids: str) -> None:
        """Work out the labels of records and of everything made from them again."""
        rows = [(label.encode(), not label.trusted, each) for each, label in settled_labels(self.db, ids).items()]
        self.db.executemany("UPDATE records SET effective=?, outsider=? WHERE id=?", rows)

    def judge(self, record: Record, verdict: Verdict, judged: str | None, by: str, why: str) -> None:
        """Write a judgement and what follows from it, inside a transaction."""
        db = self.db
        if verdict == "forget":
            db.execute("DELETE FROM terms WHERE rowid=(SELECT number FROM records WHERE id=?)", (record.id,))
            db.execute("INSERT INTO terms (terms) VALUES ('optimize')")  # drops the words themselves from the index
            db.execute(
                "UPDATE records SET about='', value=NULL, digest='', forgotten_at=? WHERE id=?",
                (time.time(), record.id),
            )
        else:
            db.execute("UPDATE records SET judged=? WHERE id=?", (judged, record.id))
        self.settle(record.id)
        (after,) = db.execute("SELECT effective FROM records WHERE id=?", (record.id,)).fetchone()
        db.execute(
            "INSERT INTO judgements (record, at, by, why, verdict, before, after) VALUES (?,?,?,?,?,?,?)",
            (record.id, time.time(), by, why, verdict, record.label.encode(), after),
        )

    def read(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of a statement of our own making."""
        with self.lock, self.explained():
            return self.db.execute(statement, values).fetchall()
