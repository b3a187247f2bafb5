"""A document while its pages come in."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

from mainspring.errors import StoreError
from mainspring.label import Label
from mainspring.library.catalog.file import CatalogFile
from mainspring.library.catalog.labels import Vouched, first_label, next_label
from mainspring.library.catalog.rows import DOCUMENT_COLUMNS, cleaned, read_document, text_digest
from mainspring.library.catalog.words import add_page, drop_pages, keep_page
from mainspring.library.page import Document, Kind, Page

#: A page of whose area this much is picture without text over it is worth reading by OCR.
UNREAD = 0.2

# How much one transaction takes: pages, and characters of text.
_BATCH = 256
_BATCH_CHARS = 4_000_000


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it was found, or anything else that is indexed under a name.

    Args:
        uri: an absolute path, or another name.
        digest: SHA-256 of its bytes, hex.
        size, changed_at, stamp: bytes; Unix time of its last change, in seconds and in nanoseconds.
        named: a person named it, so that a later run over its folder does not leave it out.
        changed: words that are read with it from elsewhere have changed, though its bytes have not.
    """

    uri: str
    digest: str
    size: int
    changed_at: float
    stamp: int
    named: bool = False
    changed: bool = False


class Writing:
    """A document while its pages come in: see :meth:`mainspring.library.catalog.work.Work.write`."""

    def __init__(
        self,
        catalog: CatalogFile,
        source: Source,
        kind: Kind,
        title: str,
        extra: Mapping[str, str],
        said: Vouched,
        version: str,
    ) -> None:
        self._catalog, self._source, self._kind, self._said = catalog, source, kind, said
        self._title = cleaned(title)
        self._extra = {cleaned(k): cleaned(v) for k, v in extra.items()}
        self._version = version
        self._id = 0
        self._generation = 0
        self._had = False  # pages of an earlier reading
        self._of_pictures = False  # vectors are made of how pages look
        self._left: list[tuple[Page, str, str]] = []
        self._problem = ""

    def take(self, pages: Iterable[tuple[Page, str, str]], problem: str = "") -> Writing:
        """Write the pages down, the last batch with the end of the document in :meth:`finish`."""
        self._problem = problem
        for batch in _batches(pages):
            if self._left:
                with self._catalog.transaction() as db:
                    self._write(db, self._left)
            self._left = batch
        return self

    def finish(self, problem: str = "", *, failed: bool = False) -> Document:
        """Take out the pages of earlier readings and mark the document as read, in one transaction.

        Args:
            problem: why it, or a part of it, could not be read.
            failed: nothing of it could be read.
        """
        with self._catalog.transaction() as db:
            self._write(db, self._left)
            old = db.execute(
                "SELECT id FROM pages WHERE document = ? AND generation < ?", (self._id, self._generation)
            ).fetchall()
            drop_pages(db, [id_ for (id_,) in old])
            relabel(db, self._id, self._said, changed=False)
            db.execute(
                "UPDATE documents SET state = ?, digest = ?, problem = ?, version = ?, read_at = ?,"
                " pages = (SELECT count(*) FROM pages p WHERE p.document = documents.id) WHERE id = ?",
                (
                    "failed" if failed else "ready",
                    self._source.digest,
                    cleaned(problem or self._problem),
                    self._version,
                    time.time(),
                    self._id,
                ),
            )
            row = db.execute(
                f"SELECT {DOCUMENT_COLUMNS} FROM documents d WHERE d.id = ?",  # noqa: S608 - our names
                (self._id,),
            ).fetchone()
        return read_document(row)

    def _write(self, db: sqlite3.Connection, batch: list[tuple[Page, str, str]]) -> None:
        if not self._id:
            self._begin(db)
        elif not db.execute(
            "SELECT 1 FROM documents WHERE id = ? AND generation = ?", (self._id, self._generation)
        ).fetchone():
            raise StoreError(f"{self._source.uri!r} was removed or indexed by another process while it was read")
        for page, language, read in batch:
            page = held(page)
            wanted = page.pictured and (page.unread > UNREAD or not page.text.strip())
            ocr = read or ("wanted" if wanted else "none")
            digest = text_digest(page.text)
            kept = None
            if self._had and ocr == "none" and not (page.pictured and self._of_pictures):
                kept = db.execute(
                    "SELECT id FROM pages WHERE document = ? AND read_digest = ? AND generation < ? AND ocr = 'none'"
                    " ORDER BY abs(number - ?), id LIMIT 1",
                    (self._id, digest, self._generation, page.number),
                ).fetchone()
            if kept:
                keep_page(db, kept[0], self._title, self._source.uri, page, self._generation)
            else:
                add_page(
                    db, self._id, self._generation, self._title, self._source.uri, page, language, ocr=ocr,
                    read_digest=digest,
                )  # fmt: skip

    def _begin(self, db: sqlite3.Connection) -> None:
        source = self._source
        row = db.execute("SELECT id, generation, digest, state FROM documents WHERE uri = ?", (source.uri,)).fetchone()
        values = (self._kind, self._title, source.size, source.changed_at, source.stamp, json.dumps(self._extra))
        if row is None:
            label = first_label(self._said)
            self._generation = 1
            self._id = int(
                db.execute(
                    "INSERT INTO documents (uri, kind, title, size, changed_at, stamp, extra, digest, pages, label,"
                    " trusted, everyone, problem, state, generation, named, version, read_at)"
                    " VALUES (?,?,?,?,?,?,?,'',0,'',0,0,'','reading',1,?,'',0)",
                    (source.uri, *values, source.named),
                ).lastrowid
                or 0
            )
            set_label(db, self._id, label)
            _decided(db, self._id, self._said, None, label)
            return
        self._id, generation, digest, _ = row
        self._generation = generation + 1
        self._of_pictures = bool(db.execute("SELECT 1 FROM meta WHERE key = 'of_pictures' AND value != ''").fetchone())
        self._had = bool(db.execute("SELECT 1 FROM pages WHERE document = ? LIMIT 1", (self._id,)).fetchone())
        # Until it is read whole its digest is unknown, and an interrupted reading counts as a change.
        changed = source.changed or digest != source.digest
        # What a person vouches for are the new pages: until the old ones are gone, the old label holds for all.
        said = replace(self._said, trust=False) if self._had else self._said
        relabel(db, self._id, said, changed=changed and not self._said.trust)
        db.execute(
            "UPDATE documents SET kind = ?, title = ?, size = ?, changed_at = ?, stamp = ?, extra = ?, digest = '',"
            " problem = '', state = 'reading', generation = ?, named = named OR ? WHERE id = ?",
            (*values, self._generation, source.named, self._id),
        )


