"""Finding records by what they mean: the library's vectors over what an agent remembers.

The vectors are a copy of what the records say and may be deleted at any moment: they are made again from the records,
some at each search. What a person has had forgotten leaves them, too.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.errors import MainspringError, ModelError

if TYPE_CHECKING:
    from mainspring.library.embed.protocol import Embedder
    from mainspring.library.index.protocol import VectorIndex

#: Where the vectors of records lie, and those of finished runs.
FOLDER, RUNS_FOLDER = "memory-vectors", "runs-vectors"
#: Most records that one search encodes; the rest is found by its words until later searches have come to it.
AT_ONCE = 200

_default: list[Embedder] = []
_lock = threading.Lock()


def embedder_at_hand() -> Embedder | None:
    """The embedded encoder, once for this process; None when its parts are not installed or not fetched.

    Nothing is fetched here: a note is not worth a download that nobody asked for.
    """
    from mainspring.library.embed import open_embedder, ready

    with _lock:
        if not _default:
            try:
                if not ready():
                    return None
                _default.append(open_embedder())
            except (ImportError, ModelError):
                return None
        return _default[0]


class Meaning:
    """The vectors of one memory's records.

    Args:
        folder: where they are kept.
        embedder: what makes them.

    Raises:
        StoreError: the folder holds vectors of another encoder, or cannot be used.
    """

    def __init__(self, folder: Path, embedder: Embedder) -> None:
        from mainspring.library.index import open_index

        self._embedder = embedder
        self._index: VectorIndex = open_index(folder, embedder.space)

    def close(self) -> None:
        """Close the index; the encoder stays open."""
        self._index.close()

    def rank(
        self, query: str, among: Sequence[int], texts: Callable[[Sequence[int]], Mapping[int, str]], limit: int
    ) -> list[int]:
        """Numbers of the records nearest to the query, best first.

        Args:
            among: the records that may be found.
            texts: gives the texts of some of them, for those that have no vectors yet.
        """
        import numpy as np

        allowed = np.array(sorted(among), dtype=np.int64)
        if not len(allowed) or not query.strip():
            return []
        missing = np.setdiff1d(allowed, self._index.ids())[::-1][:AT_ONCE]  # the newest first
        if len(missing):
            said = texts([int(number) for number in missing])
            encoded = self._embedder.documents(list(said.values()))
            self._index.add([(number, one.vectors) for number, one in zip(said, encoded, strict=True)])
        (asked,) = self._embedder.queries([query])
        return [near.page for near in self._index.search(asked.vectors, limit, among=allowed)]

    def keep(self, numbers: Iterable[int]) -> None:
        """Take all vectors but these out, and off the disk."""
        import numpy as np

        gone = np.setdiff1d(self._index.ids(), np.array(sorted(numbers), dtype=np.int64))
        if len(gone) and self._index.remove(int(number) for number in gone):
            self._index.compact()


def keep(folder: Path, numbers: Iterable[int]) -> None:
    """Take all vectors but these off the disk; all of them when they cannot be told apart here. They are made again."""
    if not folder.exists():
        return
    embedder = embedder_at_hand()
    if embedder is not None:
        try:
            meaning = Meaning(folder, embedder)
            try:
                meaning.keep(numbers)
            finally:
                meaning.close()
            return
        except MainspringError:
            pass  # of another encoder, or damaged
    shutil.rmtree(folder)
