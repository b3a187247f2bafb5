"""``python -m benchmarks.loop``: CPU, time and disk a step, and how a killed run comes back."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.loop.measure import (
    ChildError,
    Samples,
    System,
    flushes_per_step,
    measure_killed,
    measure_run,
    median,
    python_of_this_process,
)
from benchmarks.output import emit, machine, note, rounded, table
from benchmarks.peers.environment import PEERS, QUIET, cache_folder, ensure
from benchmarks.peers.workload import RESULT_BYTES

ROOT = Path(__file__).resolve().parents[2]
NOTES = {
    "mainspring": "public API, async tool; resume_s from before Run.load, modules imported before, as in the others",
    "langchain_sqlite": "create_agent, invoke, durability='sync'; resume_s from before the file is opened",
    "pydantic_ai_dbos": "DBOSDurability, tool as a DBOS step; resume_s from before DBOS.launch, which recovers",
    "openai_agents_sqlite": "SQLiteSession on a file; an interrupted run cannot be resumed, so resume_s starts "
    "a new turn over the stored session",
    "smolagents": "keeps nothing on disk, so there is nothing to resume",
}


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loop", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the object (it always is)")
    parser.add_argument("--peers", action="store_true", help="measure the others too, in turn with ours")
    parser.add_argument("--quick", action="store_true", help="40 and 120 steps, one round")
    parser.add_argument("--rounds", type=int, help="rounds of the short run (5; quick: 1)")
    parser.add_argument("--long-rounds", type=int, help="rounds of the long run (3; quick: 1)")
    options = parser.parse_args()
    short, long = (40, 120) if options.quick else (100, 1_000)
    rounds = options.rounds or (1 if options.quick else 5)
    long_rounds = options.long_rounds or (1 if options.quick else 3)

    environment = {**os.environ, **QUIET, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": ""}
    for name in ("MAINSPRING_HOME", "MAINSPRING_DATABASE_URL"):
        environment.pop(name, None)
    systems = [System("mainspring", python_of_this_process(), "benchmarks.loop.ours", environment)]
    if options.peers:
        systems += [System(p.name, ensure(p), p.loop, environment, persistent=p.name != "smolagents") for p in PEERS]
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="loop-") as scratch:
        result = _measure(systems, Path(scratch), (short, rounds), (long, long_rounds))
    _print(result, [s.name for s in systems], short, long)
    emit(result)


def _measure(systems: list[System], scratch: Path, short: tuple[int, int], long: tuple[int, int]) -> dict[str, Any]:
    shorts = {s.name: Samples() for s in systems}
    longs = {s.name: Samples() for s in systems}
    failed: dict[str, str] = {}
    for which, (steps, rounds), samples in (("run", short, shorts), ("killed", long, longs)):
        for number in range(rounds):
            # Another system starts each round, so that none always meets the same state of the machine.
            turn = number % len(systems)
            for system in systems[turn:] + systems[:turn]:
                if system.name in failed:
                    continue
                note(f"{system.name}: {steps} steps, {which}, round {number + 1} of {rounds}")
                try:
                    measure = measure_run if which == "run" else measure_killed
                    measure(system, scratch, steps, samples[system.name])
                except ChildError as error:
                    if system.name == "mainspring":
                        raise SystemExit(str(error)) from None
                    failed[system.name] = str(error)[-500:]
    result: dict[str, Any] = {}
    for system in systems:
        note(f"{system.name}: counting flushes")
        flushes = None if system.name in failed else flushes_per_step(system, scratch, 20)
        result[system.name] = _figures(shorts[system.name], longs[system.name], flushes)
        result[system.name]["notes"] = failed.get(system.name) or NOTES[system.name]
    result.update(_comparison(result, systems))
    result["steps"] = {"short": short[0], "long": long[0], "result_bytes": RESULT_BYTES}
    result["rounds"] = {"short": short[1], "long": long[1]}
    result["skipped"] = [] if len(systems) > 1 else ["peers (pass --peers)"]
    result["machine"] = machine(scratch)
    return result


def _figures(short: Samples, long: Samples, flushes: float | None) -> dict[str, Any]:
    return {
        "durable": all(long.durable) if long.durable else None,
        "flushes_per_step": rounded(flushes),
        "cpu_ms": rounded(median(short.cpu_ms)),
        "cpu_ms_rounds": [rounded(v) for v in short.cpu_ms],
        "wall_ms": rounded(median(short.wall_ms)),
        "kb_per_step": rounded(median(short.kb)),
        "last10_over_first10": _ratio(short.last10_ms, short.first10_ms),
        "first10_cpu_ms": rounded(median(short.first10_ms)),
        "last10_cpu_ms": rounded(median(short.last10_ms)),
        "cpu_ms_1000": rounded(median(long.cpu_ms)),
        "wall_ms_1000": rounded(median(long.wall_ms)),
        "kb_per_step_1000": rounded(median(long.kb)),
        "last10_over_first10_1000": _ratio(long.last10_ms, long.first10_ms),
        "resume_s": rounded(median(long.resume_s)),
        "restart_s": rounded(median(long.restart_s)),
        "steps_repeated_after_kill": max(long.repeated, default=None),
        "versions": {**short.versions, **long.versions},
    }


def _comparison(result: dict[str, Any], systems: list[System]) -> dict[str, Any]:
    ours = result["mainspring"]
    value: dict[str, Any] = {}
    for field, name in (("cpu_ms", ""), ("cpu_ms_1000", "_1000")):
        durable = {
            s.name: result[s.name][field]
            for s in systems[1:]
            if result[s.name]["durable"] and result[s.name][field] is not None
        }
        cheapest = min(durable, key=lambda peer: durable[peer]) if durable else None
        value[f"cheapest_durable_peer{name}"] = cheapest
        value[f"ratio_to_cheapest_durable_peer{name}"] = (
            None if cheapest is None else rounded(ours[field] / durable[cheapest])
        )
    return value


def _ratio(above: list[float], below: list[float]) -> float | None:
    top, bottom = median(above), median(below)
    return None if top is None or not bottom else rounded(top / bottom)


def _print(result: dict[str, Any], names: list[str], short: int, long: int) -> None:
    head = ["system", "durable", "flushes", "cpu ms", "wall ms", "KB/step", "last/first 10"]
    head += [f"cpu ms @{long}", f"KB/step @{long}", f"last/first @{long}", "resume s", "restart s"]
    fields = ["durable", "flushes_per_step", "cpu_ms", "wall_ms", "kb_per_step", "last10_over_first10"]
    fields += ["cpu_ms_1000", "kb_per_step_1000", "last10_over_first10_1000", "resume_s", "restart_s"]
    print(f"Loop: {short} and {long} steps of one model call and one tool call with {RESULT_BYTES} bytes\n")
    print(table(head, [[name, *(result[name][f] for f in fields)] for name in names]))
    if result["cheapest_durable_peer"]:
        for suffix, steps in (("", short), ("_1000", long)):
            ratio = result[f"ratio_to_cheapest_durable_peer{suffix}"]
            peer = result[f"cheapest_durable_peer{suffix}"]
            print(f"at {steps} steps: {ratio:.3f} of the CPU of {peer}, the cheapest durable peer")
    print()


if __name__ == "__main__":
    main()
