"""Text as the tokenizer wants it, and which of the original characters each of its characters stands for."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_SURROGATES = range(0xD800, 0xE000)
_LONGEST = 32  # characters that are put together at most: sorting accents takes time that grows with their square
#: Characters that join what stands before them: accents, and the vowels and final consonants of Hangul syllables.
_JAMO = re.compile("[\u1160-\u11ff]")


class Normaliser:
    """NFKC as sentencepiece's ``nmt_nfkc`` does it: control characters go, every kind of space becomes a space.

    Args:
        rules: what a character becomes; one that is missing stays, but NUL goes and half a pair is a space.
    """

    def __init__(self, rules: dict[str, str]) -> None:
        self._rules = {**rules, "\x00": "", **{chr(code): " " for code in _SURROGATES}}
        self._table = str.maketrans(self._rules)
        moving = [char for char, becomes in self._rules.items() if len(becomes) != 1 or _joins(becomes)]
        self._moving = frozenset(moving)

    def __call__(self, text: str) -> tuple[str, Sequence[tuple[int, int]] | None]:
        """The normalised text and, for each of its characters, (start, end) in `text`; None where both are the same."""
        if text.isascii() and text.isprintable():
            return text, None
        if self._moving.isdisjoint(text) and unicodedata.is_normalized("NFC", text):
            return text.translate(self._table), None
        return self._slowly(text)

    def _slowly(self, text: str) -> tuple[str, list[tuple[int, int]]]:
        """Character by character, those that join kept together."""
        out: list[str] = []
        places: list[tuple[int, int]] = []
        cluster, start, end = "", 0, 0
        for at, char in enumerate(text):
            becomes = self._rules.get(char, char)
            if not becomes:
                continue
            if cluster and len(cluster) < _LONGEST and _joins(becomes):
                cluster += becomes
            else:
                _put(cluster, start, end, out, places)
                cluster, start = becomes, at
            end = at + 1
        _put(cluster, start, end, out, places)
        return "".join(out), places


def _joins(text: str) -> bool:
    return unicodedata.combining(text[0]) > 0 or _JAMO.match(text) is not None


def _put(cluster: str, start: int, end: int, out: list[str], places: list[tuple[int, int]]) -> None:
    joined = unicodedata.normalize("NFC", cluster) if len(cluster) > 1 else cluster
    out.append(joined)
    places.extend([(start, end)] * len(joined))
