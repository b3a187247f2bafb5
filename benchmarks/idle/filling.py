"""A journal with runs that sleep and schedules that have, nearly always, nothing to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.idle.agents import REPORT, SLEEP, idler
from mainspring.messages import user
from mainspring.runtime.starting import Start, create, enqueue
from mainspring.schedules import Schedule, Schedules
from mainspring.store import Changes, Store

#: Seconds for which the sleepers sleep: longer than any measurement.
FAR_S = 100 * 86_400.0
#: Rows that are on their way to the disk at a time.
_BATCH = 500


def add_sleepers(store: Store, count: int, now: float) -> None:
    """Runs in the state of one that waits for a time; each has its first event and a time at which it wakes."""
    begun: list[tuple[Any, Any]] = []
    for number in range(count):
        start = Start(
            agent=idler,
            messages=[user(f"{SLEEP}{now + FAR_S + number}")],
            limits=idler.limits,
            run_id=f"sleeper-{number:05d}",
        )
        lease, appended = create(store, start)
        begun.append((appended, (lease, now + FAR_S + number)))
        if len(begun) == _BATCH or number == count - 1:
            rested = []
            for created, (owned, wake_at) in begun:
                created.done.result()
                rested.append(store.append(owned, [], Changes(status="waiting", wake_at=wake_at, release=True)))
            for one in rested:
                one.done.result()
            begun.clear()


def add_waker(store: Store, name: str, when: float) -> None:
    """A run that falls asleep by its own tool call, and is to be woken at `when`; a worker has to take it up."""
    start = Start(agent=idler, messages=[user(f"{SLEEP}{when!r}")], limits=idler.limits, run_id=name)
    enqueue(store, start)


@dataclass(frozen=True, slots=True)
class Job:
    """A schedule of the benchmark.

    Args:
        step_s, offset_s: it is looked at whenever Unix time is `offset_s` past a multiple of `step_s`.
        always: it has no check and fires each time.
        flag: the file whose being there means that there is something to do.
    """

    schedule: Schedule
    step_s: float
    offset_s: float
    always: bool
    flag: Path

    def times(self, after: float, until: float) -> Iterator[float]:
        """When it is looked at, by arithmetic of our own and not by what is measured."""
        at = (after - self.offset_s) // self.step_s * self.step_s + self.offset_s
        while at <= until:
            if at > after:
                yield at
            at += self.step_s


def jobs(count: int, folder: Path) -> list[Job]:
    """Half by cron (hourly and daily), half by interval (every 30 minutes and every 6 hours); 1 in 20 has no check."""
    found = []
    for number in range(count):
        name, flag, always = f"job-{number:03d}", folder / f"job-{number:03d}", number % 20 == 7
        trigger: dict[str, Any]
        if number % 4 == 0:
            step, offset = 3600.0, (number % 60) * 60.0
            trigger = {"cron": f"{number % 60} * * * *"}
        elif number % 4 == 1 or always:
            step, offset = 86_400.0, (number % 24) * 3600.0
            trigger = {"cron": f"0 {number % 24} * * *", "zone": "UTC"}
        else:
            step, offset = (1800.0 if number % 4 == 2 else 6 * 3600.0), 0.0
            trigger = {"every": step}
        check = None if always else {"exists": str(flag)}
        schedule = Schedule(name, "idler", f"{REPORT}{name}", trigger, check=check, catch_up="all", overlap="queue")
        found.append(Job(schedule, step, offset, always, flag))
    return found


def add_jobs(store: Store, listed: list[Job], now: float) -> None:
    """Keep the schedules, as a person would."""
    schedules = Schedules(store)
    for job in listed:
        schedules.add(job.schedule, by="bench", now=now)
