"""What an editor sends as a prompt, as the parts of a message.

Text blocks are the person's own words. What was attached (a file's text, a selection, a picture) is material beside
them: it goes as a file of its own, so that its words give nobody a right.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from mainspring.errors import DeclarationError
from mainspring.messages import FilePart, ImagePart, Part

_MOST = 20 * 1024 * 1024  # bytes; providers take less, and it travels with every call
_PICTURES = ("image/png", "image/jpeg", "image/webp", "image/gif")


def parts_of(blocks: Sequence[Any]) -> list[str | Part]:
    """The message's parts, in order.

    Raises:
        DeclarationError: there is no text in it, a block is of a kind that is not taken, too large or damaged.
    """
    found: list[str | Part] = []
    for block in blocks:
        found.append(_part(block))
    if not any(isinstance(part, str) and part.strip() for part in found):
        raise DeclarationError("the prompt holds no words; say what is to be done")
    return found


def _part(block: Any) -> str | Part:
    if block.type == "text":
        return str(block.text)
    if block.type == "resource_link":
        # The person pointed at it; what it is called was chosen by whoever made it, and is no word of theirs.
        return FilePart(f"The person points to: {block.uri}".encode("utf-8", "replace"), "text/plain", "reference")
    if block.type == "image":
        if block.mime_type not in _PICTURES:
            raise DeclarationError(f"a picture is of type {block.mime_type!r}; send one of {', '.join(_PICTURES)}")
        return ImagePart(_bytes(block.data), block.mime_type)
    if block.type == "resource":
        inside = block.resource
        text = getattr(inside, "text", None)
        data = text.encode("utf-8", "replace") if text is not None else _bytes(inside.blob)
        if len(data) > _MOST:
            raise DeclarationError(f"{inside.uri} has {len(data):,} bytes, more than {_MOST:,}; name it instead")
        return FilePart(data, inside.mime_type or "text/plain", str(inside.uri))
    raise DeclarationError(f"a prompt's block of kind {block.type!r} is not taken; send text, files or pictures")


def _bytes(text: str) -> bytes:
    if len(text) > _MOST * 4 // 3 + 4:
        raise DeclarationError(f"an attachment is larger than {_MOST:,} bytes; name the file instead")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DeclarationError(f"an attachment is no valid base64: {error}") from None
