"""One thread that writes to PostgreSQL: what arrives together is committed together, with one flush.

A lost connection does not break it. Every transaction takes a *turn*, the next number in the writer's own row, and
leaves it there as the last one. After a lost connection the thread connects anew and takes a turn without leaving it:
then the row tells whether the transaction whose answer was lost is in the journal, and a transaction that is still on
its way finds its turn taken and writes nothing. Only then are its jobs answered, or written again.
"""

from __future__ import annotations

import contextlib
import os
import queue
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import psycopg

from mainspring import points
from mainspring.errors import MainspringError, StoreError
from mainspring.store.blobs import BlobStore
from mainspring.store.postgres_appends import Append, Create, Item, Job, NotOurTurn, landed, written
from mainspring.store.postgres_connection import Connect, Link, Shared, explain, hopeless, lost
from mainspring.store.writer import Ended, next_group, tell

#: How long a write waits for a server that is away before it fails, in seconds.
WAIT_S = 30.0
_WAIT_CLOSING_S = 3.0
_AGAIN = 8  # times that a transaction is repeated that the server gave up for another one's sake
_SPENT = ("40001", "40P01")  # serialization failure, deadlock


class Writer:
    """Runs jobs against one connection. A job that is refused takes no other with it."""

    def __init__(self, connect: Connect, described: str, blobs: BlobStore) -> None:
        self.name = secrets.token_hex(8)
        self._connect, self._described, self._blobs = connect, described, blobs
        self._queue: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._pid = os.getpid()
        self._closed = False
        self._closing = threading.Lock()  # no job may be queued behind the mark that ends the thread
        self._link: Link | None = None
        self._turn, self._last = 0, -1  # our next turn, and that of our last transaction in the journal
        self._results: list[Ended] = []
        self._open()
        self._thread = threading.Thread(target=self._main, name="mainspring-writer", daemon=True)
        self._thread.start()

    @property
    def broken(self) -> StoreError | None:
        """Why nothing more is written, or None. A server that is away does not break the writer."""
        if self._pid != os.getpid():
            return StoreError(
                f"the journal in {self._described} was opened by the parent of this process; open it anew after a fork"
            )
        return None

    def submit(self, job: Job | Append | Create) -> Future[Any]:
        """Queue a job; the future is done when its effect is on disk. A callable gets a `Shared` connection."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()  # from here on nobody can cancel it
        refused = self.broken
        if refused is None:
            with self._closing:
                if not self._closed:
                    self._queue.put((job, future))
                    return future
            refused = StoreError(f"the journal in {self._described} is closed")
        future.set_exception(refused)
        return future

    def close(self) -> None:
        """Finish what is queued and stop."""
        with self._closing:
            if self._closed or self._pid != os.getpid():
                return
            self._closed = True
            self._queue.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=WAIT_S + 10)

    def _main(self) -> None:
        stop = False
        while not stop:
            batch, stop = next_group(self._queue)
            if batch:
                tell(self._write(batch))
        if self._link is not None:
            with contextlib.suppress(psycopg.Error):
                self._link.execute("DELETE FROM writers WHERE name = %s", (self.name,))
            self._link.close()

    # --- turns ---

    def _open(self) -> Link:
        """A connection whose turns are ours; `_turn` says which is next."""
        link = self._connect()
        try:
            row = link.execute(
                "INSERT INTO writers (name, turn, last) VALUES (%s, 0, -1) ON CONFLICT (name) DO UPDATE "
                "SET turn = writers.turn + 1 RETURNING turn, last",
                (self.name,),
            ).fetchone()
            if not self._turn:
                link.execute("DELETE FROM writers WHERE opened_at < clock_timestamp() - interval '30 days'")
        except BaseException:
            link.close()
            raise
        assert row is not None
        self._turn, self._last, self._link = int(row[0]), int(row[1]), link
        return link

    def _drop(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    # --- groups ---

    def _write(self, batch: list[Item]) -> list[Ended]:
        """Commit a group, through lost connections, until it is known how each job ended."""
        ended, batch = self._put_blobs(batch)
        groups = _groups(batch)
        while groups:
            single = len(groups) == 1 and isinstance(groups[0][0][0], Append | Create)
            work = self._set if single else self._mixed
            chunk, groups = (groups, []) if not single else ([groups[0]], groups[1:])
            ended += self._insist([item for group in chunk for item in group], chunk, work)
        return ended

    def _insist(
        self, items: list[Item], groups: list[list[Item]], work: Callable[[Link, list[list[Item]]], list[Ended]]
    ) -> list[Ended]:
        deadline, pause, repeats = time.monotonic() + WAIT_S, 0.05, 0
        unsure: int | None = None  # the turn of the transaction whose answer was lost
        results: list[Ended] = []  # what it answered, if it got that far
        while True:
            try:
                link = self._link if self._link is not None and not self._link.closed else self._open()
                if unsure is not None:
                    # A row that is new (ours was swept away, or the database restored) knows of no turn.
                    if self._last >= unsure or (self._last < 0 and _any_landed(link, items)):
                        return results or _read_back(link, items)
                    unsure = None
                results = self._results = []
                return work(link, groups)
            except NotOurTurn:
                self._drop()
                repeats += 1
                failure = StoreError(f"the journal in {self._described}: another writer took this one's place")
            except psycopg.Error as error:
                failure = explain(error, self._described)
                if error.sqlstate in _SPENT:
                    repeats += 1
                    self._undo()
                elif lost(error) and not hopeless(error):
                    if unsure is None and self._link is not None:
                        unsure, results = self._turn, self._results
                    self._drop()
                    limit = time.monotonic() + _WAIT_CLOSING_S if self._closed else deadline
                    deadline = min(deadline, limit)
                    if time.monotonic() + pause > deadline:
                        if unsure is not None:
                            failure.add_note("Whether it was written is not known; resuming the run tells.")
                        return _failed(items, failure)
                    time.sleep(pause)
                    pause = min(pause * 2, 1.0)
                else:
                    self._undo()
                    return _failed(items, failure)
            except Exception as error:
                self._drop()
                failure = StoreError(f"writing to the journal in {self._described} failed: {error!r}")
                failure.__cause__ = error
                return _failed(items, failure)
            if repeats > _AGAIN:
                return _failed(items, failure)

    def _undo(self) -> None:
        """Make the connection usable after an error; a new one is made when that is not possible."""
        try:
            if self._link is not None and self._link.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                self._link.execute("ROLLBACK")
        except psycopg.Error:
            self._drop()

    def _set(self, link: Link, groups: list[list[Item]]) -> list[Ended]:
        """A group that is one statement; it is a transaction of its own."""
        [items] = groups
        points.reach("store.before_commit")
        try:
            ids = written(link, _sets(items), self.name, self._turn)
        except psycopg.Error as error:
            if not _of_the_job(error):
                raise
            if len(items) == 1:
                return [(items[0][1], None, self._refusal(error))]
            ended: list[Ended] = []
            for item in items:  # one by one: only the bad one is refused
                ended += self._insist([item], [[item]], self._set)
            return ended
        self._turn += 1
        points.reach("store.committed")
        return _answers(items, ids)

    def _mixed(self, link: Link, groups: list[list[Item]]) -> list[Ended]:
        """Groups of several kinds in one transaction, in order; each job that may fail has a savepoint."""
        link.execute("BEGIN")
        turn = self._turn
        taken = link.execute(
            "UPDATE writers SET turn = turn + 1, last = turn WHERE name = %s AND turn = %s", (self.name, turn)
        )
        if taken.rowcount != 1:
            raise NotOurTurn
        results = self._results
        shared, inner = Shared(link), turn + 1
        for items in groups:
            parts = [items] if isinstance(items[0][0], Append | Create) else [[item] for item in items]
            while parts:
                part = parts.pop(0)
                job, future = part[0]
                link.execute("SAVEPOINT job")
                try:
                    if isinstance(job, Append | Create):
                        ids = written(link, _sets(part), self.name, inner)
                        inner += 1
                        ended = _answers(part, ids)
                    else:
                        ended = [(future, job(shared), None)]
                except (MainspringError, psycopg.Error, ValueError, OverflowError) as error:
                    if isinstance(error, psycopg.Error) and not _of_the_job(error):
                        raise
                    link.execute("ROLLBACK TO SAVEPOINT job")
                    if len(part) > 1:
                        parts = [[item] for item in part] + parts
                    else:
                        results.append((future, None, self._refusal(error)))
                else:
                    results += ended
                link.execute("RELEASE SAVEPOINT job")
        points.reach("store.before_commit")
        link.execute("COMMIT")
        self._turn = inner
        points.reach("store.committed")
        return results

    def _refusal(self, error: Exception) -> MainspringError:
        if isinstance(error, MainspringError):
            return error
        text = " ".join(str(error).split())
        refusal = StoreError(f"the journal in {self._described} does not take this: {text}; nothing of it was written")
        refusal.__cause__ = error
        return refusal

    def _put_blobs(self, batch: list[Item]) -> tuple[list[Ended], list[Item]]:
        """Write blobs before the events that name them; a job whose blobs cannot be written is refused."""
        wanted: dict[str, bytes] = {}
        for job, _ in batch:
            if isinstance(job, Append | Create):
                wanted.update(job.blobs)
        if not wanted:
            return [], batch
        try:
            self._blobs.put(sorted(wanted.items()))
        except StoreError as error:
            hit = [(f, None, error) for job, f in batch if isinstance(job, Append | Create) and job.blobs]
            rest = [(job, f) for job, f in batch if not (isinstance(job, Append | Create) and job.blobs)]
            return list(hit), rest
        return [], batch


def _groups(batch: Sequence[Item]) -> list[list[Item]]:
    """Jobs in order, neighbours of a kind together where one statement can write them."""
    groups: list[list[Item]] = []
    last: dict[str, Append | Create] = {}
    for item in batch:
        job = item[0]
        before = groups[-1][-1][0] if groups else None
        fits = before is not None and _kind(before) == _kind(job)
        if isinstance(job, Append | Create):
            known = last.get(job.run_id) if fits else None
            if known is not None:
                fits = isinstance(job, Append) and isinstance(known, Append) and job.follows(known)
            if not fits:
                last = {}
            last[job.run_id] = job
        if fits:
            groups[-1].append(item)
        else:
            groups.append([item])
    return groups


def _sets(items: Sequence[Item]) -> list[Append | Create]:
    return [job for job, _ in items if isinstance(job, Append | Create)]


def _kind(job: object) -> type | None:
    return type(job) if isinstance(job, Append | Create) else None


def _answers(items: Sequence[Item], ids: set[str]) -> list[Ended]:
    found: list[Ended] = []
    for job, future in items:
        assert isinstance(job, Append | Create)
        found.append((future, None, None if job.run_id in ids else job.refused()))
    return found


def _failed(items: Sequence[Item], failure: MainspringError) -> list[Ended]:
    return [(future, None, failure) for _, future in items]


def _any_landed(link: Link, items: Sequence[Item]) -> bool:
    return any(isinstance(job, Append | Create) and job.rows and landed(link, job) for job, _ in items)


def _read_back(link: Link, items: Sequence[Item]) -> list[Ended]:
    """How the jobs of a committed statement ended whose answer was lost; what it did for a run, it did whole."""
    return _answers(items, {j.run_id for j, _ in items if isinstance(j, Append | Create) and landed(link, j)})


def _of_the_job(error: psycopg.Error) -> bool:
    """Failures that say nothing about the server: a row that exists, a value that it cannot take."""
    state = error.sqlstate or ""
    if state.startswith(("22", "23", "54", "P0")) or state == "42804":
        return True
    return isinstance(error, psycopg.DataError | psycopg.ProgrammingError) and not state
