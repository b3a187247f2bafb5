"""Pictures as encoders want them: turned upright, on white, scaled to whole patches within a budget, as PNG or JPEG."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.errors import ToolError
from mainspring.library.embed.protocol import Picture

if TYPE_CHECKING:
    from PIL.Image import Image

#: A picture with more pixels is refused before anything of it is decoded.
MAX_SOURCE_PIXELS = 170_000_000
#: Bytes of PNG above which a picture goes as JPEG: photographs do not pack well as PNG.
_PNG_LIMIT = 2_000_000
#: Longer strips than this are squeezed; encoders refuse them.
_MAX_RATIO = 100.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A picture ready to be sent or encoded: RGB, and its patches as (rows, columns)."""

    image: Image
    grid: tuple[int, int]

    def data_url(self) -> str:
        """As a data URL."""
        packed = io.BytesIO()
        self.image.save(packed, "PNG")
        kind = "png"
        if packed.tell() > _PNG_LIMIT:
            packed = io.BytesIO()
            self.image.save(packed, "JPEG", quality=90)
            kind = "jpeg"
        return f"data:image/{kind};base64," + base64.b64encode(packed.getvalue()).decode()


def prepare(
    picture: Picture, *, patch: int, min_patches: int, max_patches: int, fixed: tuple[int, int] = (0, 0)
) -> Prepared:
    """Read a picture and scale it so that a whole number of patches covers it.

    Args:
        picture: what to read.
        patch: side of a patch in pixels.
        min_patches, max_patches: the budget; the sides keep their ratio as far as whole patches allow.
        fixed: (rows, columns) to scale to instead, whatever its ratio.

    Raises:
        ToolError: it cannot be read, is no PNG or JPEG (or other format that Pillow reads), or has too many pixels.
    """
    image = _opened(picture, patch * patch * max_patches)
    rows, columns = fixed if fixed != (0, 0) else patches(*image.size, patch, min_patches, max_patches)
    size = (columns * patch, rows * patch)
    if image.size != size:
        from PIL.Image import Resampling

        image = image.resize(size, Resampling.LANCZOS if image.width > size[0] else Resampling.BICUBIC)
    return Prepared(image, (rows, columns))


def patches(width: int, height: int, patch: int, least: int, most: int) -> tuple[int, int]:
    """(rows, columns) of patches for a picture of this size."""
    ratio = min(max(height / width, 1 / _MAX_RATIO), _MAX_RATIO)
    wanted = min(max(width * height / (patch * patch), least), most)
    columns = max(1, round((wanted / ratio) ** 0.5))
    rows = max(1, round(columns * ratio))
    while rows * columns > most:
        if rows >= columns:
            rows -= 1
        else:
            columns -= 1
    while rows * columns < least:
        if rows <= columns:
            rows += 1
        else:
            columns += 1
    return rows, columns


def _opened(picture: Picture, budget: int) -> Image:
    from PIL import Image, ImageOps, UnidentifiedImageError

    source = picture.source
    what = f"picture {source}" if isinstance(source, Path) else f"a picture of {len(source):,} bytes"
    try:
        with Image.open(source if isinstance(source, Path) else io.BytesIO(source)) as opened:
            if opened.width * opened.height > MAX_SOURCE_PIXELS:
                raise ToolError(
                    f"{what} has {opened.width} x {opened.height} pixels, more than {MAX_SOURCE_PIXELS:,}; scale it"
                )
            # A JPEG can be decoded at a half, a quarter or an eighth, which saves most of the time of a large one.
            shrink = (opened.width * opened.height / (4 * budget)) ** 0.5
            if shrink > 1:
                opened.draft("RGB", (int(opened.width / shrink), int(opened.height / shrink)))
            upright = ImageOps.exif_transpose(opened)
            if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
                layer = upright.convert("RGBA")
                white = Image.new("RGBA", layer.size, "white")
                return Image.alpha_composite(white, layer).convert("RGB")
            return upright.convert("RGB")
    except ToolError:
        raise
    except UnidentifiedImageError:
        raise ToolError(f"{what} is no picture that can be read; give a PNG or JPEG") from None
    except Image.DecompressionBombError:
        raise ToolError(f"{what} has too many pixels; scale it") from None
    except (OSError, ValueError, SyntaxError, MemoryError) as error:
        raise ToolError(f"{what} cannot be read: {error}; it may be damaged") from None
