"""What a day has cost: of one schedule, and of all schedules of a journal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from mainspring.agent import Agent, Limits
from mainspring.errors import StoreError
from mainspring.runtime.settings import settings_of
from mainspring.schedules.schedule import Schedule
from mainspring.store import Store

KIND = "schedules.day"
_FIELDS = ("usd", "tokens", "firings")


class Day:
    """The spending of today (UTC), begun anew at midnight. Runs that still work count when they have ended."""

    def __init__(self, store: Store, known: dict[str, Any], now: float) -> None:
        self._store = store
        self.date = f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d}"
        self._spent = {name: (known.get(name, 0) if known.get("date") == self.date else 0) for name in _FIELDS}

    def encode(self) -> dict[str, Any]:
        """As JSON-ready dict."""
        return {"date": self.date, **self._spent}

    def spend(self, usd: float, tokens: int) -> None:
        """A run has ended that cost so much."""
        self._add({"usd": usd, "tokens": tokens})

    def fired(self) -> None:
        """A run was begun."""
        self._add({"firings": 1})

    def refusal(self, schedule: Schedule, agent: Agent) -> str | None:
        """Why no more may be begun today, or None."""
        own = dict(schedule.caps or {})
        for name, most in own.items():
            if self._spent[name] + _wanted(schedule, agent, name) > most:
                so_far = f"{self._spent[name]:g} so far on {self.date}"
                return f"its cap of {most:g} {name} a day is reached ({so_far})"
        config = settings_of(self._store.home).config
        if config is None:
            return None
        whole: dict[str, float | None] = {
            "usd": config.schedules.usd_per_day,
            "firings": config.schedules.firings_per_day,
        }
        if all(limit is None for limit in whole.values()):
            return None
        kept = self._store.kept(KIND, self.date)
        spent = {} if kept is None else kept.body
        for name, limit in whole.items():
            if limit is not None and spent.get(name, 0) + _wanted(schedule, agent, name) > limit:
                so_far = f"{spent.get(name, 0):g} so far on {self.date}"
                return f"[schedules] {name}_per_day = {limit:g} is reached ({so_far})"
        return None

    def _add(self, more: dict[str, float]) -> None:
        for name, value in more.items():
            self._spent[name] += value
        config = settings_of(self._store.home).config
        if config is None or (config.schedules.usd_per_day is None and config.schedules.firings_per_day is None):
            return
        for _ in range(50):  # other processes count as well
            kept = self._store.kept(KIND, self.date)
            body: dict[str, float] = dict.fromkeys(_FIELDS, 0.0) if kept is None else dict(kept.body)
            for name, value in more.items():
                body[name] = body.get(name, 0) + value
            try:
                self._store.keep(KIND, self.date, body, version=0 if kept is None else kept.version)
                return
            except StoreError:
                continue
        raise StoreError("what schedules have spent today cannot be counted; try again")


def _wanted(schedule: Schedule, agent: Agent, name: str) -> float:
    """What one more firing may cost at most, as far as that is known; something, so that a cap is never passed."""
    if name == "firings":
        return 1
    allowed = agent.limits if schedule.limits is None else Limits.of(schedule.limits)
    return float(getattr(allowed, name) or 0.0) or 1e-9
