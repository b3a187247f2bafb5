"""Messages as people coming from LangChain write and read them, to ours and back.

LangChain itself is never imported unless the caller already uses its message objects.
"""

from __future__ import annotations

import base64
import binascii
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mainspring.errors import DeclarationError, StoreError
from mainspring.messages import (
    FilePart,
    ImagePart,
    Message,
    Part,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
    decode,
    encode,
)

_ROLES = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
}
_TYPES = {"user": "human", "assistant": "ai", "system": "system", "tool": "tool"}
_KEPT = "mainspring"  # key of `additional_kwargs` that holds what LangChain's messages have no field for


@dataclass(slots=True)
class ChatMessage:
    """A message with the attributes that a LangChain message has, for programs that do not use LangChain.

    Args:
        type: ``"human"``, ``"ai"``, ``"system"`` or ``"tool"``.
        content: text, or a list of content blocks where there are pictures or files.
        id: stable within a run.
        name: the tool, for a tool's answer.
        tool_calls: what an answer asks for: dicts with `name`, `args`, `id` and `type`.
        invalid_tool_calls: calls whose arguments were no JSON object.
        tool_call_id: which call a tool answers.
        status: ``"error"`` when a tool failed.
        usage_metadata, response_metadata, additional_kwargs: as LangChain has them.
    """

    type: str
    content: str | list[dict[str, Any]]
    id: str | None = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    invalid_tool_calls: list[dict[str, Any]] = field(default_factory=list)
    tool_call_id: str | None = None
    status: str = "success"
    usage_metadata: dict[str, Any] | None = None
    response_metadata: dict[str, Any] = field(default_factory=dict)
    additional_kwargs: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """All text of the message."""
        return _text_of(self.content)

    def pretty_print(self) -> None:
        """Print it for a person."""
        print(f"{f' {self.type.capitalize()} Message ':=^80}\n\n{self.text}")
        for call in self.tool_calls:
            print(f"  {call['name']}({json.dumps(call['args'], ensure_ascii=False)})")


def uses_langchain(items: object) -> bool:
    """True when a LangChain message object is among `items`."""
    core = sys.modules.get("langchain_core.messages")
    if core is None:
        return False
    found = items if isinstance(items, list | tuple) else [items]
    return any(isinstance(item, core.BaseMessage) for item in found)


def read_messages(value: Any) -> list[tuple[str | None, Message]]:
    """What a caller passed as ``"messages"``, as (id, message) pairs.

    Takes a text, a message, or a list of texts, ``(role, content)`` pairs, dicts with role and content, our own
    messages, :class:`ChatMessage` and LangChain message objects.

    Raises:
        DeclarationError: something is none of these, with what it is.
    """
    pair = isinstance(value, tuple) and len(value) == 2 and value[0] in _ROLES
    if pair or isinstance(value, str | Mapping | Message) or not isinstance(value, list | tuple):
        value = [value]
    return [_read(item) for item in value]


def _read(item: Any) -> tuple[str | None, Message]:
    if isinstance(item, Message):
        return None, item
    if isinstance(item, str):
        return None, Message("user", (TextPart(item),))
    if isinstance(item, tuple | list) and len(item) == 2:
        return None, _message({"role": item[0], "content": item[1]})
    if isinstance(item, Mapping):
        return item.get("id"), _message(item)
    kind = getattr(item, "type", None)
    if kind is not None and hasattr(item, "content"):
        keys = ("content", "tool_calls", "invalid_tool_calls", "tool_call_id", "name", "status", "additional_kwargs")
        found = {key: getattr(item, key, None) for key in keys}
        return getattr(item, "id", None), _message(found | {"role": _plain_type(kind)})
    raise DeclarationError(
        f"{item!r} is no message; pass a text, {{'role': 'user', 'content': '...'}}, ('user', '...') or a message"
    )


def _plain_type(name: str) -> str:
    return {"AIMessageChunk": "ai", "HumanMessageChunk": "human"}.get(name, name)


def _message(item: Mapping[str, Any]) -> Message:
    role = _ROLES.get(str(item.get("role") or item.get("type") or ""))
    if role is None:
        raise DeclarationError(f"message role {item.get('role')!r} is unknown; use one of {', '.join(sorted(_ROLES))}")
    content = _parts(item.get("content"))
    if role == "tool":
        shown = tuple(part for part in content if isinstance(part, TextPart | ImagePart | FilePart))
        call_id, name = str(item.get("tool_call_id") or ""), str(item.get("name") or "")
        return Message("tool", (ToolResultPart(call_id, name, shown, item.get("status") == "error"),))
    if role != "assistant":
        return Message(role, tuple(content))  # type: ignore[arg-type]
    kept = (item.get("additional_kwargs") or {}).get(_KEPT)
    calls = [_call(call) for call in [*(item.get("tool_calls") or ()), *(item.get("invalid_tool_calls") or ())]]
    message = Message("assistant", (*content, *calls))
    if kept is not None:
        try:
            whole = decode(kept)
        except StoreError:
            return message
        if whole.text == message.text and whole.tool_calls == message.tool_calls:
            return whole
    return message


def _call(call: Mapping[str, Any]) -> ToolCallPart:
    function = call.get("function")
    name, arguments = (
        (function.get("name"), function.get("arguments"))
        if isinstance(function, Mapping)
        else (call.get("name"), call.get("args"))
    )
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            return ToolCallPart(str(call.get("id") or ""), str(name or ""), {}, invalid=str(arguments))
    if not isinstance(arguments, Mapping):
        arguments = {}
    return ToolCallPart(str(call.get("id") or ""), str(name or ""), dict(arguments))


