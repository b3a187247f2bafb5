"""One place that writes: jobs that arrive together are committed together, with one flush.

A thread takes the jobs of many runs from a queue and commits them in groups. A job that is known to be alone is
committed by whoever brings it: handing it to the thread and back would cost more than the commit itself.
"""

from __future__ import annotations

import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, TypeAlias, TypeVar

from mainspring import points
from mainspring.errors import MainspringError, StoreError

_Item = TypeVar("_Item")
Job: TypeAlias = Callable[[sqlite3.Connection], Any]
#: A job's future with what it returned, or why it was refused.
Ended: TypeAlias = tuple[Future[Any], Any, MainspringError | None]

_GROUP = 256
#: Failures of one job that say nothing about the file: a row that exists, a value that SQLite cannot take.
_OF_THE_JOB = (
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
    ValueError,
)


class Writer:
    """Runs jobs against one connection. A job that raises is rolled back alone; the others stand.

    After a failed commit the state of the file is unknown to this connection, so the writer refuses all
    further work; opening the journal anew reads what really is on disk.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], name: str) -> None:
        self._queue: queue.SimpleQueue[tuple[Job, Future[Any]] | None] = queue.SimpleQueue()
        self._connect = connect
        self._name = name
        self._broken: StoreError | None = None
        self._pid = os.getpid()
        self._closed = False
        self._closing = threading.Lock()  # no job may be queued behind the mark that ends the thread
        self._waiting = 0  # jobs that were queued and are not committed yet
        self._connection: sqlite3.Connection | None = None
        self._ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._main, name="mainspring-writer", daemon=True)
        self._thread.start()
        self._ready.result()

    @property
    def broken(self) -> StoreError | None:
        """Why nothing more is written, or None."""
        if self._broken is None and self._pid != os.getpid():
            self._broken = StoreError(
                f"the journal {self._name} was opened by the parent of this process; open it anew after a fork"
            )
        return self._broken

    def submit(self, job: Job, *, alone: bool = False) -> Future[Any]:
        """Queue a job; the future is done when its effect is on disk.

        With `alone` the caller expects no others: unless some wait after all, the job is committed at once, in
        the caller's thread, which waits for the disk.
        """
        future: Future[Any] = Future()
        # From here on nobody can cancel it: a task that stops waiting must not take the answer's place away.
        future.set_running_or_notify_cancel()
        if self.broken is not None:  # in a forked child there is no thread that would take the job
            future.set_exception(self.broken)
            return future
        with self._closing:
            if self._closed:
                ended: list[Ended] = [(future, None, StoreError(f"the journal {self._name} is closed"))]
            elif alone and self._waiting == 0 and self._connection is not None:
                # With nothing queued nobody else writes, and jobs keep the order in which they were brought.
                ended = self._commit(self._connection, [(job, future)])
            else:
                self._waiting += 1
                self._queue.put((job, future))
                return future
        tell(ended)
        return future

    def close(self) -> None:
        """Finish what is queued and stop."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=30)

    def _main(self) -> None:
        try:
            connection = self._connection = self._connect()
        except BaseException as error:
            self._ready.set_exception(error)
            return
        self._ready.set_result(None)
        stop = False
        while not stop:
            batch, stop = next_group(self._queue)
            if batch:
                ended = self._commit(connection, batch)
                with self._closing:
                    self._waiting -= len(batch)
                tell(ended)
        self._connection = None
        connection.close()

    def _commit(self, connection: sqlite3.Connection, batch: list[tuple[Job, Future[Any]]]) -> list[Ended]:
        """Commit jobs together; how each ended is told by the caller, when it holds no lock."""
        if self._broken is not None:
            return [(future, None, self._broken) for _, future in batch]
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            # Nothing was begun (the file is locked, say): these jobs fail, the writer is as good as before.
            failure = explain(error, self._name)
            return [(future, None, failure) for _, future in batch]
        results: list[Ended] = []
        try:
            for job, future in batch:
                # A savepoint costs a little; a lone job does not need it, because a failure rolls everything back.
                alone = len(batch) == 1
                if not alone:
                    connection.execute("SAVEPOINT job")
                try:
                    value = job(connection)
                except (MainspringError, *_OF_THE_JOB) as error:
                    connection.execute("ROLLBACK" if alone else "ROLLBACK TO job")
                    results.append((future, None, self._refusal(error)))
                    if alone:
                        break
                else:
                    results.append((future, value, None))
                if not alone:
                    connection.execute("RELEASE job")
            if connection.in_transaction:
                points.reach("store.before_commit")
                connection.execute("COMMIT")
                points.reach("store.committed")
        except BaseException as error:
            failure = self._fail(connection, error)
            return [(future, None, failure) for _, future in batch]
        return results

    def _refusal(self, error: Exception) -> MainspringError:
        if isinstance(error, MainspringError):
            return error
        refusal = StoreError(f"the journal {self._name} does not take this: {error}; nothing of it was written")
        refusal.__cause__ = error
        return refusal

    def _fail(self, connection: sqlite3.Connection, error: BaseException) -> StoreError:
        """Roll back and refuse all further work; returns why."""
        if isinstance(error, sqlite3.Error):
            failure = explain(error, self._name)
        else:
            failure = StoreError(f"writing to the journal {self._name} failed: {error!r}")
            failure.__cause__ = error
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error as second:
            failure.add_note(f"and rolling back failed: {second}")
        self._broken = failure
        return failure


def next_group(waiting: queue.SimpleQueue[_Item | None]) -> tuple[list[_Item], bool]:
    """Wait for an item and take along what else is there, up to a group; True when None, the mark of the end, came."""
    group: list[_Item] = []
    item = waiting.get()
    while item is not None:
        group.append(item)
        if len(group) >= _GROUP:
            return group, False
        try:
            item = waiting.get_nowait()
        except queue.Empty:
            return group, False
    return group, True


def tell(ended: Iterable[Ended]) -> None:
    """Answer the futures of jobs that have ended."""
    for future, value, refused in ended:
        if refused is not None:
            future.set_exception(refused)
        else:
            future.set_result(value)


def explain(error: sqlite3.Error, name: str) -> StoreError:
    """A database error in words that say what to do."""
    text = str(error)
    code = getattr(error, "sqlite_errorname", "") or ""
    if code.startswith("SQLITE_FULL") or "disk is full" in text:
        advice = "the disk is full; free some space and resume the run"
    elif code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        advice = "the folder or the file cannot be written; check its permissions and whether it is mounted read-only"
    elif code.startswith("SQLITE_IOERR"):
        advice = "the disk reported an error; check it, then resume the run: what was acknowledged is in the journal"
    elif code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        advice = "the file is damaged or no journal; restore it from a backup or an export, or move it away"
    elif code.startswith("SQLITE_BUSY"):
        advice = "another process kept it locked for too long; try again"
    else:
        advice = "see the message above"
    result = StoreError(f"the journal {name} cannot be used: {text} ({code or type(error).__name__}); {advice}")
    result.__cause__ = error
    return result
