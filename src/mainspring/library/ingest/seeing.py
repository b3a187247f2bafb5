"""The stage that reads what is only to be seen: scans, and pictures on pages of text."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from mainspring.errors import ToolError
from mainspring.library.catalog import SQLiteCatalog
from mainspring.library.ingest.drawing import ChangedError, Drawing, Open
from mainspring.library.ingest.report import Meter
from mainspring.library.language import language_of
from mainspring.library.page import Box, Page, Region, RegionKind, StoredPage
from mainspring.library.read.protocol import ReadLimits
from mainspring.library.sight import layout
from mainspring.library.sight.lines import Sighted, covered, page_from

if TYPE_CHECKING:
    from PIL.Image import Image

#: Dots an inch at which pages are drawn to be read, and the widest picture that comes of it, in pixels.
DPI = 200
_WIDEST = 4_000
#: A line that text of the page covers by this share is not added to it.
_COVERED = 0.5


Found: TypeAlias = Sequence[tuple[RegionKind, Box]]


class Eyes(Protocol):
    """What reads pictures: :class:`mainspring.library.sight.ocr.Ocr`."""

    @property
    def workers(self) -> int: ...

    def read(self, image: Image | Path | bytes, *, circle: str = "") -> Sighted: ...


class Seeing:
    """Reads the pages that wait for OCR.

    Args:
        catalog: where they are, and where their text goes.
        eyes: reads pictures.
        open_file: opens their documents.
        limits: how much of each is read.
        stopped: ends the work between two pages when it is set.
    """

    def __init__(
        self, catalog: SQLiteCatalog, eyes: Eyes, open_file: Open, limits: ReadLimits, stopped: threading.Event
    ) -> None:
        self._catalog, self._eyes, self._open = catalog, eyes, open_file
        self._limits, self._stopped = limits, stopped

    def run(self, pages: Sequence[int], meter: Meter) -> Iterator[int]:
        """Read these pages, each durable as it is done, and give the number that each has then.

        A page whose file is gone or has changed goes on waiting: the next run over its folder settles it.

        Raises:
            ModelError: the models of OCR cannot be used.
            StoreError: the disk is full, or the catalog is damaged.
        """
        with ThreadPoolExecutor(self._eyes.workers, thread_name_prefix="mainspring-ocr") as pool:
            for page, found in self._ahead(pool, self._drawn(pages)):
                if not isinstance(found, str):
                    sighted, regions = found
                    seen = merged(page.page, sighted, self._limits.page_chars, regions)
                    now = self._catalog.read_again(page.id, seen, language_of(seen.text))
                    if now is not None:
                        yield now
                elif found:
                    self._catalog.give_up_reading(page.id, found)
                meter.step(what=page.document.uri)

    def _ahead(
        self, pool: ThreadPoolExecutor, drawn: Iterator[tuple[StoredPage, Image | str]]
    ) -> Iterator[tuple[StoredPage, tuple[Sighted, Found] | str]]:
        """What is read, in order, while a few pages more are drawn: all at once would not fit into memory."""
        working: deque[Future[tuple[StoredPage, tuple[Sighted, Found] | str]]] = deque()
        for one in drawn:
            working.append(pool.submit(self._read, one))
            if len(working) >= 2 * self._eyes.workers:
                yield working.popleft().result()
        while working:
            yield working.popleft().result()

    def _read(self, drawn: tuple[StoredPage, Image | str]) -> tuple[StoredPage, tuple[Sighted, Found] | str]:
        page, picture = drawn
        if isinstance(picture, str) or self._stopped.is_set():
            return page, picture if isinstance(picture, str) else ""
        try:
            # A picture that takes the process over which reads it has no say in those of other people.
            sighted = self._eyes.read(picture, circle=page.document.label.encode())
            return page, (sighted, layout.regions(picture, sighted.lines))
        except ToolError as error:
            return page, str(error)

    def _drawn(self, ids: Sequence[int]) -> Iterator[tuple[StoredPage, Image | str]]:
        """Each page with its picture, or with why there is none; "" when it has to wait."""
        for _, group in groupby(self._catalog.pages(ids), key=lambda page: page.document.id):
            pages = list(group)
            drawing: Drawing | None = None
            with contextlib.suppress(ToolError):
                drawing = Drawing(pages[0].document, self._open, self._limits)
            try:
                for page in pages:
                    if drawing is None or self._stopped.is_set():
                        yield page, ""
                        continue
                    try:
                        yield page, drawing.page(page.page.number, _width(page))
                    except ChangedError:
                        yield page, ""
                    except ToolError as error:
                        yield page, str(error)
            finally:
                if drawing is not None:
                    drawing.close()


def merged(page: Page, sighted: Sighted, most_chars: int, regions: Found = ()) -> Page:
    """A page with what was read from its picture: instead of text that it lacks, or behind the text that it has.

    Args:
        regions: tables, figures and headings that the picture shows.
    """
    if not page.text.strip():
        return page_from(sighted, page, regions, most_chars=most_chars)
    places = [region.box for region in page.regions if region.box is not None and region.kind not in ("figure",)]
    text, held = page.text, list(page.regions)
    row = -1
    for line, number in zip(sighted.lines, sighted.rows, strict=True):
        if any(covered(line.box, place) >= _COVERED for place in places):
            continue  # it is text of the page already
        before = " " if number == row else "\n"
        if len(text) + len(before) + len(line.text) > most_chars:
            break
        row = number
        start = len(text) + len(before)
        text += before + line.text
        held.append(Region(start, len(text), "text", line.box))
    return replace(page, text=text, regions=tuple(held), unread=0.0)


def _width(page: StoredPage) -> int:
    """How wide a page is drawn to be read: pictures as they are, pages of paper at a fixed resolution."""
    width = page.page.width
    pixels = width if page.document.kind in ("image", "video") else width / 72 * DPI
    return round(min(max(pixels, 64), _WIDEST)) if width else 1_600
