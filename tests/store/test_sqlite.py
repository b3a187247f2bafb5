"""The SQLite journal: the conformance suite, and what only a file and several processes can show."""

from __future__ import annotations

import itertools
import sqlite3
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from conformance import StoreConformance
from suite_common import Opener, add, begin, exported, imported

from mainspring.errors import JournalVersionError, StoreError
from mainspring.label import USER
from mainspring.store import NewEvent, SQLiteStore, Store, default_home, open_store
from mainspring.store.chain import BLOB_BYTES
from mainspring.store.writer import Writer


class TestSQLite(StoreConformance):
    """SQLiteStore keeps the store's promises."""

    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Iterator[Opener]:
        opened: list[SQLiteStore] = []

        def open_again() -> Store:
            opened.append(SQLiteStore(tmp_path / "home"))
            return opened[-1]

        yield open_again
        for store in opened:
            store.close()

    @pytest.fixture
    def elsewhere(self, tmp_path: Path) -> Iterator[Store]:
        store = SQLiteStore(tmp_path / "elsewhere")
        yield store
        store.close()

    def forget(self, store: Store, run_id: str) -> None:
        assert isinstance(store, SQLiteStore)
        edit(store.home, "DELETE FROM events WHERE run=THE_RUN", run_id)
        edit(store.home, "DELETE FROM runs WHERE id=?", run_id)
        for table in ("approvals", "inbox"):
            edit(store.home, f"DELETE FROM {table} WHERE run_id=?", run_id)  # noqa: S608  our own names
        store._firsts.clear()  # no store ever forgets a run by itself


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def store(home: Path) -> Iterator[SQLiteStore]:
    made = SQLiteStore(home)
    yield made
    made.close()


def edit(home: Path, sql: str, *values: object) -> int:
    """Change the file behind the store's back; returns how many rows were changed."""
    connection = sqlite3.connect(home / "journal.db")
    with connection:
        sql = sql.replace("THE_RUN", "(SELECT number FROM runs WHERE id=?)")
        count = connection.execute(sql, values).rowcount
    connection.close()
    return count


def ask_file(home: Path, sql: str) -> list[Any]:
    """Read the file behind the store's back."""
    connection = sqlite3.connect(home / "journal.db")
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


# --- the file ---


def test_a_blob_is_kept_once(store: SQLiteStore, home: Path) -> None:
    big = {"text": "漢" * BLOB_BYTES}
    first, second = begin(store), begin(store)
    for lease in (first, second):
        add(store, lease, big, {"small": 1}, big, {"text": "a" * BLOB_BYTES, "run": lease.run_id})
    assert ask_file(home, "SELECT count(*) FROM blobs") == [(3,)]
    assert ask_file(home, "SELECT count(*) FROM events WHERE blob IS NOT NULL AND payload IS NULL") == [(6,)]
    assert store.verify(second.run_id) == 5


def test_the_border_between_inline_and_blob(store: SQLiteStore, home: Path) -> None:
    lease = begin(store)
    empty = len('{"t":""}')
    add(store, lease, {"t": "a" * (BLOB_BYTES - empty)}, {"t": "a" * (BLOB_BYTES - empty + 1)})
    assert ask_file(home, "SELECT blob IS NULL FROM events ORDER BY seq") == [(1,), (1,), (0,)]


def test_bytes_an_event_stay_constant(store: SQLiteStore, home: Path) -> None:
    def size() -> int:
        edit(home, "PRAGMA wal_checkpoint(TRUNCATE)")
        return (home / "journal.db").stat().st_size

    lease, sizes = begin(store), []
    for block in range(6):
        for n in range(200):
            store.append(lease, [NewEvent("note", {"text": f"{block}-{n}".ljust(400, "x")})])
        add(store, lease, {"n": block})
        sizes.append(size())
    growth = [after - before for before, after in itertools.pairwise(sizes)]
    assert max(growth) <= 1.25 * min(growth), growth
    assert max(growth) < 201 * 1200  # 400 bytes of text, a hash of 64, and what SQLite needs around them


def test_the_flush_is_full(store: SQLiteStore, home: Path) -> None:
    connection = store._writer
    level = connection.submit(lambda c: (c.execute("PRAGMA synchronous").fetchone(), mode(c))).result()
    assert level == ((2,), "wal")


def mode(connection: sqlite3.Connection) -> str:
    return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


