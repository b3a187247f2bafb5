"""An index run: find files, read them, take out what is gone."""

from __future__ import annotations

import os
import shlex
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from mainspring.errors import ToolError
from mainspring.library.catalog import SQLiteCatalog, Vouched
from mainspring.library.ingest.discover import FoundFile, Walk, roots_of
from mainspring.library.ingest.drawing import Open
from mainspring.library.ingest.hearing import Hearing, WordsBeside
from mainspring.library.ingest.reading import Done, Reader
from mainspring.library.ingest.report import Meter, Report, Tell
from mainspring.library.read.protocol import ReadLimits
from mainspring.library.sight.transcripts import Transcriber


@dataclass(frozen=True, slots=True)
class Options:
    """How folders are indexed.

    Args:
        exclude: patterns as in .gitignore of what is left out.
        hidden: also files and folders whose name begins with a dot.
        said: what the person says of who wrote the documents, and who may read them.
        jobs: files that are read at the same time; 0: one a processor.
        again: read also what looks unchanged.
        limits: how much of each file is read.
        transcriber: writes down what is said in recordings and films without words beside them.
    """

    exclude: tuple[str, ...] = ()
    hidden: bool = False
    said: Vouched = field(default_factory=Vouched)
    jobs: int = 0
    again: bool = False
    limits: ReadLimits = field(default_factory=ReadLimits)
    transcriber: Transcriber | None = None


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read_paths(
    catalog: SQLiteCatalog,
    paths: Sequence[str | Path],
    options: Options,
    *,
    open_file: Open,
    keep_out: Sequence[Path],
    report: Report,
    tell: Tell | None = None,
    stopped: threading.Event | None = None,
) -> None:
    """Bring the catalog in step with the files at and below some paths; without any, with all that were indexed before.

    The caller holds the right to index. What happened goes into `report`.

    Args:
        keep_out: folders that are never entered.
        stopped: ends the work when it is set; what was read is kept.

    Raises:
        ToolError: a path does not exist.
        StoreError: the disk is full, or the catalog is damaged; what was read before is kept.
    """
    stopped = stopped or threading.Event()
    roots = _settled(catalog, paths, options, report)
    hearing = Hearing(catalog, options.transcriber, stopped)
    reader = Reader(
        catalog,
        open_file,
        options.limits,
        jobs=options.jobs or processors(),
        hearing=hearing,
        again=options.again,
        stopped=stopped,
    )
    walks = {root: _walk(kept, keep_out) for root, kept in roots.items()}
    found, finding = Meter("find", tell), Meter("read", tell)
    there: set[int] = set()

    limited = _limited(catalog.roots())
    nested = any(parent in walks for root in walks for parent in root.parents)
    seen: set[Path] = set()
    beside = WordsBeside()

    def files() -> Iterator[tuple[FoundFile, Vouched]]:
        for root, walk in walks.items():
            for file in walk.files(root, stopped.is_set):
                if nested and not file.named:
                    if file.path in seen:
                        continue  # it was found below another root
                    seen.add(file.path)
                finding.total = found.done + 1
                found.step(what=str(file.path))
                beside.note(file.path)
                if catalog.is_forgotten(str(file.path)):
                    if not (file.named and paths):
                        continue
                    catalog.remember_again(str(file.path))
                said = _said(options.said, file.path, limited)
                if file.named or not beside.keep(file, said):
                    yield file, said

    def rest() -> Iterator[tuple[FoundFile, Vouched]]:
        """Files of words that are not found with a recording; all others have been read."""
        for file, said, recordings in beside.kept():
            known = catalog.known(str(file.path))
            if (known is not None and known.named) or not hearing.stands_in(file.path, recordings):
                yield file, said

    for done in chain(reader.read_all(files()), reader.read_all(rest())):
        finding.step(what=done.uri)
        if done.document:
            there.add(done.document)
        if done.outcome != "other" or not paths or Path(done.uri) not in walks:
            _count(report, done)
        else:  # a person named it, and is told
            report.failed.append((done.uri, "it is no document of a kind that can be read"))
            catalog.drop_root(done.uri)
    finding.step(0, now=True)
    for walk in walks.values():
        report.links += walk.links
        report.failed += [(name, "its name is not valid UTF-8; rename it") for name in walk.badly_named]
        report.failed += [(folder, f"the folder cannot be read: {why}") for folder, why in walk.closed]
    if stopped.is_set():
        report.interrupted = True
        return
    _take_out(catalog, walks, there, report)


