"""Messages: what people, models and tools say to each other, and how it is written down.

A message is a role and a tuple of parts. Parts are plain frozen dataclasses; `encode` and `decode` turn a
message into JSON and back without loss. Bytes of images and files travel as base64.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from mainspring.errors import StoreError

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]

_ROLES = ("system", "user", "assistant", "tool")


@dataclass(frozen=True, slots=True)
class TextPart:
    """Plain text."""

    text: str


@dataclass(frozen=True, slots=True)
class ThinkingPart:
    """What a model thought before it answered; `signature` is the provider's proof, sent back untouched."""

    text: str
    signature: str | None = None


@dataclass(frozen=True, slots=True)
class ImagePart:
    """A picture.

    Args:
        data: its bytes (PNG, JPEG, WebP or GIF).
        media_type: such as ``"image/png"``.
        description: words for a model that takes no pictures.
    """

    data: bytes
    media_type: str = "image/png"
    description: str = ""


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file (PDF, audio, text ...); `name` is what a person calls it."""

    data: bytes
    media_type: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class ToolCallPart:
    """A model asks for a tool.

    Args:
        id: the model's own id of this call; used to pair the answer, never as an idempotency key.
        name: the tool.
        arguments: what it passes. When the model sent text that is no JSON object, `invalid` holds it.
        invalid: the unparsable text, or None.
    """

    id: str
    name: str
    arguments: Mapping[str, Any]
    invalid: str | None = None


@dataclass(frozen=True, slots=True)
class ToolResultPart:
    """A tool's answer to the call with id `call_id`."""

    call_id: str
    name: str
    content: tuple[TextPart | ImagePart | FilePart, ...]
    is_error: bool = False

    @property
    def text(self) -> str:
        """All text of the answer."""
        return "".join(part.text for part in self.content if isinstance(part, TextPart))


Part: TypeAlias = TextPart | ThinkingPart | ImagePart | FilePart | ToolCallPart | ToolResultPart


@dataclass(frozen=True, slots=True)
class Usage:
    """What model calls spent. Tokens are the provider's count; `usd` is None when the price is unknown.

    `input_tokens` counts all input, including what came from and went to the provider's cache.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    calls: int = 0
    usd: float | None = 0.0

    def __add__(self, other: Usage) -> Usage:
        """Sum of both; an unknown price makes the sum's price unknown."""
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cache_read_tokens + other.cache_read_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
            self.calls + other.calls,
            None if self.usd is None or other.usd is None else self.usd + other.usd,
        )

    @property
    def tokens(self) -> int:
        """Input and output tokens together."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Args:
        role: who speaks.
        parts: what is said.
        usage: for a model's answer, what this call spent.
        model: for a model's answer, which model gave it.
        finish: for a model's answer, why it stopped: ``"stop"``, ``"length"``, ``"tool_calls"``, ``"refusal"``.
    """

    role: Role
    parts: tuple[Part, ...]
    usage: Usage | None = None
    model: str | None = None
    finish: str | None = None

    @property
    def text(self) -> str:
        """All plain text of the message (no thinking, no tool results)."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def tool_calls(self) -> tuple[ToolCallPart, ...]:
        """The tool calls a model asked for, in order."""
        return tuple(part for part in self.parts if isinstance(part, ToolCallPart))


def system(text: str) -> Message:
    """A system message of plain text."""
    return Message("system", (TextPart(text),))


def user(content: str | Part | Iterable[str | Part]) -> Message:
    """A user's message from text, a part, or a mixed list of both."""
    if isinstance(content, str):
        return Message("user", (TextPart(content),))
    if isinstance(content, TextPart | ThinkingPart | ImagePart | FilePart | ToolCallPart | ToolResultPart):
        return Message("user", (content,))
    return Message("user", tuple(TextPart(c) if isinstance(c, str) else c for c in content))


def assistant(text: str = "", *calls: ToolCallPart, usage: Usage | None = None) -> Message:
    """A model's answer from text and tool calls."""
    parts: tuple[Part, ...] = ((TextPart(text),) if text else ()) + calls
    return Message("assistant", parts, usage=usage, finish="tool_calls" if calls else "stop")


