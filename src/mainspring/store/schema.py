"""Tables of the SQLite journal, and opening a file safely."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from mainspring.errors import JournalVersionError, StoreError
from mainspring.store.tables import write_ahead
from mainspring.store.writer import explain

#: Version of the tables. Raise it together with a migration in `MIGRATIONS`.
FORMAT = 3

# The key of an event is its run's number and its seq in one integer: a table keyed by a text and a number would keep
# rows over a kilobyte outside its pages, and write almost half as many pages again at each commit.
_FIRST = """
CREATE TABLE runs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    agent TEXT NOT NULL,
    task TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    epoch INTEGER NOT NULL,
    owner TEXT,
    head_seq INTEGER NOT NULL,
    head_hash TEXT NOT NULL,
    wake_at REAL,
    parent TEXT
);
CREATE INDEX runs_by_time ON runs (created_at);
CREATE INDEX runs_to_wake ON runs (wake_at) WHERE wake_at IS NOT NULL;
CREATE TABLE events (
    place INTEGER PRIMARY KEY,
    run INTEGER GENERATED ALWAYS AS (place >> 32) VIRTUAL,
    seq INTEGER GENERATED ALWAYS AS (place & 4294967295) VIRTUAL,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    version INTEGER NOT NULL,
    label TEXT NOT NULL,
    payload TEXT,
    blob TEXT,
    hash TEXT NOT NULL
);
CREATE TABLE blobs (digest TEXT PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE inbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT NOT NULL,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL
);
CREATE INDEX inbox_by_run ON inbox (run_id);
CREATE TABLE approvals (
    id TEXT PRIMARY KEY,
    run_id TEXT NOT NULL,
    digest TEXT NOT NULL,
    state TEXT NOT NULL,
    requested_at REAL NOT NULL,
    expires_at REAL,
    answered_by TEXT,
    used_seq INTEGER
) WITHOUT ROWID;
CREATE INDEX approvals_by_run ON approvals (run_id);
"""

# Answers are kept apart from the approval that they settle: several people may have to say yes. `person` is the name as
# it is compared. Revocations are appended only; the newest line of a name holds.
_PEOPLE = """
ALTER TABLE approvals ADD COLUMN people INTEGER NOT NULL DEFAULT 1;
ALTER TABLE approvals ADD COLUMN approvers TEXT NOT NULL DEFAULT '[]';
CREATE TABLE answers (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    approval TEXT NOT NULL,
    name TEXT NOT NULL,
    person TEXT NOT NULL,
    answer TEXT NOT NULL,
    at REAL NOT NULL,
    reason TEXT NOT NULL,
    channel TEXT NOT NULL,
    void INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX answers_by_approval ON answers (approval);
CREATE INDEX answers_by_person ON answers (person);
CREATE TABLE revocations (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    key TEXT NOT NULL,
    revoked INTEGER NOT NULL,
    by TEXT NOT NULL,
    reason TEXT NOT NULL,
    at REAL NOT NULL,
    channel TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE INDEX revocations_by_key ON revocations (key);
CREATE TRIGGER revocations_stay BEFORE UPDATE ON revocations BEGIN SELECT raise(ABORT, 'append only'); END;
CREATE TRIGGER revocations_are_kept BEFORE DELETE ON revocations BEGIN SELECT raise(ABORT, 'append only'); END;
CREATE TABLE imports (
    run_id TEXT PRIMARY KEY,
    at REAL NOT NULL,
    head_seq INTEGER NOT NULL,
    head_hash TEXT NOT NULL,
    seal TEXT
) WITHOUT ROWID;
"""

# Children, what somebody should take up, and small documents (schedules, say) are found by an index each.
_FLEET = """
ALTER TABLE runs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN queue TEXT NOT NULL DEFAULT '';
CREATE INDEX runs_by_parent ON runs (parent) WHERE parent IS NOT NULL;
CREATE INDEX runs_running ON runs (status) WHERE status = 'running';
CREATE TABLE kept (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    body TEXT NOT NULL,
    due_at REAL,
    changed_at REAL NOT NULL,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;
CREATE INDEX kept_due ON kept (kind, due_at) WHERE due_at IS NOT NULL;
"""

#: Statements that lift a file from the version that is their key to the next one; from nothing to the first.
MIGRATIONS: dict[int, str] = {0: _FIRST, 1: _PEOPLE, 2: _FLEET}


def connect(path: Path) -> sqlite3.Connection:
    """A connection in WAL mode with full flushing; raises StoreError with advice."""
    try:
        connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA busy_timeout=30000")
        if not write_ahead(connection):
            raise StoreError(
                f"the journal {path} cannot use write-ahead logging there; put MAINSPRING_HOME on a local disk"
            )
        connection.execute("PRAGMA synchronous=FULL")
    except sqlite3.Error as error:
        raise explain(error, str(path)) from error
    return connection


def open_file(path: Path) -> sqlite3.Connection:
    """Create the tables or check their version; returns the connection.

    The connection must stay open while others come and go: when the last one closes, SQLite folds the whole log
    into the file and deletes it, and the next writer has to grow a new one.

    Raises:
        JournalVersionError: the file was written by a newer Mainspring.
        StoreError: the file cannot be opened.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"the folder {path.parent} cannot be made: {error}; set MAINSPRING_HOME") from error
    connection = connect(path)
    try:
        version = _version(connection)
        if version > FORMAT:
            raise JournalVersionError(
                f"the journal {path} has format {version}, and this Mainspring knows formats up to {FORMAT}; "
                "update Mainspring (nothing was changed)"
            )
        if version == FORMAT:
            return connection
        connection.execute("BEGIN IMMEDIATE")
        version = _version(connection)  # another process may have been faster
        if version == 0 and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise StoreError(f"{path} is a database of another program; set MAINSPRING_HOME to another folder")
        for step in range(version, FORMAT):
            for statement in MIGRATIONS[step].split(";\n"):
                if statement.strip():
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version={step + 1}")
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        connection.close()
        raise explain(error, str(path)) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
