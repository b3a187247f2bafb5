"""Connections to PostgreSQL: how they are set up, what their errors mean, and text that PostgreSQL cannot hold.

Everything here and in the other `postgres_*` modules loads psycopg; only `open_store` imports them, and only when
``MAINSPRING_DATABASE_URL`` is set.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.string import StrDumperUnknown

from mainspring.errors import StoreError

Link = psycopg.Connection[tuple[Any, ...]]
Connect = Callable[[], Link]

#: The schema that holds all tables, so that the database may be shared with other programs (a dispatcher's, say).
SCHEMA = "mainspring"
#: How long a read waits for a server that is away, in seconds; whoever reads may stand in an event loop.
READ_WAIT_S = 10.0
READERS = 4

# A connection that says nothing for this long is lost: 5 + 3 times 2 seconds (tcp(7)), whatever the network says.
_ALIVE = {"keepalives": 1, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
_DEFAULTS: dict[str, str | int] = {
    **_ALIVE,
    "tcp_user_timeout": 11_000,
    "connect_timeout": 5,
    "application_name": "mainspring",
}

# The server must notice too when we are gone: until then a half-done transaction keeps its rows locked. A commit that
# does not wait for the disk would make "done" a lie; stronger settings of the database are left as they are.
_SETUP = f"""
SET search_path TO {SCHEMA};
SET default_transaction_isolation = 'read committed';
SET idle_in_transaction_session_timeout = '10s';
SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3;
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local');
"""

# --- text: PostgreSQL has no NUL in it ---


def escaped(text: str) -> str:
    """Text as it is stored: NUL as SUB 0, and SUB itself as SUB 1. JSON never holds either."""
    if "\0" in text or "\x1a" in text:
        return text.replace("\x1a", "\x1a1").replace("\0", "\x1a0")
    return text


class _Text(StrDumperUnknown):
    def dump(self, obj: str) -> Buffer | None:
        return super().dump(escaped(obj))


class _Load(Loader):
    def load(self, data: Buffer) -> str:
        text = bytes(data).decode("utf-8")
        return text.replace("\x1a0", "\0").replace("\x1a1", "\x1a") if "\x1a" in text else text


# --- connecting ---


def described(url: str) -> str:
    """Server and database without the password, for messages; raises StoreError for what is no URL."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.Error as error:
        raise StoreError(
            f"MAINSPRING_DATABASE_URL cannot be read ({str(error).strip()}); write it as "
            "postgresql://user:password@host:5432/database"
        ) from None
    host = parts.get("host") or "this machine"
    return f"PostgreSQL {host}:{parts.get('port') or 5432}/{parts.get('dbname') or parts.get('user') or ''}"


def connector(url: str) -> Connect:
    """What opens a connection to `url`, in autocommit, ready for use; it raises psycopg.Error."""
    given = conninfo_to_dict(url)
    conninfo = make_conninfo(url, **{k: v for k, v in _DEFAULTS.items() if k not in given})

    def connect() -> Link:
        connection: Link = psycopg.connect(conninfo, autocommit=True)
        try:
            connection.adapters.register_dumper(str, _Text)
            connection.adapters.register_loader("text", _Load)
            connection.execute(_SETUP.encode())
        except BaseException:
            connection.close()
            raise
        return connection

    return connect


# --- errors ---


def lost(error: psycopg.Error) -> bool:
    """Whether the connection or the server is gone: somebody should connect anew and look what is there."""
    state = error.sqlstate or ""
    if state.startswith(("08", "57P")) or state == "25P03":  # 25P03: we stood still in a transaction
        return True
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and not state


def hopeless(error: psycopg.Error) -> bool:
    """Whether connecting again cannot help before a person changes something."""
    text = str(error)
    return any(word in text for word in ("authentication failed", "does not exist", "no pg_hba.conf", "not permitted"))


