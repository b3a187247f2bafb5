"""PowerPoint decks: a slide a page, with its notes, the places of its shapes and the share that is picture."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.errors import ToolError
from mainspring.library.page import Box, Page
from mainspring.library.read.archive import Archive, plain
from mainspring.library.read.base import Notes, PagesReading, title_of
from mainspring.library.read.blocks import Block, page_of
from mainspring.library.read.protocol import About, ReadLimits
from mainspring.library.read.tidy import one_line

if TYPE_CHECKING:
    from PIL.Image import Image

#: EMU (English Metric Units) in a point.
_POINT = 12_700
#: A slide with so little text whose pictures cover so much can be rendered: it is its pictures.
_FEW, _MUCH = 60, 0.2


def open_pptx(path: Path, limits: ReadLimits) -> SlidesReading:
    try:
        import pptx
    except ImportError:
        raise ToolError('decks are read by python-pptx; install it: pip install "mainspring[library]"') from None
    Archive(path, limits).close()
    with open(path, "rb") as file:
        deck = pptx.Presentation(file)
    return SlidesReading(path, deck, limits)


class SlidesReading(PagesReading):
    """A deck that is open."""

    def __init__(self, path: Path, deck: Any, limits: ReadLimits) -> None:
        notes = Notes()
        core = deck.core_properties
        said = {"author": core.author, "subject": core.subject, "keywords": core.keywords}
        extra = {key: plain(value) for key, value in said.items() if value and value != "python-docx"}
        first = next(iter(deck.slides), None)
        shown = first.shapes.title.text_frame.text if first is not None and first.shapes.title is not None else ""
        named = plain(core.title)
        title = title_of(path, "" if named == "PowerPoint Presentation" else named, shown)
        super().__init__(path.name, About("slides", title, extra), self._slides, limits, notes)
        self._deck = deck
        self._wide, self._high = float(deck.slide_width or 9_144_000), float(deck.slide_height or 6_858_000)

    def _slides(self) -> Iterator[Page]:
        for number, slide in enumerate(self._deck.slides, 1):
            yield self._slide(number, slide)

    def _slide(self, number: int, slide: Any) -> Page:
        title = slide.shapes.title
        heading = one_line(title.text_frame.text) if title is not None else ""
        blocks: list[Block] = []
        pictures: list[Box] = []
        for shape, box in self._shapes(slide.shapes):
            blocks += self._of_shape(shape, box, title)
            if _picture(shape) is not None and box is not None:
                pictures.append(box)
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            blocks.append(Block(slide.notes_slide.notes_text_frame.text))
        unread = _uncovered(pictures, [block.box for block in blocks if block.box and block.text])
        few = sum(len(block.text) for block in blocks) < _FEW
        page, lost = page_of(
            number,
            blocks,
            self._limits.page_chars,
            self.notes.removed,
            heading=heading,
            pictured=few and unread > _MUCH,
            unread=unread,
            width=self._wide / _POINT,
            height=self._high / _POINT,
        )
        self.notes.lost += lost
        return page

    def _shapes(self, shapes: Any, depth: int = 0) -> Iterator[tuple[Any, Box | None]]:
        """Shapes with their places, groups opened, in the order of the deck, which screen readers follow too."""
        for shape in shapes:
            if getattr(shape, "shape_type", None) is not None and hasattr(shape, "shapes") and depth < 8:
                yield from self._shapes(shape.shapes, depth + 1)
                continue
            box = self._box(shape) if depth == 0 else None
            if box is not None and (box.right <= box.left or box.bottom <= box.top) and shape.has_text_frame:
                if shape.width and shape.height:
                    self.notes.hide("off the slide", len(shape.text_frame.text))
                    continue
                box = None
            yield shape, box

    def _box(self, shape: Any) -> Box | None:
        values = (shape.left, shape.top, shape.width, shape.height)
        if any(value is None for value in values):
            return None
        left, top, wide, high = (float(value) for value in values)

        def share(value: float, whole: float) -> float:
            return round(min(1.0, max(0.0, value / whole)), 5)

        return Box(
            share(left, self._wide),
            share(top, self._high),
            share(left + wide, self._wide),
            share(top + high, self._high),
        )

    def _of_shape(self, shape: Any, box: Box | None, title: Any) -> Iterator[Block]:
        if shape.has_text_frame:
            is_title = title is not None and shape.shape_id == title.shape_id
            text = "\n".join(self._paragraph(paragraph) for paragraph in shape.text_frame.paragraphs)
            if text.strip():
                yield Block(text, "title" if is_title else "text", box, level=1 if is_title else 0)
        elif getattr(shape, "has_table", False):
            rows = [" | ".join(" ".join(cell.text.split()) for cell in row.cells) for row in shape.table.rows]
            yield Block("\n".join(rows), "table", box)
        elif getattr(shape, "has_chart", False):
            yield Block(_chart(shape.chart), "figure", box)
        elif _picture(shape) is not None:
            described = plain(shape._element.nvPicPr.cNvPr.get("descr"))
            # A file's name is what programs put there when nobody described the picture.
            yield Block("" if described.lower().endswith((".png", ".jpg", ".jpeg")) else described, "figure", box)

    def _paragraph(self, paragraph: Any) -> str:
        kept = []
        for run in paragraph.runs:
            if run.font.size is not None and run.font.size.pt < 2:
                self.notes.hide("smaller than 2 points", len(run.text))
            else:
                kept.append(run.text)
        return "".join(kept) if paragraph.runs else paragraph.text

    def render(self, number: int, width: int) -> Image:
        """The slide's pictures on white, in their places. Text is not drawn."""
        from PIL import Image as images

        slides = list(self._deck.slides)
        if not 1 <= number <= len(slides):
            raise ToolError(f"{self._name} has no slide {number}; it has {len(slides)}")
        height = max(1, round(width * self._high / self._wide))
        if not 1 <= width <= 16_384 or width * height > self._limits.pixels:
            raise ToolError(f"a picture {width} pixels wide is not made of {self._name}")
        canvas = images.new("RGB", (width, height), "white")
        drawn = 0
        for shape, box in self._shapes(slides[number - 1].shapes):
            blob = _picture(shape)
            if blob is None or box is None:
                continue
            size = (max(1, round((box.right - box.left) * width)), max(1, round((box.bottom - box.top) * height)))
            try:
                with images.open(io.BytesIO(blob)) as picture:
                    if picture.width * picture.height > self._limits.pixels:
                        continue
                    canvas.paste(
                        picture.convert("RGB").resize(size), (round(box.left * width), round(box.top * height))
                    )
                drawn += 1
            except (OSError, ValueError, SyntaxError, images.DecompressionBombError):
                continue  # a drawing in a format of its own, or a damaged one
        if not drawn:
            raise ToolError(f"slide {number} of {self._name} has no picture that can be shown")
        return canvas


