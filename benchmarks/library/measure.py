"""Measures one side of the set: every system's rankings, what they are worth, and how long they take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.library import asked, build, derive, frozen, indexing, scoring, systems
from benchmarks.library import quick as quick_set
from benchmarks.library.asked import Query
from benchmarks.library.build import Made
from benchmarks.library.documents import Side
from benchmarks.peers.environment import cache_folder
from mainspring.library.evaluate.metrics import bootstrap, percentile
from mainspring.library.library import Library

#: What is taken for BM25: on each slice of the queries the better of the two.
BM25 = ("fts5", "bm25s")


@dataclass(frozen=True, slots=True)
class Opened:
    """One side, indexed: its library, its queries with what answers them, and what indexing took."""

    side: Side
    library: Library
    corpus: systems.Corpus
    asked: list[scoring.Asked]
    took: indexing.Indexed
    digests: dict[str, str]

    @property
    def texts(self) -> list[str]:
        """What is asked."""
        return [one.query.text for one in self.asked]


def opened(
    side: Side, note: Callable[[str], None], *, quick: bool = False, changed: bool = False, fresh: bool = False
) -> Opened:
    """Make a side of the set, and index it.

    Args:
        quick: a few of this project's own pages instead; the figures mean nothing.
        changed: measure it although it is not the frozen one.
        fresh: index it again.

    Raises:
        FetchError, SetError: the set cannot be made, or is another than the frozen one.
    """
    home = cache_folder() / "library"
    if quick:
        side = "test"
        made = quick_set.make(home)
        queries = derive.derived(side, made)
    else:
        made = [one for one in build.make(note=note) if one.piece.side == side]
        queries = asked.written(side, made, check=not changed) + derive.derived(side, made)
    digests = frozen.digests(side, made, queries)
    if not changed and not quick:
        frozen.check(side, digests)
    name = f"{side}-quick" if quick else side
    note(f"indexing {side}: {len(made)} documents ...")
    library, took = indexing.indexed(name, made[0].file.parent, home, note, key=digests["pages"], fresh=fresh)
    try:
        corpus = systems.Corpus(library)
        return Opened(side, library, corpus, judged(queries, made, corpus), took, digests)
    except BaseException:
        library.close()
        raise


def judged(queries: Sequence[Query], made: Sequence[Made], corpus: systems.Corpus) -> list[scoring.Asked]:
    """The queries with the grades of the groups of pages that answer them."""
    by_name = {one.piece.name: one for one in made}
    pages = corpus.by_document()
    found = []
    for query in queries:
        grades: dict[int, float] = {}
        for page, grade in asked.grades(query, by_name, pages).items():
            group = corpus.group[page]
            grades[group] = max(grade, grades.get(group, 0.0))
        found.append(scoring.Asked(query, grades))
    return found


def rankings(at: Opened, note: Callable[[str], None], *, peers: bool, cache: Path) -> dict[str, systems.Answers]:
    """Every system's answers, as groups of pages."""
    texts = at.texts
    found: dict[str, systems.Answers] = {}
    dense = systems.Dense(at.corpus, cache)
    try:
        for mode in ("text", "meaning", "hybrid"):
            note(f"asking ours, {mode}: {len(texts)} queries ...")
            found[mode] = systems.ours(at.library, texts, mode)
        found["fts5"] = systems.fts5(at.library, texts)
        note("asking the dense vectors of the same encoder ...")
        found["dense"] = dense.plain(texts)
        found["dense_centred"] = dense.less_means(texts)
        if peers:
            for name, environment in (("bm25s", systems.BM25S), ("lancedb_fts", systems.LANCEDB)):
                note(f"asking {name} ...")
                found[name] = systems.peer(name, environment, at.corpus, texts, dense)
            note("asking lancedb_hybrid ...")
            found["lancedb_hybrid"] = systems.peer("lancedb_hybrid", systems.LANCEDB, at.corpus, texts, dense)
    finally:
        dense.close()
    return {name: (at.corpus.groups(ranked), times) for name, (ranked, times) in found.items()}


def scores(at: Opened, answers: Mapping[str, systems.Answers]) -> dict[str, list[float]]:
    """nDCG@10 of each query, by system."""
    return {name: scoring.each(at.asked, ranked) for name, (ranked, _) in answers.items()}


def figures(at: Opened, answers: Mapping[str, systems.Answers]) -> dict[str, Any]:
    """All that is told of a side: on each slice of its queries every system, and ours against BM25 and dense."""
    each = scores(at, answers)
    parts = scoring.slices(at.asked)
    told: dict[str, Any] = {}
    for name, numbers in parts.items():
        mine = {system: [values[n] for n in numbers] for system, values in each.items()}
        bm25 = max((system for system in BM25 if system in mine), key=lambda system: sum(mine[system]))
        dense = max(("dense", "dense_centred"), key=lambda system: sum(mine[system]))
        told[name] = {
            "queries": len(numbers),
            "ndcg10": {system: _interval(values) for system, values in mine.items()},
            "bm25": bm25,
            "hybrid_over_bm25": _short(scoring.compared(mine["hybrid"], mine[bm25])),
            "hybrid_over_dense": _short(scoring.compared(mine["hybrid"], mine[dense])),
            "meaning_over_dense": _short(scoring.compared(mine["meaning"], mine[dense])),
        }
    speed = {
        name: {"p50_ms": round(percentile(times, 0.5), 2), "p95_ms": round(percentile(times, 0.95), 2)}
        for name, (_, times) in answers.items()
    }
    return {"slices": told, "speed": speed}


def indexing_figures(took: indexing.Indexed) -> dict[str, Any]:
    """What indexing cost."""
    digital = max(took.pages - took.scanned, 1)
    return {
        "pages": took.pages,
        "scanned_pages": took.scanned,
        "kb_per_page": round(took.bytes / took.pages / 1000, 2),
        "index_s_per_page": round((took.read_s + took.encode_s) / digital, 3),
        "read_pages_per_s": round(took.pages / took.read_s, 2) if took.read_s else None,
        "encode_pages_per_s": round(digital / took.encode_s, 2) if took.encode_s else None,
        "ocr_s_per_page": None if took.ocr_kept or not took.scanned else round(took.ocr_s / took.scanned, 2),
        "library_kept": took.kept,
    }


def _interval(values: Sequence[float]) -> dict[str, float]:
    found = bootstrap(values, rounds=scoring.ROUNDS, seed=scoring.SEED)
    return {"mean": round(found.mean, 4), "low": round(found.low, 4), "high": round(found.high, 4)}


def _short(values: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: None if value is None else round(value, 4) for name, value in values.items()}
