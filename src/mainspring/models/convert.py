"""Between our messages and pydantic-ai's, without losing what a provider wants to see again.

Providers attach item ids, thought signatures and the like to parts of an answer and expect them back. What
has no place in our parts travels in one empty thinking part at the head of the message (the "carrier"),
whose signature is JSON. It is sent back only to the provider that made it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_ai import messages as theirs
from pydantic_core import to_jsonable_python

from mainspring import messages as ours
from mainspring.messages import Message, valid_text
from mainspring.models.prices import usage_of

CARRIER = "mainspring/1 "
_FINISH = {"stop": "stop", "length": "length", "content_filter": "refusal", "tool_call": "tool_calls"}


@dataclass(frozen=True, slots=True)
class Receiver:
    """The model that a conversation is sent to.

    Args:
        name: what we call it; answers it gave carry the same name.
        system, url: the provider's name and address, as pydantic-ai has them.
        takes: tells whether it takes parts of a media type.
    """

    name: str
    system: str
    url: str | None
    takes: Callable[[str], bool]


def to_theirs(messages: Sequence[Message], to: Receiver) -> list[theirs.ModelMessage]:
    """Our conversation as pydantic-ai's; adjacent messages that are no answers become one request."""
    result: list[theirs.ModelMessage] = []
    pending: list[theirs.ModelRequestPart] = []
    for message in messages:
        if message.role == "assistant":
            response = _answer(message, to)
            if response is None:
                continue
            if pending:
                result.append(theirs.ModelRequest(parts=pending))
                pending = []
            result.append(response)
        else:
            pending.extend(_request_parts(message, to))
    if pending:
        result.append(theirs.ModelRequest(parts=pending))
    return result


def _request_parts(message: Message, to: Receiver) -> list[theirs.ModelRequestPart]:
    if message.role == "system":
        return [theirs.SystemPromptPart(valid_text(message.text))]
    parts: list[theirs.ModelRequestPart] = []
    said: list[theirs.UserContent] = []

    def flush() -> None:
        if said:
            only = said[0]
            parts.append(theirs.UserPromptPart(only if len(said) == 1 and isinstance(only, str) else list(said)))
            said.clear()

    for part in message.parts:
        match part:
            case ours.ToolResultPart():
                flush()
                parts.append(_tool_result(part, to))
            case ours.TextPart(text):
                if text:
                    said.append(valid_text(text))
            case ours.ImagePart() | ours.FilePart():
                said.append(_media(part, to))
            case _:
                pass  # thinking and calls are an assistant's; nobody else can have them
    flush()
    return parts


def _tool_result(part: ours.ToolResultPart, to: Receiver) -> theirs.ToolReturnPart[Any]:
    content: list[str | theirs.BinaryContent] = []
    for item in part.content:
        content.append(valid_text(item.text) if isinstance(item, ours.TextPart) else _media(item, to))
    whole: Any = content
    if all(isinstance(item, str) for item in content):
        whole = "".join(item for item in content if isinstance(item, str))
    return theirs.ToolReturnPart(part.name, whole, part.call_id, outcome="failed" if part.is_error else "success")


def _media(part: ours.ImagePart | ours.FilePart, to: Receiver) -> str | theirs.BinaryContent:
    """The bytes for a model that takes them, words for one that does not."""
    label = part.description if isinstance(part, ours.ImagePart) else part.name
    label = valid_text(label)
    if to.takes(part.media_type):
        content = theirs.BinaryContent(part.data, media_type=part.media_type, identifier=label or None)
        return theirs.BinaryContent.narrow_type(content)
    kind = "image" if isinstance(part, ours.ImagePart) else "file"
    about = f": {label}" if label else ""
    return f"[{kind} of type {part.media_type}, {len(part.data)} bytes, which this model cannot see{about}]"


def _answer(message: Message, to: Receiver) -> theirs.ModelResponse | None:
    carried, parts = _split_carrier(message)
    provider = carried.get("provider") if carried else (to.system if message.model == to.name else None)
    same = provider == to.system
    extras: Mapping[str, Any] = carried.get("parts", {}) if same and carried.get("count") == len(parts) else {}
    made: list[theirs.ModelResponsePart] = []
    for index, part in enumerate(parts):
        extra = extras.get(str(index), {})
        about: dict[str, Any] = {"id": extra.get("id"), "provider_details": extra.get("details")}
        if same:
            about["provider_name"] = provider
        match part:
            case ours.TextPart(text):
                if text or extra:
                    made.append(theirs.TextPart(valid_text(text), **about))
            case ours.ThinkingPart(text, signature):
                # Another provider's thoughts are no part of the answer, and this one could not check them.
                if same:
                    made.append(theirs.ThinkingPart(valid_text(text), signature=signature, **about))
            case ours.ToolCallPart(id, name, arguments, invalid):
                arguments_sent = invalid if invalid is not None else _valid(dict(arguments))
                if isinstance(arguments_sent, str):
                    arguments_sent = valid_text(arguments_sent)
                made.append(theirs.ToolCallPart(name, arguments_sent, id, **about))
            case ours.ImagePart(data, media_type) | ours.FilePart(data, media_type):
                made.append(theirs.FilePart(theirs.BinaryContent(data, media_type=media_type), **about))
            case ours.ToolResultPart():
                pass  # a provider's own tool; its result stands in the text
    if not made:
        return None
    return theirs.ModelResponse(
        parts=made,
        provider_name=provider,
        provider_url=carried.get("url") if carried else (to.url if same else None),
        canonical_system=carried.get("system") if carried else None,
        provider_response_id=carried.get("response") if same else None,
    )


