"""The journal on a disk that is full, broken, read-only or damaged: a clear error, and it opens again."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import sys
import threading
import time
from pathlib import Path

import pytest

from mainspring.errors import JournalVersionError, RunNotFoundError, StoreError
from mainspring.store import NewEvent, SQLiteStore

sys.path.insert(0, str(Path(__file__).parent))

from faults import can_fail_fsync, mount_command, script

#: What every script begins with: a journal at sys.argv[1], and a helper that appends 4 KB a time.
BEGIN = """
    import json, os, sys
    from pathlib import Path
    from mainspring.errors import StoreError
    from mainspring.store import NewEvent, open_store

    home = Path(sys.argv[1])
    store = open_store(home)

    def one(lease, number):
        text = os.urandom(2000).hex()
        store.append(lease, [NewEvent("note", {"number": number, "text": text})]).done.result()

    def check(acknowledged):
        global store
        store = open_store(home)
        numbers = [e.payload["number"] for e in store.events("r") if e.kind == "note"]
        assert numbers == list(range(len(numbers))), numbers
        assert len(numbers) >= acknowledged, (len(numbers), acknowledged)
        store.verify("r")
        return len(numbers)
"""

FILL = (
    BEGIN
    + """
    ballast = home / "ballast"
    ballast.write_bytes(bytes(2_000_000))
    lease, appended = store.create("r", [NewEvent("run.started", {})], agent="a", task="t")
    appended.done.result()
    acknowledged, errors = 0, []
    for number in range(100_000):
        try:
            one(lease, number)
            acknowledged += 1
        except StoreError as error:
            errors.append(str(error))
            break
    try:
        one(lease, -1)
    except StoreError as error:
        errors.append(str(error))
    ballast.unlink()
    LIFT
    store.release(lease)
    there = check(acknowledged)
    lease = store.acquire("r")
    one(lease, there)
    print(json.dumps({"acknowledged": acknowledged, "errors": errors, "after": check(there + 1)}))
"""
)

needs_mounts = pytest.mark.skipif(
    mount_command() is None, reason="may not mount a file system here (needs root or user namespaces)"
)


@needs_mounts
def test_full_disk(tmp_path: Path) -> None:
    mount = f"mount -t tmpfs -o size=4m none {tmp_path}"
    result = script(FILL.replace("LIFT", ""), tmp_path, before=mount_command(), mount=mount)
    first, second = result["errors"]
    assert "the disk is full; free some space" in first
    assert str(tmp_path / "journal.db") in first
    assert "disk is full" in second  # it goes on refusing, and goes on saying why
    assert result["acknowledged"] > 50
    assert result["after"] == result["acknowledged"] + 1


def test_file_size_limit(tmp_path: Path) -> None:
    limit = """
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_500_000, resource.RLIM_INFINITY))
"""
    lift = "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))"
    result = script(limit + FILL.replace("LIFT", lift), tmp_path)
    assert result["acknowledged"] > 50
    assert all(str(tmp_path / "journal.db") in error for error in result["errors"])
    assert len(result["errors"]) == 2


@pytest.mark.skipif(not can_fail_fsync(), reason="knows the system calls of x86-64 and arm64 Linux only")
def test_failed_fsync_acknowledges_nothing(tmp_path: Path) -> None:
    result = script(
        BEGIN
        + """
    from faults import fail_fsync

    lease, appended = store.create("r", [NewEvent("run.started", {})], agent="a", task="t")
    for number in range(10):
        one(lease, number)
    fail_fsync()
    errors = []
    for number in range(10, 13):
        try:
            one(lease, number)
        except StoreError as error:
            errors.append(str(error))
    print(json.dumps({"errors": errors, "holds": store.holds(lease)}))
    sys.stdout.flush()
    os._exit(0)
