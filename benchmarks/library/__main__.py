"""``python -m benchmarks.library``: what the library finds, on a real bilingual set and on synthetic pages.

python -m benchmarks.library --json --peers
python -m benchmarks.library --only real --side tune
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # one thread, for the peers too; read when numpy is imported
    os.environ.setdefault(_name, "1")

from benchmarks.library import measure  # noqa: E402
from benchmarks.library.asked import SetError  # noqa: E402
from benchmarks.library.fetch import FetchError  # noqa: E402
from benchmarks.output import emit, machine, note, rounded, table  # noqa: E402
from benchmarks.peers.environment import cache_folder  # noqa: E402

#: The synthetic size whose figures stand at the top of the object.
SIZE = "10000x128"


def real(options: argparse.Namespace) -> dict[str, Any]:
    """One side of the real set, measured."""
    at = measure.opened(
        options.side, note, quick=options.quick, changed=options.changed_set, fresh=options.fresh and not options.quick
    )
    try:
        home = cache_folder() / "library"
        answers = measure.rankings(at, note, peers=options.peers, cache=home)
        told = measure.figures(at, answers)
        slices = told["slices"]
        main = slices.get("paraphrased") or slices["all"]
        return {
            "side": options.side,
            **measure.indexing_figures(at.took),
            "documents": len({page.document for page in at.corpus.pages}),
            "queries": len(at.asked),
            "ndcg10": main["ndcg10"]["hybrid"]["mean"],
            "bm25_ndcg10": main["ndcg10"][main["bm25"]]["mean"],
            "over_bm25": main["hybrid_over_bm25"],
            "kinds": {name: part for name, part in slices.items() if name not in ("en", "zh", "all")},
            "languages": {name: slices[name] for name in ("en", "zh") if name in slices},
            "all": slices["all"],
            "real_speed": told["speed"],
            "set": at.digests,
            "set_is_frozen": not options.changed_set and not options.quick,
        }
    finally:
        at.library.close()


def synthetic(options: argparse.Namespace) -> dict[str, Any]:
    """The synthetic sizes, from a process of their own: they bind themselves to one core."""
    from benchmarks.library import synthetic as module

    sizes = ("500x32",) if options.quick else module.SIZES
    found = module.measure(sizes, peers=options.peers and not options.quick)
    first = found["sizes"].get(SIZE, {})
    return {
        **{name: first.get(name) for name in ("p50_ms", "p95_ms", "recall10_vs_exact")},
        **{name: value for name, value in found.items() if name != "peers"},
        "peers": found["peers"],
    }


def show(figures: Mapping[str, Any]) -> None:
    """The real set's figures as tables."""
    parts = {**figures["kinds"], **figures["languages"], "all": figures["all"]}
    systems = list(figures["all"]["ndcg10"])
    rows = [
        [name, part["queries"], *(part["ndcg10"][system]["mean"] for system in systems)] for name, part in parts.items()
    ]
    print(f"nDCG@10, {figures['side']} side: {figures['pages']} pages, {figures['queries']} queries")
    print(table(["", "queries", *systems], rows))
    print()
    rows = [[name, part["bm25"], *_against(part)] for name, part in parts.items()]
    print(table(["hybrid", "BM25 of", "ratio", "95% interval", "difference", "95% interval", "over dense"], rows))
    print()
    rows = [[name, speed["p50_ms"], speed["p95_ms"]] for name, speed in figures["real_speed"].items()]
    print(table(["a search", "p50 ms", "p95 ms"], rows))
    print()
    names = ("kb_per_page", "index_s_per_page", "read_pages_per_s", "encode_pages_per_s", "ocr_s_per_page")
    print(table(list(names), [[figures[name] for name in names]]))


def _against(part: Mapping[str, Any]) -> list[Any]:
    over, dense = part["hybrid_over_bm25"], part["hybrid_over_dense"]
    ratio = None if over["ratio"] is None else f"{over['ratio_low']:.2f} to {over['ratio_high']:.2f}"
    gap = f"{over['difference_low']:+.3f} to {over['difference_high']:+.3f}"
    return [over["ratio"], ratio, over["difference"], gap, dense["ratio"]]


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.library", description=__doc__)
    parser.add_argument("--json", action="store_true", help="accepted for all benchmarks; the object is always printed")
    parser.add_argument("--peers", action="store_true", help="measure other systems too")
    parser.add_argument("--quick", action="store_true", help="a few pages of this project; the figures say nothing")
    parser.add_argument("--only", choices=("real", "synthetic"), help="one of the two parts")
    parser.add_argument("--side", choices=("test", "tune"), default="test", help="of the real set (default test)")
    parser.add_argument("--fresh", action="store_true", help="index the real set again")
    parser.add_argument("--changed-set", action="store_true", help="measure it although it is not the frozen one")
    options = parser.parse_args(arguments)
    began = time.perf_counter()
    found: dict[str, Any] = {"peers": {}}
    try:
        if options.only != "synthetic":
            found |= real(options)
            show(found)
        if options.only != "real":
            found |= synthetic(options)
            rows = [[name, one["p50_ms"], one["p95_ms"], one["recall10_vs_exact"]] for name, one in _rows(found)]
            print()
            print(table(["synthetic", "p50 ms", "p95 ms", "recall@10"], rows))
    except (SetError, FetchError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as error:
        print(f"error: {error}; what went wrong stands above", file=sys.stderr)
        return 1
    found["skipped"] = [part for part in ("real", "synthetic") if options.only not in (None, part)]
    found["skipped"] += [] if options.peers else ["peers"]
    found["seconds"] = rounded(time.perf_counter() - began)
    emit({**found, "machine": machine(cache_folder())})
    return 0


def _rows(found: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    rows: list[tuple[str, Mapping[str, Any]]] = []
    for name, ours in found["sizes"].items():
        rows += [(name, ours), *((f"  {way}", figures) for way, figures in ours.get("peers", {}).items())]
    return rows


if __name__ == "__main__":
    sys.exit(main())
