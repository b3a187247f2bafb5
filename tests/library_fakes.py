"""Small deterministic stand-ins for a catalog, an encoder and an index, for tests of what is built on them."""

from __future__ import annotations

import fnmatch
import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mainspring import lexical
from mainspring.errors import StoreError
from mainspring.label import Label
from mainspring.library.embed.protocol import Encoded, Item, Picture, Space
from mainspring.library.index.protocol import Near
from mainspring.library.page import Document, Hit, Page, Region, StoredPage, Where
from mainspring.library.search import find

LIBRARY = Label(frozenset({"library"}))


class FakeCatalog:
    """Pages in a dict, BM25 in a loop."""

    def __init__(self) -> None:
        self.held: dict[int, StoredPage] = {}

    def add(
        self,
        uri: str,
        *texts: str,
        label: Label = LIBRARY,
        kind: str = "text",
        title: str = "",
        heading: str = "",
        regions: Sequence[Region] = (),
        changed_at: float = 1000.0,
        language: str = "en",
    ) -> list[StoredPage]:
        number = max((p.document.id for p in self.held.values()), default=0) + 1
        digest = hashlib.sha256("\f".join(texts).encode()).hexdigest()
        title = title or uri.rpartition("/")[2]
        document = Document(number, uri, digest, kind, title, 1, changed_at, len(texts), label)  # type: ignore[arg-type]
        made = []
        for at, text in enumerate(texts, 1):
            page = StoredPage(
                max(self.held, default=0) + 1, document, Page(at, text, tuple(regions), heading), language
            )
            self.held[page.id] = page
            made.append(page)
        return made

    def document(self, id_: int) -> Document:
        for page in self.held.values():
            if page.document.id == id_:
                return page.document
        raise StoreError(f"there is no document {id_}")

    def documents(self, where: Where | None = None, *, limit: int = -1) -> list[Document]:
        found = {p.document.id: p.document for p in self._within(where)}
        return list(found.values())[: limit if limit >= 0 else None]

    def pages(self, ids: Sequence[int]) -> list[StoredPage]:
        return [self.held[n] for n in ids if n in self.held]

    def pages_of(self, document: int) -> list[StoredPage]:
        return sorted((p for p in self.held.values() if p.document.id == document), key=lambda p: p.page.number)

    def match(self, query: str, limit: int, where: Where | None = None) -> list[tuple[int, float]]:
        wanted = lexical.terms(query)
        counts = {p.id: Counter(self._words(p)) for p in self.held.values()}
        average = sum(sum(c.values()) for c in counts.values()) / max(len(counts), 1)
        scores: dict[int, float] = {}
        for word, begins in wanted.items():
            met = {n: sum(v for w, v in c.items() if w == word or (begins and w.startswith(word)))
                   for n, c in counts.items()}  # fmt: skip
            there = sum(1 for v in met.values() if v)
            idf = math.log(1 + (len(counts) - there + 0.5) / (there + 0.5))
            for n, often in met.items():
                if often:
                    size = sum(counts[n].values()) / average
                    scores[n] = scores.get(n, 0.0) + idf * often * 2.2 / (often + 1.2 * (0.25 + 0.75 * size))
        allowed = {p.id for p in self._within(where)}
        ordered = sorted(((n, s) for n, s in scores.items() if n in allowed), key=lambda item: (-item[1], item[0]))
        return ordered[:limit]

    def match_words(self, expression: str, limit: int, where: Where | None = None) -> list[tuple[int, float]]:
        """Phrases only, with or without the column `title`."""
        column, _, phrase = expression.rpartition(" : ")
        wanted = f" {phrase.rstrip('*').strip(chr(34))} "
        found = []
        for page in self._within(where):
            title = lexical.words(f"{page.document.title} {page.document.uri.rpartition('/')[2]}")
            words = title if column == "title" else [*title, "\0", *self._words(page)]
            if wanted in f" {' '.join(words)} ":
                found.append((page.id, 1.0))
        return found[:limit]

    def among(self, where: Where) -> Any:
        return np.asarray(sorted(p.id for p in self._within(where)), np.int64)

    @staticmethod
    def _words(page: StoredPage) -> list[str]:
        return lexical.words(f"{page.document.title} {page.page.heading} {page.page.text}")

    def _within(self, where: Where | None) -> list[StoredPage]:
        where = where or Where()
        return [p for p in self.held.values() if _fits(p, where)]


def _fits(page: StoredPage, where: Where) -> bool:
    document = page.document
    return (
        (not where.kinds or document.kind in where.kinds)
        and (not where.languages or page.language in where.languages)
        and (
            not where.paths or any(document.uri.startswith(p) or fnmatch.fnmatch(document.uri, p) for p in where.paths)
        )
        and (not where.documents or document.id in where.documents)
        and (not where.regions or any(r.kind in where.regions for r in page.page.regions))
        and (where.changed_after is None or document.changed_at >= where.changed_after)
        and (where.changed_before is None or document.changed_at <= where.changed_before)
        and (not where.reader or document.label.readable_by(where.reader))
        and (not where.trusted or document.label.trusted)
    )


def _under(uri: str, path: str) -> bool:
    return uri.startswith(path) or fnmatch.fnmatch(uri, path)


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

    queries = documents

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


class FakeIndex:
    """Exact MaxSim over a dict."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.held: dict[int, Any] = {}

    def add(self, pages: Sequence[tuple[int, Any]]) -> None:
        self.held |= dict(pages)

    def remove(self, pages: Iterable[int]) -> int:
        return sum(self.held.pop(n, None) is not None for n in pages)

    def search(self, query: Any, k: int = 10, *, among: Any = None) -> list[Near]:
        allowed = None if among is None else set(map(int, among))
        scores = [
            Near(n, float((query @ v.T).max(axis=1).sum()))
            for n, v in self.held.items()
            if len(v) and (allowed is None or n in allowed)
        ]
        return sorted(scores, key=lambda near: (-near.score, near.page))[:k]

    def match(self, query: Any, page: int) -> Any:
        return None if page not in self.held else query @ self.held[page].T

    def ids(self) -> Any:
        return np.asarray(sorted(self.held), np.int64)

    def compact(self) -> None:
        return None

    def stats(self) -> Mapping[str, float]:
        return {"pages": len(self.held), "vectors": sum(map(len, self.held.values())), "bytes": 0, "segments": 1}

    def close(self) -> None:
        return None


def indexed(catalog: FakeCatalog, embedder: WordsEmbedder) -> FakeIndex:
    """An index of all pages of a catalog."""
    index = FakeIndex(embedder.space)
    for page in catalog.held.values():
        (encoded,) = embedder.documents([page.page.text])
        index.add([(page.id, encoded.vectors)])
    return index


class FakeLibrary:
    """A library over the other fakes, with the methods that the facade has."""

    def __init__(self, catalog: FakeCatalog | None = None, embedder: WordsEmbedder | None = None) -> None:
        self.catalog = catalog or FakeCatalog()
        self.embedder = embedder or WordsEmbedder()

    def search(self, query: Any, *, k: int = 10, where: Where | None = None, mode: Any = "hybrid") -> list[Hit]:
        index = indexed(self.catalog, self.embedder)
        return find(self.catalog, index, self.embedder, query, k=k, where=where, mode=mode)

    def close(self) -> None:
        return None
