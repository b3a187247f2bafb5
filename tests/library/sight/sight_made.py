"""Pictures made for tests, with what stands on them."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

#: `chinese.png`, which was drawn with a free font that few machines have.
CHINESE = Path(__file__).with_name("chinese.png")
CHINESE_LINES = ("图书馆的季度报告", "第一章收入与支出", "二〇二六年的纸张费用是三百元", "每一页都有标题、表格和插图")


def written(
    lines: list[str] | tuple[str, ...], *, size: tuple[int, int] = (640, 320), height: int = 28, left: int = 40
) -> Image.Image:
    """Lines of Latin text, black on white, from the top left."""
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(height)
    for number, line in enumerate(lines):
        draw.text((left, 30 + number * int(height * 1.7)), line, font=font, fill="black")
    return image


def encoded(image: Image.Image, kind: str = "PNG", **settings: object) -> bytes:
    """The picture as a file."""
    out = io.BytesIO()
    image.save(out, kind, **settings)
    return out.getvalue()


def errors(truth: str, found: str) -> float:
    """Character error rate: edits that make `found` of `truth`, by its length. Spaces and newlines are not counted."""
    truth, found = "".join(truth.split()), "".join(found.split())
    above = list(range(len(found) + 1))
    for row, wanted in enumerate(truth, 1):
        below = [row]
        for column, got in enumerate(found, 1):
            below.append(min(above[column] + 1, below[-1] + 1, above[column - 1] + (wanted != got)))
        above = below
    return above[-1] / max(1, len(truth))
