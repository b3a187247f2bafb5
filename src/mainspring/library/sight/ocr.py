"""OCR: the words of a picture, read in processes beside this one and kept by the digest of its pixels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.errors import DeclarationError, ToolError
from mainspring.library.page import Page
from mainspring.library.sight.cache import Cache, unpacked
from mainspring.library.sight.child import Children
from mainspring.library.sight.lines import Line, Sighted, page_from
from mainspring.library.sight.pictures import PIXELS, bytes_of
from mainspring.library.sight.weights import MODELS, EngineName, best_engine

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Line", "Ocr", "Sighted", "read_picture"]

#: Most pixels that a picture is read at; a larger one is scaled down. An A4 page at 600 dpi has 35 million.
BUDGET = 40_000_000
#: Raised with every change that makes the same pixels read differently.
_EDITION = "2"


@dataclass(frozen=True, slots=True)
class _Pixels:
    """A decoded picture: RGB bytes, row by row."""

    width: int
    height: int
    data: bytes


class Ocr:
    """Reads pictures. Safe to use from several threads; as many pictures at once as it has workers.

    Args:
        cache: a file that remembers what was read, for this and later processes; None to remember nothing.
        threads: of the engine in each process; one, with more workers, reads more pages.
        workers: processes; by default one for each core.
        engine: "onnxruntime" or "openvino"; by default OpenVINO where it is installed.
        seconds: time for one picture.
        memory_mb: address space of each process.

    Raises:
        DeclarationError: an engine that is not known, or fewer than one thread or worker.
    """

    def __init__(
        self,
        cache: Path | None = None,
        threads: int = 1,
        *,
        workers: int | None = None,
        engine: EngineName | None = None,
        seconds: float = 180.0,
        memory_mb: int = 4_096,
    ) -> None:
        if threads < 1:
            raise DeclarationError(f"threads is {threads}; at least one is needed")
        self.engine: EngineName = engine or best_engine()
        if self.engine not in ("onnxruntime", "openvino"):
            raise DeclarationError(f"unknown OCR engine {engine!r}; known are onnxruntime and openvino")
        self._children = Children(workers, threads=threads, engine=self.engine, seconds=seconds, memory_mb=memory_mb)
        self._cache = Cache(cache) if cache is not None else None
        # The engines differ in the last digits of a confidence, not in what they read: they share the cache.
        known = [_EDITION, str(BUDGET), *(digest for _, digest in MODELS.values())]
        self._settings = hashlib.sha256("\n".join(known).encode()).digest()
        self.read_anew = 0

    @property
    def workers(self) -> int:
        """How many pictures it reads at once."""
        return self._children.workers

    def read(self, image: Image | Path | bytes, *, frame: int = 1, pixels: int = PIXELS, circle: str = "") -> Sighted:
        """The lines of a picture in reading order; none for an empty one.

        Args:
            image: a picture of Pillow's, a file, or the bytes of one (decoded in another process).
            frame: which picture of a file that holds several, from 1.
            pixels: largest file, by the size that it declares, that is decoded.
            circle: whose picture it is, in any words: no process looks at pictures of two circles, and none of them
                is told what was read for another.

        Raises:
            ToolError: not a picture, broken, too large, or it took too long.
            ModelError: the models are missing, or not those that we know.
            StoreError: the cache cannot be written (full disk).
        """
        found = self._pixels(image, frame, pixels, circle)
        if min(found.width, found.height) < 6:
            return Sighted()  # no letter fits
        digest = hashlib.sha256(self._settings + found.width.to_bytes(4, "big"))
        digest.update(found.data)
        if circle:
            digest.update(b"\0" + circle.encode())
        key = digest.digest()
        if self._cache is not None and (known := self._cache.get(key)) is not None:
            return known
        values = {"width": found.width, "height": found.height}
        try:
            sighted = unpacked(self._children.ask("read", values, found.data, circle)[0])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ToolError(f"the process that reads pictures answered what is no reading: {error!r}") from None
        self.read_anew += 1
        if self._cache is not None:
            self._cache.put(key, sighted)
        return sighted

    def page_of(self, image: Image | Path | bytes, number: int, *, base: Page | None = None, frame: int = 1) -> Page:
        """A page with what is read from its picture, one region a line, in reading order.

        Args:
            number: of the page in its document.
            base: the page as it is known without OCR, whose heading, size and time it keeps.

        Raises: as `read`.
        """
        sighted = self.read(image, frame=frame)
        wide, high = image.size if not isinstance(image, Path | bytes) else (0, 0)
        return page_from(sighted, base or Page(number, "", width=float(wide), height=float(high)))

    def close(self) -> None:
        """End the processes and free the cache."""
        self._children.close()
        if self._cache is not None:
            self._cache.close()

    def __enter__(self) -> Ocr:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _pixels(self, image: Image | Path | bytes, frame: int, pixels: int, circle: str) -> _Pixels:
        if frame < 1:
            raise ToolError(f"frame is {frame}; frames count from 1")
        if isinstance(image, Path | bytes):
            name = str(image) if isinstance(image, Path) else "the picture"
            values: dict[str, Any] = {"frame": frame, "pixels": pixels, "budget": BUDGET, "name": name}
            given = bytes_of(image) if isinstance(image, Path) else image
            found, data = self._children.ask("decode", values, given, circle)
            wide, high = (found.get(name) if isinstance(found, dict) else None for name in ("width", "height"))
            if type(wide) is not int or type(high) is not int or min(wide, high) < 1 or wide * high * 3 != len(data):
                raise ToolError("the process that reads pictures answered what is no picture")
            return _Pixels(wide, high, data)
        from mainspring.library.sight.pictures import shrunk, upright

        if image.width * image.height > pixels:
            raise ToolError(
                f"the picture has {image.width} x {image.height} pixels, more than {pixels / 1e6:g} million"
            )
        picture = shrunk(upright(image), BUDGET)
        return _Pixels(picture.width, picture.height, picture.tobytes())


def read_picture(image: Image | Path | bytes, *, ocr: Ocr | None = None) -> Sighted:
    """Read one picture, with an `Ocr` of its own when none is given. Raises as `Ocr.read`."""
    if ocr is not None:
        return ocr.read(image)
    with Ocr(workers=1) as own:
        return own.read(image)
