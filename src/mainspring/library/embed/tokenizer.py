"""Cutting text into the model's pieces, with the place of each in the text.

The unigram model of sentencepiece: of all ways to cut a word into pieces of the vocabulary, the likeliest. Written
here, and not taken from the `tokenizers` library, because that takes 0.7 to 2 seconds to load 250,000 pieces, and a
search from the command line must answer in half a second; cutting is 1% of the work of encoding. The pieces lie in a
file, grouped by their beginnings, and a group is read when a text first needs it: the file is mapped into memory, and
of its 5 MB a question touches a few pages.
"""

from __future__ import annotations

import json
import mmap
import re
import struct
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mainspring.errors import ModelError
from mainspring.library.embed.normalise import Normaliser
from mainspring.library.embed.packed import Pieces

SPACE = "▁"  # stands before each word
_MAGIC = b"PCS2"
_HEAD = struct.Struct("<4s7I")
_NEVER = "<mask>"  # in the vocabulary, and never meant by a text that says it
_PENALTY = 10.0  # an unknown character is this much less likely than the rarest piece
_KEPT_WORDS = 50_000
_KEPT_BEGINNINGS = 200_000
_KEPT_LENGTH = 24


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text's pieces: their ids, and which of its characters each is, (start, end). Spaces belong to no piece."""

    ids: list[int]
    spans: list[tuple[int, int]]


def _beginning(piece: str) -> str:
    """By what pieces are grouped: their first two characters, three where the first is the space."""
    return piece[:3] if piece[0] == SPACE else piece[:2]


def _number(beginning: str) -> int:
    """A beginning as a number of 63 bits, so that all of them can be searched where they lie in the file."""
    number = 0
    for char in beginning.ljust(3, "\0"):
        number = number << 21 | ord(char)
    return number


def pack_pieces(pieces: Pieces) -> bytes:
    """The tokenizer's file: see `Tokenizer`."""
    special = {pieces.begin, pieces.end, pieces.pad, pieces.unknown}
    groups: dict[int, list[int]] = defaultdict(list)
    for number, text in enumerate(pieces.texts):
        if text and text != _NEVER and number not in special:
            groups[_number(_beginning(text))].append(number)
    keys = sorted(groups)
    order = [number for key in keys for number in groups[key]]
    firsts, places, chunks, at = [0], [0], [], 0
    for key in keys:
        chunk = "\n".join(pieces.texts[number] for number in groups[key]).encode()
        chunks.append(chunk)
        at += len(chunk)
        firsts.append(firsts[-1] + len(groups[key]))
        places.append(at)
    lowest = min((pieces.scores[number] for number in order), default=0.0)
    rules = json.dumps(pieces.rules, ensure_ascii=True).encode()
    head = _HEAD.pack(_MAGIC, len(keys), len(order), at, len(rules), pieces.begin, pieces.end, pieces.unknown)
    numbers = [
        struct.pack("<f", lowest - _PENALTY),
        struct.pack(f"<{len(keys)}Q", *keys),
        struct.pack(f"<{len(firsts)}I", *firsts),
        struct.pack(f"<{len(places)}I", *places),
        struct.pack(f"<{len(order)}I", *order),
        struct.pack(f"<{len(order)}f", *(pieces.scores[number] for number in order)),
    ]
    return b"".join([head, *numbers, rules, *chunks])