""",
        tmp_path,
    )
    assert len(result["errors"]) == 3  # a later flush that seems to work must not be believed either
    assert "the disk reported an error" in result["errors"][0]
    assert result["holds"] is False
    assert script(BEGIN + "    print(json.dumps(check(10)))", tmp_path) in (10, 11)


def _write_journal(home: Path, checkpointed: int, more: int) -> None:
    store = SQLiteStore(home)
    lease, _ = store.create("r", [NewEvent("run.started", {})], agent="a", task="t")
    for number in range(checkpointed + more):
        payload = {"number": number, "text": "x" * (number * 1009 % 12_000)}
        store.append(lease, [NewEvent("note", payload)]).done.result()
        if number + 1 == checkpointed:
            other = sqlite3.connect(home / "journal.db")
            assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
            other.close()


def _journal(home: Path, checkpointed: int, more: int) -> None:
    """A journal after a kill: the first events are in the main file, later ones only in the WAL."""
    pid = os.fork()
    if pid == 0:
        try:
            _write_journal(home, checkpointed, more)
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert (home / "journal.db-wal").stat().st_size > 10_000


def _reopen(home: Path) -> int:
    """Open a damaged journal; what is there must be a gapless, verified beginning, and must take more."""
    store = SQLiteStore(home)
    try:
        numbers = [e.payload["number"] for e in store.events("r") if e.kind == "note"]
        assert numbers == list(range(len(numbers)))
        assert store.verify("r") == len(numbers) + 1
        lease = store.acquire("r")
        store.append(lease, [NewEvent("note", {"number": len(numbers)})]).done.result()
        assert store.verify("r") == len(numbers) + 2
        return len(numbers)
    finally:
        store.close()


def _verify(home: Path) -> int:
    store = SQLiteStore(home)
    try:
        return store.verify("r")
    finally:
        store.close()


def _copy(home: Path, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(home, to)
    (to / "journal.db-shm").unlink(missing_ok=True)  # a machine that lost power has none
    return to


def test_truncated_wal_leaves_a_verified_beginning(tmp_path: Path) -> None:
    home = tmp_path / "home"
    _journal(home, checkpointed=10, more=20)
    size = (home / "journal.db-wal").stat().st_size
    assert _reopen(_copy(home, tmp_path / "whole")) == 30
    rng = random.Random(7)
    edges = [0, 1, 31, 32, 33, 32 + 24, 32 + 24 + 4096, size - 4096, size - 1]
    kept = {}
    for length in sorted(edges + [rng.randrange(size) for _ in range(40)]):
        copy = _copy(home, tmp_path / "cut")
        os.truncate(copy / "journal.db-wal", length)
        kept[length] = _reopen(copy)
    assert min(kept.values()) == 10  # what reached the main file stays
    assert list(kept.values()) == sorted(kept.values())  # a longer file never holds less
    assert len(set(kept.values())) > 5


def test_changed_bytes_in_the_wal_end_it_there(tmp_path: Path) -> None:
    home = tmp_path / "home"
    _journal(home, checkpointed=10, more=20)
    size = (home / "journal.db-wal").stat().st_size
    rng = random.Random(8)
    for _ in range(25):
        copy = _copy(home, tmp_path / "changed")
        with (copy / "journal.db-wal").open("r+b") as file:
            at = rng.randrange(size)
            file.seek(at)
            old = file.read(1)[0]
            file.seek(at)
            file.write(bytes([old ^ 0xFF]))
        assert _reopen(copy) >= 10


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("DELETE FROM events WHERE seq=31", "ends at event 30, but 31 were written"),
        ("DELETE FROM events WHERE seq=7", "event 7 is missing"),
        ("UPDATE events SET payload=replace(payload, 'number', 'numbre') WHERE seq=5", "event 5: the hash"),
        ("UPDATE events SET at=at+1 WHERE seq=9", "event 9: the hash"),
        ('UPDATE events SET label=\'{"sources":["user"]}\' WHERE seq=4', "event 4: the hash"),
        ("UPDATE blobs SET data=cast('{}' AS BLOB)", "was changed"),
        ("DELETE FROM blobs", "is missing"),
    ],
)
def test_a_chopped_tail_or_a_changed_line_is_reported(tmp_path: Path, change: str, complaint: str) -> None:
    home = tmp_path / "home"
    _journal(home, checkpointed=10, more=20)
    with sqlite3.connect(home / "journal.db") as db:
        assert db.execute(change).rowcount > 0
    db.close()
    store = SQLiteStore(home)
    with pytest.raises(StoreError, match=complaint):
        store.verify("r")
    store.close()


@needs_mounts
def test_read_only_folder(tmp_path: Path) -> None:
    home = tmp_path / "home"
    _journal(home, checkpointed=5, more=5)
    result = script(
        """
        import json, subprocess, sys
        from pathlib import Path
        from mainspring.errors import StoreError
        from mainspring.store import NewEvent, open_store

        home, errors = Path(sys.argv[1]), []
        for folder in (home, home / "new"):
            try:
                open_store(folder)
            except StoreError as error:
                errors.append(str(error))
        subprocess.run(["mount", "-o", "remount,rw", str(home)], check=True)
        store = open_store(home)
        lease = store.acquire("r")
        store.append(lease, [NewEvent("note", {"number": 10})]).done.result()
        print(json.dumps({"errors": errors, "events": store.verify("r")}))
        """,
        home,
        before=mount_command(),
        mount=f"mount --bind {home} {home}; mount -o remount,ro,bind {home}",
    )
    assert len(result["errors"]) == 2
    for error in result["errors"]:
        assert str(home) in error
        assert "read-only" in error.lower() or "cannot be made" in error
    assert result["events"] == 12


@pytest.mark.parametrize("length", [50, 100, 512, 4096, 5000, 20_000])
def test_half_a_file_is_refused_in_words(tmp_path: Path, length: int) -> None:
    home = tmp_path / "home"
    _journal(home, checkpointed=20, more=10)
    (home / "journal.db-wal").unlink()
    (home / "journal.db-shm").unlink()
    os.truncate(home / "journal.db", length)
    with pytest.raises(StoreError, match="damaged") as caught:
        _verify(home)
    assert str(home / "journal.db") in str(caught.value)
    assert (home / "journal.db").stat().st_size >= length  # nothing was thrown away


def test_an_empty_file_is_a_new_journal(tmp_path: Path) -> None:
    (tmp_path / "journal.db").touch()  # killed between making the file and its first page
    store = SQLiteStore(tmp_path)
    store.create("r", [NewEvent("run.started", {})], agent="a", task="t")[1].done.result()
    assert store.verify("r") == 1
    store.close()


def test_text_in_place_of_the_journal(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_text("dear diary, " * 1000)
    with pytest.raises(StoreError, match="damaged or no journal"):
        SQLiteStore(tmp_path)


def test_a_folder_in_place_of_the_journal(tmp_path: Path) -> None:
    (tmp_path / "journal.db").mkdir()
    with pytest.raises(StoreError, match=r"journal\.db"):
        SQLiteStore(tmp_path)


def test_a_file_in_place_of_the_home(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    with pytest.raises(StoreError, match="MAINSPRING_HOME"):
        SQLiteStore(tmp_path / "home")


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "journal.db") as db:
        db.execute("CREATE TABLE songs (title TEXT)")
    db.close()
    with pytest.raises(StoreError, match="another program"):
        SQLiteStore(tmp_path)
    with sqlite3.connect(tmp_path / "journal.db") as db:
        assert [row[0] for row in db.execute("SELECT name FROM sqlite_master")] == ["songs"]
    db.close()


def test_a_journal_of_a_newer_version_is_refused_and_not_changed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    _journal(home, checkpointed=5, more=5)
    with sqlite3.connect(home / "journal.db") as db:
        db.execute("PRAGMA user_version=999")
    db.close()
    before = (home / "journal.db").read_bytes()
    with pytest.raises(JournalVersionError, match=r"format 999.*update Mainspring"):
        SQLiteStore(home)
    assert (home / "journal.db").read_bytes() == before


def _write_until_killed(home: Path, log: Path, runs: list[str]) -> None:
    """Append to several runs at once, noting outside the journal what was acknowledged."""
    store = SQLiteStore(home)
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def work(run_id: str) -> None:
        try:
            lease = store.acquire(run_id)
        except RunNotFoundError:
            lease, appended = store.create(run_id, [NewEvent("run.started", {})], agent="a", task="t")
            appended.done.result()
        while True:
            appended = store.append(lease, [NewEvent("note", {"text": os.urandom(3000).hex()})] * 2)
            appended.done.result()
            os.write(descriptor, f"{run_id} {appended.events[-1].seq} {appended.events[-1].hash}\n".encode())

    threads = [threading.Thread(target=work, args=(run_id,)) for run_id in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_kills_while_writing_lose_nothing_acknowledged(tmp_path: Path) -> None:
    home, log = tmp_path / "home", tmp_path / "log"
    runs = [f"run{i}" for i in range(4)]
    rng = random.Random(3)
    for _ in range(12):
        pid = os.fork()
        if pid == 0:
            try:
                _write_until_killed(home, log, runs)
            finally:
                os._exit(1)
        time.sleep(rng.uniform(0.01, 0.25))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    told = [line.split() for line in log.read_text().splitlines()]
    assert len(told) > 20
    store = SQLiteStore(home)
    for run_id in runs:
        hashes = {event.seq: event.hash for event in store.events(run_id)}
        assert store.verify(run_id) == len(hashes)
        assert len(hashes) % 2 == 1  # two events a transaction, all or none
        for told_run, seq, digest in told:
            if told_run == run_id:
                assert hashes[int(seq)] == digest
        assert not store.row(run_id).alive  # a dead owner holds nothing back
        store.append(store.acquire(run_id), [NewEvent("note", {})]).done.result()
    store.close()


#: An agent whose tool leaves a line outside the journal, and then breaks the disk or finds it broken.
AGENT = """
    import json, os, sys
    from pathlib import Path
    from mainspring import Agent, Policy, Run, ScriptedModel, tool
    from mainspring.errors import StoreError
    from mainspring.messages import ToolCallPart

    home, acts = Path(sys.argv[1]), Path(sys.argv[2])

    @tool(effect="irreversible")
    def act(n: int) -> str:
        with acts.open("a") as file:
            file.write(f"{n}\\n")
        if n == 1 and sys.argv[3] == "break":
            break_disk()
        return "x" * 7000

    script = [ToolCallPart(f"c{n}", "act", {"n": n}) for n in range(4)] + ["finished"]
    agent = Agent("fault", model=ScriptedModel(script), tools=[act], policy=Policy(allow=["*"]))

    def go():
        runs = Run.list(home)
        if not runs:
            return agent.run_sync("act", home=home)
        return runs[0].resume_sync(agent)

    def report(error=""):
        run = Run.list(home)[0]
        run.verify()
        pending = [[p.kind, p.arguments["n"]] for p in run.pending()]
        print(json.dumps({"error": error, "status": run.status, "pending": pending}))
        sys.stdout.flush()
