"""What a model types: text, with keys by their names in angle brackets."""

from __future__ import annotations

import re
import string

from mainspring.errors import ToolError

MAX_CHARACTERS = 32_000
#: Name -> what a terminal of the kind `linux` sends.
KEYS: dict[str, str] = {
    "enter": "\r",
    "tab": "\t",
    "esc": "\x1b",
    "space": " ",
    "backspace": "\x7f",
    "delete": "\x1b[3~",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "right": "\x1b[C",
    "left": "\x1b[D",
    "home": "\x1b[1~",
    "end": "\x1b[4~",
    "pageup": "\x1b[5~",
    "pagedown": "\x1b[6~",
    "lt": "<",
    **{f"ctrl-{letter}": chr(ord(letter) - 96) for letter in string.ascii_lowercase},
    "ctrl-\\": "\x1c",
    "ctrl-]": "\x1d",
}
_KEY = re.compile(r"<([a-z\\\]-]{2,9})>", re.IGNORECASE)
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def keystrokes(text: str) -> bytes:
    """The bytes that typing a text sends. ``<enter>`` and its like are keys; other ``<words>`` are what they are.

    Raises:
        ToolError: it is empty, too long, or holds control characters, which only named keys may send.
    """
    if not text or len(text) > MAX_CHARACTERS:
        raise ToolError(
            f"text must have 1 to {MAX_CHARACTERS:,} characters; got {len(text):,}; send a file by edit_file"
        )
    found = _FORBIDDEN.search(text)
    if found is not None:
        raise ToolError(
            f"text holds the control character {found[0]!r}; name the key instead, such as <ctrl-c>, <esc> or <up>"
        )
    typed = _KEY.sub(lambda key: KEYS.get(key[1].lower(), key[0]), text.replace("\r\n", "\n"))
    return typed.replace("\n", "\r").encode("utf-8", "replace")
