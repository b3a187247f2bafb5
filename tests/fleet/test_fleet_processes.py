"""Several worker processes on one journal: handing over, being killed, frozen, and woken in time."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from fleet_agents import clerk, dawdler, reader
from worker_processes import all_ended, ledger, said, start_worker, until

from mainspring import Run
from mainspring.fleet.deaths import deaths
from mainspring.store import open_store


@pytest.fixture
def effects(tmp_path: Path) -> Path:
    folder = tmp_path / "effects"
    folder.mkdir()
    return folder


def stop(*workers: subprocess.Popen[bytes]) -> None:
    for worker in workers:
        if worker.poll() is None:
            worker.kill()
        worker.wait(30)


@pytest.mark.slow
def test_an_upgrade_while_runs_continue(home: Path, effects: Path) -> None:
    """A second worker is started beside the first, the first is told to stop: no step is lost or done twice."""
    run = dawdler.enqueue("take your time", home=home)
    waiting = [clerk.enqueue(f"task {n}", home=home) for n in range(6)]
    old = start_worker(home, effects)
    until(lambda: (effects / "dawdling").exists(), "the slow step")
    new = start_worker(home, effects)
    try:
        until(lambda: any(s["kind"] == "worker.started" for s in said(new)), "the new worker")
        old.send_signal(signal.SIGTERM)
        until(lambda: any(s["kind"] == "worker.asked" for s in said(old)), "the old one's answer")
        (effects / "enough").touch()
        assert old.wait(30) == 0
        until(lambda: all_ended([run, *waiting]), "the end of all runs")
    finally:
        stop(old, new)
    assert [r.status for r in (run, *waiting)] == ["done"] * 7
    assert (effects / "dawdled").read_text().splitlines() == ["once"]  # the step under way was finished, and kept
    assert max(Counter(ledger(effects)).values()) == 1
    assert len(ledger(effects)) == 2 * 7
    handed = [e for e in run.events() if e.kind == "run.paused"]
    assert [e.payload["reason"] for e in handed] == ["its worker stopped; another one goes on"]


@pytest.mark.slow
def test_the_second_signal_ends_the_process_and_nothing_is_lost(home: Path, effects: Path) -> None:
    run = dawdler.enqueue("take your time", home=home)
    old = start_worker(home, effects)
    until(lambda: (effects / "dawdling").exists(), "the slow step")
    old.send_signal(signal.SIGTERM)
    until(lambda: any(s["kind"] == "worker.asked" for s in said(old)), "its answer")
    old.send_signal(signal.SIGTERM)
    assert old.wait(30) == 130
    assert run.status == "interrupted"
    (effects / "enough").touch()
    new = start_worker(home, effects, "--until-idle")
    assert new.wait(60) == 0
    assert run.status == "done"
    assert len(ledger(effects)) == 2


@pytest.mark.slow
def test_nothing_is_lost_or_done_twice_while_workers_are_killed_and_frozen(home: Path, effects: Path) -> None:
    choose = random.Random(5)
    runs = [clerk.enqueue(f"task {n}", home=home) for n in range(50)]
    workers = [start_worker(home, effects, "--concurrency", "4") for _ in range(3)]
    frozen: list[subprocess.Popen[bytes]] = []
    killed, end = 0, time.monotonic() + 120
    try:
        while not all_ended(runs):
            assert time.monotonic() < end, Counter(r.status for r in runs)
            time.sleep(choose.uniform(0.1, 0.5))
            victim = choose.choice(workers)
            for sleeper in frozen:
                sleeper.send_signal(signal.SIGCONT)
            frozen.clear()
            if killed < 8 and choose.random() < 0.5:
                killed += 1
                victim.kill()
                victim.wait(30)
                workers.remove(victim)
                workers.append(start_worker(home, effects, "--concurrency", "4"))
            else:
                victim.send_signal(signal.SIGSTOP)
                frozen.append(victim)
    finally:
        for sleeper in frozen:
            sleeper.send_signal(signal.SIGCONT)
        stop(*workers)
    assert killed
    assert Counter(r.status for r in runs) == {"done": 50}
    paid = Counter(ledger(effects))
    assert (len(paid), max(paid.values())) == (100, 1)
    keys = [e.payload["key"] for r in runs for e in r.events() if e.kind == "effect.intended" and e.payload["key"]]
    assert {line.split()[1] for line in paid} <= set(keys)


@pytest.mark.slow
def test_poison_is_parked_and_its_neighbours_are_not(home: Path, effects: Path, tmp_path: Path) -> None:
    """A run whose tool's loading kills the process dies at once each time; what ran beside it goes on."""
    agents = tmp_path / "poison_agents.py"
    agents.write_text(
        "import os, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from fleet_agents import clerk\n"
        "from mainspring import Agent\n"
        "class Deadly:\n"
        "    name = 'deadly'\n"
        "    context_window = 1000\n"
        "    async def respond(self, messages, tools, settings):\n"
        "        os._exit(9)\n"
        "poison = Agent('poison', model=Deadly())\n"
    )
    poison = reader  # its name is all that the row needs
    store = open_store(home)
    good = [clerk.enqueue(f"task {n}", home=home) for n in range(4)]
    poison.name = "poison"
    try:
        bad = poison.enqueue("boom", home=home)
    finally:
        poison.name = "reader"
    for _ in range(20):
        worker = start_worker(home, effects, "--until-idle", agents=agents)
        worker.wait(60)
        if bad.status == "waiting" and all_ended(good):
            break
    assert [r.status for r in good] == ["done"] * 4
    assert bad.status == "waiting"
    assert "died 6 times in a row" in Run.load(bad.id, home).reason
    assert deaths(store, bad.id) == 0
    assert len(ledger(effects)) == 8
