"""`mainspring library eval`: how good, how fast and how large a library is, on queries whose answers are known."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mainspring.cli.approvals import json_option
from mainspring.cli.output import Output, note
from mainspring.cli.render import columns, count, safe
from mainspring.cli.search import library_option, opened

if TYPE_CHECKING:
    from mainspring.library.evaluate import Evaluation, Interval, Judged
    from mainspring.library.library import Library

_COMPLAINTS = 10


@click.command("eval")
@click.argument("queries", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@library_option
@click.option("--modes", default="text,meaning,hybrid", show_default=True, metavar="MODE,...", help="What to compare.")
@click.option("--rerank", metavar="NAME", help="Also the last mode with this reranker behind it.")
@click.option("--from-journal", is_flag=True, help="Queries that runs asked, and the pages that they then used.")
@click.option("--trusted", is_flag=True, help="Of these only such in which no outsider had a say.")
@click.option("--write", type=click.Path(dir_okay=False, path_type=Path), help="Write the journal's queries here.")
@click.option("--dataset", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A ViDoRe-style folder.")
@click.option("--language", default="", metavar="NAME", help="Only the data set's queries in this language.")
@json_option
def eval_(
    queries: Path | None,
    name: str,
    modes: str,
    rerank: str | None,
    from_journal: bool,
    trusted: bool,
    write: Path | None,
    dataset: Path | None,
    language: str,
    json_: bool,
) -> None:
    """Measure a library: nDCG@10, recall, MRR with 95% intervals, time of a search, kilobytes a page.

    A line of QUERIES is {"query": "...", "relevant": ["manual.pdf#3"]}; grades as {"manual.pdf#3": 2}; "kind" as you
    like.

    \b
    Examples:
      mainspring library eval queries.jsonl
      mainspring library eval queries.jsonl --modes text,hybrid --json
      mainspring library eval --from-journal --write real.jsonl
      mainspring library eval --dataset vidore_v3_hr --language english
    """
    if (queries is not None) + from_journal + (dataset is not None) != 1:
        raise click.UsageError("say which queries: a file, --from-journal, or --dataset FOLDER")
    if not from_journal and (trusted or write is not None):
        raise click.UsageError("--trusted and --write go with --from-journal")
    from mainspring.library.evaluate import as_json, evaluate, read_queries

    chosen = [mode.strip() for mode in modes.split(",") if mode.strip()]
    with contextlib.ExitStack() as stack:
        if dataset is not None:
            library, judged = stack.enter_context(_of_dataset(dataset, language))
        else:
            library = stack.enter_context(opened(name))
            judged = read_queries(queries) if queries is not None else _of_journal(library, name, trusted, write)
        reranker = None
        if rerank is not None:
            from mainspring.library.rerank import open_reranker

            reranker = open_reranker(rerank)
        if "meaning" in chosen and library.problem:
            note(f"mainspring: without meaning: {safe(library.problem)}")
            chosen = [mode for mode in chosen if mode != "meaning"]
        with _progress() as progress:
            found = evaluate(library, judged, modes=chosen, reranker=reranker, progress=progress)
    output = Output.plain()
    if json_:
        for line in as_json(found):
            output.json(line)
    else:
        _print(output, found)
    for complaint in found.complaints[:_COMPLAINTS]:
        note(f"mainspring: {safe(complaint, exact=True)}")
    if len(found.complaints) > _COMPLAINTS:
        note(f"mainspring: and {len(found.complaints) - _COMPLAINTS:,} more names that the library does not have")


def _of_journal(library: Library, name: str, trusted: bool, write: Path | None) -> list[Judged]:
    from mainspring.errors import ToolError
    from mainspring.library.evaluate import judged_runs, write_queries
    from mainspring.store import open_store

    judged = judged_runs(open_store(), library.catalog, library=name, trusted=trusted)
    if not judged:
        raise ToolError("no run has searched this library and then read or cited a page that is still there")
    if write is not None:
        note(f"wrote {write_queries(judged, write):,} queries to {write}")
    return judged


@contextlib.contextmanager
def _of_dataset(folder: Path, language: str) -> Iterator[tuple[Library, list[Judged]]]:
    """A library of a data set's pages, named for its folder, and the queries."""
    import re

    from mainspring.library.evaluate import read_dataset, resolved, write_pages
    from mainspring.library.library import Library, place_of

    read = read_dataset(folder, language=language)
    name = f"eval-{re.sub(r'[^A-Za-z0-9._-]', '-', folder.resolve().name)[:50]}"
    pages = place_of(name).parent.parent / "evaluated" / name
    note(f"{read.pages:,} pages, {len(read.queries):,} queries; pages in {pages}, library {name}")
    write_pages(read, pages)
    with Library.open(name) as library:
        report = library.index(pages)
        for line in report.notes:
            note(f"mainspring: {safe(line)}")
        yield library, resolved(read, pages)


def _print(output: Output, found: Evaluation) -> None:
    size = "" if found.bytes_per_page is None else f", {found.bytes_per_page / 1000:.1f} kB a page"
    output.text(f"{found.queries:,} queries, {found.pages:,} pages{size}\n")
    kinds = list(dict.fromkeys(kind for mode in found.modes for kind in mode.kinds))
    rows = [
        (
            mode.name,
            _shown(mode.ndcg10),
            _shown(mode.recall10),
            f"{mode.mrr10.mean:.3f}",
            f"{mode.p50_ms:.1f}",
            f"{mode.p95_ms:.1f}",
        )
        for mode in found.modes
    ]
    output.text("\n".join(columns(rows, ("MODE", "NDCG@10", "RECALL@10", "MRR@10", "P50 MS", "P95 MS"))))
    if kinds:
        by_kind = [
            (safe(kind, exact=True), *(f"{m.kinds[kind].mean:.3f}" if kind in m.kinds else "" for m in found.modes))
            for kind in kinds
        ]
        output.text("\n" + "\n".join(columns(by_kind, ("NDCG@10 BY KIND", *(mode.name for mode in found.modes)))))
    for comparison in found.comparisons:
        d = comparison.difference
        sure = "" if d.low > 0 or d.high < 0 else ", may be chance"
        output.text(f"\n{comparison.better} over {comparison.than}: {d.mean:+.3f} [{d.low:+.3f}, {d.high:+.3f}]{sure}")


def _shown(interval: Interval) -> str:
    return f"{interval.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[int, int], None] | None]:
    """A bar with a rate on standard error where that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("searching", total=None)

        def told(done: int, whole: int) -> None:
            rate = bar.tasks[0].speed or 0.0
            description = f"searched {count(done)} of {count(whole)}, {rate:.0f}/s"
            bar.update(task, completed=done, total=whole, description=description)

        yield told
