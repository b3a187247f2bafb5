"""The packed file that the embedded model's weights travel in: parsed, and its 4-bit blocks made into numbers.

Layout, little-endian (the carrier package documents it in its C source):

- ``E5S1``, version (u32), hidden size, layers, heads, feed-forward size, vocabulary, positions, token types (i32),
  layer norm epsilon (f32), block length (i32);
- pieces (i32), ids of <s>, </s>, <pad> and <unk> (i32), bytes of all pieces (u64), offsets (u32, one more than
  pieces), log probabilities (f32), the pieces in UTF-8;
- normalisation rules (i32), their bytes (u32), and for each a code point (u32), a count (u8) and what it becomes (u32);
- tensors (i32), and for each the length of its name (u16), its name, 0 for f32 or 1 for 4-bit blocks (u8), how many
  numbers (u32), where it lies in the file and its bytes (u64).

A block of 4 bits is a scale (f16) and 16 bytes; byte j holds weight j in its low and weight j+16 in its high half,
each less 8 (the format that llama.cpp calls Q4_0).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAGIC = b"E5S1"
BLOCK = 32
_BLOCK_BYTES = 18


@dataclass(frozen=True, slots=True)
class Shape:
    """The encoder's sizes."""

    hidden: int
    layers: int
    heads: int
    inner: int
    vocabulary: int
    positions: int
    types: int
    epsilon: float


@dataclass(frozen=True, slots=True)
class Pieces:
    """The vocabulary: `texts[i]` has id i and log probability `scores[i]`. `rules` say what a character becomes."""

    texts: list[str]
    scores: list[float]
    begin: int
    end: int
    pad: int
    unknown: int
    rules: dict[str, str]


class Packed:
    """A packed file, mapped into memory.

    Raises:
        ModelError: it is not such a file, or is cut short.
    """

    def __init__(self, path: Path) -> None:
        import numpy as np

        self._path = path
        try:
            self._bytes: NDArray[np.uint8] = np.memmap(path, np.uint8, "r")
            self._view = self._bytes.data
            self.shape, at = self._read_shape()
            self._pieces_at = at
            self._tensors = self._read_directory(self._skip_pieces(at))
        except (OSError, ValueError, struct.error, UnicodeDecodeError) as error:
            raise ModelError(f"{path} is not a packed encoder: {error}; delete it, and it is fetched again") from None

    def _unpack(self, form: str, at: int) -> tuple[tuple[Any, ...], int]:
        return struct.unpack_from(form, self._view, at), at + struct.calcsize(form)

    def _read_shape(self) -> tuple[Shape, int]:
        (magic, _, *sizes), at = self._unpack("<4sI7if", 0)
        if magic != MAGIC:
            raise ValueError(f"it begins with {magic!r}, expected {MAGIC!r}")
        (block,), at = self._unpack("<i", at)
        if block != BLOCK:
            raise ValueError(f"its blocks hold {block} weights, expected {BLOCK}")
        shape = Shape(*sizes)
        if min(sizes[:6]) < 1 or shape.hidden % BLOCK or shape.inner % BLOCK or shape.hidden % shape.heads:
            raise ValueError(f"impossible sizes {shape}")
        return shape, at

    def _skip_pieces(self, at: int) -> int:
        (count, _, _, _, _, size), at = self._unpack("<5iQ", at)
        at += 4 * (count + 1) + 4 * count + size
        (_, size), at = self._unpack("<iI", at)
        return at + int(size)

    def _read_directory(self, at: int) -> dict[str, tuple[int, NDArray[np.uint8]]]:
        tensors: dict[str, tuple[int, NDArray[np.uint8]]] = {}
        (count,), at = self._unpack("<i", at)
        for _ in range(count):
            (length,), at = self._unpack("<H", at)
            name = bytes(self._view[at : at + length]).decode()
            (kind, _, start, size), at = self._unpack("<BIQQ", at + length)
            if start + size > len(self._bytes):
                raise ValueError(f"{name} ends at byte {start + size} of {len(self._bytes)}")
            tensors[name] = (kind, self._bytes[start : start + size])
        return tensors

    def pieces(self) -> Pieces:
        """The vocabulary. Takes a tenth of a second: it is read when the tokenizer's own file is made."""
        (count, begin, end, pad, unknown, size), at = self._unpack("<5iQ", self._pieces_at)
        offsets = self._bytes[at : at + 4 * (count + 1)].view("<u4").tolist()
        at += 4 * (count + 1)
        scores = self._bytes[at : at + 4 * count].view("<f4").tolist()
        at += 4 * count
        blob = bytes(self._view[at : at + size])
        texts = [blob[a:b].decode() for a, b in pairwise(offsets)]
        (count, _), at = self._unpack("<iI", at + size)
        rules: dict[str, str] = {}
        for _ in range(count):
            (code, length), at = self._unpack("<IB", at)
            becomes, at = self._unpack(f"<{length}I", at)
            rules[chr(code)] = "".join(map(chr, becomes))
        return Pieces(texts, scores, begin, end, pad, unknown, rules)

    def _tensor(self, name: str, kind: int) -> NDArray[np.uint8]:
        found = self._tensors.get(name)
        if found is None or found[0] != kind:
            raise ModelError(f"{self._path} has no tensor {name!r} of kind {kind}; delete it, and it is fetched again")
        return found[1]

    def floats(self, name: str) -> NDArray[np.float32]:
        """A tensor that is kept as float32, flat."""
        import numpy as np

        return self._tensor(name, 0).view(np.float32)

    def rows(self, name: str, width: int) -> NDArray[np.uint8]:
        """A 4-bit tensor's rows of `width` weights as they lie in the file, for `weights`. Nothing is read yet."""
        return self._tensor(name, 1).reshape(-1, width // BLOCK * _BLOCK_BYTES)

    def matrix(self, name: str, width: int) -> NDArray[np.float32]:
        """A 4-bit tensor as float32, `width` weights a row."""
        return weights(self.rows(name, width))


def weights(rows: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Rows of 4-bit blocks as float32, shape (rows, weights a row)."""
    import numpy as np

    blocks = np.ascontiguousarray(rows).reshape(len(rows), -1, _BLOCK_BYTES)
    scale = blocks[..., :2].copy().view("<f2").astype(np.float32)
    packed = blocks[..., 2:]
    values = np.concatenate((packed & 15, packed >> 4), axis=-1).astype(np.float32)
    values -= 8
    values *= scale
    return values.reshape(len(rows), -1)
