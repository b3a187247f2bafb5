"""How documents and pages come into the catalog, in steps that a kill leaves whole."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from mainspring.errors import StoreError
from mainspring.label import Label
from mainspring.library.catalog.file import CatalogFile
from mainspring.library.catalog.labels import Vouched, first_label, next_label
from mainspring.library.catalog.rows import cleaned, text_digest
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
    """

    uri: str
    digest: str
    size: int
    changed_at: float
    stamp: int
    named: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """What the catalog knows of a uri: see :class:`Source`; `state` is ``reading``, ``ready`` or ``failed``."""

    id: int
    digest: str
    size: int
    stamp: int
    state: str
    version: str
    named: bool


class Work(CatalogFile):
    """Writing documents and pages."""

    def known(self, uri: str) -> Known | None:
        """What is known of a uri, or None."""
        rows = self.read("SELECT id, digest, size, stamp, state, version, named FROM documents WHERE uri = ?", (uri,))
        if not rows:
            return None
        id_, digest, size, stamp, state, version, named = rows[0]
        return Known(id_, digest, size, stamp, state, version, bool(named))

    def below(self, folder: str) -> list[tuple[int, str, bool]]:
        """Documents whose uri lies below a folder: (number, uri, whether a person named it)."""
        begin = folder.rstrip("/") + "/"
        rows = self.read(
            "SELECT id, uri, named FROM documents WHERE uri >= ? AND uri < ? ORDER BY uri",
            (begin, begin[:-1] + "0"),  # "0" comes right after "/"
        )
        return [(id_, uri, bool(named)) for id_, uri, named in rows]

    def twin(self, digest: str) -> int | None:
        """A document of the same bytes that was read whole and without a problem, or None."""
        rows = self.read(
            "SELECT id FROM documents WHERE digest = ? AND state = 'ready' AND problem = '' LIMIT 1", (digest,)
        )
        return rows[0][0] if rows else None

    def write(
        self,
        source: Source,
        kind: Kind,
        title: str,
        pages: Iterable[tuple[Page, str, str]],
        *,
        extra: Mapping[str, str] | None = None,
        said: Vouched | None = None,
        version: str = "",
        problem: str | None = None,
    ) -> Writing:
        """Write a document's pages, in place of those that it had.

        A page whose text, as it was read, is one that the document had before keeps its number, unless OCR has a say
        in it. Pages come in by some hundreds, each batch durable and searchable at once; :meth:`Writing.finish` then
        takes out what is old. A kill before that leaves the document marked as not read, to be read again.

        Args:
            pages: page, language, and ``""``, or ``done`` or ``failed`` where OCR has been through it already.
            problem: what could not be read, when it is known; else it is given to `finish`.

        Raises:
            StoreError: the disk is full, or the file is damaged.
        """
        writing = Writing(self, source, kind, title, extra or {}, said or Vouched(), version)
        return writing.take(pages) if problem is None else writing.take(pages, problem)

    def fail(self, source: Source, kind: Kind, title: str, problem: str, *, said: Vouched, version: str) -> Document:
        """Write down that a document cannot be read; pages that it had are taken out."""
        return self.write(source, kind, title, (), said=said, version=version, problem=problem).finish(failed=True)

    def seen(self, id_: int, source: Source, said: Vouched) -> bool:
        """Note that a document is as it was. Returns True when what `said` says changes its label."""
        with self.transaction() as db:
            db.execute(
                "UPDATE documents SET size = ?, changed_at = ?, stamp = ?, named = named OR ? WHERE id = ?",
                (source.size, source.changed_at, source.stamp, source.named, id_),
            )
            return _relabel(db, id_, said, changed=False)

    # --- OCR ---

    def waiting(self, after: int = 0, limit: int = 100) -> list[int]:
        """Pages that wait for OCR, by number, from behind `after`."""
        rows = self.read("SELECT id FROM pages WHERE ocr = 'wanted' AND id > ? ORDER BY id LIMIT ?", (after, limit))
        return [id_ for (id_,) in rows]

    def read_again(self, id_: int, page: Page, language: str) -> int | None:
        """Put the text that OCR found in place of a page's: it gets a new number, which is returned.

        None when the page is gone meanwhile. When OCR found what was there already, the number stays.
        """
        with self.transaction() as db:
            row = db.execute(
                "SELECT d.id, d.title, d.uri, d.generation, p.read_digest, p.digest FROM pages p"
                " JOIN documents d ON d.id = p.document WHERE p.id = ?",
                (id_,),
            ).fetchone()
            if row is None:
                return None
            document, title, uri, generation, read_digest, digest = row
            page = _held(page)
            if text_digest(page.text) == digest:
                keep_page(db, id_, title, uri, page, generation)
                db.execute("UPDATE pages SET ocr = 'done', source = ? WHERE id = ?", (page.source, id_))
                return id_
            drop_pages(db, [id_])
            return add_page(db, document, generation, title, uri, page, language, ocr="done", read_digest=read_digest)

    def give_up_reading(self, id_: int, problem: str) -> None:
        """Write down that OCR of a page failed; it is not tried again before the document changes."""
        with self.transaction() as db:
            db.execute("UPDATE pages SET ocr = 'failed' WHERE id = ? AND ocr = 'wanted'", (id_,))
            self.note_problem(id_, "ocr", problem)

    def retry_reading(self) -> int:
        """Have OCR try the pages again on which it failed. Returns how many."""
        with self.transaction() as db:
            return db.execute("UPDATE pages SET ocr = 'wanted' WHERE ocr = 'failed'").rowcount

    def note_problem(self, page: int, stage: str, problem: str) -> None:
        """Write down what went wrong with a page in a stage (``ocr``, ``encode``)."""
        with self.transaction() as db:
            db.execute("INSERT OR REPLACE INTO problems (page, stage, text) VALUES (?,?,?)", (page, stage, problem))

    def problems(self) -> list[tuple[int, str, str]]:
        """What went wrong with single pages: (page, stage, problem)."""
        return [(page, stage, text) for page, stage, text in self.read("SELECT page, stage, text FROM problems")]

    # --- small things that are kept ---

    def get(self, key: str, default: str = "") -> str:
        """A setting of this library."""
        rows = self.read("SELECT value FROM meta WHERE key = ?", (key,))
        return str(rows[0][0]) if rows else default

    def set(self, key: str, value: str) -> None:
        """Keep a setting of this library."""
        with self.transaction() as db:
            db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?,?)", (key, value))

    def roots(self) -> dict[str, dict[str, object]]:
        """The folders and files that were indexed, each with the options that hold for it."""
        return {path: json.loads(options) for path, options in self.read("SELECT path, options FROM roots")}

    def drop_root(self, path: str) -> None:
        """Do not index a folder or file again when everything is."""
        with self.transaction() as db:
            db.execute("DELETE FROM roots WHERE path = ?", (path,))

    def set_root(self, path: str, options: Mapping[str, object]) -> None:
        """Keep a folder or file that is indexed, and how."""
        with self.transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO roots (path, options, at) VALUES (?,?,?)",
                (path, json.dumps(options), time.time()),
            )


