"""Indexing: what brings a library in step with its files, its scans and its embedder.

The stages are imported where they are run: who only searches does not wait for readers, films and pictures.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from mainspring.errors import DeclarationError, MainspringError, ModelError, StoreError
from mainspring.label import Label
from mainspring.library.catalog import SQLiteCatalog, Vouched, open_catalog
from mainspring.library.embed.protocol import Embedder
from mainspring.library.ingest.discover import roots_of
from mainspring.library.ingest.encoding import Encoding, missing
from mainspring.library.ingest.lock import indexing
from mainspring.library.ingest.meaning import Meaning
from mainspring.library.ingest.report import Meter, Progress, Report, Tell
from mainspring.library.page import Where
from mainspring.library.read.protocol import Reading, ReadLimits
from mainspring.library.search import Side

if TYPE_CHECKING:
    from mainspring.library.sight.ocr import Ocr
    from mainspring.library.sight.transcripts import Transcriber

OcrWhen: TypeAlias = Literal["auto", "off", "now"]


class Indexer:
    """The part of a library that fills it."""

    def __init__(self, folder: Path, embedder: str | Embedder | None = None) -> None:
        """Use :meth:`open`, which knows where libraries are."""
        self.folder = folder
        self.catalog: SQLiteCatalog = open_catalog(folder)
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._background: threading.Thread | None = None
        self._ocr: Ocr | None = None
        try:
            self._meaning = Meaning(self.catalog, folder, embedder)
        except BaseException:
            self.catalog.close()
            raise

    def close(self) -> None:
        """Stop what works in the background, and close all files."""
        self._stopped.set()
        self.wait()
        if self._ocr is not None:
            self._ocr.close()
        self._meaning.close()
        self.catalog.close()

    def index(
        self,
        paths: str | Path | Sequence[str | Path] = (),
        *,
        exclude: Sequence[str] = (),
        hidden: bool = False,
        trust: bool = False,
        readers: Iterable[str] | None = None,
        by: str = "",
        ocr: OcrWhen = "auto",
        jobs: int = 0,
        again: bool = False,
        limits: ReadLimits | None = None,
        transcriber: Transcriber | None = None,
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
            ocr: read scans and pictures ``"now"``; in the background, once all texts are searchable (``"auto"``, see
                :meth:`read_pictures`); or not (``"off"``).
            jobs: files that are read at the same time; 0: one a processor.
            again: read also what looks unchanged.
            limits: how much of each file is read.
            transcriber: writes down what is said in recordings and films that have no words beside them, such as
                :func:`mainspring.library.sight.open_transcriber` gives.
            progress: is told how it goes.
            wait: wait for another process that is indexing this library; else fail.

        Raises:
            ToolError: a path does not exist, or a pattern cannot be used.
            StoreError: the disk is full, a file of the library is damaged, or another process is indexing.
        """
        from mainspring.library.ingest.run import Options, read_paths

        began = time.monotonic()
        said = Vouched(trust, None if readers is None else frozenset(readers), by)
        options = Options(tuple(exclude), hidden, said, jobs, again, limits or ReadLimits(), transcriber)
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
            if ocr == "now":
                self._see(report, progress)
            self._encode(report, progress)
        report.unread = self.catalog.counts()["ocr_wanted"]
        if ocr == "auto" and report.unread and not self._stopped.is_set():
            self._see_meanwhile()
        report.seconds = time.monotonic() - began
        return report

    def _indexing(self, progress: Tell | None, wait: bool) -> Any:
        def waiting(holder: str) -> None:
            if progress is not None:
                progress(Progress("wait", 0, 0, 0.0, holder))

        return indexing(self.folder, wait=wait, waiting=waiting, stopped=self._stopped)

    def _encode(self, report: Report, progress: Tell | None) -> None:
        """Give pages their vectors; without an embedder, words find them all the same."""
        self._look()
        try:
            side = self._meaning.for_index()
            if side is None:
                return
            meter = Meter("encode", progress)
            encoded = self._encoding(side).run(meter)
            meter.step(0, now=True)
            report.encoded += encoded
            if encoded and not self._stopped.is_set():
                side.index.compact()  # what it learnt from the first pages is learnt again where they have become many
        except ModelError as error:
            report.notes.append(f"pages are found by words only: {error}")
        side, _ = self._meaning.for_search()
        report.unencoded = len(missing(self.catalog, side.index)[0]) if side else self.catalog.counts()["pages"]

    def watch(
        self, paths: str | Path | Sequence[str | Path] = (), *, progress: Tell | None = None, **options: Any
    ) -> Iterator[Report]:
        """Index files and folders, and again whenever something in them changes, until the library is closed.

        Args:
            paths, progress, options: as for :meth:`index`; without paths all folders that were indexed before.

        Yields:
            The report of each run in which there was something to do, and of the first.

        Raises: as :meth:`index`.
        """
        from mainspring.library.ingest.watch import changes

        named = [paths] if isinstance(paths, str | Path) else list(paths)
        roots = roots_of(named or [root for root in self.catalog.roots() if Path(root).exists()])
        first = True
        for _ in changes(roots, [self.folder.parent.resolve()], self._stopped):
            report = self.index(named, progress=progress, **options)
            if first or report.indexed or report.removed or report.failed:
                yield report
            first = False

    def read_pictures(self, progress: Tell | None = None, *, again: bool = False) -> Report:
        """Read all pages that wait for OCR, and give them vectors. Each is found as soon as it is read.

        Args:
            progress: is told how it goes.
            again: also pages on which OCR failed before.

        Raises:
            StoreError: the disk is full, or a file of the library is damaged.
        """
        began = time.monotonic()
        report = Report()
        if again:
            self.catalog.retry_reading()
        after = 0
        meter = Meter("ocr", progress)
        while not self._stopped.is_set() and not report.notes:
            # A few at a time, so that another process, or a call to `index`, need not wait for all of them.
            with self._indexing(progress, True):
                pages = self.catalog.waiting(after, 2 * self._eyes().workers)
                if not pages:
                    break
                after = pages[-1]
                self._see(report, progress, pages, meter)
                self._encode(report, None)
        report.unread = self.catalog.counts()["ocr_wanted"]
        report.interrupted = self._stopped.is_set()
        report.seconds = time.monotonic() - began
        return report

    def _see(
        self, report: Report, progress: Tell | None, pages: Sequence[int] | None = None, meter: Meter | None = None
    ) -> None:
        """Read pages by OCR; without any named, all that wait."""
        from mainspring.library.ingest.seeing import Seeing

        meter = meter or Meter("ocr", progress)
        wanted = self.catalog.waiting(limit=-1) if pages is None else pages
        meter.total = meter.done + self.catalog.counts()["ocr_wanted"]
        if not wanted:
            return
        try:
            seeing = Seeing(self.catalog, self._eyes(), self._open_file, ReadLimits(), self._stopped)
            report.read += seeing.run(wanted, meter)
        except (ModelError, DeclarationError) as error:
            report.notes.append(f"scans and pictures are not read: {error}")
        meter.step(0, now=True)

    def _see_meanwhile(self) -> None:
        if self._background is None or not self._background.is_alive():
            self._background = threading.Thread(target=self._see_quietly, name="mainspring-library", daemon=True)
            self._background.start()

    def _see_quietly(self) -> None:
        with contextlib.suppress(MainspringError):  # what could not be read goes on waiting, and `stats` says so
            self.read_pictures()

    def wait(self) -> None:
        """Wait until what works in the background is done."""
        if self._background is not None:
            self._background.join()

    def _eyes(self) -> Ocr:
        from mainspring.library.sight.ocr import Ocr

        with self._lock:
            if self._ocr is None:
                self._ocr = Ocr(self.folder / "ocr" / "read.sqlite")
            return self._ocr

    def _look(self) -> None:
        """Keep how pictures and scenes look, so that a picture finds those that look like it."""
        where = Where(kinds=("image", "video"))
        if not len(self.catalog.among(where)):
            return
        side = self._meaning.looks()
        if side is not None:
            self._encoding(side, where).run(Meter("encode", None))

    def _encoding(self, side: Side, where: Where | None = None) -> Encoding:
        return Encoding(self.catalog, side.index, side.embedder, self._open_file, ReadLimits(), self._stopped, where)

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

    def _open_file(self, path: Path, limits: ReadLimits, label: Label | None = None) -> Reading:
        """Open a document, in a process that reads only for the same readers and of the same trust.

        A file that takes such a process over could write what is read after it, and keep what it was given.

        Args:
            label: what its pages will have; by default what they have.
        """
        from mainspring.library.read import open_file

        if label is None and (known := self.catalog.find(str(path))) is not None:
            label = known.label
        return open_file(path, limits, circle=label.encode() if label is not None else "")
