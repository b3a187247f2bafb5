"""The journal on PostgreSQL, for a fleet: any number of processes on any number of machines.

The same tables, hashes and JSON as in the SQLite journal, so that runs move between the two. What differs: who lives is
told by renewed leases (`postgres_owner`), writing goes through one connection with one statement a group
(`postgres_appends`, `postgres_writer`), and a server that goes away and comes back breaks nothing.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import psycopg

from mainspring.errors import LeaseLostError, RunBusyError, RunNotFoundError, StoreError
from mainspring.store import postgres_schema
from mainspring.store.blobs import BlobStore, S3Blobs
from mainspring.store.chain import GENESIS
from mainspring.store.postgres_appends import Append, Create
from mainspring.store.postgres_blobs import DatabaseBlobs
from mainspring.store.postgres_connection import Readers, connector, described, explain, translated
from mainspring.store.postgres_owner import Owner, lease_seconds
from mainspring.store.postgres_ready import PostgresReady
from mainspring.store.postgres_writer import Writer
from mainspring.store.protocol import NEWS_S, NO_CHANGES, Appended, Changes, Lease, NewEvent, RunRow
from mainspring.store.seals import Seal, write_seal
from mainspring.store.sql import Connection
from mainspring.store.sql_events import EventsInSQL
from mainspring.store.sql_people import PeopleInSQL
from mainspring.store.sql_queues import QueuesInSQL
from mainspring.store.statements import apply_changes, insert_events, no_run

_EVENT = (
    "SELECT e.place & 4294967295, e.at, e.kind, e.version, e.label, e.payload, b.data, e.hash, e.blob "
    "FROM events e LEFT JOIN blobs b ON b.digest = e.blob "
)
_RUN = (
    "SELECT id, agent, task, status, created_at, updated_at, epoch, head_seq, wake_at, parent, "
    "EXISTS (SELECT 1 FROM owners o WHERE o.name = owner AND o.alive_until > clock_timestamp()), "
    "priority, queue, owner FROM runs "
)
_PEOPLE_LOCK = 0x50656F70  # advisory lock: what people decide has one order


class PostgresStore(EventsInSQL, PeopleInSQL, QueuesInSQL, PostgresReady):
    """See :class:`mainspring.store.protocol.Store`."""

    _writer: Writer
    _event_sql = _EVENT
    _run_sql = _RUN

    def __init__(self, home: Path, url: str, *, blobs_url: str = "") -> None:
        """Open a database, making its tables when there are none.

        Args:
            home: folder of what belongs to this machine: keys, undo copies, indexes.
            url: such as ``postgresql://user:password@host:5432/database``.
            blobs_url: ``s3://bucket/prefix`` for payloads over 8 KiB; empty keeps them in the database.

        Raises:
            JournalVersionError, StoreError: with what to do.
        """
        self.home = home
        self.name = described(url)
        lease_s = lease_seconds()
        try:
            home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"the folder {home} cannot be made: {error}; set MAINSPRING_HOME") from error
        self._pid = os.getpid()
        self._retired = False
        self._active: set[str] = set()  # runs leased inside this process
        self._names: dict[str, str] = {}  # and the owner's name at that time
        self._active_lock = threading.Lock()
        self._firsts: dict[str, int] = {}
        self._news_lock = threading.Lock()
        self._looked: tuple[float, frozenset[str], frozenset[str]] = (-1.0, frozenset(), frozenset())
        self._posted: set[str] = set()  # runs whose inbox this process put something into
        connect = connector(url)
        self._readers = Readers(connect, self.name)
        self._blobs: BlobStore = DatabaseBlobs(connect, self.name, self._ask)
        if blobs_url:
            self._blobs = S3Blobs(blobs_url)
        try:
            with connect() as connection:
                postgres_schema.prepare(connection, self.name)
            self._writer = Writer(connect, self.name, self._blobs)
            self._owner = Owner(connect, self.name, lease_s)
        except psycopg.Error as error:
            raise explain(error, self.name) from error

    @property
    def broken(self) -> StoreError | None:
        """Only a forked child's store is broken: it must not use the connections of its parent. A server that is away
        breaks nothing; what waits for it is written when it is back, or fails by itself."""
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
        self._may_own()
        lease = Lease(run_id, 1, 0, GENESIS)
        rows, made, blobs = self._chain(lease, events)
        name = self._owner.name
        values = {
            **{"agent": agent, "task": task, "at": time.time(), "owner": name, "seq": lease.head_seq},
            **{"head": lease.head_hash, "parent": parent, "priority": priority, "queue": queue},
        }
        with self._active_lock:
            if run_id in self._active:
                raise StoreError(f"run {run_id!r} exists already; choose another id, or resume it")
            self._active.add(run_id)
            self._names[run_id] = name
        future = self._writer.submit(Create(run_id, values, lease.head_hash, rows, blobs))
        future.add_done_callback(lambda f: self._forget(lease) if f.exception() else None)
        return lease, Appended(run_id, made, future)

    def acquire(self, run_id: str) -> Lease:
        """See the protocol. Whoever takes a run from an owner that is past its time declares that owner dead."""
        self._may_own()
        with self._active_lock:
            if run_id in self._active:
                raise RunBusyError(f"run {run_id} is being executed by this process; wait for it to stop")
            self._active.add(run_id)
            me = self._names[run_id] = self._owner.name
        take = "UPDATE runs SET owner=?, epoch=epoch+1 WHERE id=? "
        head = "RETURNING epoch, head_seq, head_hash"

        def job(connection: Connection) -> Lease:
            taken = connection.execute(f"{take}AND (owner IS NULL OR owner=?) {head}", (me, run_id, me)).fetchone()
            unseen = taken is None
            if taken is None:
                found = connection.execute("SELECT owner FROM runs WHERE id=? FOR UPDATE", (run_id,)).fetchone()
                if found is None:
                    raise RunNotFoundError(no_run(run_id, self.home))
                if found[0] is not None and found[0] != me:
                    # The row's lock makes a renewal that is under way and this one follow each other.
                    past = "DELETE FROM owners WHERE name=? AND alive_until <= clock_timestamp()"
                    connection.execute(past, found)
                    if connection.execute("SELECT 1 FROM owners WHERE name=?", found).fetchone() is not None:
                        host, _, rest = str(found[0]).partition("/")
                        raise RunBusyError(
                            f"run {run_id} is being executed by process {rest.partition('/')[0]} on {host}; "
                            "wait for it, or stop that process first"
                        )
                taken = connection.execute(take + head, (me, run_id)).fetchone()
            lease = Lease(run_id, *taken)
            lease.unseen = unseen
            return lease

        try:
            lease: Lease = self._writer.submit(job).result()
            return lease
        except BaseException:
            with self._active_lock:
                self._active.discard(run_id)
                self._names.pop(run_id, None)
            raise

    def _may_own(self) -> None:
        if self.broken is not None:
            raise self.broken
        self._owner.ensure()

    def release(self, lease: Lease) -> None:
        """See the protocol. When the server is away, the run stays ours until the lease or this process ends."""
        if lease.released:
            return
        name = self._names.get(lease.run_id, self._owner.name)
        self._forget(lease)

        def job(connection: Connection) -> None:
            connection.execute(
                "UPDATE runs SET owner=NULL WHERE id=? AND epoch=? AND owner=?", (lease.run_id, lease.epoch, name)
            )

        with contextlib.suppress(StoreError):
            self._writer.submit(job).result()

    def holds(self, lease: Lease) -> bool:
        """Whether the lease runs for certain, by this machine's own clock; no question to the database."""
        ours = not lease.released and self._names.get(lease.run_id) == self._owner.name
        return ours and self._owner.alive()

    def _forget(self, lease: Lease) -> None:
        lease.released = True
        with self._active_lock:
            self._active.discard(lease.run_id)
            self._names.pop(lease.run_id, None)
        self._posted.discard(lease.run_id)
        self._leave_if_idle()

    # --- events ---

    def append(self, lease: Lease, events: Sequence[NewEvent], changes: Changes = NO_CHANGES) -> Appended:
        """See the protocol."""
        name = self._names.get(lease.run_id, self._owner.name)
        if lease.released or name != self._owner.name:
            why = "this lease was given up" if lease.released else "this process was away until others took its runs"
            failed: Future[None] = Future()
            failed.set_exception(LeaseLostError(f"run {lease.run_id}: {why}"))
            return Appended(lease.run_id, (), failed)
        before = lease.head_seq
        rows, made, blobs = self._chain(lease, events)
        append = Append(lease.run_id, lease.epoch, name, before, lease.head_seq, lease.head_hash, rows)
        append.blobs = blobs
        if changes is not NO_CHANGES:
            append.status, append.wake_at, append.release = changes.status, changes.wake_at, changes.release
            append.taken = changes.taken
        if changes.consume or changes.requests or changes.expire:
            future = self._writer.submit(self._with_approvals(append, changes))
        else:
            future = self._writer.submit(append)
        if changes.release:
            self._forget(lease)
        return Appended(lease.run_id, made, future)

    def _with_approvals(self, append: Append, changes: Changes) -> Any:
        """The rarer append that also changes approvals: it may be refused half-way, so it has a savepoint."""

        def job(connection: Connection) -> None:
            now = time.time()
            moves, free = int(append.moves), int(append.release)
            moved = connection.execute(
                "UPDATE runs SET head_seq=?, head_hash=?, updated_at=?, status=coalesce(?, status), "
                "wake_at=CASE WHEN ?=1 THEN CAST(? AS DOUBLE PRECISION) ELSE wake_at END, "
                "owner=CASE WHEN ?=1 THEN NULL ELSE owner END WHERE id=? AND epoch=? AND head_seq=? AND owner=?",
                (
                    *(append.after, append.head, now, append.status, moves, append.wake_at, free),
                    *(append.run_id, append.epoch, append.before, append.owner),
                ),
            )
            if moved.rowcount != 1:
                raise append.refused()
            apply_changes(connection, append.run_id, changes, now)
            insert_events(connection, self._first(append.run_id, connection), append.rows, append.blobs)

        return job

    # --- inbox ---

    def news(self, run_id: str) -> bool:
        """See the protocol. One look a moment serves all runs of this process."""
        if run_id in self._posted:
            return True
        now = time.monotonic()
        with self._news_lock:
            looked, asked, full = self._looked
            if now - looked >= NEWS_S or run_id not in asked:
                asked = frozenset(self._active | {run_id})
                found = self._ask("SELECT DISTINCT run_id FROM inbox WHERE run_id = ANY(%s)", (list(asked),))
                full = frozenset(row[0] for row in found)
                self._looked = (now, asked, full)
        return run_id in full or run_id in self._posted

    def _noticed(self, run_id: str) -> None:
        if run_id in self._active:
            self._posted.add(run_id)

    def _found_empty(self, run_id: str, asked_at: float) -> None:
        self._posted.discard(run_id)

    # --- revocations ---

    def revoked(self, *, within_s: float = 0.0) -> frozenset[str]:
        """See the protocol. One look a moment serves all runs of this process."""
        now = time.monotonic()
        if now - self._revoked_at < within_s:
            return self._revoked[1]
        names = super().revoked()
        self._revoked_at = now  # of the question, not of its answer
        return names

    # --- what the parts in SQL ask for ---

    def _run_row(self, row: tuple[Any, ...]) -> RunRow:
        id, agent, task, status, created_at, updated_at, epoch, head_seq, wake_at, parent, lives, *rest = row
        priority, queue, owner = rest
        alive = bool(lives) and (owner != self._owner.name or id in self._active)
        times = created_at, updated_at
        return RunRow(id, agent, task, status, *times, epoch, head_seq, wake_at, parent, alive, priority, queue)

    def _in_order(self, connection: Connection, approval_id: str | None) -> None:
        """Answers and revocations follow each other, and an approval's row stands still for its answer."""
        connection.execute("SELECT pg_advisory_xact_lock(?)", (_PEOPLE_LOCK,))
        if approval_id is not None:
            connection.execute("SELECT 1 FROM approvals WHERE id=? FOR UPDATE", (approval_id,))

    def _kept_outside(self, blobs: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
        if blobs and isinstance(self._blobs, S3Blobs):
            self._blobs.put(blobs)
            return []
        return blobs

    def _with_blobs(self, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Rows of events with the blobs that lie outside the database."""
        if not isinstance(self._blobs, S3Blobs):
            return rows
        return [
            (*row[:6], self._blobs.get(row[8]), *row[7:]) if row[8] is not None and row[6] is None else row
            for row in rows
        ]

    def _sign(self, run: str, seq: int, head: str) -> Seal:
        """Signed by this machine's key, in its own file, and in the database for all the others."""
        seal = write_seal(self.home, run, seq, head)

        def job(connection: Connection) -> None:
            connection.execute(
                "INSERT INTO seals (key, n, run, seq, line) VALUES (?,?,?,?,?) ON CONFLICT DO NOTHING",
                (seal.key, seal.n, seal.run, seal.seq, seal.line().decode("ascii")),
            )

        self._writer.submit(job).result()
        return seal

    def _signed(self, run: str, most: int) -> Seal | None:
        import json

        sql = "SELECT line FROM seals WHERE run=? AND seq<=? ORDER BY seq DESC, n DESC LIMIT 20"
        for (line,) in self._read(sql, (run, most)):
            with contextlib.suppress(ValueError, StoreError):
                return Seal.decode(json.loads(line))
        return None

    def shared_seals(self) -> Iterator[Seal]:
        """The seals of all machines, unchecked, each run's by event; lines that are no seals are passed over."""
        import json

        for (line,) in self._read("SELECT line FROM seals ORDER BY run, seq, n", ()):
            with contextlib.suppress(ValueError, StoreError):
                yield Seal.decode(json.loads(line))

    def _read(self, sql: str, values: Any) -> list[tuple[Any, ...]]:
        rows = self._ask(translated(sql), values)
        return self._with_blobs(rows) if sql.startswith(_EVENT) else rows

    def _ask(self, sql: str, values: Any) -> list[tuple[Any, ...]]:
        if self._pid != os.getpid() and self.broken is not None:
            raise self.broken
        return self._readers.read(sql, values)

    # --- closing ---

    def close(self) -> None:
        """See the protocol. Its runs are free at once."""
        if self.broken is not None:
            return
        self._writer.close()
        self._readers.close()
        self._blobs.close()
        self._owner.close()

    def retire(self) -> None:
        """Close once nothing is executed under this store: until then nobody else may take its runs."""
        self._retired = True
        self._leave_if_idle()

    def _leave_if_idle(self) -> None:
        if self._retired and not self._active:
            self.close()
