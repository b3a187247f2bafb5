"""What somebody should take up in a SQLite journal."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainspring.store.owner import Owner

# Each branch is found by an index of its own, so that sleepers cost nothing. What was interrupted, and whom somebody
# has spoken to, comes before what is only due: work that was begun is finished before other work begins, and a creator
# that its sub-agent has woken may end the rest of them.
_READY = """
SELECT id, agent, queue, priority,
    CASE WHEN status = 'running' OR (status <> 'done' AND coalesce(wake_at, :now + 1) > :now)
    THEN 0 ELSE coalesce(wake_at, updated_at) END AS since,
    owner FROM (
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


class SQLiteReady:
    """A part of `SQLiteStore`."""

    _owner: Owner
    _active: set[str]
    _active_lock: threading.Lock

    if TYPE_CHECKING:

        def _read(self, sql: str, values: Any) -> list[tuple[Any, ...]]: ...

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

    def stamp(self) -> int | None:
        """See the protocol. SQLite counts for each connection what all others have committed."""
        found = self._read("PRAGMA data_version", ())
        return int(found[0][0])
