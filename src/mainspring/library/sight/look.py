"""A vector for how a picture looks: where its colours stand and which way its edges run.

It finds pictures that look alike: copies that were scaled, recompressed, cropped a little or made brighter. It knows
nothing of what a picture shows. Colour layout after MPEG-7 (cosine transform of a small YCbCr picture), edges after
histograms of oriented gradients (Dalal and Triggs 2005). The same picture gives the same numbers everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mainspring.errors import ToolError
from mainspring.library.embed.protocol import Encoded, Item, Picture, Space

if TYPE_CHECKING:
    from PIL.Image import Image

#: 48 numbers of colour layout (24 of brightness, 12 of each colour) and 80 of edges (16 fields by 5 directions).
DIM = 128
SPACE = Space("mainspring-look", "1", DIM, multi=False, documents=frozenset({"image"}), queries=frozenset({"image"}))
_SIDE = 64
_DIRECTIONS, _FIELDS = 5, 4


class LookEmbedder:
    """The vectors of pictures. Safe to use from several threads.

    Args:
        pixels: largest picture that is decoded.
    """

    def __init__(self, pixels: int = 100_000_000) -> None:
        self._pixels = pixels

    @property
    def space(self) -> Space:
        """``mainspring-look``, one vector of 128 numbers a picture."""
        return SPACE

    def documents(self, items: Sequence[Item]) -> list[Encoded]:
        """A vector a picture. Raises ToolError for text, or a picture that is broken."""
        return [self._encoded(item) for item in items]

    def queries(self, items: Sequence[Item]) -> list[Encoded]:
        """As `documents`."""
        return self.documents(items)

    def close(self) -> None:
        """There is nothing to free."""

    def _encoded(self, item: Item) -> Encoded:
        from mainspring.library.sight.pictures import frame, opened

        if not isinstance(item, Picture):
            raise ToolError("the space mainspring-look takes pictures only, no text; search by words for that")
        with opened(item.source, self._pixels) as image:
            return Encoded(look(frame(image, 1, 4_000_000))[None], grid=(0, 0))


def look(image: Image) -> Any:
    """The vector of a picture: float32, shape (128,), length 1."""
    import cv2
    import numpy as np
    from PIL import Image as Pillow

    small = image.convert("RGB").resize((_SIDE, _SIDE), Pillow.Resampling.BOX)
    pixels = np.asarray(small).astype(np.float32)
    grey = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    # Contrast and brightness are taken out, for they are what changes between copies.
    shade = (grey - grey.mean()) / max(8.0, float(grey.std()))
    layout = _cosine(cv2.resize(shade, (16, 16), interpolation=cv2.INTER_AREA))[1:25]
    blue, red = (pixels[:, :, 2] - grey) / 128, (pixels[:, :, 0] - grey) / 128
    colours = [_cosine(cv2.resize(c, (16, 16), interpolation=cv2.INTER_AREA))[:12] for c in (blue, red)]
    parts = [_unit(layout), 0.8 * _length_kept(np.concatenate(colours)), 0.8 * _unit(_edges(shade))]
    return _unit(np.concatenate(parts)).astype(np.float32)


def _cosine(values: Any) -> Any:
    """Coefficients of the cosine transform, those of slow changes first."""
    import cv2

    table = cv2.dct(values)
    order = sorted(((r, c) for r in range(16) for c in range(16)), key=lambda p: (p[0] + p[1], p[0]))
    return table[[r for r, _ in order], [c for _, c in order]]


def _edges(shade: Any) -> Any:
    """How strong edges of each direction are in 4 x 4 fields; neighbours share, so that a shift changes little."""
    import cv2
    import numpy as np

    smooth = cv2.GaussianBlur(shade, (0, 0), 1.5)
    across, down = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    strength, angle = np.hypot(across, down), (np.arctan2(down, across) % np.pi) / np.pi * _DIRECTIONS
    found = []
    for direction in range(_DIRECTIONS):
        away = np.abs(angle - direction)
        share = np.clip(1 - np.minimum(away, _DIRECTIONS - away), 0, None)
        spread = cv2.GaussianBlur((strength * share).astype(np.float32), (0, 0), 5)
        found.append(cv2.resize(spread, (_FIELDS, _FIELDS), interpolation=cv2.INTER_AREA).ravel())
    values = np.sqrt(np.concatenate(found))
    # What every picture has tells nothing: the mean is taken out.
    return values - values.mean()


def _unit(values: Any) -> Any:
    import numpy as np

    length = float(np.linalg.norm(values))
    if length < 1e-6:  # a picture of one colour has no layout: any fixed direction will do
        return np.full(len(values), 1 / np.sqrt(len(values)), np.float32)
    return values / length


def _length_kept(values: Any) -> Any:
    """Scaled to at most length 1: grey pictures have no colours to compare."""
    import numpy as np

    length = float(np.linalg.norm(values))
    return values * (np.tanh(length) / length) if length > 1e-6 else values
