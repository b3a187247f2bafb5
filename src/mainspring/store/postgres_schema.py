"""Tables of the PostgreSQL journal, and opening a database safely."""

from __future__ import annotations

from mainspring.errors import JournalVersionError, StoreError
from mainspring.store.postgres_connection import SCHEMA, Link

#: Version of the tables. Raise it together with a migration in `MIGRATIONS`.
FORMAT = 1

_LOCK = 0x4D61696E  # advisory lock of whoever changes the tables

# Names are compared byte by byte, as SQLite does, whatever the database's locale. An event's key is its run's number
# and its seq in one integer, as in the SQLite journal. Runs are updated at each commit: their pages have room for it.
_FIRST = """
CREATE TABLE runs (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    agent TEXT COLLATE "C" NOT NULL,
    task TEXT NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    updated_at DOUBLE PRECISION NOT NULL,
    epoch BIGINT NOT NULL,
    owner TEXT COLLATE "C",
    head_seq BIGINT NOT NULL,
    head_hash TEXT COLLATE "C" NOT NULL,
    wake_at DOUBLE PRECISION,
    parent TEXT COLLATE "C",
    priority BIGINT NOT NULL DEFAULT 0,
    queue TEXT COLLATE "C" NOT NULL DEFAULT ''
) WITH (fillfactor = 60);
CREATE INDEX runs_by_time ON runs (created_at);
CREATE INDEX runs_to_wake ON runs (wake_at) WHERE wake_at IS NOT NULL AND status = 'waiting';
CREATE INDEX runs_running ON runs (status) WHERE status = 'running';
CREATE INDEX runs_by_parent ON runs (parent) WHERE parent IS NOT NULL;
CREATE TABLE events (
    place BIGINT PRIMARY KEY,
    at DOUBLE PRECISION NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    label TEXT NOT NULL,
    payload TEXT,
    blob TEXT COLLATE "C",
    hash TEXT COLLATE "C" NOT NULL
);
CREATE TABLE blobs (digest TEXT COLLATE "C" PRIMARY KEY, data BYTEA NOT NULL);
CREATE TABLE inbox (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id TEXT COLLATE "C" NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    payload TEXT NOT NULL
);
CREATE INDEX inbox_by_run ON inbox (run_id);
CREATE TABLE approvals (
    id TEXT COLLATE "C" PRIMARY KEY,
    run_id TEXT COLLATE "C" NOT NULL,
    digest TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    requested_at DOUBLE PRECISION NOT NULL,
    expires_at DOUBLE PRECISION,
    answered_by TEXT,
    used_seq BIGINT,
    people BIGINT NOT NULL DEFAULT 1,
    approvers TEXT NOT NULL DEFAULT '[]'
);
CREATE INDEX approvals_by_run ON approvals (run_id);
CREATE TABLE answers (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    approval TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    person TEXT COLLATE "C" NOT NULL,
    answer TEXT COLLATE "C" NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    reason TEXT NOT NULL,
    channel TEXT NOT NULL,
    void BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX answers_by_approval ON answers (approval);
CREATE INDEX answers_by_person ON answers (person);
CREATE TABLE revocations (
    number BIGINT PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    revoked BIGINT NOT NULL,
    by TEXT COLLATE "C" NOT NULL,
    reason TEXT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    channel TEXT NOT NULL,
    hash TEXT COLLATE "C" NOT NULL
);
CREATE INDEX revocations_by_key ON revocations (key);
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'append only'; END $$;
CREATE TRIGGER revocations_stay BEFORE UPDATE OR DELETE ON revocations
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TABLE imports (
    run_id TEXT COLLATE "C" PRIMARY KEY,
    at DOUBLE PRECISION NOT NULL,
    head_seq BIGINT NOT NULL,
    head_hash TEXT COLLATE "C" NOT NULL,
    seal TEXT
);
CREATE TABLE kept (
    kind TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    body TEXT NOT NULL,
    due_at DOUBLE PRECISION,
    changed_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (kind, name)
);
CREATE INDEX kept_due ON kept (kind, due_at) WHERE due_at IS NOT NULL;
CREATE TABLE owners (name TEXT COLLATE "C" PRIMARY KEY, alive_until TIMESTAMPTZ NOT NULL) WITH (fillfactor = 50);
CREATE TABLE writers (
    name TEXT COLLATE "C" PRIMARY KEY,
    turn BIGINT NOT NULL,
    last BIGINT NOT NULL,
    opened_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 30);
CREATE TABLE seals (
    key TEXT COLLATE "C" NOT NULL,
    n BIGINT NOT NULL,
    run TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    line TEXT NOT NULL,
    PRIMARY KEY (key, n, line)
);
CREATE INDEX seals_by_run ON seals (run, seq);
"""

#: Statements that lift the tables from the version that is their key to the next one; from nothing to the first.
MIGRATIONS: dict[int, str] = {0: _FIRST}


def prepare(connection: Link, name: str) -> None:
    """Make the tables or check their version; many processes may do it at once. Raises psycopg.Error as well.

    Raises:
        JournalVersionError: they were written by a newer Mainspring.
        StoreError: the schema is another program's.
    """
    if _version(connection, name) == FORMAT:
        return
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        version = _version(connection, name)  # another process may have been faster
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        if version == 0 and _tables(connection):
            raise StoreError(
                f"{name} has a schema {SCHEMA!r} of another program; choose another database (nothing was changed)"
            )
        if version == 0:
            connection.execute("CREATE TABLE format (version BIGINT NOT NULL)")
            connection.execute("INSERT INTO format VALUES (0)")
        for step in range(version, FORMAT):
            connection.execute(MIGRATIONS[step].encode())
            connection.execute("UPDATE format SET version = %s", (step + 1,))


def _version(connection: Link, name: str) -> int:
    if "format" not in _tables(connection):
        return 0
    row = connection.execute(f"SELECT max(version) FROM {SCHEMA}.format").fetchone()  # noqa: S608  our own
    version = int(row[0]) if row is not None and row[0] is not None else 0
    if version > FORMAT:
        raise JournalVersionError(
            f"the journal in {name} has format {version}, and this Mainspring knows formats up to {FORMAT}; "
            "update Mainspring (nothing was changed)"
        )
    return version


def _tables(connection: Link) -> set[str]:
    """What there is in our schema, read from the catalogue: a look-up by name may still know what was there before."""
    found = connection.execute(
        "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s",
        (SCHEMA,),
    )
    return {row[0] for row in found}
