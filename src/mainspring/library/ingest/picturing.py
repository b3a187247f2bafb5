"""The part of a library that reads scans and pictures, at once or in the background."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mainspring.errors import DeclarationError, MainspringError, ModelError
from mainspring.library.ingest.report import Meter, Report, Tell
from mainspring.library.ingest.stages import Stages
from mainspring.library.read.protocol import ReadLimits

if TYPE_CHECKING:
    from mainspring.library.sight.ocr import Ocr


class Picturing(Stages):
    """Reads what is only to be seen."""

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
        after, encode = 0, True
        meter = Meter("ocr", progress, len(self.catalog.waiting(limit=-1)))
        while not self._stopped.is_set() and not report.notes:
            # A few at a time, so that another process, or a call to `index`, need not wait for all of them.
            with self._indexing(progress, True):
                pages = self.catalog.waiting(after, 2 * self._eyes().workers)
                if not pages:
                    break
                after = pages[-1]
                read = self._see(report, pages, meter)
                try:
                    report.encoded += self._encode_only(set(read) - set(pages)) if encode else 0
                except ModelError:  # it is told below
                    encode = False
        if report.read and not self._stopped.is_set():
            with self._indexing(progress, True):
                self._encode(report, None)
        report.unread = self.catalog.counts()["ocr_wanted"]
        report.interrupted = self._stopped.is_set()
        report.seconds = time.monotonic() - began
        return report

    def wait(self) -> None:
        """Wait until what works in the background is done."""
        if self._background is not None:
            self._background.join()

    def _see_all(self, report: Report, progress: Tell | None) -> None:
        """Read all pages that wait by OCR."""
        pages = self.catalog.waiting(limit=-1)
        self._see(report, pages, Meter("ocr", progress, len(pages)))

    def _see(self, report: Report, pages: Sequence[int], meter: Meter) -> list[int]:
        """Read pages by OCR. Returns the numbers that they have then."""
        from mainspring.library.ingest.seeing import Seeing

        if not pages:
            return []
        read: list[int] = []
        try:
            seeing = Seeing(self.catalog, self._eyes(), self._open_file, ReadLimits(), self._stopped)
            for page in seeing.run(pages, meter):
                read.append(page)
                report.read += 1
        except (ModelError, DeclarationError) as error:
            report.notes.append(f"scans and pictures are not read: {error}")
        meter.step(0, now=True)
        return read

    def _see_meanwhile(self) -> None:
        if self._background is None or not self._background.is_alive():
            self._background = threading.Thread(target=self._see_quietly, name="mainspring-library", daemon=True)
            self._background.start()

    def _see_quietly(self) -> None:
        with contextlib.suppress(MainspringError):  # what could not be read goes on waiting, and `stats` says so
            self.read_pictures()

    def _eyes(self) -> Ocr:
        from mainspring.library.sight.ocr import Ocr

        with self._lock:
            if self._ocr is None:
                self._ocr = Ocr(self.folder / "ocr" / "read.sqlite")
            return self._ocr
