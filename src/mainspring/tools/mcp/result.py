"""What a server's tool returned, as our parts or as a JSON value."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any

from mainspring.errors import ToolError
from mainspring.messages import FilePart, ImagePart, TextPart
from mainspring.tools.mcp.schema import mismatch, resolve
from mainspring.value import MAX_DEPTH

_MEDIA = re.compile(r"[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,80}\Z")
_MAX_ERROR = 4_000
_MAX_PARTS = 200


def to_value(result: Any, output_schema: Mapping[str, Any] | None, *, parse: bool) -> Any:
    """The SDK's `CallToolResult` as what a tool returns: a JSON value, text, or message parts.

    Args:
        output_schema: what the tool's structured answer must look like, made safe by `schema.usable`.
        parse: read an answer that is one text as JSON, where a person has said who wrote its fields.

    Raises:
        ToolError: the server says that the call failed, or its answer does not fit its own schema.
    """
    parts = [_part(block) for block in result.content[:_MAX_PARTS]]
    if len(result.content) > _MAX_PARTS:
        parts.append(TextPart(f"[{len(result.content) - _MAX_PARTS} more parts were left out]"))
    if result.is_error:
        text = "\n".join(p.text for p in parts if isinstance(p, TextPart)).strip()
        raise ToolError(text[:_MAX_ERROR] or "the server says that the call failed, and not why")
    structured = result.structured_content
    if output_schema is not None:
        if structured is None:
            raise ToolError("the call was made, but its answer lacks the structured content that the tool promises")
        if why := unfit(output_schema, structured, output_schema):
            raise ToolError(f"the call was made, but its answer does not fit the tool's own output schema: {why}")
    media = [p for p in parts if not isinstance(p, TextPart)]
    if structured is not None:
        _check_depth(structured)
        if not media:
            return structured
        return [TextPart(json.dumps(structured, ensure_ascii=False)), *media]
    if not media and len(parts) == 1:
        text = parts[0].text if isinstance(parts[0], TextPart) else ""
        return _parsed(text) if parse else text
    return parts if parts else None


def _part(block: Any) -> TextPart | ImagePart | FilePart:
    kind = block.type
    if kind == "text":
        return TextPart(block.text)
    if kind in ("image", "audio"):
        return _media(block.data, block.mime_type, kind, "")
    if kind == "resource_link":
        # Named, not fetched: what lies behind it is asked for by a call of its own, if at all.
        return TextPart(json.dumps({"link": str(block.uri), "name": block.name}, ensure_ascii=False))
    inner = block.resource
    if hasattr(inner, "text"):
        return TextPart(inner.text)
    return _media(inner.blob, inner.mime_type or "application/octet-stream", "resource", str(inner.uri))


def _media(data: str, media_type: str, kind: str, name: str) -> TextPart | ImagePart | FilePart:
    try:
        decoded = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return TextPart(f"[{kind} that is no base64]")
    media_type = media_type.lower()
    if not _MEDIA.match(media_type):
        return TextPart(f"[{kind} of {len(decoded):,} bytes, whose kind is no media type]")
    if media_type.startswith("image/"):
        return ImagePart(decoded, media_type)
    return FilePart(decoded, media_type, name[-100:])


def _parsed(text: str) -> Any:
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    _check_depth(value)
    return value


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            below
            for item in level
            if isinstance(item, dict | list)
            for below in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return
    raise ToolError(f"the call was made, but its answer is nested deeper than {MAX_DEPTH} levels")


def unfit(rule: Any, value: Any, root: Mapping[str, Any], path: str = "") -> str:
    """Where a value does not fit a schema: kinds, required members, allowed values; "" when it does.

    Combinations (`anyOf` and the like) and bounds are not looked at: nothing is decided by them.
    """
    if not isinstance(rule, Mapping):
        return ""
    if "$ref" in rule:
        rule = resolve(rule["$ref"], root)
    if why := mismatch(rule, value):
        return f"{path or 'the answer'}: {why}"
    if isinstance(value, dict):
        properties = rule.get("properties")
        required = rule.get("required")
        for name in required if isinstance(required, list) else ():
            if name not in value:
                return f"{path or 'the answer'}: {str(name)[:60]!r} is missing"
        for name, one in properties.items() if isinstance(properties, Mapping) else ():
            if name in value and (why := unfit(one, value[name], root, f"{path}.{name}"[:80])):
                return why
    elif isinstance(value, list) and isinstance(rule.get("items"), Mapping):
        for number, item in enumerate(value):
            if why := unfit(rule["items"], item, root, f"{path}[{number}]"[:80]):
                return why
    return ""
