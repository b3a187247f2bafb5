"""Types of arrays, and the two ways of making vectors small: fewer of them, and fewer bits for each."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

F32: TypeAlias = NDArray[np.float32]
F16: TypeAlias = NDArray[np.float16]
I8: TypeAlias = NDArray[np.int8]
I64: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]

#: Vectors that a page is pooled to. Pages of many more vectors get more: one for every `POOL_SHARE`, up to `POOL_MOST`.
POOL = 32
POOL_SHARE = 16
POOL_MOST = 128


def pooled_count(count: int) -> int:
    """To how many vectors a page of `count` is pooled."""
    if count <= POOL:
        return count
    return min(max(POOL, -(-count // POOL_SHARE)), POOL_MOST)


def pooled_counts(counts: I64) -> I64:
    """`pooled_count` of each."""
    many = np.clip(-(-counts // POOL_SHARE), POOL, POOL_MOST)
    return np.where(counts <= POOL, counts, many).astype(np.int64)


def pool(vectors: F32, count: int, rounds: int = 3) -> F32:
    """The vectors of one page as `count` vectors: k-means over the page, each mean as long as its members are.

    The order of the vectors is the only seed, so that the same page always gives the same. Token pooling for late
    interaction is from Clavié et al., "Reducing the Footprint of Multi-Vector Retrieval with Minimal Performance
    Impact via Token Pooling" (2024), which clusters hierarchically; k-means with a few rounds costs a tenth of it.
    """
    n = len(vectors)
    if n <= count:
        return vectors
    centres = vectors[np.linspace(0, n - 1, count).astype(np.int64)]
    lengths = np.linalg.norm(vectors, axis=1)
    member = np.arange(n)
    for _ in range(rounds):
        code = (vectors @ centres.T).argmax(axis=1)
        chosen = np.zeros((count, n), dtype=np.float32)
        chosen[code, member] = 1.0
        sums = chosen @ vectors
        size = np.linalg.norm(sums, axis=1)
        held = chosen.sum(axis=1)
        mean_length = (chosen @ lengths) / np.maximum(held, 1.0)
        empty = size <= 1e-12
        factor = np.where(empty, 0.0, mean_length / np.where(empty, 1.0, size))
        centres = sums * factor[:, None].astype(np.float32)
        if empty.any():
            # A page always has its full number of vectors, so that files are laid out before they are computed:
            # the vector that its centre says least of takes the free place.
            worst = np.argsort((vectors * centres[code]).sum(axis=1) - lengths**2, kind="stable")
            centres[empty] = vectors[worst[: int(empty.sum())]]
    return np.ascontiguousarray(centres, dtype=np.float32)


def quantise(vectors: F32) -> tuple[I8, F32]:
    """Eight bits a number with one scale a vector: ``codes * scale[:, None]`` is near the vectors."""
    if len(vectors) == 0:
        return np.zeros(vectors.shape, np.int8), np.zeros(0, np.float32)
    scale = np.abs(vectors).max(axis=1).astype(np.float32) / np.float32(127.0)
    safe = np.where(scale > 0, scale, np.float32(1.0))
    return np.rint(vectors / safe[:, None]).astype(np.int8), scale


def quantise_pages(vectors: F32, counts: I64) -> tuple[I8, F32]:
    """As `quantise`, with one scale a page, so that the largest of its products is known before they are scaled.

    Args:
        vectors: of all pages, one page after another.
        counts: how many vectors each page has.
    """
    scale = np.zeros(len(counts), dtype=np.float32)
    filled = counts > 0
    if filled.any():
        longest = np.abs(vectors).max(axis=1)
        scale[filled] = np.maximum.reduceat(longest, (np.cumsum(counts) - counts)[filled]) / np.float32(127.0)
    safe = np.repeat(np.where(scale > 0, scale, np.float32(1.0)), counts)
    return np.rint(vectors / safe[:, None]).astype(np.int8), scale


def dequantise(codes: I8, scale: F32) -> F32:
    """What `quantise` kept."""
    return codes.astype(np.float32) * scale[:, None]


def spans(starts: I64, counts: I64) -> I64:
    """The numbers ``start, start + 1, ... start + count - 1`` of all spans, one after another."""
    total = int(counts.sum())
    ends = np.cumsum(counts)
    return np.repeat(starts - (ends - counts), counts) + np.arange(total, dtype=np.int64)


def offsets(counts: I64) -> I64:
    """Where each of the pieces begins, and behind the last where it ends."""
    out = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=out[1:])
    return out