"""


def _acted(acts: Path) -> list[int]:
    return [int(line) for line in acts.read_text().split()]


@needs_mounts
def test_a_run_on_a_full_disk_goes_on_when_there_is_space(tmp_path: Path) -> None:
    home, acts = tmp_path / "home", tmp_path / "acts"
    home.mkdir()
    result = script(
        AGENT
        + """
    def break_disk():
        with (home / "ballast").open("wb") as file:
            try:
                while True:
                    file.write(bytes(4096))
                    file.flush()
            except OSError:
                pass

    try:
        go()
        raise SystemExit("the full disk went unnoticed")
    except StoreError as error:
        first = str(error)
    (home / "ballast").unlink()
    run = go()
    assert run.status == "in_doubt", run.status
    (doubt,) = run.pending()
    assert doubt.arguments == {"n": 1}
    doubt.settle("happened", by="ann")
    go()
    report(first)
""",
        *(home, acts, "break"),
        before=mount_command(),
        mount=f"mount -t tmpfs -o size=4m none {home}",
    )
    assert "the disk is full" in result["error"]
    assert result["status"] == "done"
    assert _acted(acts) == [0, 1, 2, 3]


@pytest.mark.skipif(not can_fail_fsync(), reason="knows the system calls of x86-64 and arm64 Linux only")
def test_no_effect_follows_an_intent_that_was_not_flushed(tmp_path: Path) -> None:
    home, acts = tmp_path / "home", tmp_path / "acts"
    broken = script(
        AGENT
        + """
    from faults import fail_fsync
    break_disk = fail_fsync
    try:
        go()
        raise SystemExit("the failed flush went unnoticed")
    except StoreError as error:
        print(json.dumps({"error": str(error)}))
        sys.stdout.flush()
    os._exit(0)
