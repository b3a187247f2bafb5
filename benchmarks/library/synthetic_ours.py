"""The index on the synthetic pages, measured in a process of its own: ``build``, ``cold``, or ``search``."""

from __future__ import annotations

import json
import resource
import sys
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.library.peers_synthetic.timing import answer, bytes_under, given, one_core, timed

import numpy as np  # isort: skip  (after the number of threads is set)

ADD = 1_000


def _open(folder: Path) -> Any:
    from mainspring.library.embed.protocol import Space
    from mainspring.library.index import open_index

    return open_index(folder / "index", Space("synthetic", "1", 128))


def build() -> dict[str, Any]:
    """Add a thousand pages at a time, as a large folder would be, and compact once; making the pages does not count."""
    size, vectors, _, folder, _ = given()
    index = _open(folder)
    peak = _Peak()
    added = added_cpu = 0.0
    for begin in range(0, size.pages, ADD):
        pages = list(enumerate(np.ascontiguousarray(vectors[begin : begin + ADD]), begin))
        started, cpu = time.perf_counter(), time.process_time()
        index.add(pages)
        added += time.perf_counter() - started
        added_cpu += time.process_time() - cpu
    started, cpu = time.perf_counter(), time.process_time()
    index.compact()
    return {
        "add_s": added,
        "add_cpu_s": added_cpu,
        "build_s": added + time.perf_counter() - started,
        "build_cpu_s": added_cpu + time.process_time() - cpu,
        "peak_mb": peak.end(),
        "bytes": bytes_under(folder / "index"),
        "stats": dict(index.stats()),
        "problems": index.check(),
    }


def cold() -> dict[str, Any]:
    """From the start of the interpreter's own work to the first answer: imports, opening, search."""
    started = time.perf_counter()
    folder = Path(json.loads(sys.argv[1])["folder"])
    index = _open(folder)
    near = index.search(np.load(folder / "queries.npy")[0], 10)
    return {"cold_ms": (time.perf_counter() - started) * 1e3, "cold_cpu_s": time.process_time(), "found": len(near)}


def search() -> dict[str, Any]:
    """Latencies and answers, then how long an add and a removal take until a search shows them."""
    size, _, queries, folder, seconds = given()
    index = _open(folder)
    figures = timed(lambda query: [hit.page for hit in index.search(query, 10)], queries, seconds)
    chance = np.random.default_rng(1)
    added, removed = [], []
    for at in range(20):
        page = chance.standard_normal((size.vectors, 128)).astype(np.float32)
        page /= np.linalg.norm(page, axis=1, keepdims=True)
        number = size.pages + at
        started = time.perf_counter()
        index.add([(number, page)])
        if index.search(page[:20], 1)[0].page != number:
            raise AssertionError(f"page {number} was added and is not found")
        added.append((time.perf_counter() - started) * 1e3)
    for at in range(20):
        started = time.perf_counter()
        index.remove([size.pages + at])
        if size.pages + at in {hit.page for hit in index.search(queries[at % len(queries)], 10)}:
            raise AssertionError(f"page {size.pages + at} was removed and is found")
        removed.append((time.perf_counter() - started) * 1e3)
    return {**figures, "add_visible_ms": added, "remove_visible_ms": removed}


class _Peak:
    """Looks now and then how much memory the process holds itself; pages of mapped files are the system's to drop."""

    def __init__(self) -> None:
        self.mb = 0.0
        self._done = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            self.mb = max(self.mb, _own_mb())

    def end(self) -> float:
        """The most that was seen, in MB."""
        self._done.set()
        return max(self.mb, _own_mb())


def _own_mb() -> float:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))


if __name__ == "__main__":
    one_core()
    answer({"build": build, "cold": cold, "search": search}[sys.argv[2]]())
