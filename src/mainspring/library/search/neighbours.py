"""What stands around a page in its document."""

from __future__ import annotations

from dataclasses import dataclass

from mainspring.library.catalog.protocol import Catalog
from mainspring.library.page import StoredPage


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The pages around one.

    Args:
        before, after: the pages next to it, or None at an end of the document.
        section: the other pages under the same heading, in order; empty when it stands under none.
    """

    before: StoredPage | None
    after: StoredPage | None
    section: tuple[StoredPage, ...]


def neighbours(catalog: Catalog, page: StoredPage) -> Neighbours:
    """The pages before and after one, and those of its section. All carry the document's label, as it does."""
    pages = catalog.pages_of(page.document.id)
    at = next((n for n, other in enumerate(pages) if other.page.number == page.page.number), None)
    if at is None:
        return Neighbours(None, None, ())
    heading = page.page.heading
    section = tuple(p for p in pages if heading and p.page.heading == heading and p.id != pages[at].id)
    return Neighbours(pages[at - 1] if at else None, pages[at + 1] if at + 1 < len(pages) else None, section)
