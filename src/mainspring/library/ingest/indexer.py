"""Indexing: what brings a library in step with its files, its scans and its embedder.

The stages are imported where they are run: who only searches does not wait for readers, films and pictures.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from mainspring.errors import StoreError
from mainspring.library.catalog import Vouched
from mainspring.library.embed.protocol import Embedder
from mainspring.library.ingest.discover import roots_of
from mainspring.library.ingest.meaning import NONE
from mainspring.library.ingest.picturing import Picturing
from mainspring.library.ingest.report import Meter, Report, Tell
from mainspring.library.read.protocol import ReadLimits
from mainspring.library.search import Side

if TYPE_CHECKING:
    from mainspring.library.sight.transcripts import Transcriber

OcrWhen: TypeAlias = Literal["auto", "off", "now"]


class Indexer(Picturing):
    """The part of a library that fills it."""

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
                self._see_all(report, progress)
            self._encode(report, progress)
        report.unread = self.catalog.counts()["ocr_wanted"]
        if ocr == "auto" and report.unread and not self._stopped.is_set():
            self._see_meanwhile()
        report.seconds = time.monotonic() - began
        return report

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

    def reembed(self, embedder: str | Embedder | None = None, progress: Tell | None = None) -> Report:
        """Make all vectors anew with another embedder, or with the same one after it changed.

        They are built beside the old ones, with which searches go on, and take their place when they are whole. Killed
        or stopped before, it goes on with the next call. With ``"none"`` the library is searched by words only.

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
            if (self._meaning.name if embedder is None else embedder) == NONE:
                self._meaning.do_without()
                return report
            self._meaning.switch(embedder if embedder is not None else self._meaning.name, build)
        report.seconds = time.monotonic() - began
        return report
