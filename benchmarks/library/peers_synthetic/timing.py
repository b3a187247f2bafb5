"""What all measured systems share: one core, the same vectors and queries, the same clock."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LANCE_CPU_THREADS", "RAYON_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402  (after the number of threads is set)

from benchmarks.library.synthetic_data import Size, opened  # noqa: E402


def one_core() -> None:
    """Stay on one core, whatever threads are started."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[-1]})


def given() -> tuple[Size, Any, Any, Path, int]:
    """From the command line: size, pages' vectors, queries, scratch folder and the most seconds to search."""
    asked = json.loads(sys.argv[1])
    size = Size(**asked["size"])
    folder = Path(asked["folder"])
    return size, opened(size, folder / "vectors.f32"), np.load(folder / "queries.npy"), folder, asked["seconds"]


def timed(search: Callable[[Any], Sequence[int]], queries: Any, seconds: float) -> dict[str, Any]:
    """Search for each query, one after another, after three that do not count; at least five, then as time allows."""
    for query in queries[:3]:
        search(query)
    wall, cpu, found = [], [], []
    until = time.monotonic() + seconds
    for query in queries:
        before, before_cpu = time.perf_counter(), time.process_time()
        pages = search(query)
        cpu.append((time.process_time() - before_cpu) * 1e3)
        wall.append((time.perf_counter() - before) * 1e3)
        found.append([int(page) for page in pages])
        if len(found) >= 5 and time.monotonic() > until:
            break
    return {"wall_ms": wall, "cpu_ms": cpu, "found": found}


def bytes_under(folder: Path) -> int:
    """Size of all files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def answer(value: dict[str, Any]) -> None:
    """Print the result, last."""
    print(json.dumps(value), flush=True)
