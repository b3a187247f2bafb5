"""The PostgreSQL journal: the conformance suite, and what only a server can show."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from conformance import StoreConformance
from suite_common import Opener, add, begin, begin_and_release, exported, imported

from mainspring.errors import JournalVersionError, RunBusyError, StoreError
from mainspring.store import Changes, NewEvent, SQLiteStore, Store, close_stores, open_store
from mainspring.store.chain import BLOB_BYTES
from mainspring.store.postgres import PostgresStore
from postgres_server import NoPostgres, shared_server


@pytest.fixture
def other_database() -> Iterator[str]:
    try:
        server = shared_server()
    except NoPostgres as reason:
        pytest.skip(str(reason))
    url = server.create_database()
    yield url
    server.drop_database(url.rpartition("/")[2])


def edit(url: str, sql: str, *values: object) -> Any:
    """Change or read the database behind the store's back."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET search_path TO mainspring")
        cursor = connection.execute(sql.encode(), values)
        return cursor.fetchall() if cursor.description else cursor.rowcount


class TestPostgres(StoreConformance):
    """PostgresStore keeps the store's promises."""

    @pytest.fixture
    def reopen(self, database: str, tmp_path: Path) -> Iterator[Opener]:
        opened: list[PostgresStore] = []

        def open_again() -> Store:
            opened.append(PostgresStore(tmp_path / "home", database))
            return opened[-1]

        self.urls = {tmp_path / "home": database}
        yield open_again
        for store in opened:
            store.close()

    @pytest.fixture
    def elsewhere(self, other_database: str, tmp_path: Path) -> Iterator[Store]:
        store = PostgresStore(tmp_path / "elsewhere", other_database)
        self.elsewhere_url = other_database
        yield store
        store.close()

    def forget(self, store: Store, run_id: str) -> None:
        assert isinstance(store, PostgresStore)
        url = self.elsewhere_url
        edit(url, "DELETE FROM events WHERE place >> 32 = (SELECT number FROM runs WHERE id=%s)", run_id)
        edit(url, "DELETE FROM runs WHERE id=%s", run_id)
        for table in ("approvals", "inbox", "imports"):
            edit(url, f"DELETE FROM {table} WHERE run_id=%s", run_id)  # noqa: S608  our own names
        store._firsts.clear()  # no store ever forgets a run by itself


@pytest.fixture
def store(database: str, tmp_path: Path) -> Iterator[PostgresStore]:
    made = PostgresStore(tmp_path / "home", database)
    yield made
    made.close()


# --- the database ---


def test_a_blob_is_kept_once(store: PostgresStore, database: str) -> None:
    big = {"text": "漢" * BLOB_BYTES}
    for lease in (begin(store), begin(store)):
        add(store, lease, big, {"small": 1}, big, {"text": "a" * BLOB_BYTES, "run": lease.run_id})
        assert store.verify(lease.run_id) == 5
    assert edit(database, "SELECT count(*) FROM blobs") == [(3,)]
    assert edit(database, "SELECT count(*) FROM events WHERE blob IS NOT NULL AND payload IS NULL") == [(6,)]


def test_names_may_hold_what_postgresql_cannot(store: PostgresStore) -> None:
    names = {"agent": "a\0\x1a0", "task": "\x1a\0\x1a1\0", "queue": "\0"}
    lease = begin(store, "r\0\x1a", **names)
    add(store, lease, {"n": 1}, changes=Changes(status="wai\0ting", release=True))
    row = store.row("r\0\x1a")
    assert (row.agent, row.task, row.queue, row.status) == (*names.values(), "wai\0ting")
    assert store.verify(row.id) == 2


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("UPDATE events SET payload='{\"n\":7}' WHERE place & 4294967295 = 3", "event 3: the hash does not fit"),
        ("DELETE FROM events WHERE place & 4294967295 = 3", "event 3 is missing"),
        ("DELETE FROM events WHERE place & 4294967295 = 4", "ends at event 3, but 4 were written"),
        ("UPDATE blobs SET data = data || '\\x20'::bytea", "event 4: its blob .* was changed"),
        ("DELETE FROM blobs", "event 4: its blob .* is missing"),
        ("UPDATE events SET at = at + 1 WHERE place & 4294967295 = 1", "event 1: the hash does not fit"),
    ],
)
def test_verify_finds_tampering(store: PostgresStore, database: str, sql: str, message: str) -> None:
    lease = begin(store)
    add(store, lease, {"n": 1}, {"n": 2}, {"text": "é" * BLOB_BYTES})
    assert store.verify(lease.run_id) == 4
    assert edit(database, sql) == 1
    with pytest.raises(StoreError, match=message):
        store.verify(lease.run_id)


