"""Deliveries that wait in a tray as items: a webhook's here, an agent's letters in `letters`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mainspring.errors import DeclarationError
from mainspring.label import Label
from mainspring.schedules.sources.deliveries import Tray
from mainspring.schedules.sources.port import Item, Polled
from mainspring.schedules.sources.webhook import DELIVERY
from mainspring.store import Store

#: Items of one look.
MOST = 100


def poll_tray(
    tray: Tray,
    state: Mapping[str, Any],
    now: float,
    every_s: float,
    item: Callable[[str, dict[str, Any]], Item | None],
) -> Polled:
    """What waits, as items. Those of the last look are taken out of the tray now that their firing is on disk: that is
    what having its state says.

    Args:
        item: makes an item of an id and a content, or None for one that is dropped.
    """
    handed = state.get("handed", [])
    tray.take(handed, now)
    tray.forget(now)
    waiting = [k.body["id"] for k in tray.waiting(MOST)]
    items = []
    for id in waiting:
        content = tray.content(id)
        made = None if content is None else item(id, content)
        if made is not None:
            items.append(made)
    return Polled(tuple(items), {"handed": waiting} if waiting else {}, now if waiting else now + every_s)


@dataclass(frozen=True, slots=True)
class WebhookSource:
    """Deliveries to the webhook of this name, which `webhook_app` has let in.

    Args:
        every_s: seconds between two looks; a service is woken by the app sooner.
    """

    store: Store
    hook: str
    every_s: float = 60.0

    def __post_init__(self) -> None:
        if "/" in self.hook or not self.hook:
            raise DeclarationError(f"{self.hook!r} is no name of a webhook")

    @property
    def label(self) -> Label:
        """Of all that is delivered: a signature says who sent it, not who wrote what is in it."""
        return Label(frozenset({f"webhook:{self.hook}"}))

    def poll(self, state: Mapping[str, Any], now: float) -> Polled:
        """What was delivered; raises StoreError."""

        def item(id: str, content: dict[str, Any]) -> Item:
            return Item(id, content, self.label, f"webhook {self.hook}")

        return poll_tray(Tray(self.store, DELIVERY, self.hook), state, now, self.every_s, item)
