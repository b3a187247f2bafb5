"""All sub-agents of one call: which have ended, which work, which wait, and what is to be begun next.

Nothing here is remembered that the journals do not say: after a crash, or when the creator wakes, `look` finds it all.
"""

from __future__ import annotations

import heapq
import inspect
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from mainspring.agent import Limits
from mainspring.errors import StoreError
from mainspring.messages import Usage
from mainspring.runtime.foreign import said_by
from mainspring.runtime.inbox import CANCEL, PAUSE
from mainspring.runtime.run import Run
from mainspring.store import RunRow
from mainspring.swarm.child import ENDED, Ended, check_own, child_id, ended, placed
from mainspring.swarm.joins import Result, over, result
from mainspring.swarm.options import ChildWatcher, Join, Options
from mainspring.swarm.parent import Parent
from mainspring.swarm.parts import Part
from mainspring.swarm.purse import Purse
from mainspring.swarm.rights import harmless

#: A part gets a second sub-agent when it takes this many times the median of those that have ended, and at least
#: `STRAGGLER_S` seconds, once half of the parts have ended.
STRAGGLER_FACTOR = 3.0
STRAGGLER_S = 1.0
#: Who ends sub-agents on a creator's behalf, as their journals say it.
BY = "mainspring"


class Family:
    """The state of one call; `pool.py` and `handed.py` drive it."""

    def __init__(
        self,
        parent: Parent,
        parts: Iterable[Part],
        options: Options,
        join: Join,
        k: int,
        *,
        report: Callable[[str], None],
        watch: ChildWatcher | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.parent, self.options, self.join, self.k = parent, options, join, k
        self.store = parent.store
        self.parts = {p.index: p for p in parts}
        self.purse = Purse(parent, options.call_usd)
        self.concurrency = min(options.concurrency, parent.settings.concurrency)
        self.settled: dict[int, Ended] = {}
        self.begun: dict[int, int] = dict.fromkeys(self.parts, 0)  # attempts of each part
        self.failed: dict[int, int] = dict.fromkeys(self.parts, 0)
        self.working: dict[str, float] = {}  # runs at work -> Unix time since when
        self.resting: dict[str, RunRow] = {}  # runs that wait for a person, or for a time
        self.over_ids: set[str] = set()  # runs whose end is taken into account
        self.seconds: list[float] = []  # that ended parts took
        self._queue: list[tuple[int, int, str]] = []
        self._turns: set[str] = set()  # runs in the queue
        self._report, self._said, self._said_at = report, "", 0.0
        self._watch = watch
        self.clock = clock

    # --- what is to be begun ---

    def push(self, part: Part, run_id: str) -> None:
        """Have a run begun, or taken up again, when its turn comes."""
        self._turns.add(run_id)
        heapq.heappush(self._queue, (-part.priority, part.index, run_id))

    def attempt(self, part: Part) -> None:
        """One more sub-agent for a part."""
        self.begun[part.index] += 1
        self.push(part, child_id(self.parent, part.index, self.begun[part.index]))

    def next(self) -> tuple[Part, str] | None:
        """The next run that still matters."""
        while self._queue:
            _, index, run_id = heapq.heappop(self._queue)
            self._turns.discard(run_id)
            if index not in self.settled:
                return self.parts[index], run_id
        return None

    @property
    def queued(self) -> int:
        """How many runs wait for their turn."""
        return len(self._queue)

    def part_of(self, run_id: str) -> Part:
        """The part that a run of this call works on."""
        found = placed(run_id, self.parent)
        assert found is not None
        return self.parts[found[0]]

    # --- what has happened ---

    async def look(self) -> None:
        """Take into account whatever the journals say."""
        rows: dict[int, list[tuple[int, RunRow]]] = {}
        for row in self.store.children(self.parent.run_id):
            found = placed(row.id, self.parent)
            if found is not None and found[0] in self.parts:
                rows.setdefault(found[0], []).append((found[1], row))
            elif found is not None and row.status in ENDED:  # of an earlier round of the same call
                self.purse.before(ended(self.store, next(iter(self.parts.values())), row).usage)
        for index, part in self.parts.items():
            attempts = sorted(rows.get(index, ()), key=lambda found: found[0])
            self.begun[index] = max((n for n, _ in attempts), default=0)
            ended_rows = []
            for _, row in attempts:
                try:
                    first = check_own(self.store, self.parent, part, row)
                except StoreError as error:
                    self.settle(Ended(index, row.id, "failed", None, str(error)))
                    break
                if row.status in ENDED:
                    ended_rows.append(row)
                else:
                    self.purse.working(row.id, Limits.of(first["limits"]))
                    self.resting[row.id] = row
            for row in ended_rows:
                await self.end(part, row)
            if not attempts:
                self.attempt(part)

    async def end(self, part: Part, row: RunRow) -> None:
        """A run has ended: its part is settled, or begun again."""
        if row.id in self.over_ids:
            return
        self.over_ids.add(row.id)
        try:
            check_own(self.store, self.parent, part, row)
        except StoreError as error:
            self.settle(Ended(part.index, row.id, "failed", None, str(error)))
            return
        found = ended(self.store, part, row)
        self.purse.finished(row.id, found.usage)
        if part.index in self.settled:
            return
        if found.good and self.options.check is not None:
            complaint = await self._complaint(found)
            if complaint:
                found = replace(found, why=complaint)
        if found.good:
            self.seconds.append(found.at - found.began)
            self.settle(found)
            return
        self.failed[part.index] += 1
        if self._unfinished(part.index):
            return  # its other sub-agent may still have an answer
        again = found.status != "cancelled" and self.failed[part.index] <= self.options.retries
        if again and harmless(part.agent, part.tools):
            self.attempt(part)
        else:
            self.settle(found)

    def _unfinished(self, index: int) -> bool:
        """Whether a sub-agent of this part may still end."""
        attempts = {child_id(self.parent, index, n) for n in range(1, self.begun[index] + 1)} - self.over_ids
        return any(r in self.working or r in self.resting or self.waits(r) for r in attempts)

    def waits(self, run_id: str) -> bool:
        """Whether a run waits for its turn."""
        return run_id in self._turns

    async def _complaint(self, found: Ended) -> str | None:
        assert self.options.check is not None
        run = Run(found.run_id, self.store)
        try:
            said = self.options.check(run.output, run)
            if inspect.isawaitable(said):
                said = await said
        except Exception as error:  # a check that fails accepts nothing
            return f"the check failed: {type(error).__name__}: {said_by(error)}"
        return None if not said else f"not accepted: {said}"

    def settle(self, found: Ended) -> None:
        """The outcome of a part is known."""
        self.settled.setdefault(found.index, found)

    @property
    def over(self) -> bool:
        """Whether nothing that is still to come could change the outcome."""
        good = [e for e in self.settled.values() if e.good]
        return over(self.join, self.k, good, len(self.parts) - len(self.settled))

    def result(self, why: str = "") -> Result:
        """The outcome; `why` is the reason that parts without an end are missing."""
        if why:
            for index in self.parts.keys() - self.settled.keys():
                run_id = child_id(self.parent, index)
                self.settle(Ended(index, run_id, "cancelled" if self.begun[index] else "not begun", None, why))
        return result(self.join, self.k, len(self.parts), self.settled.values(), self.usage, self.parent.run_id)

    def outcome(self) -> Result:
        """The outcome, once it is over."""
        found = self.result()
        return found if found.satisfied else self.result("it could not change the outcome any more")

    @property
    def usage(self) -> Usage:
        """What the ended ones have spent."""
        return self.purse.spent

    # --- time ---

    def late(self) -> list[str]:
        """Runs at work whose time is over."""
        limit = self.options.timeout_s
        now = self.clock()
        return [] if limit is None else [r for r, since in self.working.items() if now - since > limit]

    def stragglers(self) -> list[Part]:
        """Parts that take much longer than the others, have one sub-agent, and may have a second."""
        if not self.options.duplicates or len(self.seconds) * 2 < len(self.parts):
            return []
        median = sorted(self.seconds)[len(self.seconds) // 2]
        longest = max(STRAGGLER_S, STRAGGLER_FACTOR * median)
        now = self.clock()
        found = []
        for run_id, since in self.working.items():
            part = self.part_of(run_id)
            alone = self.begun[part.index] == self.failed[part.index] + 1 and part.index not in self.settled
            may = alone and now - since > longest and self.begun[part.index] < self.options.attempts
            if may and harmless(part.agent, part.tools):
                found.append(part)
        return found

    # --- people ---

    def asked_to_stop(self) -> str | None:
        """What somebody has asked of the creator since: to cancel, to pause, or nothing."""
        if not self.store.news(self.parent.run_id):
            return None
        kinds = {item.kind for item in self.store.inbox(self.parent.run_id)}
        return CANCEL if CANCEL in kinds else PAUSE if PAUSE in kinds else None

    def tell(self, run_ids: Iterable[str], kind: str, reason: str) -> None:
        """Have runs stop or pause. Blocks for as long as the disk takes."""
        for run_id in run_ids:
            payload: dict[str, Any] = {"by": BY, "reason": reason} if kind == CANCEL else {"reason": reason}
            self.store.post(run_id, kind, payload)

    def progress(self, *, last: bool = False) -> None:
        """Show where things stand, at most five times a second."""
        good = sum(1 for e in self.settled.values() if e.good)
        bad = len(self.settled) - good
        line = f"{good} of {len(self.parts)} done, {len(self.working)} working"
        line += f", {len(self.resting)} waiting" if self.resting else ""
        line += f", {bad} failed" if bad else ""
        now = self.clock()
        if line != self._said and (last or not 0 <= now - self._said_at < 0.2):
            self._said, self._said_at = line, now
            self._report(line)

    def sleepers(self) -> str:
        """Which runs wait, and for what, in words for a person."""
        lines = []
        for run_id in list(self.resting)[:3]:
            lines.append(f"{run_id} ({Run(run_id, self.store).reason or 'its turn'})")
        more = f" and {len(self.resting) - 3} more" if len(self.resting) > 3 else ""
        return f"{len(self.settled)} of {len(self.parts)} sub-agents have ended; waiting: " + ", ".join(lines) + more
