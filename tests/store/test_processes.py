"""Several processes on one SQLite journal: who owns a run, and who notices that an owner is dead."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from suite_common import add, begin_and_release

from mainspring.errors import RunBusyError
from mainspring.store import SQLiteStore


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def store(home: Path) -> Iterator[SQLiteStore]:
    made = SQLiteStore(home)
    yield made
    made.close()


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
        print(os.getpid(), flush=True)  # it says so itself: by then it has let go of what it inherited
        time.sleep(300)
        os._exit(0)
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


def test_a_forked_child_opens_the_journal_for_itself(home: Path) -> None:
    """What it holds of its parent's is refused at once, without waiting for a thread that the fork did not copy."""
    from mainspring import Agent, Run, ScriptedModel

    run = Agent("x", model=ScriptedModel(["one", "two"])).run_sync("go", home=home, run_id="r")
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            run.send("and then?", by="ann")
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert Run.load("r", home).resume_sync().output == "two"


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