class Writing:
    """A document while its pages come in: see :meth:`Work.write`."""

    def __init__(
        self,
        catalog: Work,
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
        return self._catalog.document(self._id)  # type: ignore[attr-defined,no-any-return]

    def _write(self, db: sqlite3.Connection, batch: list[tuple[Page, str, str]]) -> None:
        if not self._id:
            self._begin(db)
        elif not db.execute(
            "SELECT 1 FROM documents WHERE id = ? AND generation = ?", (self._id, self._generation)
        ).fetchone():
            raise StoreError(f"{self._source.uri!r} was removed or indexed by another process while it was read")
        for page, language, read in batch:
            page = _held(page)
            wanted = page.pictured and (page.unread > UNREAD or not page.text.strip())
            ocr = read or ("wanted" if wanted else "none")
            digest = text_digest(page.text)
            kept = None
            if self._had and ocr == "none":
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
        self._had = bool(db.execute("SELECT 1 FROM pages WHERE document = ? LIMIT 1", (self._id,)).fetchone())
        # Until it is read whole its digest is unknown, and an interrupted reading counts as a change.
        _relabel(db, self._id, self._said, changed=digest != source.digest)
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


def _relabel(db: sqlite3.Connection, document: int, said: Vouched, *, changed: bool) -> bool:
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


def _held(page: Page) -> Page:
    """The page with text that SQLite can hold; what readers give is so already."""
    from dataclasses import replace

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
