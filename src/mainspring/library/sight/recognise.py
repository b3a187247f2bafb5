"""From the pixels of one picture to its lines of text.

The steps and their figures are those that PP-OCR's models were trained for: a map of text is cut into rectangles
(differentiable binarization, arXiv:1911.08947), each is straightened and read by a network whose answer is decoded by
CTC. Pages that lie on their side or stand on their head are turned before they are read.
"""

from __future__ import annotations

import math
from typing import Any

from mainspring.library.sight.lines import Line, Sighted, clean, reading_order
from mainspring.library.sight.quads import (
    Pixels,
    Quad,
    box_of,
    clockwise,
    levelled,
    lies_on_its_side,
    same_line,
    sides,
    straightened,
)
from mainspring.library.sight.weights import EngineName, Run, Tensor, load

#: Lines of a lower confidence are dropped: noise, textures and handwriting that were not read.
KEEP = 0.5
#: Longest side, in pixels, of the picture in which text is looked for; it is read from the full picture.
DETECT_SIDE = 1_280
#: Pictures that are higher than this many times their width are looked through in pieces that overlap.
_STRIP = 3.0
#: A map of text: from which value on it is text, how sure a rectangle must be, by how much it grows.
_IS_TEXT, _SURE, _GROW = 0.3, 0.5, 1.6
#: Most lines of a picture that are read.
MOST_LINES = 2_000
_BATCH = 8
_HEIGHT = 48
#: Longest piece of a line that is read at once, in units of its height: of long ones the model skips characters.
_LONGEST = 12.0
#: Lines by which a page's direction is judged, and the confidence from which on it is not doubted.
_SAMPLE, _UPRIGHT = 5, 0.85


