"""What goes wrong around a PostgreSQL journal: servers killed and stopped, processes frozen, two that race."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from suite_common import add, begin

from mainspring.errors import LeaseLostError, RunBusyError, StoreError
from mainspring.store import ApprovalRequest, Changes, Lease, NewEvent
from mainspring.store import postgres_writer as writer_module
from mainspring.store.postgres import PostgresStore
from postgres_server import UNSAFE, NoPostgres, PostgresServer


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server of its own, since it is killed."""
    try:
        made = PostgresServer(UNSAFE)
        made.start()
    except NoPostgres as reason:
        pytest.skip(str(reason))
    yield made
    made.stop(remove=True)


def wait_for(what: str, done: object) -> None:
    deadline = time.monotonic() + 60
    while not done():  # type: ignore[operator]
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


@pytest.mark.slow
def test_a_killed_server_loses_and_doubles_nothing(server: PostgresServer, tmp_path: Path) -> None:
    store = PostgresStore(tmp_path / "home", server.create_database("faults"))
    acknowledged: dict[str, list[int]] = {}
    stop = threading.Event()
    errors: list[BaseException] = []

    def work(name: str) -> None:
        try:
            lease = begin(store, name)
            said = acknowledged[name] = []
            count = 0
            while not stop.is_set():
                changes = None
                if count % 7 == 3:  # some go the other way, with a savepoint
                    changes = Changes(requests=(ApprovalRequest(f"ap_{name}_{count}", "d", None),))
                add(store, lease, {"n": count}, changes=changes)
                said.append(count)
                count += 1
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(f"run-{n}",)) for n in range(12)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        before = sum(map(len, acknowledged.values()))
        wait_for("appends", lambda before=before: sum(map(len, acknowledged.values())) > before + 100)
        server.kill()
        server.start()
    stop.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(acknowledged) == 12
    for name, said in acknowledged.items():
        assert [e.payload["n"] for e in store.events(name, after=1)] == said == list(range(len(said)))
        assert store.verify(name) == len(said) + 1
    store.close()


@pytest.mark.parametrize("landed", [True, False])
@pytest.mark.parametrize("kind", ["append", "create", "approval", "empty"])
def test_a_commit_whose_answer_is_lost_is_looked_up(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, landed: bool, kind: str
) -> None:
    store = PostgresStore(tmp_path / "home", database)
    lease = begin(store, "first")
    point = "store.committed" if landed else "store.before_commit"
    hit = []

    def cut(name: str) -> None:
        if name == point and not hit:
            hit.append(name)
            if landed:  # as if the answer had not come: the writer does not know its own turn yet
                store._writer._turn -= 1
            raise psycopg.OperationalError("the connection was cut")

    original = writer_module.points.reach
    monkeypatch.setattr(writer_module.points, "reach", cut)
    if kind == "append":
        add(store, lease, {"n": 1})
    elif kind == "create":
        begin(store, "second")
    elif kind == "approval":
        add(store, lease, {"n": 1}, changes=Changes(requests=(ApprovalRequest("ap", "d", None),)))
    else:
        store.append(lease, [], Changes(status="waiting", wake_at=5.0)).done.result()
    monkeypatch.setattr(writer_module.points, "reach", original)
    assert hit == [point]
    add(store, lease, {"n": 2})
    wanted = [0, 1, 2] if kind in ("append", "approval") else [0, 2]
    assert [e.payload["n"] for e in store.events("first")] == wanted
    assert [r.id for r in store.rows()].count("second") == (kind == "create")
    assert len(store.approvals()) == (kind == "approval")
    assert (store.row("first").status == "waiting") == (kind == "empty")
    store.close()


