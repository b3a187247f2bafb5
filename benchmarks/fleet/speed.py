"""Steps a second and CPU a step, without trouble: ours, DBOS alone and LangGraph, on the same PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.fleet.hosts import Host, cpu_of
from benchmarks.output import note, rounded
from benchmarks.peers.environment import QUIET, Peer, ensure
from mainspring.store import Store

if TYPE_CHECKING:
    from postgres_server import PostgresServer

ROOT = Path(__file__).resolve().parents[2]
PEERS = (
    Peer("dbos", "dbos.txt", "benchmarks.peers.dbos_fleet", ""),
    Peer("langgraph_postgres", "langgraph_postgres.txt", "benchmarks.peers.langgraph_fleet", ""),
)


class DatabaseCpu:
    """CPU that the server's processes use, also of those that come and go."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        # What runs already has a history; what comes later counts whole.
        self._seen = {p: (cpu_of(p), cpu_of(p)) for p in [pid, *_children(pid)]}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        """Seconds since it began."""
        self._over.set()
        self._thread.join()
        return sum(last - first for first, last in self._seen.values())

    def _watch(self) -> None:
        while True:
            for pid in [self._pid, *_children(self._pid)]:
                now = cpu_of(pid)
                if now or pid in self._seen:
                    first, last = self._seen.get(pid, (0.0, now))
                    self._seen[pid] = (first, max(last, now))
            if self._over.wait(0.1):
                return


def measure_ours(
    server: PostgresServer,
    folder: Path,
    runs: int,
    steps: int,
    workers: int,
    environment: dict[str, str],
    open_it: Callable[[str, Path, float], Store],
) -> dict[str, Any]:
    """Workers take up runs that lie in the journal already; timed from the first step to the last."""
    from benchmarks.fleet.agents import agent

    note(f"speed: {runs} runs of {steps} steps, {workers} workers")
    url = server.create_database("speed")
    store = open_it(url, folder, 15.0)
    home = folder / "home"
    agent.enqueue("1 look", run_id="warm", home=home)
    hosts = [Host(n, None, environment | {"MAINSPRING_DATABASE_URL": url}, folder, 50) for n in range(workers)]
    for host in hosts:
        host.start()
    try:
        _until(lambda: store.row("warm").status == "done", 60)
        time.sleep(2.0)  # the others have started by then
        ids = [f"s{n:04}" for n in range(runs)]
        database = DatabaseCpu(server.pid)
        cpu, began = sum(h.cpu_now() for h in hosts), time.time()
        for run_id in ids:
            agent.enqueue(f"{steps} look", run_id=run_id, home=home)
        _until(lambda: _done(store, ids), 600, pause=0.5)
        ended = max(store.row(run_id).updated_at for run_id in ids)
        cpu = sum(h.cpu_now() for h in hosts) - cpu
        served = database.stop()
    finally:
        for host in hosts:
            host.stop()
    return _figures(runs * steps, ended - began, cpu, served)


def measure_peers(server: PostgresServer, folder: Path, runs: int, steps: int, workers: int) -> dict[str, Any]:
    """Each peer with as many processes, which share the runs among them; timed from the first start to the last end."""
    found: dict[str, Any] = {}
    for peer in PEERS:
        note(f"speed: {peer.name}")
        try:
            found[peer.name] = _measure(peer, server, folder, runs, steps, workers, 2)
            one = _measure(peer, server, folder, runs, steps, workers, 1)
            found[peer.name]["steps_per_s_one_record"] = one["steps_per_s"]
        except (subprocess.SubprocessError, ValueError, OSError) as error:
            found[peer.name] = {"failed": str(error)[-500:]}
    return found


def _measure(
    peer: Peer, server: PostgresServer, folder: Path, runs: int, steps: int, workers: int, records: int
) -> dict[str, Any]:
    python = ensure(peer)
    url = server.create_database(f"peer_{peer.name}_{records}")
    environment = {**os.environ, **QUIET, "PYTHONPATH": str(ROOT)}
    for name in ("MAINSPRING_HOME", "MAINSPRING_DATABASE_URL"):
        environment.pop(name, None)
    command = [str(python), "-m", peer.loop, "--url", url]
    made = subprocess.run([*command, "--setup"], env=environment, capture_output=True, text=True, timeout=120)
    if made.returncode:
        raise ValueError(f"{peer.name}: {made.stderr[-800:]}")
    processes = []
    for number in range(workers):
        share = runs // workers + (number < runs % workers)
        arguments = ["--worker", str(number), "--runs", str(share), "--steps", str(steps), "--records", str(records)]
        processes.append(
            subprocess.Popen(
                [*command, *arguments],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd=folder,
            )
        )
    try:
        for process in processes:  # each says that it is ready, and waits for our word
            assert process.stdout is not None
            if process.stdout.readline().strip() != "ready":
                raise ValueError(f"{peer.name}: {process.communicate(timeout=60)[1][-800:]}")
        database = DatabaseCpu(server.pid)
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [json.loads(p.communicate(timeout=900)[0].splitlines()[-1]) for p in processes]
        served = database.stop()
    finally:
        for process in processes:
            process.kill()
    if sum(s["steps"] for s in said) != runs * steps:
        raise ValueError(f"{peer.name} did {sum(s['steps'] for s in said)} of {runs * steps} steps")
    seconds = max(s["ended"] for s in said) - min(s["began"] for s in said)
    figures = _figures(runs * steps, seconds, sum(s["cpu_s"] for s in said), served)
    return figures | {"versions": said[0]["versions"]}


def _figures(steps: int, seconds: float, cpu_s: float, database_s: float) -> dict[str, Any]:
    return {
        "steps_per_s": rounded(steps / seconds),
        "cpu_ms_per_step": rounded(cpu_s / steps * 1000),
        "cpu_ms_per_step_with_database": rounded((cpu_s + database_s) / steps * 1000),
        "speed_seconds": rounded(seconds),
    }


def _done(store: Store, ids: list[str]) -> bool:
    wanted = set(ids)
    return sum(1 for row in store.rows(status="done", limit=100_000) if row.id in wanted) == len(ids)


def _until(true: Callable[[], bool], seconds: float, pause: float = 0.1) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise SystemExit(f"benchmarks.fleet: the workers did not do it within {seconds:g} s; see their logs")
        time.sleep(pause)


def _children(pid: int) -> list[int]:
    try:
        return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
