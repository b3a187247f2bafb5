"""What turns text and pictures into vectors.

Every vector belongs to a *space*: one encoder at one revision with one dimension. Vectors of different spaces say
nothing of each other, so an index holds one space and refuses every other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors: TypeAlias = NDArray[np.float32]
else:
    Vectors: TypeAlias = Any

Modality: TypeAlias = Literal["text", "image"]


@dataclass(frozen=True, slots=True)
class Space:
    """A named vector space.

    Args:
        encoder: such as ``"multilingual-e5-small"`` or ``"nvidia/nemotron-colembed-v2"``.
        revision: digest or revision of the weights and of everything that changes their output.
        dim: numbers a vector.
        multi: True for one vector a token or patch (late interaction), False for one vector a page.
        documents: what can be encoded as a document.
        queries: what can be encoded as a query.
        centred: True when document vectors gain from having their corpus' mean taken away by the index; the encoder
            then gives query vectors from which it has already taken the mean of the query's language.
    """

    encoder: str
    revision: str
    dim: int
    multi: bool = True
    documents: frozenset[Modality] = frozenset({"text"})
    queries: frozenset[Modality] = frozenset({"text"})
    centred: bool = False

    @property
    def id(self) -> str:
        """One line that names it, the same on every machine."""
        return f"{self.encoder}@{self.revision}/{self.dim}{'m' if self.multi else ''}"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture to encode: a file, or its bytes (PNG or JPEG)."""

    source: Path | bytes


Item: TypeAlias = "str | Picture"


@dataclass(frozen=True, slots=True)
class Encoded:
    """What an item became.

    Args:
        vectors: float32, shape (n, dim), each of length 1; n == 1 where the space is not `multi`. n may be 0 for an
            item that holds nothing to encode.
        spans: for text, which characters each vector stands for: n pairs (start, end); for pictures empty.
        grid: for pictures, (rows, columns) of the patches that the first rows*columns vectors stand for, row by
            row; (0, 0) elsewhere. Vectors behind these stand for the whole.
    """

    vectors: Vectors
    spans: tuple[tuple[int, int], ...] = ()
    grid: tuple[int, int] = (0, 0)


class Embedder(Protocol):
    """An encoder. Safe to call from several threads, one call at a time at the least."""

    @property
    def space(self) -> Space:
        """The space of what it makes."""
        ...

    def documents(self, items: Sequence[Item]) -> list[Encoded]:
        """One result for each item, in order. Raises ModelError; ToolError for an item it cannot take."""
        ...

    def queries(self, items: Sequence[Item]) -> list[Encoded]:
        """As `documents`, for what is searched with. Centred when the space says so."""
        ...

    def close(self) -> None:
        """Free what it holds; it is not used afterwards."""
        ...


class Reranker(Protocol):
    """Puts pages in order by reading each together with the query."""

    @property
    def name(self) -> str:
        """Which one, for people."""
        ...

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """One number for each text, larger is better. Raises ModelError."""
        ...
