"""What every SQLite file of ours does alike: tables made once, a version that is checked, transactions."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from mainspring.errors import StoreError


def set_up(
    connection: sqlite3.Connection,
    path: Path,
    what: str,
    version: int,
    tables: str,
    born: Callable[[sqlite3.Connection], object] = lambda connection: None,
) -> None:
    """Make the tables of a new file; leave those of an old one as they are.

    Args:
        connection: one that commits by hand.
        path, what: the file, and what a person calls it: ``the memory``.
        version: of the tables, kept as ``user_version``.
        tables: their statements, each ended by a semicolon and a line end.
        born: called in the same transaction, after the tables of a new file were made.

    Raises:
        StoreError: a newer Mainspring wrote the file, or another program.
    """
    if _version(connection, path, what, version) >= version:
        return
    with transaction(connection):
        if _version(connection, path, what, version) == 0:  # else another process was faster
            if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise StoreError(f"{path} is a database of another program; move it away")
            for statement in tables.split(";\n"):
                if statement.strip():
                    connection.execute(statement + (";" if "TRIGGER" in statement else ""))
            born(connection)
            connection.execute(f"PRAGMA user_version={version}")


def write_ahead(connection: sqlite3.Connection, wait_s: float = 30.0) -> bool:
    """Turn write-ahead logging on. Returns False where the file cannot have it.

    Where several processes make a file at the same time, SQLite tells some of them at once that it is locked, however
    long they would wait, as it fears that they wait for each other.

    Raises:
        sqlite3.OperationalError: another process kept it locked for longer than `wait_s` seconds.
    """
    until = time.monotonic() + wait_s
    while True:
        try:
            return bool(connection.execute("PRAGMA journal_mode=WAL").fetchone()[0] == "wal")
        except sqlite3.OperationalError as error:
            locked = (getattr(error, "sqlite_errorname", None) or "").startswith("SQLITE_BUSY")
            if not locked or time.monotonic() > until:
                raise
        time.sleep(0.01)


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All or nothing, on disk at the end; within another one a part of that."""
    if connection.in_transaction:
        yield connection
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _version(connection: sqlite3.Connection, path: Path, what: str, known: int) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > known:
        raise StoreError(
            f"{what} {path} has format {version}, and this Mainspring knows formats up to {known}; "
            "update Mainspring (nothing was changed)"
        )
    return version
