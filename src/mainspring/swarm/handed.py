"""Sub-agents of a run that a worker executes: they go into the journal for any worker, and their creator sleeps."""

from __future__ import annotations

import asyncio
import time
from functools import partial

from mainspring.errors import MainspringError, StoreError
from mainspring.runtime.inbox import CANCEL
from mainspring.runtime.starting import Start, enqueue
from mainspring.swarm.child import ENDED, Ended, start_of
from mainspring.swarm.family import Family
from mainspring.swarm.joins import Result
from mainspring.swarm.parts import Part
from mainspring.swarm.pool import LOOK_S
from mainspring.tool import NotYet


async def hand_over(family: Family) -> Result:
    """Enqueue what is to be begun; the outcome, when it is there.

    Raises:
        NotYet: some are still at work; each of them wakes the creator when it ends or waits.
    """
    await family.look()
    for run_id, row in family.resting.items():
        family.working[run_id] = row.created_at
    for part in family.stragglers():
        family.attempt(part)
    if not family.over:
        await _begin_more(family)
    stop = family.asked_to_stop()
    if family.over:
        await _end(family, list(family.working), "its creator has what it needs")
        return family.outcome()
    if stop == CANCEL:
        await _end(family, list(family.working), "its creator was cancelled")
        return family.result("its creator was cancelled")
    late = set(family.late())
    await _end(family, list(late), f"it took longer than {family.options.timeout_s} s")
    settled = [r for r in family.working if family.part_of(r).index in family.settled]
    await _end(family, settled, "another sub-agent was faster")
    limit = family.options.timeout_s
    times = [] if limit is None else [since + limit + 1.0 for r, since in family.working.items() if r not in late]
    family.progress(last=True)
    done, of = len(family.settled), len(family.parts)
    raise NotYet(f"{done} of {of} sub-agents have ended", wake_at=min([*times, time.time() + LOOK_S]))


async def _begin_more(family: Family) -> None:
    begun: list[asyncio.Task[None]] = []
    while len(family.working) < family.concurrency:
        found = family.next()
        if found is None:
            break
        part, run_id = found
        limits = family.purse.share(run_id, family.queued + 1, part.agent.limits)
        if limits is None:
            if family.working:
                break  # what one of these leaves may be enough
            family.settle(Ended(part.index, run_id, "not begun", None, "nothing is left of the creator's budget"))
            continue
        try:
            start = start_of(family.parent, part, run_id, limits, family.options)
        except MainspringError as error:
            family.settle(Ended(part.index, run_id, "not begun", None, f"{type(error).__name__}: {error}"))
            continue
        family.working[run_id] = family.clock()
        begun.append(asyncio.create_task(_put(family, part, start)))
    if begun:
        await asyncio.gather(*begun)


async def _put(family: Family, part: Part, start: Start) -> None:
    assert start.run_id is not None
    try:
        await asyncio.to_thread(partial(enqueue, family.store, start))
    except StoreError:
        # Who owned the creator before may have been at this very enqueueing; the next look checks whose it is.
        if not family.store.rows(prefix=start.run_id, limit=1):
            raise
    except MainspringError as error:  # its instructions are not approved, say
        family.working.pop(start.run_id, None)
        family.settle(Ended(part.index, start.run_id, "not begun", None, f"{type(error).__name__}: {error}"))


async def _end(family: Family, run_ids: list[str], reason: str) -> None:
    """Tell runs to end, each once: whoever takes one up next ends it."""
    untold = []
    for run_id in run_ids:
        open_ = family.store.row(run_id).status not in ENDED
        if open_ and all(item.kind != CANCEL for item in family.store.inbox(run_id)):
            untold.append(run_id)
    if untold:
        await asyncio.to_thread(family.tell, untold, CANCEL, reason)
