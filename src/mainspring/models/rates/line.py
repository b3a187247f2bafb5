"""The queue before a provider: fair between tasks, with priorities, and nobody in it starves."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field
from typing import Generic, TypeVar

_T = TypeVar("_T")

#: Each priority up doubles a family's share; beyond this many it makes no further difference.
MOST_DOUBLINGS = 10
#: Within a family, each level of depth puts a call back by this many seconds, and each priority puts it forward.
LEVEL_S = 10.0


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Args:
        family: the run at the top, whose sub-agents share its turns.
        weight: priority of the run at the top; each one up doubles the family's share of the turns.
        depth: how many runs stand above the one that asks; a parent goes before its children.
        priority: of the run that asks, among its family.
    """

    family: str = ""
    weight: int = 0
    depth: int = 0
    priority: int = 0


@dataclass(slots=True)
class Place(Generic[_T]):
    """One waiting call."""

    item: _T
    share: float
    gone: bool = False


@dataclass(slots=True)
class _Family(Generic[_T]):
    name: str
    waiting: list[tuple[float, int, Place[_T]]] = field(default_factory=list)


class Line(Generic[_T]):
    """Self-clocked fair queueing (Golestani 1994) between families; oldest first within one.

    Each family's next call carries a tag: the virtual time at which it would have been served at its share. The
    smallest tag is served next, and becomes the virtual time. A family that waits keeps its tag while the time goes
    on, so that it is reached at last, however many others come with more weight.
    """

    def __init__(self) -> None:
        self._families: dict[str, _Family[_T]] = {}
        self._order: list[tuple[float, int, _Family[_T]]] = []
        self._now = 0.0
        self._count = itertools.count()
        self._living = 0

    def __len__(self) -> int:
        return self._living

    def push(self, item: _T, caller: Caller, arrived: float) -> Place[_T]:
        """Stand in the line from `arrived` (seconds of any clock) on."""
        share = 2.0 ** max(-MOST_DOUBLINGS, min(MOST_DOUBLINGS, caller.weight))
        place = Place(item, share)
        family = self._families.get(caller.family)
        rank = arrived + LEVEL_S * (caller.depth - max(-100, min(100, caller.priority)))
        if family is None:
            family = self._families[caller.family] = _Family(caller.family)
            heapq.heappush(self._order, (self._now + 1.0 / share, next(self._count), family))
        heapq.heappush(family.waiting, (rank, next(self._count), place))
        self._living += 1
        return place

    def leave(self, place: Place[_T]) -> None:
        """Give a place up."""
        if not place.gone:
            place.gone = True
            self._living -= 1

    def first(self) -> Place[_T] | None:
        """Whose turn is next."""
        while self._order:
            family = self._order[0][2]
            while family.waiting and family.waiting[0][2].gone:
                heapq.heappop(family.waiting)
            if family.waiting:
                return family.waiting[0][2]
            heapq.heappop(self._order)
            del self._families[family.name]
        return None

    def pop(self) -> None:
        """Serve whoever is first."""
        place = self.first()
        if place is None:
            return
        tag, _, family = heapq.heappop(self._order)
        heapq.heappop(family.waiting)
        self._now = tag
        self.leave(place)
        if family.waiting:
            heapq.heappush(self._order, (tag + 1.0 / family.waiting[0][2].share, next(self._count), family))
        else:
            del self._families[family.name]
