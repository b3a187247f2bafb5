"""The stages of a search over one state: lists, pooled vectors, all vectors."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np

from mainspring.library.index.calibration import Calibration
from mainspring.library.index.numbers import F32, I64, Mask, pool
from mainspring.library.index.products import Rounded, dots, maxsim, rounded
from mainspring.library.index.segment import Segment
from mainspring.library.index.state import Live, Pending

#: Centroids whose pages are looked at for each vector of the query.
PROBES = 16
#: A query of more vectors than this is pooled for all stages but the last.
QUERY_POOL = 64
#: Of so many estimates one is looked at to tell which are large.
_SAMPLE = 64

_local = threading.local()


@dataclass(frozen=True, slots=True)
class Asked:
    """A query in the space of one calibration.

    Args:
        exact, fine: its vectors in eight bits, and in sixteen.
        rough: these, or fewer that stand for them.
        weight: how many each of `rough` stands for; None for one each.
        probes: the centroids to look at, for each of `rough` the least near first; None without centroids.
        gain: what a page gets for standing in the list of each of these.
    """

    exact: Rounded
    fine: Rounded
    rough: Rounded
    weight: F32 | None
    probes: I64 | None
    gain: F32 | None


def ask(query: F32, calibration: Calibration, wider: int) -> Asked:
    """The query made ready; `wider` times as many centroids are looked at as usual."""
    vectors = calibration.queries(query)
    exact, fine = rounded(vectors), rounded(vectors, fine=True)
    rough, weight = exact, None
    if len(vectors) > QUERY_POOL:
        few = pool(vectors, QUERY_POOL)
        rough = rounded(few)
        weight = np.bincount((vectors @ few.T).argmax(axis=1), minlength=QUERY_POOL).astype(np.float32)
    if calibration.clusters is None:
        return Asked(exact, fine, rough, weight, None, None)
    centroids, step = calibration.clusters.rounded
    near = np.ascontiguousarray(dots(centroids, rough).T)
    count = min(PROBES * wider, near.shape[1])
    probes = np.argpartition(near, near.shape[1] - count, axis=1)[:, near.shape[1] - count :]
    probes = np.take_along_axis(probes, np.argsort(np.take_along_axis(near, probes, axis=1), axis=1), axis=1)
    values = np.take_along_axis(near, probes, axis=1) * (rough.scale[:, None] * step)
    gain = values + np.abs(values[:, :1])
    if weight is not None:
        gain *= weight[:, None]
    return Asked(exact, fine, rough, weight, probes, np.asarray(gain, dtype=np.float32))


def ask_exact(query: F32, calibration: Calibration) -> Asked:
    """The query made ready for comparing all vectors, without a look at the centroids."""
    vectors = calibration.queries(query)
    exact = rounded(vectors)
    return Asked(exact, rounded(vectors, fine=True), exact, None, None, None)


def coarse(asked: Asked, live: Live, allowed: I64 | None, most: int) -> tuple[I64, F32]:
    """At most `most` places of the segment that the lists speak best for, with an estimate of their score.

    For each vector of the query a page gets the similarity of the nearest centroid in whose list it stands, and as
    much again as the least near one looked at has, for being near at all. A page in none of the lists gets nothing:
    to take it for as near as the last of them (as WARP does: Scheerer et al., 2025) levels the pages, and found in
    100,000 pages 0.84 of what this finds 0.98 of (docs/library-index.md).
    """
    segment = live.segment
    places = live.findable if allowed is None else allowed
    if asked.probes is None or asked.gain is None or len(segment.list_offsets) <= 1:
        return places, np.full(len(places), np.inf, dtype=np.float32)  # no estimate can be made
    estimate = _estimates(asked.probes, asked.gain, segment)
    if allowed is not None or len(places) < len(segment.ids):
        estimate = estimate[places]
    best = _best(estimate, most)
    return places[best], estimate[best]


def _estimates(probes: I64, gain: F32, segment: Segment) -> F32:
    pages = len(segment.ids)
    estimate = np.zeros(pages, dtype=np.float32)
    board = _board(pages)
    for cells, values in zip(probes, gain, strict=True):
        lows, highs = segment.list_offsets[cells], segment.list_offsets[cells + 1]
        found = [segment.lists[low:high] for low, high in zip(lows.tolist(), highs.tolist(), strict=True)]
        at = np.concatenate(found).astype(np.intp)
        board[at] = np.repeat(values, highs - lows)  # of equal places the last one stays: the nearest
        estimate[at] += board[at]  # of equal places one is added, and all would add the same
    return estimate


def pooled_scores(asked: Asked, live: Live, places: I64) -> F32:
    """MaxSim over the pooled vectors of these places."""
    segment = live.segment
    return maxsim(asked.rough, segment.pooled, segment.pooled_scale, segment.pooled_offsets, places, asked.weight)


def exact_scores(asked: Asked, live: Live, places: I64) -> F32:
    """MaxSim over all vectors of these places."""
    segment = live.segment
    return maxsim(asked.exact, segment.tokens, segment.token_scale, segment.token_offsets, places)


def fine_scores(asked: Asked, live: Live, places: I64) -> F32:
    """The same with a query of sixteen bits: as near to `match` as what is kept of the pages allows."""
    segment = live.segment
    return maxsim(asked.fine, segment.tokens, segment.token_scale, segment.token_offsets, places)


def pending_scores(query: F32, calibration: Calibration, pending: Pending, chosen: Mask | None) -> tuple[I64, F32]:
    """Page numbers and MaxSim of the waiting pages, of all or of those chosen."""
    places = np.arange(len(pending.ids)) if chosen is None else np.flatnonzero(chosen)
    if not len(places):
        return pending.ids[places], np.zeros(0, dtype=np.float32)
    fine = rounded(calibration.queries(query), fine=True)
    return pending.ids[places], maxsim(fine, pending.codes, pending.scale, pending.offsets, places)


def _best(scores: F32, most: int) -> I64:
    """Where the `most` largest are, in order of their places."""
    if len(scores) <= most:
        return np.arange(len(scores))
    # Every 64th tells a value that somewhat more than `most` reach: most pages need no more than that comparison.
    sample = scores[::_SAMPLE]
    above = int(most / _SAMPLE * 1.5) + 16
    if above < len(sample):
        likely = np.flatnonzero(scores >= np.partition(sample, len(sample) - above)[len(sample) - above])
        if len(likely) >= most:
            chosen = np.argpartition(scores[likely], len(likely) - most)[len(likely) - most :]
            return np.sort(likely[chosen])
    return np.sort(np.argpartition(scores, len(scores) - most)[len(scores) - most :])


def _board(size: int) -> F32:
    """Numbers to write and read again at once, the same memory for every search of a thread."""
    board: F32 | None = getattr(_local, "board", None)
    if board is None or len(board) < size:
        board = np.zeros(size, dtype=np.float32)
        _local.board = board
    return board[:size]
