"""Reading events, runs and inboxes, and bringing a run in from elsewhere: the same for SQLite and PostgreSQL."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.errors import RunNotFoundError, StoreError
from mainspring.label import Label
from mainspring.store.chain import GENESIS, Stored, decode_payload, encode_payload, link
from mainspring.store.protocol import Event, InboxItem, Lease, NewEvent, Placed, RunRow
from mainspring.store.seals import IMPORTED, Seal
from mainspring.store.sql import Connection
from mainspring.store.sql_people import restore_people
from mainspring.store.statements import (
    CACHED_RUNS,
    EVENT,
    MOST_EVENTS,
    PAGE,
    RUN,
    first_place,
    inbox_body,
    insert_events,
    no_run,
    read_event,
)

if TYPE_CHECKING:
    from mainspring.store.sql_people import Submits

Rows = list[tuple[Any, ...]]
Blobs = list[tuple[str, bytes]]


class EventsInSQL:
    """The part of a store in SQL that reads and restores."""

    home: Path
    _writer: Submits
    _firsts: dict[str, int]  # where the events of runs used lately begin
    _event_sql = EVENT
    _run_sql = RUN

    if TYPE_CHECKING:

        def _read(self, sql: str, values: Any) -> Rows: ...

        def _run_row(self, row: tuple[Any, ...]) -> RunRow: ...

        def _kept_outside(self, blobs: Blobs) -> Blobs: ...

        def _sign(self, run: str, seq: int, head: str) -> Seal: ...

        def _noticed(self, run_id: str) -> None: ...

        def _found_empty(self, run_id: str, asked_at: float) -> None: ...

    def _chain(self, lease: Lease, events: Sequence[NewEvent]) -> tuple[Rows, tuple[Placed, ...], Blobs]:
        """Give events their place and hash; the lease's head moves on only when all of them can be encoded."""
        at = round(time.time(), 6)
        seq, head = lease.head_seq, lease.head_hash
        rows: Rows = []
        made: list[Placed] = []
        blobs: Blobs = []
        for event in events:
            seq += 1
            stored = encode_payload(event.payload)
            label = event.label.encode()
            head = link(head, lease.run_id, seq, at, event.kind, event.version, label, stored)
            rows.append((seq, at, event.kind, event.version, label, stored.inline, stored.digest, head))
            if stored.data is not None and stored.digest is not None:
                blobs.append((stored.digest, stored.data))
            made.append((seq, at, head, event))
        lease.head_seq, lease.head_hash = seq, head
        return rows, tuple(made), blobs

    def events(self, run_id: str, after: int = 0) -> Iterator[Event]:
        """See the protocol."""
        first = self._first(run_id)
        while True:
            page = self._page(first, after)
            for row in page:
                yield read_event(run_id, row)
            if len(page) < PAGE:
                return
            after = page[-1][0]

    def event(self, run_id: str, seq: int) -> Event:
        """See the protocol."""
        found = self._read(self._event_sql + "WHERE e.place=?", (self._first(run_id) + seq,))
        if not found:
            raise RunNotFoundError(f"run {run_id} has no event {seq} in {self.home}")
        return read_event(run_id, found[0])

    def events_of(self, run_id: str, kinds: Sequence[str], *, newest_first: bool = False) -> Iterator[Event]:
        """See the protocol."""
        first = self._first(run_id)
        low, high = first, first + MOST_EVENTS
        marks = ",".join("?" * len(kinds))
        sql = self._event_sql + f"WHERE e.place>? AND e.place<=? AND e.kind IN ({marks}) ORDER BY e.place"
        sql += f" DESC LIMIT {PAGE}" if newest_first else f" LIMIT {PAGE}"
        while True:
            page = self._read(sql, (low, high, *kinds))
            for row in page:
                yield read_event(run_id, row)
            if len(page) < PAGE:
                return
            if newest_first:
                high = first + page[-1][0] - 1
            else:
                low = first + page[-1][0]

    def verify(self, run_id: str) -> int:
        """See the protocol."""
        count = 0
        for count, _, _ in self.chain(run_id):  # noqa: B007  the last one is wanted
            pass
        return count

    def chain(self, run_id: str) -> Iterator[tuple[int, str, str]]:
        """See the protocol."""
        head = self._read("SELECT head_seq, head_hash FROM runs WHERE id=?", (run_id,))
        if not head:
            raise RunNotFoundError(no_run(run_id, self.home))
        head_seq, head_hash = head[0]
        previous, count, first = GENESIS, 0, self._first(run_id)
        while True:
            page = self._page(first, count)
            for row in page[: head_seq - count]:
                seq, at, kind, version, label, payload, data, found, digest = row
                count += 1
                where = f"run {run_id}, event {seq}"
                if seq != count:
                    raise StoreError(f"{where}: event {count} is missing; the journal was changed")
                if digest is not None and (not isinstance(data, bytes) or hashlib.sha256(data).hexdigest() != digest):
                    raise StoreError(f"{where}: its blob {digest} is missing or was changed")
                previous = link(previous, run_id, seq, at, kind, version, label, Stored(payload, digest, None))
                if previous != found:
                    raise StoreError(f"{where}: the hash does not fit; this line or one before it was changed")
                yield seq, kind, previous
            if len(page) < PAGE or count >= head_seq:
                break
        # More lines: another process appended after the head was read, or somebody wrote some that no head knows of.
        more = bool(page) and page[-1][0] > head_seq
        if more and count == head_seq and self.row(run_id).head_seq == head_seq:
            raise StoreError(f"run {run_id}: event {page[-1][0]} is there, but only {head_seq} were written")
        if (count, previous) != (head_seq, head_hash):
            raise StoreError(f"run {run_id}: the journal ends at event {count}, but {head_seq} were written")

    def row(self, run_id: str) -> RunRow:
        """See the protocol."""
        found = self._read(self._run_sql + "WHERE id=?", (run_id,))
        if not found:
            raise RunNotFoundError(no_run(run_id, self.home))
        return self._run_row(found[0])

    def rows(self, *, status: str | None = None, prefix: str = "", limit: int = 100) -> list[RunRow]:
        """See the protocol."""
        found = self._read(
            self._run_sql
            + "WHERE (CAST(? AS TEXT) IS NULL OR status=?) AND substr(id, 1, ?)=? ORDER BY created_at DESC, id LIMIT ?",
            (status, status, len(prefix), prefix, limit),
        )
        return [self._run_row(r) for r in found]

    def post(self, run_id: str, kind: str, payload: Mapping[str, Any]) -> None:
        """See the protocol."""
        body = inbox_body(payload)

        def job(connection: Connection) -> None:
            if connection.execute("SELECT 1 FROM runs WHERE id=?", (run_id,)).fetchone() is None:
                raise RunNotFoundError(no_run(run_id, self.home))
            connection.execute(
                "INSERT INTO inbox (run_id, at, kind, payload) VALUES (?,?,?,?)",
                (run_id, time.time(), kind, body),
            )

        self._writer.submit(job).result()
        self._noticed(run_id)

    def inbox(self, run_id: str) -> list[InboxItem]:
        """See the protocol."""
        now = time.monotonic()
        found = self._read("SELECT id, run_id, at, kind, payload FROM inbox WHERE run_id=? ORDER BY id", (run_id,))
        if not found:
            self._found_empty(run_id, now)
        return [InboxItem(r[0], r[1], r[2], r[3], decode_payload(r[4], f"inbox item {r[0]}")["value"]) for r in found]

    def restore(
        self,
        row: Mapping[str, Any],
        lines: Sequence[Mapping[str, Any]],
        approvals: Sequence[Mapping[str, Any]],
        inbox: Sequence[Mapping[str, Any]] = (),
        seal: Seal | None = None,
    ) -> None:
        """See the protocol."""
        run_id = str(row["id"])
        items = [(run_id, i["at"], i["kind"], inbox_body(i["payload"])) for i in inbox]
        previous = GENESIS
        rows: list[tuple[Any, ...]] = []
        blobs: list[tuple[str, bytes]] = []
        for count, line in enumerate(lines, 1):
            where = f"run {run_id}, event {line.get('seq')}"
            try:
                stored = encode_payload(line["payload"])
                label = Label.decode(line["label"]).encode()
                seq, at, kind, version = line["seq"], line["at"], line["kind"], line["version"]
                previous = link(previous, run_id, seq, at, kind, version, label, stored)
                found = line["hash"]
            except (KeyError, TypeError) as error:
                raise StoreError(f"{where}: the line is damaged ({error!r}); nothing was imported") from None
            if seq != count or previous != found:
                raise StoreError(f"{where}: the hash chain does not fit; nothing was imported")
            rows.append((seq, at, kind, version, label, stored.inline, stored.digest, previous))
            if stored.data is not None and stored.digest is not None:
                blobs.append((stored.digest, stored.data))
        if len(rows) != row["head_seq"]:
            raise StoreError(f"run {run_id}: {len(rows)} of {row['head_seq']} events are there; nothing was imported")

        blobs = self._kept_outside(blobs)

        def job(connection: Connection) -> None:
            added = connection.execute(
                "INSERT INTO runs (id, agent, task, status, created_at, updated_at, epoch, owner, head_seq, "
                "head_hash, wake_at, parent, priority, queue) VALUES (?,?,?,?,?,?,?,NULL,?,?,?,?,?,?) "
                "ON CONFLICT (id) DO NOTHING RETURNING number",
                (
                    *(run_id, row["agent"], row["task"], row["status"], row["created_at"], row["updated_at"]),
                    *(row["epoch"], len(rows), previous, row["wake_at"], row["parent"]),
                    *(row["priority"], row["queue"]),
                ),
            ).fetchall()
            if not added:
                raise StoreError(f"run {run_id} is in this home already; nothing was imported")
            insert_events(connection, first_place(added[0][0]), rows, blobs)
            restore_people(connection, run_id, approvals)
            connection.execute(
                "INSERT INTO imports (run_id, at, head_seq, head_hash, seal) VALUES (?,?,?,?,?)",
                (run_id, time.time(), len(rows), previous, None if seal is None else seal.line().decode("ascii")),
            )
            connection.executemany("INSERT INTO inbox (run_id, at, kind, payload) VALUES (?,?,?,?)", items)

        self._writer.submit(job).result()
        with contextlib.suppress(StoreError):  # without a key nothing says later that the run came from elsewhere
            self._sign(IMPORTED + run_id, len(rows), previous)

    def _first(self, run_id: str, connection: Connection | None = None) -> int:
        """The place before a run's first event; raises RunNotFoundError."""
        first = self._firsts.get(run_id)
        if first is None:
            sql, values = "SELECT number FROM runs WHERE id=?", (run_id,)
            found = connection.execute(sql, values).fetchall() if connection else self._read(sql, values)
            if not found:
                raise RunNotFoundError(no_run(run_id, self.home))
            first = self._firsts[run_id] = first_place(found[0][0])
            if len(self._firsts) > CACHED_RUNS:
                self._firsts.pop(next(iter(self._firsts)))
        return first

    def _page(self, first: int, after: int) -> list[tuple[Any, ...]]:
        """The next events of a run; pages keep memory bounded and the reader free for others between them."""
        sql = self._event_sql + f"WHERE e.place>? AND e.place<=? ORDER BY e.place LIMIT {PAGE}"
        return self._read(sql, (first + after, first + MOST_EVENTS))
