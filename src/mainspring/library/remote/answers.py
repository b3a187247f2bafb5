"""What Qdrant answers, looked at before it is used: a server may be broken, taken over, or not Qdrant at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mainspring.errors import StoreError
from mainspring.library.index.protocol import Near

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def damaged(what: str) -> StoreError:
    """The error for an answer that none of our collections gives."""
    return StoreError(f"Qdrant answered {what}: the collection is damaged, or the server is none to be relied on")


def page_number(value: Any) -> int:
    """The number of a page. Raises StoreError for anything else."""
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise damaged(f"a page called {_short(value)}")
    return value


def whole(record: Any, name: str) -> int:
    """A whole number that was kept with a page. Raises StoreError."""
    value = (record.payload or {}).get(name)
    if type(value) is not int or not 0 <= value < 1 << 53:
        raise damaged(f"{_short(value)} as {name!r} of page {record.id}")
    return value


def near_of(points: Sequence[Any], most: int) -> list[Near]:
    """The pages that a search found; points that are no pages are left out. Raises StoreError."""
    found: dict[int, Near] = {}
    if len(points) > most:
        raise damaged(f"{len(points):,} pages where {most:,} were asked for")
    for point in points:
        if isinstance(point.id, str):
            continue
        number, score = page_number(point.id), point.score
        if number in found:
            raise damaged(f"page {number} twice")
        if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
            raise damaged(f"{_short(score)} as the score of page {number}")
        found[number] = Near(number, float(score))
    return list(found.values())


def vectors_of(record: Any, name: str, dim: int) -> tuple[NDArray[np.float32], list[float]]:
    """A page's vectors as they were kept, and how long each was. Raises StoreError."""
    import numpy as np

    try:
        rows = (record.vector or {}).get(name) or []
        with np.errstate(over="ignore"):
            vectors = np.array(rows, dtype=np.float32) if rows else np.zeros((0, dim), np.float32)
            norms = np.array(record.payload["norms"], dtype=np.float32)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        raise damaged(f"no vectors for page {record.id}") from None
    if vectors.ndim != 2 or vectors.shape[1] != dim or norms.shape != (len(vectors),):
        raise damaged(f"vectors of another shape for page {record.id}")
    if not (np.isfinite(vectors).all() and np.isfinite(norms).all()):
        raise damaged(f"vectors that are not finite for page {record.id}")
    return vectors, norms.tolist()


def _short(value: Any) -> str:
    said = repr(value)
    return said if len(said) <= 60 else said[:57] + "..."
