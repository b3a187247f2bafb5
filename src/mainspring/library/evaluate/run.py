"""A library measured: how good its modes are on queries with known answers, how fast, how large."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from mainspring.errors import ToolError
from mainspring.library.catalog.protocol import Catalog
from mainspring.library.embed.protocol import Reranker
from mainspring.library.evaluate.metrics import Interval, bootstrap, mrr, ndcg, percentile, recall
from mainspring.library.evaluate.queries import Judged, Names, grades
from mainspring.library.page import Hit
from mainspring.library.search.find import MODES, Mode


class Measurable(Protocol):
    """What is measured of a library."""

    @property
    def catalog(self) -> Catalog: ...

    def search(self, query: str, *, k: int = 10, mode: Mode = "hybrid", rerank: Any = None) -> list[Hit]: ...


@dataclass(frozen=True, slots=True)
class ModeResult:
    """How one mode did.

    Args:
        name: the mode, such as ``"hybrid"``, or ``"hybrid+rerank"``.
        ndcg10, recall10, mrr10: means over the queries with 95% bootstrap intervals.
        p50_ms, p95_ms: time of a whole search, snippets included.
        kinds: nDCG@10 by kind of query.
        each: nDCG@10 of each query, in order, for comparisons.
    """

    name: str
    ndcg10: Interval
    recall10: Interval
    mrr10: Interval
    p50_ms: float
    p95_ms: float
    kinds: Mapping[str, Interval]
    each: tuple[float, ...] = field(repr=False, default=())


@dataclass(frozen=True, slots=True)
class Comparison:
    """The difference of nDCG@10 between two modes on the same queries; real where the interval does not hold 0."""

    better: str
    than: str
    difference: Interval


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured.

    Args:
        queries: how many were asked; pages: how many the library holds.
        modes: one result each.
        comparisons: each mode against the first.
        complaints: names in the queries that the library does not have.
        bytes_per_page: on disk, catalog and vectors; None where the library does not say.
    """

    queries: int
    pages: int
    modes: tuple[ModeResult, ...]
    comparisons: tuple[Comparison, ...]
    complaints: tuple[str, ...]
    bytes_per_page: float | None = None


