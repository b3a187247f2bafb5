"""Fires what is due. Any number of processes may do it at once, and each may die at any point.

A firing is first put into the journal as a run whose id follows from the schedule and its time; only then does the
schedule move on, by compare-and-set. Whoever dies in between leaves a run that the next one finds, and nothing fires
twice. No model is asked here.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from mainspring.agent import Agent
from mainspring.errors import MainspringError, RunNotFoundError, StoreError
from mainspring.label import SYSTEM
from mainspring.messages import decode_usage
from mainspring.names import spellings
from mainspring.points import reach
from mainspring.runtime.run import Run
from mainspring.runtime.settings import settings_of
from mainspring.schedules import checks
from mainspring.schedules.firing import fire, run_id_of
from mainspring.schedules.kept import KIND, Attention, Entry, Firing
from mainspring.schedules.schedule import Schedule
from mainspring.schedules.sources import Item, Source, source_of
from mainspring.schedules.spending import Day
from mainspring.store import Kept, Store

#: Seconds after its time from which on a firing counts as late and is shown.
LATE_S = 300.0
#: Seconds until something that failed is tried again, and the longest time between two looks at open runs.
RETRY_S, MAX_PAUSE_S = 60.0, 300.0
_ENDED = ("done", "failed", "cancelled")


class Scheduler:
    """Fires the schedules of a journal.

    Args:
        agents: the declarations that are known here; schedules of others are left to other processes.
        clock: Unix time in seconds.
        resolve: gives the value of a reference to a secret, for sources that need one.
        report: told a line about each firing and each trouble.
    """

    def __init__(
        self,
        store: Store,
        agents: Mapping[str, Agent],
        clock: Callable[[], float] = time.time,
        resolve: Callable[[str], str] | None = None,
        report: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._store = store
        self._agents = dict(agents)
        self._clock = clock
        self._resolve = resolve or self._secret
        self._report = report
        self._sources: dict[str, tuple[Any, Source]] = {}
        self._later: dict[str, float] = {}  # what is not ours to fire, and when to look again

    def tick(self, now: float | None = None) -> float | None:
        """Do what is due; returns the Unix time at which to look again, None when nothing is planned.

        Raises:
            StoreError: the journal cannot be read.
        """
        moment = self._clock() if now is None else now
        for kept in self._store.all_kept(KIND, due=moment, limit=10_000):
            if self._later.get(kept.name, 0.0) <= moment:
                self._one(kept, moment)
        return self._next(moment)

    def _next(self, now: float) -> float | None:
        self._later = {name: at for name, at in self._later.items() if at > now}
        times = list(self._later.values())
        for kept in self._store.all_kept(KIND, due=float("inf"), limit=len(self._later) + 1):
            if kept.due_at is not None and kept.name not in self._later:
                times.append(kept.due_at)
        return min(times, default=None)

    def _one(self, kept: Kept, now: float) -> None:
        try:
            entry = Entry.of(kept)
        except MainspringError as error:
            self._later[kept.name] = now + RETRY_S
            self._report(f"{kept.name}: {error}")
            return
        agent = self._agents.get(entry.schedule.agent)
        if agent is None:
            self._later[kept.name] = now + RETRY_S
            return
        known = len(entry.attention)
        try:
            _Look(self, entry, agent, now).take()
        except Exception as error:  # a source, or a function of the person's: the other schedules go on
            if not isinstance(error, MainspringError):
                error = MainspringError(f"{type(error).__name__}: {error}")
            self._report(f"{kept.name}: {error}")
            _shown(entry, now, "error", str(error))
            entry.due_at = now + RETRY_S
        reach("schedule.before_keep")
        try:
            self._store.keep(KIND, kept.name, entry.encode(), version=kept.version, due_at=entry.due_at)
        except StoreError as error:
            # Somebody else was faster, or a person has changed it: what we fired has the id that they will find.
            self._later[kept.name] = now + (0.0 if "was changed" in str(error) else RETRY_S)
            return
        reach("schedule.kept")
        for attention in entry.attention[known:]:
            self._notify(entry, attention)

    def source(self, entry: Entry) -> Source:
        """The source of a schedule, made once for as long as its words stay the same."""
        schedule = entry.schedule
        made = self._sources.get(schedule.name)
        if made is None or made[0] != schedule.trigger:
            source = source_of(
                schedule.trigger["source"],
                self._store,
                self._resolve,
                name=schedule.name,
                outcome=(lambda item: self._outcome(schedule, item)) if schedule.batch == 1 else None,
            )
            made = self._sources[schedule.name] = (schedule.trigger, source)
        return made[1]

    def _outcome(self, schedule: Schedule, item: str) -> tuple[str, str] | None:
        """What became of the run of an inbox's item; None while it works."""
        run_id = run_id_of(schedule, 0.0, [Item(item, {}, SYSTEM)])
        try:
            row = self._store.row(run_id)
        except RunNotFoundError:
            return None
        if row.status not in _ENDED:
            return None
        return ("done", "") if row.status == "done" else ("failed", Run(run_id, self._store).reason)

    def _secret(self, reference: str) -> str:
        secrets = settings_of(self._store.home).secrets
        if secrets is None:
            raise StoreError(f"there is no secret {reference!r}: mainspring.toml has no [secrets]")
        return secrets.resolve(reference)

    def _notify(self, entry: Entry, attention: Attention) -> None:
        """Tell the person's own command, if there is one; what it does is not waited for beyond ten seconds."""
        self._report(f"{entry.schedule.name}: {attention.kind}: {attention.text}")
        config = settings_of(self._store.home).config
        command = () if config is None else config.schedules.notify
        if not command:
            return
        line = {"schedule": entry.schedule.name, "at": attention.at, "kind": attention.kind, "text": attention.text}
        try:
            subprocess.run(list(command), input=json.dumps(line) + "\n", text=True, timeout=10, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            self._report(f"{entry.schedule.name}: the command of [schedules] notify failed: {error}")


class _Look:
    """One look at one schedule."""

    def __init__(self, scheduler: Scheduler, entry: Entry, agent: Agent, now: float) -> None:
        self._scheduler, self._entry, self._agent, self._now = scheduler, entry, agent, now
        self._store = scheduler._store
        self._day = Day(self._store, entry.state.day, now)

    def take(self) -> None:
        """Settle what was fired before, fire what is due, and say when to look again."""
        entry, state, schedule, now = self._entry, self._entry.state, self._entry.schedule, self._now
        self._settle()
        if entry.paused:
            entry.due_at = None
        elif schedule.over(now):
            entry.paused, entry.due_at = "it has expired", None
        elif spellings(schedule.by) & self._store.revoked():
            entry.paused, entry.due_at = f"the rights of {schedule.by}, for whom it acts, were taken back", None
            _shown(entry, now, "error", entry.paused)
        else:
            asked, state.asked = state.asked, []
            for due in asked:
                self._fire(due)
            entry.due_at = self._from_source() if schedule.kind == "source" else self._by_time()
        state.day = self._day.encode()
        if state.open:  # look how they end, also when nothing more is fired
            state.pause_s = min(max(state.pause_s * 2, 5.0), MAX_PAUSE_S)
            entry.due_at = min(now + state.pause_s, entry.due_at if entry.due_at is not None else now + state.pause_s)

    # --- what has become of earlier firings ---

    def _settle(self) -> None:
        entry, state = self._entry, self._entry.state
        for run_id in list(state.open):
            try:
                row = self._store.row(run_id)
            except RunNotFoundError:
                state.open.remove(run_id)
                continue
            if row.status not in _ENDED:
                self._note(run_id, row.status)
                continue
            state.open.remove(run_id)
            state.pause_s = 0.0
            last = self._store.event(run_id, row.head_seq).payload
            usage = decode_usage(last["usage"]) if last.get("usage") else None
            usd, tokens = (0.0, 0) if usage is None else (usage.usd or 0.0, usage.tokens)
            self._day.spend(usd, tokens)
            self._note(run_id, row.status, str(last.get("reason") or "")[:500], usd, tokens)
            state.failed = 0 if row.status == "done" else state.failed + (row.status == "failed")
            if state.failed >= entry.schedule.failures and not entry.paused:
                entry.paused = f"{state.failed} firings in a row failed; look at run {run_id}, then resume it"
                _shown(entry, self._now, "failing", entry.paused)

    def _note(self, run_id: str, status: str, note: str = "", usd: float = 0.0, tokens: int = 0) -> None:
        history = self._entry.history
        for number in range(len(history) - 1, -1, -1):
            if history[number].run_id == run_id:
                said = note or history[number].note
                history[number] = replace(history[number], status=status, note=said, usd=usd, tokens=tokens)
                return

    # --- by the clock ---

    def _by_time(self) -> float | None:
        _entry, state, schedule, now = self._entry, self._entry.state, self._entry.schedule, self._now
        passed = schedule.times_between(state.last, now, schedule.most + 1)
        if passed:
            due, missed = self._chosen(passed)
            if missed:
                self._missed(missed, len(passed) > schedule.most)
            state.last = passed[-1]
            for time_ in due:
                self._fire(time_, checked=True)
        elif state.queued and not state.open:
            self._fire(state.queued.pop(0))
        return schedule.next_after(max(now, state.last))

    def _chosen(self, passed: list[float]) -> tuple[list[float], list[float]]:
        """Which of the times that have passed fire now, and which are missed."""
        schedule, now = self._entry.schedule, self._now
        in_time = [t for t in passed if schedule.late_s is None or now - t <= schedule.late_s]
        if schedule.catch_up == "skip":
            in_time = [t for t in in_time[-1:] if now - t <= LATE_S]
        elif schedule.catch_up == "once":
            # One firing does the work of all; only when it comes too late is anything missed.
            return in_time[-1:], [] if in_time else passed
        chosen = in_time[-schedule.most :]
        return chosen, [t for t in passed if t not in chosen]

    def _missed(self, times: list[float], more: bool) -> None:
        entry = self._entry
        first, last = (datetime.fromtimestamp(t, UTC).strftime("%Y-%m-%d %H:%M:%S") for t in (times[0], times[-1]))
        count = "a firing was" if len(times) == 1 else f"{len(times)} firings were"
        count = f"{len(times)} or more firings were" if more else count
        text = f"{count} missed between {first} and {last} UTC: nothing looked at it then"
        entry.history.append(Firing(times[-1], self._now, status="missed", note=text))
        _shown(entry, self._now, "missed", text)

    def _fire(self, due: float, *, checked: bool = False) -> None:
        """One firing, unless something speaks against it."""
        _entry, state, schedule, now = self._entry, self._entry.state, self._entry.schedule, self._now
        if checked and schedule.check is not None and not self._anything(due):
            state.nothing, state.nothing_at = state.nothing + 1, now
            return
        if state.open and not self._free(due):
            return
        if not self._affordable(due):
            return
        run_id = fire(self._store, schedule, self._agent, due, now)
        self._started(run_id, due)

    def _anything(self, due: float) -> bool:
        schedule, state = self._entry.schedule, self._entry.state
        assert schedule.check is not None
        try:
            found, state.check = checks.look(schedule.check, schedule.workspace, self._agent, state.check)
        except checks.CheckFailed as error:
            self._entry.history.append(Firing(due, self._now, status="error", note=str(error)[:500]))
            if not self._entry.attention or self._entry.attention[-1].text != str(error)[:2000]:
                _shown(self._entry, self._now, "error", str(error))
            return False
        return found

    def _free(self, due: float) -> bool:
        """Whether the run before leaves room for another one."""
        entry, state, schedule = self._entry, self._entry.state, self._entry.schedule
        before = ", ".join(state.open[:3])
        if schedule.overlap == "cancel":
            for run_id in list(state.open):
                self._store.post(run_id, "cancel", {"by": schedule.by, "reason": "its schedule fires again"})
            return True
        if schedule.overlap == "queue":
            if len(state.queued) < schedule.most:
                state.queued.append(due)
                return False
            before += f", and {schedule.most} firings wait already"
        entry.history.append(Firing(due, self._now, status="skipped", note=f"still at work: {before}"))
        return False

    def _affordable(self, due: float) -> bool:
        entry, schedule = self._entry, self._entry.schedule
        refusal = self._day.refusal(schedule, self._agent)
        if refusal is None:
            return True
        entry.history.append(Firing(due, self._now, status="capped", note=refusal))
        if not any(a.kind == "capped" and a.text == refusal for a in entry.attention):
            _shown(entry, self._now, "capped", refusal)
        return False

    def _started(self, run_id: str, due: float) -> None:
        entry, state, now = self._entry, self._entry.state, self._now
        reach("schedule.fired")
        if run_id in state.open or any(f.run_id == run_id for f in entry.history):
            return  # made before a crash, and known since
        state.open.append(run_id)
        state.pause_s = 0.0
        self._day.fired()
        entry.history.append(Firing(due, now, run_id, "waiting"))
        if now - due > LATE_S:
            _shown(entry, now, "late", f"run {run_id} began {now - due:.0f} s after its time")
        self._scheduler._report(f"{entry.schedule.name}: fired {run_id}")

    # --- by what happens ---

    def _from_source(self) -> float | None:
        entry, state, schedule, now = self._entry, self._entry.state, self._entry.schedule, self._now
        source = self._scheduler.source(entry)
        polled = source.poll(state.source, now)
        items = list(polled.items)
        batches = [items[n : n + schedule.batch] for n in range(0, len(items), schedule.batch)]
        for batch in batches:
            if not self._affordable(now):
                # What was found is found again: the state stays as it was until all of it has its run.
                return now + RETRY_S
            self._started(fire(self._store, schedule, self._agent, now, now, batch), now)
        state.source = dict(polled.state)
        return polled.next_at if polled.next_at is not None else now + RETRY_S


def _shown(entry: Entry, now: float, kind: str, text: str) -> None:
    entry.attention.append(Attention(now, kind, text[:2000]))
