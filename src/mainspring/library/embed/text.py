"""Tokenizer and encoder together: text in, vectors of its tokens or of the whole out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from mainspring.library.embed.encoder import Encoder
from mainspring.library.embed.kept import kept
from mainspring.library.embed.tokenizer import Tokenizer
from mainspring.library.embed.windows import SIZE, windows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Side: TypeAlias = Literal["document", "query"]

#: What the model was trained to see in front of each.
PREFIXES: dict[Side, str] = {"document": "passage:", "query": "query:"}


@dataclass(frozen=True, slots=True)
class Stretch:
    """What is encoded at once: ids of pieces; which of them get a vector; how many of them no other stretch counts."""

    ids: list[int]
    chosen: list[int]
    weight: int


@dataclass(frozen=True, slots=True)
class Cut:
    """A text ready to be encoded: its stretches, and the places of all chosen pieces in it."""

    stretches: list[Stretch]
    spans: tuple[tuple[int, int], ...]


class TextEncoder:
    """Safe to use from several threads; works on the calling one."""

    def __init__(self, tokenizer: Tokenizer, encoder: Encoder) -> None:
        self._tokenizer = tokenizer
        self._encoder = encoder
        self._prefixes = {side: tokenizer(prefix).ids for side, prefix in PREFIXES.items()}
        self._size = min(SIZE, encoder.longest - max(map(len, self._prefixes.values())))
        self.dim = encoder.dim

    def cut(self, text: str) -> Cut:
        """Cut `text` into what is encoded at once. A text of nothing but spaces has no stretches."""
        tokens = self._tokenizer(text)
        chosen = kept(text, tokens)
        stretches, at = [], 0
        for part in windows(len(tokens.ids), self._size):
            rows = []
            while at < len(chosen) and chosen[at] < part.last:
                rows.append(chosen[at] - part.start)
                at += 1
            stretches.append(Stretch(tokens.ids[part.start : part.end], rows, part.last - part.first))
        return Cut(stretches, tuple(tokens.spans[number] for number in chosen))

    def rows(self, side: Side, stretch: Stretch) -> NDArray[np.float32]:
        """A vector of length 1 for each chosen piece, shape (pieces, dim)."""
        prefix = self._prefixes[side]
        hidden = self._encoder([*prefix, *stretch.ids])
        return unit(hidden[[2 + len(prefix) + row for row in stretch.chosen]])

    def sums(self, side: Side, stretch: Stretch) -> NDArray[np.float32]:
        """The mean of all hidden states, prefix, <s> and </s> too (as in training), times the stretch's weight."""
        hidden = self._encoder([*self._prefixes[side], *stretch.ids])
        mean: NDArray[np.float32] = hidden.mean(0) * max(stretch.weight, 1)
        return mean


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each row made of length 1; a row of zeros, which says nothing, becomes a fixed direction."""
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    empty = lengths[..., 0] < 1e-12
    result: NDArray[np.float32] = vectors / np.maximum(lengths, np.float32(1e-12))
    if empty.any():
        result[empty] = 0
        result[empty, 0] = 1
    return result
