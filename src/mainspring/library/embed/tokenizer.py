"""Cutting text into the model's pieces, with the place of each in the text.

The unigram model of sentencepiece: of all ways to cut a word into pieces of the vocabulary, the likeliest. Written
here, and not taken from the `tokenizers` library, because that takes 0.7 to 2 seconds to load 250,000 pieces, and a
search from the command line must answer in half a second; cutting is 1% of the work of encoding. The pieces lie in a
file, grouped by their beginnings, and a group is read when a text first needs it.
"""

from __future__ import annotations

import json
import re
import struct
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mainspring.errors import ModelError
from mainspring.library.embed.normalise import Normaliser
from mainspring.library.embed.packed import Pieces

SPACE = "▁"  # stands before each word
_MAGIC = b"PCS1"
_HEAD = struct.Struct("<4s8I")
_NEVER = "<mask>"  # in the vocabulary, and never meant by a text that says it
_PENALTY = 10.0  # an unknown character is this much less likely than the rarest piece
_KEPT_WORDS = 50_000
_KEPT_LENGTH = 24


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text's pieces: their ids, and which of its characters each is, (start, end). Spaces belong to no piece."""

    ids: list[int]
    spans: list[tuple[int, int]]


def _key(piece: str) -> str:
    """What a piece's group is called: its first character, and the second too where the first is the space."""
    return piece[:2] if piece[0] == SPACE else piece[0]


def pack_pieces(pieces: Pieces) -> bytes:
    """The tokenizer's file: see `Tokenizer`."""
    special = {pieces.begin, pieces.end, pieces.pad, pieces.unknown}
    groups: dict[str, list[int]] = defaultdict(list)
    for number, text in enumerate(pieces.texts):
        if text and text != _NEVER and number not in special:
            groups[_key(text)].append(number)
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
    names = "\n".join(keys).encode()
    rules = json.dumps(pieces.rules, ensure_ascii=True).encode()
    head = _HEAD.pack(
        _MAGIC, len(keys), len(order), len(names), at, len(rules), pieces.begin, pieces.end, pieces.unknown
    )
    numbers = [
        struct.pack("<f", lowest - _PENALTY),
        struct.pack(f"<{len(firsts)}I", *firsts),
        struct.pack(f"<{len(places)}I", *places),
        struct.pack(f"<{len(order)}I", *order),
        struct.pack(f"<{len(order)}f", *(pieces.scores[number] for number in order)),
    ]
    return b"".join([head, *numbers, names, rules, *chunks])


class Tokenizer:
    """Cuts text. Safe to use from several threads.

    Raises:
        ModelError: the file is not what `pack_pieces` makes.
    """

    def __init__(self, path: Path) -> None:
        self._data = data = path.read_bytes()
        try:
            magic, keys, count, names, size, rules, self.begin, self.end, self.unknown = _HEAD.unpack_from(data)
            if magic != _MAGIC:
                raise ValueError(f"it begins with {magic!r}")
            (self._unlikely,) = struct.unpack_from("<f", data, _HEAD.size)
            at = _HEAD.size + 4
            view = memoryview(data)
            self._firsts = view[at : (at := at + 4 * (keys + 1))].cast("I")
            self._places = view[at : (at := at + 4 * (keys + 1))].cast("I")
            self._ids = view[at : (at := at + 4 * count)].cast("I")
            self._scores = view[at : (at := at + 4 * count)].cast("f")
            text = data[at : (at := at + names)].decode()
            self._groups = {key: number for number, key in enumerate(text.split("\n"))}
            self._normalise = Normaliser(json.loads(data[at : (at := at + rules)]))
            self._chunks_at = at
            if len(data) != at + size:
                raise ValueError(f"it has {len(data)} bytes, expected {at + size}")
        except (ValueError, TypeError, struct.error) as error:
            raise ModelError(f"{path} is not a tokenizer's file: {error}; delete it, and it is made again") from None
        self._known: dict[str, tuple[float, int]] = {}
        self._longest: dict[str, int] = {}
        self._words: dict[str, tuple[tuple[int, int], ...]] = {}
        self._read(SPACE)

    def _read(self, key: str) -> int:
        """Take a group's pieces in. Returns the length of the longest, 0 where no piece begins so."""
        group = self._groups.get(key)
        longest = 0
        if group is not None:
            chunk = self._data[self._chunks_at + self._places[group] : self._chunks_at + self._places[group + 1]]
            first, end = self._firsts[group], self._firsts[group + 1]
            texts = chunk.decode().split("\n")
            numbers = zip(self._scores[first:end], self._ids[first:end], strict=True)
            self._known.update(zip(texts, numbers, strict=True))
            longest = max(map(len, texts))
        self._longest[key] = longest
        return longest

    def __call__(self, text: str) -> Tokens:
        """Cut `text`, whatever it holds. It never yields <s> or another special token, also where the text says so."""
        normal, places = self._normalise(text)
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
            key = word[start] if start else word[:2]
            longest = longest_of.get(key)
            if longest is None:
                longest = self._read(key)
            if not start:
                longest = max(longest, 1)
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
