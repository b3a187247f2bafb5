"""`Library`: a folder of documents made searchable, with their labels kept."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from mainspring.errors import ModelError, StoreError, ToolError
from mainspring.library.catalog import SQLiteCatalog, Vouched, open_catalog
from mainspring.library.embed.protocol import Embedder, Picture, Reranker
from mainspring.library.ingest.encoding import Encoding, missing
from mainspring.library.ingest.lock import indexing
from mainspring.library.ingest.meaning import Meaning
from mainspring.library.ingest.report import Meter, Progress, Report, Tell
from mainspring.library.ingest.run import Options, read_paths
from mainspring.library.page import Document, Hit, StoredPage, Where
from mainspring.library.read.protocol import Reading, ReadLimits
from mainspring.library.search import Explanation, Mode, Neighbours, Side, explain, find, neighbours

if TYPE_CHECKING:
    from PIL.Image import Image

    from mainspring.library.ask import Answer
    from mainspring.model import Model

Ocr: TypeAlias = Literal["auto", "off", "now"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


class Library:
    """Documents, pictures and recordings, found by their words and by their meaning.

    Open one with :meth:`open`, and close it after use, or use it in a `with` block. Safe to use from several threads;
    several processes may have it open, of which one at a time indexes.
    """

    def __init__(self, folder: Path, embedder: str | Embedder | None = None) -> None:
        """Use :meth:`open`, which knows where libraries are."""
        self.folder = folder
        self.catalog: SQLiteCatalog = open_catalog(folder)
        self._stopped = threading.Event()
        try:
            self._meaning = Meaning(self.catalog, folder, embedder)
        except BaseException:
            self.catalog.close()
            raise

    @classmethod
    def open(
        cls, name: str = "default", home: str | Path | None = None, embedder: str | Embedder | None = None
    ) -> Library:
        """Open a library, or make it.

        Args:
            name: letters, digits, ``.``, ``-`` and ``_``.
            home: where Mainspring keeps its things; default ``MAINSPRING_HOME`` or ``~/.mainspring``.
            embedder: what makes its vectors: a name for :func:`mainspring.library.embed.open_embedder`, ``"none"`` for
                a library that is searched by words only, or an embedder. A library has one for good (see
                :meth:`reembed`); None is the one that it has, for a new one ``"default"``.

        Raises:
            ToolError: the name cannot be used.
            StoreError: it is damaged, of a newer version, cannot be written, or has another embedder.
        """
        folder = place_of(name, home)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return cls(folder, embedder)

    def __enter__(self) -> Library:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop what works in the background, and close all files."""
        self._stopped.set()
        self._meaning.close()
        self.catalog.close()

    # --- indexing ---

    def index(
        self,
        paths: str | Path | Sequence[str | Path] = (),
        *,
        exclude: Sequence[str] = (),
        hidden: bool = False,
        trust: bool = False,
        readers: Iterable[str] | None = None,
        by: str = "",
        ocr: Ocr = "auto",
        jobs: int = 0,
        again: bool = False,
        limits: ReadLimits | None = None,
        progress: Tell | None = None,
        wait: bool = True,
    ) -> Report:
        """Bring the library in step with files and folders; without any, with all that were indexed before.

        New and changed files are read, those that are gone are taken out, all others are left as they are. It can be
        killed at any moment: what was done stays, and the next call goes on.

        Args:
            paths: files, folders, patterns such as ``~/notes/*.md``.
            exclude: patterns as in .gitignore of what is left out; kept for later calls. A file ``.mainspringignore``
                in a folder does the same for what is below it.
            hidden: also what begins with a dot.
            trust: the words are the person's own, so that they may carry authority. Else they are a stranger's.
            readers: who may read them; None means anyone (or as before).
            by: the person who says so, which is kept.
            ocr: read scans and pictures ``"now"``, or after all texts are searchable (``"auto"``), or not (``"off"``).
            jobs: files that are read at the same time; 0: one a processor.
            again: read also what looks unchanged.
            limits: how much of each file is read.
            progress: is told how it goes.
            wait: wait for another process that is indexing this library; else fail.

        Raises:
            ToolError: a path does not exist, or a pattern cannot be used.
            StoreError: the disk is full, a file of the library is damaged, or another process is indexing.
        """
        began = time.monotonic()
        said = Vouched(trust, None if readers is None else frozenset(readers), by)
        options = Options(tuple(exclude), hidden, said, jobs, again, limits or ReadLimits())
        named = [paths] if isinstance(paths, str | Path) else list(paths)
        report = Report()
        with self._indexing(progress, wait):
            read_paths(
                self.catalog,
                named,
                options,
                open_file=self._open_file,
                keep_out=[self.folder.parent.resolve()],
                report=report,
                tell=progress,
                stopped=self._stopped,
            )
            self._encode(report, progress)
        report.unread = len(self.catalog.waiting(limit=1_000_000))
        report.seconds = time.monotonic() - began
        return report

    def _indexing(self, progress: Tell | None, wait: bool) -> Any:
        def waiting(holder: str) -> None:
            if progress is not None:
                progress(Progress("wait", 0, 0, 0.0, holder))

        return indexing(self.folder, wait=wait, waiting=waiting, stopped=self._stopped)

    def _encode(self, report: Report, progress: Tell | None) -> None:
        """Give pages their vectors; without an embedder, words find them all the same."""
        try:
            side = self._meaning.for_index()
            if side is None:
                return
            meter = Meter("encode", progress)
            report.encoded += self._encoding(side).run(meter)
            meter.step(0, now=True)
        except ModelError as error:
            report.notes.append(f"pages are found by words only: {error}")
        side, _ = self._meaning.for_search()
        report.unencoded = len(missing(self.catalog, side.index)[0]) if side else self.catalog.counts()["pages"]

    def _encoding(self, side: Side) -> Encoding:
        return Encoding(self.catalog, side.index, side.embedder, self._open_file, ReadLimits(), self._stopped)

    def reembed(self, embedder: str | Embedder | None = None, progress: Tell | None = None) -> Report:
        """Make all vectors anew with another embedder, or with the same one after it changed.

        They are built beside the old ones, with which searches go on, and take their place when they are whole. Killed
        or stopped before, it goes on with the next call.

        Raises:
            ModelError: the embedder cannot be used, or failed.
            StoreError: the disk is full, or another process indexes.
        """
        began = time.monotonic()
        report = Report()

        def build(side: Side) -> None:
            meter = Meter("encode", progress)
            report.encoded = self._encoding(side).run(meter)
            meter.step(0, now=True)
            if self._stopped.is_set():
                raise StoreError("it was stopped; call it again to go on")

        with self._indexing(progress, True):
            self._meaning.switch(embedder if embedder is not None else self._meaning.name, build)
        report.seconds = time.monotonic() - began
        return report

    # --- searching ---

    def search(
        self,
        query: str | Picture,
        k: int = 10,
        where: Where | None = None,
        mode: Mode = "hybrid",
        rerank: Reranker | None = None,
    ) -> list[Hit]:
        """The pages that answer a query best, best first.

        In a query a "quoted phrase" must occur on the page, and a word with a minus before it must not. Where pages
        have no vectors, or the embedder cannot be used, ``hybrid`` searches by words; :attr:`problem` says so.

        Args:
            query: text, or a picture where the embedder takes pictures.
            k: how many pages.
            where: which pages may be returned.
            mode: ``hybrid``, ``text`` (words only) or ``meaning`` (vectors only).
            rerank: puts the best pages in order by reading each together with the query.

        Raises:
            ToolError: the query has no words, or `k` or `mode` cannot be used.
            ModelError: `mode` is ``meaning`` and there is no embedder to be used.
        """
        side, problem = (None, "") if mode == "text" else self._meaning.for_search()
        if side is None and mode == "meaning":
            raise ModelError(f"the library cannot be searched by meaning: {problem}")
        index, embedder = (side.index, side.embedder) if side is not None else (None, None)
        if side is None and mode == "hybrid" and not isinstance(query, Picture):
            mode = "text"
        hits = find(self.catalog, index, embedder, query, k=k, where=where, mode=mode, reranker=rerank)
        if isinstance(query, str):
            self.catalog.asked(query, [hit.page.id for hit in hits])
        return hits

    @property
    def problem(self) -> str:
        """Why searches go by words only; "" when they do not."""
        return self._meaning.for_search()[1]

    def explain(self, hit: Hit, query: str | Picture) -> Explanation:
        """Why a page was found: which word of the query met what, drawn as a heat map on its picture where it has one.

        Raises:
            ToolError: the query has no words.
            ModelError: the embedder failed.
        """
        side, _ = self._meaning.for_search()
        drawn: Callable[[int], Image] | None = None
        if hit.page.page.pictured:
            drawn = lambda width: self.picture(hit.page, width)  # noqa: E731
        return explain(hit, query, [side] if side is not None else [], source=drawn)

    async def ask(self, question: str, model: Model, *, k: int = 8, where: Where | None = None) -> Answer:
        """Answer a question from the library, with citations that were checked against the pages.

        Raises:
            ToolError: the question is empty.
            ModelError: the model failed.
        """
        from mainspring.library.ask import ask

        return await ask(self, question, model, k=k, where=where)

    def page(self, id_: int) -> StoredPage:
        """Raises StoreError when there is none of this number (any more)."""
        found = self.catalog.pages([id_])
        if not found:
            raise StoreError(f"the library has no page {id_} (any more); search again")
        return found[0]

    def neighbours(self, hit: Hit | StoredPage) -> Neighbours:
        """The pages before and after one, and those of its section."""
        return neighbours(self.catalog, hit.page if isinstance(hit, Hit) else hit)

    def picture(self, page: StoredPage, width: int = 1000) -> Image:
        """A page as a picture, drawn from its file.

        Raises:
            ToolError: it has none, or its file is gone or has changed since it was indexed.
        """
        from mainspring.library.ingest import fingerprint

        path = Path(page.document.uri)
        limits = ReadLimits()
        if fingerprint.take(path, limits.bytes).digest != page.document.digest:
            raise ToolError(f"{page.document.uri!r} has changed since it was indexed; index it again")
        reading = self._open_file(path, limits)
        try:
            return reading.render(page.page.number, width)
        finally:
            reading.close()

    # --- keeping ---

    def document(self, id_: int) -> Document:
        """Raises StoreError when there is none."""
        return self.catalog.document(id_)

    def documents(self, where: Where | None = None, *, limit: int = -1) -> list[Document]:
        """Documents, in the order of their uris."""
        return self.catalog.documents(where, limit=limit)

    def remove(self, *what: int | str | Path) -> int:
        """Take documents out: by number, uri, or the folder that they lie below. Returns how many.

        Files themselves are left alone. A folder that was indexed is not indexed again by :meth:`index` without paths.
        """
        with self._indexing(None, True):
            removed = self.catalog.remove(self._meant(what))
            for each in what:
                if not isinstance(each, int):
                    self.catalog.drop_root(_absolute(each))
            self._meaning.reconcile()
        return removed

    def forget(self, *what: int | str | Path, by: str) -> int:
        """Take documents out so that no byte of their text, words and vectors is left. Returns how many.

        They are not indexed again with their folder, only when they are named themselves.

        Raises:
            StoreError: another process still holds an old state open; what is left goes with the next :meth:`compact`.
        """
        with self._indexing(None, True):
            meant = self._meant(what)
            side, _ = self._meaning.for_search()
            if side is not None and meant:
                side.index.remove(page.id for id_ in meant for page in self.catalog.pages_of(id_))
                side.index.compact()
            return self.catalog.forget(meant, by=by)

    def _meant(self, what: Iterable[int | str | Path]) -> list[int]:
        found: dict[int, None] = {}
        for each in what:
            if isinstance(each, int):
                found[self.catalog.document(each).id] = None
                continue
            known = self.catalog.find(str(each)) or self.catalog.find(_absolute(each))
            below = [id_ for id_, _, _ in self.catalog.below(_absolute(each))]
            if known is None and not below:
                raise StoreError(f"the library has nothing of {str(each)!r}; `mainspring library list` lists it all")
            found |= dict.fromkeys(([known.id] if known is not None else []) + below)
        return list(found)

    def stats(self) -> dict[str, Any]:
        """How much there is, how much waits for work, and how many bytes it takes."""
        side, problem = self._meaning.for_search()
        stats: dict[str, Any] = dict(self.catalog.counts())
        for name in ("kind", "language", "source"):
            stats[f"pages_by_{name}"] = self.catalog.tally(name)
        stats |= {"embedder": self._meaning.name, "space": self._meaning.space, "problem": problem}
        if side is not None:
            stats["unencoded"] = len(missing(self.catalog, side.index)[0])
            stats |= {f"index_{key}": value for key, value in side.index.stats().items()}
        else:
            stats["unencoded"] = stats["pages"]
        return stats

    def compact(self) -> None:
        """Rewrite the library's files without what was removed. Searches go on meanwhile.

        Raises:
            StoreError: the disk is full, or another process still holds an old state open.
        """
        with self._indexing(None, True):
            self._meaning.reconcile()
            side, _ = self._meaning.for_search()
            if side is not None:
                side.index.compact()
                self._meaning.sweep()
            self.catalog.compact()

    def check(self) -> list[str]:
        """What is wrong with the library's files, a sentence each; reads all of the catalog."""
        found = self.catalog.check()
        side, problem = self._meaning.for_search()
        if side is None:
            return [*found, problem] if self._meaning.space else found
        unencoded, gone = missing(self.catalog, side.index)
        if len(unencoded):
            found.append(f"{len(unencoded)} pages have no vectors; run: mainspring index")
        if len(gone):
            found.append(f"{len(gone)} pages in the index are in the catalog no more; run: mainspring library compact")
        return found

    def _open_file(self, path: Path, limits: ReadLimits) -> Reading:
        from mainspring.library.read import open_file

        return open_file(path, limits)


def place_of(name: str, home: str | Path | None = None) -> Path:
    """The folder of a library. Raises ToolError for a name that cannot be used."""
    if not _NAME.match(name):
        raise ToolError(
            f"{name!r} is no name for a library: use at most 64 letters, digits, '.', '-', '_', a letter or digit first"
        )
    return libraries_folder(home) / name


def libraries_folder(home: str | Path | None = None) -> Path:
    """The folder that holds all libraries of a home."""
    from mainspring.store import default_home

    base = Path(home).expanduser() if home is not None else default_home()
    return base.absolute() / "library"


def names(home: str | Path | None = None) -> Iterator[str]:
    """Names of the libraries of a home, in order."""
    folder = libraries_folder(home)
    if folder.is_dir():
        yield from sorted(p.name for p in folder.iterdir() if (p / "catalog.sqlite").is_file() and _NAME.match(p.name))


def _absolute(path: str | Path) -> str:
    return os.path.realpath(os.path.expanduser(str(path)))
