"""Recall over finished runs of a home: their tasks, notes and outcomes, each with the label that it had in its run.

The index is made of what the journal holds, a run at a time, and may be deleted at any moment: it is built again. So it
works the same over every store. What a person has had forgotten stands in the store itself and does not come back.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring import lexical
from mainspring.errors import JournalVersionError, MainspringError, RunNotFoundError, StoreError
from mainspring.label import Label, fair
from mainspring.memory.left import MAX_CHARS, Noted, What, texts
from mainspring.memory.meaning import RUNS_FOLDER, Meaning, keep
from mainspring.memory.ranking import fused
from mainspring.memory.records import UNREADABLE
from mainspring.memory.schema import explain
from mainspring.store import RunRow, Store
from mainspring.store.tables import write_ahead

if TYPE_CHECKING:
    from mainspring.library.embed.protocol import Embedder

#: Kind of the store's documents that keep what was forgotten; their name is the run's id.
FORGOTTEN = "recall.forgotten"
#: Version of the tables; an index of another version is built again.
FORMAT = 2
#: Runs looked at, newest first, and indexed anew, at most, in one search; `update` without limits does all of them.
LOOKED_AT = 5_000
AT_ONCE = 200
_ENDED = ("done", "failed", "cancelled")
_KINDS = ("run.started", "message.added", "effect.done", "run.ended")
_IMPORTED = Label(frozenset({"imported"}))

_TABLES = """
CREATE TABLE runs (id TEXT PRIMARY KEY, head TEXT NOT NULL, agent TEXT NOT NULL, person TEXT NOT NULL,
    status TEXT NOT NULL, ended_at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE entries (number INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL, seq INTEGER NOT NULL,
    what TEXT NOT NULL, text TEXT NOT NULL, label TEXT NOT NULL, outsider INTEGER NOT NULL);
CREATE INDEX entries_by_run ON entries (run);
CREATE VIRTUAL TABLE terms USING fts5 (words, tokenize = 'ascii');
"""


_FROM = "FROM entries JOIN runs ON runs.id = entries.run"


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that a finished run left behind.

    Args:
        run, seq: where the journal has it.
        agent, person: whose run it was; "" where nobody in particular was named.
        what: its task, what a person said, a decision, work left open, or how it ended.
        status: how the run ended.
        ended_at: Unix time in seconds.
        label: who may have written the text, as the journal says.
    """

    run: str
    seq: int
    agent: str
    person: str
    what: What
    text: str
    status: str
    ended_at: float
    label: Label


class RunIndex:
    """The index of one home's finished runs. Safe to use from several threads and processes.

    Args:
        store: whose runs.
        path: the file; by default in the store's home.
        embedder: makes entries findable by meaning, with vectors in a folder beside the file; None for words only.

    Raises:
        StoreError: it cannot be opened.
    """

    def __init__(self, store: Store, path: Path | None = None, embedder: Embedder | None = None) -> None:
        self.store = store
        self.path = path or store.home / "runs.sqlite"
        self._vectors = self.path.with_name(RUNS_FOLDER)
        self._lock = threading.RLock()
        self._db = self._open()
        self._meaning = None if embedder is None else Meaning(self._vectors, embedder)

    def __enter__(self) -> RunIndex:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and the vectors."""
        with self._lock:
            self._db.close()
            if self._meaning is not None:
                self._meaning.close()

    def update(self, *, look_at: int | None = None, at_once: int | None = None) -> int:
        """Take in what has ended since, and return how many runs that were; only ended runs are in the index.

        Args:
            look_at: at most so many runs, newest first; None for all.
            at_once: read at most so many journals; None for all.

        Raises:
            StoreError: the index cannot be written.
        """
        done = 0
        with self._lock:
            known = dict(self._read("SELECT id, head FROM runs"))
            gone = {kept.name for kept in self.store.all_kept(FORGOTTEN, limit=1_000_000)}
            forgotten = gone & set(known)  # by way of another machine
            for id_ in forgotten:
                self._remove(id_)
            if forgotten:
                self._off_the_disk()
            for row in self.store.rows(limit=look_at or 10_000_000):
                if row.id in gone:
                    continue
                if row.status not in _ENDED:
                    if row.id in known:
                        self._remove(row.id)  # it was resumed: what it ended with does not hold
                    continue
                if known.get(row.id) == _head(row):
                    continue
                if at_once is not None and done >= at_once:
                    break
                self._take(row)
                done += 1
        return done

    def rebuild(self) -> int:
        """Make the index anew from the journals, and return how many runs it holds."""
        with self._lock:
            with self._transaction():
                for statement in ("DELETE FROM runs", "DELETE FROM entries", "DELETE FROM terms"):
                    self._db.execute(statement)
            return self.update()

    def search(
        self,
        query: str,
        limit: int = 5,
        *,
        people: Sequence[str] | None = None,
        agents: Sequence[str] | None = None,
        without: str = "",
    ) -> list[Found]:
        """What past runs left behind that fits `query` by its words, and by meaning where there is an encoder, best
        first; without words, the newest.

        Half of the places are kept for what no outsider wrote, so that nobody can crowd it out.

        Args:
            people, agents: only of runs for these people and of these agents; None for all.
            without: a run that is left out.

        Raises:
            StoreError, ModelError: the index or the encoder failed.
        """
        where, values = _within(people, agents)
        clause, bound = f"{where} AND runs.id != ? AND outsider = ?", [*values, without]
        sides = [self._side(query, clause, [*bound, outsider], limit) for outsider in (0, 1)]
        clean, others = ([f for f in side if f.label != UNREADABLE] for side in sides)
        clean, others = fair(clean, others, limit)
        return clean + others

    def _side(self, query: str, clause: str, bound: list[Any], limit: int) -> list[Found]:
        """The best of those entries for which a condition of ours holds."""
        wanted = lexical.match(query)
        newest = "runs.ended_at DESC, entries.number DESC"
        if not wanted:
            statement = f"SELECT number {_FROM} WHERE {clause} ORDER BY {newest} LIMIT ?"
            by_words = self._read(statement, (*bound, limit))
        else:
            statement = (  # values are bound; the rest is our own
                f"SELECT number {_FROM} JOIN terms ON terms.rowid = entries.number "
                f"WHERE terms MATCH ? AND {clause} ORDER BY bm25(terms), {newest} LIMIT ?"
            )
            by_words = self._read(statement, (wanted, *bound, 4 * limit))
        lists = [[number for (number,) in by_words]]
        if wanted and self._meaning is not None:
            seen = self._read(f"SELECT number {_FROM} WHERE {clause}", bound)
            lists.append(self._meaning.rank(query, [number for (number,) in seen], self._texts, 4 * limit))
        order = fused(lists, {})[:limit] if len(lists) > 1 else lists[0][:limit]
        found = {row[0]: _found(row[1:]) for row in self._entries(order)}
        return [found[number] for number in order if number in found]

    def _entries(self, numbers: Sequence[int]) -> list[tuple[Any, ...]]:
        columns = "number, run, seq, agent, person, what, text, status, ended_at, label"
        statement = f"SELECT {columns} {_FROM} WHERE number IN (SELECT value FROM json_each(?))"  # noqa: S608 - our names
        return self._read(statement, (json.dumps(list(numbers)),))

    def _texts(self, numbers: Sequence[int]) -> dict[int, str]:
        return {row[0]: row[6] for row in self._entries(numbers)}

    def mixed(self, people: Sequence[str] | None = None, agents: Sequence[str] | None = None) -> bool:
        """True when an outsider wrote something in these runs, and so may decide what a search leaves out."""
        where, values = _within(people, agents)
        statement = f"SELECT 1 {_FROM} WHERE {where} AND outsider = 1 LIMIT 1"
        return bool(self._read(statement, values))

    def forget(self, run_id: str, *, by: str, why: str) -> None:
        """Never recall this run again. Its journal stays; who decided it and why is kept in the store.

        Raises:
            RunNotFoundError: there is no such run.
            StoreError: `by` or `why` is missing, or it was forgotten before.
        """
        if not by.strip() or not why.strip():
            raise StoreError(f"say who has run {run_id} forgotten, and why: by and why must not be empty")
        self.store.row(run_id)
        with self._lock:
            self.store.keep(FORGOTTEN, run_id, {"by": by, "why": why, "at": time.time()}, version=0)
            self._remove(run_id)
            self._off_the_disk()

    def _off_the_disk(self) -> None:
        """What was removed leaves the vectors as well, also those of what a run said before it was resumed."""
        numbers = [number for (number,) in self._read("SELECT number FROM entries")]
        if self._meaning is not None:
            self._meaning.keep(numbers)
        else:
            keep(self._vectors, numbers)
        self._read("PRAGMA wal_checkpoint(TRUNCATE)")  # the old pages leave the log as well

    # --- the file ---

    def _take(self, row: RunRow) -> None:
        """Read one run's journal; one that this version cannot read is passed over until it can."""
        person, agent = "", row.agent
        entries: list[tuple[int, What, str, Label]] = []
        noted = Noted()
        try:
            imported = self.store.imported(row.id) is not None
            for event in self.store.events_of(row.id, _KINDS):
                if event.kind == "run.started":
                    whom = (event.payload.get("guard") or {}).get("principals") or []
                    person = whom[0] if len(whom) > 1 else ""
                    agent = whom[-1].removeprefix("agent:") if whom else agent
                noted.take(event)
                for what, text in texts(event):
                    label = event.label.join(_IMPORTED) if imported else event.label
                    entries.append((event.seq, what, text[:MAX_CHARS], label))
        except (JournalVersionError, RunNotFoundError):
            return
        entries = [e for e in entries if e[1] != "todo" or e[2] in noted.open]
        with self._transaction() as db:
            self._erase(row.id)
            values = (row.id, _head(row), agent, person, row.status, row.updated_at)
            db.execute("INSERT INTO runs VALUES (?,?,?,?,?,?)", values)
            for seq, what, text, label in entries:
                number = db.execute(
                    "INSERT INTO entries (run, seq, what, text, label, outsider) VALUES (?,?,?,?,?,?)",
                    (row.id, seq, what, text, label.encode(), not label.trusted),
                ).lastrowid
                db.execute("INSERT INTO terms (rowid, words) VALUES (?,?)", (number, " ".join(lexical.words(text))))

    def _remove(self, run_id: str) -> None:
        with self._transaction():
            self._erase(run_id)

    def _erase(self, run_id: str) -> None:
        self._db.execute("DELETE FROM terms WHERE rowid IN (SELECT number FROM entries WHERE run=?)", (run_id,))
        self._db.execute("DELETE FROM entries WHERE run=?", (run_id,))
        if self._db.execute("DELETE FROM runs WHERE id=?", (run_id,)).rowcount:
            self._db.execute("INSERT INTO terms (terms) VALUES ('optimize')")  # the words leave the index itself

    def _transaction(self) -> _Transaction:
        return _Transaction(self)

    def _read(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        try:
            with self._lock:
                return self._db.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise explain(error, self.path) from error

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connected()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise explain(error, self.path) from error
            for name in ("", "-wal", "-shm"):  # damaged, and nothing but a copy: it is built again
                self.path.with_name(self.path.name + name).unlink(missing_ok=True)
            return self._connected()

    def _connected(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA busy_timeout=30000")
        write_ahead(db)
        db.execute("PRAGMA synchronous=NORMAL")  # a copy of what the journal holds
        db.execute("PRAGMA secure_delete=ON")  # what was forgotten is overwritten
        if db.execute("PRAGMA user_version").fetchone()[0] != FORMAT:
            db.execute("BEGIN IMMEDIATE")
            if db.execute("PRAGMA user_version").fetchone()[0] != FORMAT:  # else another process was faster
                shutil.rmtree(self._vectors, ignore_errors=True)  # the numbers begin anew
                for table in ("terms", "entries", "runs"):
                    db.execute(f"DROP TABLE IF EXISTS {table}")
                for statement in _TABLES.split(";\n"):
                    if statement.strip():
                        db.execute(statement)
                db.execute(f"PRAGMA user_version={FORMAT}")
            db.execute("COMMIT")
        return db


class _Transaction:
    """All or nothing, under the index's lock; database errors come out as StoreError."""

    def __init__(self, index: RunIndex) -> None:
        self._index = index

    def __enter__(self) -> sqlite3.Connection:
        self._index._lock.acquire()
        try:
            self._index._db.execute("BEGIN IMMEDIATE")
        except BaseException as error:
            self._index._lock.release()
            if isinstance(error, sqlite3.Error):
                raise explain(error, self._index.path) from error
            raise
        return self._index._db

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        try:
            self._index._db.execute("COMMIT" if kind is None else "ROLLBACK")
        except sqlite3.Error as failed:
            raise explain(failed, self._index.path) from failed
        finally:
            self._index._lock.release()
        if isinstance(error, sqlite3.Error):
            raise explain(error, self._index.path) from error


def _head(row: RunRow) -> str:
    return f"{row.head_seq}:{row.status}"


def _within(people: Sequence[str] | None, agents: Sequence[str] | None) -> tuple[str, list[Any]]:
    clauses: list[str] = ["1"]
    values: list[Any] = []
    for column, names in (("person", people), ("agent", agents)):
        if names is not None:
            clauses.append(f"{column} IN ({','.join('?' * len(names))})")
            values += names
    return " AND ".join(clauses), values


def _found(row: tuple[Any, ...]) -> Found:
    try:
        label = Label.decode(row[8])
    except MainspringError:
        label = UNREADABLE
    return Found(row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], label)
