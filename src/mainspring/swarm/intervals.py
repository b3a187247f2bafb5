"""Stretches of time: joining them, cutting them, and how many overlap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

#: From and to, Unix times in seconds.
Interval = tuple[float, float]


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """The same stretches of time, in order and apart from each other."""
    joined: list[Interval] = []
    for began, ended in sorted(intervals):
        if joined and began <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], ended))
        else:
            joined.append((began, ended))
    return joined


def total(intervals: Iterable[Interval]) -> float:
    """Seconds in any of them, each counted once."""
    return sum(ended - began for began, ended in union(intervals))


def without(intervals: Iterable[Interval], holes: Iterable[Interval]) -> list[Interval]:
    """What is left of the first when the second are cut out."""
    left: list[Interval] = []
    gaps = union(holes)
    for began, ended in union(intervals):
        for start, stop in gaps:
            if stop <= began or start >= ended:
                continue
            if start > began:
                left.append((began, start))
            began = max(began, stop)
        if began < ended:
            left.append((began, ended))
    return left


def shares(covers: Sequence[Sequence[Interval]], window: Interval) -> dict[int, float]:
    """How many of them were at work at the same time -> share of the window."""
    began, ended = window
    length = ended - began
    if length <= 0:
        return {}
    changes: Counter[float] = Counter({began: 0, ended: 0})
    for cover in covers:
        for start, stop in cover:
            start, stop = max(start, began), min(stop, ended)
            if start < stop:
                changes[start] += 1
                changes[stop] -= 1
    times, working = sorted(changes), 0
    seconds: dict[int, float] = {}
    for at, until in pairwise(times):
        working += changes[at]
        seconds[working] = seconds.get(working, 0.0) + until - at
    return {n: round(s / length, 4) for n, s in sorted(seconds.items())}
