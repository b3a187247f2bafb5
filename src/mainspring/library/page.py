"""What the library holds: documents, their pages, and the regions of a page.

A *page* is what a search returns: a page of a PDF, a slide, a sheet, a section of a web page or a Markdown file, a
piece of a source file, a scene of a video, a stretch of a recording.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from mainspring.label import Label

#: What a document is. `text` is plain text of any sort; `mail` one message (.eml).
Kind: TypeAlias = Literal[
    "pdf", "image", "slides", "office", "sheet", "html", "markdown", "text", "code", "mail", "video", "audio", "book"
]

RegionKind: TypeAlias = Literal["text", "title", "list", "table", "figure", "caption", "code", "header", "footer"]

#: Where a page's text comes from. `none` is a page on which nothing was found to read.
TextSource: TypeAlias = Literal["text", "ocr", "transcript", "none"]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on a page, as fractions (0 to 1) of its width and height from the top left corner."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Region:
    """A piece of a page with its place.

    Args:
        start, end: which characters of the page's text it covers; a figure without words has start == end.
        kind: what it is.
        box: where it stands; None for text that has no place, such as a section of a web page.
    """

    start: int
    end: int
    kind: RegionKind = "text"
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page as it was read.

    Args:
        number: 1-based position in the document.
        text: all of its text in reading order, NFC, lines separated by newlines; never holds NUL or lone surrogates.
        regions: in order of `start`; blocks or lines, whichever the source gives. They need not cover the text.
        heading: the headings that it stands under, outermost first, joined by " > "; "" when there are none.
        source: where the text comes from.
        pictured: True when the page can be rendered, so that it can be shown, read by OCR and embedded as a picture.
        unread: share of the page's area (0 to 1) that is picture without text over it; OCR is worth its time above 0.2.
        width, height: size in points (1/72 inch) or, for pictures and video, pixels; 0 when it has none.
        begins_s, ends_s: the moment in a video or recording, in seconds; None elsewhere.
        line: 1-based line of the file at which it begins, for text, Markdown and code; None elsewhere.
    """

    number: int
    text: str
    regions: tuple[Region, ...] = ()
    heading: str = ""
    source: TextSource = "text"
    pictured: bool = False
    unread: float = 0.0
    width: float = 0.0
    height: float = 0.0
    begins_s: float | None = None
    ends_s: float | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A document as the library knows it.

    Args:
        id: number in this library, never used again.
        uri: what it was indexed as: an absolute path, or a name such as ``mail:inbox/17``.
        digest: SHA-256 of its bytes, hex.
        kind, title, size (bytes), changed_at (Unix time of the file's last change), pages (how many).
        label: who may have written it, and who may read it. Its pages carry the same one.
        problem: why it, or a part of it, could not be read; "" when all was.
        extra: what the format says of itself (author, language, subject ...): an outsider's words like the text.
    """

    id: int
    uri: str
    digest: str
    kind: Kind
    title: str
    size: int
    changed_at: float
    pages: int
    label: Label
    problem: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredPage:
    """A page in the library.

    Args:
        id: number in this library, never used again, also for another reading of the same page.
        document: whose page it is.
        page: what was read.
        language: ISO 639-1 code of most of its text, or "" (unknown).
    """

    id: int
    document: Document
    page: Page
    language: str = ""


@dataclass(frozen=True, slots=True)
class Where:
    """Which pages a search may return. Everything given must hold; what is empty holds always.

    Args:
        kinds, languages: any of these.
        paths: any of these prefixes or shell patterns (``*``, ``?``) of the document's uri.
        documents: any of these document ids.
        regions: the page has a region of any of these kinds (``table``, ``figure`` ...).
        changed_after, changed_before: Unix times that the document's last change lies between.
        reader: only what this person or agent may read by its label; "" for no such limit (a person at the keyboard).
        trusted: only what no outsider may have written.
    """

    kinds: tuple[Kind, ...] = ()
    languages: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    documents: tuple[int, ...] = ()
    regions: tuple[RegionKind, ...] = ()
    changed_after: float | None = None
    changed_before: float | None = None
    reader: str = ""
    trusted: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """A page that a search found.

    Args:
        page: the page, with its document and label.
        score: larger is better; comparable within one search only.
        ranks: place (from 1) that each part of the search gave it: ``text``, ``meaning``, ``picture``, ``rerank``.
        snippet: the most telling piece of its text.
        start, end: which characters of the page's text the snippet is.
        box: where the snippet stands on the page, or None.
        also: other pages with the same text, which are not listed as hits of their own.
    """

    page: StoredPage
    score: float
    ranks: Mapping[str, int]
    snippet: str
    start: int
    end: int
    box: Box | None = None
    also: tuple[StoredPage, ...] = ()
