"""One search: which stage looks at how many pages, and how their answers become one list."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mainspring.library.index import scan
from mainspring.library.index.calibration import Calibration
from mainspring.library.index.numbers import F32, I64, Mask
from mainspring.library.index.protocol import Near
from mainspring.library.index.scan import Asked
from mainspring.library.index.state import Live, State

#: Pages that the lists choose in a collection of 10,000, by which power of the pages that grows, and pooled
#: vectors that are worth comparing whatever number of pages they come from.
LISTED_PAGES = 600
LISTED_POWER = 0.6
LISTED_VECTORS = 19_200
#: Pages of a collection of 10,000 whose vectors are all compared, and by which power that grows; and vectors that are
#: worth comparing there whatever their pages.
EXACT_PAGES = 40
EXACT_POWER = 0.2
EXACT_VECTORS = 8_192
#: Of these, pages that are compared with all bits of the query: so many for each that is asked for, and at least.
FINE = 1.5
FINE_PAGES = 16
#: Widest that a filter makes the search among centroids.
WIDEST = 8


def search(now: State, query: F32, k: int, among: I64 | None) -> list[Near]:
    """The best `k` pages of a state."""
    if k <= 0 or not len(query):
        return []
    longest = float(np.abs(query).max())
    if longest > 0:
        query = query / np.float32(longest)
    chosen = [None if among is None else _allowed(live, among) for live in now.live]
    count = sum(len(live.findable) if at is None else len(at) for live, at in zip(now.live, chosen, strict=True))
    numbers, scores = [], []
    if count:
        for live, places, values in _cascade(now, query, k, chosen, count):
            numbers.append(live.segment.ids[places])
            scores.append(values)
    if len(now.pending.ids):
        picked: Mask | None = None if among is None else np.isin(now.pending.ids, among)
        ids, values = scan.pending_scores(query, now.current, now.pending, picked)
        numbers.append(ids)
        scores.append(values)
    if not numbers:
        return []
    pages, found = np.concatenate(numbers), np.concatenate(scores)
    best = np.lexsort((pages, -found))[:k]
    return [Near(int(pages[at]), float(found[at]) * longest) for at in best]


def _cascade(now: State, query: F32, k: int, chosen: list[I64 | None], count: int) -> list[tuple[Live, I64, F32]]:
    """The pages of the last stage with their scores."""
    share = now.findable / count
    wider = int(min(WIDEST, np.ceil(share)))
    asked = {live.calibration.id: live.calibration for live in now.live}
    listed_most, exact_most, fine_most = budgets(now, k)
    rough = count > listed_most
    ready = {
        id_: (scan.ask(query, made, wider) if rough else scan.ask_exact(query, made)) for id_, made in asked.items()
    }
    parts: list[tuple[Live, I64, F32]] = []
    for live, allowed in zip(now.live, chosen, strict=True):
        if rough:
            parts.append((live, *scan.coarse(ready[live.calibration.id], live, allowed, listed_most)))
        else:
            places = live.findable if allowed is None else allowed
            parts.append((live, places, np.zeros(len(places), dtype=np.float32)))
    if rough:
        parts = _keep(parts, listed_most)

    def compared(most: int, score: Callable[[Asked, Live, I64], F32]) -> list[tuple[Live, I64, F32]]:
        if sum(len(places) for _, places, _ in parts) <= most:
            return parts
        return _keep([(live, at, score(ready[live.calibration.id], live, at)) for live, at, _ in parts], most)

    parts = compared(exact_most, scan.pooled_scores)
    parts = compared(fine_most, scan.exact_scores)
    return [(live, at, scan.fine_scores(ready[live.calibration.id], live, at)) for live, at, _ in parts]


def budgets(now: State, k: int) -> tuple[int, int, int]:
    """How many pages the lists choose, how many are compared by all their vectors, and how many with all bits."""
    pages = max(1, now.findable)
    pooled = sum(live.segment.named.pooled for live in now.live) / pages
    tokens = sum(live.segment.named.tokens for live in now.live) / pages
    seen = max(1, now.current.tokens)  # centroids that have not seen most of the corpus tell less of it
    strange = min(4.0, max(1.0, tokens * pages / seen)) ** 0.5
    size = pages / 10_000
    fine = max(FINE_PAGES, int(FINE * k))
    exact = int(max(fine, max(EXACT_PAGES, EXACT_VECTORS / max(1.0, tokens)) * max(1.0, size**EXACT_POWER)))
    listed = max(LISTED_PAGES * size**LISTED_POWER, LISTED_VECTORS / max(1.0, pooled)) * strange
    return int(max(listed, 2 * exact)), exact, fine


def similarities(query: F32, kept: F32, calibration: Calibration) -> F32:
    """Dot products of a query as the encoder made it with vectors as they are kept."""
    return np.asarray(calibration.queries(query) @ kept.T, dtype=np.float32)


def _allowed(live: Live, among: I64) -> I64:
    places = live.segment.places(among)
    return places[live.filled[places]]


def _keep(parts: list[tuple[Live, I64, F32]], most: int) -> list[tuple[Live, I64, F32]]:
    """The best `most` of all parts; pages of which no estimate could be made (infinite) come first."""
    total = sum(len(places) for _, places, _ in parts)
    if total <= most:
        return parts
    scores = np.concatenate([values for _, _, values in parts])
    best = np.zeros(total, dtype=np.bool_)
    best[np.argpartition(scores, total - most)[total - most :]] = True
    best |= np.isinf(scores)
    out, begin = [], 0
    for live, places, values in parts:
        mask = best[begin : begin + len(places)]
        begin += len(places)
        if mask.any():
            out.append((live, places[mask], values[mask]))
    return out
