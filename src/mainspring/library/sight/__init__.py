"""Pictures and recordings: their words, layout, scenes and looks."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainspring.library.sight.lines import Line, Sighted
    from mainspring.library.sight.look import LookEmbedder
    from mainspring.library.sight.ocr import Ocr, read_picture
    from mainspring.library.sight.tags import Tag, tags_of
    from mainspring.library.sight.transcripts import Cue, HttpTranscriber, Transcriber

__all__ = [
    "Cue",
    "HttpTranscriber",
    "Line",
    "LookEmbedder",
    "Ocr",
    "Sighted",
    "Tag",
    "Transcriber",
    "read_picture",
    "tags_of",
]

_HOME = {
    "Cue": "transcripts",
    "HttpTranscriber": "transcripts",
    "Line": "lines",
    "LookEmbedder": "look",
    "Ocr": "ocr",
    "Sighted": "lines",
    "Tag": "tags",
    "Transcriber": "transcripts",
    "read_picture": "ocr",
    "tags_of": "tags",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
