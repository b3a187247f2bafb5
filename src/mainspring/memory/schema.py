"""The file that memory lives in: SQLite in WAL mode, flushed to disk at every commit."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from mainspring.errors import StoreError
from mainspring.store.tables import set_up, write_ahead

#: Version of the tables. Raise it together with a migration.
FORMAT = 1

_TABLES = """
CREATE TABLE records (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    key TEXT UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('note', 'rule')),
    person TEXT NOT NULL,
    agent TEXT NOT NULL,
    about TEXT NOT NULL,
    value TEXT,
    digest TEXT NOT NULL,
    label TEXT NOT NULL,
    effective TEXT NOT NULL,
    outsider INTEGER NOT NULL,
    judged TEXT,
    run TEXT NOT NULL,
    tool TEXT NOT NULL,
    by TEXT NOT NULL,
    created_at REAL NOT NULL,
    expires_at REAL,
    forgotten_at REAL,
    CHECK (kind = 'note' OR (tool = '' AND by != ''))
);
CREATE INDEX records_by_scope ON records (person, agent, outsider);
CREATE INDEX records_by_run ON records (run) WHERE run != '';
CREATE TABLE parents (child INTEGER NOT NULL, parent TEXT NOT NULL, PRIMARY KEY (child, parent)) WITHOUT ROWID;
CREATE INDEX parents_by_parent ON parents (parent);
CREATE TABLE heard (run TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (run, record)) WITHOUT ROWID;
CREATE TABLE judgements (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    record TEXT NOT NULL,
    at REAL NOT NULL,
    by TEXT NOT NULL CHECK (by != ''),
    why TEXT NOT NULL CHECK (why != ''),
    verdict TEXT NOT NULL CHECK (verdict IN ('trust', 'distrust', 'forget')),
    before TEXT NOT NULL,
    after TEXT NOT NULL
);
CREATE INDEX judgements_by_record ON judgements (record);
CREATE TRIGGER judgements_stay BEFORE UPDATE ON judgements BEGIN SELECT raise(ABORT, 'judgements stay'); END;
CREATE TRIGGER judgements_kept BEFORE DELETE ON judgements BEGIN SELECT raise(ABORT, 'judgements stay'); END;
CREATE TRIGGER records_written_once BEFORE UPDATE OF id, key, kind, label, run, tool, by ON records
    BEGIN SELECT raise(ABORT, 'a record is written once'); END;
CREATE VIRTUAL TABLE terms USING fts5 (words, tokenize = 'ascii');
"""


def connect(path: Path) -> sqlite3.Connection:
    """Open the file, making its tables when it is new.

    Raises:
        StoreError: it cannot be opened or written, is damaged, or was written by a newer Mainspring.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    except OSError as error:
        raise StoreError(f"the folder {path.parent} cannot be made: {error}; set MAINSPRING_HOME") from error
    except sqlite3.Error as error:
        raise explain(error, path) from error
    try:
        connection.execute("PRAGMA busy_timeout=30000")
        if not write_ahead(connection):
            raise StoreError(f"the memory {path} cannot use write-ahead logging; put MAINSPRING_HOME on a local disk")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA secure_delete=ON")  # what a person had forgotten is overwritten
        set_up(connection, path, "the memory", FORMAT, _TABLES)
    except sqlite3.Error as error:
        connection.close()
        raise explain(error, path) from error
    except BaseException:
        connection.close()
        raise
    return connection


def explain(error: sqlite3.Error, path: Path) -> StoreError:
    """A database error in words that say what to do."""
    text = str(error)
    code = getattr(error, "sqlite_errorname", "") or ""
    if code.startswith("SQLITE_FULL"):
        advice = "the disk is full; free some space and try again"
    elif code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        advice = "the folder or the file cannot be written; check its permissions"
    elif code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        advice = "the file is damaged; move it away, and bring records back with: mainspring memory import FILE"
    elif code.startswith("SQLITE_BUSY"):
        advice = "another process kept it locked for too long; try again"
    elif "fts5" in text:
        advice = "this Python's SQLite has no full-text search (FTS5); install one that has"
    else:
        advice = "see the message above"
    return StoreError(f"the memory {path} cannot be used: {text} ({code or type(error).__name__}); {advice}")