""",
        *(home, acts, "break"),
    )
    assert "the disk reported an error" in broken["error"]
    assert _acted(acts) == [0, 1]
    after = script(AGENT + "    go()\n    report()", home, acts, "well")
    # The outcome of call 1 was written and never flushed: it may have reached the file, or be in doubt.
    assert after["status"] in ("done", "in_doubt")
    if after["status"] == "in_doubt":
        assert after["pending"] == [["doubt", 1]]
        assert _acted(acts) == [0, 1]
    else:
        assert _acted(acts) == [0, 1, 2, 3]


@needs_mounts
def test_a_run_in_a_folder_that_became_read_only(tmp_path: Path) -> None:
    home, acts = tmp_path / "home", tmp_path / "acts"
    home.mkdir()
    result = script(
        AGENT
        + """
    import subprocess

    try:
        go()
        raise SystemExit("the read-only folder went unnoticed")
    except StoreError as error:
        first = str(error)
    assert not acts.exists()
    subprocess.run(["mount", "-o", "remount,rw", str(home)], check=True)
    go()
    report(first)
""",
        *(home, acts, "well"),
        before=mount_command(),
        mount=f"mount -t tmpfs -o size=4m,ro none {home}",
    )
    assert str(home) in result["error"]
    assert "read-only" in result["error"].lower()
    assert result["status"] == "done"
    assert _acted(acts) == [0, 1, 2, 3]


def test_a_broken_journal_keeps_its_runs_while_they_act(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening the home anew must not let a second owner in while the first is still in the middle of an effect."""
    from mainspring import points
    from mainspring.errors import RunBusyError, StoreError
    from mainspring.store import NewEvent, open_store

    broken = open_store(tmp_path)
    lease, created = broken.create("r", [NewEvent("note", {})], agent="a", task="t")
    created.done.result()

    def hook(name: str) -> None:
        if name == "store.before_commit":
            raise OSError("the disk is gone")

    monkeypatch.setattr(points, "hook", hook)
    with pytest.raises(StoreError, match="the disk is gone"):
        broken.post("r", "message", {})
    monkeypatch.setattr(points, "hook", None)
    fresh = open_store(tmp_path)
    assert fresh is not broken
    with pytest.raises(RunBusyError):
        fresh.acquire("r")
    broken.release(lease)  # its effect has ended
    assert fresh.acquire("r").epoch == 2
