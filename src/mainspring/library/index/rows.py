"""Pages that wait in the manifest until there are enough of them for a segment."""

from __future__ import annotations

import zlib

import numpy as np

from mainspring.library.index.numbers import F32

#: Longest vector that is taken. Products of longer ones would leave the range of float32.
LONGEST = 1e15


def encode(vectors: F32) -> tuple[int, bytes]:
    """A page as bytes, with their CRC-32: a float32 scale for each vector, then float16 numbers of at most 1."""
    if not len(vectors):
        return 0, b""
    scale = np.abs(vectors).max(axis=1).astype("<f4")
    safe = np.where(scale > 0, scale, np.float32(1.0))
    blob = scale.tobytes() + (vectors / safe[:, None]).astype("<f2").tobytes()
    return zlib.crc32(blob), blob


def decode(count: int, crc: int, blob: bytes, dim: int) -> F32 | None:
    """What `encode` was given, to half a thousandth; None when the bytes are not those that were written."""
    if len(blob) != count * (4 + 2 * dim) or zlib.crc32(blob) != crc:
        return None
    scale = np.frombuffer(blob, "<f4", count)
    numbers = np.frombuffer(blob, "<f2", count * dim, 4 * count).reshape(count, dim)
    return np.asarray(numbers.astype(np.float32) * scale[:, None], dtype=np.float32)
