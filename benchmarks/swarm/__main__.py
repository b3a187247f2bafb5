"""``python -m benchmarks.swarm``: a task of many parts, by one agent, by a swarm, and at best."""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.output import emit, machine, note, rounded, table
from benchmarks.peers.environment import SWARM_PEERS, cache_folder, ensure
from benchmarks.swarm.draws import Size
from benchmarks.swarm.ideal import bound_seconds, ideal_seconds
from benchmarks.swarm.measure import STUCK, Arm, Outcome, best, measure, serving

OURS = "benchmarks.swarm.ours"
QUICK = Size(parts=12, calls=3, median_s=0.1, rate=20.0, failing=0.05)
#: Bounds that peers are tried with; the best one counts. The server takes about 8 calls at once at its full rate.
BOUNDS = (8, 16, 32)


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.swarm", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the object (it always is)")
    parser.add_argument("--peers", action="store_true", help="measure the others too, on the same server")
    parser.add_argument("--quick", action="store_true", help="12 parts of 3 calls, one round")
    parser.add_argument("--rounds", type=int, help="rounds of the swarm, of which the median counts (3; quick: 1)")
    options = parser.parse_args()
    size = QUICK if options.quick else Size()
    rounds = options.rounds or (1 if options.quick else 3)
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="swarm-") as scratch, serving(size) as url:
        result = _measure(size, rounds, options.peers, url, Path(scratch))
    _print(result)
    emit(result)