def explain(error: psycopg.Error, name: str) -> StoreError:
    """A database error in words that say what to do."""
    state, text = error.sqlstate or "", " ".join(str(error).split())
    if "authentication failed" in text or state.startswith("28"):
        advice = "user or password are wrong: correct MAINSPRING_DATABASE_URL"
    elif ("database" in text and "does not exist" in text) or state == "3D000":
        advice = "make the database (createdb NAME), or correct MAINSPRING_DATABASE_URL"
    elif state == "53100" or "No space left" in text:
        advice = "the server's disk is full; free some space there and resume the run"
    elif state == "25006" or "read-only" in text:
        advice = "this server takes no writes (a standby, or read-only); MAINSPRING_DATABASE_URL must name the primary"
    elif state == "53300" or "too many" in text:
        advice = "the server has no connection left; each process needs up to 6: raise max_connections"
    elif state == "42501":
        advice = f"the user may not do this; it needs CREATE on the database, or to own the schema {SCHEMA}"
    elif state in ("42P01", "42703", "3F000"):
        advice = f"tables in the schema {SCHEMA} are missing or not ours; restore them from a backup"
    elif lost(error):
        advice = "check that the server runs and can be reached; what was acknowledged is in the journal"
    else:
        advice = "see the message above"
    result = StoreError(f"the journal in {name} cannot be used: {text} ({state or type(error).__name__}); {advice}")
    result.__cause__ = error
    return result


# --- statements that SQLite understands as well ---


@functools.lru_cache(512)
def translated(sql: str) -> str:
    """A statement with ``?`` as psycopg wants it."""
    return sql.replace("%", "%%").replace("?", "%s")


class Shared:
    """A connection for statements that the SQLite journal uses too: ``?`` for values, integers for truth."""

    def __init__(self, connection: Link) -> None:
        self.link = connection

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> psycopg.Cursor[tuple[Any, ...]]:
        """See `mainspring.store.sql.Connection`."""
        return self.link.execute(translated(sql).encode(), _plain(values))

    def executemany(self, sql: str, values: Iterable[Sequence[Any]], /) -> psycopg.Cursor[tuple[Any, ...]]:
        """See `mainspring.store.sql.Connection`."""
        cursor = self.link.cursor()
        cursor.executemany(translated(sql).encode(), [_plain(v) for v in values])
        return cursor


def _plain(values: Sequence[Any]) -> list[Any]:
    return [int(v) if isinstance(v, bool) else v for v in values]


# --- reading ---


class Readers:
    """A few connections that threads borrow for one statement each."""

    def __init__(self, connect: Connect, name: str) -> None:
        self._connect, self._name = connect, name
        self._idle: list[Link] = []
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(READERS)
        self._closed = False

    def read(self, sql: str, values: Any) -> list[tuple[Any, ...]]:
        """All rows of a statement; a server that is away is waited for. Raises StoreError."""
        deadline, pause = time.monotonic() + READ_WAIT_S, 0.05
        with self._room:
            while True:
                if self._closed:
                    raise StoreError(f"the journal in {self._name} is closed")
                try:
                    return self._once(sql, values)
                except psycopg.Error as error:
                    if not lost(error) or hopeless(error) or time.monotonic() + pause > deadline:
                        raise explain(error, self._name) from error
                except UnicodeEncodeError as error:
                    raise StoreError(f"the journal in {self._name} is asked for what is no text: {error}") from None
                time.sleep(pause)
                pause = min(pause * 2, 1.0)

    def _once(self, sql: str, values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = self._connect()
        try:
            return connection.execute(sql.encode(), values).fetchall()
        except psycopg.Error as error:
            if lost(error):  # the others went with it
                with self._lock:
                    gone, self._idle = self._idle, []
                for other in gone:
                    other.close()
            raise
        finally:
            with self._lock:
                keep = not connection.closed and not self._closed
                if keep:
                    self._idle.append(connection)
            if not keep:
                connection.close()

    def close(self) -> None:
        """Close them; one that is borrowed is closed when it comes back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
