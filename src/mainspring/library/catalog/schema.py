"""The catalog's file: SQLite in WAL mode, flushed to disk at every commit, deleted bytes overwritten."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from mainspring.errors import StoreError
from mainspring.store.tables import set_up, write_ahead

#: Version of the tables. Raise it together with a migration.
FORMAT = 1

#: How long one process waits for another to finish writing, in milliseconds.
BUSY_MS = 30_000

# `texts` and `words` stand apart from `pages`, so that filters scan small rows. `words` keeps no copy of what it
# indexes (`content=''`): `texts.terms` has it compressed, as taking a row out needs exactly the words that went in.
_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uri TEXT NOT NULL UNIQUE,
    digest TEXT NOT NULL,
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    size INTEGER NOT NULL,
    changed_at REAL NOT NULL,
    stamp INTEGER NOT NULL,
    pages INTEGER NOT NULL,
    label TEXT NOT NULL,
    trusted INTEGER NOT NULL,
    everyone INTEGER NOT NULL,
    problem TEXT NOT NULL,
    extra TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('reading', 'ready', 'failed')),
    generation INTEGER NOT NULL,
    named INTEGER NOT NULL,
    version TEXT NOT NULL,
    read_at REAL NOT NULL
);
CREATE INDEX documents_by_digest ON documents (digest);
CREATE TABLE readers (document INTEGER NOT NULL, reader TEXT NOT NULL, PRIMARY KEY (document, reader)) WITHOUT ROWID;
CREATE TABLE pages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    document INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    number INTEGER NOT NULL,
    heading TEXT NOT NULL,
    source TEXT NOT NULL,
    pictured INTEGER NOT NULL,
    unread REAL NOT NULL,
    width REAL NOT NULL,
    height REAL NOT NULL,
    begins_s REAL,
    ends_s REAL,
    line INTEGER,
    language TEXT NOT NULL,
    kinds INTEGER NOT NULL,
    digest BLOB NOT NULL,
    read_digest BLOB NOT NULL,
    ocr TEXT NOT NULL CHECK (ocr IN ('none', 'wanted', 'done', 'failed'))
);
CREATE INDEX pages_by_document ON pages (document, number);
CREATE INDEX pages_by_digest ON pages (digest);
CREATE INDEX pages_as_read ON pages (document, read_digest);
CREATE INDEX pages_to_read ON pages (id) WHERE ocr = 'wanted';
CREATE TABLE texts (page INTEGER PRIMARY KEY, text TEXT NOT NULL, regions BLOB NOT NULL, terms BLOB NOT NULL);
CREATE VIRTUAL TABLE words USING fts5 (title, heading, body, content='', tokenize='ascii');
CREATE TABLE roots (path TEXT PRIMARY KEY, options TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE decisions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    document INTEGER NOT NULL,
    at REAL NOT NULL,
    by TEXT NOT NULL,
    what TEXT NOT NULL CHECK (what IN ('trust', 'readers', 'forget')),
    before TEXT NOT NULL,
    after TEXT NOT NULL
);
CREATE INDEX decisions_by_document ON decisions (document);
CREATE TRIGGER decisions_stay BEFORE UPDATE ON decisions BEGIN SELECT raise(ABORT, 'decisions stay'); END;
CREATE TRIGGER decisions_kept BEFORE DELETE ON decisions BEGIN SELECT raise(ABORT, 'decisions stay'); END;
CREATE TABLE forgotten (name BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE problems (
    page INTEGER NOT NULL, stage TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (page, stage)
) WITHOUT ROWID;
CREATE TABLE queries (number INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, query TEXT NOT NULL, pages TEXT);
"""


def connect(path: Path) -> sqlite3.Connection:
    """Open the file, making its tables when it is new.

    Raises:
        StoreError: it cannot be opened or written, is damaged, or was written by a newer Mainspring.
    """
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(path, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
    except OSError as error:
        raise StoreError(f"the library {path.parent} cannot be made: {error}; set MAINSPRING_HOME") from error
    except sqlite3.Error as error:
        raise explain(error, path) from error
    try:
        connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        if not write_ahead(connection):
            raise StoreError(f"the library {path} cannot use write-ahead logging; put MAINSPRING_HOME on a local disk")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute("PRAGMA temp_store=MEMORY")  # no text in temporary files
        connection.execute("PRAGMA mmap_size=268435456")
        set_up(connection, path, "the library", FORMAT, _TABLES, _born)
        connection.execute("CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab (main, words, row)")
    except sqlite3.Error as error:
        connection.close()
        raise explain(error, path) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _born(connection: sqlite3.Connection) -> None:
    import secrets

    # Words are deleted for good only when the index merges; this keeps merges small and steady.
    connection.execute("INSERT INTO words (words, rank) VALUES ('automerge', 4)")
    born = {"id": secrets.token_hex(8), "salt": secrets.token_hex(16)}
    connection.executemany("INSERT INTO meta (key, value) VALUES (?,?)", born.items())


def explain(error: sqlite3.Error, path: Path) -> StoreError:
    """A database error in words that say what to do."""
    text = str(error)
    code = getattr(error, "sqlite_errorname", "") or ""
    if code.startswith("SQLITE_FULL"):
        advice = "the disk is full; free some space and do it again (what was indexed is kept)"
    elif code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        advice = "the folder or the file cannot be written; check its permissions"
    elif code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or "malformed" in text:
        advice = (
            f"the file is damaged; move {path.name} (with its -wal and -shm) away and index the folders again: "
            "what pictures were read is cached beside it and is used again"
        )
    elif code.startswith("SQLITE_IOERR"):
        advice = "the disk failed, or is full; check it and do it again"
    elif code.startswith("SQLITE_BUSY"):
        advice = "another process kept it locked for too long; try again"
    elif "fts5" in text:
        advice = "this Python's SQLite has no full-text search (FTS5); install one that has"
    else:
        advice = "see the message above"
    return StoreError(f"the library {path} cannot be used: {text} ({code or type(error).__name__}); {advice}")
