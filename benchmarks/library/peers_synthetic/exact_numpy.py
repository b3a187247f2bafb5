"""Exact MaxSim in NumPy over vectors in memory: one matrix product a block, no index."""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import Any

from benchmarks.library.peers_synthetic.timing import answer, given, one_core, timed

import numpy as np  # isort: skip  (after the number of threads is set)


def main() -> None:
    """Measure it."""
    one_core()
    size, vectors, queries, _, seconds = given()
    started = time.perf_counter()
    flat = np.array(vectors).reshape(-1, vectors.shape[2])
    build = time.perf_counter() - started
    step = 256 * size.vectors

    def search(query: Any) -> list[int]:
        scores = np.empty(size.pages, dtype=np.float32)
        for begin in range(0, len(flat), step):
            near = flat[begin : begin + step] @ query.T
            first = begin // size.vectors
            block = near.reshape(-1, size.vectors, len(query)).max(axis=1).sum(axis=1)
            scores[first : first + len(block)] = block
        best = np.argpartition(-scores, 10)[:10]
        return list(best[np.argsort(-scores[best])])

    figures = timed(search, queries, seconds)
    answer({"version": version("numpy"), "ways": [{"way": "exact", "build_s": build, "bytes": flat.nbytes, **figures}]})


if __name__ == "__main__":
    main()
