"""The context that a model sees: derived from the journal, append-only between compactions.

Nothing here reads a clock, a file or a setting that may change: the same events give the same bytes. The digest is
chained message by message, so that recording it costs the same at step 1,000 as at step 1.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from mainspring.messages import (
    FilePart,
    ImagePart,
    Message,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    encode,
    user,
)

#: Longest text of one tool result in the context, in characters; the rest stays in the journal, to be paged through.
PREVIEW_CHARS = 12_000

_HEAD_SHARE = 0.75
_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class Context:
    """Messages in order, with a chained digest of their bytes and a rough count of their characters."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.chars = 0
        self.media = False  # whether any part is a picture or a file
        self._digest = hashlib.sha256(b"mainspring context 1").hexdigest()
        self._undigested: list[Message] = []

    def add(self, message: Message) -> None:
        """Append one message."""
        self.messages.append(message)
        self._undigested.append(message)
        self.chars += message_chars(message)
        self.media = self.media or _has_foreign(message, frozenset())

    def extend(self, messages: Sequence[Message]) -> None:
        """Append messages in order."""
        for message in messages:
            self.add(message)

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over the bytes of all messages, chained."""
        for message in self._undigested:
            value = encode(message)
            value.pop("usage", None)  # what a call cost is no part of what the next model reads
            text = _encoder.encode(value)
            self._digest = hashlib.sha256((self._digest + text).encode("utf-8")).hexdigest()
        self._undigested.clear()
        return self._digest

    def trust(self, digest: str) -> None:
        """Take the journal's word for the digest of the messages so far, which makes resuming a long run cheap.

        `Run.replay` does not: it compares.
        """
        self._digest = digest
        self._undigested.clear()


def message_chars(message: Message) -> int:
    """Rough size of a message in characters; a picture counts as 1,000 tokens."""
    size = 20
    for part in message.parts:
        if isinstance(part, TextPart):
            size += len(part.text)
        elif isinstance(part, ToolResultPart):
            size += 20 + sum(len(c.text) if isinstance(c, TextPart) else 3500 for c in part.content)
        elif isinstance(part, ToolCallPart):
            size += 20 + len(repr(part.arguments))
        elif isinstance(part, ImagePart | FilePart):
            size += 3500
        else:
            size += len(part.text)
    return size


def note(text: str) -> Message:
    """Something that the runtime tells the model; marked, so that it cannot be taken for the person's words."""
    return user(f"[mainspring] {text}")


def preview(part: ToolResultPart, limit: int) -> ToolResultPart:
    """A tool result as the context shows it: long text is cut in the middle, with a way to read the rest."""
    total = sum(len(p.text) for p in part.content if isinstance(p, TextPart))
    if total <= limit:
        return part
    head = int(limit * _HEAD_SHARE)
    tail = limit - head
    text = "\n".join(p.text for p in part.content if isinstance(p, TextPart))
    media = tuple(p for p in part.content if not isinstance(p, TextPart))
    left_out = len(text) - head - tail
    cut = (
        f"{text[:head]}\n[... {left_out:,} of {len(text):,} characters left out; "
        f"read_result(call_id={json.dumps(part.call_id)}, offset={head}) reads on ...]\n{text[len(text) - tail :]}"
    )
    return ToolResultPart(part.call_id, part.name, (TextPart(cut), *media), part.is_error)


def for_model(context: Context, takes: frozenset[str] | set[str]) -> Sequence[Message]:
    """The messages with pictures and files that the model does not take replaced by a description.

    `takes` holds media type prefixes. Without pictures and files the list itself comes back, uncopied.
    """
    if not context.media:
        return context.messages
    return [_described(m, takes) if _has_foreign(m, takes) else m for m in context.messages]


def _foreign(part: object, takes: frozenset[str] | set[str]) -> bool:
    return isinstance(part, ImagePart | FilePart) and not any(part.media_type.startswith(t) for t in takes)


def _has_foreign(message: Message, takes: frozenset[str] | set[str]) -> bool:
    for part in message.parts:
        if isinstance(part, TextPart):
            continue
        if _foreign(part, takes):
            return True
        if isinstance(part, ToolResultPart) and any(_foreign(p, takes) for p in part.content):
            return True
    return False


def _described(message: Message, takes: frozenset[str] | set[str]) -> Message:
    parts = tuple(
        ToolResultPart(
            p.call_id,
            p.name,
            tuple(_describe(c) if _foreign(c, takes) else c for c in p.content),
            p.is_error,
        )
        if isinstance(p, ToolResultPart)
        else (_describe(p) if _foreign(p, takes) else p)  # type: ignore[arg-type]
        for p in message.parts
    )
    return Message(message.role, parts, message.usage, message.model, message.finish)


def _describe(part: TextPart | ImagePart | FilePart) -> TextPart | ImagePart | FilePart:
    if isinstance(part, ImagePart):
        words = f": {part.description}" if part.description else ""
        return TextPart(f"[picture, {part.media_type}, {len(part.data):,} bytes{words}; this model takes no pictures]")
    if isinstance(part, FilePart):
        name = part.name or "file"
        if part.media_type.startswith("text/") or part.media_type in ("application/json", "application/xml"):
            return TextPart(f"[file {name}]\n{part.data.decode('utf-8', 'replace')}")
        return TextPart(
            f"[{name}, {part.media_type}, {len(part.data):,} bytes; this model does not take this kind of file]"
        )
    return part
