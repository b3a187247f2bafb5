"""Libraries for tests: real ones, in SQLite and with the real index, that are filled without files.

Only the encoder is made up: it stands where a model would, gives words vectors, and is the same on every machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mainspring import Library, lexical
from mainspring.label import Label
from mainspring.library.catalog import STRANGER, Source, Vouched
from mainspring.library.embed.protocol import Embedder, Encoded, Item, Picture, Space
from mainspring.library.ingest.report import Meter
from mainspring.library.page import Kind, Page, Region, StoredPage
from mainspring.library.search import Side


class WordsEmbedder:
    """One vector a word: words with one meaning (see `same`) have one vector, others have none in common."""

    def __init__(self, same: Mapping[str, str] | None = None, *, images: bool = False, centred: bool = False) -> None:
        self.same = dict(same or {})
        kinds: frozenset[Any] = frozenset({"text", "image"}) if images else frozenset({"text"})
        self.space = Space("words", "1", 64, True, kinds, kinds, centred)
        self.encoded = 0

    def documents(self, items: Sequence[Item]) -> list[Encoded]:
        self.encoded += len(items)
        return [self._encode(item) for item in items]

    def queries(self, items: Sequence[Item]) -> list[Encoded]:
        return self.documents(items)

    def spans(self, text: str) -> list[tuple[int, int]]:
        return [(start, end) for _, start, end in lexical.places(text)]

    def close(self) -> None:
        return None

    def _encode(self, item: Item) -> Encoded:
        if isinstance(item, Picture):
            data = item.source if isinstance(item.source, bytes) else item.source.read_bytes()
            return Encoded(np.stack([self._vector(f"patch {data[:8]!r}")] * 4), (), (2, 2))
        places = lexical.places(item)
        vectors = [self._vector(word) for word, _, _ in places]
        made = np.stack(vectors) if vectors else np.zeros((0, 64), np.float32)
        return Encoded(made, tuple((start, end) for _, start, end in places))

    def _vector(self, word: str) -> Any:
        seed = int.from_bytes(hashlib.sha256(self.same.get(word, word).encode()).digest()[:8], "big")
        vector = np.random.default_rng(seed).standard_normal(64).astype(np.float32)
        return vector / np.linalg.norm(vector)


class FilledLibrary(Library):
    """A library into which pages can be put as a reader of files would have read them."""

    @classmethod
    def of_words(cls, home: Path, embedder: str | Embedder | None = None, name: str = "default") -> FilledLibrary:
        """Open or make one with an encoder of words, or with another one."""
        return cls.open(name, home=home, embedder=embedder or WordsEmbedder())

    @property
    def side(self) -> Side:
        """Index and encoder."""
        side = self._meaning.for_index()
        assert side is not None
        return side

    def add(
        self,
        uri: str,
        *texts: str,
        label: Label = STRANGER,
        kind: Kind = "text",
        title: str = "",
        heading: str = "",
        regions: Sequence[Region] = (),
        changed_at: float = 1000.0,
        language: str = "en",
    ) -> list[StoredPage]:
        """Write a document, one page for each text, and give the pages their vectors.

        Args:
            label: as one who indexes can say it: their own words or a stranger's, for all or for some readers.
        """
        digest = hashlib.sha256("\f".join(texts).encode()).hexdigest()
        source = Source(uri, digest, sum(map(len, texts)), changed_at, int(changed_at * 1e9))
        pages = [(Page(n, text, tuple(regions), heading), language, "") for n, text in enumerate(texts, 1)]
        said = Vouched(label.trusted, label.readers, "ann")
        title = title or uri.rpartition("/")[2]
        document = self.catalog.write(source, kind, title, pages, said=said).finish()
        assert document.label == label
        side = self._meaning.for_index()
        if side is not None:
            self._encoding(side).run(Meter("encode", None))
        return self.catalog.pages_of(document.id)
