"""How long a whole `mainspring search` takes in a fresh process, in a library of ten thousand pages.

    python -m benchmarks.library.cold --json

The library is made through the real indexing, of seeded text with about 128 tokens a page. Only the encoder's work is
saved: each page gets as many vectors as it has tokens, drawn from those of a few hundred encoded sentences, with noise.
A search reads all that it would read otherwise: catalog, words, index, weights. Modules are compiled once, by the
search that goes before, as in an installation; also where the environment forbids Python to keep what it compiles.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.output import emit, machine, note, rounded, table
from benchmarks.peers.environment import cache_folder
from mainspring.library.embed.e5 import E5Embedder
from mainspring.library.embed.protocol import Encoded, Item, Space
from mainspring.library.library import Library

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = 10_000
TOGETHER = 100
WORDS = 90
RUNS = 11
NOISE = 0.3
QUERIES = ("how long does a lease last", "wie lange gilt die Erlaubnis", "撤销后多久生效", "retry after a crash")
MODES = ("hybrid", "meaning", "text")


class Drawn:
    """The default embedder's space, without its work: see the module."""

    def __init__(self, sentences: Sequence[str], seed: int = 6) -> None:
        self._real = E5Embedder()
        self._chance = np.random.default_rng(seed)
        self._pool = np.concatenate([found.vectors for found in self._real.documents(list(sentences))])

    @property
    def space(self) -> Space:
        """That of the default embedder."""
        return self._real.space

    def documents(self, items: Sequence[Item]) -> list[Encoded]:
        """Vectors of the pool, as many as the text has tokens."""
        found = []
        for item in items:
            spans = self._real.spans(str(item))
            drawn = self._pool[self._chance.integers(0, len(self._pool), len(spans))]
            noise = self._chance.standard_normal(drawn.shape, dtype=np.float32) / np.sqrt(drawn.shape[1])
            drawn = drawn + np.float32(NOISE) * noise
            found.append(Encoded(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), spans))
        return found

    def queries(self, items: Sequence[Item]) -> list[Encoded]:
        """As the default embedder."""
        return self._real.queries(items)

    def close(self) -> None:
        """Free it."""
        self._real.close()


def make(home: Path, pages: int) -> None:
    """A library of so many pages below `home`, which the command opens as its default one."""
    words = re.findall(r"[A-Za-z][A-Za-z'-]*[.,]?", " ".join(p.read_text("utf-8") for p in sorted(DOCS.glob("*.md"))))
    chance = np.random.default_rng(6)
    folder = home / "texts"
    folder.mkdir(parents=True)
    for first in range(0, pages, TOGETHER):
        starts = chance.integers(0, len(words) - WORDS, min(TOGETHER, pages - first))
        text = "".join(f"# Page {first + at}\n\n{' '.join(words[s : s + WORDS])}\n\n" for at, s in enumerate(starts))
        (folder / f"notes-{first // TOGETHER:04}.md").write_text(text, "utf-8")
    drawn = Drawn([" ".join(words[at : at + 40]) for at in range(0, len(words) - 40, len(words) // 300)])
    with Library.open(home=home, embedder=drawn) as library:
        library.index(folder, ocr="off")
        library.compact()
        library.catalog.set("embedder", "default")  # whose vectors they could be


def measure(pages: int, runs: int) -> dict[str, Any]:
    """Median and best seconds of fresh processes for each way of searching, and their CPU seconds."""
    home = cache_folder() / f"cold-{pages}"
    if not (home / "made").is_file():
        shutil.rmtree(home, ignore_errors=True)
        note(f"making a library of {pages} pages ...")
        make(home, pages)
        (home / "made").touch()
    with Library.open(home=home) as library:
        there = library.catalog.counts()["pages"]
    results: dict[str, Any] = {"pages": there, "runs": runs}
    for mode in MODES:
        clock, cpu = [], []
        for at in range(runs + 1):
            wall, used = _search(home, QUERIES[at % len(QUERIES)], mode)
            if at:  # the first one reads the files into memory
                clock.append(wall)
                cpu.append(used)
        results[mode] = {
            "cold_s": rounded(statistics.median(clock)),
            "best_s": rounded(min(clock)),
            "cold_cpu_s": rounded(statistics.median(cpu)),
            "best_cpu_s": rounded(min(cpu)),
        }
    results["cold_search_s"] = results[MODES[0]]["cold_s"]
    results["cold_search_cpu_s"] = results[MODES[0]]["cold_cpu_s"]
    return results


def _search(home: Path, query: str, mode: str) -> tuple[float, float]:
    command = [sys.executable, "-m", "mainspring", "search", query, "--mode", mode, "--json"]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    own = {"MAINSPRING_HOME": str(home), "PYTHONPYCACHEPREFIX": str(home / "compiled")}
    done = subprocess.run(command, env=kept | own, capture_output=True, text=True, check=True)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if mode != "text" and "by words only" in done.stderr:
        raise RuntimeError(done.stderr)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.library.cold", description=__doc__)
    parser.add_argument("--pages", type=int, default=PAGES, help=f"of the library (default {PAGES})")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"processes for each mode (default {RUNS})")
    parser.add_argument("--json", action="store_true", help="only the JSON object")
    chosen = parser.parse_args(arguments)
    results = {**measure(chosen.pages, chosen.runs), "machine": machine(cache_folder())}
    if not chosen.json:
        rows = [
            [mode, *(results[mode][name] for name in ("cold_s", "best_s", "cold_cpu_s", "best_cpu_s"))]
            for mode in MODES
        ]
        print(table(["a whole search", "median s", "best s", "CPU s", "best CPU s"], rows))
    emit(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
