"""What every source gives and takes: it is looked at with the state of the last look, and says what it found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from mainspring.label import Label


@dataclass(frozen=True, slots=True)
class Item:
    """Something that happened and may fire a schedule.

    Args:
        id: the same whenever the same thing is found again: a firing's run is named by it, so that nothing fires twice.
        payload: JSON-ready; what a stranger wrote stands nowhere else.
        label: of the payload; never a user's.
        origin: where it is from, for people.
    """

    id: str
    payload: Mapping[str, Any]
    label: Label
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Polled:
    """What a look found.

    Args:
        items: what is new.
        state: JSON-ready; to be kept only after every item has its firing on disk. A source takes it as proof of that.
        next_at: Unix time of the next look.
    """

    items: tuple[Item, ...] = ()
    state: Mapping[str, Any] = field(default_factory=dict)
    next_at: float | None = None


class Source(Protocol):
    """Where firings come from. Looking costs no model call, and next to nothing when nothing is there."""

    def poll(self, state: Mapping[str, Any], now: float) -> Polled:
        """Look, knowing what the last look kept (``{}`` at first). It may block, so it is called in a thread.

        Raises:
            MainspringError: it could not be looked at; the state stays as it was.
        """
        ...
