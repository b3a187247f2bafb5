"""Whose child is whose and when somebody must wake, and the small documents that stand beside the runs, in SQL."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mainspring.errors import StoreError
from mainspring.store.chain import decode_payload
from mainspring.store.protocol import Kept, RunRow
from mainspring.store.sql import Connection
from mainspring.store.statements import inbox_body

if TYPE_CHECKING:
    from mainspring.store.sql_people import Submits

_KEPT = "SELECT kind, name, version, body, due_at, changed_at FROM kept "


class QueuesInSQL:
    """A part of a store in SQL."""

    _writer: Submits
    _run_sql: str

    if TYPE_CHECKING:

        def _read(self, sql: str, values: Any) -> list[tuple[Any, ...]]: ...

        def _run_row(self, row: tuple[Any, ...]) -> RunRow: ...

    def children(self, run_id: str) -> list[RunRow]:
        """See the protocol."""
        return [
            self._run_row(r)
            for r in self._read(self._run_sql + "WHERE parent=? ORDER BY created_at, number", (run_id,))
        ]

    def due(self, now: float) -> list[str]:
        """See the protocol."""
        found = self._read(
            "SELECT id FROM runs WHERE wake_at IS NOT NULL AND wake_at<=? AND status='waiting' ORDER BY wake_at",
            (now,),
        )
        return [r[0] for r in found]

    def next_wake(self) -> float | None:
        """See the protocol."""
        found = self._read("SELECT min(wake_at) FROM runs WHERE wake_at IS NOT NULL AND status='waiting'", ())
        return None if not found or found[0][0] is None else float(found[0][0])

    # --- small documents ---

    def keep(self, kind: str, name: str, body: Mapping[str, Any], *, version: int, due_at: float | None = None) -> Kept:
        """See the protocol."""
        text = inbox_body(body)
        now = time.time()

        def job(connection: Connection) -> None:
            if version == 0:
                made = connection.execute(
                    "INSERT INTO kept (kind, name, version, body, due_at, changed_at) VALUES (?,?,1,?,?,?) "
                    "ON CONFLICT (kind, name) DO NOTHING",
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

        def job(connection: Connection) -> None:
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
