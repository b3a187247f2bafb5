"""Splitting a growing answer into what a person wants to watch while it is made."""

from __future__ import annotations

import json
import re
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["text", "thinking", "call"]

_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_KEY = re.compile(r'"(thought|answer|tool)": (.)', re.DOTALL)  # the first one is the envelope's own
_KINDS: dict[str, Kind] = {"thought": "thinking", "answer": "text", "tool": "call"}


class Pieces:
    """Reads the envelope's JSON piece by piece.

    Args:
        wrapped: whether the text is an envelope; otherwise every piece is text as it is.

    Attributes:
        kind: ``"call"`` or ``"text"`` once the answer has shown which it is, and ``""`` before.
    """

    def __init__(self, wrapped: bool) -> None:
        self.kind: Kind | Literal[""] = "" if wrapped else "text"
        self._raw = ""
        self._at = 0
        self._inside: Kind | None = None  # what the JSON string being read is
        self._verbatim = not wrapped
        self._wrapped = wrapped

    def feed(self, piece: str) -> list[tuple[Kind, str]]:
        """Take the next piece of the raw text; return what it adds, as (kind, text)."""
        self._raw += piece
        out: list[tuple[Kind, str]] = []
        while self._step(out):
            pass
        return [(kind, text) for kind, text in out if text]

    def _step(self, out: list[tuple[Kind, str]]) -> bool:
        """Read on as far as possible; True when there may be more to read."""
        rest = self._raw[self._at :]
        if self._verbatim:
            if self._wrapped and rest.endswith("}"):
                rest = rest[:-1]  # the envelope's own brace is the last letter of all; it waits for a successor
            self._at += len(rest)
            out.append((self.kind or "text", rest))
            return False
        if self._inside is not None:
            text, used, closed = decode_string(rest)
            self._at += used
            out.append((self._inside, text))
            if closed:
                self._inside = None
            return closed
        found = _KEY.search(rest)
        if found is None:
            return False
        kind = _KINDS[found[1]]
        if kind != "thinking":
            self.kind = kind
        if found[2] == '"' and kind != "call":
            self._at += found.end()
            self._inside = kind
        else:
            self._at += found.start(2)
            self._verbatim = kind != "thinking"
        return True


def decode_string(text: str) -> tuple[str, int, bool]:
    """Decode the inside of a JSON string as far as it is there: (decoded, characters used, whether it ended)."""
    out: list[str] = []
    at = 0
    while at < len(text):
        letter = text[at]
        if letter == '"':
            return "".join(out), at + 1, True
        if letter != "\\":
            out.append(letter)
            at += 1
            continue
        escape = text[at + 1 : at + 2]
        width = 6 if escape == "u" else 2
        if escape == "u" and text[at + 2 : at + 4].lower() in ("d8", "d9", "da", "db"):
            width = 12  # a surrogate pair
        if len(text) < at + width:
            break
        if escape == "u":
            out.append(_unicode(text[at : at + width]))
        else:
            out.append(_ESCAPES.get(escape, escape))
        at += width
    return "".join(out), at, False


def _unicode(escape: str) -> str:
    """The character of a ``\\uXXXX`` escape; half a pair, which no UTF-8 text can hold, becomes U+FFFD."""
    try:
        return str(json.loads(f'"{escape}"')).encode("utf-8", "replace").decode("utf-8").replace("?", "\ufffd")
    except ValueError:
        return "\ufffd"
