"""The journal on SQLite: one file in WAL mode with `synchronous=FULL`, one writer thread a process."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from mainspring.errors import LeaseLostError, RunBusyError, RunNotFoundError, StoreError
from mainspring.label import Label
from mainspring.store import schema
from mainspring.store.chain import GENESIS, Stored, decode_payload, encode_payload, link
from mainspring.store.owner import Owner
from mainspring.store.protocol import (
    NEWS_S,
    NO_CHANGES,
    Appended,
    Changes,
    Event,
    InboxItem,
    Lease,
    NewEvent,
    Placed,
    RunRow,
)
from mainspring.store.seals import IMPORTED, Seal, write_seal
from mainspring.store.sqlite_people import SQLitePeople, restore_people
from mainspring.store.sqlite_queues import SQLiteQueues
from mainspring.store.statements import (
    CACHED_RUNS,
    EVENT,
    MOST_EVENTS,
    PAGE,
    RUN,
    apply_changes,
    first_place,
    inbox_body,
    insert_events,
    no_run,
    read_event,
)
from mainspring.store.writer import Writer, explain


class SQLiteStore(SQLitePeople, SQLiteQueues):
    """See :class:`mainspring.store.protocol.Store`."""

    def __init__(self, home: Path) -> None:
        """Open or create ``home/journal.db``.

        Raises:
            JournalVersionError, StoreError: with what to do.
        """
        self.home = home
        self.path = home / "journal.db"
        self._reader = schema.open_file(self.path)
        try:
            self._owner = Owner(home / "owners")
        except OSError as error:
            self._reader.close()
            raise StoreError(
                f"the folder {home} cannot be written: {error}; check it or set MAINSPRING_HOME"
            ) from error
        self._active: set[str] = set()  # runs leased inside this process
        self._active_lock = threading.Lock()
        self._retired = False
        self._writer = Writer(lambda: schema.connect(self.path), str(self.path))
        self._reader_lock = threading.Lock()
        self._firsts: dict[str, int] = {}  # where the events of runs used lately begin
        self._inbox_read: dict[str, float] = {}  # when the inbox of an active run was read last

    @property
    def broken(self) -> StoreError | None:
        """Why this store refuses further writes, or None; open the home again to go on."""
        return self._writer.broken

    # --- runs and leases ---

    def create(
        self,
        run_id: str,
        events: Sequence[NewEvent],
        *,
        agent: str,
        task: str,
        parent: str | None = None,
        priority: int = 0,
        queue: str = "",
    ) -> tuple[Lease, Appended]:
        """See the protocol."""
        lease = Lease(run_id, 1, 0, GENESIS)
        rows, made, blobs = self._chain(lease, events)
        now = time.time()
        head = (lease.head_seq, lease.head_hash)  # now: later appends move the lease on before this job runs

        def job(connection: sqlite3.Connection) -> None:
            try:
                added = connection.execute(
                    "INSERT INTO runs (id, agent, task, status, created_at, updated_at, epoch, owner, head_seq, "
                    "head_hash, wake_at, parent, priority, queue) VALUES (?,?,?,'running',?,?,1,?,?,?,NULL,?,?,?)",
                    (run_id, agent, task, now, now, self._owner.name, *head, parent, priority, queue),
                )
            except sqlite3.IntegrityError:
                raise StoreError(f"run {run_id!r} exists already; choose another id, or resume it") from None
            insert_events(connection, first_place(added.lastrowid), rows, blobs)

        with self._active_lock:
            if run_id in self._active:
                raise StoreError(f"run {run_id!r} exists already; choose another id, or resume it")
            self._active.add(run_id)
        future = self._writer.submit(job)
        future.add_done_callback(lambda f: self._forget(lease) if f.exception() else None)
        return lease, Appended(run_id, made, future)

    def acquire(self, run_id: str) -> Lease:
        """See the protocol."""
        with self._active_lock:
            if run_id in self._active:
                raise RunBusyError(f"run {run_id} is being executed by this process; wait for it to stop")
            self._active.add(run_id)

        def job(connection: sqlite3.Connection) -> Lease:
            found = connection.execute(
                "SELECT owner, epoch, head_seq, head_hash FROM runs WHERE id=?", (run_id,)
            ).fetchone()
            if found is None:
                raise RunNotFoundError(no_run(run_id, self.home))
            owner, epoch, head_seq, head_hash = found
            if owner is not None and not (owner == self._owner.name or self._owner.is_dead(owner)):
                raise RunBusyError(
                    f"run {run_id} is being executed by process {owner.split('-')[0]}; "
                    "wait for it, or stop that process first"
                )
            connection.execute(
                "UPDATE runs SET owner=?, epoch=? WHERE id=?",
                (self._owner.name, epoch + 1, run_id),
            )
            return Lease(run_id, epoch + 1, head_seq, head_hash)

        try:
            lease: Lease = self._writer.submit(job).result()
            return lease
        except BaseException:
            with self._active_lock:
                self._active.discard(run_id)
            raise

    def release(self, lease: Lease) -> None:
        """See the protocol."""
        if lease.released:
            return
        self._forget(lease)

        def job(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE runs SET owner=NULL WHERE id=? AND epoch=? AND owner=?",
                (lease.run_id, lease.epoch, self._owner.name),
            )

        if self._writer.broken is None:
            self._writer.submit(job).result()

    def holds(self, lease: Lease) -> bool:
        """The owner's file lock cannot pass to anybody while this process lives, so no question to the disk."""
        return not lease.released and self._owner.alive() and self._writer.broken is None

    def _forget(self, lease: Lease) -> None:
        lease.released = True
        self._inbox_read.pop(lease.run_id, None)
        with self._active_lock:
            self._active.discard(lease.run_id)
        self._leave_if_idle()

    # --- events ---

    def append(self, lease: Lease, events: Sequence[NewEvent], changes: Changes = NO_CHANGES) -> Appended:
        """See the protocol."""
        if lease.released:
            failed: Future[None] = Future()
            failed.set_exception(LeaseLostError(f"run {lease.run_id}: this lease was given up"))
            return Appended(lease.run_id, (), failed)
        before_seq, epoch = lease.head_seq, lease.epoch
        rows, made, blobs = self._chain(lease, events)
        after_seq, after_hash = lease.head_seq, lease.head_hash
        owner = self._owner.name

        def job(connection: sqlite3.Connection) -> None:
            now = time.time()
            if changes.status is None and not changes.release:
                cursor = connection.execute(
                    "UPDATE runs SET head_seq=?, head_hash=?, updated_at=? "
                    "WHERE id=? AND epoch=? AND head_seq=? AND owner=?",
                    (after_seq, after_hash, now, lease.run_id, epoch, before_seq, owner),
                )
            else:
                cursor = connection.execute(
                    "UPDATE runs SET head_seq=?, head_hash=?, updated_at=?, status=coalesce(?, status), "
                    "wake_at=?, owner=? WHERE id=? AND epoch=? AND head_seq=? AND owner=?",
                    (
                        *(after_seq, after_hash, now, changes.status, changes.wake_at),
                        *(None if changes.release else owner, lease.run_id, epoch, before_seq, owner),
                    ),
                )
            if cursor.rowcount != 1:
                raise LeaseLostError(
                    f"run {lease.run_id}: epoch {epoch} is over, another owner has the run; nothing was written"
                )
            if changes is not NO_CHANGES:
                apply_changes(connection, lease.run_id, changes, now)
            insert_events(connection, self._first(lease.run_id, connection), rows, blobs)

        # A run that is alone in its process writes for itself; several are committed in groups by the thread.
        future = self._writer.submit(job, alone=len(self._active) == 1)
        if changes.release:
            self._forget(lease)
        return Appended(lease.run_id, made, future)

    def _chain(
        self, lease: Lease, events: Sequence[NewEvent]
    ) -> tuple[list[tuple[Any, ...]], tuple[Placed, ...], list[tuple[str, bytes]]]:
        """Give events their place and hash; the lease's head moves on only when all of them can be encoded."""
        at = round(time.time(), 6)
        seq, head = lease.head_seq, lease.head_hash
        rows: list[tuple[Any, ...]] = []
        made: list[Placed] = []
        blobs: list[tuple[str, bytes]] = []
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
        found = self._read(EVENT + "WHERE e.place=?", (self._first(run_id) + seq,))
        if not found:
            raise RunNotFoundError(f"run {run_id} has no event {seq} in {self.home}")
        return read_event(run_id, found[0])

    def events_of(self, run_id: str, kinds: Sequence[str], *, newest_first: bool = False) -> Iterator[Event]:
        """See the protocol."""
        first = self._first(run_id)
        low, high = first, first + MOST_EVENTS
        marks = ",".join("?" * len(kinds))
        sql = EVENT + f"WHERE e.place>? AND e.place<=? AND e.kind IN ({marks}) ORDER BY e.place"
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

    # --- lists ---

    def row(self, run_id: str) -> RunRow:
        """See the protocol."""
        found = self._read(RUN + "WHERE id=?", (run_id,))
        if not found:
            raise RunNotFoundError(no_run(run_id, self.home))
        return self._run_row(found[0])

    def rows(self, *, status: str | None = None, prefix: str = "", limit: int = 100) -> list[RunRow]:
        """See the protocol."""
        found = self._read(
            RUN + "WHERE (? IS NULL OR status=?) AND substr(id, 1, ?)=? ORDER BY created_at DESC, id LIMIT ?",
            (status, status, len(prefix), prefix, limit),
        )
        return [self._run_row(r) for r in found]

    def _run_row(self, row: tuple[Any, ...]) -> RunRow:
        owner = row[10]
        alive = owner is not None and not (
            self._owner.is_dead(owner) if owner != self._owner.name else row[0] not in self._active
        )
        id, agent, task, status, created_at, updated_at, epoch, head_seq, wake_at, parent, _, priority, queue = row
        times = created_at, updated_at
        return RunRow(id, agent, task, status, *times, epoch, head_seq, wake_at, parent, alive, priority, queue)

    # --- inbox ---

    def post(self, run_id: str, kind: str, payload: Mapping[str, Any]) -> None:
        """See the protocol."""
        body = inbox_body(payload)

        def job(connection: sqlite3.Connection) -> None:
            if connection.execute("SELECT 1 FROM runs WHERE id=?", (run_id,)).fetchone() is None:
                raise RunNotFoundError(no_run(run_id, self.home))
            connection.execute(
                "INSERT INTO inbox (run_id, at, kind, payload) VALUES (?,?,?,?)",
                (run_id, time.time(), kind, body),
            )

        self._writer.submit(job).result()
        self._inbox_read.pop(run_id, None)

    def news(self, run_id: str) -> bool:
        """See the protocol."""
        return time.monotonic() - self._inbox_read.get(run_id, -NEWS_S) >= NEWS_S

    def inbox(self, run_id: str) -> list[InboxItem]:
        """See the protocol."""
        now = time.monotonic()
        found = self._read("SELECT id, run_id, at, kind, payload FROM inbox WHERE run_id=? ORDER BY id", (run_id,))
        if not found and run_id in self._active:
            self._inbox_read[run_id] = now
        return [InboxItem(r[0], r[1], r[2], r[3], decode_payload(r[4], f"inbox item {r[0]}")["value"]) for r in found]

    # --- transfer ---

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

        def job(connection: sqlite3.Connection) -> None:
            try:
                added = connection.execute(
                    "INSERT INTO runs (id, agent, task, status, created_at, updated_at, epoch, owner, head_seq, "
                    "head_hash, wake_at, parent, priority, queue) VALUES (?,?,?,?,?,?,?,NULL,?,?,?,?,?,?)",
                    (
                        *(
                            run_id,
                            row["agent"],
                            row["task"],
                            row["status"],
                            row["created_at"],
                            row["updated_at"],
                        ),
                        *(row["epoch"], len(rows), previous, row["wake_at"], row["parent"]),
                        *(row["priority"], row["queue"]),
                    ),
                )
            except sqlite3.IntegrityError:
                raise StoreError(f"run {run_id} is in this home already; nothing was imported") from None
            insert_events(connection, first_place(added.lastrowid), rows, blobs)
            restore_people(connection, run_id, approvals)
            connection.execute(
                "INSERT INTO imports (run_id, at, head_seq, head_hash, seal) VALUES (?,?,?,?,?)",
                (run_id, time.time(), len(rows), previous, None if seal is None else seal.line().decode("ascii")),
            )
            connection.executemany("INSERT INTO inbox (run_id, at, kind, payload) VALUES (?,?,?,?)", items)

        self._writer.submit(job).result()
        with contextlib.suppress(StoreError):  # without a key nothing says later that the run came from elsewhere
            write_seal(self.home, IMPORTED + run_id, len(rows), previous)

    def close(self) -> None:
        """See the protocol."""
        self._writer.close()
        with self._reader_lock:
            self._reader.close()
        self._owner.close()

    def retire(self) -> None:
        """Close once nothing is executed under this store: until then nobody else may take its runs."""
        self._retired = True
        self._leave_if_idle()

    def _leave_if_idle(self) -> None:
        if self._retired and not self._active:
            self.close()

    def _first(self, run_id: str, connection: sqlite3.Connection | None = None) -> int:
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
        sql = EVENT + f"WHERE e.place>? AND e.place<=? ORDER BY e.place LIMIT {PAGE}"
        return self._read(sql, (first + after, first + MOST_EVENTS))

    def _read(self, sql: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        try:
            with self._reader_lock:
                return self._reader.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise explain(error, str(self.path)) from error
