"""Worker processes on PostgreSQL, with leases so short that a frozen worker loses its runs to others."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from fleet_agents import clerk
from worker_processes import all_ended, ledger, start_worker, until

from mainspring.store import open_store
from postgres_server import NoPostgres, shared_server

LEASE_S = 2.0


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    try:
        url = shared_server().create_database()
    except NoPostgres as error:
        pytest.skip(str(error))
    found = {"MAINSPRING_DATABASE_URL": url, "MAINSPRING_LEASE_S": str(LEASE_S)}
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


@pytest.fixture
def effects(tmp_path: Path) -> Path:
    folder = tmp_path / "effects"
    folder.mkdir()
    return folder


@pytest.mark.slow
def test_nothing_is_lost_or_done_twice_while_workers_are_killed_and_frozen(
    home: Path, effects: Path, database: dict[str, str]
) -> None:
    choose = random.Random(7)
    runs = [clerk.enqueue(f"task {n}", home=home) for n in range(50)]
    more = database | {"FLEET_LOOK_S": "0.2"}

    def start() -> subprocess.Popen[bytes]:
        return start_worker(home, effects, "--concurrency", "4", **more)

    workers = [start() for _ in range(3)]
    frozen: dict[int, tuple[subprocess.Popen[bytes], float]] = {}
    killed, froze, end = 0, 0, time.monotonic() + 150
    try:
        until(lambda: bool(ledger(effects)), "the first payment")
        while not all_ended(runs):
            assert time.monotonic() < end, Counter(r.status for r in runs)
            time.sleep(choose.uniform(0.1, 0.4))
            now = time.monotonic()
            for worker, since in list(frozen.values()):
                if (
                    now - since > LEASE_S * 1.7
                ):  # others have its runs by now; it wakes up and believes that it has them
                    worker.send_signal(signal.SIGCONT)
                    del frozen[worker.pid]
            victim = choose.choice(workers)
            if victim.pid in frozen:
                continue
            if killed < 5 and choose.random() < 0.4:
                killed += 1
                victim.kill()
                victim.wait(30)
                workers.remove(victim)
                workers.append(start())
            elif len(frozen) < 2:
                froze += 1
                victim.send_signal(signal.SIGSTOP)
                frozen[victim.pid] = victim, now
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGCONT)
            worker.kill()
            worker.wait(30)
    assert killed
    assert froze
    assert Counter(r.status for r in runs) == {"done": 50}
    paid = Counter(ledger(effects))
    assert (len(paid), max(paid.values())) == (100, 1)
    store = open_store(home)
    assert all(store.verify(r.id) for r in runs)
