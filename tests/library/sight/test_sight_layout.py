"""Layout regions and the look of pictures, on pages made with known truth."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFont
from sight_made import encoded

from mainspring.errors import ToolError
from mainspring.library.embed.protocol import Picture
from mainspring.library.page import Box, RegionKind
from mainspring.library.sight import Ocr
from mainspring.library.sight.layout import regions
from mainspring.library.sight.lines import Line
from mainspring.library.sight.look import SPACE, LookEmbedder, look

WIDE, HIGH = 800, 1100


class Sheet:
    """A page that remembers where its lines stand, as OCR would find them."""

    def __init__(self) -> None:
        self.image = Image.new("RGB", (WIDE, HIGH), "white")
        self.draw = ImageDraw.Draw(self.image)
        self.lines: list[Line] = []

    def write(self, x: int, y: int, text: str, size: int = 18) -> None:
        font = ImageFont.load_default(size)
        self.draw.text((x, y), text, font=font, fill="black")
        left, top, right, bottom = self.draw.textbbox((x, y), text, font=font)
        box = Box((left - 2) / WIDE, (top - 3) / HIGH, (right + 2) / WIDE, (bottom + 3) / HIGH)
        self.lines.append(Line(text, box, 1.0))

    def prose(self, y: int, count: int) -> None:
        for n in range(count):
            self.write(60, y + n * 26, "some words of a paragraph that goes over the whole page, as such do")

    def of(self, kind: RegionKind) -> list[Box]:
        return [box for found, box in regions(self.image, self.lines) if found == kind]


def overlap(one: Box, left: float, top: float, right: float, bottom: float) -> float:
    """Intersection over union with a rectangle in pixels."""
    other = Box(left / WIDE, top / HIGH, right / WIDE, bottom / HIGH)
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    both = max(0.0, width) * max(0.0, height)
    areas = [(box.right - box.left) * (box.bottom - box.top) for box in (one, other)]
    return both / (sum(areas) - both)


def ruled() -> Sheet:
    sheet = Sheet()
    sheet.prose(100, 6)
    for n in range(6):
        sheet.draw.line([60, 320 + 40 * n, 700, 320 + 40 * n], fill="black", width=2)
    for x in (60, 260, 480, 700):
        sheet.draw.line([x, 320, x, 520], fill="black", width=2)
    for row in range(5):
        for x in (80, 280, 500):
            sheet.write(x, 330 + 40 * row, f"cell {row}")
    sheet.write(60, 540, "Table 1: what was measured")
    sheet.prose(640, 8)
    return sheet


def test_a_ruled_table_and_its_caption() -> None:
    sheet = ruled()
    (table,) = sheet.of("table")
    assert overlap(table, 60, 320, 700, 520) > 0.9
    (caption,) = sheet.of("caption")
    assert caption.top * HIGH == pytest.approx(540, abs=8)
    assert sheet.of("figure") == []


def test_a_table_without_rules() -> None:
    sheet = Sheet()
    sheet.prose(100, 6)
    for row in range(6):
        sheet.write(80, 330 + 30 * row, f"item {row}")
        sheet.write(360, 330 + 30 * row, f"{row * 137 + 5}.50")
        sheet.write(600, 330 + 30 * row, f"{row * 11}")
    sheet.prose(600, 8)
    (table,) = sheet.of("table")
    assert overlap(table, 78, 330, 640, 505) > 0.8


def test_columns_of_prose_and_a_list_are_no_table() -> None:
    sheet = Sheet()
    for n in range(12):
        sheet.write(60, 100 + 26 * n, "a column of prose, left side, whose lines are long")
        sheet.write(440, 100 + 26 * n, "a column of prose, right side, whose lines are long")
        sheet.write(60, 600 + 26 * n, f"{n + 1}. an entry of a list")
    assert sheet.of("table") == []


def test_a_figure_and_its_caption_in_chinese() -> None:
    sheet = Sheet()
    sheet.prose(100, 6)
    rng = np.random.default_rng(2)
    picture = Image.fromarray(rng.integers(30, 220, (240, 400, 3)).astype(np.uint8))
    sheet.image.paste(picture, (200, 330))
    sheet.prose(700, 8)
    sheet.lines.append(Line("图 3 每月的费用", Box(0.3, 580 / HIGH, 0.6, 604 / HIGH), 1.0))
    sheet.lines.append(Line("图书馆很大", Box(0.3, 612 / HIGH, 0.6, 636 / HIGH), 1.0))
    (figure,) = sheet.of("figure")
    assert overlap(figure, 200, 330, 600, 570) > 0.9
    (caption,) = sheet.of("caption")
    assert caption.top == 580 / HIGH  # not the line below, which only begins with the same character
    assert sheet.of("table") == []


def test_a_chart_of_lines_and_bars_is_a_figure_and_no_table() -> None:
    sheet = Sheet()
    sheet.prose(100, 4)
    sheet.draw.line([(120, 300), (120, 600), (680, 600)], fill="black", width=2)
    for n in range(6):
        sheet.draw.rectangle([150 + n * 85, 600 - 40 * (n + 1), 200 + n * 85, 600], fill="steelblue")
    sheet.prose(700, 6)
    assert sheet.of("table") == []
    (figure,) = sheet.of("figure")
    assert overlap(figure, 120, 300, 680, 600) > 0.85


def test_titles_headers_and_footers() -> None:
    sheet = Sheet()
    sheet.write(60, 30, "Annual report 2026", 14)
    sheet.write(60, 110, "How the year went", 34)
    sheet.prose(200, 20)
    sheet.write(390, 1060, "17", 14)
    assert [round(box.top * HIGH) for box in sheet.of("title")] == pytest.approx([117], abs=10)
    assert len(sheet.of("header")) == len(sheet.of("footer")) == 1
    assert regions(Image.new("RGB", (50, 50), "white"), []) == []


@pytest.mark.slow
def test_what_is_read_from_a_page_has_its_layout() -> None:
    with Ocr(workers=1, engine="onnxruntime") as ocr:
        page = ocr.page_of(ruled().image, 1)
    (table,) = [region for region in page.regions if region.kind == "table"]
    assert table.box is not None
    assert overlap(table.box, 60, 320, 700, 520) > 0.9
    assert "cell 0" in page.text[table.start : table.end]
    (caption,) = [region for region in page.regions if region.kind == "caption"]
    assert page.text[caption.start : caption.end].startswith("Table 1")


def scene(seed: int) -> Image.Image:
    """A picture of some coloured shapes on a slope of colour."""
    rng = np.random.default_rng(seed)
    low, high = rng.integers(0, 256, (2, 3))
    slope = np.linspace(0, 1, 300)[:, None, None] * (high - low) + low
    image = Image.fromarray(np.broadcast_to(slope, (300, 400, 3)).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(8):
        x, y, w, h = (int(v) for v in rng.integers([0, 0, 30, 30], [330, 230, 160, 120]))
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        (draw.ellipse if rng.random() < 0.5 else draw.rectangle)([x, y, x + w, y + h], fill=colour)
    return image


def recompressed(image: Image.Image) -> Image.Image:
    return Image.open(io.BytesIO(encoded(image, "JPEG", quality=20)))


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "scaled": lambda image: image.resize((130, 100)),
    "recompressed": recompressed,
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "cropped": lambda image: image.crop((16, 12, 384, 288)),
}


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_copies_that_were_changed_are_found_first(change: str) -> None:
    pictures = [scene(seed) for seed in range(60)]
    vectors = np.stack([look(picture) for picture in pictures])
    found = [int((vectors @ look(CHANGES[change](picture))).argmax()) for picture in pictures]
    assert np.mean(np.array(found) == np.arange(60)) >= 0.95


def test_the_look_is_a_space_of_pictures_only() -> None:
    embedder = LookEmbedder()
    (one,) = embedder.documents([Picture(encoded(scene(1)))])
    assert one.vectors.shape == (1, SPACE.dim)
    assert float(np.linalg.norm(one.vectors)) == pytest.approx(1)
    assert np.array_equal(one.vectors, embedder.queries([Picture(encoded(scene(1)))])[0].vectors)
    assert np.isfinite(look(Image.new("RGB", (1, 1)))).all()
    with pytest.raises(ToolError, match="pictures only"):
        embedder.documents(["a red chart"])
    with pytest.raises(ToolError, match="not a picture"):
        embedder.documents([Picture(b"nothing")])
