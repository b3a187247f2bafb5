"""The fleet benchmark: what it counts as a fault, and a small run of it where namespaces and PostgreSQL are there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.fleet.check import _failovers, check
from benchmarks.fleet.hosts import Blow
from benchmarks.fleet.world import World
from mainspring.label import SYSTEM
from mainspring.store import Event, open_store

ROOT = Path(__file__).resolve().parents[2]


def event(seq: int, at: float, kind: str, pid: int) -> Event:
    return Event("r", seq, at, kind, 1, SYSTEM, {"pid": pid}, "")


def test_the_world_does_the_same_key_once_and_everything_else_each_time() -> None:
    world = World("127.0.0.1", 1)
    try:
        pay = {"do": "act", "run": "r", "step": 1, "key": "k"}
        assert world.answer(pay) == world.answer(pay)
        world.answer({"do": "act", "run": "r", "step": 2})
        world.answer({"do": "act", "run": "r", "step": 2})
        assert [len(world.acts["r", n]) for n in (1, 2)] == [1, 2]
        assert world.answer({"do": "asked", "run": "r", "step": 2}) == {"done": True}
        assert world.answer({"do": "asked", "run": "r", "step": 3}) == {"done": False}
    finally:
        world.close()


def test_faults_are_seen(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAINSPRING_FLEET_WORLD", "")
    from benchmarks.fleet.agents import agent

    run = agent.run_sync("4", home=home, run_id="r")
    assert run.status == "done"
    world = World("127.0.0.1", 1)
    try:
        for step in (1, 2, 3):
            world.acts["r", step].append(0.0)
        fine = check(open_store(home), ["r"], 4, world, [], 4.0)
        assert (fine.duplicates, fine.lost, fine.unsettled, fine.acted_without_intent) == (0, 0, 0, 0)
        world.acts["r", 1].append(1.0)
        world.acts["r", 2].clear()
        world.acts["r", 5].append(1.0)
        bad = check(open_store(home), ["r"], 6, world, [], 4.0)
        assert (bad.duplicates, bad.lost, bad.acted_without_intent) == (1, 2, 1)
    finally:
        world.close()


def test_a_failover_is_counted_only_when_the_run_passed_on() -> None:
    events = [event(1, 0.0, "run.started", 7), event(2, 15.0, "run.resumed", 8)]
    assert _failovers(events, [Blow("kill", 10.0, 7)], 4.0) == [(0, 5.0)]
    assert _failovers(events, [Blow("freeze", 10.0, 7, 3.0)], 4.0) == []  # back in time
    assert _failovers(events, [Blow("kill", 10.0, 8)], 4.0) == []  # another's
    rested = [events[0], event(2, 5.0, "run.waiting", 7), event(3, 15.0, "run.resumed", 8)]
    assert _failovers(rested, [Blow("kill", 10.0, 7)], 4.0) == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_small_fleet_in_trouble(tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    for name in ("MAINSPRING_HOME", "MAINSPRING_DATABASE_URL", "MAINSPRING_LEASE_S"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "benchmarks.fleet", "--json", "--quick", "--no-speed", "--limit", "300"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=550)
    if "need root and iproute2" in done.stderr or "is not installed" in done.stderr:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["duplicates"], result["lost"], result["unsettled"], result["broken_chains"]) == (0, 0, 0, 0)
