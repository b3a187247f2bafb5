"""What a tool returned, as parts that a model can read and the journal can keep."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, TypeAlias

from mainspring.messages import FilePart, ImagePart, TextPart, valid_text

Content: TypeAlias = tuple[TextPart | ImagePart | FilePart, ...]


def to_content(value: object) -> Content:
    """What a tool returned, as the parts that the model will see.

    Text stays text; message parts stay themselves; None becomes ``"done"``; everything else becomes JSON
    (pydantic models, dataclasses, dates, sets and paths included), or its `repr` where JSON cannot say it.
    Never raises, and what it returns can be journaled: lone surrogates become U+FFFD.
    """
    if isinstance(value, str):
        return (TextPart(valid_text(value)),)
    if value is None:
        return (TextPart("done"),)
    if isinstance(value, TextPart | ImagePart | FilePart):
        return (_valid_part(value),)
    if isinstance(value, list | tuple) and value and all(isinstance(v, TextPart | ImagePart | FilePart) for v in value):
        return tuple(_valid_part(v) for v in value)
    if isinstance(value, bytes | bytearray):
        return (TextPart(bytes(value).decode("utf-8", "replace")),)
    return (TextPart(valid_text(_written(value))),)


def _written(value: object) -> str:
    # Whatever a stranger's object does while it is written down must not end the run: its call has been made.
    try:
        return json.dumps(value, ensure_ascii=False, default=jsonable)
    except Exception:
        try:
            return repr(value)
        except Exception as error:
            return f"[a {type(value).__name__} that cannot be written as text: {type(error).__name__}]"


def _valid_part(part: TextPart | ImagePart | FilePart) -> TextPart | ImagePart | FilePart:
    if isinstance(part, TextPart):
        return TextPart(valid_text(str(part.text)))
    if not isinstance(part.data, bytes | bytearray | memoryview):
        wrong = type(part.data).__name__
        return TextPart(f"[the tool returned a {type(part).__name__} whose data is {wrong} instead of bytes]")
    data, media_type = bytes(part.data), valid_text(str(part.media_type))
    if isinstance(part, ImagePart):
        return ImagePart(data, media_type, valid_text(str(part.description)))
    return FilePart(data, media_type, valid_text(str(part.name)))


def jsonable(value: Any) -> Any:
    """`value` as something that JSON can say, for `json.dumps(default=...)`; text in the worst case."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "replace")
    isoformat = getattr(value, "isoformat", None)  # dates and times
    return isoformat() if callable(isoformat) else str(value)
