"""Pages and documents as rows, and back."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from mainspring import lexical
from mainspring.errors import StoreError
from mainspring.label import Label
from mainspring.library.page import Box, Document, Page, Region, RegionKind, StoredPage

#: Stands where a label cannot be read (damaged, or from a newer Mainspring): a stranger's, and nobody may read it.
UNREADABLE = Label(frozenset({"unreadable"}), frozenset())

#: Kinds of regions by the number that they are stored as: only ever add to its end.
KINDS: tuple[RegionKind, ...] = (
    "text", "title", "list", "table", "figure", "caption", "code", "header", "footer"
)  # fmt: skip

_DOCUMENT = ("id", "uri", "digest", "kind", "title", "size", "changed_at", "pages", "label", "problem", "extra")
DOCUMENT_COLUMNS = ", ".join(f"d.{name}" for name in _DOCUMENT)
_PAGE = (
    "id", "document", "language", "number", "heading", "source", "pictured", "unread", "width", "height", "begins_s",
    "ends_s", "line",
)  # fmt: skip
PAGE_COLUMNS = ", ".join(f"p.{name}" for name in _PAGE) + ", t.text, t.regions"

# A region is start and end, its kind, whether it has a place, and the place in 65,535ths of the page.
_REGION = struct.Struct("<IIBB4H")
_SCALE = 65_535


def read_document(row: Sequence[Any]) -> Document:
    """A document from `DOCUMENT_COLUMNS`. Raises StoreError: the row is damaged."""
    values = dict(zip(_DOCUMENT, row, strict=True))
    try:
        values["label"] = Label.decode(values["label"])
    except StoreError:
        values["label"] = UNREADABLE
    try:
        values["extra"] = json.loads(values["extra"])
    except ValueError:
        raise StoreError(f"document {row[0]} of the library is damaged; run: mainspring library check") from None
    return Document(**values)


def read_page(row: Sequence[Any], document: Document) -> StoredPage:
    """A page from `PAGE_COLUMNS`."""
    id_, _, language, number, heading, source, pictured, unread, width, height, begins, ends, line, text, regions = row
    page = Page(
        number=number,
        text=text,
        regions=decode_regions(regions),
        heading=heading,
        source=source,
        pictured=bool(pictured),
        unread=unread,
        width=width,
        height=height,
        begins_s=begins,
        ends_s=ends,
        line=line,
    )
    return StoredPage(id_, document, page, language)


def encode_regions(regions: Sequence[Region]) -> bytes:
    """Regions in 18 bytes each; places are kept to 1/65535 of the page's side."""
    return b"".join(
        _REGION.pack(
            region.start,
            region.end,
            KINDS.index(region.kind),
            region.box is not None,
            *(
                (0, 0, 0, 0)
                if region.box is None
                else (
                    round(min(max(side, 0.0), 1.0) * _SCALE)
                    for side in (region.box.left, region.box.top, region.box.right, region.box.bottom)
                )
            ),
        )
        for region in regions
    )


def decode_regions(packed: bytes) -> tuple[Region, ...]:
    """Inverse of :func:`encode_regions`. Raises StoreError for bytes that are none."""
    try:
        return tuple(
            Region(start, end, KINDS[kind], Box(*(side / _SCALE for side in sides)) if placed else None)
            for start, end, kind, placed, *sides in _REGION.iter_unpack(packed)
        )
    except (struct.error, IndexError):
        raise StoreError("a page of the library is damaged; run: mainspring library check") from None


def region_bits(kinds: Sequence[RegionKind]) -> int:
    """Kinds of regions as a number with one bit for each."""
    bits = 0
    for kind in kinds:
        bits |= 1 << KINDS.index(kind)
    return bits


def text_digest(text: str) -> bytes:
    """What pages of the same text have in common: the first 16 bytes of its SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]


def terms_of(title: str, uri: str, page: Page) -> tuple[str, str, str]:
    """The words that a page is found by: of its document's title and file name, of its headings, of its text."""
    name = PurePath(uri).stem
    titled = title if name in title else f"{title} {name}"
    return tuple(" ".join(lexical.words(text)) for text in (titled, page.heading, page.text))  # type: ignore[return-value]


def pack_terms(terms: tuple[str, str, str]) -> bytes:
    """Words as they are kept for taking them out of the index again."""
    return zlib.compress("\n".join(terms).encode("utf-8", "surrogatepass"), 1)


def unpack_terms(packed: bytes) -> list[str]:
    """Inverse of :func:`pack_terms`: words of the title, the headings and the text."""
    return zlib.decompress(packed).decode("utf-8", "surrogatepass").split("\n")


def cleaned(text: str) -> str:
    """Text that SQLite can hold: no NUL, and no halves of characters."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
