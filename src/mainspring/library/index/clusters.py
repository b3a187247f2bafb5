"""K-means in two levels: a few coarse cells, each split into its share of fine ones.

Finding the nearest of K centroids then costs about 4 * sqrt(K) comparisons in place of K, so that the codes of a large
collection are cheap to compute. It is plain Lloyd with matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mainspring.library.index.numbers import F32, I64

ROUNDS = 6
#: Vectors that training looks at for each centroid.
PER_CENTROID = 32
#: Coarse cells whose fine ones are compared with a vector.
TRIED = 3
_BLOCK = 16_384


@dataclass(frozen=True, slots=True)
class Clusters:
    """Fine centroids in order of their coarse cell.

    Args:
        coarse: shape (C, d).
        fine: shape (K, d).
        starts: C + 1 numbers; the fine ones of cell i are ``fine[starts[i]:starts[i + 1]]``.
    """

    coarse: F32
    fine: F32
    starts: I64

    def codes(self, vectors: F32) -> I64:
        """The nearest fine centroid of each vector, as far as the nearest coarse cells tell."""
        out = np.zeros(len(vectors), dtype=np.int64)
        for begin in range(0, len(vectors), _BLOCK):
            out[begin : begin + _BLOCK] = self._block(vectors[begin : begin + _BLOCK])
        return out

    def _block(self, vectors: F32) -> I64:
        cells = len(self.coarse)
        tried = min(TRIED, cells)
        near = vectors @ self.coarse.T - _half_square(self.coarse)
        chosen = np.argpartition(near, cells - tried, axis=1)[:, cells - tried :]
        best = np.full(len(vectors), -np.inf, dtype=np.float32)
        code = np.zeros(len(vectors), dtype=np.int64)
        row = np.repeat(np.arange(len(vectors)), tried)
        flat = chosen.ravel()
        order = np.argsort(flat, kind="stable")
        row, flat = row[order], flat[order]
        bounds = np.searchsorted(flat, np.arange(cells + 1))
        half = _half_square(self.fine)
        for cell in range(cells):
            rows = row[bounds[cell] : bounds[cell + 1]]
            low, high = int(self.starts[cell]), int(self.starts[cell + 1])
            if not len(rows) or low == high:
                continue
            near = vectors[rows] @ self.fine[low:high].T - half[low:high]
            at = near.argmax(axis=1)
            value = near[np.arange(len(rows)), at]
            better = value > best[rows]
            best[rows[better]] = value[better]
            code[rows[better]] = at[better] + low
        return code


def how_many(vectors: int) -> int:
    """Centroids for a collection of so many pooled vectors: a power of two near four times their square root."""
    if vectors < 64:
        return 0
    wanted = 2 ** round(np.log2(4.0 * np.sqrt(vectors)))
    return int(min(wanted, vectors // 4, 65_536))


def train(vectors: F32, count: int) -> Clusters:
    """Clusters of a sample. The same sample gives the same clusters."""
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
    starts = np.zeros(len(coarse) + 1, dtype=np.int64)
    np.cumsum(share, out=starts[1:])
    return Clusters(coarse, np.ascontiguousarray(np.concatenate(fine)), starts)


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
            near = vectors[begin : begin + _BLOCK] @ centres.T - _half_square(centres)
            code[begin : begin + _BLOCK] = near.argmax(axis=1)
        if turn == ROUNDS:
            break
        order = np.argsort(code, kind="stable")
        held = np.bincount(code, minlength=count)
        full = held > 0
        begins = (np.cumsum(held) - held)[full]
        centres[full] = np.add.reduceat(vectors[order], begins, axis=0) / held[full][:, None]
    return centres, code


def _half_square(vectors: F32) -> F32:
    return np.asarray(0.5 * np.einsum("ij,ij->i", vectors, vectors), dtype=np.float32)
