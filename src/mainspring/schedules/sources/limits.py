"""How often something may happen: a token bucket."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Bucket:
    """Lets through `per_minute` in a minute, all at once or spread out. Safe from several threads.

    Args:
        clock: Unix time in seconds.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self._full = float(per_minute)
        self._left = self._full
        self._clock = clock
        self._at = clock()
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Use one up; False when there is none."""
        with self._lock:
            now = self._clock()
            # A clock that is put back must lock nobody out: it counts as no time passed.
            self._left = min(self._full, self._left + max(0.0, now - self._at) * self._full / 60)
            self._at = now
            if self._left < 1:
                return False
            self._left -= 1
            return True
