"""Parts of the stages of a search."""

from __future__ import annotations

import numpy as np
import pytest

from mainspring.library.index.scan import _best


@pytest.mark.parametrize("most", [1, 60, 900, 4_999, 5_000])
@pytest.mark.parametrize(
    "shape", ["random", "few values", "sorted", "high where none is sampled", "low but for the sample"]
)
def test_the_largest_are_chosen_whatever_lies_where(shape: str, most: int) -> None:
    chance = np.random.default_rng(most)
    scores = chance.random(5_000).astype(np.float32)
    if shape == "few values":
        scores = np.floor(scores * 3)
    elif shape == "sorted":
        scores = np.sort(scores)
    elif shape == "high where none is sampled":
        scores[np.arange(5_000) % 64 != 0] += 1
    elif shape == "low but for the sample":
        scores[::64] += 1
    chosen = _best(scores, most)
    assert len(np.unique(chosen)) == most
    assert (np.diff(chosen) > 0).all()
    assert np.array_equal(np.sort(scores[chosen]), np.sort(scores)[-most:])
