"""The grants of a run as its journal has them: given by whom, used how often, still good or not."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from mainspring.errors import DeclarationError
from mainspring.guard.grants import Grant
from mainspring.store import Store


@dataclass(frozen=True, slots=True)
class Held:
    """A grant that a run holds. `seq` is the event that gave it; `waiting` that it is still in the run's inbox."""

    grant: Grant
    seq: int
    used: int
    revoked: bool
    waiting: bool = False

    @property
    def until(self) -> float | None:
        """Unix time at which it ends, or None."""
        return self.grant.expires_at

    @property
    def expired(self) -> bool:
        """True when its time is over."""
        return self.until is not None and time.time() >= self.until

    def encode(self) -> dict[str, Any]:
        """As JSON-ready dict."""
        return self.grant.encode() | {
            "id": self.grant.id,
            "shown": self.grant.shown(),
            "used": self.used,
            "revoked": self.revoked,
            "expired": self.expired,
            "waiting": self.waiting,
            "seq": self.seq,
        }


_KINDS = ("run.started", "grants.compiled", "grant.given", "effect.intended", "effect.done")


def grants_of(store: Store, run_id: str) -> list[Held]:
    """Every grant of a run, oldest first; raises RunNotFoundError, or StoreError for one that cannot be read."""
    gone = store.revoked()
    used: dict[str, int] = {}
    given: dict[str, tuple[Grant, int, bool]] = {}
    for event in store.events_of(run_id, _KINDS):
        p = event.payload
        if event.kind == "effect.intended":
            if p.get("grant"):
                used[p["grant"]] = used.get(p["grant"], 0) + 1
            continue
        found = (p.get("guard") or {}).get("grants") if event.kind == "run.started" else p.get("grants")
        for one in [p["grant"]] if event.kind == "grant.given" else found or []:
            grant = Grant.decode(one)
            given.setdefault(grant.id, (grant, event.seq, False))
    for item in store.inbox(run_id):
        if item.kind == "grant.given":
            try:
                grant = Grant.decode(item.payload["grant"])
            except (DeclarationError, KeyError):
                continue  # the run will not take it either
            given.setdefault(grant.id, (grant, 0, True))
    return [Held(g, seq, used.get(id, 0), id in gone, waiting) for id, (g, seq, waiting) in given.items()]
