"""``python -m benchmarks.idle``: what sleeping runs and waiting schedules cost, and how soon they wake."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.idle.filling import add_jobs, add_sleepers, jobs
from benchmarks.idle.service import idle, serving, wake_ups
from benchmarks.idle.simulated import simulate
from benchmarks.output import emit, machine, note, rounded, table
from benchmarks.peers.environment import cache_folder


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.idle", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the object (it always is)")
    parser.add_argument("--quick", action="store_true", help="200 sleepers, 20 schedules, 1 day, 5 s of idling")
    parser.add_argument("--days", type=float, help="simulated days (10; quick: 1)")
    parser.add_argument("--seconds", type=float, help="seconds for which the service idles (60; quick: 5)")
    parser.add_argument(
        "--only", choices=("simulated", "service"), help="one half; the other's figures are null and named in skipped"
    )
    options = parser.parse_args()
    quick = options.quick
    sleepers, schedules = (200, 20) if quick else (10_000, 200)
    days = options.days or (1.0 if quick else 10.0)
    seconds = options.seconds or (5.0 if quick else 60.0)
    result: dict[str, Any] = {"sleepers": sleepers, "schedules": schedules}
    skipped: list[str] = []
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="idle-") as name:
        scratch = Path(name)
        simulated: dict[str, Any] = {"idle_model_calls": None}
        if options.only == "service":
            skipped.append("simulated time (--only service)")
        else:
            note(f"{days:g} simulated days")
            (home := scratch / "simulated").mkdir()
            wakers, arrivals = (5, 3) if quick else (50, 20)
            simulated = simulate(home, days, sleepers, schedules, wakers, arrivals)
        served: dict[str, Any] = dict.fromkeys(("cpu_share", "resident_kb_per_sleeper", "wake_p99_s"))
        if options.only == "simulated":
            skipped.append("the service (--only simulated)")
        else:
            served = _service(scratch, sleepers, schedules, seconds, *((20, 4.0) if quick else (500, 20.0)))
        result |= {"idle_model_calls": simulated.pop("idle_model_calls"), **served, "simulated": simulated}
        result |= {"skipped": skipped, "versions": _versions(), "machine": machine(scratch)}
    _print(result)
    emit(result)


def _service(
    scratch: Path, sleepers: int, schedules: int, seconds: float, wakers: int, spread_s: float
) -> dict[str, Any]:
    from mainspring.store import open_store

    homes = {name: scratch / name for name in ("full", "empty")}
    for name, home in homes.items():
        home.mkdir()
        (home / "flags").mkdir()
        store, now = open_store(home), time.time()
        if name == "full":
            note(f"{sleepers} runs fall asleep")
            add_sleepers(store, sleepers, now)
        add_jobs(store, jobs(schedules, home / "flags"), now)
    with (
        serving("full", homes["full"], scratch / "full.log") as full,
        serving("empty", homes["empty"], scratch / "empty.log") as empty,
    ):
        found = idle([full, empty], 5.0, seconds)
        woken = wake_ups(full, homes["full"], wakers, spread_s)
    delays = woken["delays"]
    growth = found["full"]["resident_kb"] - found["empty"]["resident_kb"]
    if not delays:
        raise SystemExit(f"no sleeper woke: {woken}")
    return {
        "cpu_share": rounded(found["full"]["cpu_share"]),
        "cpu_share_without_sleepers": rounded(found["empty"]["cpu_share"]),
        "cpu_s_per_day": rounded(found["full"]["cpu_share"] * 86_400),
        "idle_s": seconds,
        "resident_kb": found["full"]["resident_kb"],
        "resident_kb_without_sleepers": found["empty"]["resident_kb"],
        "resident_kb_per_sleeper": rounded(growth / sleepers),
        "wake_p50_s": rounded(_quantile(delays, 0.5)),
        "wake_p99_s": rounded(_quantile(delays, 0.99)),
        "wake_max_s": rounded(delays[-1]),
        "wakers": {"count": wakers, "within_s": spread_s, "measured": len(delays)}
        | {k: woken[k] for k in ("unfinished", "did_not_sleep")},
    }


def _quantile(ordered: list[float], part: float) -> float:
    """The smallest value that at least `part` of the values do not exceed."""
    return ordered[max(0, -int(-part * len(ordered) // 1) - 1)]


def _versions() -> dict[str, str]:
    import importlib.metadata

    return {name: importlib.metadata.version(name) for name in ("mainspring", "cronsim", "uvicorn")}


def _print(result: dict[str, Any]) -> None:
    print(f"Idle: {result['sleepers']} sleeping runs and {result['schedules']} schedules\n")
    fields = [k for k, v in result.items() if not isinstance(v, dict | list)]
    rows = [[name, result[name]] for name in fields[2:]] + [
        [f"simulated {k}", v] for k, v in result["simulated"].items()
    ]
    print(table(["figure", "value"], rows))
    print()


if __name__ == "__main__":
    main()
