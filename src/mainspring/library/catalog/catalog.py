"""What the library knows of its documents: pages, words, labels and states of work, in one SQLite file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mainspring.errors import StoreError
from mainspring.library.catalog.filters import document_clause, is_open, page_clause
from mainspring.library.catalog.forget import Forgetting
from mainspring.library.catalog.rows import DOCUMENT_COLUMNS, PAGE_COLUMNS, read_document, read_page
from mainspring.library.catalog.terms import Terms
from mainspring.library.catalog.work import Work
from mainspring.library.index.protocol import Ids
from mainspring.library.page import Document, Page, StoredPage, Where

#: How much a word counts in a title, in headings, and in the text (weights of FTS5's bm25).
WEIGHTS = (2.0, 2.0, 1.0)

_OWNERS = "documents d ON d.id = p.document"
_MANY = 500  # values in one statement; old SQLites take 999


def open_catalog(folder: Path) -> SQLiteCatalog:
    """The catalog of the library in `folder`, made when it is new. Close it after use, or use it in a `with` block.

    Raises:
        StoreError: it cannot be opened or written, is damaged, or was written by a newer Mainspring.
    """
    return SQLiteCatalog(Path(folder) / "catalog.sqlite")


class SQLiteCatalog(Work, Forgetting):
    """Documents, pages and words. Safe to use from several threads and processes at once.

    Reading methods are those of :class:`mainspring.library.catalog.protocol.Catalog`.
    """

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises StoreError."""
        super().__init__(path)
        self._terms = Terms()

    def __enter__(self) -> SQLiteCatalog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def document(self, id_: int) -> Document:
        """Raises StoreError when there is none."""
        found = self._documents("d.id = ?", (id_,))
        if not found:
            raise StoreError(f"the library has no document {id_}; `mainspring library list` lists them")
        return found[0]

    def find(self, uri: str) -> Document | None:
        """The document that was indexed as `uri`."""
        found = self._documents("d.uri = ?", (uri,))
        return found[0] if found else None

    def documents(self, where: Where | None = None, *, limit: int = -1) -> list[Document]:
        """Documents that have a page within `where` (without one: all) in the order of their uris.

        At most `limit`; -1 for all.
        """
        where = where or Where()
        clause, values = document_clause(where)
        pages, more = page_clause(where)
        if pages != "1":
            clause += f" AND EXISTS (SELECT 1 FROM pages p WHERE p.document = d.id AND {pages})"  # noqa: S608
            values += more
        return self._documents(f"{clause} ORDER BY d.uri LIMIT ?", (*values, limit))

    def pages(self, ids: Sequence[int]) -> list[StoredPage]:
        """The pages of these numbers, in their order; those that are gone are left out."""
        found: dict[int, StoredPage] = {}
        with self.snapshot() as db:
            documents: dict[int, Document] = {}
            wanted = [int(n) for n in dict.fromkeys(ids)]
            for at in range(0, len(wanted), _MANY):
                some = wanted[at : at + _MANY]
                rows = db.execute(
                    f"SELECT {PAGE_COLUMNS} FROM pages p JOIN texts t ON t.page = p.id"  # noqa: S608 - our names
                    f" WHERE p.id IN ({','.join('?' * len(some))})",
                    some,
                ).fetchall()
                missing = {row[1] for row in rows} - documents.keys()
                for document in missing:
                    documents[document] = self._documents("d.id = ?", (document,), db)[0]
                found |= {row[0]: read_page(row, documents[row[1]]) for row in rows}
        return [found[n] for n in map(int, ids) if n in found]

    def pages_of(self, document: int) -> list[StoredPage]:
        """All pages of a document, in order. Raises StoreError when there is no such document."""
        with self.snapshot() as db:
            owner = self._documents("d.id = ?", (document,), db)
            if not owner:
                raise StoreError(f"the library has no document {document}; `mainspring library list` lists them")
            rows = db.execute(
                f"SELECT {PAGE_COLUMNS} FROM pages p JOIN texts t ON t.page = p.id"  # noqa: S608 - our names
                " WHERE p.document = ? ORDER BY p.number, p.id",
                (document,),
            ).fetchall()
        return [read_page(row, owner[0]) for row in rows]

    def copy_of(self, document: int) -> tuple[Document, list[tuple[Page, str, str]]] | None:
        """A document, and its pages as :meth:`write` takes them for a file of the same bytes; None: it is gone."""
        with self.snapshot() as db:
            owner = self._documents("d.id = ?", (document,), db)
            rows = db.execute(
                f"SELECT p.ocr, {PAGE_COLUMNS} FROM pages p JOIN texts t ON t.page = p.id"  # noqa: S608 - our names
                " WHERE p.document = ? ORDER BY p.number, p.id",
                (document,),
            ).fetchall()
        if not owner:
            return None
        pages = [(row[0], read_page(row[1:], owner[0])) for row in rows]
        return owner[0], [(p.page, p.language, "done" if ocr == "done" else "") for ocr, p in pages]

    def same_text(self, pages: Sequence[int]) -> list[tuple[int, int]]:
        """Other pages with the text of one of these: (page, which of these)."""
        found: list[tuple[Any, ...]] = []
        for at in range(0, len(pages), _MANY):
            some = pages[at : at + _MANY]
            found += self.read(
                "SELECT other.id, min(p.id) FROM pages p JOIN pages other ON other.digest = p.digest"  # noqa: S608
                f" AND other.id != p.id WHERE p.id IN ({','.join('?' * len(some))}) GROUP BY other.id",
                some,
            )
        return [(int(page), int(of)) for page, of in found]

    def match(self, query: str, limit: int, where: Where | None = None) -> list[tuple[int, float]]:
        """Pages with words of the query, best first: (page number, BM25 score, larger is better)."""
        with self.snapshot() as db:
            expression = self._terms.expression(query, db)
        return self.match_words(expression, limit, where)

    def match_words(self, expression: str, limit: int, where: Where | None = None) -> list[tuple[int, float]]:
        """As :meth:`match`, for an expression of FTS5 (see :func:`mainspring.lexical.match`); "" matches nothing."""
        if not expression or limit <= 0:
            return []
        rank = f"bm25(words, {', '.join(map(str, WEIGHTS))})"
        source, clause = "words", "1"
        values: list[Any] = []
        if where is not None and not is_open(where):
            clause, values = _clause(where)
            source = f"words CROSS JOIN pages p ON p.id = words.rowid CROSS JOIN {_OWNERS}"
        rows = self.read(
            f"SELECT words.rowid, -{rank} FROM {source} WHERE words MATCH ? AND {clause}"  # noqa: S608 - bound
            f" ORDER BY {rank}, words.rowid LIMIT ?",
            (expression, *values, limit),
        )
        return [(int(page), float(score)) for page, score in rows]

    def among(self, where: Where) -> Ids:
        """Sorted numbers of all pages that a search within `where` may return."""
        import numpy as np

        if is_open(where):
            rows = self.read("SELECT id FROM pages ORDER BY id")
        else:
            clause, values = _clause(where)
            rows = self.read(
                f"SELECT p.id FROM pages p JOIN {_OWNERS} WHERE {clause} ORDER BY p.id",  # noqa: S608 - bound
                values,
            )
        return np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows))

    def neighbours(self, page: int, before: int = 1, after: int = 1) -> list[StoredPage]:
        """The pages around one in its document, itself left out, in order."""
        rows = self.read("SELECT document, number FROM pages WHERE id = ?", (page,))
        if not rows:
            return []
        document, number = rows[0]
        ids = self.read(
            "SELECT id FROM pages WHERE document = ? AND number BETWEEN ? AND ? AND id != ? ORDER BY number, id",
            (document, number - before, number + after, page),
        )
        return self.pages([id_ for (id_,) in ids])

    def counts(self) -> dict[str, int]:
        """How many documents, pages, pages without text, pages waiting for OCR, failed documents; bytes of the file."""
        (row,) = self.read(
            "SELECT (SELECT count(*) FROM documents WHERE state != 'failed'), (SELECT count(*) FROM pages),"
            " (SELECT count(*) FROM pages WHERE source = 'none'), (SELECT count(*) FROM pages WHERE ocr = 'wanted'),"
            " (SELECT count(*) FROM pages WHERE ocr = 'failed'),"
            " (SELECT count(*) FROM documents WHERE state = 'failed'),"
            " (SELECT coalesce(sum(size), 0) FROM documents)"
        )
        names = ("documents", "pages", "pages_without_text", "ocr_wanted", "ocr_failed", "failed", "source_bytes")
        size = sum(p.stat().st_size for p in (self.path, Path(f"{self.path}-wal")) if p.exists())
        return dict(zip(names, row, strict=True)) | {"catalog_bytes": size}

    def tally(self, column: str) -> dict[str, int]:
        """Pages by ``language``, ``source``, ``ocr`` or the document's ``kind``."""
        name = {"language": "p.language", "source": "p.source", "ocr": "p.ocr", "kind": "d.kind"}[column]
        return dict(
            self.read(
                f"SELECT {name}, count(*) FROM pages p JOIN documents d ON d.id = p.document"  # noqa: S608 - ours
                " GROUP BY 1 ORDER BY 2 DESC"
            )
        )

    def _documents(self, clause: str, values: Iterable[Any], db: Any = None) -> list[Document]:
        statement = f"SELECT {DOCUMENT_COLUMNS} FROM documents d WHERE {clause}"  # noqa: S608 - values are bound
        rows = self.read(statement, tuple(values)) if db is None else db.execute(statement, tuple(values)).fetchall()
        return [read_document(row) for row in rows]


def _clause(where: Where) -> tuple[str, list[Any]]:
    documents, values = document_clause(where)
    pages, more = page_clause(where)
    return f"{documents} AND {pages}", [*values, *more]
