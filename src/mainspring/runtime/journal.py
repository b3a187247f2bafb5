"""A run's own journal while it executes: record, then flush before anybody acts on it.

`record` gives an event its place and folds it into the state at once; `flush` puts everything recorded on disk in one
transaction and waits for it. The loop flushes before each effect, before each model call and before it lets go.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from mainspring.label import SYSTEM, Label
from mainspring.messages import valid_text
from mainspring.runtime.events import KINDS
from mainspring.runtime.state import RunState
from mainspring.store import ApprovalRequest, Changes, Event, Lease, NewEvent, Store


@dataclass(frozen=True, slots=True)
class RunEvent:
    """What somebody who watches a run is told.

    `kind` is a journal kind, or ``"delta"`` (a piece of an answer) or ``"progress"`` (a line from a tool), which are
    not journaled and have no `seq`. `at` is Unix time in seconds; `run_id` says of which run it is.
    """

    kind: str
    seq: int | None
    at: float
    payload: Mapping[str, Any]
    run_id: str = ""


Watcher = Callable[[RunEvent], None]


class Journal:
    """The events of one run under one lease."""

    def __init__(self, store: Store, lease: Lease, state: RunState, watch: Watcher | None = None) -> None:
        self.store = store
        self.lease = lease
        self.state = state
        self._watch = watch
        self._buffer: list[NewEvent] = []
        self._requests: list[ApprovalRequest] = []
        self._consume: list[tuple[str, str, int]] = []
        self._expire: list[str] = []
        self._taken: list[int] = []
        self._sent: list[Future[None]] = []
        self._untold: deque[tuple[Future[None], tuple[Event, ...]]] = deque()
        self.taken: set[int] = set()  # inbox items recorded under this lease, flushed or not

    def record(self, kind: str, payload: Mapping[str, Any], label: Label = SYSTEM) -> int:
        """Fold an event into the state and queue it; returns its seq. It is not on disk yet."""
        payload = _sound(payload)
        seq = self.lease.head_seq + len(self._buffer) + 1
        version = KINDS[kind]
        self._buffer.append(NewEvent(kind, payload, label, version))
        now = time.time()
        self.state.apply(Event(self.lease.run_id, seq, now, kind, version, label, dict(payload), ""))
        return seq

    def next_seq(self) -> int:
        """The seq that the next recorded event will have."""
        return self.lease.head_seq + len(self._buffer) + 1

    def request(self, request: ApprovalRequest) -> None:
        """Let an approval begin to wait, with the next flush."""
        self._requests.append(request)

    def consume(self, approval: str, digest: str, intent: int) -> None:
        """Use an approval up, in the transaction that writes the intent."""
        self._consume.append((approval, digest, intent))

    def expire(self, approval: str) -> None:
        """Close an approval for good, with the next flush."""
        self._expire.append(approval)

    def take(self, item: int) -> None:
        """An inbox item is carried by the events recorded now."""
        self._taken.append(item)
        self.taken.add(item)

    def send(self, *, status: str | None = None, wake_at: float | None = None, release: bool = False) -> None:
        """Hand everything recorded to the writer without waiting."""
        if not self._buffer and status is None and not release:
            return
        changes = Changes(
            status,
            wake_at,
            release,
            tuple(self._consume),
            tuple(self._requests),
            tuple(self._expire),
            tuple(self._taken),
        )
        buffer, self._buffer = self._buffer, []
        self._consume, self._requests, self._expire, self._taken = [], [], [], []
        appended = self.store.append(self.lease, buffer, changes)
        self._sent.append(appended.done)
        if self._watch is not None:
            self._untold.append((appended.done, appended.events))
            loop = asyncio.get_running_loop()
            appended.done.add_done_callback(lambda _: soon(loop, self._tell_written))

    async def flush(self, *, status: str | None = None, wake_at: float | None = None, release: bool = False) -> None:
        """Put everything recorded on disk and wait for it.

        Raises:
            LeaseLostError, ApprovalError, StoreError: as `Store.append`; the state in memory is then worthless.
        """
        self.send(status=status, wake_at=wake_at, release=release)
        while self._sent:
            future = self._sent.pop(0)
            if future.done():
                future.result()
            else:
                await asyncio.wrap_future(future)
        self._tell_written()

    def _tell_written(self) -> None:
        """Watchers hear of an event when it is on disk, so that no crash can take back what they were told."""
        while self._untold and self._untold[0][0].done():
            future, events = self._untold.popleft()
            if future.exception() is None:
                for event in events:
                    self.tell(RunEvent(event.kind, event.seq, event.at, event.payload, event.run_id))

    def tell(self, event: RunEvent) -> None:
        """Show something to whoever watches; a watcher that raises is dropped, the run goes on."""
        if self._watch is not None:
            try:
                self._watch(event)
            except Exception:
                self._watch = None

    def tell_live(self, kind: str, payload: Mapping[str, Any]) -> None:
        """Show something that is not journaled."""
        if self._watch is not None:
            self.tell(RunEvent(kind, None, time.time(), payload, self.lease.run_id))

    @property
    def watched(self) -> bool:
        """True when somebody watches, so that answers should be streamed."""
        return self._watch is not None


def _sound(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Words from outside (an exception's, a check's complaint) must not hold half a character: UTF-8 cannot say it."""
    for value in payload.values():
        if isinstance(value, str) and not value.isascii():
            return {k: valid_text(v) if isinstance(v, str) else v for k, v in payload.items()}
    return payload


def soon(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> None:
    """Let the loop call `what`, from any thread."""
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody watches any more
        loop.call_soon_threadsafe(what)