def test_a_statement_that_comes_late_writes_nothing(database: str, tmp_path: Path) -> None:
    from mainspring.store.postgres_appends import Append, NotOurTurn, written
    from mainspring.store.postgres_connection import connector

    store = PostgresStore(tmp_path / "home", database)
    lease = begin(store)
    writer = store._writer
    turn = writer._turn
    rows, _, _ = store._chain(lease, [NewEvent("note", {"n": "late"})])
    late = Append(lease.run_id, 1, store._owner.name, 1, 2, lease.head_hash, rows)
    writer._drop()  # the connection is lost, and the writer makes a new one for the next job
    store.post(lease.run_id, "message", {})
    with connector(database)() as link, pytest.raises(NotOurTurn):
        written(link, [late], writer.name, turn)
    assert store.row(lease.run_id).head_seq == 1
    store.close()


HOLD = """
    import sys, time
    from pathlib import Path
    from mainspring.errors import LeaseLostError
    from mainspring.store import NewEvent
    from mainspring.store.postgres import PostgresStore

    store = PostgresStore(Path(sys.argv[1]), sys.argv[2])
    lease, appended = store.create("r", [NewEvent("run.started", {"n": 0})], agent="a", task="t")
    appended.done.result()
    print("ready", store.holds(lease), flush=True)
    for line in sys.stdin:
        held = store.holds(lease)
        try:
            store.append(lease, [NewEvent("note", {"n": "stale"})]).done.result()
            print(held, "written", flush=True)
        except LeaseLostError:
            print(held, "refused", flush=True)
"""


@pytest.fixture
def holder(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[str]]:
    """A process that owns the run `r` by a lease of two seconds, and appends for each line that it reads."""
    monkeypatch.setenv("MAINSPRING_LEASE_S", "2")
    program = [sys.executable, "-c", textwrap.dedent(HOLD), str(tmp_path / "theirs"), database]
    process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready True\n"
    yield process
    process.kill()
    process.communicate()


def asked(process: subprocess.Popen[str]) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def taken_over(store: PostgresStore, run_id: str) -> Lease:
    """The run, as soon as its owner is past its time."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return store.acquire(run_id)
        except RunBusyError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.mark.slow
def test_a_frozen_process_loses_its_run_and_knows_it(
    holder: subprocess.Popen[str], database: str, tmp_path: Path
) -> None:
    store = PostgresStore(tmp_path / "home", database)
    assert asked(holder) == "True written"
    with pytest.raises(RunBusyError, match=f"process {holder.pid} on "):
        store.acquire("r")
    assert store.ready(2e9) == []
    holder.send_signal(signal.SIGSTOP)
    lease = taken_over(store, "r")
    assert lease.epoch == 2
    add(store, lease, {"n": "ours"})
    holder.send_signal(signal.SIGCONT)
    assert asked(holder) == "False refused"
    assert asked(holder) == "False refused"  # under its new name as well
    assert [e.payload["n"] for e in store.events("r")] == [0, "stale", "ours"]
    assert store.verify("r") == 3
    store.close()


@pytest.mark.slow
def test_a_killed_process_is_dead_when_its_lease_is_over(
    holder: subprocess.Popen[str], database: str, tmp_path: Path
) -> None:
    store = PostgresStore(tmp_path / "home", database)
    holder.kill()
    holder.wait()
    with pytest.raises(RunBusyError):  # nobody can tell yet
        store.acquire("r")
    wait_for("the end of the lease", lambda: store.ready(2e9) == ["r"])
    assert not store.row("r").alive
    add(store, taken_over(store, "r"), {"n": 1})
    store.close()


def test_whoever_is_cut_off_holds_nothing_after_its_lease(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAINSPRING_LEASE_S", "1")
    store = PostgresStore(tmp_path / "home", database)
    lease = begin(store)
    assert store.holds(lease)

    def cut() -> object:
        raise psycopg.OperationalError("no route to host")

    monkeypatch.setattr(store._owner, "_connect", cut)
    link = store._owner._link
    assert link is not None
    link.close()
    wait_for("the end of the lease", lambda: not store.holds(lease))
    monkeypatch.undo()
    # Nobody took the run meanwhile: the owner was never declared dead, and goes on where it was.
    wait_for("a renewal", lambda: store.holds(lease))
    add(store, lease, {"n": 1})
    store.close()


RACE = """
    import sys
    from pathlib import Path
    from mainspring.errors import RunBusyError
    from mainspring.store.postgres import PostgresStore

    store = PostgresStore(Path(sys.argv[1]), sys.argv[2])
    print("ready", flush=True)
    sys.stdin.readline()
    won = []
    for number in range(30):
        try:
            store.acquire(f"race-{number}")
            won.append(str(number))
        except RunBusyError:
            pass
    print(",".join(won), flush=True)
    sys.stdin.readline()
