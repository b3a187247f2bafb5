"""A search: by words and by meaning, fused, filtered, without repeats, with a snippet for each page."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from mainspring import lexical
from mainspring.errors import ToolError
from mainspring.library.catalog.protocol import Catalog
from mainspring.library.embed.protocol import Embedder, Item, Picture, Reranker, Vectors
from mainspring.library.index.protocol import Ids, VectorIndex
from mainspring.library.page import Hit, StoredPage, Where
from mainspring.library.search import fuse
from mainspring.library.search.exact import as_written
from mainspring.library.search.near import meetings_of
from mainspring.library.search.picture import picture_words
from mainspring.library.search.query import Query, parse
from mainspring.library.search.rerank import reranked
from mainspring.library.search.snippet import Meeting, box_of, covered, of_words, snippet

if TYPE_CHECKING:
    from mainspring.library.search.fuse import Ranked

Mode: TypeAlias = Literal["hybrid", "text", "meaning"]
MODES: tuple[Mode, ...] = ("hybrid", "text", "meaning")

#: Most pages that one search returns.
MAX_K = 10_000
#: Pages that each part of a search gives at first; more where pages fall away.
_DEPTH = 60
#: A quoted phrase is looked for on so many pages that have its words.
_PHRASE_DEPTH = 5_000
_PHRASE_ENOUGH = 1_000
#: Below this share of the query's words, a snippet is also chosen by meaning.
_FEW_WORDS = 0.5
_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Side:
    """A vector space to search in: its index, and the encoder that filled it."""

    index: VectorIndex
    embedder: Embedder


@dataclass
class _Search:
    catalog: Catalog
    sides: Sequence[Side]
    where: Where
    mode: Mode
    asked: Query | None
    #: Vectors of the query in each space, or None where the space cannot take it.
    vectors: list[Vectors | None] = field(default_factory=list)
    #: Pages that may be returned; None for all.
    among: Ids | None = None


def find(
    catalog: Catalog,
    index: VectorIndex | None,
    embedder: Embedder | None,
    query: str | Picture,
    *,
    k: int = 10,
    where: Where | None = None,
    mode: Mode = "hybrid",
    reranker: Reranker | None = None,
    pictures: Sequence[Side] = (),
    words: str | None = None,
) -> list[Hit]:
    """The pages that answer a query best, best first.

    In a query, a "quoted phrase" must occur on the page, and a word with a minus before it must not.

    Args:
        index, embedder: the space of the pages' texts; None searches by words only.
        query: text, or a picture, which only spaces that take pictures can search with.
        k: how many pages, 0 to 10,000.
        where: which pages may be returned.
        mode: by words and meaning together, or by one of them.
        reranker: puts the first 20 to 50 in order again.
        pictures: further spaces, such as one of page pictures.
        words: what stands on a picture that is the query; it is searched for as well. None has it read, but for
            ``meaning``, which takes some seconds; "" is nothing.

    Raises:
        ToolError: the query has no words, `k` or `mode` cannot be used, or no space takes the query's kind.
        StoreError, ModelError: the catalog or an index is damaged; the encoder failed.
    """
    if not 0 <= k <= MAX_K:
        raise ToolError(f"k must be from 0 to {MAX_K:,}, not {k}")
    if mode not in MODES:
        raise ToolError(f"there is no mode {mode!r}; use one of {', '.join(MODES)}")
    where = where or Where()
    sides = list(pictures)
    if index is not None and embedder is not None:
        sides.insert(0, Side(index, embedder))
    if isinstance(query, Picture) and words is None:
        words = picture_words(query) if mode != "meaning" else ""
    search = _Search(catalog, sides, where, mode, _asked(query, words or ""))
    if k == 0 or not _prepared(search, query):
        return []
    hits: list[Hit] = []
    depth = max(_DEPTH, 2 * k)
    while True:
        ranked, ranks, more = _ranked(search, depth)
        hits = _collected(search, ranked, ranks, max(k, 50 if reranker else 0))
        if len(hits) >= k or not more or depth > 4 * MAX_K:
            break
        depth *= 4  # pages fell away: gone, repeated, excluded
    if reranker is not None and search.asked is not None:
        hits = reranked(hits, search.asked.text, reranker, k)
    return [_with_snippet(search, hit) for hit in hits[:k]]


def _asked(query: str | Picture, words: str) -> Query | None:
    if isinstance(query, Picture):
        return parse(words) if lexical.terms(words) else None
    return parse(query)


def _prepared(search: _Search, query: str | Picture) -> bool:
    """Encode the query and settle which pages may be returned; False when there are none."""
    where, asked = search.where, search.asked
    if where != Where():
        search.among = search.catalog.among(where)
    if asked is not None and asked.phrases:
        search.among = _holding(search.catalog, asked, where, search.among)
    if search.among is not None and not len(search.among):
        return False
    if search.mode == "text":
        if asked is None:
            raise ToolError("a picture without words cannot be searched for by words; use mode='meaning'")
        return True
    for side in search.sides:
        search.vectors.append(_encoded(side, query, asked))
    if isinstance(query, Picture) and asked is None and all(v is None for v in search.vectors):
        takes = ", ".join(side.embedder.space.id for side in search.sides) or "none"
        raise ToolError(
            f"no space of this library takes a picture as a query (spaces: {takes}), and no words were read on it; "
            "search by text, or index with an encoder of pictures"
        )
    return True


def _encoded(side: Side, query: str | Picture, asked: Query | None) -> Vectors | None:
    takes = side.embedder.space.queries
    item: Item | None = None
    if isinstance(query, Picture) and "image" in takes:
        item = query
    elif asked is not None and "text" in takes:
        item = asked.text
    if item is None:
        return None
    (encoded,) = side.embedder.queries([item])
    return encoded.vectors if len(encoded.vectors) else None


def _holding(catalog: Catalog, asked: Query, where: Where, among: Ids | None) -> Ids:
    """Sorted numbers of the pages with all phrases of the query."""
    import numpy as np

    found = [page for page, _ in catalog.match(" ".join(asked.phrases), _PHRASE_DEPTH, where)]
    if among is not None:
        found = [int(page) for page in np.intersect1d(np.asarray(found, np.int64), among)]
    held: list[int] = []
    for begins in range(0, len(found), 200):
        held += [p.id for p in catalog.pages(found[begins : begins + 200]) if asked.admits(_searched(p))]
        if len(held) >= _PHRASE_ENOUGH:
            break
    return np.asarray(sorted(held), np.int64)


def _ranked(search: _Search, depth: int) -> tuple[list[tuple[int, float]], dict[str, dict[int, int]], bool]:
    """All candidates in order, the place that each part gave them, and whether a greater depth may give more."""
    text: Ranked = []
    more = False
    asked, among = search.asked, search.among
    if asked is not None and search.mode != "meaning":
        deep = max(depth, _PHRASE_DEPTH) if asked.phrases else depth
        text = search.catalog.match(asked.text, deep, search.where)
        more = len(text) >= deep
        if among is not None:
            text = [(page, score) for page, score in text if _within(among, page)]
    lists: list[Ranked] = []
    used: list[Side] = []
    for side, vectors in zip(search.sides, search.vectors, strict=False):
        if vectors is None:
            continue
        near = [(n.page, n.score) for n in side.index.search(vectors, depth, among=among)]
        more = more or len(near) >= depth
        known = {page for page, _ in near}
        # What the words found is scored by meaning too: a combination of scores needs both.
        others = sorted({page for page, _ in text[:_DEPTH]} - known)
        if near and others:
            import numpy as np  # a search by words only does without, which is a quarter of its time

            among_others = np.asarray(others, np.int64)
            near += [(n.page, n.score) for n in side.index.search(vectors, len(others), among=among_others)]
        lists.append(near)
        used.append(side)
    ranks: dict[str, dict[int, int]] = {}
    if text:
        ranks["text"] = {page: rank for rank, (page, _) in enumerate(text, 1)}
    for side, ranked in zip(used, lists, strict=True):
        name = "meaning" if "text" in side.embedder.space.documents else "picture"
        places = ranks.setdefault(name, {})
        for rank, (page, _) in enumerate(ranked, 1):
            places[page] = min(rank, places.get(page, rank))
    scores = _fused(search, text, lists)
    if text and asked is not None:
        for page, gain in as_written(search.catalog, asked.text, depth, search.where).items():
            if among is None or _within(among, page):
                scores[page] = scores.get(page, 0.0) + gain
    return fuse.in_order(scores), ranks, more


def _fused(search: _Search, text: Ranked, lists: Sequence[Ranked]) -> dict[int, float]:
    if not lists:
        return fuse.of_top(text)
    meaning: dict[int, float] = {}
    for ranked in lists:
        floor = min((score for _, score in ranked), default=0.0)
        for page, share in fuse.of_range(ranked, floor).items():
            meaning[page] = max(share, meaning.get(page, 0.0))
    if not text or search.asked is None:
        return meaning
    best = [
        f"{p.document.title} {p.page.heading} {p.page.text}"
        for p in search.catalog.pages([page for page, _ in text[:3]])
    ]
    weight = fuse.text_weight(search.asked.text, best)
    return fuse.by_scores([(weight, fuse.of_top(text)), (1.0 - weight, meaning)])


def _within(among: Ids, page: int) -> bool:
    import numpy as np

    at = int(np.searchsorted(among, page))
    return at < len(among) and int(among[at]) == page


def _collected(
    search: _Search, ranked: Sequence[tuple[int, float]], ranks: Mapping[str, Mapping[int, int]], k: int
) -> list[Hit]:
    """The first `k` candidates that are there, may be seen and repeat no other."""
    found: dict[str, Hit] = {}
    for page, score in _admitted(search, ranked):
        key = _same(page)
        twin = found.get(key)
        if twin is not None:
            # Of pages with one text, the one that no outsider wrote stands for all.
            first, *others = sorted([twin.page, *twin.also, page], key=_preferred)
            found[key] = replace(twin, page=first, also=tuple(others))
            continue
        if len(found) >= k:
            break  # a repeat further down would be listed too, but has the same score and stands beside its twin
        places = {name: at[page.id] for name, at in ranks.items() if page.id in at}
        found[key] = Hit(page, score, places, "", 0, 0)
    return list(found.values())


def _admitted(search: _Search, ranked: Sequence[tuple[int, float]]) -> Iterator[tuple[StoredPage, float]]:
    where, asked = search.where, search.asked
    for begins in range(0, len(ranked), _AT_ONCE):
        some = dict(ranked[begins : begins + _AT_ONCE])
        for page in search.catalog.pages(list(some)):
            label = page.document.label
            # The catalog has said so already; who may read is asked again where a page is handed out.
            if where.reader and not label.readable_by(where.reader):
                continue
            if where.trusted and not label.trusted:
                continue
            if asked is None or asked.admits(_searched(page)):
                yield page, some[page.id]


def _searched(page: StoredPage) -> str:
    """What the words of a query are looked for in: the text, and the names of the page and its document."""
    document = page.document
    return "\n".join((document.title, document.uri.rpartition("/")[2], page.page.heading, page.page.text))


def _preferred(page: StoredPage) -> tuple[bool, str, int]:
    # By name, not by page number: which of two files was entered first is chance where several are read at once.
    return not page.document.label.trusted, page.document.uri, page.id


def _same(page: StoredPage) -> str:
    """The same for pages that say the same: by their words, or without any by the file and the page's number."""
    text = " ".join(page.page.text.split())
    if text:
        return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
    return f"{page.document.digest or page.document.id}#{page.page.number}"


def _with_snippet(search: _Search, hit: Hit) -> Hit:
    page = hit.page.page
    meetings: list[Meeting] = []
    if search.asked is not None:
        meetings = of_words(page.text, search.asked.text)
        if search.vectors and covered(meetings, search.asked.text) < _FEW_WORDS:
            for side, vectors in zip(search.sides, search.vectors, strict=True):
                meetings += meetings_of(side.index, hit.page, vectors)
    start, end = snippet(page, meetings)
    return replace(hit, snippet=page.text[start:end], start=start, end=end, box=box_of(page, start, end))
