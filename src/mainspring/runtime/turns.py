"""A user's turn as a run takes it in: the user's own words, and what was pasted into them, under a label of its own."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mainspring.guard import Mode
from mainspring.guard.words import has_paste, own_words, segments
from mainspring.label import PASTE, USER, Label, join_all, tool_label
from mainspring.messages import FilePart, ImagePart, Message, Part, TextPart, ToolResultPart


@dataclass(frozen=True, slots=True)
class Turn:
    """What a user said.

    Args:
        messages: as the model sees them.
        values: handles for what was pasted, as the journal keeps them.
        words: the user's own words, of which grants are made.
        label: of what the model sees.
    """

    messages: list[Message]
    values: dict[str, Any]
    words: str
    label: Label


def take_turn(messages: Sequence[Message], mode: Mode, handles: int) -> Turn:
    """Take a user's messages in.

    In a clean run whatever was pasted becomes a handle; everywhere else it stays and taints the context.

    Args:
        handles: how many handles the run has so far.
    """
    said = [m for m in messages if m.role == "user"]
    results = [p for m in messages for p in m.parts if isinstance(p, ToolResultPart)]  # of a history that is passed in
    foreign = join_all(tool_label(p.name) for p in results)
    words = "\n".join(own_words(m) for m in said)
    pasted = any(has_paste(m) for m in said)
    if mode != "clean" or not (pasted or results):
        return Turn(list(messages), {}, words, (USER.join(PASTE) if pasted else USER).join(foreign))
    values: dict[str, Any] = {}
    taken = [_taken(m, values, handles) if m.role in ("user", "tool") else m for m in messages]
    return Turn(taken, values, words, USER)


def _taken(message: Message, values: dict[str, Any], handles: int) -> Message:
    def handle(data: Any, what: str, label: Label = PASTE) -> TextPart:
        name = f"v{handles + len(values) + 1}"
        values[name] = {"data": data, "labels": {"": label.encode()}}
        return TextPart(f"[{what}, kept as ${name}]")

    parts: list[Part] = []
    for part in message.parts:
        if isinstance(part, TextPart):
            for segment in segments(part.text):
                what = f"pasted text of {len(segment.text):,} characters"
                parts.append(handle(segment.text, what) if segment.pasted else TextPart(segment.text))
        elif isinstance(part, FilePart) and part.media_type.startswith("text/"):
            parts.append(handle(part.data.decode("utf-8", "replace"), f"pasted file of {len(part.data):,} bytes"))
        elif isinstance(part, FilePart | ImagePart):
            data = {"media_type": part.media_type, "base64": base64.b64encode(part.data).decode("ascii")}
            parts.append(handle(data, f"pasted {part.media_type} of {len(part.data):,} bytes"))
        elif isinstance(part, ToolResultPart):
            kept = handle(part.text, f"an earlier answer of {part.name}", tool_label(part.name))
            parts.append(replace(part, content=(kept,)))
        else:
            parts.append(part)
    return replace(message, parts=tuple(parts))
