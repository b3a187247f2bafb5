"""The forms in which a secret may come back: as it is, and in the encodings that programs use by habit."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

#: Shortest form looked for, in bytes: every form of the shortest secret has at least as many.
MIN_FORM = 8
_LEVELS = 3  # JSON within JSON within JSON
_LINE = 20  # a line of a secret of many lines (a key) counts by itself from this length on


def variants(value: str) -> set[bytes]:
    """Every form of a secret, as bytes in small ASCII letters: letter case is not looked at."""
    found: set[bytes] = set()
    for text in (value, *_lines(value)):
        found.update(_forms(text))
    return {form for form in (found_form.lower() for found_form in found) if len(form) >= MIN_FORM}


def _lines(value: str) -> list[str]:
    lines = [line.strip() for line in value.splitlines()]
    return [line for line in lines if len(line) >= _LINE and not line.startswith("-----")] if len(lines) > 1 else []


def _forms(text: str) -> Iterator[bytes]:
    texts = {
        text,
        text.upper(),
        text.lower(),
        text[::-1],
        quote(text, safe=""),
        quote(text),
        quote_plus(text),
        repr(text)[1:-1],
        html.escape(text),
        text.replace("'", "'\\''"),  # quoted for a shell
        text.replace("'", "'\"'\"'"),
        text.replace("\n", "\r\n"),
    }
    for plain in (True, False):
        form = text
        for _ in range(_LEVELS):
            form = json.dumps(form, ensure_ascii=plain)[1:-1]
            texts.add(form)
    for form in texts:
        yield form.encode("utf-8", "surrogatepass")
    data = text.encode("utf-8", "surrogatepass")
    digits = [f"{byte:02x}" for byte in data]
    for before, between in (
        ("", ""),
        ("", ":"),
        ("", " "),
        ("", "-"),
        ("\\x", ""),
        ("%", ""),
        ("0x", ", "),
        ("0x", ","),
    ):
        yield between.join(before + pair for pair in digits).encode()
    for alphabet in (None, b"-_"):
        yield from _base64(data, alphabet)


def _base64(data: bytes, alphabet: bytes | None) -> Iterator[bytes]:
    """What base64 makes of the data wherever it stands in a longer text: the letters that it alone decides."""
    for before, lead in ((0, 0), (1, 2), (2, 3)):
        encoded = base64.b64encode(b"\0" * before + data, alphabet)
        yield encoded[lead : (before + len(data)) * 8 // 6]
