"""What every SQLite file of ours does alike: tables made once, a version that is checked, transactions."""

from __future__ import annotations

import contextlib
import sqlite3
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
