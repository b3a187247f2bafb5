"""A worker: takes up the runs of a journal that are ready, many at once in one event loop, until it is told to stop.

Any number of workers may share a journal. Who executes a run is settled by its lease, and what a dead worker had begun
by the effect protocol, so that workers need not know of each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mainspring.agent import Agent
from mainspring.config import FleetSettings
from mainspring.errors import LeaseLostError, MainspringError, RunBusyError
from mainspring.fleet.admission import Admission
from mainspring.fleet.deaths import SUSPECT, deaths, park, still_paused
from mainspring.fleet.picking import pick
from mainspring.runtime.dispatch import Leaving, handing_over, leaving
from mainspring.runtime.execution import execute
from mainspring.runtime.inbox import PAUSE
from mainspring.runtime.journal import Watcher
from mainspring.runtime.run import Run
from mainspring.store import Lease, RunRow, Store, open_store

#: Seconds between looks for work. A look at a journal of sleepers costs a fraction of a millisecond.
POLL_S = 0.25
#: Seconds after which it looks also when nothing was written: an owner that has died writes nothing.
LOOK_S = 2.0
#: Seconds for which a run that could not be read is left alone, growing with each failure.
FIRST_PAUSE_S, MAX_PAUSE_S = 5.0, 600.0
#: Kind of the document that says that a person moved a run here, so that workers may take it up.
MOVED = "fleet.moved"
_ENDED = ("done", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker says of itself.

    Args:
        kind: ``"taken"``, ``"rested"``, ``"left"`` (it cannot be executed here, and is as it was), ``"lost"`` (another
            worker has it), ``"parked"``, ``"held"`` (nothing new is taken up), ``"admitting"`` (it is again),
            ``"failed"`` (the journal cannot be read now), ``"stopping"``, ``"stopped"``.
        text: words for a person; "" where kind and run say all.
    """

    kind: str
    run_id: str = ""
    agent: str = ""
    status: str = ""
    text: str = ""


@dataclass(slots=True)
class _Pause:
    """A run that is left alone until `until`, after `failures` in a row."""

    until: float
    failures: int = 0


@dataclass(frozen=True, slots=True)
class _Empty:
    """A look that found nothing, and would again as long as the journal has this stamp and nobody dies or wakes."""

    stamp: int
    until: float  # of the monotonic clock: the other one may be set back
    wake_at: float | None

    def holds(self, now: float) -> bool:
        return time.monotonic() < self.until and (self.wake_at is None or now < self.wake_at)


@dataclass(frozen=True, slots=True)
class _Taken:
    lease: Lease
    row: RunRow
    agent: Agent
    suspect: bool


