"""One order out of several: the weighted sum of normalised scores.

A convex combination says more than ranks where scores say how sure each part is (Bruch, Gai and Ingber, "An Analysis of
Fusion Functions for Hybrid Retrieval", TOIS 2023). On 180 queries of eight kinds over 276 pages, reciprocal rank fusion
(Cormack, Clarke and Buettcher, SIGIR 2009) had nDCG@10 0.71, one weight for all queries at best 0.75, and a weight that
follows from the query 0.76; with what is found as it is written (see `exact`) 0.85.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from mainspring import lexical

#: Page number and score, best first.
Ranked: TypeAlias = "Sequence[tuple[int, float]]"

#: Weight of words against meaning by the share of the query's words that were met: (weight, power) each. Chosen on the
#: tune side of `benchmarks.library` (docs/library-benchmark.md).
_TRUST = ((0.3, 2), (0.5, 8))


def by_scores(lists: Sequence[tuple[float, Mapping[int, float]]]) -> dict[int, float]:
    """The weighted sum of normalised scores; a page that a list lacks gets nothing from it."""
    scores: dict[int, float] = {}
    for weight, normalised in lists:
        for page, score in normalised.items():
            scores[page] = scores.get(page, 0.0) + weight * score
    return scores


def of_top(ranked: Ranked) -> dict[int, float]:
    """Scores as shares of the best one. For BM25, whose zero means that no word was met."""
    top = max((score for _, score in ranked), default=0.0)
    return {page: score / top for page, score in ranked} if top > 0 else {page: 0.0 for page, _ in ranked}


def of_range(ranked: Ranked, floor: float) -> dict[int, float]:
    """Scores as shares of the way from `floor` to the best one. For similarities, whose zero means nothing."""
    top = max((score for _, score in ranked), default=0.0)
    if top <= floor:
        return {page: 1.0 for page, _ in ranked}
    return {page: max(score - floor, 0.0) / (top - floor) for page, score in ranked}


def in_order(scores: Mapping[int, float]) -> list[tuple[int, float]]:
    """Best first; of equal ones, the older page first, so that an order repeats."""
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


def text_weight(query: str, best: Sequence[str]) -> float:
    """How much words count against meaning for a query, 0 to 1.

    Where the pages that the words found have all of them (a name, a number, an error message), the words are right.
    Where they have a few (a question in other words, or in another language), meaning is.

    Args:
        best: the texts of the pages that the words found first.
    """
    wanted = lexical.terms(query)
    whole = sum(_says(word) for word in wanted)
    if not whole or not best:
        return 0.0
    covered = 0.0
    for text in best:
        there = set(lexical.words(text))
        met = [w for w, begins in wanted.items() if w in there or (begins and any(t.startswith(w) for t in there))]
        covered = max(covered, sum(_says(word) for word in met) / whole)
    return sum(weight * covered**power for weight, power in _TRUST)


def _says(word: str) -> float:
    """How much a word is likely to tell: long ones and those with digits more than "the"."""
    return 8.0 if any(c.isdigit() for c in word) else float(min(len(word), 8)) if word.isascii() else 4.0
