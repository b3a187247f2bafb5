"""The mean of a centred space: what is taken from document vectors, how it is kept, and how they are got back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mainspring.library.remote.answers import damaged

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Vectors that weigh as much as the guess that the mean is zero.
_PRIOR = 16


@dataclass(frozen=True, slots=True)
class Mean:
    """What is taken from documents: its number, its values (None before there is one), the vectors it was made from."""

    epoch: int = 0
    values: tuple[float, ...] | None = None
    tokens: int = 0

    def taken(self, vectors: NDArray[np.float32]) -> tuple[NDArray[np.float32], list[float]]:
        """Vectors without the mean, of length 1, and how long each was before that."""
        import numpy as np

        away = vectors if self.values is None else vectors - np.array(self.values, dtype=np.float32)
        norms = np.linalg.norm(away, axis=1)
        unit = np.asarray(away / np.where(norms > 0, norms, 1)[:, None], dtype=np.float32)
        return unit, [round(float(norm), 7) for norm in norms]

    def given_back(self, vectors: NDArray[np.float32], norms: list[float]) -> NDArray[np.float32]:
        """What the encoder made, as near as what was kept tells."""
        import numpy as np

        long = vectors * np.array(norms, dtype=np.float32)[:, None]
        return long if self.values is None else np.asarray(long + np.array(self.values), dtype=np.float32)

    def next(self, total: NDArray[np.float64], count: int) -> Mean:
        """The mean of `count` vectors with the sum `total`; few say little, so theirs is held back."""
        return Mean(self.epoch + 1, tuple(round(float(x), 9) for x in total / (count + _PRIOR)), count)


def packed(mean: Mean) -> dict[str, Any]:
    """As JSON."""
    return {"epoch": mean.epoch, "values": None if mean.values is None else list(mean.values), "tokens": mean.tokens}


def unpacked(value: Any, dim: int) -> Mean:
    """What `packed` was made from. Raises StoreError for anything else."""
    kept = value if isinstance(value, dict) else {}
    epoch, tokens, values = kept.get("epoch"), kept.get("tokens"), kept.get("values")
    counted = all(type(number) is int and 0 <= number < 1 << 53 for number in (epoch, tokens))
    if not counted or not (values is None or _numbers(values, dim)):
        raise damaged("no mean of vectors")
    return Mean(epoch, None if values is None else tuple(values), tokens)  # type: ignore[arg-type]


def _numbers(values: Any, dim: int) -> bool:
    """Whether these are as many numbers as a vector has, and of a size that means have."""
    if not isinstance(values, list) or len(values) != dim:
        return False
    return all(type(x) in (int, float) and math.isfinite(x) and abs(x) < 1e6 for x in values)
