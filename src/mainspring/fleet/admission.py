"""Whether a worker may take up anything new: its memory, and what a day may cost."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from mainspring.config import FleetSettings
from mainspring.errors import StoreError
from mainspring.messages import decode_usage
from mainspring.store import Kept, Store

#: Kinds of the documents that hold what each day has cost, and how much of a run's spending was counted.
DAY = "fleet.day"
COUNTED = "fleet.counted"
#: Share of the memory that its control group allows, from which on a worker takes up nothing new.
MEMORY_SHARE = 0.8
_CGROUP = Path("/sys/fs/cgroup/memory.max")
_TRIES = 50


def resident_mb() -> float:
    """Memory of this process in MB (10^6 bytes), from ``/proc/self/statm``."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def memory_limit_mb(settings: FleetSettings, cgroup: Path = _CGROUP) -> float | None:
    """Beyond how many MB nothing new is taken up; None without a limit."""
    if settings.memory_mb is not None:
        return settings.memory_mb
    try:
        text = cgroup.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) * MEMORY_SHARE / 1e6 if text.isdecimal() else None


def day_of(now: float) -> str:
    """The day of a Unix time, in UTC."""
    return time.strftime("%Y-%m-%d", time.gmtime(now))


class Admission:
    """What a worker asks before it takes runs up, and tells when they rest.

    Args:
        store: returns the journal; it may be another object after the disk was full.
        memory: returns the process's memory in MB.
    """

    def __init__(
        self,
        store: Callable[[], Store],
        settings: FleetSettings,
        clock: Callable[[], float] = time.time,
        memory: Callable[[], float] = resident_mb,
    ) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._memory = memory
        self._most_mb = memory_limit_mb(settings)

    def refusal(self) -> str | None:
        """Why nothing new is taken up now, in words; None when it is."""
        if self._most_mb is not None and (used := self._memory()) > self._most_mb:
            return (
                f"this worker uses {used:,.0f} MB, more than {self._most_mb:,.0f} MB; it takes up more when it has less"
            )
        cap = self._settings.usd_per_day
        if cap is not None and (spent := self.spent_today()) >= cap:
            return (
                f"the runs of today (UTC) have cost ${spent:,.2f}, and [fleet] usd_per_day = {cap:g} allows no more; "
                "nothing new is taken up until tomorrow, or until that line is changed and the workers are restarted"
            )
        return None

    def spent_today(self) -> float:
        """What the runs that rested today have cost, in USD, over all workers of this journal."""
        kept = self._store().kept(DAY, day_of(self._clock()))
        return 0.0 if kept is None else float(kept.body["usd"])

    def count(self, run_id: str, usd: float, ended: bool) -> None:
        """Add what a run has spent since it was counted last to the day.

        Args:
            usd: all that it has ever spent, its sub-agents' spending included; these are counted as runs of their own.
            ended: it is over, so nothing more has to be remembered of it.

        A process that dies between both writes counts a stretch twice rather than never.
        """
        if self._settings.usd_per_day is None:
            return
        store = self._store()
        usd -= of_sub_agents(store, run_id)
        before = store.kept(COUNTED, run_id)
        known = 0.0 if before is None else float(before.body["usd"])
        if usd > known:
            self._add(store, usd - known)
        with contextlib.suppress(StoreError):  # another worker has taken the run up and counted it
            if ended and before is not None and usd <= known:
                return
            store.keep(COUNTED, run_id, {"usd": usd}, version=0 if before is None else before.version)

    def _add(self, store: Store, usd: float) -> None:
        day = day_of(self._clock())
        for _ in range(_TRIES):
            kept: Kept | None = store.kept(DAY, day)
            total = usd if kept is None else float(kept.body["usd"]) + usd
            try:
                store.keep(DAY, day, {"usd": total}, version=0 if kept is None else kept.version)
                return
            except StoreError:  # another worker was faster
                if store.broken is not None:
                    raise
        raise StoreError(
            f"what {day} has cost could not be written in {_TRIES} tries; too many workers write it at once"
        )


def of_sub_agents(store: Store, run_id: str) -> float:
    """What a run's usage says of money that its sub-agents have spent, in USD."""
    calls = {row.id.removeprefix(f"{run_id}.").partition(".")[0] for row in store.children(run_id)}
    if not calls:
        return 0.0
    spent = 0.0
    for event in store.events_of(run_id, ("effect.done",)):
        if str(event.payload["intent"]) in calls and event.payload.get("usage"):
            spent += decode_usage(event.payload["usage"]).usd or 0.0
    return spent
