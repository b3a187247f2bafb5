"""How fast the index is on synthetic pages, how much of exact search it finds, and what others need for the same.

    python -m benchmarks.library.synthetic --json --peers
    python -m benchmarks.library.synthetic --size 10000x700 --size 100000x128
    python -m benchmarks.library.synthetic --size 1000000x128 --queries 50    # an hour and a half, 45 GB

Every system runs alone in its process on one core, over the same vectors (`synthetic_data` says how they are made),
with the same queries. Recall is the share of the ten best pages of exact MaxSim in float32 that are found.
Ratios compare medians, of CPU time as well, because wall time on a busy machine says more of its neighbours.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.library.peers_synthetic import timing
from benchmarks.output import emit, machine, note, rounded, table
from benchmarks.peers.environment import QUIET, Peer, cache_folder, ensure

import numpy as np  # isort: skip  (after the number of threads is set)

from benchmarks.library.synthetic_data import Size, World, exact, opened, write

ROOT = Path(__file__).resolve().parents[2]
SIZES = ("10000x128", "10000x700", "100000x128")
QUERIES = 200
SECONDS = 60
TIMEOUT_S = 7_200
#: A recall that is enough to compare times at.
ENOUGH = 0.97
#: Vectors up to which a system is measured: Qdrant's local mode warns of more than 20,000 points itself; the others
#: read every vector for each query, or build for hours.
LARGEST = {"qdrant_local": 20_000 * 128, "numpy": 200_000 * 128, "lancedb": 200_000 * 128}
PEERS = (
    Peer("lancedb", "lancedb.txt", "benchmarks.library.peers_synthetic.lancedb_search", "import lancedb"),
    Peer(
        "qdrant_local", "qdrant_local.txt", "benchmarks.library.peers_synthetic.qdrant_search", "import qdrant_client"
    ),
)


def measure(sizes: Sequence[str] = SIZES, peers: bool = False, queries: int = QUERIES) -> dict[str, Any]:
    """Figures of every size.

    Args:
        sizes: such as ``"10000x128"``: pages and vectors a page.
        peers: whether to measure other systems too.
        queries: how many.

    Returns:
        ``sizes``: for each its figures; among them ``peers``: for each way of each system p50_ms, cpu_ms,
        recall10_vs_exact, build_s, and ``slower``: how many times its median is ours (``slower_cpu``: of CPU time);
        ``times_faster`` and ``times_faster_cpu``: the least of these among those of at least our recall,
        ``times_faster_enough``: of at least `ENOUGH`; ``skipped``. Those of the first size also stand outside.
        ``growth``: how p50 grows with the pages, as a power.
    """
    results: dict[str, Any] = {"sizes": {}, "peers": {}}
    for at, name in enumerate(sizes):
        pages, vectors = (int(part) for part in name.split("x"))
        scratch = Path(tempfile.mkdtemp(prefix=f"synthetic-{name}-", dir=cache_folder()))
        try:
            truth = _prepare(Size(pages, vectors), scratch, queries)
            results["sizes"][name] = ours = _ours(Size(pages, vectors), scratch, truth)
            note(f"{name}: p50 {ours['p50_ms']} ms, recall {ours['recall10_vs_exact']}")
            if peers:
                found, skipped = _peers(Size(pages, vectors), scratch, truth, ours)
                results["sizes"][name] = ours = {**ours, "peers": found, "skipped": skipped, **_faster(found, ours)}
            if peers and at == 0:
                results |= {key: ours[key] for key in ("peers", *_faster({}, ours))}
        finally:
            shutil.rmtree(scratch)
    small, large = (results["sizes"].get(name) for name in ("10000x128", "100000x128"))
    if small and large:
        results["growth"] = rounded(float(np.log10(large["p50_ms"] / small["p50_ms"])), 3)
        results["growth_cpu"] = rounded(float(np.log10(large["cpu_ms"] / small["cpu_ms"])), 3)
    return results


def _faster(found: Mapping[str, Mapping[str, Any]], ours: Mapping[str, Any]) -> dict[str, Any]:
    """How many times our time the quickest way takes that finds as much as we, or at least `ENOUGH`."""
    out: dict[str, Any] = {}
    for name, least in (("times_faster", ours["recall10_vs_exact"]), ("times_faster_enough", ENOUGH)):
        equal = [figures for figures in found.values() if figures["recall10_vs_exact"] >= least]
        out[name] = min((figures["slower"] for figures in equal), default=None)
        out[f"{name}_cpu"] = min((figures["slower_cpu"] for figures in equal), default=None)
    return out


def _prepare(size: Size, scratch: Path, queries: int) -> Any:
    note(f"{size.name}: making vectors ...")
    write(size, scratch / "vectors.f32")
    asked = World(size).queries(queries)
    np.save(scratch / "queries.npy", asked)
    note(f"{size.name}: exact search for {queries} queries ...")
    return np.argsort(-exact(opened(size, scratch / "vectors.f32"), asked), axis=1)[:, :10]


def _ours(size: Size, scratch: Path, truth: Any) -> dict[str, Any]:
    note(f"{size.name}: building ...")
    module = "benchmarks.library.synthetic_ours"
    built = _child(sys.executable, module, size, scratch, "build")
    cold = [_child(sys.executable, module, size, scratch, "cold") for _ in range(5)]
    found = _child(sys.executable, module, size, scratch, "search")
    return {
        **_figures(found, truth),
        "kb_per_page": rounded(built["bytes"] / size.pages / 1024),
        "build_s": rounded(built["build_s"]),
        "build_cpu_s": rounded(built["build_cpu_s"]),
        "build_peak_mb": rounded(built["peak_mb"]),
        "cold_ms": rounded(statistics.median(each["cold_ms"] for each in cold)),
        "cold_cpu_ms": rounded(statistics.median(each["cold_cpu_s"] for each in cold) * 1e3),
        "add_visible_ms": rounded(statistics.median(found["add_visible_ms"])),
        "add_visible_p95_ms": rounded(float(np.percentile(found["add_visible_ms"], 95))),
        "remove_visible_ms": rounded(statistics.median(found["remove_visible_ms"])),
        "problems": built["problems"],
    }


def _peers(size: Size, scratch: Path, truth: Any, ours: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    results: dict[str, Any] = {}
    too_large = [name for name, most in LARGEST.items() if size.pages * size.vectors > most]
    exact_numpy = ("numpy", sys.executable, "benchmarks.library.peers_synthetic.exact_numpy")
    systems = [] if "numpy" in too_large else [exact_numpy]
    skipped = [f"{name}: more vectors than it is measured with" for name in too_large]
    for peer in PEERS:
        if peer.name in too_large:
            continue
        try:
            systems.append((peer.name, str(ensure(peer)), peer.loop))
        except subprocess.CalledProcessError as error:
            note(f"{peer.name}: cannot be installed: {error}")
            skipped.append(f"{peer.name}: cannot be installed")
    for name, python, module in systems:
        note(f"{name}: measuring ...")
        try:
            answer = _child(python, module, size, scratch)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            note(f"{name}: {error}")
            skipped.append(f"{name}: {str(error).splitlines()[-1]}")
            continue
        for way in answer["ways"]:
            figures = _figures(way, truth)
            note(f"{name} {way['way']}: p50 {figures['p50_ms']} ms, recall {figures['recall10_vs_exact']}")
            results[f"{name} {way['way']}"] = {
                **figures,
                "version": answer["version"],
                "build_s": rounded(way["build_s"]),
                "kb_per_page": rounded(way["bytes"] / size.pages / 1024),
                "slower": rounded(figures["p50_ms"] / ours["p50_ms"], 3),
                "slower_cpu": rounded(figures["cpu_ms"] / ours["cpu_ms"], 3),
            }
    return results, skipped


def _figures(answer: dict[str, Any], truth: Any) -> dict[str, Any]:
    found = answer["found"]
    hits = [len(set(pages) & set(right.tolist())) / 10 for pages, right in zip(found, truth, strict=False)]
    return {
        "queries": len(found),
        "p50_ms": rounded(statistics.median(answer["wall_ms"])),
        "p95_ms": rounded(float(np.percentile(answer["wall_ms"], 95))),
        "cpu_ms": rounded(statistics.median(answer["cpu_ms"])),
        "recall10_vs_exact": rounded(statistics.mean(hits)),
    }


def _child(python: str, module: str, size: Size, scratch: Path, *more: str) -> dict[str, Any]:
    asked = json.dumps({"size": asdict(size), "folder": str(scratch), "seconds": SECONDS})
    done = subprocess.run(
        [python, "-m", module, asked, *more],
        cwd=ROOT,
        env={**os.environ, **QUIET},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{module} failed:\n{done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.library.synthetic", description=__doc__)
    parser.add_argument("--size", action="append", help=f"pages x vectors a page (default {', '.join(SIZES)})")
    parser.add_argument("--peers", action="store_true", help="measure other systems too")
    parser.add_argument("--queries", type=int, default=QUERIES)
    parser.add_argument("--json", action="store_true", help="only the JSON object")
    chosen = parser.parse_args(arguments)
    results = {**measure(chosen.size or SIZES, chosen.peers, chosen.queries), **machine(cache_folder())}
    if not chosen.json:
        rows: list[list[Any]] = []
        for name, ours in results["sizes"].items():
            rows.append([name, *_row(ours)])
            rows += [[f"  {way}", *_row(figures)] for way, figures in ours.get("peers", {}).items()]
        print(table(["", "p50 ms", "p95 ms", "CPU ms", "recall@10", "KB a page", "build s", "slower (CPU)"], rows))
    emit(results)
    return 0


def _row(figures: dict[str, Any]) -> list[Any]:
    names = ("p50_ms", "p95_ms", "cpu_ms", "recall10_vs_exact", "kb_per_page", "build_s", "slower_cpu")
    return [figures.get(name) for name in names]


if __name__ == "__main__":
    timing.one_core()
    sys.exit(main())