@dataclass
class Worker:
    """Executes the runs of some agents.

    Args:
        store: the journal.
        agents: the declarations that it knows, as a list or by name. Runs of other agents are left to other workers.
        concurrency: most runs at the same time; by default ``[fleet] concurrency``.
        queues: only runs of these queues, and those that are in none; None for all.
        clock: Unix time in seconds.
        watch: called with every event of every run, from the event loop.
        report: called with what the worker says of itself, from the event loop.
        declare: makes the declaration for one run from its agent and its journaled origin, where the person who
            started it had changed something; by default every run of an agent has the same.
        settings: how much it takes on; by default the home's ``[fleet]``.
    """

    store: Store
    agents: Mapping[str, Agent] | Iterable[Agent]
    concurrency: int | None = None
    queues: Sequence[str] | None = None
    clock: Callable[[], float] = time.time
    watch: Watcher | None = None
    report: Callable[[Report], None] = lambda said: None
    declare: Callable[[Agent, str], Agent] | None = None
    settings: FleetSettings | None = None
    poll_s: float = POLL_S
    admission: Admission = field(init=False)

    def __post_init__(self) -> None:
        """Raises DeclarationError when the home's configuration cannot be read."""
        known = self.agents
        listed: Iterable[Agent] = known.values() if isinstance(known, Mapping) else known
        self._agents: dict[str, Agent] = {agent.name: agent for agent in listed}
        if self.settings is None:
            from mainspring.config import load_config

            self.settings = load_config(self.store.home).fleet
        self._most = self.concurrency or self.settings.concurrency
        self._queues = None if self.queues is None else ["", *self.queues]
        self.admission = Admission(self._journal, self.settings, self.clock)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._active: Counter[str] = Counter()  # runs at work, by agent
        self._suspects = 0
        self._paused: dict[str, _Pause] = {}
        self._leaving = Leaving()
        self._changed = asyncio.Event()  # a run rested, or somebody wants us to stop
        self._refusal: str | None = None
        self._unreadable = ""
        self._empty: _Empty | None = None  # the last look, if it found nothing
        self.finished: Counter[str] = Counter()  # stretches by how they ended, for metrics

    def __repr__(self) -> str:
        return f"<Worker of {', '.join(self._agents) or 'nothing'}: {len(self._tasks)} at work>"

    @property
    def at_work(self) -> int:
        """How many runs it executes now."""
        return len(self._tasks)

    @property
    def places(self) -> int:
        """How many it executes at most."""
        return self._most

    @property
    def refusal(self) -> str | None:
        """Why nothing new is taken up now; None when it is."""
        return self._refusal

    @property
    def stopping(self) -> bool:
        """True once it was told to stop."""
        return self._leaving.asked

    def stop(self) -> None:
        """Take up nothing new, and let each run go at its next step: another worker goes on with it at once."""
        self._leaving.asked = True
        self._changed.set()

    def knock(self) -> None:
        """Look for work now, and not only at the next poll. From the event loop's thread."""
        self._changed.set()

    async def run(self, *, until_idle: bool = False) -> None:
        """Work until :meth:`stop`; with `until_idle` only until nothing is left that is ready now."""
        self._loop = asyncio.get_running_loop()
        try:
            while not self._leaving.asked:
                self._changed.clear()
                taken, wake_at = await self._take_up()
                if until_idle and not taken and not self._tasks and self._refusal is None:
                    # What it looked at may just have ended, with others behind it.
                    if not await asyncio.to_thread(self._is_left):
                        return
                    continue
                if not self._leaving.asked:
                    await self._nap(wake_at)
        finally:
            await self.settle()

    async def resume(self, run_id: str) -> bool:
        """Take one run up if it is ready, and execute one stretch of it; False when there is nothing to do here now.

        For dispatchers that say which run is next (see :class:`mainspring.fleet.Dispatcher`). What the worker refuses
        to take up, and what another one executes, is nothing to do.
        """
        self._loop = asyncio.get_running_loop()
        if self._leaving.asked or run_id in self._tasks or len(self._tasks) >= self._most or self._may_not():
            return False
        taken = await asyncio.to_thread(self._one, run_id)
        if taken is None:
            return False
        self._begin(taken)
        await asyncio.wait({self._tasks[run_id]})
        return True

    def ready(self, limit: int) -> list[RunRow]:
        """Runs that this worker could take up now, the most urgent first; for dispatchers."""
        store, now = self._journal(), self.clock()
        ids = store.ready(now, agents=list(self._agents), queues=self._queues, limit=limit)
        return [store.row(id) for id in ids if not self._left_alone(id, now)]

    async def pause(self, seconds: float) -> None:
        """Wait; :meth:`stop` and :meth:`knock` end it."""
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0 if self._leaving.asked else seconds):
                await self._changed.wait()

    # --- looking for work ---

    async def _take_up(self) -> tuple[int, float | None]:
        """Begin what there is room for; returns how much that is, and when the next sleeper wants to be woken."""
        free = self._most - len(self._tasks)
        if free <= 0 or self._may_not():
            return 0, None
        try:
            stamp, now = self._journal().stamp(), self.clock()
            last = self._empty
            if last is not None and last.stamp == stamp and last.holds(now) and not self._paused:
                return 0, last.wake_at
            taken, wake_at = await asyncio.to_thread(self._find, free)
            self._empty = None
            if stamp is not None and not taken and not self._tasks:
                self._empty = _Empty(stamp, time.monotonic() + LOOK_S, wake_at)
        except MainspringError as error:
            if str(error) != self._unreadable:  # once, not at every look
                self._unreadable = str(error)
                self.report(Report("failed", text=f"{error}; trying again"))
            return 0, None
        self._unreadable = ""
        for one in taken:
            self._begin(one)
        return len(taken), wake_at

    def _may_not(self) -> bool:
        try:
            refusal = self.admission.refusal()
        except MainspringError as error:
            refusal = f"what today has cost cannot be read: {error}"
        if refusal is not None and self._refusal is None:
            self.report(Report("held", text=refusal))
        elif refusal is None and self._refusal is not None:
            self.report(Report("admitting", text="new runs are taken up again"))
        self._refusal = refusal
        return refusal is not None

    def _journal(self) -> Store:
        if self.store.broken is not None:
            self.store = open_store(self.store.home)
        return self.store

    def _find(self, free: int) -> tuple[list[_Taken], float | None]:
        """Own up to `free` runs that are ready. In a thread: a journal may be slow, and runs go on meanwhile."""
        store, now = self._journal(), self.clock()
        oldest = now - MAX_PAUSE_S  # until then a failure counts as one in a row
        self._paused = {id: p for id, p in list(self._paused.items()) if p.until > (oldest if p.failures else now)}
        names = list(self._agents)
        if not names or not store.ready(now, agents=names, queues=self._queues, limit=1):
            return [], store.next_wake()
        most = free + len(self._paused)
        ready: dict[str, list[RunRow]] = {}
        for name in names:
            ids = store.ready(now, agents=[name], queues=self._queues, limit=most)
            ids = [id for id in ids if not self._left_alone(id, now)]
            ready[name] = [store.row(id) for id in ids[:free]]
        taken: list[_Taken] = []
        suspects = self._suspects
        for row in pick(ready, self._active, sum(map(len, ready.values()))):
            if len(taken) == free:
                break
            one = self._own(store, row, suspects)
            if one is not None:
                taken.append(one)
                suspects += one.suspect
        return taken, None

    def _is_left(self) -> bool:
        """Whether anything is ready that is not left alone. A journal that cannot be read has nothing."""
        try:
            now, store = self.clock(), self._journal()
            return any(_is_ready(store, row, now) for row in self.ready(self._most + len(self._paused)))
        except MainspringError:
            return False

    def _one(self, run_id: str) -> _Taken | None:
        store, now = self._journal(), self.clock()
        row = store.row(run_id)
        if row.agent not in self._agents or self._left_alone(run_id, now):
            return None
        if row.alive or not _is_ready(store, row, now):
            return None
        return self._own(store, row, self._suspects)

    def _left_alone(self, run_id: str, now: float) -> bool:
        pause = self._paused.get(run_id)
        return pause is not None and pause.until > now

    def _own(self, store: Store, row: RunRow, suspects: int) -> _Taken | None:
        """Acquire a run, unless something speaks against it; then it is let go as it was."""
        try:
            if store.imported(row.id) is not None and store.kept(MOVED, row.id) is None:
                self._leave(row, "it was imported: a person goes on with it, by mainspring runs resume")
                return None
            if still_paused(store, row):
                self._paused[row.id] = _Pause(self.clock() + FIRST_PAUSE_S)
                return None
            if suspects and row.status == "running" and deaths(store, row.id) >= SUSPECT:
                self._paused[row.id] = _Pause(self.clock() + 1.0)
                return None
            lease = store.acquire(row.id)
        except RunBusyError:
            return None  # another worker was faster
        except MainspringError as error:
            self._leave(row, str(error))
            return None
        try:
            row = store.row(row.id)
            if not _is_ready(store, row, self.clock()):  # another worker has had it, and let it go, since we looked
                store.release(lease)
                return None
            died = deaths(store, row.id) if row.status == "running" else 0
            assert self.settings is not None
            if died >= self.settings.deaths:
                text = park(store, lease, died)
                self._tell(Report("parked", row.id, row.agent, "waiting", text))
                return None
            agent = self._agents[row.agent]
            if self.declare is not None and store.imported(row.id) is None:
                agent = self.declare(agent, store.event(row.id, 1).payload.get("origin") or "")
            return _Taken(lease, row, agent, died >= SUSPECT)
        except MainspringError as error:
            self._leave(row, str(error))
            with contextlib.suppress(MainspringError):
                store.release(lease)
            return None

    def _leave(self, row: RunRow, why: str) -> None:
        """Let others have a run that cannot be executed here; look at it again later, and less and less often."""
        failures = self._paused[row.id].failures if row.id in self._paused else 0
        self._paused[row.id] = _Pause(
            self.clock() + min(FIRST_PAUSE_S * 2.0 ** min(failures, 20), MAX_PAUSE_S), failures + 1
        )
        if failures == 0:
            self._tell(Report("left", row.id, row.agent, row.status, why))

    def _tell(self, said: Report) -> None:
        """Report from whatever thread."""
        self._loop.call_soon_threadsafe(self.report, said)

    # --- working ---

    def _begin(self, taken: _Taken) -> None:
        run_id, agent = taken.row.id, taken.row.agent
        self._active[agent] += 1
        self._suspects += taken.suspect
        self.report(Report("taken", run_id, agent, taken.row.status))
        task = asyncio.create_task(self._drive(taken), name=f"run {run_id}")
        self._tasks[run_id] = task

        def rested(_: asyncio.Task[None]) -> None:
            self._tasks.pop(run_id, None)
            self._active[agent] -= 1
            self._suspects -= taken.suspect
            self._changed.set()

        task.add_done_callback(rested)

    async def _drive(self, taken: _Taken) -> None:
        """One stretch of a run: until it ends, waits, or we stop."""
        handing_over.set(True)
        leaving.set(self._leaving)
        row = taken.row
        run = Run(row.id, self.store)
        try:
            await execute(run, taken.agent, None, self.watch, None, taken.lease)
        except LeaseLostError as error:
            self.finished["lost"] += 1
            self._paused[row.id] = _Pause(self.clock() + self.poll_s)
            self.report(Report("lost", row.id, row.agent, text=str(error)))
            return
        except asyncio.CancelledError:
            raise
        except MainspringError as error:
            self.finished["left"] += 1
            self._leave(row, str(error))
            return
        except (Exception, SystemExit) as error:  # a damaged journal, or a declaration whose code fails
            self.finished["left"] += 1
            self._leave(row, f"{type(error).__name__}: {error}")
            return
        finally:
            if not taken.lease.released:  # it failed before it began
                with contextlib.suppress(MainspringError):
                    run._store.release(taken.lease)
        await self._rested(run, row)

    async def _rested(self, run: Run, row: RunRow) -> None:
        status, usage = run.state.status, run.state.usage
        self.finished[status] += 1
        self._paused.pop(row.id, None)
        try:
            await asyncio.to_thread(self.admission.count, row.id, usage.usd or 0.0, status in _ENDED)
            now = await asyncio.to_thread(self._journal().row, row.id)
            if now.wake_at is not None and now.wake_at <= self.clock() and not self._leaving.asked:
                # Whatever it waits for was due before it began to wait: not to be asked in a tight circle.
                self._paused[row.id] = _Pause(self.clock() + 2 * self.poll_s)
        except MainspringError as error:
            self.report(Report("failed", row.id, row.agent, status, str(error)))
        self.report(Report("rested", row.id, row.agent, status, run.state.reason))

    async def _nap(self, wake_at: float | None) -> None:
        """Until something changes, the next sleeper's time comes, or the next look is due."""
        full = len(self._tasks) >= self._most
        # With nothing at work it looks half as often: looks are what an idle service costs.
        delay = None if full else self.poll_s * (1 if self._tasks else 2)
        if delay is not None and wake_at is not None and wake_at > (now := self.clock()):
            delay = min(delay, wake_at - now)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._changed.wait()

    async def settle(self) -> None:
        """Stop, and wait for the runs at work to let go; in the second half of the grace model calls are given up.

        :meth:`run` ends with it; only a dispatcher that calls :meth:`resume` has to.
        """
        self._leaving.asked = True
        assert self.settings is not None
        grace = self.settings.grace
        if self._tasks:
            self.report(Report("stopping", text=f"{len(self._tasks)} runs come to the end of their step"))
            await asyncio.wait(set(self._tasks.values()), timeout=grace / 2)
        if self._tasks:
            self._leaving.hurried = True
            await asyncio.wait(set(self._tasks.values()), timeout=grace / 2)
        left: list[Any] = sorted(self._tasks)
        if left:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.wait(set(self._tasks.values()), timeout=1.0)
            text = f"{len(left)} runs were in the middle of a step and are settled by whoever takes them up: "
            self.report(Report("stopping", text=text + ", ".join(left[:20])))
        self.report(Report("stopped"))


def _is_ready(store: Store, row: RunRow, now: float) -> bool:
    """What `Store.ready` asks, for one run that nobody executes."""
    if row.status == "running" or (row.status == "waiting" and row.wake_at is not None and row.wake_at <= now):
        return True
    if row.status == "failed":
        return False
    spoken = {item.kind for item in store.inbox(row.id)}
    return "message" in spoken if row.status in _ENDED else bool(spoken - {PAUSE})
