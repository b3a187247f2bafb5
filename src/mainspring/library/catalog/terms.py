"""Which words of a query tell pages apart."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable

from mainspring import lexical

#: BM25 gives a word that stands on more pages than this share nothing; looking through them costs most of a search.
_COMMON = 0.5
#: A word on no more pages than this is always looked for: in a library of a few pages it may be what is asked for.
_FEW = 5
#: Frequencies are kept until the library has grown by this share.
_GROWN = 0.1
_MOST = 50_000


class Terms:
    """The words of queries with the number of pages that they stand on, remembered for a while."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._newest = self._pages = 0  # newest page, and how many there were, when counting began
        self._lock = threading.Lock()

    def expression(self, query: str, db: sqlite3.Connection) -> str:
        """A query for FTS5: any of its words, without those on most pages, the rarest where there are too many."""
        terms = lexical.terms(query)
        if len(terms) < 2:
            return lexical.match(query)
        (newest,) = db.execute("SELECT coalesce(max(id), 0) FROM pages").fetchone()
        with self._lock:
            if abs(newest - self._newest) > self._newest * _GROWN or len(self._counts) > _MOST:
                (self._pages,) = db.execute("SELECT count(*) FROM pages").fetchone()
                self._counts, self._newest = {}, newest
            counts, pages = self._counts, self._pages
        count = _counter(db)
        for term, begins in terms.items():
            if term not in counts:
                counts[term] = 0 if begins else count(term)
        most = max(pages * _COMMON, _FEW)
        telling = [term for term in terms if counts[term] <= most] or list(terms)
        if len(telling) > lexical.MAX_TERMS:
            telling = sorted(telling, key=lambda term: counts[term])[: lexical.MAX_TERMS]
        return " OR ".join(f'"{term}"*' if terms[term] else f'"{term}"' for term in telling)


def _counter(db: sqlite3.Connection) -> Callable[[str], int]:
    def count(term: str) -> int:
        row = db.execute("SELECT doc FROM temp.vocabulary WHERE term = ?", (term,)).fetchone()
        return int(row[0]) if row else 0

    return count