def _settled(
    catalog: SQLiteCatalog, paths: Sequence[str | Path], options: Options, report: Report
) -> dict[Path, Mapping[str, object]]:
    """The roots, each with the options that hold for it; those of a person's are kept for later runs."""
    before = catalog.roots()
    if paths:
        roots = roots_of(paths)
    else:
        roots = []
        for name in before:
            known = catalog.known(name)
            if os.path.exists(name):
                roots.append(Path(name))
            elif known is not None and os.path.isdir(os.path.dirname(name)):
                report.removed += catalog.remove([known.id])
                catalog.drop_root(name)
            else:
                report.notes.append(
                    f"{name} is not there; what was indexed of it is kept "
                    f"(remove it with: mainspring library remove {shlex.quote(name)})"
                )
        if not before:
            raise ToolError("nothing was indexed yet; name files or folders: mainspring index PATH...")
    settled: dict[Path, Mapping[str, object]] = {}
    for root in roots:
        kept = before.get(str(root), {})
        readers = options.said.readers
        mine = {
            "exclude": list(options.exclude) or kept.get("exclude", []),
            "hidden": options.hidden or bool(kept.get("hidden")),
            "readers": kept.get("readers") if readers is None else sorted(readers),
        }
        if mine != kept:
            catalog.set_root(str(root), mine)
        settled[root] = mine
    return settled


def _walk(kept: Mapping[str, object], keep_out: Sequence[Path]) -> Walk:
    patterns = kept["exclude"]
    assert isinstance(patterns, list)
    return Walk(exclude=tuple(map(str, patterns)), hidden=bool(kept["hidden"]), keep_out=keep_out)


def _limited(roots: Mapping[str, Mapping[str, object]]) -> list[tuple[Path, frozenset[str]]]:
    """The roots whose files only some people may read, each with these."""
    kept = ((Path(name), options.get("readers")) for name, options in roots.items())
    return [(root, frozenset(map(str, readers))) for root, readers in kept if isinstance(readers, list)]


def _said(said: Vouched, path: Path, limited: Sequence[tuple[Path, frozenset[str]]]) -> Vouched:
    """What is said of a file: a new one has no more readers than every root that it lies below was given before,
    whichever of them is indexed now."""
    if said.readers is not None:
        return said
    within = [readers for root, readers in limited if root == path or root in path.parents]
    return Vouched(said.trust, frozenset.intersection(*within), said.by) if within else said


def _count(report: Report, done: Done) -> None:
    if done.outcome == "indexed":
        report.indexed += 1
        report.pages += done.pages
        if done.problem:
            report.partly.append((done.uri, done.problem))
    elif done.outcome == "unchanged":
        report.unchanged += 1
    elif done.outcome == "other":
        report.others += 1
    elif done.outcome == "failed":
        report.failed.append((done.uri, done.problem))


def _take_out(catalog: SQLiteCatalog, walks: Mapping[Path, Walk], there: set[int], report: Report) -> None:
    """Remove documents below the roots whose file is gone or left out now."""
    for root, walk in walks.items():
        held = catalog.below(str(root))
        closed = [f"{folder.rstrip('/')}/" for folder, _ in walk.closed]
        gone = [
            id_
            for id_, uri, named in held
            if id_ not in there
            and not uri.startswith(tuple(closed))  # nothing is known of what is below
            and not (named and os.path.isfile(uri))  # a person named it, whatever is left out of its folder
        ]
        if gone and not walk.met and not closed:
            report.notes.append(
                f"{root} is empty now, perhaps because a disk is not mounted: its {len(held)} documents are kept "
                f"(remove them with: mainspring library remove {shlex.quote(str(root))})"
            )
            continue
        report.removed += catalog.remove(gone)
