"""What somebody should take up in a PostgreSQL journal, when many workers ask at once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainspring.store.postgres_owner import Owner

# Each branch is found by an index of its own, so that sleepers cost nothing. Nothing is locked or written. What was
# interrupted, and whom somebody has spoken to, comes before what is only due: work that was begun is finished before
# other work begins, and a creator that its sub-agent has woken may end the rest of them. Of runs that are equally
# urgent each living owner is shown its own share first (by a hash of the run's id), then the others': workers that ask
# at the same moment begin at different runs, and what its own share's owner leaves others take up.
_READY = """
WITH living AS MATERIALIZED (SELECT name FROM owners WHERE alive_until > clock_timestamp()),
share AS (SELECT greatest(count(*), 1) AS n, count(*) FILTER (WHERE name < %(me)s) AS mine FROM living),
picked AS (
    SELECT id, agent, queue, priority, status, wake_at, updated_at, owner FROM runs
    WHERE wake_at <= %(now)s AND status = 'waiting'
    UNION
    SELECT id, agent, queue, priority, status, wake_at, updated_at, owner FROM runs WHERE status = 'running'
    UNION
    SELECT id, agent, queue, priority, status, wake_at, updated_at, owner FROM runs
    WHERE id IN (SELECT run_id FROM inbox WHERE kind <> 'pause') AND status IN ('waiting', 'in_doubt')
    UNION
    SELECT id, agent, queue, priority, status, wake_at, updated_at, owner FROM runs
    WHERE id IN (SELECT run_id FROM inbox WHERE kind = 'message') AND status IN ('done', 'cancelled')
)
SELECT p.id FROM picked p, share s
WHERE (%(agents)s::text[] IS NULL OR p.agent = ANY(%(agents)s::text[]))
AND (%(queues)s::text[] IS NULL OR p.queue = ANY(%(queues)s::text[]))
AND (p.owner IS NULL OR p.owner = %(me)s OR NOT EXISTS (SELECT 1 FROM living l WHERE l.name = p.owner))
AND NOT (p.id = ANY(%(active)s::text[]))
ORDER BY p.priority DESC, (abs(hashtext(p.id)::bigint) %% s.n <> s.mine),
    CASE WHEN p.status = 'running' OR (p.status <> 'done' AND coalesce(p.wake_at, %(now)s + 1) > %(now)s)
    THEN 0 ELSE coalesce(p.wake_at, p.updated_at) END, p.id
LIMIT %(limit)s
"""


class PostgresReady:
    """A part of `PostgresStore`."""

    _owner: Owner
    _active: set[str]
    _active_lock: threading.Lock

    if TYPE_CHECKING:

        def _ask(self, sql: str, values: Any) -> list[tuple[Any, ...]]: ...

    def ready(
        self, now: float, *, agents: Sequence[str] | None = None, queues: Sequence[str] | None = None, limit: int = 100
    ) -> list[str]:
        """See the protocol. Of equally urgent runs those come first that fall to this process, see above."""
        with self._active_lock:
            active = list(self._active)
        values = {
            "me": self._owner.name,
            "now": now,
            "agents": None if agents is None else list(agents),
            "queues": None if queues is None else list(queues),
            "active": active,
            "limit": limit,
        }
        return [row[0] for row in self._ask(_READY, values)]

    def stamp(self) -> int | None:
        """See the protocol. A look at a server is a question to it either way."""
        return None
