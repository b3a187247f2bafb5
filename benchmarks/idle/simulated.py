"""Days of simulated time over the real scheduler, journal and worker: what was asked of a model, and for what."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.idle import agents
from benchmarks.idle.filling import Job, add_jobs, add_sleepers, add_waker, jobs
from benchmarks.output import note
from mainspring import Run
from mainspring.fleet import Worker
from mainspring.schedules import Scheduler, Schedules
from mainspring.store import Store, open_store

DAY_S = 86_400.0


class Clock:
    """Time that only the benchmark moves."""

    def __init__(self) -> None:
        self.now = time.time()  # what is put into the journal meanwhile has the machine's time, and must not be ahead

    def __call__(self) -> float:
        return self.now


def simulate(home: Path, days: float, sleepers: int, schedules: int, wakers: int, arrivals: int) -> dict[str, Any]:
    """Let `days` pass. `wakers` of the sleepers wake within them; at `arrivals` moments a schedule's check finds
    something. Everything else has nothing to do."""
    draw = random.Random(5)
    clock = Clock()
    agents.clock[0] = clock
    agents.model.calls = 0
    store = open_store(home)
    flags = home / "flags"
    flags.mkdir()
    listed = jobs(schedules, flags)
    add_sleepers(store, sleepers - wakers, clock.now)
    begin = clock.now
    end = begin + days * DAY_S
    woken = {f"waker-{n}": begin + draw.uniform(0.01, 0.99) * days * DAY_S for n in range(wakers)}
    for name, when in woken.items():
        add_waker(store, name, when)
    clock.now = begin = max(begin, time.time())
    _work(store, clock)  # they fall asleep
    add_jobs(store, listed, begin)
    before, calls_before = time.process_time(), agents.model.calls
    due = _arrivals(listed, arrivals, begin, end, draw)
    steps = _pass_time(store, clock, end, due)
    cpu_s = time.process_time() - before
    expected = {(j.schedule.name, t) for j in listed if j.always for t in j.times(begin, end)}
    expected |= {(job.schedule.name, _look_after(job, at, end)) for at, job in due}
    return _outcome(store, expected, woken, agents.model.calls - calls_before) | {
        "days": days,
        "looks": sum(len(list(j.times(begin, end))) for j in listed),
        "steps": steps,
        "simulation_cpu_s": cpu_s,
        "attention": sum(len(e.attention) for e in Schedules(store).list()),
    }


def _arrivals(listed: list[Job], count: int, begin: float, end: float, draw: random.Random) -> list[tuple[float, Job]]:
    """When something comes, for whom: each job once at most, early enough for it to be looked at."""
    checked = [job for job in listed if not job.always]
    chosen = draw.sample(checked, min(count, len(checked)))
    found = [(begin + draw.uniform(0.0, 0.9) * (end - begin), job) for job in chosen]
    return sorted(((at, job) for at, job in found if _look_after(job, at, end)), key=lambda pair: pair[0])


def _look_after(job: Job, at: float, end: float) -> float:
    return next(job.times(at, end), 0.0)


def _pass_time(store: Store, clock: Clock, end: float, arrivals: list[tuple[float, Job]]) -> int:
    """Move the clock from one thing that is due to the next; returns how often it moved."""
    scheduler = Scheduler(store, {"idler": agents.idler}, clock)
    coming = list(arrivals)
    there: list[Job] = []
    steps, said = 0, time.monotonic()
    while True:
        while coming and coming[0][0] <= clock.now:
            _, job = coming.pop(0)
            job.flag.touch()
            there.append(job)
        next_tick = scheduler.tick()
        if store.ready(clock.now, agents=["idler"], limit=1):
            _work(store, clock)
            for job in list(there):  # the run has done what came
                if any(f.run_id for f in Schedules(store).get(job.schedule.name).history):
                    job.flag.unlink()
                    there.remove(job)
            continue
        times = [t for t in (next_tick, store.next_wake(), coming[0][0] if coming else None) if t is not None]
        following = min(times, default=end + 1)
        if following > end:
            return steps
        clock.now = max(following, clock.now + 0.001)
        steps += 1
        if time.monotonic() - said > 5:
            said = time.monotonic()
            note(f"{(end - clock.now) / DAY_S:.1f} simulated days to go")


def _work(store: Store, clock: Clock) -> None:
    asyncio.run(Worker(store, [agents.idler], clock=clock).run(until_idle=True))


def _outcome(store: Store, expected: set[tuple[str, float]], woken: dict[str, float], calls: int) -> dict[str, Any]:
    fired: Counter[tuple[str, float]] = Counter()
    wanted_calls = 0
    for row in store.rows(prefix="job-", limit=100_000):
        run = Run(row.id, store)
        cause = run.state.bounds.cause
        what = str(cause["schedule"]), float(cause["due"])
        fired[what] += 1
        if what in expected and fired[what] == 1:
            wanted_calls += run.state.usage.calls
        if row.status != "done":
            raise SystemExit(f"{row.id} ended {row.status}: {run.reason}")
    on_time = 0
    for name, when in woken.items():
        row = store.row(name)
        on_time += row.status == "done" and any(
            e.kind == "effect.asleep" and e.payload.get("wake_at") == when for e in store.events(name)
        )
        wanted_calls += 1  # the one after it woke; the one before was asked before the time began
    return {
        "idle_model_calls": calls - wanted_calls,
        "model_calls": calls,
        "firings_expected": len(expected),
        "firings_made": sum(fired.values()),
        "firings_lost": len(expected - set(fired)),
        "firings_doubled_or_idle": sum(n - (what in expected) for what, n in fired.items()),
        "wakers": len(woken),
        "wakers_done": on_time,
    }
