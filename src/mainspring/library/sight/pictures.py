"""Picture files opened safely: their size is known before they are decoded, and they come out upright and in RGB."""

from __future__ import annotations

import contextlib
import io
import os
import re
import stat
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.errors import ModelError, ToolError

if TYPE_CHECKING:
    from PIL.Image import Image

#: Formats that are opened, as Pillow names them. Others (PostScript, FITS, ...) start programs or are no pictures.
FORMATS = ("PNG", "JPEG", "MPO", "GIF", "TIFF", "WEBP", "BMP", "DIB", "ICO", "PPM", "JPEG2000", "AVIF", "TGA", "PCX")
#: Most frames of one file that become pages.
MOST_FRAMES = 500
#: Largest picture, in pixels by its header, that is decoded.
PIXELS = 100_000_000
#: Largest picture file, in bytes.
MOST_BYTES = 400_000_000


@contextlib.contextmanager
def opened(source: Path | bytes, pixels: int = PIXELS, name: str = "") -> Iterator[Image]:
    """A picture file that is open but not decoded. Raises ToolError with what is wrong with it.

    Args:
        name: what it is called in errors.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise ModelError('pictures need Pillow: pip install "mainspring[library]"') from error

    name = name or (str(source) if isinstance(source, Path) else "the picture")
    heif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the size is checked here, by our own limit
            image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=_formats())
    except UnidentifiedImageError as error:
        raise ToolError(f"{name} is not a picture that can be read (or is empty); convert it to PNG or JPEG") from error
    except Image.DecompressionBombError as error:
        told = re.search(r"\((\d+) pixels", str(error))  # Pillow does not open it, and says no more
        many = f"{int(told[1]):,} pixels, more" if told else "more pixels"
        raise ToolError(f"{name} declares {many} than the {pixels:,} that are decoded; scale it down") from error
    except _DAMAGE as error:
        raise ToolError(f"{name} cannot be opened as a picture: {_why(error)}") from error
    with image:
        wide, high = image.size
        if wide * high > pixels:
            raise ToolError(
                f"{name} has {wide:,} x {high:,} pixels, more than the {pixels:,} that are decoded; "
                "scale it down, or raise the limit of pixels"
            )
        yield image


def bytes_of(path: Path) -> bytes:
    """What a regular file holds; a pipe or device could block, or do something. Raises ToolError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise ToolError(f"{path} is no regular file")
            if status.st_size > MOST_BYTES:
                raise ToolError(
                    f"{path} has {status.st_size:,} bytes, and at most {MOST_BYTES:,} are read as a picture"
                )
            return file.read(MOST_BYTES)
    except (OSError, ValueError) as error:
        raise ToolError(f"{path} cannot be opened as a picture: {_why(error)}") from None


def heif() -> bool:
    """Let Pillow open HEIC files, where `pillow-heif` is installed."""
    try:
        from pillow_heif import register_heif_opener  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return False
    register_heif_opener()
    return True


def _formats() -> tuple[str, ...]:
    from PIL import Image

    Image.init()
    return tuple(name for name in (*FORMATS, "HEIF") if name in Image.OPEN)


#: What Pillow raises over damaged files.
_DAMAGE = (OSError, ValueError, SyntaxError, EOFError, KeyError, IndexError, TypeError, struct.error)


def frames(image: Image) -> int:
    """How many pictures a file holds; of a damaged one, how many can be found (1 at the least)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return max(1, int(getattr(image, "n_frames", 1)))
    except _DAMAGE:
        found = 1
        with contextlib.suppress(*_DAMAGE), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            while found < MOST_FRAMES:
                image.seek(found)
                found += 1
        return found


def frame(image: Image, number: int, budget: int | None = None) -> Image:
    """Decode one frame (from 1): upright by its EXIF mark, without transparency, RGB.

    Args:
        budget: most pixels of the result; a larger picture is scaled down.

    Raises:
        ToolError: there is no such frame, or it is broken.
    """
    try:
        if number > 1:
            image.seek(number - 1)
        if budget is not None and image.format == "JPEG":
            wide, high = image.size
            share = min(1.0, (budget / (wide * high)) ** 0.5)
            image.draft("RGB", (int(wide * share), int(high * share)))  # decodes at half the size or less
        return shrunk(upright(image), budget)
    except (*_DAMAGE, MemoryError) as error:
        raise ToolError(f"frame {number} of the picture is broken: {_why(error)}") from error


def upright(image: Image) -> Image:
    """Any picture as RGB, on white where it is transparent, turned as its EXIF mark asks."""
    import numpy as np
    from PIL import Image as Pillow
    from PIL import ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        # 16 and 32 bits a pixel: the whole range that occurs is shown, for files do not say what is white.
        values = np.nan_to_num(np.asarray(image, np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        low, high = float(values.min()), float(values.max())
        if image.mode.startswith("I;16") or (image.mode == "I" and low >= 0 and 255 < high < 65_536):
            low, high = 0.0, 65_535.0
        elif low >= 0 and high <= 255 and image.mode == "I":
            low, high = 0.0, 255.0
        span = high - low or 1.0
        return Pillow.fromarray(((values - low) / span * 255).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        paper = Pillow.new("RGBA", image.size, "white")
        return Pillow.alpha_composite(paper, image).convert("RGB")
    return image.convert("RGB")


def shrunk(image: Image, budget: int | None) -> Image:
    """The picture with at most `budget` pixels."""
    from PIL import Image as Pillow

    wide, high = image.size
    if budget is None or wide * high <= budget:
        return image
    share = (budget / (wide * high)) ** 0.5
    return image.resize((max(1, int(wide * share)), max(1, int(high * share))), Pillow.Resampling.BOX)


def _why(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
