"""Pages and the words that they are found by, which come and go together."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from mainspring.library.catalog.rows import (
    encode_regions,
    pack_terms,
    region_bits,
    terms_of,
    text_digest,
    unpack_terms,
)
from mainspring.library.page import Page

_PLACE = "number, heading, source, pictured, unread, width, height, begins_s, ends_s, line, kinds"


def add_page(
    db: sqlite3.Connection,
    document: int,
    generation: int,
    title: str,
    uri: str,
    page: Page,
    language: str,
    *,
    ocr: str,
    read_digest: bytes,
) -> int:
    """Write a new page, and make it findable. Returns its number."""
    id_ = int(
        db.execute(
            f"INSERT INTO pages (document, generation, language, digest, read_digest, ocr, {_PLACE})"  # noqa: S608
            " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (document, generation, language, text_digest(page.text), read_digest, ocr, *_place(page)),
        ).lastrowid
        or 0
    )
    terms = terms_of(title, uri, page)
    db.execute(
        "INSERT INTO texts (page, text, regions, terms) VALUES (?,?,?,?)",
        (id_, page.text, encode_regions(page.regions), pack_terms(terms)),
    )
    db.execute("INSERT INTO words (rowid, title, heading, body) VALUES (?,?,?,?)", (id_, *terms))
    return id_


def keep_page(db: sqlite3.Connection, id_: int, title: str, uri: str, page: Page, generation: int) -> None:
    """Write where a page of the same text stands now; its number stays."""
    db.execute(
        f"UPDATE pages SET ({_PLACE}) = (?,?,?,?,?,?,?,?,?,?,?), generation = ? WHERE id = ?",  # noqa: S608
        (*_place(page), generation, id_),
    )
    (packed,) = db.execute("SELECT terms FROM texts WHERE page = ?", (id_,)).fetchone()
    old, new = unpack_terms(packed), terms_of(title, uri, page)
    if old != list(new):
        _forget_words(db, id_, old)
        db.execute("INSERT INTO words (rowid, title, heading, body) VALUES (?,?,?,?)", (id_, *new))
    db.execute(
        "UPDATE texts SET regions = ?, terms = ? WHERE page = ?", (encode_regions(page.regions), pack_terms(new), id_)
    )


def drop_pages(db: sqlite3.Connection, ids: Iterable[int]) -> int:
    """Take pages and their words out. Returns how many."""
    dropped = 0
    for id_ in ids:
        row = db.execute("SELECT terms FROM texts WHERE page = ?", (id_,)).fetchone()
        if row is not None:
            _forget_words(db, id_, unpack_terms(row[0]))
            db.execute("DELETE FROM texts WHERE page = ?", (id_,))
        db.execute("DELETE FROM problems WHERE page = ?", (id_,))
        dropped += db.execute("DELETE FROM pages WHERE id = ?", (id_,)).rowcount
    return dropped


def _forget_words(db: sqlite3.Connection, id_: int, terms: list[str]) -> None:
    db.execute("INSERT INTO words (words, rowid, title, heading, body) VALUES ('delete',?,?,?,?)", (id_, *terms))


def _place(page: Page) -> tuple[object, ...]:
    return (
        page.number, page.heading, page.source, page.pictured, page.unread, page.width, page.height, page.begins_s,
        page.ends_s, page.line, region_bits([region.kind for region in page.regions]),
    )  # fmt: skip
