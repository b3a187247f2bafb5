"""A heat map on a page's picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.library.search.snippet import met

if TYPE_CHECKING:
    from PIL.Image import Image

    from mainspring.library.search.explain import Explanation

#: Colour of what is hot, and how opaque the hottest place is (0 to 255), so that the page stays readable.
_HOT = (255, 96, 0)
_OPAQUE = 140


def drawn(explanation: Explanation, picture: Image) -> Image:
    """The picture (RGB) with what answers the query coloured: patches as a cloud, regions of text as boxes."""
    from PIL import Image as images

    base = picture.convert("RGB")
    heat = images.new("L", base.size, 0)
    rows, columns = explanation.grid
    if rows and columns:
        small = images.new("L", (columns, rows))
        small.putdata([round(_OPAQUE * h) for h in explanation.patches])
        heat = small.resize(base.size, images.Resampling.BICUBIC)
    _boxes(explanation, heat)
    return images.composite(images.new("RGB", base.size, _HOT), base, heat)


def _boxes(explanation: Explanation, heat: Image) -> None:
    """Fill each region with a place by the hottest of its words, and frame the hottest region."""
    from PIL import ImageDraw

    regions = [r for r in explanation.page.page.regions if r.box is not None and r.end > r.start]
    warm: list[tuple[float, int, int, int, int]] = []
    for region in regions:
        inside = [h for start, end, h in explanation.heat if met([region], start, end)]
        if region.box is None or not inside:
            continue
        width, height = heat.size
        box = region.box
        warm.append(
            (
                max(inside),
                round(box.left * width),
                round(box.top * height),
                max(round(box.right * width), round(box.left * width) + 1),
                max(round(box.bottom * height), round(box.top * height) + 1),
            )
        )
    pen = ImageDraw.Draw(heat)
    for share, left, top, right, bottom in sorted(warm):  # the hottest last, on top
        pen.rectangle((left, top, right, bottom), fill=round(_OPAQUE * share))
    if warm:
        _, left, top, right, bottom = max(warm)
        pen.rectangle((left, top, right, bottom), outline=255, width=max(heat.width // 400, 2))