def valid_text(text: str) -> str:
    """`text` with lone surrogates replaced: they can be written neither to the wire nor to the journal."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def encode_part(part: Part) -> dict[str, Any]:
    """A part as JSON-ready dict."""
    match part:
        case TextPart(text):
            return {"type": "text", "text": text}
        case ToolCallPart(id, name, arguments, invalid):
            value: dict[str, Any] = {"type": "call", "id": id, "name": name, "arguments": dict(arguments)}
            if invalid is not None:
                value["invalid"] = invalid
            return value
        case ToolResultPart(call_id, name, content, is_error):
            value = {
                "type": "result",
                "call_id": call_id,
                "name": name,
                "content": [encode_part(c) for c in content],
            }
            if is_error:
                value["is_error"] = True
            return value
        case ThinkingPart(text, signature):
            value = {"type": "thinking", "text": text}
            if signature is not None:
                value["signature"] = signature
            return value
        case ImagePart(data, media_type, description):
            return {
                "type": "image",
                "media_type": media_type,
                "description": description,
                "data": base64.b64encode(data).decode("ascii"),
            }
        case FilePart(data, media_type, name):
            return {
                "type": "file",
                "media_type": media_type,
                "name": name,
                "data": base64.b64encode(data).decode("ascii"),
            }


def decode_part(value: Mapping[str, Any]) -> Part:
    """Inverse of :func:`encode_part`. Raises StoreError for an unknown or damaged part."""
    try:
        match value["type"]:
            case "text":
                return TextPart(_text(value["text"]))
            case "call":
                arguments = value["arguments"]
                if not isinstance(arguments, dict):
                    raise TypeError("the arguments of a call are no object")
                return ToolCallPart(_text(value["id"]), _text(value["name"]), arguments, value.get("invalid"))
            case "result":
                return ToolResultPart(
                    _text(value["call_id"]),
                    _text(value["name"]),
                    tuple(_content(decode_part(c)) for c in value["content"]),
                    bool(value.get("is_error", False)),
                )
            case "thinking":
                return ThinkingPart(_text(value["text"]), value.get("signature"))
            case "image":
                data = base64.b64decode(value["data"], validate=True)
                return ImagePart(data, value["media_type"], value.get("description", ""))
            case "file":
                data = base64.b64decode(value["data"], validate=True)
                return FilePart(data, value["media_type"], value.get("name", ""))
            case other:
                raise StoreError(f"unknown message part {other!r}; it may come from a newer Mainspring")
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"damaged message part {str(value)[:200]!r}: {error!r}") from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _content(part: Part) -> TextPart | ImagePart | FilePart:
    if not isinstance(part, TextPart | ImagePart | FilePart):
        raise TypeError(f"a tool's answer cannot hold a {type(part).__name__}")
    return part


def encode(message: Message) -> dict[str, Any]:
    """A message as JSON-ready dict."""
    value: dict[str, Any] = {"role": message.role, "parts": [encode_part(p) for p in message.parts]}
    if message.usage is not None:
        value["usage"] = encode_usage(message.usage)
    if message.model is not None:
        value["model"] = message.model
    if message.finish is not None:
        value["finish"] = message.finish
    return value


def decode(value: Mapping[str, Any]) -> Message:
    """Inverse of :func:`encode`. Raises StoreError for a damaged message."""
    try:
        usage = value.get("usage")
        role: Role = value["role"]
        if role not in _ROLES:
            raise TypeError(f"the role {role!r} is unknown")
        return Message(
            role,
            tuple(decode_part(p) for p in value["parts"]),
            None if usage is None else decode_usage(usage),
            value.get("model"),
            value.get("finish"),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"damaged message {str(value)[:200]!r}: {error!r}") from None


def encode_usage(usage: Usage) -> dict[str, Any]:
    """Usage as JSON-ready dict; zero cache counts are left out to keep the journal small."""
    value: dict[str, Any] = {
        "in": usage.input_tokens,
        "out": usage.output_tokens,
        "calls": usage.calls,
        "usd": usage.usd,
    }
    if usage.cache_read_tokens:
        value["cache_read"] = usage.cache_read_tokens
    if usage.cache_write_tokens:
        value["cache_write"] = usage.cache_write_tokens
    return value


def decode_usage(value: Mapping[str, Any]) -> Usage:
    """Inverse of :func:`encode_usage`."""
    return Usage(
        value["in"],
        value["out"],
        value.get("cache_read", 0),
        value.get("cache_write", 0),
        value["calls"],
        value["usd"],
    )
