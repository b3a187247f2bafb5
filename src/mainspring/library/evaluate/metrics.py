"""How good a ranking is."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

#: How relevant each page is: 0 not, 1 is, more is more.
Grades: TypeAlias = "Mapping[int, float]"


def ndcg(ranked: Sequence[int], grades: Grades, k: int = 10) -> float:
    """Normalised discounted cumulative gain of the first `k` pages, 0 to 1.

    With the grade as the gain and the discount log2(rank + 1) (Jarvelin and Kekalainen, TOIS 2002), as trec_eval
    computes it, and so the published figures of ViDoRe and MTEB.
    """
    gains = [grades.get(page, 0.0) for page in _once(ranked)[:k]]
    best = sorted((grade for grade in grades.values() if grade > 0), reverse=True)[:k]
    ideal = _discounted(best)
    return _discounted(gains) / ideal if ideal else 0.0


def recall(ranked: Sequence[int], grades: Grades, k: int = 10) -> float:
    """The share of the relevant pages that are among the first `k`."""
    relevant = {page for page, grade in grades.items() if grade > 0}
    return len(relevant.intersection(_once(ranked)[:k])) / len(relevant) if relevant else 0.0


def mrr(ranked: Sequence[int], grades: Grades, k: int = 10) -> float:
    """One over the rank of the first relevant page, 0 when none is among the first `k`."""
    for rank, page in enumerate(_once(ranked)[:k], 1):
        if grades.get(page, 0.0) > 0:
            return 1.0 / rank
    return 0.0


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with the interval that holds it with 95% confidence."""

    mean: float
    low: float
    high: float


def bootstrap(values: Sequence[float], *, rounds: int = 2_000, seed: int = 1) -> Interval:
    """The mean with its percentile bootstrap interval (Efron, 1979): the queries are drawn again `rounds` times."""
    if not values:
        return Interval(0.0, 0.0, 0.0)
    drawn = random.Random(seed)
    count = len(values)
    means = sorted(sum(drawn.choices(values, k=count)) / count for _ in range(rounds))
    return Interval(sum(values) / count, means[int(0.025 * rounds)], means[min(int(0.975 * rounds), rounds - 1)])


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of the values do not exceed, by the nearest rank."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(max(math.ceil(share * len(ordered)) - 1, 0), len(ordered) - 1)]


def _discounted(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, 1))


def _once(ranked: Sequence[int]) -> list[int]:
    return list(dict.fromkeys(ranked))
