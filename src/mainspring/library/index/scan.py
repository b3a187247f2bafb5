"""The stages of a search over one state: lists, codes, pooled vectors, all vectors."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mainspring.library.index.calibration import Calibration
from mainspring.library.index.numbers import F32, I8, I64, Mask, pool, spans
from mainspring.library.index.segment import Segment
from mainspring.library.index.state import Live, Pending

#: Vectors that are compared at a time: few enough to stay in the processor's cache.
_ROWS = 2_048
#: Numbers of the table of vectors and pages that is filled at a time: a megabyte.
_BOARD = 262_144
#: Centroids whose pages are looked at for each vector of the query.
PROBES = 48
#: A query of more vectors than this is pooled for all stages but the last.
QUERY_POOL = 64

_local = threading.local()


@dataclass(frozen=True, slots=True)
class Asked:
    """A query in the space of one calibration.

    Args:
        exact: its vectors.
        rough: these, or fewer that stand for them.
        weight: how many each of `rough` stands for; None for one each.
        near: similarity of `rough` to the centroids, or None.
        probes: the centroids to look at, for each of `rough` the least near first.
    """

    exact: F32
    rough: F32
    weight: F32 | None
    near: F32 | None
    probes: I64 | None


def ask(query: F32, calibration: Calibration, wider: int) -> Asked:
    """The query made ready; `wider` times as many centroids are looked at as usual."""
    exact = calibration.queries(query)
    rough, weight = exact, None
    if len(exact) > QUERY_POOL:
        rough = pool(exact, QUERY_POOL)
        weight = np.bincount((exact @ rough.T).argmax(axis=1), minlength=QUERY_POOL).astype(np.float32)
    if calibration.clusters is None:
        return Asked(exact, rough, weight, None, None)
    near = rough @ calibration.clusters.columns
    count = min(PROBES * wider, near.shape[1])
    probes = np.argpartition(near, near.shape[1] - count, axis=1)[:, near.shape[1] - count :]
    order = np.argsort(np.take_along_axis(near, probes, axis=1), axis=1)
    return Asked(exact, rough, weight, near, np.take_along_axis(probes, order, axis=1))


def ask_exact(query: F32, calibration: Calibration) -> Asked:
    """The query made ready for comparing all vectors, without a look at the centroids."""
    exact = calibration.queries(query)
    return Asked(exact, exact, None, None, None)


def coarse(asked: Asked, live: Live, allowed: I64 | None, most: int) -> tuple[I64, F32]:
    """At most `most` places of the segment that the lists speak best for, with an estimate of their score.

    A vector of the query gives a page the similarity of the best centroid in whose list the page stands; a page in
    none of the lists looked at is taken for as near as the last of them (as WARP does: Scheerer et al., 2025).
    """
    segment = live.segment
    if asked.near is None or asked.probes is None or len(segment.list_offsets) <= 1:
        places = live.findable if allowed is None else allowed
        return places, np.full(len(places), np.inf, dtype=np.float32)  # no estimate can be made
    pages, vectors = len(segment.ids), len(asked.rough)
    values = np.take_along_axis(asked.near, asked.probes, axis=1)
    last = values[:, :1].copy()
    gain = np.asarray(values - last, dtype=np.float32)
    missing = float(last.sum() if asked.weight is None else asked.weight @ last[:, 0])
    if asked.weight is not None:
        gain = gain * asked.weight[:, None]
    estimate = np.full(pages, missing, dtype=np.float32)
    step = max(1, _BOARD // pages)
    for first in range(0, vectors, step):
        _add_gains(estimate, segment, asked.probes[first : first + step], gain[first : first + step])
    if allowed is None and len(live.findable) == pages:
        best = _best(estimate, most)
        return best, estimate[best]
    places = live.findable if allowed is None else allowed
    estimate = estimate[places]
    best = _best(estimate, most)
    return places[best], estimate[best]


def _add_gains(estimate: F32, segment: Segment, probes: I64, gain: F32) -> None:
    """For some vectors of the query, add to each page's estimate what the nearest list that it stands in gives it."""
    pages, vectors = len(estimate), len(probes)
    cells = probes.ravel()
    lows, highs = segment.list_offsets[cells], segment.list_offsets[cells + 1]
    sizes = highs - lows
    found = [segment.lists[low:high] for low, high in zip(lows.tolist(), highs.tolist(), strict=True)]
    at = np.concatenate(found).astype(np.int64)
    at += np.repeat(np.repeat(np.arange(vectors) * pages, probes.shape[1]), sizes)
    board = _board(vectors * pages)
    try:
        board[at] = np.repeat(gain.ravel(), sizes)  # of equal places the last one stays: the nearest
        estimate += board.reshape(vectors, pages).sum(axis=0)
    finally:
        board[at] = 0.0