def evaluate(
    library: Measurable,
    queries: Sequence[Judged],
    *,
    modes: Sequence[str] = ("text", "meaning", "hybrid"),
    reranker: Reranker | None = None,
    seed: int = 1,
    progress: Callable[[int, int], None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Evaluation:
    """Measure a library's modes on queries whose answers are known.

    Pages with the same text count as one hit, as a search shows them: any of their places may be the relevant one.

    Args:
        reranker: measured as a further mode over the last one, ``NAME+rerank``.
        progress: told how many searches are done, of how many.

    Raises:
        ToolError: a mode is unknown, or the library holds none of the queries' pages.
    """
    unknown = [mode for mode in modes if mode not in MODES]
    if unknown or not modes:
        raise ToolError(f"there is no mode {', '.join(unknown) or 'named'}; use some of {', '.join(MODES)}")
    judged, complaints = grades(queries, Names(library.catalog))
    if not judged:
        told = "\n".join(complaints[:10])
        raise ToolError(f"the library holds no page that the queries name:\n{told}")
    plans: list[tuple[str, Mode, Reranker | None]] = [(mode, mode, None) for mode in MODES if mode in modes]
    plans.sort(key=lambda plan: list(modes).index(plan[0]))
    if reranker is not None:
        plans.append((f"{plans[-1][0]}+rerank", plans[-1][1], reranker))
    results = []
    whole = len(plans) * len(judged)
    for number, (name, mode, again) in enumerate(plans):
        _search(library, judged[0][0].query, mode, None)  # the first search opens files and loads weights
        done = number * len(judged)
        told_of = None if progress is None else (lambda n, at=done: progress(at + n, whole))
        results.append(_measured(library, judged, name, mode, again, seed, told_of, clock))
    first = results[0]
    comparisons = [
        Comparison(r.name, first.name, bootstrap([a - b for a, b in zip(r.each, first.each, strict=True)], seed=seed))
        for r in results[1:]
    ]
    pages = sum(document.pages for document in library.catalog.documents())
    size = _bytes(library)
    per_page = None if size is None or not pages else size / pages
    return Evaluation(len(judged), pages, tuple(results), tuple(comparisons), tuple(complaints), per_page)


def _measured(
    library: Measurable,
    judged: Sequence[tuple[Judged, Mapping[int, float]]],
    name: str,
    mode: Mode,
    reranker: Reranker | None,
    seed: int,
    progress: Callable[[int], None] | None,
    clock: Callable[[], float],
) -> ModeResult:
    scores: dict[str, list[float]] = {"ndcg": [], "recall": [], "mrr": []}
    times: list[float] = []
    kinds: dict[str, list[float]] = {}
    for number, (query, graded) in enumerate(judged, 1):
        began = clock()
        hits = _search(library, query.query, mode, reranker)
        times.append((clock() - began) * 1000.0)
        ranked = [_best_place(hit, graded) for hit in hits]
        scores["ndcg"].append(ndcg(ranked, graded))
        scores["recall"].append(recall(ranked, graded))
        scores["mrr"].append(mrr(ranked, graded))
        kinds.setdefault(query.kind, []).append(scores["ndcg"][-1])
        if progress is not None:
            progress(number)
    return ModeResult(
        name,
        bootstrap(scores["ndcg"], seed=seed),
        bootstrap(scores["recall"], seed=seed),
        bootstrap(scores["mrr"], seed=seed),
        percentile(times, 0.5),
        percentile(times, 0.95),
        {kind: bootstrap(values, seed=seed) for kind, values in sorted(kinds.items()) if kind},
        tuple(scores["ndcg"]),
    )


def _search(library: Measurable, query: str, mode: Mode, reranker: Reranker | None) -> list[Hit]:
    try:
        if reranker is not None:
            return library.search(query, k=10, mode=mode, rerank=reranker)
        return library.search(query, k=10, mode=mode)
    except ToolError:
        return []  # a query without words finds nothing, and counts so


def _best_place(hit: Hit, graded: Mapping[int, float]) -> int:
    places = [hit.page.id, *(page.id for page in hit.also)]
    return max(places, key=lambda id_: graded.get(id_, 0.0))


def _bytes(library: Measurable) -> float | None:
    stats: Callable[[], Mapping[str, float]] | None = getattr(library, "stats", None)
    if stats is None:
        return None
    said = stats()
    sizes = [float(said[name]) for name in ("catalog_bytes", "index_bytes") if name in said]
    return sum(sizes) if sizes else None


def as_json(evaluation: Evaluation) -> list[dict[str, Any]]:
    """What was measured as JSON objects: one for each mode, one for each comparison."""
    lines: list[dict[str, Any]] = []
    size = evaluation.bytes_per_page
    for mode in evaluation.modes:
        lines.append(
            {
                "mode": mode.name,
                "queries": evaluation.queries,
                "pages": evaluation.pages,
                "ndcg10": _interval(mode.ndcg10),
                "recall10": _interval(mode.recall10),
                "mrr10": _interval(mode.mrr10),
                "p50_ms": round(mode.p50_ms, 2),
                "p95_ms": round(mode.p95_ms, 2),
                "kb_per_page": None if size is None else round(size / 1000, 2),
                "kinds": {kind: _interval(interval) for kind, interval in mode.kinds.items()},
            }
        )
    lines += [
        {"better": c.better, "than": c.than, "ndcg10_difference": _interval(c.difference)}
        for c in evaluation.comparisons
    ]
    return lines


def _interval(interval: Interval) -> dict[str, float]:
    return {"mean": round(interval.mean, 4), "low": round(interval.low, 4), "high": round(interval.high, 4)}
