"""Drives the sub-agents of one call beside each other in one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from typing import Any

from mainspring.agent import Agent, Limits, declared
from mainspring.errors import LeaseLostError, RunBusyError, StoreError
from mainspring.runtime.dispatch import attended
from mainspring.runtime.execution import NoModel, begin, execute
from mainspring.runtime.foreign import said_by
from mainspring.runtime.inbox import CANCEL, PAUSE
from mainspring.runtime.journal import RunEvent, Watcher
from mainspring.runtime.run import Run
from mainspring.store import RunRow
from mainspring.swarm.child import ENDED, Ended, start_of
from mainspring.swarm.family import Family
from mainspring.swarm.joins import Result
from mainspring.swarm.parts import Part
from mainspring.swarm.rights import inside
from mainspring.tool import NotYet

#: Seconds between looks at late ones, at people's words, and at sleepers that may go on.
TICK_S = 0.25
POLL_S = 1.0
#: Seconds that a run may take to end when it is told to, before its work is interrupted; and after that.
GRACE_S = 10.0
LEAVE_S = 3.0
#: A sleeper that wakes within this many seconds is waited for; for later ones the creator sleeps too.
NAP_S = 30.0
#: Longest that a creator sleeps without a look, in seconds.
LOOK_S = 3600.0


@dataclass(slots=True)
class Active:
    """A run at work."""

    part: Part
    run_id: str
    task: asyncio.Task[None] | None = None
    told_at: float | None = None  # monotonic time at which it was told to end
    interrupted: bool = False


@dataclass(slots=True)
class Pool:
    """One call's sub-agents at work in this process."""

    family: Family
    active: dict[str, Active] = field(default_factory=dict)
    ended: asyncio.Queue[Active] = field(default_factory=asyncio.Queue)
    polled: float = 0.0

    async def work(self) -> Result:
        """Until the call is satisfied, or nothing can go on now.

        Raises:
            NotYet: some wait for a person, or somebody paused the creator.
            StoreError: the journal cannot be written.
        """
        family = self.family
        await family.look()
        self._take_up_sleepers(at_first=True)
        try:
            while not family.over:
                self._begin_more()
                family.progress()
                if self.active:
                    await self._next()
                elif self._wake_at() < time.time() + NAP_S:
                    await asyncio.sleep(TICK_S)
                else:
                    break
                stop = await self._tend()
                if stop is not None:
                    await self._stop(stop)
                    if stop == PAUSE:
                        raise NotYet("paused with its sub-agents", wake_at=time.time() + LOOK_S)
                    return family.result("its creator was cancelled")
            if not family.over:
                raise NotYet(family.sleepers(), wake_at=self._wake_at())
            found = family.outcome()  # what ends from here on changes nothing
            await self._stop(CANCEL, "its creator has what it needs")
            family.progress(last=True)
            return replace(found, usage=family.usage)
        finally:
            await self._leave()

    # --- beginning ---

    def _begin_more(self) -> None:
        family = self.family
        while len(self.active) < family.concurrency:
            found = family.next()
            if found is None:
                return
            part, run_id = found
            if run_id in family.resting:  # begun before
                row = family.resting.pop(run_id)
                self._start(part, run_id, self._resumed(part, run_id, row))
                continue
            limits = family.purse.share(run_id, family.queued + 1, part.agent.limits)
            if limits is None:
                if self.active:  # what one of these leaves may be enough
                    family.push(part, run_id)
                    return
                family.settle(Ended(part.index, run_id, "not begun", None, "nothing is left of the creator's budget"))
                continue

            self._start(part, run_id, self._fresh(part, run_id, limits))

    async def _fresh(self, part: Part, run_id: str, limits: Limits) -> None:
        family = self.family
        start = start_of(family.parent, part, run_id, limits, family.options)
        await begin(family.store, start, self._watcher(run_id))

    def _start(self, part: Part, run_id: str, work: Coroutine[Any, Any, None]) -> None:
        one = Active(part, run_id)
        context = copy_context()
        context.run(attended.set, True)
        one.task = asyncio.create_task(work, name=f"sub-agent {run_id}", context=context)
        one.task.add_done_callback(lambda _: self.ended.put_nowait(one))
        self.active[run_id] = one
        self.family.working[run_id] = self.family.clock()

    async def _resumed(self, part: Part, run_id: str, row: RunRow) -> None:
        run = Run(run_id, self.family.store)
        if run.workspace is not None:
            inside(run.workspace, self.family.parent.workspace)
        while True:
            try:
                await run.resume(part.agent, on_event=self._watcher(run_id))
                return
            except RunBusyError:  # somebody else executes it; its answer is as good
                await asyncio.sleep(POLL_S)

    def _watcher(self, run_id: str) -> Watcher | None:
        watch = self.family._watch
        if watch is None:
            return None

        def tell(event: RunEvent) -> None:
            watch(run_id, event)

        return tell

    # --- going on ---

    async def _next(self) -> None:
        """Wait for a run to stop, a moment at most, and take into account all that have."""
        try:
            one = await asyncio.wait_for(self.ended.get(), TICK_S)
        except TimeoutError:
            return
        await self._take(one)
        while not self.ended.empty():
            await self._take(self.ended.get_nowait())

    async def _take(self, one: Active) -> None:
        family = self.family
        if self.active.get(one.run_id) is not one:
            return
        assert one.task is not None
        error = None if one.task.cancelled() else one.task.exception()
        if error is not None and (family.store.broken is not None or not isinstance(error, Exception)):
            raise error
        why = "" if error is None or isinstance(error, LeaseLostError) else f"{type(error).__name__}: {said_by(error)}"
        row = self._row(one.run_id)
        if row is not None and row.status not in ENDED and one.told_at is not None:
            row = await self._end_idle(one.run_id)
        del self.active[one.run_id]
        family.working.pop(one.run_id, None)
        if row is not None and row.status in ENDED:
            await family.end(one.part, row)
        elif why:
            family.settle(Ended(one.part.index, one.run_id, "failed" if row is not None else "not begun", None, why))
        elif row is not None:
            family.resting[one.run_id] = row

    def _row(self, run_id: str) -> RunRow | None:
        try:
            return self.family.store.row(run_id)
        except StoreError:
            return None

    async def _end_idle(self, run_id: str) -> RunRow:
        """End a run that nobody executes and that was told to end."""
        idle = Agent("mainspring-cancel", model=NoModel())
        declared.pop(idle.name, None)
        with contextlib.suppress(RunBusyError):
            await execute(Run(run_id, self.family.store), idle, None, None)
        return self.family.store.row(run_id)

    async def _tend(self) -> str | None:
        """Late ones, stragglers, sleepers, and what people have said."""
        family = self.family
        for run_id in family.late():
            one = self.active[run_id]
            if one.told_at is None:
                await self._tell([one], CANCEL, f"it took longer than {family.options.timeout_s:g} s")
        # The answer of a part that is settled is of no use to anybody.
        settled = [one for one in self.active.values() if one.part.index in family.settled and one.told_at is None]
        await self._tell(settled, CANCEL, "another sub-agent was faster")
        await self._interrupt_deaf()
        for part in family.stragglers():
            family.attempt(part)
        now = time.monotonic()
        if now - self.polled < POLL_S:
            return None
        self.polled = now
        self._take_up_sleepers()
        return family.asked_to_stop()

    def _take_up_sleepers(self, *, at_first: bool = False) -> None:
        """Have sleepers go on that somebody has answered, or whose time has come."""
        family = self.family
        for run_id, row in list(family.resting.items()):
            due = row.wake_at is not None and row.wake_at <= family.clock()
            called = at_first or due or (family.store.news(run_id) and family.store.inbox(run_id))
            if called and not family.waits(run_id):
                family.push(family.part_of(run_id), run_id)

    def _wake_at(self) -> float:
        times = [row.wake_at for row in self.family.resting.values() if row.wake_at is not None]
        return min([*times, time.time() + LOOK_S])

    # --- stopping ---

    async def _tell(self, those: list[Active], kind: str, reason: str) -> None:
        if those:
            now = time.monotonic()
            for one in those:
                one.told_at = now if kind == CANCEL else one.told_at
            begun = [one.run_id for one in those if self._row(one.run_id) is not None]
            await asyncio.to_thread(self.family.tell, begun, kind, reason)

    async def _interrupt_deaf(self) -> None:
        """Interrupt what does not end when it is told to; give up what cannot be interrupted."""
        now = time.monotonic()
        for one in list(self.active.values()):
            if one.told_at is None or one.task is None or now - one.told_at < GRACE_S:
                continue
            if not one.interrupted:
                one.interrupted = True
                one.task.cancel()
            elif now - one.told_at > GRACE_S + LEAVE_S:
                # A blocking call in a thread cannot be stopped; the run ends when it does.
                del self.active[one.run_id]
                self.family.working.pop(one.run_id, None)
                why = "it was told to end, and a call of it that cannot be interrupted is still at work"
                self.family.settle(Ended(one.part.index, one.run_id, "cancelled", None, why))

    async def _stop(self, kind: str, reason: str = "its creator was told to stop") -> None:
        """End, or pause, whatever is at work, and end those that sleep."""
        family = self.family
        fresh = [one for one in self.active.values() if one.told_at is None]
        await self._tell(fresh, kind, reason)
        until = time.monotonic() + GRACE_S
        while self.active and time.monotonic() < until + LEAVE_S:
            await self._next()
            await self._interrupt_deaf()
        if kind != CANCEL:
            return
        for run_id in list(family.resting):
            family.tell([run_id], kind, reason)
            row = await self._end_idle(run_id)
            del family.resting[run_id]
            if row.status in ENDED:
                await family.end(family.part_of(run_id), row)

    async def _leave(self) -> None:
        """Let go of everything: the journal says how far it came."""
        tasks = [one.task for one in self.active.values() if one.task is not None and not one.task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
