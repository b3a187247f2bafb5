"""What somebody should take up in a SQLite journal, and the small documents that stand beside its runs."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mainspring.errors import StoreError
from mainspring.store.chain import decode_payload
from mainspring.store.protocol import Kept, RunRow
from mainspring.store.statements import RUN, inbox_body

if TYPE_CHECKING:
    from mainspring.store.owner import Owner
    from mainspring.store.writer import Writer

_KEPT = "SELECT kind, name, version, body, due_at, changed_at FROM kept "

# Each branch is found by an index of its own, so that sleepers cost nothing.
_READY = """
SELECT id, agent, queue, priority, coalesce(wake_at, updated_at) AS since, owner FROM (
    SELECT * FROM runs WHERE wake_at IS NOT NULL AND wake_at <= :now AND status = 'waiting'
    UNION
    SELECT * FROM runs WHERE status = 'running'
    UNION
    SELECT * FROM runs WHERE id IN (SELECT DISTINCT run_id FROM inbox WHERE kind <> 'pause')
        AND status IN ('waiting', 'in_doubt')
    UNION
    SELECT * FROM runs WHERE id IN (SELECT DISTINCT run_id FROM inbox WHERE kind = 'message')
        AND status IN ('done', 'cancelled')
) ORDER BY priority DESC, since, id
"""


class SQLiteQueues:
    """A part of `SQLiteStore`."""

    _writer: Writer
    _owner: Owner
    _active: set[str]
    _active_lock: threading.Lock

    if TYPE_CHECKING:

        def _read(self, sql: str, values: Any) -> list[tuple[Any, ...]]: ...

        def _run_row(self, row: tuple[Any, ...]) -> RunRow: ...

    def children(self, run_id: str) -> list[RunRow]:
        """See the protocol."""
        return [self._run_row(r) for r in self._read(RUN + "WHERE parent=? ORDER BY created_at, number", (run_id,))]

    def due(self, now: float) -> list[str]:
        """See the protocol."""
        found = self._read(
            "SELECT id FROM runs WHERE wake_at IS NOT NULL AND wake_at<=? AND status='waiting' ORDER BY wake_at",
            (now,),
        )
        return [r[0] for r in found]

    def ready(
        self, now: float, *, agents: Sequence[str] | None = None, queues: Sequence[str] | None = None, limit: int = 100
    ) -> list[str]:
        """See the protocol."""
        found: list[str] = []
        dead: dict[str, bool] = {}
        for id, agent, queue, _, _, owner in self._read(_READY, {"now": now}):
            if len(found) >= limit:
                break
            if (agents is not None and agent not in agents) or (queues is not None and queue not in queues):
                continue
            if owner == self._owner.name:
                with self._active_lock:
                    if id in self._active:
                        continue
            elif owner is not None and not dead.setdefault(owner, self._owner.is_dead(owner)):
                continue
            found.append(id)
        return found

    def next_wake(self) -> float | None:
        """See the protocol."""
        found = self._read("SELECT min(wake_at) FROM runs WHERE wake_at IS NOT NULL AND status='waiting'", ())
        return None if not found or found[0][0] is None else float(found[0][0])

    # --- small documents ---

    def keep(self, kind: str, name: str, body: Mapping[str, Any], *, version: int, due_at: float | None = None) -> Kept:
        """See the protocol."""
        text = inbox_body(body)
        now = time.time()

        def job(connection: sqlite3.Connection) -> None:
            if version == 0:
                made = connection.execute(
                    "INSERT OR IGNORE INTO kept (kind, name, version, body, due_at, changed_at) VALUES (?,?,1,?,?,?)",
                    (kind, name, text, due_at, now),
                )
            else:
                made = connection.execute(
                    "UPDATE kept SET version=version+1, body=?, due_at=?, changed_at=? "
                    "WHERE kind=? AND name=? AND version=?",
                    (text, due_at, now, kind, name, version),
                )
            if made.rowcount != 1:
                raise StoreError(changed_meanwhile(kind, name, version))

        self._writer.submit(job).result()
        return Kept(kind, name, version + 1, dict(body), due_at, now)

    def kept(self, kind: str, name: str) -> Kept | None:
        """See the protocol."""
        found = self._read(_KEPT + "WHERE kind=? AND name=?", (kind, name))
        return _kept(found[0]) if found else None

    def all_kept(self, kind: str, *, prefix: str = "", due: float | None = None, limit: int = 1000) -> list[Kept]:
        """See the protocol."""
        if due is None:
            sql = _KEPT + "WHERE kind=? AND substr(name, 1, ?)=? ORDER BY name LIMIT ?"
            return [_kept(r) for r in self._read(sql, (kind, len(prefix), prefix, limit))]
        sql = _KEPT + "WHERE kind=? AND due_at<=? AND substr(name, 1, ?)=? ORDER BY due_at, name LIMIT ?"
        return [_kept(r) for r in self._read(sql, (kind, due, len(prefix), prefix, limit))]

    def drop(self, kind: str, name: str, *, version: int) -> None:
        """See the protocol."""

        def job(connection: sqlite3.Connection) -> None:
            gone = connection.execute("DELETE FROM kept WHERE kind=? AND name=? AND version=?", (kind, name, version))
            if gone.rowcount != 1:
                raise StoreError(changed_meanwhile(kind, name, version))

        self._writer.submit(job).result()


def changed_meanwhile(kind: str, name: str, version: int) -> str:
    """The words for a document that is not what its changer saw."""
    if version == 0:
        return f"{kind} {name!r} exists already; choose another name, or change that one"
    return f"{kind} {name!r} was changed or removed since version {version} was read; look again"


def _kept(row: tuple[Any, ...]) -> Kept:
    kind, name, version, body, due_at, changed_at = row
    return Kept(kind, name, version, decode_payload(body, f"{kind} {name!r}")["value"], due_at, changed_at)
