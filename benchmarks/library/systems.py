"""The systems: our library in its modes, and what it is compared with, on the same pages with the same texts."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.library.asked import LibraryPage
from benchmarks.peers.environment import QUIET, Peer, ensure
from mainspring import lexical

if TYPE_CHECKING:
    from mainspring.library.library import Library

#: Pages that every system gives; pages of the same text are one hit.
DEPTH = 30
WORKER = Path(__file__).with_name("peers_real.py")
BM25S = Peer("bm25s", "bm25s.txt", "", "import bm25s")
LANCEDB = Peer("lancedb", "lancedb.txt", "", "import lancedb")

#: A system's answer: for each query page numbers, best first, and how many milliseconds it took.
Answers = tuple[list[list[int]], list[float]]


class Corpus:
    """The pages of a library, and which of them have the same text."""

    def __init__(self, library: Library) -> None:
        self.pages: list[LibraryPage] = []
        self.titles: list[str] = []
        for document in library.documents():
            for stored in library.catalog.pages_of(document.id):
                page = stored.page
                name = Path(document.uri).name
                self.pages.append(LibraryPage(stored.id, name, page.number, page.heading, page.text))
                self.titles.append(document.title)
        first: dict[str, int] = {}
        self.group: dict[int, int] = {}
        for one in self.pages:
            text = " ".join(one.text.split())
            key = hashlib.sha256(text.encode()).hexdigest() if text else f"page {one.id}"
            self.group[one.id] = first.setdefault(key, one.id)

    def by_document(self) -> dict[str, list[LibraryPage]]:
        """The pages of each document, in order."""
        found: dict[str, list[LibraryPage]] = {}
        for page in self.pages:
            found.setdefault(page.document, []).append(page)
        return found

    def texts(self) -> list[str]:
        """What each page is found by, for every system: title, headings, text."""
        return [f"{title}\n{page.heading}\n{page.text}" for title, page in zip(self.titles, self.pages, strict=True)]

    def groups(self, rankings: Sequence[Sequence[int]]) -> list[list[int]]:
        """Rankings of pages as rankings of groups."""
        return [list(dict.fromkeys(self.group[id_] for id_ in ranking)) for ranking in rankings]


def ours(library: Library, queries: Sequence[str], mode: Any) -> Answers:
    """The library itself; what it folds into one hit counts as one."""
    rankings, times = [], []
    library.search(queries[0], k=10, mode=mode)  # the first one opens files and loads weights
    for query in queries:
        began = time.perf_counter()
        hits = library.search(query, k=10, mode=mode)
        times.append((time.perf_counter() - began) * 1000)
        rankings.append([hit.page.id for hit in hits])
    return rankings, times


def fts5(library: Library, queries: Sequence[str]) -> Answers:
    """Plain BM25 of SQLite's FTS5 over our words (pairs of characters in Chinese), as the catalog has it."""
    return _timed(queries, lambda query: [page for page, _ in library.catalog.match(query, DEPTH)])


class Dense:
    """Single-vector search with the library's encoder: as it was trained (`plain`), and centred as our vectors are."""

    def __init__(self, corpus: Corpus, cache: Path) -> None:
        import numpy as np

        from mainspring.library.embed.e5 import E5Dense

        self.embedder = E5Dense()
        self.ids = np.array([page.id for page in corpus.pages])
        texts = [page.text for page in corpus.pages]
        key = hashlib.sha256(json.dumps([self.embedder.space.id, texts]).encode()).hexdigest()[:16]
        kept = cache / f"dense-{key}.npy"
        if kept.is_file():
            self.vectors = np.load(kept)
        else:
            self.vectors = self.embedder.dense(texts)
            np.save(kept, self.vectors)
        centred = self.vectors - self.vectors.mean(0)
        self.centred = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9)

    def plain(self, queries: Sequence[str]) -> Answers:
        """Cosine of the vectors that the model was trained to give."""
        return _timed(queries, lambda query: self._nearest(self.vectors, self.embedder.dense([query], "query")[0]))

    def less_means(self, queries: Sequence[str]) -> Answers:
        """Cosine less the means of the corpus and of the query's language."""
        return _timed(queries, lambda query: self._nearest(self.centred, self.embedder.queries([query])[0].vectors[0]))

    def encoded(self, queries: Sequence[str]) -> Any:
        """The queries' vectors as the model was trained to give them."""
        return self.embedder.dense(list(queries), "query")

    def close(self) -> None:
        """Let the encoder go."""
        self.embedder.close()

    def _nearest(self, vectors: Any, query: Any) -> list[int]:
        scores = vectors @ query
        order = (-scores).argsort(kind="stable")[:DEPTH]
        return [int(self.ids[place]) for place in order]


def peer(name: str, environment: Peer, corpus: Corpus, queries: Sequence[str], dense: Dense) -> Answers:
    """A peer's answers, from its own environment.

    Raises:
        subprocess.CalledProcessError: it cannot be installed, or failed; what it said is on standard error.
    """
    import numpy as np

    python = ensure(environment)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        np.save(folder / "vectors.npy", dense.vectors)
        np.save(folder / "queries.npy", dense.encoded(queries))
        words = [lexical.words(text) for text in corpus.texts()]
        asked = [list(lexical.terms(query)) for query in queries]
        given = {"texts": corpus.texts(), "words": words, "queries": list(queries), "terms": asked, "depth": DEPTH}
        (folder / "given.json").write_text(json.dumps(given))
        command = [str(python), str(WORKER), name, str(folder)]
        subprocess.run(command, check=True, env={"PATH": "/usr/bin:/bin", "HOME": scratch, **QUIET})
        answer = json.loads((folder / "answer.json").read_text())
    ids = [page.id for page in corpus.pages]
    return [[ids[place] for place in ranking] for ranking in answer["rankings"]], answer["times_ms"]


def _timed(queries: Sequence[str], search: Callable[[str], list[int]]) -> Answers:
    rankings, times = [], []
    search(queries[0])
    for query in queries:
        began = time.perf_counter()
        rankings.append(search(query))
        times.append((time.perf_counter() - began) * 1000)
    return rankings, times
