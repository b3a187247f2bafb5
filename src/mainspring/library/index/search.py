"""One search: which stage looks at how many pages, and how their answers become one list."""

from __future__ import annotations

import numpy as np

from mainspring.library.index import scan
from mainspring.library.index.calibration import Calibration
from mainspring.library.index.numbers import F32, I64, Mask
from mainspring.library.index.protocol import Near
from mainspring.library.index.state import Live, State

#: Pages that the lists choose in a collection of 10,000, pages of these that are compared by their pooled vectors, and
#: by which power of the collection's pages each grows. More pages would find more in large collections, and take longer
#: than the square root of the pages allows.
LISTED_PAGES = 600
LISTED_POWER = 0.6
POOLED_PAGES = 300
POOLED_POWER = 0.45
#: Pooled vectors that are always worth comparing, whatever number of pages they come from.
POOLED_VECTORS = 9_600
#: Pages that reach the last stage, and vectors that are worth comparing there whatever their pages.
EXACT_PAGES = 40
EXACT_VECTORS = 8_192
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
        ids, values = scan.pending_scores(scan.ask_exact(query, now.current), now.pending, picked)
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
    listed_most, pooled_most, exact_most = budgets(now, k)
    rough = count > pooled_most
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
        parts = [(live, at, scan.code_scores(ready[live.calibration.id], live, at)) for live, at, _ in parts]
        parts = _keep(parts, pooled_most)
    if sum(len(places) for _, places, _ in parts) > exact_most:
        parts = [
            (live, places, scan.pooled_scores(ready[live.calibration.id], live, places)) for live, places, _ in parts
        ]
        parts = _keep(parts, exact_most)
    return [(live, places, scan.exact_scores(ready[live.calibration.id], live, places)) for live, places, _ in parts]


def budgets(now: State, k: int) -> tuple[int, int, int]:
    """How many pages the lists choose, how many are compared by pooled vectors, and how many by all of theirs."""
    pages = max(1, now.findable)
    pooled = sum(live.segment.named.pooled for live in now.live) / pages
    tokens = sum(live.segment.named.tokens for live in now.live) / pages
    seen = max(1, now.current.tokens)  # centroids that have not seen most of the corpus tell less of it
    strange = min(4.0, max(1.0, tokens * pages / seen)) ** 0.5
    listed, grown = ((pages / 10_000) ** power * strange for power in (LISTED_POWER, POOLED_POWER))
    last = int(max(EXACT_PAGES, EXACT_VECTORS / max(1.0, tokens), 2 * k))
    middle = int(max(POOLED_PAGES * grown, POOLED_VECTORS * strange / max(1.0, pooled), 8 * k, last))
    return int(max(LISTED_PAGES * listed, 2 * middle)), middle, last


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
