"""The journal on SQLite: one file in WAL mode with `synchronous=FULL`, one writer thread a process."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from mainspring.errors import LeaseLostError, RunBusyError, RunNotFoundError, StoreError
from mainspring.store import schema
from mainspring.store.chain import GENESIS
from mainspring.store.owner import Owner
from mainspring.store.protocol import NEWS_S, NO_CHANGES, Appended, Changes, Lease, NewEvent, RunRow
from mainspring.store.seals import Seal, newest_seal, write_seal
from mainspring.store.sql import Connection
from mainspring.store.sql_events import EventsInSQL
from mainspring.store.sql_people import PeopleInSQL
from mainspring.store.sql_queues import QueuesInSQL
from mainspring.store.sqlite_ready import SQLiteReady
from mainspring.store.statements import apply_changes, first_place, insert_events, no_run
from mainspring.store.writer import Writer, explain


class SQLiteStore(EventsInSQL, PeopleInSQL, QueuesInSQL, SQLiteReady):
    """See :class:`mainspring.store.protocol.Store`."""

    _writer: Writer

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

    # --- what the parts in SQL ask for ---

    def _run_row(self, row: tuple[Any, ...]) -> RunRow:
        owner = row[10]
        alive = owner is not None and not (
            self._owner.is_dead(owner) if owner != self._owner.name else row[0] not in self._active
        )
        id, agent, task, status, created_at, updated_at, epoch, head_seq, wake_at, parent, _, priority, queue = row
        times = created_at, updated_at
        return RunRow(id, agent, task, status, *times, epoch, head_seq, wake_at, parent, alive, priority, queue)

    def _noticed(self, run_id: str) -> None:
        self._inbox_read.pop(run_id, None)

    def _found_empty(self, run_id: str, asked_at: float) -> None:
        if run_id in self._active:
            self._inbox_read[run_id] = asked_at

    def _in_order(self, connection: Connection, approval_id: str | None) -> None:
        """SQLite lets one transaction write at a time: each sees all that came before."""

    def _kept_outside(self, blobs: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
        return blobs

    def _sign(self, run: str, seq: int, head: str) -> Seal:
        return write_seal(self.home, run, seq, head)

    def _signed(self, run: str, most: int) -> Seal | None:
        return newest_seal(self.home, run, most)

    def news(self, run_id: str) -> bool:
        """See the protocol."""
        return time.monotonic() - self._inbox_read.get(run_id, -NEWS_S) >= NEWS_S

    # --- closing ---

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

    def _read(self, sql: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        try:
            with self._reader_lock:
                return self._reader.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise explain(error, str(self.path)) from error
