"""The stage that gives vectors to the pages of the catalog that have none."""

from __future__ import annotations

import io
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice

from mainspring.errors import ToolError
from mainspring.library.catalog import SQLiteCatalog
from mainspring.library.embed.protocol import Embedder, Encoded, Item, Picture, Vectors
from mainspring.library.index.protocol import Ids, VectorIndex
from mainspring.library.ingest.drawing import Drawing, Open
from mainspring.library.ingest.report import Meter
from mainspring.library.page import StoredPage, Where
from mainspring.library.read.protocol import ReadLimits

#: Pages that are encoded together and put into the index together: what a kill costs at most.
BATCH = 32
#: How wide a page is drawn for an encoder of pictures, in pixels.
WIDTH = 1024


def missing(catalog: SQLiteCatalog, index: VectorIndex, where: Where | None = None) -> tuple[Ids, Ids]:
    """Pages (within `where`) without vectors, and numbers in the index whose page is gone; both sorted."""
    import numpy as np

    held = index.ids()  # before the catalog's: a page comes into the catalog first
    pages = catalog.among(where or Where())
    return np.setdiff1d(pages, held, assume_unique=True), np.setdiff1d(held, pages, assume_unique=True)


def reconcile(catalog: SQLiteCatalog, index: VectorIndex) -> int:
    """Take out of the index what the catalog does not know any more. Returns how many pages."""
    _, gone = missing(catalog, index)
    return index.remove(int(n) for n in gone) if len(gone) else 0


class Encoding:
    """Gives pages their vectors.

    Args:
        catalog, index, embedder: where pages come from, where vectors go, what makes them.
        open_file: opens a document whose pages are encoded as pictures.
        limits: how much of it is read.
        stopped: ends the work between two batches when it is set.
        where: which pages belong into this index; None for all.
    """

    def __init__(
        self,
        catalog: SQLiteCatalog,
        index: VectorIndex,
        embedder: Embedder,
        open_file: Open,
        limits: ReadLimits,
        stopped: threading.Event,
        where: Where | None = None,
    ) -> None:
        self._catalog, self._index, self._embedder = catalog, index, embedder
        self._open, self._limits, self._stopped = open_file, limits, stopped
        self._where = where
        self._drawn: tuple[str, Drawing] | None = None

    def run(self, meter: Meter, pages: Collection[int] | None = None) -> int:
        """Encode what has no vectors, and take out those of pages that are gone. Returns how many were encoded.

        Each batch is durable before the next one begins.

        Args:
            pages: encode these, and look for nothing else.

        Raises:
            ModelError: the encoder failed.
            StoreError: the disk is full, or a file is damaged.
        """
        wanted: Iterable[int]
        if pages is None:
            wanted, gone = missing(self._catalog, self._index, self._where)
            if len(gone):
                self._index.remove(int(n) for n in gone)
        else:
            wanted = sorted(pages)
        left = dict.fromkeys(int(n) for n in wanted)
        meter.total += len(left)
        try:
            while left and not self._stopped.is_set():
                batch = list(islice(left, BATCH))
                vectors = self._vectors(batch, left)
                self._index.add(list(vectors.items()))
                for id_ in (*batch, *vectors):
                    left.pop(id_, None)
                meter.step(len(vectors))
        finally:
            self._put_away()
        return meter.done

    def _vectors(self, batch: Sequence[int], left: dict[int, None]) -> dict[int, Vectors]:
        pages = self._catalog.pages(batch)
        items = {page.id: self._item(page) for page in pages}
        # A text that stands on several pages is encoded once; all of them get its vectors.
        first: dict[str, int] = {}
        for id_, item in items.items():
            if isinstance(item, str):
                first.setdefault(item, id_)
        unique = {n: item for n, item in items.items() if not isinstance(item, str) or first[item] == n}
        made = dict(zip(unique, self._encoded(unique), strict=True))
        found = {n: made[first[item]] if isinstance(item, str) else made[n] for n, item in items.items()}
        texts = [n for n, item in unique.items() if isinstance(item, str) and item]
        if not self._takes_pictures:
            found |= {n: made[of] for n, of in self._catalog.same_text(texts) if n in left}
        return {n: encoded.vectors for n, encoded in found.items()}

    @property
    def _takes_pictures(self) -> bool:
        return "image" in self._embedder.space.documents

    def _encoded(self, items: dict[int, Item]) -> Iterator[Encoded]:
        kept = {n: item for n, item in items.items() if item}
        try:
            made = dict(zip(kept, self._embedder.documents(list(kept.values())), strict=True))
        except ToolError:  # one of them cannot be encoded: which?
            made = {}
            for id_, item in kept.items():
                try:
                    (made[id_],) = self._embedder.documents([item])
                except ToolError as error:
                    self._catalog.note_problem(id_, "encode", str(error))
        return (made.get(n) or self._nothing() for n in items)

    def _nothing(self) -> Encoded:
        import numpy as np

        return Encoded(np.zeros((0, self._embedder.space.dim), np.float32))

    def _item(self, page: StoredPage) -> Item:
        """What is encoded of a page: its picture where the encoder takes pictures, else its text."""
        if self._takes_pictures and page.page.pictured:
            try:
                return Picture(self._draw(page))
            except ToolError as error:
                self._catalog.note_problem(page.id, "encode", str(error))
        return page.page.text if "text" in self._embedder.space.documents else ""

    def _draw(self, page: StoredPage) -> bytes:
        uri = page.document.uri
        if self._drawn is None or self._drawn[0] != uri:
            self._put_away()
            self._drawn = (uri, Drawing(page.document, self._open, self._limits))
        data = io.BytesIO()
        self._drawn[1].page(page.page.number, WIDTH).save(data, "PNG")
        return data.getvalue()

    def _put_away(self) -> None:
        if self._drawn is not None:
            self._drawn[1].close()
            self._drawn = None