class Tokenizer:
    """Cuts text. Safe to use from several threads.

    Raises:
        ModelError: the file is not what `pack_pieces` makes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.open("rb") as file:
                self._data = data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            magic, keys, count, size, rules, self.begin, self.end, self.unknown = _HEAD.unpack_from(data)
            if magic != _MAGIC:
                raise ValueError(f"it begins with {magic!r}")
            (self._unlikely,) = struct.unpack_from("<f", data, _HEAD.size)
            at = _HEAD.size + 4
            view = memoryview(data)
            self._keys = view[at : (at := at + 8 * keys)].cast("Q")
            self._firsts = view[at : (at := at + 4 * (keys + 1))].cast("I")
            self._places = view[at : (at := at + 4 * (keys + 1))].cast("I")
            self._ids = view[at : (at := at + 4 * count)].cast("I")
            self._scores = view[at : (at := at + 4 * count)].cast("f")
            self._rules = at, at + rules
            self._chunks_at = at + rules
            if len(data) != self._chunks_at + size:
                raise ValueError(f"it has {len(data)} bytes, expected {self._chunks_at + size}")
        except (OSError, ValueError, TypeError, struct.error) as error:
            raise self._wrong(error) from None
        self._known: dict[str, tuple[float, int]] = {}
        self._longest: dict[str, int] = {}
        self._words: dict[str, tuple[tuple[int, int], ...]] = {}

    def _wrong(self, why: Exception) -> ModelError:
        return ModelError(f"{self._path} is not a tokenizer's file: {why}; delete it, and it is made again")

    @cached_property
    def _normalise(self) -> Normaliser:
        """Made when a text first needs it, for it takes longer than to cut a question."""
        try:
            return Normaliser(json.loads(self._data[slice(*self._rules)]))
        except (ValueError, TypeError, AttributeError) as error:
            raise self._wrong(error) from None

    def _read(self, beginning: str) -> int:
        """Take in the pieces that may stand where a text goes on so. Returns the length of the longest, 0 for none."""
        longest = 0
        for size in range(1, len(beginning) + 1):
            longest = max(longest, self._read_group(_number(beginning[:size])))
        if len(self._longest) >= _KEPT_BEGINNINGS:
            self._longest.clear()
        self._longest[beginning] = longest
        return longest

    def _read_group(self, key: int) -> int:
        group = bisect_left(self._keys, key)
        if group == len(self._keys) or self._keys[group] != key:
            return 0
        chunk = self._data[self._chunks_at + self._places[group] : self._chunks_at + self._places[group + 1]]
        first, end = self._firsts[group], self._firsts[group + 1]
        texts = chunk.decode().split("\n")
        numbers = zip(self._scores[first:end], self._ids[first:end], strict=True)
        self._known.update(zip(texts, numbers, strict=True))
        return max(map(len, texts))

    def __call__(self, text: str) -> Tokens:
        """Cut `text`, whatever it holds. It never yields <s> or another special token, also where the text says so."""
        plain = text.isascii() and text.isprintable()
        normal, places = (text, None) if plain else self._normalise(text)
        ids: list[int] = []
        spans: list[tuple[int, int]] = []
        for word in re.finditer("[^ ]+", normal):
            at = word.start()
            for number, length in self._cut(word[0]):
                end = at + length
                ids.append(number)
                spans.append((at, end) if places is None else _place(places, at, end))
                at = end
        return Tokens(ids, spans)

    def _cut(self, word: str) -> tuple[tuple[int, int], ...]:
        """The pieces of a word: id, and how many of its characters (0 for a space that stands alone)."""
        found = self._words.get(word)
        if found is None:
            found = self._search(SPACE + word)
            if len(word) <= _KEPT_LENGTH:
                if len(self._words) >= _KEPT_WORDS:
                    self._words.clear()
                self._words[word] = found
        return found

    def _search(self, word: str) -> tuple[tuple[int, int], ...]:
        """The likeliest cut (Viterbi). Neighbouring unknown characters are one piece."""
        size = len(word)
        best = [0.0] + [float("-inf")] * size
        back = [(0, 0)] * (size + 1)  # where the piece that ends here begins, and its id
        known, longest_of, unlikely, unknown = self._known, self._longest, self._unlikely, self.unknown
        for start in range(size):
            score = best[start]
            key = word[start : start + 2] if start else word[:3]
            longest = longest_of.get(key)
            if longest is None:
                longest = self._read(key)
            for end in range(start + 1, min(start + longest, size) + 1):
                piece = known.get(word[start:end])
                if piece is not None and score + piece[0] > best[end]:
                    best[end] = score + piece[0]
                    back[end] = (start, piece[1])
            if score + unlikely > best[start + 1]:
                best[start + 1] = score + unlikely
                back[start + 1] = (start, unknown)
        cut: list[tuple[int, int]] = []
        end = size
        while end:
            start, number = back[end]
            length = end - max(start, 1)  # the space in front is no character of the text
            if number == unknown and cut and cut[-1][0] == unknown:
                cut[-1] = (unknown, cut[-1][1] + length)
            else:
                cut.append((number, length))
            end = start
        return tuple(reversed(cut))


def _place(places: Sequence[tuple[int, int]], start: int, end: int) -> tuple[int, int]:
    if start < end:
        return places[start][0], places[end - 1][1]
    before = places[start][0]  # a space alone stands before a word, so there is a next character
    return before, before
