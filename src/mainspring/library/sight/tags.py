"""Words for how a picture looks, from what can be measured on it. No model of the world is behind them.

A tag says what was measured: which colours cover the picture, which way it lies, how much of it is white, how many
colours and lines it has. It does not say what the picture shows: there is no tag for a dog or a face.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

#: Longest side at which pictures are measured.
_SIDE = 256
#: A colour is named when it covers this share of the picture.
_COVERS = 0.06
_HUES = (
    (8, "red", "红色"),
    (21, "orange", "橙色"),
    (34, "yellow", "黄色"),
    (80, "green", "绿色"),
    (98, "cyan", "青色"),
    (130, "blue", "蓝色"),
    (150, "purple", "紫色"),
    (170, "pink", "粉色"),
    (181, "red", "红色"),
)
_GREYS = (("black", "黑色"), ("grey", "灰色"), ("white", "白色"))
_SORTS = {
    "photo": "照片",
    "drawing": "绘画",
    "screenshot": "截图",
    "chart": "图表",
    "diagram": "示意图",
    "scan": "扫描",
}


@dataclass(frozen=True, slots=True)
class Tag:
    """A word for a picture: in English, in Chinese, and how sure it is (0 to 1)."""

    word: str
    chinese: str
    confidence: float


def tags_of(image: Image) -> tuple[Tag, ...]:
    """The tags of a picture, surest first within colours, shape and sort."""
    import cv2
    import numpy as np
    from PIL import Image as Pillow

    wide, high = image.size
    small = image.convert("RGB")
    share = _SIDE / max(wide, high)
    if share < 1:
        size = max(1, round(wide * share)), max(1, round(high * share))
        small = small.resize(size, Pillow.Resampling.BOX)
    pixels = np.asarray(small)
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV).reshape(-1, 3)
    found = list(_colours(hsv))
    ratio = wide / high
    if ratio > 1.15:
        found.append(Tag("landscape", "横向", 1.0))
    elif ratio < 0.87:
        found.append(Tag("portrait", "纵向", 1.0))
    else:
        found.append(Tag("square", "方形", 1.0))
    sorts = sorted(_sort(measured(pixels)).items(), key=lambda item: -item[1])
    found += [Tag(name, _SORTS[name], round(sure, 2)) for name, sure in sorts[:2] if sure >= 0.5]
    return tuple(found)


def tag_words(tags: tuple[Tag, ...]) -> str:
    """The tags as one line that words find, in both languages."""
    return " ".join([*(tag.word for tag in tags), *(tag.chinese for tag in tags)])


def _colours(hsv: Any) -> list[Tag]:
    import numpy as np

    hue, saturation, value = (hsv[:, n].astype(int) for n in range(3))
    grey = (saturation < 60) | (value < 50)
    shares: dict[tuple[str, str], float] = {}
    low = 0
    for below, word, chinese in _HUES:
        share = float(np.mean(~grey & (hue >= low) & (hue < below)))
        shares[word, chinese] = shares.get((word, chinese), 0.0) + share
        low = below
    for n, (dark, light) in enumerate(((0, 50), (50, 200), (200, 256))):
        shares[_GREYS[n]] = float(np.mean(grey & (value >= dark) & (value < light)))
    named = sorted(((share, name) for name, share in shares.items() if share >= _COVERS), reverse=True)[:4]
    tags = [Tag(*name, round(min(1.0, 0.5 + share), 2)) for share, name in named]
    coloured = float(np.mean(~grey))
    # Lines and letters of one colour cover little of a white page, and are what a person would name.
    if coloured >= 0.01 and not any(tag.word not in ("black", "grey", "white") for tag in tags):
        most = max((share, name) for name, share in shares.items() if name not in _GREYS)
        if most[0] >= 0.5 * coloured:
            tags.append(Tag(*most[1], 0.5))
    if coloured < 0.01:
        tags.append(Tag("monochrome", "黑白", 0.9))
    return tags


@dataclass(frozen=True, slots=True)
class Measured:
    """What the guess of a picture's sort rests on, each 0 to 1.

    Args:
        white: share of nearly white pixels.
        flat: share of pixels equal to both neighbours right and below.
        few: share of the picture that its eight commonest colours cover.
        edges: share of pixels on an edge.
        straight: share of the edges on long lines that run level or upright.
        coloured: share of pixels that are not grey.
        noise: how much of what is not flat differs but little from its neighbours, as on scans and photos.
    """

    white: float
    flat: float
    few: float
    edges: float
    straight: float
    coloured: float
    noise: float


def measured(pixels: Any) -> Measured:
    """Measure a small picture, RGB."""
    import cv2
    import numpy as np

    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    deep = pixels.astype(np.int16)
    if min(grey.shape) < 16:
        return Measured(float(np.mean(grey > 230)), 1.0, 1.0, 0.0, 0.0, 0.0, 0.0)
    right = np.abs(deep[:-1, 1:] - deep[:-1, :-1]).max(axis=2)
    below = np.abs(deep[1:, :-1] - deep[:-1, :-1]).max(axis=2)
    change = np.maximum(right, below)
    codes = (deep >> 4) @ np.array([256, 16, 1])
    counts = np.sort(np.unique(codes, return_counts=True)[1])[::-1]
    edges = cv2.Canny(grey, 60, 160) > 0
    long = max(12, min(grey.shape) // 6)
    marks = edges.astype(np.uint8)
    level = cv2.morphologyEx(marks, cv2.MORPH_OPEN, np.ones((1, long), np.uint8))
    upright = cv2.morphologyEx(marks, cv2.MORPH_OPEN, np.ones((long, 1), np.uint8))
    count = max(1, int(edges.sum()))
    saturation = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)[:, :, 1]
    return Measured(
        white=float(np.mean(grey > 230)),
        flat=float(np.mean(change == 0)),
        few=float(counts[:8].sum() / codes.size),
        edges=float(np.mean(edges)),
        straight=float(np.count_nonzero(np.maximum(level, upright)) / count),
        coloured=float(np.mean((saturation > 60) & (grey > 40))),
        noise=float(np.mean((change > 0) & (change <= 12))),
    )


def _sort(m: Measured) -> dict[str, float]:
    """How sure each sort is, by rules over what was measured."""

    def up(value: float, low: float, high: float) -> float:
        return min(1.0, max(0.0, (value - low) / (high - low)))

    made = up(m.flat, 0.35, 0.7)  # drawn by a program: pixels that are exactly equal
    return {
        "photo": up(m.noise, 0.15, 0.5) * (1 - up(m.white, 0.3, 0.6)) * (1 - up(m.few, 0.6, 0.9)),
        "scan": up(m.white, 0.4, 0.7) * up(m.noise, 0.05, 0.25) * (1 - up(m.coloured, 0.1, 0.3)),
        "chart": made * up(m.white, 0.3, 0.55) * up(m.coloured, 0.01, 0.05) * up(m.straight, 0.1, 0.3),
        "diagram": made * up(m.white, 0.5, 0.7) * up(m.straight, 0.1, 0.3) * (1 - up(m.coloured, 0.01, 0.06)),
        "screenshot": made * (1 - up(m.white, 0.6, 0.9)) * up(m.straight, 0.1, 0.3) * up(m.edges, 0.02, 0.06),
        "drawing": made * (1 - up(m.straight, 0.1, 0.3)) * up(m.edges, 0.005, 0.02),
    }
