"""What an encoder gave back, made sure of: shape, finite numbers, unit length; and a short sketch of its weights."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mainspring.errors import ModelError
from mainspring.library.embed.protocol import Vectors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Encoded once when nobody says which weights a server runs. Never changed: the sketches that exist stand for it.
PROBE = "The water wheel turns the mill; 水車推動磨坊; page 17, table 3: 42 kW."
#: Bits of 64 in which two sketches of the same weights may differ: servers round differently from batch to batch.
SAME_BITS = 6


def in_order(data: Any, count: int, wrong: Callable[[str], ModelError]) -> list[dict[str, Any]]:
    """The `count` objects of an answer's list, by their ``index``.

    Raises:
        ModelError: made by `wrong`: they are not as many as were asked for, or not one for each place.
    """
    if not isinstance(data, list) or not all(isinstance(one, dict) for one in data):
        raise wrong("it has no list of results")
    if len(data) != count:
        raise wrong(f"it holds {len(data)} results for {count} items")
    places = [one.get("index", place) for place, one in enumerate(data)]
    if any(isinstance(place, bool) or not isinstance(place, int) for place in places) or sorted(places) != list(
        range(count)
    ):
        raise wrong("its results are not numbered one for each item")
    return [one for _, one in sorted(zip(places, data, strict=True), key=lambda pair: pair[0])]


def matrix(value: Any, dim: int, wrong: Callable[[str], ModelError], *, multi: bool) -> Vectors:
    """float32 of shape (n, dim) with rows of length 1, from nested lists or an array.

    Args:
        value: lists of numbers, or a NumPy array; for one vector (not `multi`) a single list will do.
        dim: numbers that each vector must have; 0 takes what comes.
        wrong: makes the error from what is wrong.
        multi: whether there may be more than one row.

    Raises:
        ModelError: it is text, not rectangular, of another dimension, not finite, or holds a vector of zeros.
    """
    import numpy as np

    if isinstance(value, str):
        raise wrong(
            "the vectors came as base64, not as the numbers asked for; use a server that keeps to `encoding_format`"
        )
    try:
        with np.errstate(over="ignore"):  # what is too large for float32 is refused below
            found = np.asarray(value, dtype=np.float32)
    except (ValueError, TypeError, OverflowError):
        raise wrong("its vectors are not rectangular lists of numbers") from None
    if found.ndim == 1 and not multi:
        found = found.reshape(1, -1)
    if found.ndim != 2 or found.shape[1] == 0:
        shape = "x".join(map(str, found.shape))
        hint = "one vector a token" if multi else "one vector an item"
        raise wrong(f"vectors of shape {shape} where {hint} was asked for; serve the model for that task")
    if not multi and found.shape[0] != 1:
        raise wrong(f"{found.shape[0]} vectors for one item; this is a multi-vector model: use 'vllm:'")
    if dim and found.shape[1] != dim:
        raise wrong(f"vectors of {found.shape[1]} numbers, not {dim}; the server runs another model or dimension")
    if not np.isfinite(found).all():
        raise wrong("vectors with NaN or infinity; serve the model with --dtype bfloat16 or float32")
    lengths = np.linalg.norm(found.astype(np.float64), axis=1, keepdims=True)
    if (lengths < 1e-12).any():
        raise wrong("a vector of zeros, which has no direction; the model's answers are broken")
    return np.ascontiguousarray(found / lengths, dtype=np.float32)


def patches_first(vectors: Vectors, before: int, grid: tuple[int, int]) -> Vectors:
    """Rows put in the order of `Encoded`: the patches' row by row, then all others."""
    import numpy as np

    end = before + grid[0] * grid[1]
    return np.concatenate([vectors[before:end], vectors[:before], vectors[end:]])


def sketch(vectors: Vectors) -> str:
    """64 bits that nearly always differ between two sets of weights, and hardly by rounding: the signs of 64 sums.

    Each sum adds and subtracts the numbers of the mean vector by a fixed pattern of signs (a random projection in
    the manner of Charikar 2002).
    """
    mean = vectors.mean(axis=0)
    bits = (_signs(mean.shape[0]) @ mean) > 0
    return f"{int(''.join('1' if bit else '0' for bit in bits), 2):016x}"


def differs(one: str, other: str) -> int:
    """In how many bits two sketches differ; 64 when either is none."""
    try:
        return (int(one, 16) ^ int(other, 16)).bit_count()
    except ValueError:
        return 64


@functools.cache
def _signs(dim: int) -> NDArray[np.float32]:
    import numpy as np

    rows = []
    for row in range(64):
        data = hashlib.shake_256(f"mainspring sketch {row}".encode()).digest((dim + 7) // 8)
        rows.append(np.unpackbits(np.frombuffer(data, dtype=np.uint8))[:dim].astype(np.float32) * 2 - 1)
    return np.stack(rows)
