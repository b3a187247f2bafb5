"""Rectangles around lines of text, which may be tilted: turned, levelled, straightened, compared."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

from mainspring.library.page import Box

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels: TypeAlias = NDArray[Any]  # np.uint8
    #: Four corners (x, y) from the top left clockwise, shape (4, 2).
    Quad: TypeAlias = NDArray[np.float32]
else:
    Pixels: TypeAlias = Any
    Quad: TypeAlias = Any


def sides(quad: Quad) -> tuple[float, float]:
    """Width and height of a rectangle that may be tilted."""
    return math.dist(quad[0], quad[1]), math.dist(quad[0], quad[3])


def clockwise(points: Any) -> Quad:
    """Corners from the top left clockwise."""
    import numpy as np

    points = np.asarray(points, np.float32)
    points = points[np.argsort(points[:, 0], kind="stable")]
    left = points[:2][np.argsort(points[:2, 1], kind="stable")]
    right = points[2:][np.argsort(points[2:, 1], kind="stable")]
    return np.array([left[0], right[0], right[1], left[1]], np.float32)


def straightened(picture: Pixels, quad: Quad) -> Pixels:
    """The line within a rectangle, level; one that is much higher than wide is laid on its side."""
    import cv2
    import numpy as np

    wide, high = (max(1, int(side)) for side in sides(quad))
    target = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32)
    crop = cv2.warpPerspective(
        picture,
        cv2.getPerspectiveTransform(quad, target),
        (wide, high),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.ascontiguousarray(np.rot90(crop)) if high >= 1.5 * wide else crop


def lies_on_its_side(quads: list[Quad]) -> bool:
    """Whether most of the lines, by their length, run from top to bottom."""
    standing = lying = 0.0
    for quad in quads:
        wide, high = sides(quad)
        if high >= 1.5 * wide:
            standing += high
        elif wide >= 1.5 * high:
            lying += wide
    return standing > 2 * lying


def levelled(quads: list[Quad]) -> list[tuple[float, float, float, float]]:
    """Rectangles (left, top, right, bottom) with the tilt of the whole page taken out."""
    import numpy as np

    if not quads:
        return []
    long = sorted(quads, key=lambda quad: -sides(quad)[0])[: max(1, len(quads) // 2)]
    angles = [math.atan2(float(q[1][1] - q[0][1]), float(q[1][0] - q[0][0])) for q in long if sides(q)[0] > 0]
    angle = -float(np.median(angles)) if angles else 0.0
    spin = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], np.float32)
    found = []
    for quad in quads:
        points = quad @ spin.T
        left, top = points.min(axis=0)
        right, bottom = points.max(axis=0)
        found.append((float(left), float(top), float(right), float(bottom)))
    return found


def box_of(quad: Quad, turned: int, width: int, height: int) -> Box:
    """Where a rectangle of the turned picture stands on the one that was given, in fractions."""
    high, wide = (width, height) if turned in (90, 270) else (height, width)
    left, top = (float(v) for v in quad.min(axis=0))
    right, bottom = (float(v) for v in quad.max(axis=0))
    left, right, top, bottom = left / wide, right / wide, top / high, bottom / high
    if turned == 90:
        left, top, right, bottom = top, 1 - right, bottom, 1 - left
    elif turned == 180:
        left, top, right, bottom = 1 - right, 1 - bottom, 1 - left, 1 - top
    elif turned == 270:
        left, top, right, bottom = 1 - bottom, left, 1 - top, right
    edges = (min(1.0, max(0.0, round(v, 5))) for v in (left, top, right, bottom))
    return Box(*edges)


def same_line(quad: Quad, other: Quad) -> bool:
    """Whether two rectangles are the same line, found in two pieces."""
    low, top = quad.min(axis=0), quad.max(axis=0)
    low2, top2 = other.min(axis=0), other.max(axis=0)
    shared = [max(0.0, min(top[n], top2[n]) - max(low[n], low2[n])) for n in (0, 1)]
    smaller = min((top[0] - low[0]) * (top[1] - low[1]), (top2[0] - low2[0]) * (top2[1] - low2[1]))
    return bool(shared[0] * shared[1] > 0.5 * smaller)