def code_scores(asked: Asked, live: Live, places: I64) -> F32:
    """MaxSim of these places with the centroids of their pooled vectors in place of the vectors."""
    segment = live.segment
    if asked.near is None or not len(segment.codes):
        return np.full(len(places), np.inf, dtype=np.float32)  # no estimate can be made
    near = np.ascontiguousarray(asked.near.T)

    def sums(begins: I64, counts: I64) -> F32:
        similar = np.take(near, np.take(segment.codes, spans(begins, counts)), axis=0)
        return _sums(similar, counts, asked.weight)

    return _in_blocks(segment.pooled_offsets, places, sums)


def pooled_scores(asked: Asked, live: Live, places: I64) -> F32:
    """MaxSim over the pooled vectors of these places."""
    segment = live.segment
    return maxsim(asked.rough, segment.pooled, segment.pooled_scale, segment.pooled_offsets, places, asked.weight)


def exact_scores(asked: Asked, live: Live, places: I64) -> F32:
    """MaxSim over all vectors of these places."""
    segment = live.segment
    return maxsim(asked.exact, segment.tokens, segment.token_scale, segment.token_offsets, places)


def pending_scores(asked: Asked, pending: Pending, chosen: Mask | None) -> tuple[I64, F32]:
    """Page numbers and MaxSim of the waiting pages, of all or of those chosen."""
    if not len(pending.ids):
        return pending.ids, np.zeros(0, dtype=np.float32)
    places = np.arange(len(pending.ids)) if chosen is None else np.flatnonzero(chosen)
    return pending.ids[places], maxsim(asked.exact, pending.vectors, None, pending.offsets, places)


def maxsim(
    query: F32, vectors: I8 | F32, scale: F32 | None, offsets: I64, places: I64, weight: F32 | None = None
) -> F32:
    """For each place the sum over the query's vectors of the largest dot product with the vectors of the place."""
    return _in_blocks(offsets, places, lambda begins, counts: _maxsim(query, vectors, scale, begins, counts, weight))


def _in_blocks(offsets: I64, places: I64, scores: Callable[[I64, I64], F32]) -> F32:
    """`scores` of all places, called for some at a time with where their vectors begin and how many they are."""
    out = np.zeros(len(places), dtype=np.float32)
    begins = offsets[places]
    counts = offsets[places + 1] - begins
    ends = np.cumsum(counts)
    first = 0
    while first < len(places):
        base = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, base + _ROWS, side="right")))
        out[first:last] = scores(begins[first:last], counts[first:last])
        first = last
    return out


def _maxsim(query: F32, vectors: I8 | F32, scale: F32 | None, begins: I64, counts: I64, weight: F32 | None) -> F32:
    rows = spans(begins, counts)
    similar = np.take(vectors, rows, axis=0).astype(np.float32, copy=False) @ query.T
    if scale is not None:
        similar *= np.take(scale, rows)[:, None]
    return _sums(similar, counts, weight)


def _sums(similar: F32, counts: I64, weight: F32 | None) -> F32:
    """Of similarities (vectors of pages, vectors of the query): the sum over the query of each page's largest."""
    width = int(counts[0])
    if (counts == width).all():
        best = similar.reshape(len(counts), width, -1)
        while width > 1 and width % 2 == 0:  # halving is twice as quick as one maximum along the middle
            width //= 2
            best = np.maximum(best[:, :width], best[:, width:])
        best = best.max(axis=1)
    else:
        best = np.maximum.reduceat(similar, np.cumsum(counts) - counts, axis=0)
    return np.asarray(best.sum(axis=1) if weight is None else best @ weight, dtype=np.float32)


def _best(scores: F32, most: int) -> I64:
    if len(scores) <= most:
        return np.arange(len(scores))
    return np.argpartition(scores, len(scores) - most)[len(scores) - most :]


def _board(size: int) -> F32:
    """Zeros, the same memory for every search of a thread; whoever writes them makes them zero again."""
    board: F32 | None = getattr(_local, "board", None)
    if board is None or len(board) < size:
        board = np.zeros(size, dtype=np.float32)
        _local.board = board
    return board[:size]
