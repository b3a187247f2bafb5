"""The embedded default: multilingual-e5-small, run on the processor; a vector a token, or one a text."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mainspring.errors import ModelError, ToolError
from mainspring.library.embed.encoder import MISSING
from mainspring.library.embed.means import Means
from mainspring.library.embed.prepared import Files, load, load_means, prepare
from mainspring.library.embed.protocol import Encoded, Item, Space
from mainspring.library.embed.text import Cut, Side, Stretch, unit

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np
    from numpy.typing import NDArray

NAME = "multilingual-e5-small"


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class E5Embedder:
    """One vector a token, for late interaction. Safe to use from several threads.

    Documents are encoded by a pool of threads, one window of text at a time each; queries by the thread that asks, at
    once, however many documents are under way. Threads and not processes: the work is done outside Python's lock
    (measured: as fast), the weights are in memory once, and nothing is left running when the process ends.

    Args:
        files: what `prepare` gives; by default it is called, which fetches and makes what is missing.
        threads: how many encode documents; by default one a processor.

    Raises:
        ModelError: the weights cannot be fetched, or a library is missing.
    """

    _multi = True

    def __init__(self, files: Files | None = None, *, threads: int | None = None) -> None:
        try:
            import numpy  # noqa: F401
        except ImportError:
            raise ModelError(MISSING) from None
        files = files or prepare()
        self._text = load(files)
        self._means = Means(load_means(files, self._text.dim)[:, 0 if self._multi else 1])
        self._space = Space(NAME, files.revision, self._text.dim, multi=self._multi, centred=True)
        self._threads = threads or processors()
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._closed = False

    @property
    def space(self) -> Space:
        """The space of what it makes."""
        return self._space

    def documents(self, items: Sequence[Item]) -> list[Encoded]:
        """A vector for each token that is more than punctuation, and its place in the text.

        Raises:
            ToolError: an item is a picture.
            ModelError: it is closed, or the encoder failed.
        """
        texts = _texts(items)
        cuts = [self._text.cut(text) for text in texts]
        stretches = [stretch for cut in cuts for stretch in cut.stretches]
        found = iter(self._run(lambda stretch: self._text.rows("document", stretch), stretches))
        return [self._joined(cut, [next(found) for _ in cut.stretches]) for cut in cuts]

    def queries(self, items: Sequence[Item]) -> list[Encoded]:
        """As `documents`, each vector less the mean of its language's questions, and of length 1 again."""
        if self._closed:
            raise ModelError("the embedder is closed; open another")
        results = []
        for text in _texts(items):
            cut = self._text.cut(text)
            found = self._joined(cut, [self._text.rows("query", stretch) for stretch in cut.stretches])
            results.append(Encoded(unit(found.vectors - self._means.of(text)), found.spans))
        return results

    def spans(self, text: str) -> tuple[tuple[int, int], ...]:
        """Which characters each vector that `documents` gives for this text stands for, without encoding it."""
        return tuple(self._text.cut(text).spans)

    def dense(self, texts: Sequence[str], side: Side = "document") -> NDArray[np.float32]:
        """One vector of length 1 a text, shape (texts, dim), not centred: the mean over its tokens.

        It is what this model was trained to give, and what single-vector search uses.
        """
        import numpy as np

        cuts = [self._text.cut(text) for text in _texts(texts)]
        empty = Stretch([], [], 0)  # a text of nothing has a vector all the same: that of its prefix
        parts = [cut.stretches or [empty] for cut in cuts]
        jobs = [stretch for part in parts for stretch in part]
        found = iter(self._run(lambda stretch: self._text.sums(side, stretch), jobs))
        vectors = [np.sum([next(found) for _ in part], axis=0) for part in parts]
        return unit(np.array(vectors, np.float32).reshape(-1, self._text.dim))

    def close(self) -> None:
        """Stop the threads; it is not used afterwards."""
        with self._lock:
            self._closed = True
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(cancel_futures=True)

    def _joined(self, cut: Cut, parts: list[NDArray[np.float32]]) -> Encoded:
        """The result for one text from those of its stretches."""
        import numpy as np

        empty = np.zeros((0, self._text.dim), np.float32)
        return Encoded(np.concatenate([empty, *parts]), cut.spans)

    def _run(
        self, function: Callable[[Stretch], NDArray[np.float32]], stretches: list[Stretch]
    ) -> list[NDArray[np.float32]]:
        """`function` of each, in order, by the pool when there are several."""
        with self._lock:
            if self._closed:
                raise ModelError("the embedder is closed; open another")
            alone = self._threads == 1 or len(stretches) < 2
            if not alone and self._pool is None:
                from concurrent.futures import ThreadPoolExecutor

                self._pool = ThreadPoolExecutor(self._threads, "mainspring-embed")
            waiting = [] if alone or self._pool is None else [self._pool.submit(function, one) for one in stretches]
        if alone:
            return [function(one) for one in stretches]
        try:
            return [one.result() for one in waiting]
        finally:
            for one in waiting:
                one.cancel()  # after an error or an interrupt the rest is nobody's


class E5Dense(E5Embedder):
    """One vector a text, centred like the other: single-vector search with the same encoder."""

    _multi = False

    def documents(self, items: Sequence[Item]) -> list[Encoded]:
        """One vector a text, none for one of nothing but spaces."""
        return self._encoded(_texts(items), "document")

    def queries(self, items: Sequence[Item]) -> list[Encoded]:
        """As `documents`, less the mean of the language's questions."""
        texts = _texts(items)
        found = self._encoded(texts, "query")
        return [
            Encoded(unit(one.vectors - self._means.of(text)), one.spans) for text, one in zip(texts, found, strict=True)
        ]

    def _encoded(self, texts: list[str], side: Side) -> list[Encoded]:
        vectors = self.dense(texts, side)
        return [
            Encoded(vectors[i : i + 1], ((0, len(text)),)) if text.strip() else Encoded(vectors[:0])
            for i, text in enumerate(texts)
        ]


def _texts(items: Sequence[Item]) -> list[str]:
    for item in items:
        if not isinstance(item, str):
            raise ToolError(
                f"{NAME} takes text only, got {type(item).__name__}; read the picture's text first, or open an "
                "embedder for pictures"
            )
    return [item for item in items if isinstance(item, str)]