def _measure(size: Size, rounds: int, peers: bool, url: str, scratch: Path) -> dict[str, Any]:
    ideal = ideal_seconds(size)
    total = sum(a + b for part in range(size.parts) for a, b in size.requests(part))
    most_s = 60 + STUCK * total
    python = Path(sys.executable)

    def ours(what: str, arm: Arm, parts: int = size.parts) -> Outcome:
        note(f"mainspring: {what}")
        outcome = measure(arm, size, parts, url, scratch, most_s)
        if outcome.failed:
            raise SystemExit(f"mainspring, {what}: {outcome.failed}")
        return outcome

    note(f"{size.parts} parts take {total:.0f} s one after another, and at best {ideal:.1f} s")
    # The smaller of two: the first process after a change compiles modules, which takes memory.
    singles = [ours("one part in a process of its own", Arm(python, OURS), 1).peak_mb or 0.0 for _ in range(2)]
    single_mb = min(singles)
    taken: list[Outcome] = []
    others: dict[str, list[tuple[str, Outcome]]] = {}
    pythons = {peer.name: ensure(peer) for peer in SWARM_PEERS} if peers else {}
    for number in range(rounds):
        taken.append(ours(f"the swarm, round {number + 1} of {rounds}", Arm(python, OURS, paced=True)))
        for peer in SWARM_PEERS if peers else ():
            bounds = (None, *BOUNDS) if number == 0 else (_bound_of(others[peer.name]),)
            for at_once in bounds:
                note(f"{peer.name}: {_named(at_once)} at once, round {number + 1} of {rounds}")
                outcome = measure(Arm(pythons[peer.name], peer.loop, at_once), size, size.parts, url, scratch, most_s)
                others.setdefault(peer.name, []).append((_named(at_once), outcome))
    unlimited = ours("the swarm, told nothing of the server's rate", Arm(python, OURS))
    alone = ours("one agent, one part after another", Arm(python, OURS, options=("--alone",)))
    taken.sort(key=lambda o: o.seconds or 0.0)
    middle = taken[len(taken) // 2]
    assert middle.seconds
    assert alone.seconds
    assert middle.peak_mb
    return {
        "children": size.parts,
        "seconds": rounded(middle.seconds),
        "alone_seconds": rounded(alone.seconds),
        "ideal_seconds": rounded(ideal),
        "bound_seconds": rounded(bound_seconds(size)),
        "speedup": rounded(alone.seconds / middle.seconds),
        "ideal_speedup": rounded(alone.seconds / ideal),
        "speedup_over_ideal": rounded(ideal / middle.seconds),
        "seconds_rounds": [rounded(o.seconds) for o in taken],
        "cpu_s": rounded(middle.cpu_s),
        "cpu_ms_per_call": rounded((middle.cpu_s or 0.0) * 1e3 / (size.parts * size.calls)),
        "peak_mb": rounded(middle.peak_mb),
        "separate_mb": rounded(single_mb),
        "peak_over_separate": rounded(middle.peak_mb / (single_mb * size.parts)),
        "untold": _figures("all", unlimited, ideal),
        "server": middle.server,
        "peers": {name: _peer(found, ideal, size.parts) for name, found in others.items()},
        "versions": {**middle.versions, "peers": {n: f[0][1].versions for n, f in others.items()}},
        "size": asdict(size),
        "rounds": rounds,
        "skipped": [] if peers else ["peers (pass --peers)"],
        "machine": machine(scratch),
    }


def _bound_of(found: list[tuple[str, Outcome]]) -> int | None:
    chosen = best(found)
    return None if chosen is None or chosen[0] == "all" else int(chosen[0])


def _named(at_once: int | None) -> str:
    return "all" if at_once is None else str(at_once)


def _figures(at_once: str, outcome: Outcome, ideal: float) -> dict[str, Any]:
    return {
        "at_once": at_once,
        "seconds": rounded(outcome.seconds),
        "speedup_over_ideal": rounded(ideal / outcome.seconds) if outcome.seconds and not outcome.failed else None,
        "peak_mb": rounded(outcome.peak_mb),
        "cpu_s": rounded(outcome.cpu_s),
        "right": outcome.right,
        "failed": outcome.failed,
        "server": outcome.server,
    }


def _peer(found: list[tuple[str, Outcome]], ideal: float, parts: int) -> dict[str, Any]:
    """The median of its best way, and each way that was tried."""
    tried = [_figures(name, outcome, ideal) for name, outcome in found]
    chosen = best(found)
    if chosen is None:
        nearest = max(found, key=lambda one: one[1].right)
        return {**_figures(*nearest, ideal), "parts": parts, "tried": tried}
    same = sorted((o for n, o in found if n == chosen[0] and not o.failed), key=lambda o: o.seconds or 0.0)
    return {**_figures(chosen[0], same[len(same) // 2], ideal), "parts": parts, "tried": tried}


def _print(result: dict[str, Any]) -> None:
    size = result["size"]
    print(
        f"Swarm: {size['parts']} parts of {size['calls']} model calls, latency log-normal (median "
        f"{size['median_s']} s, sigma {size['sigma']}), {size['rate']:g} requests/s, {size['failing']:.0%} failing\n"
    )
    rows: list[list[object]] = [
        ["ideal", "", result["ideal_seconds"], 1.0, None, None, 0, ""],
        [
            "mainspring",
            "all",
            result["seconds"],
            result["speedup_over_ideal"],
            result["peak_mb"],
            result["cpu_s"],
            result["server"].get("refused", 0),
            "",
        ],
    ]
    for name, value in {"mainspring, untold": result["untold"], **result["peers"]}.items():
        for one in value.get("tried", [value]):
            row = [one[f] for f in ("at_once", "seconds", "speedup_over_ideal", "peak_mb", "cpu_s")]
            rows.append([name, *row, one["server"].get("refused"), one["failed"][:60]])
    rows.append(["one agent", "1", result["alone_seconds"], None, None, None, None, ""])
    print(table(["system", "at once", "seconds", "over ideal", "peak MB", "cpu s", "429s", "failed"], rows))
    times, share = result["speedup"], result["speedup_over_ideal"]
    print(f"\n{times:.3g} times as fast as one agent, {share:.0%} of what is possible")
    memory, processes = result["peak_over_separate"], f"{size['parts']} processes"
    print(f"memory: {memory:.1%} of {processes} with {result['separate_mb']:.0f} MB each\n")


if __name__ == "__main__":
    main()