def _picture(shape: Any) -> bytes | None:
    """The bytes of a picture shape; None for other shapes and for pictures that are only linked to."""
    if not hasattr(shape, "image"):
        return None
    try:
        blob: bytes = shape.image.blob
        return blob
    except (ValueError, KeyError, AttributeError):
        return None


def _chart(chart: Any) -> str:
    """A chart's title, its categories and its series with their values."""
    lines = []
    try:
        if chart.has_title and chart.chart_title.has_text_frame:
            lines.append(chart.chart_title.text_frame.text)
        for plot in chart.plots:
            names = [str(name) for name in plot.categories]
            if names:
                lines.append(" | ".join(["", *names]))
            for series in plot.series:
                lines.append(" | ".join([str(series.name), *("" if v is None else f"{v:g}" for v in series.values)]))
    except (AttributeError, KeyError, ValueError, TypeError, NotImplementedError):
        pass  # a kind of chart that python-pptx does not know: what was read until here stays
    return "\n".join(line for line in lines if line.strip())


def _uncovered(pictures: list[Box], texts: list[Box]) -> float:
    """Share of a slide that pictures cover and no text, on a grid of 48 by 48."""

    def inside(boxes: list[Box], x: float, y: float) -> bool:
        return any(box.left <= x < box.right and box.top <= y < box.bottom for box in boxes)

    if not pictures:
        return 0.0
    points = [((column + 0.5) / 48, (row + 0.5) / 48) for row in range(48) for column in range(48)]
    return sum(inside(pictures, x, y) and not inside(texts, x, y) for x, y in points) / len(points)
