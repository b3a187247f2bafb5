"""What all stages of indexing share: a library's files, who may write them, and how pages get their vectors."""

from __future__ import annotations

import threading
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.errors import ModelError
from mainspring.label import Label
from mainspring.library.catalog import SQLiteCatalog, open_catalog
from mainspring.library.embed.protocol import Embedder
from mainspring.library.ingest.encoding import Encoding, missing
from mainspring.library.ingest.lock import indexing
from mainspring.library.ingest.meaning import Meaning
from mainspring.library.ingest.report import Meter, Progress, Report, Tell
from mainspring.library.page import Kind, Where
from mainspring.library.read.protocol import Reading, ReadLimits
from mainspring.library.search import Side

if TYPE_CHECKING:
    from mainspring.library.sight.ocr import Ocr

#: Of which documents it is kept how their pages look.
_LOOKED_AT: tuple[Kind, ...] = ("image", "video")


class Stages:
    """A library that is open."""

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
            if report.encoded and not self._stopped.is_set():
                side.index.compact()  # what it learnt from the first pages is learnt again where they have become many
        except ModelError as error:
            report.notes.append(f"pages are found by words only: {error}")
        side, _ = self._meaning.for_search()
        report.unencoded = len(missing(self.catalog, side.index)[0]) if side else self.catalog.counts()["pages"]

    def _look(self) -> None:
        """Keep how pictures and scenes look, so that a picture finds those that look like it."""
        where = Where(kinds=_LOOKED_AT)
        some = len(self.catalog.among(where)) > 0
        side = self._meaning.looks() if some else self._meaning.kept_looks()  # the last one may have gone
        if side is not None:
            self._encoding(side, where).run(Meter("encode", None))

    def _encode_only(self, pages: Collection[int]) -> int:
        """Give these pages their vectors, without a look at all others. Returns how many got some.

        The vectors of pages that are gone are left to :meth:`_encode`.

        Raises:
            ModelError: the encoder cannot be used, or failed.
        """
        if not pages:
            return 0
        looked_at = [page.id for page in self.catalog.pages(sorted(pages)) if page.document.kind in _LOOKED_AT]
        looks = self._meaning.looks() if looked_at else None
        if looks is not None:
            self._encoding(looks).run(Meter("encode", None), looked_at)
        side = self._meaning.for_index()
        return self._encoding(side).run(Meter("encode", None), pages) if side is not None else 0

    def _encoding(self, side: Side, where: Where | None = None) -> Encoding:
        return Encoding(self.catalog, side.index, side.embedder, self._open_file, ReadLimits(), self._stopped, where)

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
