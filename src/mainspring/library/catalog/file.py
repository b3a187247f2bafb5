"""The catalog's connections: one that writes, and as many that read as there are threads reading."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mainspring.errors import StoreError
from mainspring.library.catalog.schema import connect, explain
from mainspring.store.tables import transaction


class CatalogFile:
    """One SQLite file. Readers see the last commit and wait for nobody; writers wait for each other."""

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises StoreError."""
        self.path = path
        self.lock = threading.RLock()
        self._owner = os.getpid()
        self._idle: list[sqlite3.Connection] = []
        self._idle_lock = threading.Lock()
        self._closed = False
        self.db = connect(path)

    def close(self) -> None:
        """Close the file; harmless the second time."""
        with self.lock, self._idle_lock:
            self._closed = True
            while self._idle:
                self._idle.pop().close()
            self.db.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, on disk at the end; database errors come out as StoreError."""
        with self.lock, self._explained():
            self._check_open()
            with transaction(self.db):
                yield self.db

    @contextlib.contextmanager
    def alone(self) -> Iterator[sqlite3.Connection]:
        """The writing connection outside of any transaction, for VACUUM and checkpoints."""
        with self.lock, self._explained():
            self._check_open()
            yield self.db

    def read(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of a statement of our own making, as of the last commit (of the open transaction within one)."""
        with self._reading() as db, self._explained():
            return db.execute(statement, values).fetchall()

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """A connection on which several statements see the same state."""
        with self._reading() as db, self._explained():
            if db.in_transaction:
                yield db
                return
            db.execute("BEGIN")
            try:
                yield db
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        if self.lock.acquire(blocking=False):  # ours, when this thread is inside a transaction
            try:
                self._check_open()
                if self.db.in_transaction:
                    yield self.db
                    return
            finally:
                self.lock.release()
        with self._idle_lock:
            self._check_open()
            db = self._idle.pop() if self._idle else None
        if db is None:
            db = connect(self.path)
            db.execute("PRAGMA query_only=ON")
        try:
            yield db
        finally:
            with self._idle_lock:
                db.close() if self._closed else self._idle.append(db)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"the library {self.path.parent} is closed; open it again with Library.open")
        if os.getpid() != self._owner:
            raise StoreError("a library cannot be taken across a fork; open it again in the child process")

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise explain(error, self.path) from error
        except (OverflowError, UnicodeEncodeError) as error:
            # What somebody asked with: a number beyond 64 bits, or text with half a character in it.
            what = "a number" if isinstance(error, OverflowError) else "a text"
            raise StoreError(
                f"the library {self.path.parent} holds nothing of the kind: {what} cannot be looked up ({error})"
            ) from error
