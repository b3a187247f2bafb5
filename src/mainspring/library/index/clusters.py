"""Spherical k-means in two levels: coarse cells, each with its share of fine ones.

Finding the nearest of K centroids then costs about 7 * sqrt(K) comparisons in place of K, so that the codes of a large
collection are cheap to compute. It is plain Lloyd with matrix products. Centroids have length 1: means as they are
would speak for tight cells and against wide ones whenever a query is compared with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mainspring.library.index.numbers import F32, I8, I64

ROUNDS = 4
#: Rounds over all fine centroids at once, which mend what the borders of coarse cells cut.
MENDING = 3
#: Vectors that training looks at for each centroid, and at most (a quarter of a GB at 128 numbers).
PER_CENTROID = 32
TRAINED = 524_288
#: Centroids; a code has two bytes.
MOST = 65_536
#: Coarse cells whose fine ones are compared with a vector.
TRIED = 6
_BLOCK = 16_384


@dataclass(frozen=True)
class Clusters:
    """Fine centroids in order of their coarse cell.

    Args:
        coarse: shape (C, d), each of length 1.
        fine: shape (K, d), each of length 1.
        starts: C + 1 numbers; the fine ones of cell i are ``fine[starts[i]:starts[i + 1]]``.
    """

    coarse: F32
    fine: F32
    starts: I64

    @cached_property
    def rounded(self) -> tuple[I8, float]:
        """`fine` in eight bits, and what a step is worth: enough to choose the nearest of them for a query."""
        step = max(float(np.abs(self.fine).max()) / 127.0, 1e-12)
        return np.rint(self.fine / np.float32(step)).astype(np.int8), step

    def codes(self, vectors: F32) -> I64:
        """The nearest fine centroid of each vector, as far as the nearest coarse cells tell."""
        out = np.zeros(len(vectors), dtype=np.int64)
        for begin in range(0, len(vectors), _BLOCK):
            out[begin : begin + _BLOCK] = self._block(vectors[begin : begin + _BLOCK])
        return out

    def _block(self, vectors: F32) -> I64:
        cells = len(self.coarse)
        tried = min(TRIED, cells)
        near = vectors @ self.coarse.T
        chosen = np.argpartition(near, cells - tried, axis=1)[:, cells - tried :]
        best = np.full(len(vectors), -np.inf, dtype=np.float32)
        code = np.zeros(len(vectors), dtype=np.int64)
        row = np.repeat(np.arange(len(vectors)), tried)
        flat = chosen.ravel()
        order = np.argsort(flat, kind="stable")
        row, flat = row[order], flat[order]
        bounds = np.searchsorted(flat, np.arange(cells + 1))
        for cell in range(cells):
            rows = row[bounds[cell] : bounds[cell + 1]]
            low, high = int(self.starts[cell]), int(self.starts[cell + 1])
            if not len(rows) or low == high:
                continue
            near = vectors[rows] @ self.fine[low:high].T
            at = near.argmax(axis=1)
            value = near[np.arange(len(rows)), at]
            better = value > best[rows]
            best[rows[better]] = value[better]
            code[rows[better]] = at[better] + low
        return code


def how_many(vectors: int) -> int:
    """Centroids for a collection of so many pooled vectors: a power of two near six times their square root."""
    if vectors < 64:
        return 0
    wanted = 2 ** round(np.log2(6.0 * np.sqrt(vectors)))
    return int(min(wanted, vectors // 4, MOST))


def train(vectors: F32, count: int) -> Clusters:
    """Clusters of a sample. The same sample gives the same clusters."""
    vectors = _unit(vectors)
    count = min(count, len(vectors))
    coarse, code = _lloyd(vectors, max(1, round(float(np.sqrt(count)))))
    order = np.argsort(code, kind="stable")
    sizes = np.bincount(code, minlength=len(coarse))
    share = _shares(sizes, count)
    fine, ends = [], np.cumsum(sizes)
    for cell, wanted in enumerate(share):
        members = vectors[order[ends[cell] - sizes[cell] : ends[cell]]]
        if wanted:
            fine.append(_lloyd(members, int(wanted))[0])
    made = _grouped(np.concatenate(fine), coarse)
    for _ in range(MENDING):
        made = _grouped(_means(vectors, made.codes(vectors), made.fine), made.coarse)
    return made


def _grouped(fine: F32, coarse: F32) -> Clusters:
    """The fine centroids put in order of the coarse cell that each is in, and those moved to their middle."""
    for _ in range(2):
        cell = (fine @ coarse.T).argmax(axis=1)
        coarse = _means(fine, cell, coarse)
    cell = (fine @ coarse.T).argmax(axis=1)
    starts = np.zeros(len(coarse) + 1, dtype=np.int64)
    np.cumsum(np.bincount(cell, minlength=len(coarse)), out=starts[1:])
    return Clusters(coarse, np.ascontiguousarray(fine[np.argsort(cell, kind="stable")]), starts)


def _shares(sizes: I64, count: int) -> I64:
    """How many of `count` each cell gets by its size: at least one unless it is empty, never more than members."""
    exact = sizes * (count / max(1, int(sizes.sum())))
    share = np.minimum(np.maximum(np.floor(exact).astype(np.int64), (sizes > 0).astype(np.int64)), sizes)
    for cell in np.argsort(share - exact, kind="stable"):
        if share.sum() >= count:
            break
        if share[cell] < sizes[cell]:
            share[cell] += 1
    return np.asarray(share, dtype=np.int64)


def _lloyd(vectors: F32, count: int) -> tuple[F32, I64]:
    n = len(vectors)
    if n <= count:
        return vectors.copy(), np.arange(n)
    centres = vectors[np.random.default_rng(n * 31 + count).choice(n, count, replace=False)].copy()
    code = np.zeros(n, dtype=np.int64)
    for turn in range(ROUNDS + 1):
        for begin in range(0, n, _BLOCK):
            code[begin : begin + _BLOCK] = (vectors[begin : begin + _BLOCK] @ centres.T).argmax(axis=1)
        if turn < ROUNDS:
            centres = _means(vectors, code, centres)
    return centres, code


def _means(vectors: F32, code: I64, centres: F32) -> F32:
    """The direction of the mean of each cell; a cell without members keeps its centre."""
    order = np.argsort(code, kind="stable")
    held = np.bincount(code, minlength=len(centres))
    full = held > 0
    centres = centres.copy()
    centres[full] = _unit(np.add.reduceat(vectors[order], (np.cumsum(held) - held)[full], axis=0))
    return centres


def _unit(vectors: F32) -> F32:
    long = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(long > 0, long, np.float32(1.0)), dtype=np.float32)