def set_label(db: sqlite3.Connection, document: int, label: Label) -> None:
    """Write a document's label, and what filters look at of it."""
    db.execute(
        "UPDATE documents SET label = ?, trusted = ?, everyone = ? WHERE id = ?",
        (label.encode(), label.trusted, label.readers is None, document),
    )
    db.execute("DELETE FROM readers WHERE document = ?", (document,))
    db.executemany(
        "INSERT INTO readers (document, reader) VALUES (?,?)", [(document, r) for r in sorted(label.readers or ())]
    )


def relabel(db: sqlite3.Connection, document: int, said: Vouched, *, changed: bool) -> bool:
    """Give a document the label that what is said of it asks for. Returns True when that is another one."""
    (text,) = db.execute("SELECT label FROM documents WHERE id = ?", (document,)).fetchone()
    before = Label.decode(text)
    after = next_label(before, said, changed)
    if after == before:
        return False
    set_label(db, document, after)
    _decided(db, document, said, before, after)
    return True


def _decided(db: sqlite3.Connection, document: int, said: Vouched, before: Label | None, after: Label) -> None:
    """Keep who decided on a label, when a person did."""
    what = "trust" if said.trust else "readers" if said.readers is not None else ""
    if what:
        db.execute(
            "INSERT INTO decisions (document, at, by, what, before, after) VALUES (?,?,?,?,?,?)",
            (document, time.time(), said.by, what, before.encode() if before else "", after.encode()),
        )


def held(page: Page) -> Page:
    """The page with text that SQLite can hold; what readers give is so already."""
    text, heading = cleaned(page.text), cleaned(page.heading)
    return page if (text, heading) == (page.text, page.heading) else replace(page, text=text, heading=heading)


def _batches(pages: Iterable[tuple[Page, str, str]]) -> Iterator[list[tuple[Page, str, str]]]:
    source = iter(pages)
    while batch := list(islice(source, 1)):
        chars = len(batch[0][0].text)
        while chars < _BATCH_CHARS and len(batch) < _BATCH:
            more = next(source, None)
            if more is None:
                break
            batch.append(more)
            chars += len(more[0].text)
        yield batch
