"""Where a value came from, in words for a person who approves it."""

from __future__ import annotations

import json
import re
from typing import TypeAlias

#: A member's name, or an item's number.
Step: TypeAlias = "str | int"

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}\Z")
#: At most so many places are named; a person reads no more.
_MOST = 4


class Place:
    """One value exactly as somebody wrote it: a handle, or a field below one. Rendered only when it is asked for."""

    __slots__ = ("above", "step")

    def __init__(self, step: Step, above: Place | None = None) -> None:
        self.step = step
        self.above = above

    def __str__(self) -> str:
        steps: list[Step] = []
        place: Place | None = self
        while place is not None:
            steps.append(place.step)
            place = place.above
        text = str(steps.pop())
        for below in reversed(steps):
            if isinstance(below, int):
                text += f"[{below}]"
            elif _PLAIN.match(below):
                text += f".{below}"
            else:  # a key that a stranger may have written: quoted, short
                text += f"[{json.dumps(below[:40] + ('…' if len(below) > 40 else ''))}]"
        return text


class Made:
    """Made from the values of several places, or from a part of one."""

    __slots__ = ("more", "own", "places")

    def __init__(self, places: tuple[Place, ...], own: bool, more: bool) -> None:
        self.places = places
        self.own = own  # the program's own text has a part in it
        self.more = more  # and so have other places

    def __str__(self) -> str:
        names = [str(place) for place in self.places]
        if self.more:
            names.append("others")
        if self.own:
            names.append("the program")
        if len(names) == 1:
            return f"made from {names[0]}"
        return f"joined from {', '.join(names[:-1])} and {names[-1]}"


#: None is the program's own text.
Origin: TypeAlias = "Place | Made | None"


def blend(first: Origin, second: Origin) -> Origin:
    """The origin of what was made from both."""
    if first is second and (first is None or isinstance(first, Made)):
        return first
    places: list[Place] = []
    own = more = False
    for origin in (first, second):
        if origin is None:
            own = True
        elif isinstance(origin, Place):
            if origin not in places:
                places.append(origin)
        else:
            own = own or origin.own
            more = more or origin.more
            places.extend(p for p in origin.places if p not in places)
    if isinstance(first, Made) and len(places) == len(first.places) and own == first.own and more == first.more:
        return first  # a text grown in a loop
    return Made(tuple(places[:_MOST]), own, more or len(places) > _MOST)


def words(origin: Origin) -> str:
    """The origin as a person reads it."""
    return "written in the program" if origin is None else str(origin)
