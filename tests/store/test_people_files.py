"""Approvals, revocations and seals in files and between processes: old files, keys, torn lines, kills in the middle."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from suite_common import add, ask, begin, use

from mainspring.errors import ApprovalError, StoreError
from mainspring.store import ApprovalRequest, Changes, SQLiteStore, schema
from mainspring.store.keys import known_keys, own_public, signer, trust
from mainspring.store.seals import newest_seal, read_seals, seal_path, write_seal

HEAD = "a" * 64


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def store(home: Path) -> Iterator[SQLiteStore]:
    made = SQLiteStore(home)
    yield made
    made.close()


# --- files of the first format ---


def old_file(home: Path) -> None:
    """A journal as the first format had it, with an approval that was answered and one that waits."""
    home.mkdir()
    connection = sqlite3.connect(home / "journal.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.executescript(schema.MIGRATIONS[0])
    connection.execute(
        "INSERT INTO runs VALUES (1,'r','clerk','t','waiting',1.0,1.0,1,NULL,0,?,NULL,NULL)", ("0" * 64,)
    )
    connection.execute("INSERT INTO approvals VALUES ('ap_old','r','d1','approved',1.0,NULL,'ann',NULL)")
    connection.execute("INSERT INTO approvals VALUES ('ap_open','r','d1','pending',2.0,NULL,NULL,NULL)")
    connection.execute("PRAGMA user_version=1")
    connection.close()


def test_a_file_of_the_first_format_opens(home: Path) -> None:
    old_file(home)
    store = SQLiteStore(home)
    old = store.approval("ap_old")
    assert (old.state, old.answered_by, old.people, old.approvers, old.answers) == ("approved", "ann", 1, (), ())
    assert store.answer("ap_open", "approved", by="bob").state == "approved"
    lease = store.acquire("r")
    add(store, lease, {"n": 1})
    use(store, lease, "ap_old")
    assert store.verify("r") == 2
    assert store.revoked() == frozenset()
    store.close()
    SQLiteStore(home).close()


def test_several_open_an_old_file_at_once(home: Path) -> None:
    old_file(home)
    program = "import sys; from pathlib import Path; from mainspring.store import SQLiteStore\n"
    program += "print(SQLiteStore(Path(sys.argv[1])).approval('ap_open').people)"
    racers = [
        subprocess.Popen([sys.executable, "-c", program, str(home)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert [r.communicate(timeout=60)[0] for r in racers] == ["1\n"] * 4


def test_revocations_are_appended_only(store: SQLiteStore, home: Path) -> None:
    store.revoke("ann", by="bob")
    connection = sqlite3.connect(home / "journal.db")
    for sql in ("UPDATE revocations SET revoked=0", "DELETE FROM revocations"):
        with pytest.raises(sqlite3.IntegrityError, match="append only"):
            connection.execute(sql)
    connection.execute("DROP TRIGGER revocations_stay")
    connection.execute("UPDATE revocations SET revoked=0")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="revocation 1: the hash does not fit"):
        store.revocations()


def test_asking_what_is_revoked_is_cheap(store: SQLiteStore) -> None:
    for n in range(300):
        store.revoke(f"gr_{n}", by="bob")
    assert len(store.revoked()) == 300
    started = time.perf_counter()
    for _ in range(1000):
        store.revoked()
    assert time.perf_counter() - started < 1.0  # under 1 ms a step on any machine; it takes some microseconds


# --- kills in the middle ---

ANSWER = """
    import sys
    from pathlib import Path
    from mainspring import points
    from mainspring.store import SQLiteStore

    store = SQLiteStore(Path(sys.argv[1]))
    if sys.argv[3]:
        import os, signal
        points.hook = lambda name: os.kill(os.getpid(), signal.SIGKILL) if name == sys.argv[3] else None
    store.answer("ap", "approved", by=sys.argv[2])
    print("answered", flush=True)
"""


def answering(home: Path, by: str, die_at: str = "") -> tuple[int, str]:
    """A person's process; returns its exit status and what it said."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(ANSWER), str(home), by, die_at],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(("point", "counted"), [("store.before_commit", False), ("store.committed", True)])
