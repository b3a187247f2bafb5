"""What a tool returned, as the journal keeps it and as the model sees it.

In a clean run a program and a planner never see an outsider's words: the answer becomes a handle with a label for each
field, and the model sees the handle's view. Everywhere else the model sees the answer, which taints its context.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mainspring.content import Content, to_content
from mainspring.errors import ToolError
from mainspring.guard.view import show, shown_label
from mainspring.label import Label, join_all, tool_label
from mainspring.messages import FilePart, ImagePart, TextPart, encode_part
from mainspring.runtime.guarded import GuardState, handle_data
from mainspring.tool import Tool
from mainspring.value import Labelled, wrap

#: Longest answer of a tool that is journaled, in characters; what is longer is cut, and says so.
MAX_RESULT_CHARS = 256_000_000
#: Most bytes of a picture or file in a tool's answer that are journaled; SQLite takes no row beyond a gigabyte.
MAX_MEDIA_BYTES = 128_000_000


def outcome(
    tool: Tool,
    value: object,
    is_error: bool,
    guard: GuardState,
    *,
    call_id: str,
    context: Label,
    passed: Label,
    as_handle: bool,
    nested: bool = False,
) -> tuple[dict[str, Any], Label]:
    """The payload fields that say what came back, and the label of the whole.

    Args:
        context: label of what the model had seen when it called.
        passed: label of the arguments; it steers what came back.
        as_handle: whether the model sees a view instead of the answer.
        nested: whether a program gets the answer, and not the model.
    """
    labels = tool.result_labels
    if isinstance(value, Labelled):
        labels = labels | _known(tool, value.labels)
        value = value.value
    if is_error:
        # An error is no result: it has none of the declared fields, and it may quote what it was passed.
        labels = {"": labels[""].join(passed)}
    content, structured = checked_content(value)
    encoded = [encode_part(p) for p in content]
    if not as_handle:
        own = join_all(labels.values())
        return {"content": encoded, "label": own.encode()}, own.join(context)
    if not nested and _plain(labels) and _plain({"": passed}):  # our own helpers' words need no handle
        return {"content": encoded, "shown": encoded, "shown_label": labels[""].encode()}, labels[""]
    is_json = structured or (bool(tool.fields) and not is_error and _is_json(content))
    data = handle_data(encoded, is_json, call_id)
    steering = passed.steering()
    labels = {path: label.join(steering) for path, label in labels.items()}
    name = guard.next_handle()
    try:
        labelled = wrap(data, labels)
    except ToolError:  # nested without end; a text of it is still worth keeping
        is_json, data = False, encoded[0]["text"]
        labelled = wrap(data, labels)
    if is_error:
        view = f"The call failed. What the tool said may be a stranger's words; it is kept as ${name}."
        seen = Label()
    else:
        view, seen = show(labelled, name, tool.known_keys), shown_label(labelled, tool.known_keys)
    fields: dict[str, Any] = {
        "content": encoded,
        "handle": name,
        "labels": {path: label.encode() for path, label in labels.items()},
        "shown": [encode_part(TextPart(view))],
        "shown_label": seen.encode(),
    }
    if is_json:
        fields["json"] = True
    return fields, labelled.whole_label


def checked_content(value: object) -> tuple[Content, bool]:
    """A tool's answer as parts that the journal can hold, and whether they are JSON data."""
    content = tuple(_bounded_media(part) for part in to_content(value))
    structured = not isinstance(value, str | bytes | bytearray) and _is_json(content)
    if sum(len(p.text) for p in content if isinstance(p, TextPart)) <= MAX_RESULT_CHARS:
        return content, structured
    text = "\n".join(p.text for p in content if isinstance(p, TextPart))
    return (TextPart(f"{text[:MAX_RESULT_CHARS]}\n[cut: the tool returned {len(text):,} characters]"),), False


def _bounded_media(part: TextPart | ImagePart | FilePart) -> TextPart | ImagePart | FilePart:
    if isinstance(part, TextPart) or len(part.data) <= MAX_MEDIA_BYTES:
        return part
    return TextPart(f"[{part.media_type} of {len(part.data):,} bytes: too large to keep; return a path instead]")


def _is_json(content: Content) -> bool:
    if len(content) != 1 or not isinstance(content[0], TextPart):
        return False
    try:
        json.loads(content[0].text)
    except (ValueError, RecursionError):
        return False
    return True


def _known(tool: Tool, labels: Any) -> dict[str, Label]:
    """The labels that a tool gave its answer; what is none makes the whole of it a stranger's."""
    try:
        found = dict(labels)
        if all(isinstance(p, str) and isinstance(label, Label) for p, label in found.items()):
            return found
    except (TypeError, ValueError):
        pass
    anyone = tool_label(tool.name)
    return dict.fromkeys(tool.result_labels, anyone)


def _plain(labels: Mapping[str, Label]) -> bool:
    """Words of the user, of a clean model or of our own, which a planner may see and anybody may read."""
    return set(labels) == {""} and labels[""].sources <= {"user", "model", "system"} and labels[""].readers is None
