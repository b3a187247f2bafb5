"""`python -m benchmarks.crash --json [--quick] [--kills N] [--seed S] [--lanes L]`."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter, defaultdict
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import mainspring
from benchmarks.crash.audit import CLASS_FIELDS
from benchmarks.crash.lane import NAMES, Lane

#: What must be zero, in the order it is shown.
MUST_BE_ZERO = (
    "duplicates",
    "lost",
    "unsettled",
    "approvals_used_twice",
    "parked_without_intent",
    "parked_needlessly",
    "acted_without_approval",
    "broken_chains",
    "errors",
)
MUST_EXIST = ("kills", "parked")


def main() -> int:
    """Run the benchmark; exit status 1 when something is not as promised."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crash", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object on the last line")
    parser.add_argument("--quick", action="store_true", help="100 kills instead of 1500")
    parser.add_argument("--kills", type=int, help="how many kills")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lanes", type=int, default=4, help="scenarios at a time, all on one journal")
    parser.add_argument("--keep", action="store_true", help="keep the journal and the witness, and say where")
    options = parser.parse_args()
    kills = options.kills or (100 if options.quick else 1500)
    folder = Path(tempfile.mkdtemp(prefix="mainspring-crash-"))
    started = time.monotonic()
    try:
        result = _run(kills, options.seed, max(1, min(options.lanes, kills)), folder)
    finally:
        if options.keep:
            print(f"kept: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    result["seconds"] = round(time.monotonic() - started, 1)
    result["seed"] = options.seed
    result["versions"] = {
        "mainspring": mainspring.__version__,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "kernel": platform.release(),
    }
    _table(result)
    if options.json:
        print(json.dumps(result))
    return 0 if all(result[name] == 0 for name in MUST_BE_ZERO) else 1


def _run(kills: int, seed: int, lanes: int, folder: Path) -> dict[str, Any]:
    context = multiprocessing.get_context("fork")
    pipes: list[Connection] = []
    processes = []
    for number in range(lanes):
        share = kills // lanes + (number < kills % lanes)
        receive, send = context.Pipe(duplex=False)
        process = context.Process(target=_lane, args=(number, seed, folder, share, send))
        process.start()
        send.close()
        pipes.append(receive)
        processes.append(process)
    total: Counter[str] = Counter()
    per_class: defaultdict[str, Counter[str]] = defaultdict(Counter)
    findings: list[str] = []
    started = shown = time.monotonic()
    while pipes:
        for pipe in wait(pipes):
            assert isinstance(pipe, Connection)
            try:
                report = pipe.recv()
            except EOFError:
                pipes.remove(pipe)
                continue
            total.update(report["total"])
            for name, counts in report["per_class"].items():
                per_class[name].update(counts)
            for text in report["findings"]:
                print(f"\n{text}", file=sys.stderr)
            findings += report["findings"]
        if time.monotonic() - shown > 2 or not pipes:
            shown = time.monotonic()
            _progress(total, kills, shown - started, last=not pipes)
    for process in processes:
        process.join()
        if process.exitcode:
            total["unsettled"] += 1
            findings.append(f"a lane ended with status {process.exitcode}")
    result: dict[str, Any] = {name: total[name] for name in MUST_EXIST + MUST_BE_ZERO}
    result |= {
        name: total[name]
        for name in (
            *("runs", "approvals", "random_kills", "point_kills", "second_kills", "person_kills", "rivals"),
            *("acknowledged_events", "ended_done", "ended_failed", "ended_cancelled"),
        )
    }
    result["per_class"] = {
        name: {field: per_class[name][field] for field in CLASS_FIELDS} for name in sorted(per_class)
    }
    result["points"] = {name: total[f"point:{name}"] for name in NAMES}
    result["points_never_killed_at"] = [name for name in NAMES if not total[f"point:{name}"]]
    result["findings"] = findings[:20]
    result["owner_files"] = sum(1 for _ in (folder / "home" / "owners").iterdir())
    result["journal_kb"] = sum(f.stat().st_size for f in (folder / "home").glob("journal.db*")) // 1024
    return result


def _lane(number: int, seed: int, folder: Path, kills: int, send: Connection) -> None:
    Lane(number, seed, folder / "witness", folder / "home", kills).run(send.send)
    send.close()


def _progress(total: Counter[str], kills: int, seconds: float, *, last: bool) -> None:
    bad = sum(total[name] for name in MUST_BE_ZERO)
    line = (
        f"{total['kills']}/{kills} kills, {total['runs']} runs, {total['approvals']} approvals, "
        f"{total['parked']} parked, {bad} findings, {seconds:.0f} s"
    )
    if sys.stderr.isatty():
        print(f"\r{line}\033[K", end="\n" if last else "", file=sys.stderr, flush=True)
    elif last or int(seconds) % 10 < 2:
        print(line, file=sys.stderr, flush=True)


def _table(result: dict[str, Any]) -> None:
    for name in (*MUST_EXIST, *MUST_BE_ZERO):
        print(f"{name:24} {result[name]:>8}")
    print(f"\n{'class':12}" + "".join(f"{name:>12}" for name in CLASS_FIELDS))
    for name, counts in result["per_class"].items():
        print(f"{name:12}" + "".join(f"{counts[field]:>12}" for field in CLASS_FIELDS))
    print("\nkills at each point")
    for name, count in result["points"].items():
        print(f"  {name:24} {count:>6}")
    print(f"  {'random times':24} {result['random_kills']:>6}\n")


if __name__ == "__main__":
    sys.exit(main())