def test_a_person_killed_while_answering_has_answered_or_not(
    store: SQLiteStore, home: Path, point: str, counted: bool
) -> None:
    lease = begin(store)
    add(store, lease, changes=Changes(requests=(ApprovalRequest("ap", "d1", None, 2),)))
    assert answering(home, "ann", point)[0] == -signal.SIGKILL
    assert store.approval("ap").approved_by == (("ann",) if counted else ())
    status, said = answering(home, "Ann")
    assert (status == 0) != counted, said
    assert ("counts once" in said) == counted
    assert store.inbox(lease.run_id) == []
    assert answering(home, "bob", point)[0] == -signal.SIGKILL
    assert len(store.inbox(lease.run_id)) == counted  # the yes and its word to the run are one transaction
    assert store.approval("ap").state == ("approved" if counted else "pending")


def test_people_race_in_processes_of_their_own(store: SQLiteStore, home: Path) -> None:
    lease = begin(store)
    add(store, lease, changes=Changes(requests=(ApprovalRequest("ap", "d1", None, 2, ("ann", "bob", "cid")),)))
    results: list[tuple[int, str]] = []
    names = ["ann", "bob", "cid", "ANN", "eve"]
    threads = [threading.Thread(target=lambda n=n: results.append(answering(home, n))) for n in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [status for status, _ in results].count(0) == 2, results
    row = store.approval("ap")
    assert row.state == "approved"
    assert len({name.lower() for name in row.approved_by}) == 2
    assert "eve" not in row.approved_by
    assert len(store.inbox(lease.run_id)) == 1


# --- the key ---


def test_a_key_is_made_once_and_for_its_owner(home: Path) -> None:
    home.mkdir()
    first = signer(home)
    path = home / "keys" / "audit.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert own_public(home) == signer(home).public == first.public
    assert first.public.verifies(first.sign(b"x"), b"x")
    assert not first.public.verifies(first.sign(b"x"), b"y")
    assert not first.public.verifies("zz", b"x")


def test_processes_that_make_the_key_at_once_make_one(home: Path) -> None:
    home.mkdir()
    program = "import sys; from pathlib import Path; from mainspring.store.keys import signer\n"
    program += "print(signer(Path(sys.argv[1])).public.id)"
    racers = [
        subprocess.Popen([sys.executable, "-c", program, str(home)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    ids = {r.communicate(timeout=60)[0] for r in racers}
    assert ids == {signer(home).public.id + "\n"}


def test_a_key_that_others_can_read_signs_nothing(home: Path) -> None:
    home.mkdir()
    signer(home)
    for path, mode in ((home / "keys" / "audit.key", 0o640), (home / "keys", 0o755)):
        before = path.stat().st_mode & 0o777
        path.chmod(mode)
        with pytest.raises(StoreError, match=f"open to others .mode {mode:o}"):
            signer(home)
        path.chmod(before)
    signer(home)


@pytest.mark.parametrize("content", ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_damaged_key_signs_nothing(home: Path, content: str) -> None:
    home.mkdir()
    signer(home)
    (home / "keys" / "audit.key").write_text(content)
    with pytest.raises(StoreError, match="no Ed25519 key"):
        signer(home)


def test_a_lost_or_replaced_key_is_not_replaced_silently(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    for folder in (home, other):
        folder.mkdir()
        signer(folder)
    path = home / "keys" / "audit.key"
    kept = path.read_bytes()
    path.unlink()
    with pytest.raises(StoreError, match="is gone"):
        signer(home)
    assert not path.exists()
    path.write_bytes((other / "keys" / "audit.key").read_bytes())
    path.chmod(0o600)
    with pytest.raises(StoreError, match="not of one pair"):
        signer(home)
    path.unlink()
    path.symlink_to(other / "keys" / "audit.key")
    with pytest.raises(StoreError, match="is a link"):
        signer(home)
    path.unlink()
    path.write_bytes(kept)
    path.chmod(0o600)
    signer(home)


def test_keys_that_are_believed(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    for folder in (home, other):
        folder.mkdir()
        signer(folder)
    theirs = trust(home, other / "keys" / "audit.pub")
    assert (
        set(known_keys(home))
        == {signer(home).public.id, theirs.id}
        == {signer(home).public.id, signer(other).public.id}
    )
    (tmp_path / "x").write_text("hello")
    with pytest.raises(StoreError, match="no public key"):
        trust(home, tmp_path / "x")


# --- the file of seals ---


def test_a_seal_costs_less_than_a_millisecond(home: Path) -> None:
    home.mkdir()
    write_seal(home, "r", 1, HEAD)
    times = []
    for n in range(200):
        started = time.perf_counter()
        write_seal(home, "r", n + 2, HEAD)
        times.append(time.perf_counter() - started)
    assert sorted(times)[100] < 0.001


def test_a_line_that_a_power_cut_left_unfinished_is_set_aside(home: Path) -> None:
    home.mkdir()
    first = write_seal(home, "r", 1, HEAD)
    with open(seal_path(home), "ab") as file:
        file.write(b'{"n":2,"run":"r","se')
    assert len(list(read_seals(home))) == 1
    second = write_seal(home, "r", 2, HEAD)
    assert (second.n, second.previous) == (2, first.hash)
    assert (home / "audit" / "seals.torn").read_bytes() == b'{"n":2,"run":"r","se\n'
    assert [json.loads(line)["n"] for _, line in read_seals(home)] == [1, 2]


def test_a_file_that_ends_in_something_else_is_not_gone_on_with(home: Path) -> None:
    home.mkdir()
    write_seal(home, "r", 1, HEAD)
    with open(seal_path(home), "ab") as file:
        file.write(b"hello\n")
    with pytest.raises(StoreError, match="does not end in a seal"):
        write_seal(home, "r", 2, HEAD)


def test_a_file_that_cannot_be_written(home: Path) -> None:
    home.mkdir()
    write_seal(home, "r", 1, HEAD)
    seal_path(home).unlink()
    seal_path(home).mkdir()
    with pytest.raises(StoreError, match="it is not signed"):
        write_seal(home, "r", 2, HEAD)


def test_processes_and_threads_that_sign_at_once_make_one_chain(home: Path) -> None:
    home.mkdir()
    program = """
    import sys, threading
    from pathlib import Path
    from mainspring.store.seals import write_seal
    home, name = Path(sys.argv[1]), sys.argv[2]
    def sign(k):
        for n in range(25):
            write_seal(home, f"{name}-{k}", n + 1, "b" * 64)
    threads = [threading.Thread(target=sign, args=(k,)) for k in range(3)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    """
    signers = [subprocess.Popen([sys.executable, "-c", textwrap.dedent(program), str(home), f"p{n}"]) for n in range(3)]
    assert [s.wait(timeout=120) for s in signers] == [0, 0, 0]
    from mainspring.store import Seal

    seals = [Seal.decode(json.loads(line)) for _, line in read_seals(home)]
    assert [s.n for s in seals] == list(range(1, 226))
    assert all(b.previous == a.hash for a, b in itertools.pairwise(seals))
    key = signer(home).public
    assert all(s.signed_by(key) for s in seals)
    assert newest_seal(home, "p1-2", 25) == max((s for s in seals if s.run == "p1-2"), key=lambda s: s.seq)


def test_a_run_called_anything_is_sealed(home: Path) -> None:
    home.mkdir()
    for name in ('a"b', "日本", "x" * 200, "\n"):
        seal = write_seal(home, name, 1, HEAD)
        assert newest_seal(home, name, 1) == seal


def test_an_answer_after_a_fork_uses_no_key_of_the_parent(store: SQLiteStore, home: Path) -> None:
    lease = begin(store)
    ask(store, lease, "ap_1")
    store.seal(lease.run_id)
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        try:
            own = SQLiteStore(home)
            own.answer("ap_1", "approved", by="ann")
            own.seal(lease.run_id)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert store.approval("ap_1").state == "approved"
    with pytest.raises(ApprovalError, match="approved by ann"):
        store.answer("ap_1", "approved", by="bob")
