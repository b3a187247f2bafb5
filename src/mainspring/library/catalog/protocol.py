"""What the rest of the library asks of its catalog, the SQLite file of documents, pages and words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mainspring.library.index.protocol import Ids
from mainspring.library.page import Document, StoredPage, Where


class Catalog(Protocol):
    """Documents and pages, and the lexical index over their text. Safe to use from several threads and processes."""

    def document(self, id_: int) -> Document:
        """Raises StoreError when there is none."""
        ...

    def documents(self, where: Where | None = None, *, limit: int = -1) -> list[Document]: ...

    def pages(self, ids: Sequence[int]) -> list[StoredPage]:
        """The pages of these numbers, in their order; those that are gone are left out."""
        ...

    def pages_of(self, document: int) -> list[StoredPage]:
        """All pages of a document, in order."""
        ...

    def match(self, query: str, limit: int, where: Where | None = None) -> list[tuple[int, float]]:
        """Pages with words of the query, best first: (page number, BM25 score, larger is better)."""
        ...

    def match_words(self, expression: str, limit: int, where: Where | None = None) -> list[tuple[int, float]]:
        """As `match`, for an expression of FTS5 over the columns ``title`` (with the file's name), ``heading`` and
        ``body``, such as :func:`mainspring.lexical.phrase` gives."""
        ...

    def among(self, where: Where) -> Ids:
        """Sorted numbers of all pages that a search within `where` may return."""
        ...
