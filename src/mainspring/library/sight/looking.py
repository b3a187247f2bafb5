"""What the processes that look at pictures can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, cast

from mainspring.errors import ToolError
from mainspring.library.sight.pictures import frame, frames, opened

if TYPE_CHECKING:
    from mainspring.library.sight.recognise import Recogniser
    from mainspring.library.sight.weights import EngineName


class Looker:
    """Answers one question at a time; the models are loaded with the first that needs them."""

    def __init__(self, threads: int, engine: str) -> None:
        self._threads, self._engine = threads, cast("EngineName", engine)
        self._recogniser: Recogniser | None = None

    def answer(self, what: str, values: Mapping[str, Any], data: bytes) -> tuple[Any, bytes]:
        """Plain values, and bytes beside them. Raises ToolError when the picture is at fault."""
        if what == "decode":
            return self._decode(values, data)
        if what == "read":
            return self._read(values, data), b""
        raise ToolError(f"nothing here answers {what!r}")

    def _decode(self, values: Mapping[str, Any], data: bytes) -> tuple[Any, bytes]:
        with opened(data, values["pixels"], values["name"]) as image:
            size, count = image.size, frames(image)
            picture = frame(image, values["frame"], values["budget"])
        wide, high = picture.size
        return {"width": wide, "height": high, "of": size, "frames": count}, picture.tobytes()

    def _read(self, values: Mapping[str, Any], data: bytes) -> Any:
        import numpy as np
        from PIL import Image

        from mainspring.library.sight.layout import regions
        from mainspring.library.sight.recognise import Recogniser

        self._recogniser = self._recogniser or Recogniser(self._threads, self._engine)
        pixels = np.frombuffer(data, np.uint8).reshape(values["height"], values["width"], 3)
        sighted = self._recogniser.read(pixels)
        if not sighted.turned:
            sighted = replace(sighted, areas=tuple(regions(Image.fromarray(pixels), sighted.lines)))
        return asdict(sighted)