"""


def test_two_processes_that_race_never_both_win(database: str, tmp_path: Path) -> None:
    store = PostgresStore(tmp_path / "home", database)
    for number in range(30):
        store.release(begin(store, f"race-{number}"))
    racers = []
    for name in ("a", "b"):
        program = [sys.executable, "-c", textwrap.dedent(RACE), str(tmp_path / name), database]
        racers.append(subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    try:
        assert [r.stdout.readline() for r in racers if r.stdout] == ["ready\n"] * 2
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        won = [r.stdout.readline().strip().split(",") for r in racers if r.stdout]
        assert sorted(int(n) for side in won for n in side if n) == list(range(30))
        assert all(store.row(f"race-{n}").epoch == 2 for n in range(30))
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()
    store.close()


def test_writes_that_the_server_refuses_fail_and_later_ones_do_not(database: str, tmp_path: Path) -> None:
    store = PostgresStore(tmp_path / "home", database)
    lease, other = begin(store), begin(store)
    store._writer.submit(lambda c: c.link.execute("SET default_transaction_read_only = on")).result()
    with pytest.raises(StoreError, match="primary"):
        add(store, lease, {"n": 1})
    link = store._writer._link
    assert link is not None
    link.execute("SET default_transaction_read_only = off")
    assert store.broken is None
    with pytest.raises(LeaseLostError):  # its head is not what it believes: it must be acquired again
        add(store, lease, {"n": 2})
    add(store, other, {"n": 1})
    store.release(lease)
    add(store, store.acquire(lease.run_id), {"n": 1})
    assert store.verify(lease.run_id) == 2
    store.close()


@pytest.mark.slow
def test_a_full_disk_is_told_and_over_when_there_is_room(tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=120m,mode=0755", "tmpfs", str(room)], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("a small file system cannot be mounted here")
    try:
        server = PostgresServer(UNSAFE | {"max_wal_size": "40MB", "min_wal_size": "32MB"})
        for folder in (tmp_path, *tmp_path.parents[:2]):
            os.chmod(folder, 0o755)
        server.start(room / "server")
        store = PostgresStore(tmp_path / "home", server.create_database("full"))
        lease = begin(store)
        fill = room / "fill"
        filled(fill)
        with pytest.raises(StoreError) as caught:
            append_much(store, lease)
        assert "full" in str(caught.value) or "reached" in str(caught.value)
        fill.unlink()
        if not server.pid:
            server.start()
        wait_for("the server", lambda: _answers(server))
        store.release(lease)
        again = store.acquire(lease.run_id)
        add(store, again, {"n": -1})
        assert store.verify(again.run_id) == again.head_seq
        store.close()
        server.stop()
    finally:
        subprocess.run(["umount", "-l", str(room)], check=False)


def filled(path: Path) -> None:
    """Use up what room there is."""
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 65536)


def append_much(store: PostgresStore, lease: Lease) -> None:
    for n in range(2000):
        add(store, lease, {"n": n, "text": os.urandom(4000).hex()})


def _answers(server: PostgresServer) -> bool:
    try:
        server.connect().__enter__()
    except ConnectionError:
        return False
    return True