TAMPERINGS = {
    "payload": (
        "UPDATE events SET payload='{\"n\":7}' WHERE run=THE_RUN AND seq=3",
        "event 3: the hash does not fit",
    ),
    "space in a payload": (
        "UPDATE events SET payload=replace(payload, ':', ': ') WHERE run=THE_RUN AND seq=3",
        "event 3: the hash does not fit",
    ),
    "label": (
        "UPDATE events SET label='{\"sources\":[]}' WHERE run=THE_RUN AND seq=1",
        "event 1: the hash does not fit",
    ),
    "kind": (
        "UPDATE events SET kind='other' WHERE run=THE_RUN AND seq=3",
        "event 3: the hash does not fit",
    ),
    "version": (
        "UPDATE events SET version=2 WHERE run=THE_RUN AND seq=3",
        "event 3: the hash does not fit",
    ),
    "time": (
        "UPDATE events SET at=at+1 WHERE run=THE_RUN AND seq=3",
        "event 3: the hash does not fit",
    ),
    "hash": (
        "UPDATE events SET hash=upper(hash) WHERE run=THE_RUN AND seq=3",
        "event 3: the hash does not fit",
    ),
    "first line": ("DELETE FROM events WHERE run=THE_RUN AND seq=1", "event 1 is missing"),
    "middle line": (
        "DELETE FROM events WHERE run=THE_RUN AND seq=3",
        "event 3 is missing",
    ),
    "last line": (
        "DELETE FROM events WHERE run=THE_RUN AND seq=5",
        "ends at event 4, but 5 were written",
    ),
    "all lines": (
        "DELETE FROM events WHERE run=THE_RUN",
        "ends at event 0, but 5 were written",
    ),
    "moved line": (
        "UPDATE events SET place=place+1 WHERE run=THE_RUN AND seq=5",
        "event 5 is missing",
    ),
    "blob": ("UPDATE blobs SET data=data || x'20' WHERE ? IS NOT NULL", "event 4: its blob .* was changed"),
    "no blob": ("DELETE FROM blobs WHERE ? IS NOT NULL", "event 4: its blob .* is missing"),
    "another blob": (
        "UPDATE events SET blob=(SELECT digest FROM blobs WHERE digest<>blob) WHERE run=THE_RUN AND seq=4",
        "event 4: the hash does not fit",
    ),
    "inline for blob": (
        "UPDATE events SET payload=(SELECT cast(data AS TEXT) FROM blobs WHERE digest=blob), blob=NULL "
        "WHERE run=THE_RUN AND seq=4",
        "event 4: the hash does not fit",
    ),
}


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_verify_finds_tampering(store: SQLiteStore, home: Path, tampering: str) -> None:
    lease = begin(store)
    add(store, lease, {"n": 1}, {"n": 2}, {"text": "é" * BLOB_BYTES}, {"n": 4})
    if tampering == "another blob":
        add(store, begin(store), {"text": "other" * BLOB_BYTES})
    assert store.verify(lease.run_id) == 5
    sql, message = TAMPERINGS[tampering]
    assert edit(home, sql, lease.run_id) >= 1
    with pytest.raises(StoreError, match=message):
        store.verify(lease.run_id)
    with pytest.raises(StoreError):  # a changed journal is not handed on as a sound one
        exported(store, lease.run_id)


def test_reading_a_damaged_line_says_which(store: SQLiteStore, home: Path) -> None:
    lease = begin(store)
    add(store, lease, {"n": 1}, {"text": "x" * 9000})
    edit(home, "UPDATE events SET payload='{\"n\":' WHERE seq=2")
    with pytest.raises(StoreError, match=f"run {lease.run_id}, event 2: the payload is damaged"):
        list(store.events(lease.run_id))
    edit(home, "UPDATE events SET payload='[]', label='x' WHERE seq=2")
    with pytest.raises(StoreError, match="not a label"):
        list(store.events(lease.run_id))
    edit(home, "DELETE FROM blobs")
    with pytest.raises(StoreError, match=r"event 3: its blob .* is missing"):
        store.event(lease.run_id, 3)


def test_a_newer_journal_is_refused_untouched(home: Path) -> None:
    SQLiteStore(home).close()
    edit(home, "PRAGMA user_version=99")
    before = (home / "journal.db").read_bytes()
    with pytest.raises(JournalVersionError, match="format 99"):
        SQLiteStore(home)
    assert (home / "journal.db").read_bytes() == before


def test_a_database_of_another_program_is_refused(home: Path) -> None:
    home.mkdir()
    edit(home, "CREATE TABLE recipes (name TEXT)")
    with pytest.raises(StoreError, match="another program"):
        SQLiteStore(home)
    assert ask_file(home, "SELECT name FROM sqlite_master") == [("recipes",)]
    assert ask_file(home, "PRAGMA user_version") == [(0,)]


def test_a_file_that_is_no_database_is_refused(home: Path) -> None:
    home.mkdir()
    (home / "journal.db").write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(StoreError, match="damaged or no journal"):
        SQLiteStore(home)


def test_open_store_opens_a_home_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAINSPRING_HOME", str(tmp_path / "mine"))
    assert default_home() == tmp_path / "mine"
    first = open_store()
    assert first is open_store(str(tmp_path / "mine"))
    assert first is not open_store(tmp_path / "other")
    monkeypatch.delenv("MAINSPRING_HOME")
    assert default_home() == Path("~/.mainspring").expanduser()


def test_work_that_is_handed_in_while_the_store_closes_is_answered(home: Path) -> None:
    for _ in range(20):
        store = SQLiteStore(home)
        lease = begin(store)
        futures = []

        def write(own: SQLiteStore = store, lease: Any = lease, futures: list[Any] = futures) -> None:
            futures.extend(own.append(lease, [NewEvent("note", {})]).done for _ in range(50))

        thread = threading.Thread(target=write)
        thread.start()
        store.close()
        thread.join()
        for future in futures:
            assert isinstance(future.exception(timeout=20), StoreError | None)


def test_an_import_survives_the_process(home: Path, tmp_path: Path) -> None:
    with_run = SQLiteStore(home)
    lease = begin(with_run, "r")
    add(with_run, lease, {"text": "x" * 9000})
    lines = exported(with_run, "r")
    with_run.close()
    other = SQLiteStore(tmp_path / "other")
    imported(other, lines)
    other.close()
    again = SQLiteStore(tmp_path / "other")
    assert again.verify("r") == 2
    assert again.event("r", 1).label == USER
    again.close()


def test_a_value_that_is_too_big_is_refused_alone(tmp_path: Path) -> None:
    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(tmp_path / "x.db", isolation_level=None, check_same_thread=False)
        connection.execute("CREATE TABLE IF NOT EXISTS t (a)")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1000)
        return connection

    writer = Writer(connect, "x")
    with pytest.raises(StoreError, match="too big"):
        writer.submit(lambda c: c.execute("INSERT INTO t VALUES (?)", ("x" * 5000,))).result()
    writer.submit(lambda c: c.execute("INSERT INTO t VALUES ('x')")).result()
    assert writer.broken is None
    writer.close()
