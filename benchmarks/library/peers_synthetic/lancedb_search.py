"""LanceDB, its multivector column: without an index, and with its inverted files over eight-bit vectors."""

from __future__ import annotations

import shutil
import time
from importlib.metadata import version
from typing import Any

from benchmarks.library.peers_synthetic.timing import answer, bytes_under, given, one_core, timed

import lancedb  # isort: skip  (after the number of threads is set)
import numpy as np  # isort: skip
import pyarrow as pa  # isort: skip


def _table(begin: int, vectors: Any) -> Any:
    count, each, dim = vectors.shape
    flat = pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(vectors).reshape(-1)), dim)
    starts = pa.array(np.arange(0, (count + 1) * each, each, dtype=np.int32))
    return pa.table({"id": np.arange(begin, begin + count), "v": pa.ListArray.from_arrays(starts, flat)})


def main() -> None:
    """Measure it."""
    one_core()
    size, vectors, queries, folder, seconds = given()
    home = folder / "lancedb"
    shutil.rmtree(home, ignore_errors=True)
    started = time.perf_counter()
    table = lancedb.connect(str(home)).create_table("pages", _table(0, vectors[:1000]))
    for begin in range(1000, size.pages, 1000):
        table.add(_table(begin, vectors[begin : begin + 1000]))
    table.optimize()
    built = time.perf_counter() - started

    def searching(probes: int, refine: int) -> Any:
        def search(query: Any) -> list[int]:
            asked = table.search(query, vector_column_name="v").distance_type("cosine").limit(10)
            if probes:
                asked = asked.nprobes(probes)
            if refine:
                asked = asked.refine_factor(refine)
            return list(asked.select(["id", "_distance"]).to_arrow()["id"].to_pylist())

        return search

    ways = [{"way": "flat", "build_s": built, "bytes": bytes_under(home), **timed(searching(0, 0), queries, seconds)}]
    started = time.perf_counter()
    partitions = int(np.sqrt(size.pages * size.vectors))
    table.create_index("cosine", num_partitions=partitions, vector_column_name="v", index_type="IVF_SQ")
    built += time.perf_counter() - started
    for probes, refine in ((8, 0), (32, 0), (32, 10), (32, 20), (64, 20), (64, 50), (128, 100)):
        figures = timed(searching(probes, refine), queries, seconds)
        way = f"IVF_SQ nprobes={probes}" + (f" refine={refine}" if refine else "")
        ways.append({"way": way, "build_s": built, "bytes": bytes_under(home), **figures})
    answer({"version": version("lancedb"), "ways": ways})


if __name__ == "__main__":
    main()
