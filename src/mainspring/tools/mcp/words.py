"""A server's words, before a planner or a person sees them: nothing invisible, nothing endless, plain names.

Descriptions are an outsider's text that reaches the planner. Text hidden in them (Unicode tags, zero width and
bidirectional characters, variation selectors) would be read by a model and seen by no person.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

#: Longest description of a tool, and of one argument, in characters.
MAX_DESCRIPTION = 4_000
MAX_NOTE = 1_000

#: Shown as nothing although their category does not say so: fillers, joiners, blank Braille.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180e\u180f\u2800\u3164\uffa0")
_NAME = re.compile(r"[A-Za-z0-9_./:-]{1,128}\Z")
_MAX_NAME = 64


def invisible(char: str) -> bool:
    """True for a character that a person does not see, or that changes how others are shown."""
    if char in "\n\t":
        return False
    code = ord(char)
    return (
        unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
        or char in _BLANK
        or 0xFE00 <= code <= 0xFE0F
        or 0xE0100 <= code <= 0xE01EF
    )


def clean(text: str, limit: int = MAX_DESCRIPTION) -> tuple[str, int]:
    """Text without invisible characters and cut to `limit` characters, and how many invisible ones it had."""
    text = text.replace("\r\n", "\n")
    head = text[: 4 * limit]
    kept = "".join(c for c in head if not invisible(c))
    removed = len(head) - len(kept)
    if len(kept) > limit or len(text) > len(head):
        kept = kept[:limit].rstrip() + " [cut]"
    return kept, removed


def plain(text: str) -> bool:
    """True for text with nothing invisible in it."""
    return not any(invisible(c) for c in text)


def tool_name(server: str, remote: str) -> str | None:
    """Our name for a server's tool, ``SERVER_TOOL``; None when the server's name for it is not usable.

    Dots, slashes and colons become ``_``. A name that gets too long keeps its beginning and a digest.
    """
    if not _NAME.match(remote):
        return None
    name = f"{server}_{re.sub('[./:]', '_', remote)}"
    if len(name) > _MAX_NAME:
        name = f"{name[: _MAX_NAME - 9]}_{hashlib.sha256(remote.encode()).hexdigest()[:8]}"
    return name
