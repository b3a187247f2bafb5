"""Back-pressure: a queue that nobody empties must not grow for ever."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from mainspring.config import FleetSettings
from mainspring.errors import StoreError
from mainspring.runtime.settings import settings_of
from mainspring.store import Store

#: Seconds for which a count of what waits is believed, while it is far from the most that may.
_FRESH_S = 1.0


@dataclass(slots=True)
class _Count:
    waiting: int
    at: float


_counts: dict[tuple[Path, str], _Count] = {}


def check_room(store: Store, queue: str) -> None:
    """Refuse one more run for a queue that holds as many as ``[fleet] queued`` allows.

    What waits is counted at most once a second while there is room, so that a thousand runs are put in quickly.

    Raises:
        StoreError: the queue is full.
        DeclarationError: the configuration cannot be read.
    """
    config = settings_of(store.home).config
    most = (FleetSettings() if config is None else config.fleet).queued
    if most is None:
        return
    key, now = (store.home, queue), time.monotonic()
    count = _counts.get(key)
    if count is None or now - count.at > _FRESH_S or count.waiting >= most:
        count = _counts[key] = _Count(len(store.ready(time.time(), queues=[queue], limit=most)), now)
    if count.waiting >= most:
        name = f"queue {queue!r}" if queue else "the queue"
        raise StoreError(
            f"{name} holds {count.waiting:,} runs that wait for a worker, and [fleet] queued = {most} allows no more; "
            "start more workers (mainspring worker), or try again when some are done"
        )
    count.waiting += 1