def test_revocations_cannot_be_changed(store: PostgresStore, database: str) -> None:
    store.revoke("gr_1", by="ann")
    for sql in ("UPDATE revocations SET name='x'", "DELETE FROM revocations"):
        with pytest.raises(psycopg.Error, match="append only"):
            edit(database, sql)


def test_bytes_an_event_stay_constant(store: PostgresStore, database: str) -> None:
    lease, sizes = begin(store), []
    for block in range(6):
        for n in range(400):
            store.append(lease, [NewEvent("note", {"text": f"{block}-{n}".ljust(400, "x")})])
        add(store, lease, {"n": block})
        sizes.append(edit(database, "SELECT pg_table_size('events')")[0][0])
    growth = [after - before for before, after in itertools.pairwise(sizes)][1:]
    assert max(growth) <= 1.5 * min(growth), sizes


def test_a_newer_journal_is_refused_untouched(database: str, tmp_path: Path) -> None:
    PostgresStore(tmp_path / "home", database).close()
    edit(database, "UPDATE format SET version = 99")
    with pytest.raises(JournalVersionError, match="format 99"):
        PostgresStore(tmp_path / "home", database)
    assert edit(database, "SELECT version FROM format") == [(99,)]


def test_a_schema_of_another_program_is_refused_and_other_schemas_are_left_alone(database: str, tmp_path: Path) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE public.runs (name TEXT)")
        connection.execute("CREATE SCHEMA mainspring")
        connection.execute("CREATE TABLE mainspring.recipes (name TEXT)")
    with pytest.raises(StoreError, match="another program"):
        PostgresStore(tmp_path / "home", database)
    edit(database, "DROP TABLE recipes")
    store = PostgresStore(tmp_path / "home", database)
    begin(store)
    store.close()
    assert edit(database, "SELECT count(*) FROM public.runs") == [(0,)]


def test_many_open_a_new_database_at_once(database: str, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(lambda n: PostgresStore(tmp_path / f"home{n}", database), range(8)))
    run_id = begin_and_release(stores[0])
    for store in stores:
        assert store.row(run_id).head_seq == 1
        store.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://mainspring:WRONG@{host}/{name}", "password are wrong"),
        ("postgresql://mainspring:{password}@{host}/nowhere", "createdb"),
        ("postgresql://mainspring:{password}@127.0.0.1:1/x", "check that the server runs"),
        ("http://x/y", "MAINSPRING_DATABASE_URL cannot be read"),
    ],
)
def test_what_cannot_be_opened_is_told_without_the_password(
    database: str, tmp_path: Path, url: str, message: str
) -> None:
    parts = database.removeprefix("postgresql://mainspring:")
    password, _, rest = parts.partition("@")
    host, _, name = rest.partition("/")
    with pytest.raises(StoreError, match=message) as caught:
        PostgresStore(tmp_path / "home", url.format(host=host, name=name, password=password))
    assert password not in str(caught.value)
    assert "WRONG" not in str(caught.value)


@pytest.mark.parametrize("lease", ["0", "soon", "-3", "nan", "1e9"])
def test_an_odd_lease_is_refused(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lease: str) -> None:
    monkeypatch.setenv("MAINSPRING_LEASE_S", lease)
    with pytest.raises(StoreError, match="MAINSPRING_LEASE_S"):
        PostgresStore(tmp_path / "home", database)


