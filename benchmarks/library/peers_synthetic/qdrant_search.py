"""Qdrant's local mode (in the process, no server), its multivector with MaxSim."""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import Any

from benchmarks.library.peers_synthetic.timing import answer, given, one_core, timed

from qdrant_client import QdrantClient, models  # isort: skip  (after the number of threads is set)


def main() -> None:
    """Measure it."""
    one_core()
    size, vectors, queries, _, seconds = given()
    client = QdrantClient(":memory:")
    client.create_collection(
        "pages",
        vectors_config=models.VectorParams(
            size=vectors.shape[2],
            distance=models.Distance.DOT,
            multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
        ),
    )
    started = time.perf_counter()
    for begin in range(0, size.pages, 100):
        points = [
            models.PointStruct(id=begin + at, vector=page.tolist())
            for at, page in enumerate(vectors[begin : begin + 100])
        ]
        client.upsert("pages", points)
    built = time.perf_counter() - started

    def search(query: Any) -> list[int]:
        return [int(point.id) for point in client.query_points("pages", query=query.tolist(), limit=10).points]

    figures = timed(search, queries, seconds)
    answer(
        {
            "version": version("qdrant-client"),
            "ways": [{"way": "local", "build_s": built, "bytes": vectors.nbytes, **figures}],
        }
    )


if __name__ == "__main__":
    main()
