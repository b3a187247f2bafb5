"""Vectors and an exact reference for the index's tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from mainspring.library.embed.protocol import Space

DIM = 16
SPACE = Space("test", "1", DIM)


def unit(made: Any) -> Any:
    long = np.linalg.norm(made, axis=-1, keepdims=True)
    return np.asarray(made / np.where(long > 0, long, 1), dtype=np.float32)


def vectors(seed: int, count: int, dim: int = DIM) -> Any:
    return unit(np.random.default_rng(seed).standard_normal((count, dim)))


def maxsim(query: Any, page: Any) -> float:
    return float((query @ page.T).max(axis=1).sum())


def best(query: Any, pages: dict[int, Any], k: int) -> list[int]:
    """Page numbers by exact MaxSim."""
    scored = sorted((-maxsim(query, kept), page) for page, kept in pages.items() if len(kept))
    return [page for _, page in scored[:k]]


def themed(seed: int, pages: int, count: int, dim: int = DIM, spread: float = 0.7) -> dict[int, Any]:
    """Pages of eight that are like each other, so that there is something to find."""
    chance = np.random.default_rng(seed)
    out = {}
    for group in range(-(-pages // 8)):
        themes = unit(chance.standard_normal((12, dim)))
        for page in range(group * 8, min(pages, group * 8 + 8)):
            noise = unit(chance.standard_normal((count, dim)))
            out[page] = unit(themes[chance.integers(0, 12, count)] + spread * noise)
    return out


def asks(seed: int, pages: dict[int, Any], count: int = 8) -> Any:
    """A query made of noisy vectors of one of the pages."""
    chance = np.random.default_rng(seed)
    page = pages[sorted(pages)[int(chance.integers(0, len(pages)))]]
    found = page[chance.integers(0, len(page), count)]
    return unit(found + 0.5 * unit(chance.standard_normal(found.shape)))
