"""Readers of pictures, films and recordings. Words on pictures are read later, by OCR."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.errors import ToolError
from mainspring.library.page import Page
from mainspring.library.read.protocol import About, Reading, ReadLimits
from mainspring.library.sight.lines import clean
from mainspring.library.sight.pictures import MOST_FRAMES, frame, frames, opened
from mainspring.library.sight.tags import tag_words, tags_of

if TYPE_CHECKING:
    from PIL.Image import Image

    from mainspring.library.sight.transcripts import Transcriber

#: EXIF fields that are kept. Where a picture was taken is not among them.
_EXIF = {0x0132: "date", 0x010F: "camera_make", 0x0110: "camera", 0x010E: "description", 0x013B: "author"}
_EXIF_MORE = {0x9003: "date"}
_MARKUP = re.compile(rb"<(?:svg[\s>]|\?xml|!DOCTYPE svg)", re.I)


def open_image(path: Path, limits: ReadLimits, *, places: bool = False) -> Reading:
    """A picture: one page, or one a frame.

    Args:
        places: keep where it was taken (GPS) in `extra` as well.

    Raises:
        ToolError: no picture, broken, or larger than the limits.
    """
    size = path.stat().st_size
    if size > limits.bytes:
        raise ToolError(f"{path.name} has {size:,} bytes, more than the limit of {limits.bytes:,}")
    with path.open("rb") as file:
        head = file.read(1_024)
    if _MARKUP.search(head):
        return _Markup(path, limits)
    return _Pictures(path, limits, places)


def open_video(path: Path, limits: ReadLimits) -> Reading:
    """A film: a page a scene, with its key frame as picture. Raises ToolError: no film, or broken from the start."""
    from mainspring.library.sight.film import Film

    return Film(path, limits)


def open_audio(path: Path, limits: ReadLimits, *, transcriber: Transcriber | None = None) -> Reading:
    """A recording: what is said in it, where a file beside it or an engine says so; else what it says of itself.

    Raises:
        ToolError: no recording, or broken from the start.
    """
    from mainspring.library.sight.film import Recording

    return Recording(path, limits, transcriber)


class _Pictures:
    """A picture file."""

    def __init__(self, path: Path, limits: ReadLimits, places: bool) -> None:
        self._path, self._limits = path, limits
        self.problem = ""
        with opened(path, limits.pixels, path.name) as image:
            count = frames(image)
            self._frames = min(count, limits.pages, MOST_FRAMES)
            if self._frames < count:
                self.problem = f"only the first {self._frames} of its {count} pictures were read"
            extra = {"format": (image.format or "").lower(), "size": f"{image.width} x {image.height}"}
            try:
                extra |= _exif(image, places)
            except Exception:  # a damaged mark does not spoil the picture
                self.problem = self.problem or "its EXIF data are damaged"
        self.about = About("image", clean(extra.get("description", ""))[:200] or path.name, extra)

    def pages(self) -> Iterator[Page]:
        for number in range(1, self._frames + 1):
            try:
                with opened(self._path, self._limits.pixels, self._path.name) as image:
                    picture = frame(image, number)
            except ToolError as error:
                if number == 1:
                    raise ToolError(f"{self._path.name}: {error}") from error
                self.problem = f"{error}; the pictures before it were read"
                return
            yield Page(
                number,
                "",
                heading=tag_words(tags_of(picture)),
                source="none",
                pictured=True,
                unread=1.0,
                width=float(picture.width),
                height=float(picture.height),
            )

    def render(self, number: int, width: int) -> Image:
        if not 1 <= number <= self._frames:
            raise ToolError(f"{self._path.name} has no picture {number}; it has {self._frames}")
        with opened(self._path, self._limits.pixels, self._path.name) as image:
            return scaled(frame(image, number), width)

    def close(self) -> None:
        return None


class _Markup:
    """An SVG: its words only. Nothing in it is drawn, run or followed."""

    def __init__(self, path: Path, limits: ReadLimits) -> None:
        from selectolax.lexbor import LexborHTMLParser

        with path.open("rb") as file:
            data = file.read(8 << 20)
        self._name, self.problem = path.name, ""
        tree = LexborHTMLParser(data.decode("utf-8", "replace"))
        svg = tree.css_first("svg")
        if svg is None:
            raise ToolError(f"{path.name} is XML, but no SVG picture")
        for node in svg.css("script, style, foreignObject"):
            node.decompose()
        words = [clean(node.text(separator=" ")) for node in svg.css("title, desc, text")]
        words = [word for word in dict.fromkeys(words) if word]
        title = svg.css_first("title")
        self._text = "\n".join(words)[: limits.page_chars]
        self.about = About("image", clean(title.text())[:200] if title is not None else path.name, {"format": "svg"})

    def pages(self) -> Iterator[Page]:
        yield Page(1, self._text, source="text" if self._text else "none")

    def render(self, number: int, width: int) -> Image:
        raise ToolError(f"{self._name} is an SVG, which is not drawn; convert it to PNG to search it as a picture")

    def close(self) -> None:
        return None


def scaled(image: Image, width: int) -> Image:
    """The picture at a width, in proportion."""
    from PIL import Image as Pillow

    if width < 1:
        raise ToolError(f"a picture cannot be {width} pixels wide")
    high = max(1, round(image.height * width / image.width))
    return image if image.width == width else image.resize((width, high), Pillow.Resampling.LANCZOS)


def _exif(image: Image, places: bool) -> dict[str, str]:
    exif = image.getexif()
    inner = exif.get_ifd(0x8769)
    found = {name: clean(str(exif[tag]))[:300] for tag, name in _EXIF.items() if tag in exif}
    found |= {name: clean(str(inner[tag]))[:300] for tag, name in _EXIF_MORE.items() if tag in inner}
    if places and (gps := exif.get_ifd(0x8825)):
        for name, reference, tag in (("latitude", 1, 2), ("longitude", 3, 4)):
            if tag in gps:
                degrees, minutes, seconds = (float(part) for part in gps[tag])
                sign = -1 if str(gps.get(reference, "")).upper() in ("S", "W") else 1
                found[name] = f"{sign * (degrees + minutes / 60 + seconds / 3600):.6f}"
    return {name: value for name, value in found.items() if value}
