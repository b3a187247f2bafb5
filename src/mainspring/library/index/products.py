"""Products of vectors of eight bits, by NumKong's kernels: whole numbers in, exact whole numbers out.

NumPy would first make four bytes of each, and multiplies those ten times slower.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numkong
import numpy as np
from numpy.typing import NDArray

from mainspring.library.index.numbers import F32, I8, I64, quantise, spans

#: Vectors that are compared at a time: few enough to stay in the processor's cache.
_ROWS = 2_048
#: Parts of a step of eight bits that the second eight bits of a query count.
_PARTS = np.float32(254.0)


@dataclass(frozen=True, slots=True)
class Rounded:
    """Vectors of a query in eight bits, or in sixteen where small differences decide.

    Args:
        packed: the numbers as the kernels want them; of sixteen bits first all the high ones, then all the low ones.
        scale: what a step of each vector is worth.
        fine: whether there are sixteen.
    """

    packed: Any
    scale: F32
    fine: bool


def rounded(vectors: F32, *, fine: bool = False) -> Rounded:
    """A query of shape (m, d) made ready."""
    codes, scale = quantise(vectors)
    if fine:
        steps = vectors / np.where(scale > 0, scale, np.float32(1.0))[:, None]
        codes = np.concatenate([codes, np.rint((steps - codes) * _PARTS).astype(np.int8)])
    return Rounded(numkong.dots_pack(np.ascontiguousarray(codes)), scale, fine)


def dots(vectors: I8, query: Rounded) -> NDArray[Any]:
    """Dot products, shape (n, m), to be multiplied by the scales of both sides."""
    if not len(vectors) or not len(query.scale):
        return np.zeros((len(vectors), len(query.scale)), dtype=np.int32)
    found: NDArray[Any] = np.asarray(numkong.dots_packed(vectors, query.packed))
    if not query.fine:
        return found
    count = len(query.scale)
    low = found[:, count:].astype(np.float32)
    low /= _PARTS
    low += found[:, :count]
    return low


def maxsim(query: Rounded, vectors: I8, scale: F32, offsets: I64, places: I64, weight: F32 | None = None) -> F32:
    """For each place the sum over the query's vectors of the largest dot product with the vectors of the place.

    Args:
        query: its vectors.
        vectors: those of all pages, shape (n, d).
        scale: of each vector; or of each page, which saves a product for each vector and each of the query.
        offsets: where the vectors of each page begin, and where the last one's end.
        places: which pages.
        weight: how many each of the query's vectors stands for; None for one each.
    """
    best = np.empty((len(places), len(query.scale)), dtype=np.float32)
    worth = query.scale if weight is None else query.scale * weight
    by_page = len(scale) != len(vectors)
    begins = offsets[places]
    counts = offsets[places + 1] - begins
    ends = np.cumsum(counts)
    first = 0
    while first < len(places):
        base = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, base + _ROWS, side="right")))
        rows = spans(begins[first:last], counts[first:last])
        near = dots(np.take(vectors, rows, axis=0), query)
        if not by_page:
            near = np.multiply(near, np.take(scale, rows)[:, None], dtype=np.float32, casting="same_kind")
        best[first:last] = largest(near, counts[first:last])
        first = last
    found = np.asarray(best @ worth, dtype=np.float32)
    return found * scale[places] if by_page else found


def largest(near: NDArray[Any], counts: I64) -> NDArray[Any]:
    """Of similarities (vectors of pages, vectors of the query): each page's largest, shape (pages, m)."""
    width = int(counts[0])
    if (counts != width).any():
        found: NDArray[Any] = np.maximum.reduceat(near, np.cumsum(counts) - counts, axis=0)
        return found
    best = near.reshape(len(counts), width, -1)
    while width > 1 and width % 2 == 0:  # halving is twice as quick as one maximum along the middle
        width //= 2
        best = np.maximum(best[:, :width], best[:, width:])
    return np.asarray(best.max(axis=1))
