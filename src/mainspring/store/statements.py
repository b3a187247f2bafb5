"""The SQL of the journal, and its rows as ours."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mainspring.errors import ApprovalError, StoreError
from mainspring.label import Label
from mainspring.store.chain import decode_payload, encode_payload
from mainspring.store.protocol import Changes, Event
from mainspring.store.sql import Connection

INSERT_EVENT = "INSERT INTO events (place, at, kind, version, label, payload, blob, hash) VALUES (?,?,?,?,?,?,?,?)"
INSERT_BLOB = "INSERT INTO blobs (digest, data) VALUES (?,?) ON CONFLICT (digest) DO NOTHING"
EVENT = (
    "SELECT e.seq, e.at, e.kind, e.version, e.label, e.payload, b.data, e.hash, e.blob "
    "FROM events e LEFT JOIN blobs b ON b.digest = e.blob "
)
MOST_EVENTS = (1 << 32) - 1  # events of one run
PAGE = 500  # events read at once
CACHED_RUNS = 10_000
RUN = (
    "SELECT id, agent, task, status, created_at, updated_at, epoch, head_seq, wake_at, parent, owner, priority, queue "
    "FROM runs "
)


def first_place(number: int | None) -> int:
    """The place before a run's first event; see the schema."""
    return (number or 0) << 32


def insert_events(
    connection: Connection, first: int, rows: Sequence[tuple[Any, ...]], blobs: Sequence[tuple[str, bytes]]
) -> None:
    """Write events behind the place `first`, and the blobs that they hold."""
    if blobs:
        connection.executemany(INSERT_BLOB, blobs)
    connection.executemany(INSERT_EVENT, [(first + seq, *rest) for seq, *rest in rows])


def apply_changes(connection: Connection, run_id: str, changes: Changes, now: float) -> None:
    """Everything of an append but the events; raises ApprovalError when an approval cannot be used."""
    for approval_id, digest, intent in changes.consume:
        used = connection.execute(
            "UPDATE approvals SET state='used', used_seq=? WHERE id=? AND run_id=? AND digest=? "
            "AND state='approved' AND (expires_at IS NULL OR expires_at>?)",
            (intent, approval_id, run_id, digest, now),
        )
        if used.rowcount != 1:
            raise ApprovalError(
                f"approval {approval_id} cannot be used for this call: it is unknown, expired, used, "
                "or was given for another one"
            )
    for request in changes.requests:
        connection.execute(
            "INSERT INTO approvals (id, run_id, digest, state, requested_at, expires_at, people, approvers) "
            "VALUES (?,?,?,'pending',?,?,?,?)",
            (
                *(request.id, run_id, request.digest, now, request.expires_at),
                *(max(request.people, 1), json.dumps(list(request.approvers), ensure_ascii=False)),
            ),
        )
    for approval_id in changes.expire:
        connection.execute(
            "UPDATE approvals SET state='expired' WHERE id=? AND run_id=? AND state IN ('pending', 'approved')",
            (approval_id, run_id),
        )
    for item in changes.taken:
        connection.execute("DELETE FROM inbox WHERE id=? AND run_id=?", (item, run_id))


def inbox_body(payload: Mapping[str, Any]) -> str:
    """What an inbox item's payload is written as; raises StoreError when JSON cannot say it."""
    stored = encode_payload({"value": dict(payload)})
    return stored.inline if stored.inline is not None else (stored.data or b"").decode("utf-8")


def read_event(run_id: str, row: tuple[Any, ...]) -> Event:
    """An event from a row of `EVENT`; raises StoreError for a damaged one."""
    seq, at, kind, version, label, payload, data, digest_hash, blob = row
    where = f"run {run_id}, event {seq}"
    if blob is not None and data is None:
        raise StoreError(f"{where}: its blob {blob} is missing; the journal is damaged")
    text = payload if payload is not None else data
    return Event(run_id, seq, at, kind, version, Label.decode(label), decode_payload(text, where), digest_hash)


def no_run(run_id: str, home: Path) -> str:
    """The words for a run that is not there."""
    return f"no run {run_id!r} in {home}; `mainspring runs list` shows what is there"