def test_a_server_that_takes_no_writes_says_so(store: PostgresStore, database: str, tmp_path: Path) -> None:
    lease = begin(store)
    name = database.rpartition("/")[2]
    edit(database, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    with pytest.raises(StoreError, match="primary"):
        PostgresStore(tmp_path / "other", database)
    edit(database, "SET default_transaction_read_only = off")
    add(store, lease, {"n": 1})  # its connections are older


def test_open_store_follows_the_environment(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = open_store(tmp_path / "home")
    assert isinstance(local, SQLiteStore)
    monkeypatch.setenv("MAINSPRING_DATABASE_URL", database)
    fleet = open_store(tmp_path / "home")
    assert isinstance(fleet, PostgresStore)
    assert fleet is open_store(tmp_path / "home")
    assert fleet is not open_store(tmp_path / "other")
    assert fleet.home == tmp_path / "home"
    close_stores()
    assert fleet is not open_store(tmp_path / "home")


def test_a_forked_child_uses_nothing_of_its_parent(store: PostgresStore) -> None:
    lease = begin(store)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        said = []
        for call in (lambda: store.row(lease.run_id), lambda: begin(store), lambda: add(store, lease, {"n": 9})):
            try:
                call()
                said.append("done")
            except StoreError as error:
                said.append("fork" if "fork" in str(error) else str(error))
        said.append(str(store.holds(lease)))
        store.close()
        os.write(writer, ",".join(said).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 1000).decode() == "fork,fork,fork,False"
    add(store, lease, {"n": 1})
    assert store.row(lease.run_id).head_seq == 2


# --- between SQLite and PostgreSQL ---


def test_runs_move_both_ways(store: PostgresStore, tmp_path: Path) -> None:
    laptop = SQLiteStore(tmp_path / "laptop")
    lease = begin(laptop, "r", task="a täsk\0")
    add(laptop, lease, {"text": "漢" * BLOB_BYTES}, {"n": 1.5}, changes=Changes(status="waiting", release=True))
    laptop.post("r", "message", {"text": "go on"})
    laptop.seal("r")
    lines = exported(laptop, "r")
    imported(store, lines)
    assert exported(store, "r") == lines
    assert [e.hash for e in store.events("r")] == [e.hash for e in laptop.events("r")]
    taken = store.acquire("r")
    add(store, taken, {"n": 2})
    back = SQLiteStore(tmp_path / "back")
    imported(back, exported(store, "r"))
    assert list(back.events("r")) == list(store.events("r"))
    assert back.verify("r") == 4
    laptop.close()
    back.close()


# --- seals of several machines ---


def test_a_seal_is_found_from_another_home(store: PostgresStore, database: str, tmp_path: Path) -> None:
    lease = begin(store)
    seal = store.seal(lease.run_id)
    other = PostgresStore(tmp_path / "other", database)
    assert other.newest_seal(lease.run_id, 9) == seal
    add(store, lease, {"n": 1})
    theirs = other.seal(lease.run_id)
    assert theirs.key != seal.key
    assert store.newest_seal(lease.run_id, 9) == theirs
    other.close()


def test_an_audit_counts_what_a_trusted_machine_has_signed(store: PostgresStore, database: str, tmp_path: Path) -> None:
    from mainspring.audit.verify import verify
    from mainspring.store.keys import trust

    lease = begin(store)
    add(store, lease, {"n": 1})
    store.seal(lease.run_id)
    other = PostgresStore(tmp_path / "other", database)
    [before] = verify(other, home=other.home).runs
    assert before.signed == 0  # an unknown key proves nothing
    trust(other.home, store.home / "keys" / "audit.pub")
    [after] = verify(other, home=other.home).runs
    assert (after.signed, after.problem) == (2, None)
    edit(database, "DELETE FROM events")
    edit(database, "DELETE FROM runs")
    report = verify(other, home=other.home)
    assert any("2 events were signed" in str(problem) for problem in report.problems)
    other.close()


# --- workers that ask at once ---


def test_equally_urgent_runs_are_spread_over_those_who_ask(database: str, tmp_path: Path) -> None:
    stores = [PostgresStore(tmp_path / f"home{n}", database) for n in range(3)]
    for number in range(60):
        lease = begin(stores[0], f"ready-{number}", priority=number % 2)
        stores[0].release(lease)
    asked = [store.ready(2e9, limit=10) for store in stores]
    assert all(int(run.rpartition("-")[2]) % 2 for found in asked for run in found)  # the urgent ones first
    assert len({found[0] for found in asked}) == 3
    assert sorted(stores[0].ready(2e9)) == sorted(stores[1].ready(2e9)) == sorted(f"ready-{n}" for n in range(60))
    for store in stores:
        store.close()


def test_a_busy_run_names_its_owner(store: PostgresStore, database: str, tmp_path: Path) -> None:
    lease = begin(store)
    other = PostgresStore(tmp_path / "other", database)
    with pytest.raises(RunBusyError, match=f"process {os.getpid()} on "):
        other.acquire(lease.run_id)
    store.close()  # given up at a clean close, long before the lease has run out
    assert other.acquire(lease.run_id).epoch == 2
    with pytest.raises(StoreError, match="closed"):
        add(store, lease, {"n": 1})
    other.close()
