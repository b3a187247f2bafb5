"""The order in which records come back: by words and meaning together, and older ones a little later.

Ranks are fused as in reciprocal rank fusion (Cormack, Clarke and Buettcher, SIGIR 2009): they need no common scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mainspring.memory.records import Record

#: The constant of reciprocal rank fusion, as its authors chose it.
_K = 60
#: What is left of a record's weight however old it is: age decides between likes, and hides nothing.
FLOOR = 0.5
#: Seconds after which half of what age can take from a record's weight is gone.
HALF_LIFE_S = 180 * 86_400.0


def fused(lists: Sequence[Sequence[int]], weights: Mapping[int, float]) -> list[int]:
    """Numbers of records, best first.

    Args:
        lists: orders of numbers, best first.
        weights: what a number's score is multiplied with.
    """
    scores: dict[int, float] = {}
    for order in lists:
        for rank, number in enumerate(order, 1):
            scores[number] = scores.get(number, 0.0) + 1 / (_K + rank)
    return sorted(scores, key=lambda number: (-scores[number] * weights.get(number, 1.0), -number))


def freshness(record: Record, now: float, half_life_s: float | None) -> float:
    """A record's weight for its age, from `FLOOR` to 1. A rule does not age, and without a half-life nothing does."""
    if half_life_s is None or record.kind == "rule":
        return 1.0
    age = max(now - record.created_at, 0.0)
    return float(FLOOR + (1 - FLOOR) * 2.0 ** (-age / half_life_s))
