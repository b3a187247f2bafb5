"""Text cut into words for the search: identifiers into their parts, everything in lower case."""

from __future__ import annotations

import functools
import re

__all__ = ["cut", "words_of"]

_IDENTIFIER = re.compile(rb"[A-Za-z_][A-Za-z0-9_]{1,79}")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_A-Za-z]+")
_MOST = 20_000


@functools.lru_cache(maxsize=100_000)
def cut(name: str) -> tuple[str, ...]:
    """``parseHTTPReply_2`` as ``parse``, ``http``, ``reply``, ``2`` and the whole in lower case."""
    parts = [part.lower() for part in _PART.findall(name)]
    whole = name.lower().strip("_")
    if len(parts) > 1 and whole:
        parts.append(whole.replace("_", ""))
    return tuple(dict.fromkeys(parts))


def words_of(data: bytes) -> str:
    """The different words of a file, with spaces between them."""
    found: dict[str, None] = {}
    for name in sorted(set(_IDENTIFIER.findall(data)))[:_MOST]:
        for part in cut(name.decode("ascii")):
            found[part] = None
    return " ".join(found)
