"""The SQLite journal: the conformance suite, and what only a file and several processes can show."""

from __future__ import annotations

import fcntl
import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from conformance import Opener, StoreConformance, add, begin, begin_and_release, exported, imported

from mainspring.errors import JournalVersionError, RunBusyError, StoreError
from mainspring.label import USER
from mainspring.store import NewEvent, SQLiteStore, Store, default_home, open_store
from mainspring.store.chain import BLOB_BYTES


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
        edit(store.home, "DELETE FROM runs WHERE id=?", run_id)
        for table in ("events", "approvals", "inbox"):
            edit(store.home, f"DELETE FROM {table} WHERE run_id=?", run_id)  # noqa: S608  our own names


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
    "payload": ("UPDATE events SET payload='{\"n\":7}' WHERE run_id=? AND seq=3", "event 3: the hash does not fit"),
    "space in a payload": (
        "UPDATE events SET payload=replace(payload, ':', ': ') WHERE run_id=? AND seq=3",
        "event 3: the hash does not fit",
    ),
    "label": ("UPDATE events SET label='{\"sources\":[]}' WHERE run_id=? AND seq=1", "event 1: the hash does not fit"),
    "kind": ("UPDATE events SET kind='other' WHERE run_id=? AND seq=3", "event 3: the hash does not fit"),
    "version": ("UPDATE events SET version=2 WHERE run_id=? AND seq=3", "event 3: the hash does not fit"),
    "time": ("UPDATE events SET at=at+1 WHERE run_id=? AND seq=3", "event 3: the hash does not fit"),
    "hash": ("UPDATE events SET hash=upper(hash) WHERE run_id=? AND seq=3", "event 3: the hash does not fit"),
    "first line": ("DELETE FROM events WHERE run_id=? AND seq=1", "event 1 is missing"),
    "middle line": ("DELETE FROM events WHERE run_id=? AND seq=3", "event 3 is missing"),
    "last line": ("DELETE FROM events WHERE run_id=? AND seq=5", "ends at event 4, but 5 were written"),
    "all lines": ("DELETE FROM events WHERE run_id=?", "ends at event 0, but 5 were written"),
    "moved line": ("UPDATE events SET seq=6 WHERE run_id=? AND seq=5", "event 5 is missing"),
    "blob": ("UPDATE blobs SET data=data || x'20' WHERE ? IS NOT NULL", "event 4: its blob .* was changed"),
    "no blob": ("DELETE FROM blobs WHERE ? IS NOT NULL", "event 4: its blob .* is missing"),
    "another blob": (
        "UPDATE events SET blob=(SELECT digest FROM blobs WHERE digest<>blob) WHERE run_id=? AND seq=4",
        "event 4: the hash does not fit",
    ),
    "inline for blob": (
        "UPDATE events SET payload=(SELECT cast(data AS TEXT) FROM blobs WHERE digest=blob), blob=NULL "
        "WHERE run_id=? AND seq=4",
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


# --- several processes ---

HOLD = """
    import os, sys, time
    from pathlib import Path
    from mainspring.store import NewEvent, SQLiteStore

    store = SQLiteStore(Path(sys.argv[1]))
    lease, appended = store.create(sys.argv[2], [NewEvent("run.started", {"n": 0})], agent="a", task="t")
    appended.done.result()
"""


def start(body: str, *arguments: object) -> subprocess.Popen[str]:
    """A Python process that has printed its first line when this returns."""
    program = [sys.executable, "-c", textwrap.dedent(body), *(str(a) for a in arguments)]
    process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.first_line = process.stdout.readline().strip()  # type: ignore[attr-defined]
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def test_a_run_is_busy_while_its_process_lives_and_free_when_it_is_killed(store: SQLiteStore, home: Path) -> None:
    process = start(HOLD + "    print('ready', flush=True); time.sleep(300)", home, "r")
    try:
        assert store.row("r").alive
        with pytest.raises(RunBusyError, match=f"process {process.pid}"):
            store.acquire("r")
    finally:
        kill(process)
    row = store.row("r")
    assert (row.status, row.alive) == ("running", False)
    lease = store.acquire("r")
    assert lease.epoch == 2
    add(store, lease, {"n": 1})


FORK = """
    child = os.fork()
    if child == 0:
        time.sleep(300)
        os._exit(0)
    print(child, flush=True)
    time.sleep(300)
"""


def test_a_forked_child_does_not_keep_a_dead_owner_alive(store: SQLiteStore, home: Path) -> None:
    process = start(HOLD + FORK, home, "r")
    child = int(process.first_line)  # type: ignore[attr-defined]
    try:
        with pytest.raises(RunBusyError):
            store.acquire("r")
        kill(process)
        os.kill(child, 0)  # the child lives
        assert store.acquire("r").epoch == 2
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_child_program_does_not_keep_a_dead_owner_alive(store: SQLiteStore, home: Path) -> None:
    body = """
    import subprocess
    child = subprocess.Popen(["sleep", "300"], close_fds=False, stdout=subprocess.DEVNULL)
    print(child.pid, flush=True)
    time.sleep(300)
"""
    process = start(HOLD + body, home, "r")
    child = int(process.first_line)  # type: ignore[attr-defined]
    try:
        kill(process)
        os.kill(child, 0)
        assert store.acquire("r").epoch == 2
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_child_that_forks_cannot_write_under_its_parents_lease(store: SQLiteStore, home: Path) -> None:
    body = """
    child = os.fork()
    if child == 0:
        print(store.holds(lease), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    time.sleep(300)
"""
    process = start(HOLD + body, home, "r")
    try:
        assert process.first_line == "False"  # type: ignore[attr-defined]
    finally:
        kill(process)


RACE = """
    import sys
    from pathlib import Path
    from mainspring.errors import RunBusyError
    from mainspring.store import SQLiteStore

    store = SQLiteStore(Path(sys.argv[1]))
    print("ready", flush=True)
    for line in sys.stdin:
        try:
            answer = store.acquire(line.strip()).epoch
        except RunBusyError:
            answer = "busy"
        print(answer, flush=True)
"""


def test_processes_that_race_for_a_run(store: SQLiteStore, home: Path) -> None:
    racers = [start(RACE, home) for _ in range(2)]
    try:
        for _ in range(30):
            run_id = begin_and_release(store)
            for racer in racers:
                assert racer.stdin is not None
                racer.stdin.write(run_id + "\n")
                racer.stdin.flush()
            answers = sorted(racer.stdout.readline().strip() for racer in racers if racer.stdout is not None)
            assert answers == ["2", "busy"]
    finally:
        for racer in racers:
            kill(racer)


def test_processes_that_race_for_a_dead_mans_run(store: SQLiteStore, home: Path) -> None:
    """Both must prove that the old owner is dead; neither may take the other's proof for the owner's life."""
    racers = [start(RACE, home) for _ in range(2)]
    try:
        for number in range(5):
            kill(start(HOLD + "    print('ready', flush=True); time.sleep(300)", home, f"r{number}"))
            for racer in racers:
                assert racer.stdin is not None
                racer.stdin.write(f"r{number}\n")
                racer.stdin.flush()
            answers = sorted(racer.stdout.readline().strip() for racer in racers if racer.stdout is not None)
            assert answers == ["2", "busy"]
    finally:
        for racer in racers:
            kill(racer)


def test_somebody_who_looks_is_not_taken_for_the_owner(store: SQLiteStore, home: Path) -> None:
    process = start(HOLD + "    print('ready', flush=True); time.sleep(300)", home, "r")
    (path,) = (home / "owners").glob(f"{process.pid}-*.lock")
    kill(process)
    with open(path, "r+") as looked_at:
        fcntl.flock(looked_at, fcntl.LOCK_SH)  # as another process does for a moment when it lists the runs
        assert not store.row("r").alive
        assert store.acquire("r").epoch == 2


def test_runs_of_another_process_are_read_as_they_grow(store: SQLiteStore, home: Path) -> None:
    body = """
    print("ready", flush=True)
    for line in sys.stdin:
        store.append(lease, [NewEvent("note", {"n": int(line)})]).done.result()
        print("done", flush=True)
"""
    process = start(HOLD + body, home, "r")
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        for n in range(1, 5):
            process.stdin.write(f"{n}\n")
            process.stdin.flush()
            assert process.stdout.readline() == "done\n"
            assert [e.payload["n"] for e in store.events("r")] == list(range(n + 1))
    finally:
        kill(process)


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
