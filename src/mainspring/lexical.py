"""Words to search by, in any script: one form for what is stored and for what is asked."""

from __future__ import annotations

import re
import unicodedata

#: Most different words of a query that are looked for.
MAX_TERMS = 32

# Scripts written without spaces: Thai, Lao, Myanmar, Khmer, kana, bopomofo, Han, Hangul. Korean has spaces, but its
# words carry endings, so that pairs find more.
_PACKED = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3040-\u312f\u3130-\u318f\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
)
_PIECE = re.compile(rf"[{_PACKED}]+|(?:(?![{_PACKED}])[^\W_])+")
_FIRST_PACKED = re.compile(rf"[{_PACKED}]")


def words(text: str) -> list[str]:
    """The words of a text as they are stored: without case and accents; packed scripts as pairs of characters.

    The last character of a packed piece is a word too, so that each character begins one.
    """
    found: list[str] = []
    for piece in _PIECE.findall(_folded(text)):
        if _FIRST_PACKED.match(piece):
            found += [piece[n : n + 2] for n in range(len(piece))]
        else:
            found.append(piece)
    return found


def match(query: str) -> str:
    """A query for FTS5 that finds records with any of its words, or "" when it has none."""
    terms: dict[str, None] = {}
    for piece in _PIECE.findall(_folded(query)):
        if not _FIRST_PACKED.match(piece):
            terms[f'"{piece}"'] = None
        elif len(piece) == 1:
            terms[f'"{piece}"*'] = None
        else:
            terms |= {f'"{piece[n : n + 2]}"': None for n in range(len(piece) - 1)}
    return " OR ".join(list(terms)[:MAX_TERMS])


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold())
    if not plain.isascii():
        # Accents of scripts that are written with spaces are dropped; in Thai and its kin they are vowels.
        plain = "".join(c for c in plain if not unicodedata.combining(c) or _FIRST_PACKED.match(c))
        plain = unicodedata.normalize("NFC", plain)  # syllables of Hangul whole again
    return plain