def _parts(content: Any) -> list[Part]:
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [TextPart(content)]
    if not isinstance(content, Iterable):
        raise DeclarationError(f"message content must be text or a list of blocks, not {content!r}")
    return [part for block in content if (part := _block(block)) is not None]


def _block(block: Any) -> Part | None:
    if isinstance(block, str):
        return TextPart(block)
    if isinstance(block, TextPart | ImagePart | FilePart):
        return block
    if not isinstance(block, Mapping):
        raise DeclarationError(f"content block {block!r} is neither text nor a dict with a type")
    kind = block.get("type")
    if kind == "text":
        return TextPart(str(block.get("text", "")))
    if kind == "image_url":
        url = block.get("image_url")
        return _from_url(str(url.get("url") if isinstance(url, Mapping) else url))
    if kind in ("image", "file", "audio", "video"):
        return _media(str(kind), block)
    if kind in ("tool_use", "tool_call", "tool_call_chunk", "input_json_delta", "thinking", "reasoning"):
        return None  # calls are in `tool_calls`; another provider's thoughts are not sent on
    raise DeclarationError(f"content block of type {kind!r} is unknown; use text, image_url, image, audio or file")


def _media(kind: str, block: Mapping[str, Any]) -> Part:
    source = block.get("source")
    if isinstance(source, Mapping):  # Anthropic's form
        block = {"base64": source.get("data"), "mime_type": source.get("media_type"), "url": source.get("url")}
    data = block.get("base64") or block.get("data")
    if not data:
        return _from_url(str(block.get("url") or ""))
    media_type = str(block.get("mime_type") or ("image/png" if kind == "image" else "application/octet-stream"))
    raw = data if isinstance(data, bytes) else _decoded(str(data))
    if kind == "image":
        return ImagePart(raw, media_type)
    return FilePart(raw, media_type, str(block.get("filename") or block.get("name") or ""))


def _from_url(url: str) -> Part:
    head, comma, data = url.partition(",")
    if not url.startswith("data:") or not comma:
        raise DeclarationError(
            f"{url[:100]!r}: an address in a message is not fetched; read it yourself and pass the bytes "
            "(a data: URL, or a block with base64 and mime_type)"
        )
    media_type = head[5:].split(";")[0] or "application/octet-stream"
    raw = _decoded(data)
    return ImagePart(raw, media_type) if media_type.startswith("image/") else FilePart(raw, media_type)


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DeclarationError(f"a content block's data is no base64 ({error})") from None


def _text_of(content: object) -> str:
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    return "".join(str(b.get("text", "")) for b in blocks if isinstance(b, Mapping) and b.get("type") == "text")


def _content(parts: Iterable[Part]) -> str | list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    for part in parts:
        if isinstance(part, TextPart):
            blocks.append({"type": "text", "text": part.text})
        elif isinstance(part, ImagePart | FilePart):
            kind = "image" if isinstance(part, ImagePart) else "file"
            data = base64.b64encode(part.data).decode("ascii")
            blocks.append({"type": kind, "base64": data, "mime_type": part.media_type})
    if all(block["type"] == "text" for block in blocks):
        return "".join(block["text"] for block in blocks)
    return blocks


def show_messages(message: Message, id: str, number: int) -> list[ChatMessage]:
    """One of our messages as LangChain has them: each tool's answer is a message of its own.

    Args:
        id: the run's id; message ids are made from it.
        number: which answer (for an assistant's message) or which message of its kind this is.
    """
    if message.role == "tool":
        return [
            ChatMessage(
                "tool",
                _content(part.content),
                id=f"{id}:{part.call_id}",
                name=part.name,
                tool_call_id=part.call_id,
                status="error" if part.is_error else "success",
            )
            for part in message.parts
            if isinstance(part, ToolResultPart)
        ]
    shown = ChatMessage(_TYPES[message.role], _content(message.parts), id=f"{id}:{message.role}{number}")
    if message.role != "assistant":
        return [shown]
    for call in message.tool_calls:
        common = {"name": call.name, "id": call.id}
        if call.invalid is None:
            shown.tool_calls.append(common | {"args": dict(call.arguments), "type": "tool_call"})
        else:
            broken = {"args": call.invalid, "error": "no JSON object", "type": "invalid_tool_call"}
            shown.invalid_tool_calls.append(common | broken)
    if message.usage is not None:
        usage = message.usage
        shown.usage_metadata = {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "total_tokens": usage.tokens,
            "input_token_details": {
                "cache_read": usage.cache_read_tokens,
                "cache_creation": usage.cache_write_tokens,
            },
        }
    shown.response_metadata = {"model_name": message.model, "finish_reason": message.finish}
    if any(isinstance(part, ThinkingPart) for part in message.parts):
        # A provider wants its own thoughts back unchanged when the conversation goes on.
        shown.additional_kwargs = {_KEPT: encode(message)}
    return [shown]


def to_langchain(message: ChatMessage) -> Any:
    """A message as LangChain's own object."""
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

    content: Any = message.content
    if message.type == "ai":
        return AIMessage(
            content=content,
            id=message.id,
            tool_calls=message.tool_calls,
            invalid_tool_calls=message.invalid_tool_calls,
            usage_metadata=message.usage_metadata,
            response_metadata=message.response_metadata,
            additional_kwargs=message.additional_kwargs,
        )
    if message.type == "tool":
        return ToolMessage(
            content=content,
            id=message.id,
            name=message.name,
            tool_call_id=message.tool_call_id or "",
            status="error" if message.status == "error" else "success",
        )
    kind = SystemMessage if message.type == "system" else HumanMessage
    return kind(content=content, id=message.id)
