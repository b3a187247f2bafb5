"""Many appends, or many new runs, in one statement: one round trip and one flush for a whole group.

A statement says for each of its runs what it must find there (epoch, owner, head) and writes only where it does; what
it returns are the runs that it found so. So a stale lease is refused by the database itself, without an error that
would take the others with it, and no savepoint is needed.

Each statement also takes the writer's next turn, and does nothing when that turn is taken: after a lost connection the
writer takes it itself, so that a statement still on its way cannot come in late (`mainspring.store.postgres_writer`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from mainspring.errors import LeaseLostError, MainspringError, StoreError
from mainspring.store.postgres_connection import Link, escaped

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=True).encode

_TURN = "turn AS (UPDATE writers SET turn = turn + 1, last = turn WHERE name = %s AND turn = %s RETURNING 1)"
_EVENTS = """
    INSERT INTO events (place, at, kind, version, label, payload, blob, hash)
    SELECT (m.number << 32) + e.s, e.a, e.k, e.v, e.l, e.p, e.b, e.h
    FROM json_to_recordset(%s::json)
        AS e(r text, s bigint, a float8, k text, v bigint, l text, p text, b text, h text)
    JOIN found m ON m.id = e.r
"""
_RESULT = "SELECT (SELECT count(*) FROM turn), (SELECT array_agg(id) FROM found)"

_APPEND = f"""
WITH {_TURN}, wanted AS (
    SELECT * FROM json_to_recordset(%s::json) AS w(
        id text, epoch bigint, owner text, before bigint, after bigint, head text, moves bool,
        status text, wake float8, free bool)
), found AS (
    UPDATE runs r SET head_seq = w.after, head_hash = w.head, updated_at = %s::float8,
        status = coalesce(w.status, r.status),
        wake_at = CASE WHEN w.moves THEN w.wake ELSE r.wake_at END,
        owner = CASE WHEN w.free THEN NULL ELSE r.owner END
    FROM wanted w, turn
    WHERE r.id = w.id AND r.epoch = w.epoch AND r.head_seq = w.before AND r.owner = w.owner
    RETURNING r.id, r.number
), written AS ({_EVENTS}), taken AS (
    DELETE FROM inbox i USING json_to_recordset(%s::json) AS t(r text, i bigint), found m
    WHERE i.id = t.i AND i.run_id = t.r AND m.id = t.r
) {_RESULT}
"""  # noqa: S608  our own

_CREATE = f"""
WITH {_TURN}, found AS (
    INSERT INTO runs (id, agent, task, status, created_at, updated_at, epoch, owner, head_seq, head_hash, parent,
        priority, queue)
    SELECT n.id, n.agent, n.task, 'running', n.at, n.at, 1, n.owner, n.seq, n.head, n.parent, n.priority, n.queue
    FROM json_to_recordset(%s::json) AS n(
        id text, agent text, task text, at float8, owner text, seq bigint, head text, parent text,
        priority bigint, queue text, place bigint), turn
    ORDER BY n.place
    ON CONFLICT (id) DO NOTHING RETURNING id, number
), written AS ({_EVENTS}) {_RESULT}
"""  # noqa: S608  our own


@dataclass(slots=True)
class Append:
    """One append without approvals; `rows` are its events as `EventsInSQL._chain` makes them."""

    run_id: str
    epoch: int
    owner: str
    before: int
    after: int
    head: str
    rows: Sequence[tuple[Any, ...]]
    status: str | None = None
    wake_at: float | None = None
    release: bool = False
    taken: tuple[int, ...] = ()
    blobs: Sequence[tuple[str, bytes]] = ()

    @property
    def moves(self) -> bool:
        """Whether it sets what the list of runs says, and not the head alone."""
        return self.status is not None or self.release

    def follows(self, other: Append) -> bool:
        """Whether it can be written as one with `other`, which came before it."""
        same = (self.run_id, self.epoch, self.owner, self.before)
        return same == (other.run_id, other.epoch, other.owner, other.after) and not other.release

    def refused(self) -> MainspringError:
        """The error for an append that the database did not take."""
        return LeaseLostError(
            f"run {self.run_id}: epoch {self.epoch} is over, another owner has the run; nothing was written"
        )


@dataclass(slots=True)
class Create:
    """One new run with its first events."""

    run_id: str
    values: dict[str, Any]
    head: str
    rows: Sequence[tuple[Any, ...]]
    blobs: Sequence[tuple[str, bytes]] = ()

    def refused(self) -> MainspringError:
        """The error for a run that is there already."""
        return StoreError(f"run {self.run_id!r} exists already; choose another id, or resume it")


Job = Callable[[Any], Any]
Item = tuple[Append | Create | Job, Future[Any]]


class NotOurTurn(Exception):
    """The statement did nothing: its turn was taken."""


def written(link: Link, items: Sequence[Append | Create], writer: str, turn: int) -> set[str]:
    """Write appends, or new runs, of a group; returns the ids of the runs for which that was right.

    Each run may be there once, or with appends that follow each other (see `Append.follows`).

    Raises:
        NotOurTurn: nothing was written.
        psycopg.Error: see there.
    """
    events: list[dict[str, Any]] = []
    taken: list[dict[str, Any]] = []
    heads: dict[str, dict[str, Any]] = {}
    for item in items:
        run = escaped(item.run_id)
        for seq, at, kind, version, label, payload, blob, digest in item.rows:
            event = {"r": run, "s": seq, "a": at, "k": escaped(kind), "v": version, "l": label, "h": digest}
            events.append(event | ({"p": payload} if blob is None else {"b": blob}))
        if isinstance(item, Create):
            heads[run] = {"id": run, "place": len(heads)} | {
                k: escaped(v) if isinstance(v, str) else v for k, v in item.values.items()
            }
            continue
        taken += [{"r": run, "i": number} for number in item.taken]
        head = heads.setdefault(
            run, {"id": run, "epoch": item.epoch, "owner": escaped(item.owner), "before": item.before}
        )
        head |= {"after": item.after, "head": item.head}
        if item.moves:
            status = head.get("status") if item.status is None else escaped(item.status)
            head |= {"moves": True, "status": status, "wake": item.wake_at, "free": item.release}
    texts = _encode(list(heads.values())), _encode(events)
    if isinstance(items[0], Create):
        cursor = link.execute(_CREATE.encode(), (writer, turn, *texts), prepare=True)
    else:
        values = (writer, turn, texts[0], time.time(), texts[1], _encode(taken))
        cursor = link.execute(_APPEND.encode(), values, prepare=True)
    row = cursor.fetchone()
    if row is None or not row[0]:
        raise NotOurTurn
    return set(row[1] or ())


def landed(link: Link, item: Append | Create) -> bool:
    """Whether this is in the journal, read back by its hash: the hash covers the whole history before it."""
    values: tuple[Any, ...]
    if item.rows:
        last = item.rows[-1]
        sql = "SELECT 1 FROM events e JOIN runs r ON e.place = (r.number << 32) + %s WHERE r.id = %s AND e.hash = %s"
        values = (last[0], item.run_id, last[-1])
    else:  # no event says so: then the run still is as this append found it, or as only it can have left it
        epoch = item.epoch if isinstance(item, Append) else 1
        owner = None if isinstance(item, Append) and item.release else item.owner if isinstance(item, Append) else None
        sql = "SELECT 1 FROM runs WHERE id = %s AND epoch = %s AND head_hash = %s AND (owner = %s OR %s::text IS NULL)"
        values = (item.run_id, epoch, item.head, owner, owner)
    return link.execute(sql.encode(), values).fetchone() is not None
