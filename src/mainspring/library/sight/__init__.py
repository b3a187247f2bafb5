"""Pictures and recordings: their words, layout, scenes and looks."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainspring.library.sight.lines import Line, Sighted
    from mainspring.library.sight.look import LookEmbedder
    from mainspring.library.sight.ocr import Ocr, read_picture
    from mainspring.library.sight.tags import Tag, tags_of
    from mainspring.library.sight.transcribers import FasterWhisper, HttpTranscriber, open_transcriber
    from mainspring.library.sight.transcripts import Cue, Transcriber

__all__ = [
    "Cue",
    "FasterWhisper",
    "HttpTranscriber",
    "Line",
    "LookEmbedder",
    "Ocr",
    "Sighted",
    "Tag",
    "Transcriber",
    "open_transcriber",
    "read_picture",
    "tags_of",
]

_HOME = {
    "Cue": "transcripts",
    "FasterWhisper": "transcribers",
    "HttpTranscriber": "transcribers",
    "Line": "lines",
    "LookEmbedder": "look",
    "Ocr": "ocr",
    "Sighted": "lines",
    "Tag": "tags",
    "Transcriber": "transcripts",
    "open_transcriber": "transcribers",
    "read_picture": "ocr",
    "tags_of": "tags",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
