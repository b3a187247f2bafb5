"""File names as people may see them."""

from __future__ import annotations


def printable(name: str) -> str:
    """A file name fit to print: bytes that are no UTF-8 and control characters are shown as escapes."""
    try:
        text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        text = ascii(name)
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
