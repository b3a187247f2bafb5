"""Scenes of a film: stretches between two moments at which the picture changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

#: How different (0 to 1) two looks must be, one after the other, or from the scene's first one (a slow change).
_CUT, _DRIFT = 0.25, 0.4
#: No scene is shorter, in seconds.
SHORTEST_S = 1.0
_WIDE, _HIGH = 160, 90


@dataclass(slots=True)
class Scene:
    """From when to when, in seconds; the moment of its key frame; how much it differs from the one before."""

    begins_s: float
    ends_s: float
    key_s: float
    change: float
    sharpness: float
    size: tuple[int, int]
    pixels: Any

    def small(self) -> Image:
        """The key frame, small."""
        from PIL import Image as Pillow

        return Pillow.fromarray(self.pixels)


class Cutter:
    """Cuts a film into scenes, frame by frame.

    Args:
        most: scenes; when there are more, those that differ least from the one before are joined to it.
    """

    def __init__(self, most: int) -> None:
        self._most = max(1, most)
        self._scenes: list[Scene] = []
        self._first: Any = None
        self._last: Any = None
        self.merged = 0

    def add(self, at: float, frame: Any) -> None:
        """A frame of PyAV's and its moment."""
        import cv2

        size = (int(frame.width), int(frame.height))
        pixels = frame.reformat(width=_WIDE, height=_HIGH, format="rgb24").to_ndarray()
        look = _look(pixels)
        sharp = float(cv2.Laplacian(look[0], cv2.CV_32F).var())
        if not self._scenes:
            self._begin(at, 1.0, sharp, size, pixels, look)
            return
        change = max(_apart(look, self._last) / _CUT, _apart(look, self._first) / _DRIFT)
        scene = self._scenes[-1]
        if change >= 1.0 and at - scene.begins_s >= SHORTEST_S:
            self._begin(at, change, sharp, size, pixels, look)
            return
        scene.ends_s = max(scene.ends_s, at)
        # A key frame is clearly sharper than the one before it, so that noise does not choose.
        if sharp > 1.2 * scene.sharpness + 1:
            scene.key_s, scene.sharpness, scene.pixels = at, sharp, pixels
        self._last = look

    def _begin(self, at: float, change: float, sharp: float, size: tuple[int, int], pixels: Any, look: Any) -> None:
        if self._scenes:
            self._scenes[-1].ends_s = at
        self._scenes.append(Scene(at, at, at, change, sharp, size, pixels))
        self._first = self._last = look
        if len(self._scenes) > self._most + 64:
            self._join()

    def scenes(self, duration: float) -> list[Scene]:
        """The scenes; the last one ends with the film."""
        self._join()
        if self._scenes:
            last = self._scenes[-1]
            last.ends_s = max(last.ends_s, duration if duration < last.ends_s + 60 else 0.0)
        return self._scenes

    def _join(self) -> None:
        while len(self._scenes) > self._most:
            n = min(range(1, len(self._scenes)), key=lambda n: self._scenes[n].change)
            self._scenes[n - 1].ends_s = self._scenes[n].ends_s
            del self._scenes[n]
            self.merged += 1


def _look(pixels: Any) -> tuple[Any, Any]:
    """A grey picture without noise, and a histogram of hue, saturation and value with the sum 1."""
    import cv2

    grey = cv2.GaussianBlur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (5, 5), 0)
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
    histogram = cv2.calcHist([hsv], [0, 1, 2], None, [8, 4, 8], [0, 180, 0, 256, 0, 256]).ravel()
    return grey, histogram / max(1.0, float(histogram.sum()))


def _apart(one: tuple[Any, Any], other: tuple[Any, Any]) -> float:
    """How different two looks are, 0 to 1: half by their colours, half by the pixels that changed."""
    import cv2
    import numpy as np

    colours = 0.5 * float(np.abs(one[1] - other[1]).sum())
    moved = float(np.mean(cv2.absdiff(one[0], other[0]) > 25))
    return 0.5 * colours + 0.5 * moved
