"""Which pieces get a vector."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from mainspring.library.embed.tokenizer import Tokens


@lru_cache(maxsize=50_000)
def says_something(piece: str) -> bool:
    """False for a piece that is nothing but spaces and punctuation; signs such as + and emoji say something."""
    return any(unicodedata.category(char)[0] not in "PZC" for char in piece)


def kept(text: str, tokens: Tokens) -> list[int]:
    """Which of the text's tokens get a vector: those that say something; where none does, all that are not empty."""
    seen = [number for number, (start, end) in enumerate(tokens.spans) if says_something(text[start:end])]
    return seen or [number for number, (start, end) in enumerate(tokens.spans) if end > start]
