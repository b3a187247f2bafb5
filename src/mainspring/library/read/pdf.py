"""PDF by pdfium: the words of each page in reading order with their places, and pictures of pages."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.errors import ToolError
from mainspring.library.page import Page
from mainspring.library.read.base import Notes, bounded, title_of
from mainspring.library.read.blocks import Headings, page_of
from mainspring.library.read.pdf_layout import layout
from mainspring.library.read.protocol import About, ReadLimits
from mainspring.library.read.tidy import one_line

if TYPE_CHECKING:
    from PIL.Image import Image
    from pypdfium2 import PdfDocument  # type: ignore[import-untyped]

#: What `FPDF_GetLastError` says (fpdfview.h).
_WHY = {
    3: "it is no PDF, has no pages, or is too damaged to repair; open it in a viewer and save it again",
    4: "it is encrypted; save a copy without a password",
    5: "it uses a kind of encryption that is not known; save a copy without a password",
    6: "its page tree is damaged; open it in a viewer and save it again",
}
_INFO = {"Author": "author", "Subject": "subject", "Keywords": "keywords", "Creator": "creator", "CreationDate": "date"}
#: Widest picture of a page, in pixels; higher ones are bounded by `ReadLimits.pixels`.
_WIDEST = 16_384


def open_pdf(path: Path, limits: ReadLimits) -> PdfReading:
    try:
        import pypdfium2
    except ImportError:
        raise ToolError('PDF files are read by pypdfium2; install it: pip install "mainspring[library]"') from None
    # Opened here: pypdfium2 would resolve the path, which names a descriptor where there are no other files.
    file = path.open("rb")
    try:
        document = pypdfium2.PdfDocument(file, autoclose=True)
    except pypdfium2.PdfiumError as error:
        file.close()
        code = getattr(error, "err_code", None)
        why = _WHY.get(code or 3, _WHY[3])
        raise ToolError(f"{path.name} cannot be read: {why}") from None
    return PdfReading(path, document, limits)


class PdfReading:
    """A PDF that is open. Pages are loaded one at a time and let go."""

    def __init__(self, path: Path, document: PdfDocument, limits: ReadLimits) -> None:
        self._path = path
        self._document = document
        self._limits = limits
        self.notes = Notes()
        self._count = len(document)
        info = self._metadata()
        self._about = About("pdf", title_of(path, info.pop("title", "")), info)
        self._outline = self._read_outline()

    @property
    def about(self) -> About:
        return self._about

    @property
    def problem(self) -> str:
        return self.notes.text()

    def pages(self) -> Iterator[Page]:
        return self.pages_from(1)

    def pages_from(self, first: int) -> Iterator[Page]:
        """The pages from number `first` on."""
        return bounded(self._pages(first), self._limits, self.notes, first - 1)

    def _pages(self, first: int) -> Iterator[Page]:
        headings = Headings()
        for number in range(1, self._count + 1):
            for level, title in self._outline.get(number, ()):
                headings.enter(level, title)
            if number >= first:
                yield self._page(number, headings)

    def _page(self, number: int, headings: Headings) -> Page:
        outlined = bool(self._outline)
        from pypdfium2 import PdfiumError

        try:
            page = self._document[number - 1]
        except PdfiumError:
            self.notes.add(f"page {number} is damaged and was left empty")
            return Page(number, "", source="none")
        try:
            found = layout(page, self.notes)
        except (ToolError, MemoryError):
            raise
        except Exception as error:  # one page that cannot be laid out does not cost the others
            self.notes.add(f"page {number} could not be laid out ({type(error).__name__}) and was left empty")
            return Page(number, "", source="none", pictured=True, unread=1.0)
        finally:
            page.close()
        if not outlined:
            for block in found.blocks:
                if block.kind == "title" and block.level and len(block.text) < 200:
                    headings.enter(block.level, block.text)
        made, lost = page_of(
            number,
            found.blocks,
            self._limits.page_chars,
            self.notes.removed,
            heading=" > ".join(headings.path()),
            pictured=True,
            unread=found.unread,
            width=found.width,
            height=found.height,
        )
        self.notes.lost += lost
        return made

    def render(self, number: int, width: int) -> Image:
        from pypdfium2 import PdfiumError

        if not 1 <= number <= self._count:
            raise ToolError(f"{self._path.name} has no page {number}; it has {self._count}")
        if not 1 <= width <= _WIDEST:
            raise ToolError(f"a picture {width} pixels wide is not made; give 1 to {_WIDEST:,}")
        try:
            page = self._document[number - 1]
        except PdfiumError:
            raise ToolError(f"page {number} of {self._path.name} is damaged") from None
        try:
            points, high = page.get_size()
            scale = width / max(points, 1e-3)
            if width * high * scale > self._limits.pixels or high * scale > 10 * _WIDEST:
                raise ToolError(
                    f"page {number} of {self._path.name} is {points:.0f} x {high:.0f} points: {width} pixels wide "
                    f"it has more than {self._limits.pixels:,} pixels (the limit `pixels`)"
                )
            with contextlib.closing(page.render(scale=scale)) as bitmap:
                image: Image = bitmap.to_pil().convert("RGB")
            return image if image.width == width else image.resize((width, image.height))
        except PdfiumError:
            raise ToolError(f"page {number} of {self._path.name} could not be rendered") from None
        finally:
            page.close()

    def close(self) -> None:
        self._document.close()

    def _metadata(self) -> dict[str, str]:
        info: dict[str, str] = {}
        with contextlib.suppress(Exception):  # whatever a damaged dictionary holds, it is not worth the document
            said: dict[str, Any] = self._document.get_metadata_dict(skip_empty=True)
            info = {_INFO[key]: one_line(value) for key, value in said.items() if key in _INFO}
            info["title"] = one_line(said.get("Title", ""))
        return {key: value for key, value in info.items() if value}

    def _read_outline(self) -> dict[int, list[tuple[int, str]]]:
        """Page number -> the (level, title) of the outline's entries that begin on it."""
        found: dict[int, list[tuple[int, str]]] = {}
        try:
            for count, entry in enumerate(self._document.get_toc(max_depth=8)):
                if count >= 50_000:
                    self.notes.add("only the first 50,000 entries of the outline were read")
                    break
                target = entry.get_dest()
                index = None if target is None else target.get_index()
                title = one_line(entry.get_title())
                if index is not None and title:
                    found.setdefault(index + 1, []).append((entry.level + 1, title))
        except Exception:  # a damaged outline: pages are read without it
            self.notes.add("the outline is damaged and was left out")
        return found
