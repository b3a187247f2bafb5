"""What rankings are worth: nDCG@10 by kind and language, and how sure the differences are."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.library.asked import Query
from mainspring.library.evaluate.metrics import bootstrap, ndcg

ROUNDS, SEED = 5_000, 1
#: The kinds that are questions in other words than the page's, about a page in the same language.
PARAPHRASED = ("paraphrase_en", "paraphrase_zh")
#: The kinds in the order in which they are told.
KINDS = (*PARAPHRASED, "cross_zh_en", "scan", "keyword", "identifier", "table", "figure")


@dataclass(frozen=True, slots=True)
class Asked:
    """A query with the grades of the groups of pages that answer it. Pages of the same text are one group."""

    query: Query
    grades: Mapping[int, float]


def each(asked: Sequence[Asked], rankings: Sequence[Sequence[int]]) -> list[float]:
    """nDCG@10 of each query, from the groups in the order in which a system ranked them."""
    return [ndcg(ranking, one.grades) for one, ranking in zip(asked, rankings, strict=True)]


def slices(asked: Sequence[Asked]) -> dict[str, list[int]]:
    """Which queries belong to what a figure is given for: each kind, each language, the paraphrased ones, all."""
    found: dict[str, list[int]] = {"paraphrased": [], **{kind: [] for kind in KINDS}, "en": [], "zh": [], "all": []}
    for number, one in enumerate(asked):
        found[one.query.kind].append(number)
        found[one.query.language].append(number)
        found["all"].append(number)
        if one.query.kind in PARAPHRASED:
            found["paraphrased"].append(number)
    return {name: numbers for name, numbers in found.items() if numbers}


def compared(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float | None]:
    """Means, their difference and their ratio, with 95% intervals of a paired bootstrap (queries drawn again)."""
    difference = bootstrap([a - b for a, b in zip(ours, theirs, strict=True)], rounds=ROUNDS, seed=SEED)
    drawn = random.Random(SEED)
    ratios = []
    numbers = range(len(ours))
    for _ in range(ROUNDS):
        again = drawn.choices(numbers, k=len(numbers))
        below = sum(theirs[n] for n in again)
        if below:
            ratios.append(sum(ours[n] for n in again) / below)
    ratios.sort()
    low, high = (ratios[int(share * (len(ratios) - 1))] for share in (0.025, 0.975)) if ratios else (None, None)
    whole = sum(theirs)
    return {
        "ours": sum(ours) / len(ours),
        "theirs": whole / len(theirs),
        "difference": difference.mean,
        "difference_low": difference.low,
        "difference_high": difference.high,
        "ratio": sum(ours) / whole if whole else None,
        "ratio_low": low,
        "ratio_high": high,
    }
