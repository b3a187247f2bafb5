"""The manifest: the SQLite file that says which segments there are, and holds what is too small for one."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from mainspring.errors import StoreError
from mainspring.library.embed.protocol import Space
from mainspring.library.index import locks

NAME = "manifest.sqlite"
FORMAT = 2
#: `Space.id`: encoder, revision, dimension, and whether there are several vectors a page.
_SPACE = re.compile(r"(.*)@([^@]*)/(\d+)(m?)", re.DOTALL)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calibrations (
  id INTEGER PRIMARY KEY AUTOINCREMENT, tokens INTEGER NOT NULL,
  mean BLOB, basis BLOB, coarse BLOB, fine BLOB, starts BLOB, digest TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS segments (
  id INTEGER PRIMARY KEY AUTOINCREMENT, file TEXT NOT NULL UNIQUE, calibration INTEGER NOT NULL,
  pages INTEGER NOT NULL, tokens INTEGER NOT NULL, pooled INTEGER NOT NULL, size INTEGER NOT NULL,
  head TEXT NOT NULL, digest TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS gone (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, segment INTEGER NOT NULL, page INTEGER NOT NULL, UNIQUE (segment, page));
CREATE TABLE IF NOT EXISTS pending (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, page INTEGER NOT NULL UNIQUE, count INTEGER NOT NULL,
  crc INTEGER NOT NULL, vectors BLOB NOT NULL);
"""


def create(folder: Path, space: Space, wait_s: float) -> None:
    """Make the folder and its manifest unless they are there; check that they are of this version and space.

    Raises:
        StoreError: they are not, or cannot be read or written.
    """
    path = folder / NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        known = path.exists() and path.stat().st_size > 0
    except OSError as error:
        raise StoreError(f"the index folder {folder} cannot be made: {error}; check it and its rights") from error
    if not known and any(folder.glob("segment-*.vec")):
        raise StoreError(
            f"the index folder {folder} has segments but no {NAME}, which names them; restore it from a backup, or "
            f"delete the folder and index again"
        )
    with locks.held(folder / "create.lock", wait_s, "making an index"):
        _create(path, space, wait_s)


def space_of(folder: Path) -> Space | None:
    """The space of the index in a folder, as far as removing and compacting need it; None when there is none to read.

    What can be encoded into it is not kept, so that nothing can be added or asked with this one.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        connection = connect(path, 30.0)
        try:
            meta = dict(connection.execute("SELECT key, value FROM meta"))
        finally:
            connection.close()
    except (sqlite3.Error, StoreError):
        return None
    named = _SPACE.fullmatch(str(meta.get("space", "")))
    if named is None:
        return None
    return Space(named[1], named[2], int(named[3]), multi=bool(named[4]), centred=bool(meta.get("centred")))


def _create(path: Path, space: Space, wait_s: float) -> None:
    connection = connect(path, wait_s)
    try:
        with explained(path):
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not tables:
                _lay(connection, space)
            elif "meta" not in tables:
                raise StoreError(f"{path} is a database of something else; choose another folder for the index")
            _check(connection, path, space)
    finally:
        connection.close()


def _lay(connection: sqlite3.Connection, space: Space) -> None:
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # rows come and go: their space is given back
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA.split(";"):
        connection.execute(statement)
    values = {"format": FORMAT, "space": space.id, "centred": int(space.centred), "generation": 0}
    connection.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", list(values.items()))
    connection.execute("COMMIT")


def _check(connection: sqlite3.Connection, path: Path, space: Space) -> None:
    meta = dict(connection.execute("SELECT key, value FROM meta"))
    if int(meta.get("format", 0)) != FORMAT:
        raise StoreError(
            f"the index {path.parent} has format {meta.get('format')}, and this Mainspring knows format {FORMAT}; "
            f"use the version that made it, or delete the folder and index again"
        )
    if meta.get("space") != space.id:
        raise StoreError(
            f"the index {path.parent} holds vectors of {meta.get('space')!r}, and was opened for {space.id!r}; vectors "
            f"of two encoders say nothing of each other: open it with its own encoder, or index again in another folder"
        )
    if bool(meta.get("centred")) != space.centred:
        was, now = ("centred", "not centred") if meta.get("centred") else ("not centred", "centred")
        raise StoreError(
            f"the index {path.parent} was made {was}, and was opened for {space.id!r} {now}; index again in another "
            f"folder"
        )


def connect(path: Path, wait_s: float) -> sqlite3.Connection:
    """A connection that commits by hand and waits `wait_s` for other writers."""
    try:
        connection = sqlite3.connect(path, timeout=wait_s, isolation_level=None, check_same_thread=False)
        with explained(path):
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")  # what is removed is overwritten
            connection.execute("PRAGMA schema_version")  # reads the file: it may be no database at all
    except sqlite3.Error as error:
        raise StoreError(f"the index manifest {path} cannot be opened: {error}; check the folder's rights") from error
    return connection


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns what SQLite says into what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "locked" in text or "busy" in text:
            raise StoreError(f"another writer holds the index {path.parent}; try again when it is done") from error
        if "full" in text or "disk I/O" in text:
            raise StoreError(
                f"the index {path.parent} cannot be written: {text}; free some space: nothing was changed"
            ) from error
        raise StoreError(f"the index manifest {path} failed: {text}; check the folder and its rights") from error
    except sqlite3.DatabaseError as error:
        raise StoreError(
            f"the index manifest {path} is damaged: {error}; restore the folder from a backup, or delete it and index "
            f"again"
        ) from error


@contextlib.contextmanager
def writing(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """A write transaction that takes its turn now, raises the generation, and is undone when anything fails."""
    with explained(path):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