def _split_carrier(message: Message) -> tuple[dict[str, Any], list[ours.Part]]:
    parts = list(message.parts)
    for index, part in enumerate(parts):
        if isinstance(part, ours.ThinkingPart) and (part.signature or "").startswith(CARRIER):
            del parts[index]
            try:
                value = json.loads((part.signature or "")[len(CARRIER) :])
            except ValueError:
                return {}, parts
            return (value if isinstance(value, dict) else {}), parts
    return {}, parts


def from_theirs(response: theirs.ModelResponse, name: str) -> Message:
    """A provider's answer as our message, with usage, price and finish reason."""
    parts: list[ours.Part] = []
    extras: dict[str, dict[str, Any]] = {}
    seen: set[str] = set()
    for part in response.parts:
        made = _part(part, seen)
        if made is None:
            continue
        extra = _extra(part)
        if isinstance(made, ours.TextPart) and not made.text and not extra:
            continue
        if extra:
            extras[str(len(parts))] = extra
        parts.append(made)
    signed = any(isinstance(part, ours.ThinkingPart) and part.signature for part in parts)
    if response.provider_name and (extras or signed):
        carrier = {
            "provider": response.provider_name,
            "url": response.provider_url,
            "system": response.canonical_system,
            "response": response.provider_response_id,
            "count": len(parts),
            "parts": extras,
        }
        signature = CARRIER + json.dumps(_valid(carrier), separators=(",", ":"))
        parts.insert(0, ours.ThinkingPart("", signature))
    return Message("assistant", tuple(parts), usage=usage_of(response), model=name, finish=_finish(response, parts))


def _finish(response: theirs.ModelResponse, parts: Sequence[ours.Part]) -> str:
    finish = _FINISH.get(response.finish_reason or "", "stop")
    if finish == "stop" and any(isinstance(part, ours.ToolCallPart) for part in parts):
        return "tool_calls"
    return finish


def _part(part: theirs.ModelResponsePart, seen: set[str]) -> ours.Part | None:
    match part:
        case theirs.TextPart():
            return ours.TextPart(valid_text(part.content))
        case theirs.ThinkingPart():
            return ours.ThinkingPart(valid_text(part.content), part.signature)
        case theirs.ToolCallPart():
            id = valid_text(part.tool_call_id)
            if id in seen:  # some servers number every call 0; answers are paired by id
                id = f"{id}+{len(seen)}"
            seen.add(id)
            arguments, invalid = read_arguments(part.args)
            return ours.ToolCallPart(id, valid_text(part.tool_name), arguments, invalid)
        case theirs.FilePart():
            content = part.content
            if content.media_type.startswith("image/"):
                return ours.ImagePart(content.data, content.media_type)
            return ours.FilePart(content.data, content.media_type)
        case _:
            return None  # calls and results of a provider's own tools, which it ran itself


def _extra(part: theirs.ModelResponsePart) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    if getattr(part, "id", None):
        extra["id"] = getattr(part, "id")  # noqa: B009  not every kind of part has one
    details = getattr(part, "provider_details", None)
    if details:
        extra["details"] = to_jsonable_python(details, fallback=str)
    return extra


def read_arguments(raw: str | Mapping[str, Any] | None) -> tuple[Mapping[str, Any], str | None]:
    """What a model sent as arguments: the object, or ``({}, raw text)`` when it is no JSON object."""
    if raw is None or raw == "":
        return {}, None
    if isinstance(raw, Mapping):
        return _valid(dict(raw)), None
    try:
        value = json.loads(raw, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return {}, valid_text(raw)
    if not isinstance(value, dict):
        return {}, valid_text(raw)
    return _valid(value), None


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")


def _valid(value: Any) -> Any:
    """`value` with every lone surrogate in it replaced."""
    if isinstance(value, str):
        return valid_text(value)
    if isinstance(value, dict):
        return {_valid(key): _valid(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_valid(item) for item in value]
    return value
