"""``python -m benchmarks.fleet``: many workers on one PostgreSQL, under trouble and at speed.

    uv run python -m benchmarks.fleet --json [--peers] [--quick]

*Trouble*: runs of 20 steps, whose calls act on a service across the network (read, keyed, reconciled, opaque in
turn), on workers in network namespaces of their own. Workers are killed, frozen (SIGSTOP) and cut off for longer than
their lease, and PostgreSQL is killed and restarted. A person answers doubts by looking what happened. Afterwards the
service's own memory is held against the journals.

*Speed*: runs without trouble, against DBOS alone and LangGraph on the same PostgreSQL, with as many processes. A step
is a model call and a tool call; the others record each as a step or node of its own, as their agents do, and once more
both as one (`steps_per_s_one_record`).
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import mainspring
from benchmarks.fleet.chaos import endure
from benchmarks.fleet.check import check
from benchmarks.fleet.hosts import AGENTS, Host
from benchmarks.fleet.network import HUB, Network, NoNetwork
from benchmarks.fleet.speed import measure_ours, measure_peers
from benchmarks.fleet.world import World
from benchmarks.output import emit, machine, note, rounded, table
from benchmarks.peers.environment import cache_folder
from mainspring.store import Store, close_stores, open_store

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))  # the PostgreSQL server that the tests start

from postgres_server import NoPostgres, PostgresServer  # noqa: E402

MUST_BE_ZERO = ("duplicates", "lost", "unsettled", "broken_chains", "acted_without_intent")


def main() -> int:
    """Run the benchmark; exit status 1 when something is not as promised."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fleet", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print the object (it always is)")
    parser.add_argument("--peers", action="store_true", help="measure the others' speed too")
    parser.add_argument("--quick", action="store_true", help="40 runs of 8 steps, 2 workers")
    parser.add_argument("--runs", type=int, help="runs under trouble (500)")
    parser.add_argument("--steps", type=int, help="steps of each (20)")
    parser.add_argument("--workers", type=int, help="hosts (4)")
    parser.add_argument("--lease", type=float, default=4.0, help="seconds for which a worker's silence is borne")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=float, default=900.0, help="seconds after which the trouble is given up")
    parser.add_argument("--no-trouble", action="store_true", help="only the figures of speed")
    parser.add_argument("--no-speed", action="store_true", help="only the trouble")
    options = parser.parse_args()
    runs, steps, workers = (40, 8, 2) if options.quick else (500, 20, 4)
    options.runs, options.steps = options.runs or runs, options.steps or steps
    options.workers = options.workers or workers
    result: dict[str, Any] = {"runs": options.runs, "steps": options.steps, "workers": options.workers}
    result |= {"lease_s": options.lease, "seed": options.seed, "skipped": []}
    folder = Path(tempfile.mkdtemp(dir=cache_folder(), prefix="fleet-"))
    try:
        for part in (folder, *folder.parents):  # root's server runs as another user, who must get there
            if part.stat().st_uid == os.getuid() and part != Path("/"):
                part.chmod(part.stat().st_mode | 0o011)
        if not options.no_trouble:
            result |= _trouble(options, folder)
        if not options.no_speed:
            result |= _speed(options, folder)
    except (NoPostgres, NoNetwork) as error:
        raise SystemExit(f"benchmarks.fleet: {error}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    result["versions"] = {"mainspring": mainspring.__version__}
    result["machine"] = machine(cache_folder())
    _print(result)
    emit(result)
    return 0 if all(result.get(name, 0) == 0 for name in MUST_BE_ZERO) else 1


def _trouble(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    note(f"trouble: {options.runs} runs of {options.steps} steps on {options.workers} hosts")
    with Network(options.workers) as network:
        server = PostgresServer(listen=f"127.0.0.1,{HUB}")
        server.start()
        world = World(HUB, options.seed)
        store: Store | None = None
        hosts: list[Host] = []
        try:
            url = server.create_database("fleet")
            store = _open(url, folder, options.lease)
            os.environ["MAINSPRING_FLEET_WORLD"] = world.address
            from benchmarks.fleet.agents import agent

            agent.origin = None
            ids = [
                agent.enqueue(str(options.steps), run_id=f"f{number:04}", home=folder / "home").id
                for number in range(options.runs)
            ]
            environment = _environment(url.replace("127.0.0.1", HUB), options.lease)
            environment["MAINSPRING_FLEET_WORLD"] = world.address
            for number in range(options.workers):  # with one of them gone, the others have places for all runs
                hosts.append(
                    Host(
                        number,
                        network,
                        environment,
                        folder,
                        concurrency=-(-options.runs // max(1, options.workers - 1)),
                    )
                )
                hosts[-1].start()

            def restart() -> None:
                server.kill()
                time.sleep(1.0)
                server.start()

            trouble = endure(
                store, ids, hosts, world, restart, lease_s=options.lease, seed=options.seed, limit_s=options.limit
            )
            verdict = check(store, ids, options.steps, world, trouble.blows, options.lease)
        finally:
            for host in hosts:
                host.stop()
            if verdict_log := os.environ.get("MAINSPRING_FLEET_LOGS"):
                shutil.copytree(folder, verdict_log, dirs_exist_ok=True, ignore=shutil.ignore_patterns("postgres*"))
            close_stores()
            world.close()
            server.stop(remove=True)
    for fault in verdict.faults[:20]:
        note(f"  {fault}")
    kinds = [b.kind for b in trouble.blows]
    waits = sorted(verdict.failovers_s)
    return {
        "kills": kinds.count("kill"),
        "freezes": kinds.count("freeze"),
        "cuts": kinds.count("cut"),
        "database_restarts": kinds.count("database"),
        **{name: getattr(verdict, name) for name in MUST_BE_ZERO},
        "failed_calls": verdict.failed,
        "parked": verdict.parked,
        "doubts_answered": trouble.answers,
        "waited_for_the_silent": verdict.asleep,
        "takeovers": verdict.takeovers,
        "failovers": len(waits),
        "failover_s_median": rounded(median(waits)) if waits else None,
        "failover_s_max": rounded(waits[-1]) if waits else None,
        "blows": [
            [b.kind, round(b.at - trouble.blows[0].at, 1), round(b.seconds, 1), len(w), rounded(max(w)) if w else None]
            for b, w in ((b, verdict.by_blow.get(n, [])) for n, b in enumerate(trouble.blows))
        ],
        "failover_over_lease": rounded(waits[-1] / options.lease) if waits else None,
        "failovers_beyond_two_leases": sum(1 for w in waits if w > 2 * options.lease),
        "failover_over_lease_p90": rounded(waits[int(len(waits) * 0.9)] / options.lease) if waits else None,
        "failover_over_lease_median": rounded(median(waits) / options.lease) if waits else None,
        "trouble_seconds": rounded(trouble.seconds),
    }


def _speed(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    runs, steps = (20, 10) if options.quick else (200, 20)
    server = PostgresServer()
    server.start()
    try:
        ours = measure_ours(server, folder, runs, steps, options.workers, _environment("", 15.0), _open)
        result: dict[str, Any] = {"speed_runs": runs, "speed_steps": steps, **ours, "peers": {}}
        if options.peers:
            result["peers"] = measure_peers(server, folder, runs, steps, options.workers)
            rates = [p["steps_per_s"] for p in result["peers"].values() if p.get("steps_per_s")]
            if rates:
                result["steps_per_s_over_best_peer"] = rounded(ours["steps_per_s"] / max(rates))
        else:
            result["skipped"] = ["peers (pass --peers)"]
        return result
    finally:
        close_stores()
        server.stop(remove=True)


def _open(url: str, folder: Path, lease_s: float) -> Store:
    """This process's own way into the journal that the workers share."""
    os.environ["MAINSPRING_DATABASE_URL"] = url
    os.environ["MAINSPRING_LEASE_S"] = f"{lease_s:g}"
    return open_store(folder / "home")


def _environment(url: str, lease_s: float) -> dict[str, str]:
    environment = {**os.environ, "MAINSPRING_DATABASE_URL": url, "MAINSPRING_LEASE_S": f"{lease_s:g}"}
    environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MAINSPRING_FLEET_WORLD": ""}
    for name in ("MAINSPRING_HOME", "MAINSPRING_CONFIG"):
        environment.pop(name, None)
    return environment


def _print(result: dict[str, Any]) -> None:
    if "kills" in result:
        shown = ("kills", "freezes", "cuts", "database_restarts", *MUST_BE_ZERO, "parked", "takeovers")
        shown += ("failover_over_lease_median", "failover_over_lease", "trouble_seconds")
        print(table(["under trouble", ""], [[name, result[name]] for name in shown]))
        print()
    if "steps_per_s" in result:
        head = ["at speed", "steps/s", "CPU ms a step", "with the database's"]
        rows: list[list[object]] = [
            ["mainspring", result["steps_per_s"], result["cpu_ms_per_step"], result["cpu_ms_per_step_with_database"]]
        ]
        for name, peer in result["peers"].items():
            fields = ("steps_per_s", "cpu_ms_per_step", "cpu_ms_per_step_with_database")
            rows.append([name, *(peer.get(f) for f in fields)])
        print(table(head, rows))
        print()


if __name__ == "__main__":
    assert AGENTS.is_file()
    sys.exit(main())
