"""Schedules as the journal keeps them: one small document each, changed by compare-and-set, with who changed what.

No tool of an agent reaches these documents: a run cannot make, change or remove a job.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mainspring.errors import DeclarationError, StoreError
from mainspring.names import check_person
from mainspring.schedules.schedule import Schedule
from mainspring.store import Kept, Store

KIND = "schedule"
_HISTORY, _ATTENTION, _CHANGES = 100, 30, 50


@dataclass(frozen=True, slots=True)
class Firing:
    """What became of one time or item.

    Args:
        due, at: when it was to happen and when it did, Unix times in seconds.
        run_id: its run; "" when none was started.
        status: of the run (``"waiting"``, ``"done"``, ...), or ``"skipped"`` (the run before still worked),
            ``"missed"``, ``"capped"``, ``"queued"``, ``"error"``.
        note: why, in words.
        usd, tokens: what it spent, once it has ended.
    """

    due: float
    at: float
    run_id: str = ""
    status: str = ""
    note: str = ""
    usd: float = 0.0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Attention:
    """Something that a person should look at: ``"missed"``, ``"late"``, ``"failing"``, ``"capped"``, ``"error"``."""

    at: float
    kind: str
    text: str


@dataclass(slots=True)
class State:
    """What a scheduler knows of a schedule.

    Args:
        last: the newest time that was dealt with.
        open: runs that have not ended.
        queued: times that wait for the run before.
        failed: failed firings in a row.
        asked: times for which a person asked.
        nothing: times at which there was nothing to do, and the newest of them.
        check, source: what the last look gave.
        day: what this day has spent: ``date``, ``usd``, ``tokens``, ``firings``.
        pause_s: seconds until open runs are looked at again.
    """

    last: float = 0.0
    open: list[str] = field(default_factory=list)
    queued: list[float] = field(default_factory=list)
    failed: int = 0
    asked: list[float] = field(default_factory=list)
    nothing: int = 0
    nothing_at: float = 0.0
    check: Any = None
    source: dict[str, Any] = field(default_factory=dict)
    day: dict[str, Any] = field(default_factory=dict)
    pause_s: float = 0.0


@dataclass(slots=True)
class Entry:
    """A schedule with its state. `paused` says why it does not fire, or ""; `due_at` when it is looked at next."""

    schedule: Schedule
    state: State
    version: int = 0
    due_at: float | None = None
    paused: str = ""
    history: list[Firing] = field(default_factory=list)
    attention: list[Attention] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)

    @property
    def spent(self) -> dict[str, Any]:
        """What the newest day has spent: ``date``, ``usd``, ``tokens``, ``firings``."""
        return dict(self.state.day)

    def encode(self) -> dict[str, Any]:
        """The document; what is too old to matter is left out."""
        return {
            "schedule": self.schedule.encode(),
            "state": asdict(self.state),
            "paused": self.paused,
            "history": [asdict(f) for f in self.history[-_HISTORY:]],
            "attention": [asdict(a) for a in self.attention[-_ATTENTION:]],
            "changes": self.changes[-_CHANGES:],
        }

    @classmethod
    def of(cls, kept: Kept) -> Entry:
        """Raises DeclarationError for a document that is damaged or from a newer Mainspring."""
        body = kept.body
        try:
            return cls(
                Schedule.decode(body["schedule"]),
                State(**body["state"]),
                kept.version,
                kept.due_at,
                str(body["paused"]),
                [Firing(**f) for f in body["history"]],
                [Attention(**a) for a in body["attention"]],
                list(body["changes"]),
            )
        except (KeyError, TypeError) as error:
            raise DeclarationError(
                f"the schedule {kept.name!r} is damaged: {error}; remove it and add it anew"
            ) from None


class Schedules:
    """The schedules of a journal. What changes one names the person who does; who that is, is the caller's to know."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, schedule: Schedule, *, by: str, now: float | None = None) -> Entry:
        """Keep a new schedule; raises StoreError when the name is taken, DeclarationError when it would never fire."""
        at = time.time() if now is None else now
        entry = Entry(schedule, State(last=at), due_at=_first(schedule, at))
        return self._keep(entry, "added", by, at)

    def change(self, name: str, schedule: Schedule, *, by: str, now: float | None = None) -> Entry:
        """Replace a schedule, its history kept; raises StoreError when there is none."""
        if schedule.name != name:
            raise DeclarationError(
                f"a schedule keeps its name: {name!r} cannot become {schedule.name!r}; add a new one"
            )
        at = time.time() if now is None else now

        def put(entry: Entry) -> None:
            if schedule.trigger != entry.schedule.trigger:
                entry.state.last, entry.state.source, entry.state.check = at, {}, None
            entry.schedule = schedule
            entry.due_at = None if entry.paused else _first(schedule, max(at, entry.state.last))

        return self._edit(name, put, "changed", by, at)

    def remove(self, name: str, *, by: str) -> None:
        """Forget a schedule; its runs stay. Raises StoreError when there is none."""
        self._person(by)
        for _ in range(20):
            kept = self._found(name)
            try:
                self._store.drop(KIND, name, version=kept.version)
                return
            except StoreError:
                continue
        raise StoreError(f"the schedule {name!r} changes all the time; try again")

    def pause(self, name: str, reason: str, *, by: str, now: float | None = None) -> Entry:
        """Let it fire no more until it is resumed."""
        at = time.time() if now is None else now

        def put(entry: Entry) -> None:
            entry.paused = reason.strip()[:2000] or "paused"
            entry.due_at = at if entry.state.open else None  # how these end is still of interest

        return self._edit(name, put, "paused", by, now)

    def resume(self, name: str, *, by: str, now: float | None = None) -> Entry:
        """Let it fire again, from now on; what it was paused for has been seen."""
        at = time.time() if now is None else now

        def put(entry: Entry) -> None:
            entry.paused, entry.attention, entry.state.failed = "", [], 0
            entry.state.last = max(entry.state.last, at) if entry.schedule.kind != "source" else entry.state.last
            entry.due_at = _first(entry.schedule, at)

        return self._edit(name, put, "resumed", by, at)

    def run_now(self, name: str, *, by: str, now: float | None = None) -> Entry:
        """Have it fire once at the next tick, whatever its times and its check say."""
        at = time.time() if now is None else now

        def put(entry: Entry) -> None:
            if entry.paused:
                raise StoreError(f"the schedule {name!r} is paused ({entry.paused}); resume it first")
            entry.state.asked.append(at)
            entry.due_at = at

        return self._edit(name, put, "asked to run", by, at)

    def seen(self, name: str, *, by: str) -> Entry:
        """A person has looked at what wanted attention."""

        def put(entry: Entry) -> None:
            entry.attention = []

        return self._edit(name, put, "looked at", by, None)

    def get(self, name: str) -> Entry:
        """One schedule; raises StoreError when there is none."""
        return Entry.of(self._found(name))

    def list(self) -> list[Entry]:
        """All schedules by name. A damaged one is left out; `mainspring schedule show` says why."""
        found: list[Entry] = []
        for kept in self._store.all_kept(KIND, limit=100_000):
            try:
                found.append(Entry.of(kept))
            except DeclarationError:
                continue
        return found

    def _edit(self, name: str, put: Callable[[Entry], None], what: str, by: str, now: float | None) -> Entry:
        at = time.time() if now is None else now
        for attempt in range(20):  # a scheduler may write between our look and our change
            entry = self.get(name)
            put(entry)
            try:
                return self._keep(entry, what, by, at)
            except StoreError:
                if attempt == 19:
                    raise
        raise AssertionError("unreachable")

    def _keep(self, entry: Entry, what: str, by: str, at: float) -> Entry:
        entry.changes.append({"at": at, "by": self._person(by), "what": what})
        kept = self._store.keep(KIND, entry.schedule.name, entry.encode(), version=entry.version, due_at=entry.due_at)
        entry.version = kept.version
        return entry

    def _found(self, name: str) -> Kept:
        kept = self._store.kept(KIND, name)
        if kept is None:
            raise StoreError(f"there is no schedule {name!r:.200}; `mainspring schedule list` shows what is there")
        return kept

    @staticmethod
    def _person(by: str) -> str:
        return check_person(by)


def _first(schedule: Schedule, now: float) -> float | None:
    """When a schedule is to be looked at first; raises DeclarationError when that is never."""
    if schedule.over(now):
        raise DeclarationError(f"the schedule {schedule.name!r} has expired already; give it a later expires_at")
    if schedule.kind == "source":
        return now
    first = schedule.next_after(now)
    if first is None:
        raise DeclarationError(
            f"the schedule {schedule.name!r} ({schedule.shown()}) never fires from now on; "
            "look at its time and expires_at"
        )
    return first


def encoded(entry: Entry) -> Mapping[str, Any]:
    """An entry for ``--json``: the schedule's fields, and beside them how it stands."""
    body = entry.encode()
    return {**body.pop("schedule"), **body, "due_at": entry.due_at, "version": entry.version, "spent": entry.spent}
