"""Words to search by, in any script: one form for what is stored and for what is asked."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

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
_BROKEN = re.compile(rf"(?<=[{_PACKED}]) (?=[{_PACKED}])")


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
    quoted = [f'"{word}"*' if begins else f'"{word}"' for word, begins in terms(query).items()]
    return " OR ".join(quoted[:MAX_TERMS])


def terms(query: str) -> dict[str, bool]:
    """The words that a query looks for, in its order; True for one that a word of the text need only begin with."""
    found: dict[str, bool] = {}
    for piece in _PIECE.findall(_folded(query)):
        if not _FIRST_PACKED.match(piece):
            found.setdefault(piece, False)
        elif len(piece) == 1:
            found.setdefault(piece, True)
        else:
            for n in range(len(piece) - 1):
                found.setdefault(piece[n : n + 2], False)
    return found


def phrase(text: str) -> str:
    """A query for FTS5 that finds records with the words of a text one after the other, or "" when it has none."""
    pieces = _PIECE.findall(_folded(text))
    found: list[str] = []
    for number, piece in enumerate(pieces):
        if not _FIRST_PACKED.match(piece):
            found.append(piece)
            continue
        # The last character of a packed piece begins a pair in a longer piece, so at the end it may only begin a word.
        last = number == len(pieces) - 1
        found += [piece[n : n + 2] for n in range(len(piece) - (last and len(piece) > 1))]
    begins = bool(pieces) and len(pieces[-1]) == 1 and _FIRST_PACKED.match(pieces[-1]) is not None
    return f'"{" ".join(found)}"' + "*" * begins if found else ""


def places(text: str) -> list[tuple[str, int, int]]:
    """The words of a text as `words` gives them, each with the characters (start, end) that it was made from."""
    folds = {char: char.lower() if char.isascii() else _folded_char(char) for char in set(text)}
    at: Sequence[int] = range(len(text))
    if any(len(folded) != 1 for folded in folds.values()):
        at = [number for number, char in enumerate(text) for _ in folds[char]]
    folded_text = text.translate({ord(char): folded for char, folded in folds.items()})
    found: list[tuple[str, int, int]] = []
    for piece in _PIECE.finditer(folded_text):
        start, end, word = piece.start(), piece.end(), piece.group()
        if _FIRST_PACKED.match(word):
            found += [(word[n : n + 2], at[start + n], at[min(start + n + 1, end - 1)] + 1) for n in range(len(word))]
        else:
            found.append((word, at[start], at[end - 1] + 1))
    return found


def line(text: str) -> str:
    """A text's words with single spaces between and around them, to look for a phrase in.

    Packed scripts are not broken by the spaces and line ends that stand between two of their characters.
    """
    return f" {_BROKEN.sub('', ' '.join(_PIECE.findall(_folded(text))))} "


def holds(text_line: str, phrase: str) -> bool:
    """True when a text, given as its `line`, has the words of a phrase one after the other."""
    wanted = line(phrase).strip()
    if not wanted:
        return False
    before = "" if _FIRST_PACKED.match(wanted) else " "
    after = "" if _FIRST_PACKED.match(wanted[-1]) else " "
    return f"{before}{wanted}{after}" in text_line


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold())
    if not plain.isascii():
        # Accents of scripts that are written with spaces are dropped; in Thai and its kin they are vowels.
        plain = "".join(c for c in plain if not unicodedata.combining(c) or _FIRST_PACKED.match(c))
        plain = unicodedata.normalize("NFC", plain)  # syllables of Hangul whole again
    return plain


@lru_cache(maxsize=65_536)
def _folded_char(char: str) -> str:
    return _folded(char)
