"""How documents and pages come into the catalog, in steps that a kill leaves whole."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mainspring.label import Label
from mainspring.library.catalog.file import CatalogFile
from mainspring.library.catalog.labels import Vouched
from mainspring.library.catalog.rows import text_digest
from mainspring.library.catalog.words import add_page, drop_pages, keep_page
from mainspring.library.catalog.writing import Source, Writing, held, relabel
from mainspring.library.page import Document, Kind, Page


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

    def twin(self, digest: str, label: Label) -> int | None:
        """A document of the same bytes that was read whole and without a problem, or None.

        Only one with this label: where a stranger's file was read, another one may have had a say in its text.
        """
        rows = self.read(
            "SELECT id FROM documents WHERE digest = ? AND label = ? AND state = 'ready' AND problem = '' LIMIT 1",
            (digest, label.encode()),
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
        in it, or vectors are made of how pages look. Pages come in by some hundreds, each batch durable and searchable
        at once; :meth:`Writing.finish` then takes out what is old. A kill before that leaves the document marked as
        not read, to be read again.

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
            return relabel(db, id_, said, changed=False)

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
            page = held(page)
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
