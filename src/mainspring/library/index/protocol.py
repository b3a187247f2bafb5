"""What finds pages by their vectors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from mainspring.library.embed.protocol import Space, Vectors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ids: TypeAlias = NDArray[np.int64]
else:
    Ids: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class Near:
    """A page that is near a query: its number, and the sum over the query's vectors of the best match (MaxSim)."""

    page: int
    score: float


class VectorIndex(Protocol):
    """Pages by their vectors, all of one space. Safe to use from several threads and processes.

    The vectors that it is given are as the encoder made them: centring, projection and quantisation are its own.
    """

    @property
    def space(self) -> Space:
        """The space of what it holds."""
        ...

    def add(self, pages: Sequence[tuple[int, Vectors]]) -> None:
        """Put pages in, replacing those whose number is already there.

        All of them are durable and found by searches, also by other processes', when this returns; after a crash
        within it, all or none. Vectors have shape (n, dim), n from 0 upwards, any finite numbers.

        Raises:
            StoreError: the disk is full, another writer holds it, or it is damaged.
            ToolError: a wrong shape or a value that is not finite.
        """
        ...

    def remove(self, pages: Iterable[int]) -> int:
        """Take pages out, durably. Returns how many were there."""
        ...

    def search(self, query: Vectors, k: int = 10, *, among: Ids | None = None) -> list[Near]:
        """The `k` pages of the largest MaxSim, best first.

        Args:
            query: shape (m, dim).
            among: sorted page numbers that may be returned; None for all.
        """
        ...

    def ids(self) -> Ids:
        """Numbers of all pages in it, sorted."""
        ...

    def compact(self) -> None:
        """Rewrite what has become slow to search or holds removed pages. Searches go on meanwhile."""
        ...

    def stats(self) -> Mapping[str, float]:
        """`pages`, `vectors`, `bytes` (on disk), `segments`, and whatever else it can say."""
        ...

    def close(self) -> None:
        """Free files and memory; it is not used afterwards."""
        ...
