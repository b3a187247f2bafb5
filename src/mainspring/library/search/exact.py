"""What a query names as it is written: phrases, compound names, numbers, files.

BM25 sees only words: to it `max_output_tokens` is three words that stand anywhere, and to late interaction it is like
every other name. A page that has the name itself goes before all that have its words.
"""

from __future__ import annotations

import re

from mainspring import lexical
from mainspring.library.catalog.protocol import Catalog
from mainspring.library.page import Where

#: Added to the score (at most 1) of a page that holds the query, or a compound name of it, word by word, and again
#: where its document is called so.
PHRASE, NAME = 1.0, 0.5
#: A query of more words is a question or a text: that it stands on a page in one piece is no use to look for.
_MOST_WORDS = 8
_FILE = re.compile(r"[\w./-]{1,200}\.[A-Za-z0-9]{1,5}")


def as_written(catalog: Catalog, query: str, depth: int, where: Where) -> dict[int, float]:
    """What pages gain by holding the query, or names in it, as they are written; those that gain nothing are not in it.

    Args:
        depth: look at so many pages for each.
    """
    parts = phrases(query)
    gains: dict[int, float] = {}
    for part in parts:
        wanted = lexical.phrase(part)
        for expression, gain in ((wanted, PHRASE), (f"title : {wanted}", NAME)):
            for page, _ in catalog.match_words(expression, depth, where):
                gains[page] = gains.get(page, 0.0) + gain / len(parts)
    for name in filter(_FILE.fullmatch, query.split()[:_MOST_WORDS]):
        # The name of a file means its own pages before those that speak of it.
        for page in _of_file(catalog, name, depth, where):
            gains[page] = gains.get(page, 0.0) + PHRASE + NAME
    return gains


def phrases(query: str) -> list[str]:
    """What of a query is likely to stand on a page as it is: a short one as a whole, and compound names such as
    ``max_output_tokens``, ``error.log`` or ``INV-2024-71``."""
    found = [query] if 2 <= len(lexical.terms(query)) <= _MOST_WORDS else []
    for name in query.split():
        if name.isascii() and name != query and len(lexical.terms(name)) > 1:
            found.append(name)
    return found[:_MOST_WORDS]


def _of_file(catalog: Catalog, name: str, depth: int, where: Where) -> list[int]:
    """Pages of the documents whose files are called so. The catalog's titles hold the name without its ending."""
    wanted = lexical.phrase(name.rpartition(".")[0])
    if not wanted:
        return []
    ending = f"/{name.rpartition('/')[2]}".casefold()
    found = catalog.pages([page for page, _ in catalog.match_words(f"title : {wanted}", depth, where)])
    return [page.id for page in found if page.document.uri.casefold().endswith(ending)]