class Recogniser:
    """Reads pictures in this process; use `Ocr`, which runs it in others. Not for several threads at once.

    Args:
        threads: of the engine.
        engine: which one runs the models.

    Raises:
        ModelError: the models are missing or not those that we know.
    """

    def __init__(self, threads: int = 1, engine: EngineName = "onnxruntime") -> None:
        self._detect: Run = load("detect", engine, threads)[0]
        self._read, known = load("read", engine, threads)
        self._known = ("", *known, " ")

    def read(self, pixels: Pixels) -> Sighted:
        """Read one picture, RGB, shape (height, width, 3)."""
        import cv2
        import numpy as np

        picture = np.ascontiguousarray(pixels[:, :, ::-1])  # the models were trained on BGR
        height, width = picture.shape[:2]
        quads = self.find(picture)[:MOST_LINES]
        if not quads:
            return Sighted()
        turned = 0
        if lies_on_its_side(quads):
            turned = 90
            picture = cv2.rotate(picture, cv2.ROTATE_90_CLOCKWISE)
            # Lines that stand are found in pieces: look again.
            quads = self.find(picture)[:MOST_LINES]
        crops = [straightened(picture, quad) for quad in quads]
        if self._on_head(crops):
            turned += 180
            high, wide = picture.shape[:2]
            quads = [clockwise(np.stack([wide - quad[:, 0], high - quad[:, 1]], axis=1)) for quad in quads]
            crops = [cv2.rotate(crop, cv2.ROTATE_180) for crop in crops]
        lines: list[Line] = []
        kept: list[Quad] = []
        for quad, (text, confidence) in zip(quads, self.spell(crops), strict=True):
            text = clean(text)
            if text and confidence >= KEEP:
                lines.append(Line(text, box_of(quad, turned, width, height), round(confidence, 4)))
                kept.append(quad)
        rows = reading_order(levelled(kept))
        return Sighted(
            tuple(lines[n] for row in rows for n in row),
            tuple(number for number, row in enumerate(rows) for _ in row),
            turned,
        )

    def find(self, picture: Pixels) -> list[Quad]:
        """Rectangles around the lines of a picture (BGR)."""
        height, width = picture.shape[:2]
        size = int(_STRIP * max(width, 320))
        if height <= size:
            return self._find(picture)
        found: list[Quad] = []
        cut: list[Quad] = []
        # Neighbours share a tenth; a line that is cut by the edge of one is whole in the other.
        for start in range(0, height, int(size * 0.9)):
            end = min(start + size, height)
            for quad in self._find(picture[start:end]):
                low, high = float(quad[:, 1].min()), float(quad[:, 1].max())
                quad[:, 1] += start
                if (low <= 2 and start > 0) or (high >= end - start - 3 and end < height):
                    cut.append(quad)
                elif not any(same_line(quad, other) for other in found[-200:]):
                    found.append(quad)
            if end == height:
                break
        return found + [quad for quad in cut if not any(same_line(quad, other) for other in found)]

    def _find(self, picture: Pixels) -> list[Quad]:
        import cv2
        import numpy as np

        height, width = picture.shape[:2]
        scale = DETECT_SIDE / max(height, width)
        if width > _STRIP * height:  # a strip: as many pixels as a page has, but no more than this width
            scale = min(math.sqrt(0.7 * DETECT_SIDE**2 / (width * height)), 4_096 / width)
        # Small pictures are enlarged, but not without measure: there is no more to see in them.
        scale = min(scale, 2.0 if max(height, width) < DETECT_SIDE / 2 else 1.0)
        wide = max(32, round(width * scale / 32) * 32)
        high = max(32, round(height * scale / 32) * 32)
        small = cv2.resize(picture, (wide, high), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        # A margin, for text that touches the edge is not found.
        small = cv2.copyMakeBorder(small, 32, 32, 32, 32, cv2.BORDER_REPLICATE)
        tensor = (small.astype(np.float32) / 127.5 - 1.0).transpose(2, 0, 1)[None]
        chances = self._detect(np.ascontiguousarray(tensor))[0, 0]
        mask = cv2.dilate((chances > _IS_TEXT).astype(np.uint8), np.ones((2, 2), np.uint8))
        outlines, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        found: list[Quad] = []
        factor = np.array([width / wide, height / high], np.float32)
        for outline in outlines:
            middle, (a, b), angle = cv2.minAreaRect(outline)
            if min(a, b) < 3:
                continue
            if _mean_inside(chances, cv2.boxPoints((middle, (a, b), angle))) < _SURE:
                continue
            grow = 2 * (a * b) * _GROW / (2 * (a + b))
            corners = cv2.boxPoints((middle, (a + grow, b + grow), angle))
            quad = clockwise((corners - 32.0) * factor)
            quad[:, 0] = quad[:, 0].clip(0, width - 1)
            quad[:, 1] = quad[:, 1].clip(0, height - 1)
            if min(sides(quad)) > 3:
                found.append(quad)
        return found

    def _on_head(self, crops: list[Pixels]) -> bool:
        """Whether the page stands on its head: some of its lines, read both ways, are surer so.

        The classifier that comes with the models took upright Chinese pages for the opposite.
        """
        import cv2

        longest = sorted(crops, key=lambda crop: -crop.shape[1])[: 4 * _SAMPLE : 4]
        some = [crop[:, : 10 * crop.shape[0]] for crop in longest]
        upright = self._certainty(some)
        return upright < _UPRIGHT and self._certainty([cv2.rotate(crop, cv2.ROTATE_180) for crop in some]) > upright

    def _certainty(self, crops: list[Pixels]) -> float:
        return sum(confidence for _, confidence in self._spell(crops)) / len(crops)

    def spell(self, crops: list[Pixels]) -> list[tuple[str, float]]:
        """Text and confidence of each straightened line (BGR). Long lines are read in pieces."""
        pieces: list[Pixels] = []
        parts: list[list[bool]] = []
        for crop in crops:
            cut = _pieces(crop)
            pieces += [piece for piece, _ in cut]
            parts.append([space for _, space in cut])
        answers = iter(self._spell(pieces))
        found: list[tuple[str, float]] = []
        for spaces in parts:
            text, sure, count = "", 0.0, 0
            for space in spaces:
                word, confidence = next(answers)
                packed = not text or (_packed(text[-1:]) and _packed(word[:1]))
                text += ("" if packed or not space else " ") + word
                sure, count = sure + confidence * len(word), count + len(word)
            found.append((text, sure / count if count else 0.0))
        return found

    def _spell(self, crops: list[Pixels]) -> list[tuple[str, float]]:
        import numpy as np

        widths = [crop.shape[1] / crop.shape[0] for crop in crops]
        order = sorted(range(len(crops)), key=lambda n: widths[n])
        found: list[tuple[str, float]] = [("", 0.0)] * len(crops)
        for start in range(0, len(order), _BATCH):
            some = order[start : start + _BATCH]
            # Widths in steps, so that the engine meets few shapes.
            width = max(160, math.ceil(widths[some[-1]] * _HEIGHT / 32) * 32)
            answers = self._read(np.stack([_fitted(crops[n], width) for n in some]))
            for n, answer in zip(some, answers, strict=True):
                found[n] = self._decoded(answer)
        return found

    def _decoded(self, answer: Tensor) -> tuple[str, float]:
        import numpy as np

        best = answer.argmax(axis=1)
        new = np.ones(len(best), bool)
        new[1:] = best[1:] != best[:-1]
        at = np.flatnonzero(new & (best != 0))
        if not len(at):
            return "", 0.0
        return "".join(self._known[n] for n in best[at]), float(answer[at, best[at]].mean())


def _packed(character: str) -> bool:
    """Whether it is of a script without spaces (Han, kana and their signs)."""
    return "\u2e80" <= character <= "\u9fff" or "\uf900" <= character <= "\ufaff" or character >= "\U00020000"


def _pieces(crop: Pixels) -> list[tuple[Pixels, bool]]:
    """A line cut where it has the widest gaps; True for a piece before which there is room for a space."""
    import numpy as np

    high, wide = crop.shape[:2]
    count = math.ceil(wide / (_LONGEST * high))
    if count <= 1:
        return [(crop, False)]
    contrast = crop.max(axis=2).astype(np.int16)
    ink = contrast.max(axis=0) - contrast.min(axis=0)
    empty = ink < ink.min() + 0.25 * (ink.max() - ink.min())
    # Runs of columns without ink: start and end of each.
    edges = np.flatnonzero(np.diff(np.concatenate([[0], empty.astype(np.int8), [0]])))
    gaps = [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True) if a > 0 and b < wide]
    found: list[tuple[Pixels, bool]] = []
    start, space = 0, False
    while wide - start > _LONGEST * high:
        end = start + int(_LONGEST * high)
        near = [gap for gap in gaps if gap[0] > start + 0.5 * _LONGEST * high and gap[1] <= end]
        best = max(near, key=lambda gap: (min(gap[1] - gap[0], 0.3 * high), gap[0]), default=(end, end))
        at = (best[0] + best[1]) // 2
        found.append((crop[:, start:at], space))
        start, space = at, best[1] - best[0] >= 0.18 * high
    found.append((crop[:, start:], space))
    return found


def _fitted(crop: Pixels, width: int) -> Tensor:
    """A line at the height that the models read, padded to a width; shape (3, 48, width)."""
    import cv2
    import numpy as np

    wide = max(1, min(width, math.ceil(_HEIGHT * crop.shape[1] / crop.shape[0])))
    tensor = np.zeros((3, _HEIGHT, width), np.float32)
    small = cv2.resize(crop, (wide, _HEIGHT))
    tensor[:, :, :wide] = (small.astype(np.float32) / 127.5 - 1.0).transpose(2, 0, 1)
    return tensor


def _mean_inside(chances: Tensor, corners: Any) -> float:
    import cv2
    import numpy as np

    high, wide = chances.shape
    low = np.floor(corners.min(axis=0)).astype(int).clip(0, [wide - 1, high - 1])
    top = np.ceil(corners.max(axis=0)).astype(int).clip(0, [wide - 1, high - 1])
    mask = np.zeros((top[1] - low[1] + 1, top[0] - low[0] + 1), np.uint8)
    cv2.fillPoly(mask, [(corners - low).astype(np.int32)], 1)
    return float(cv2.mean(chances[low[1] : top[1] + 1, low[0] : top[0] + 1], mask)[0])
