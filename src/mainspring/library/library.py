"""`Library`: a folder of documents made searchable, with their labels kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Self

from mainspring.errors import ModelError, StoreError, ToolError
from mainspring.library.embed.protocol import Embedder, Picture, Reranker
from mainspring.library.ingest.keeping import Keeping
from mainspring.library.ingest.meaning import NONE
from mainspring.library.page import Document, Hit, StoredPage, Where
from mainspring.library.read.protocol import ReadLimits
from mainspring.library.search import Explanation, Mode, Neighbours, explain, find, neighbours

if TYPE_CHECKING:
    from PIL.Image import Image

    from mainspring.library.ask import Answer
    from mainspring.model import Model

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


class Library(Keeping):
    """Documents, pictures and recordings, found by their words and by their meaning.

    Open one with :meth:`open`, and close it after use, or use it in a `with` block. Safe to use from several threads;
    several processes may have it open, of which one at a time indexes.
    """

    @classmethod
    def open(
        cls, name: str = "default", home: str | Path | None = None, embedder: str | Embedder | None = None
    ) -> Self:
        """Open a library, or make it.

        Args:
            name: letters, digits, ``.``, ``-`` and ``_``.
            home: where Mainspring keeps its things; default ``MAINSPRING_HOME`` or ``~/.mainspring``.
            embedder: what makes its vectors: a name for :func:`mainspring.library.embed.open_embedder`, ``"none"`` for
                a library that is searched by words only, or an embedder. A library has one for good (see
                :meth:`reembed`); None is the one that it has, for a new one ``"default"``.

        Raises:
            ToolError: the name cannot be used.
            ModelError: there can be no embedder of this name.
            StoreError: it is damaged, of a newer version, cannot be written, or has another embedder.
        """
        folder = place_of(name, home)
        if isinstance(embedder, str) and embedder != NONE:
            from mainspring.library.embed.opening import check_name

            check_name(embedder)  # before a library is made that could never use it
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return cls(folder, embedder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def search(
        self,
        query: str | Picture,
        k: int = 10,
        where: Where | None = None,
        mode: Mode = "hybrid",
        rerank: Reranker | None = None,
    ) -> list[Hit]:
        """The pages that answer a query best, best first.

        In a query a "quoted phrase" must occur on the page, and a word with a minus before it must not. Where pages
        have no vectors, or the embedder cannot be used, ``hybrid`` searches by words; :attr:`problem` says so.

        Args:
            query: text, or a picture, which finds pictures that look like it (copies, crops, other sizes), pages with
                the words on it, and with an embedder of pictures what shows the same.
            k: how many pages.
            where: which pages may be returned.
            mode: ``hybrid``, ``text`` (words only) or ``meaning`` (vectors only).
            rerank: puts the best pages in order by reading each together with the query.

        Raises:
            ToolError: the query has no words, or `k` or `mode` cannot be used.
            ModelError: `mode` is ``meaning`` and there is no embedder to be used.
        """
        side, problem = (None, "") if mode == "text" else self._meaning.for_search()
        if side is None and mode == "meaning" and not isinstance(query, Picture):
            raise ModelError(f"the library cannot be searched by meaning: {problem}")
        index, embedder = (side.index, side.embedder) if side is not None else (None, None)
        if side is None and mode == "hybrid" and not isinstance(query, Picture):
            mode = "text"
        looks = self._meaning.looks() if isinstance(query, Picture) else None
        pictures = [looks] if looks is not None else []
        hits = find(
            self.catalog, index, embedder, query, k=k, where=where, mode=mode, reranker=rerank, pictures=pictures
        )
        if isinstance(query, str):
            self.catalog.asked(query, [hit.page.id for hit in hits])
        return hits

    @property
    def problem(self) -> str:
        """Why searches go by words only; "" when they do not."""
        return self._meaning.for_search()[1]

    def explain(self, hit: Hit, query: str | Picture) -> Explanation:
        """Why a page was found: which word of the query met what, drawn as a heat map on its picture where it has one.

        Raises:
            ToolError: the query has no words.
            ModelError: the embedder failed.
        """
        side, _ = self._meaning.for_search()
        drawn: Callable[[int], Image] | None = None
        if hit.page.page.pictured:
            drawn = lambda width: self.picture(hit.page, width)  # noqa: E731
        return explain(hit, query, [side] if side is not None else [], source=drawn)

    async def ask(self, question: str, model: Model, *, k: int = 8, where: Where | None = None) -> Answer:
        """Answer a question from the library, with citations that were checked against the pages.

        Raises:
            ToolError: the question is empty.
            ModelError: the model failed.
        """
        from mainspring.library.ask import ask

        return await ask(self, question, model, k=k, where=where)

    def page(self, id_: int) -> StoredPage:
        """Raises StoreError when there is none of this number (any more)."""
        found = self.catalog.pages([id_])
        if not found:
            raise StoreError(f"the library has no page {id_} (any more); search again")
        return found[0]

    def neighbours(self, hit: Hit | StoredPage) -> Neighbours:
        """The pages before and after one, and those of its section."""
        return neighbours(self.catalog, hit.page if isinstance(hit, Hit) else hit)

    def picture(self, page: StoredPage, width: int = 1000) -> Image:
        """A page as a picture, drawn from its file.

        Raises:
            ToolError: it has none, or its file is gone or has changed since it was indexed.
        """
        from mainspring.library.ingest.drawing import ChangedError, Drawing

        try:
            drawing = Drawing(page.document, self._open_file, ReadLimits())
            try:
                return drawing.page(page.page.number, width)
            finally:
                drawing.close()
        except ChangedError as error:
            raise ToolError(f"{page.document.uri!r} cannot be shown: {error}") from None

    def document(self, id_: int) -> Document:
        """Raises StoreError when there is none."""
        return self.catalog.document(id_)

    def documents(self, where: Where | None = None, *, limit: int = -1) -> list[Document]:
        """Documents, in the order of their uris."""
        return self.catalog.documents(where, limit=limit)


def existing(name: str, home: str | Path | None = None) -> Library:
    """The library of this name, opened; a misspelt name makes none.

    Raises:
        ToolError: the name cannot be used.
        StoreError: there is none of this name; or as `Library.open`.
    """
    if not (place_of(name, home) / "catalog.sqlite").is_file():
        there = ", ".join(names(home))
        hint = f"there are: {there}" if there else "`mainspring index PATH` makes one"
        raise StoreError(f"there is no library {name!r}; {hint}")
    return Library.open(name, home=home)


def place_of(name: str, home: str | Path | None = None) -> Path:
    """The folder of a library. Raises ToolError for a name that cannot be used."""
    if not _NAME.match(name):
        raise ToolError(
            f"{name!r} is no name for a library: use at most 64 letters, digits, '.', '-', '_', a letter or digit first"
        )
    return libraries_folder(home) / name


def libraries_folder(home: str | Path | None = None) -> Path:
    """The folder that holds all libraries of a home."""
    from mainspring.store import default_home

    base = Path(home).expanduser() if home is not None else default_home()
    return base.absolute() / "library"


def names(home: str | Path | None = None) -> Iterator[str]:
    """Names of the libraries of a home, in order."""
    folder = libraries_folder(home)
    if folder.is_dir():
        yield from sorted(p.name for p in folder.iterdir() if (p / "catalog.sqlite").is_file() and _NAME.match(p.name))
