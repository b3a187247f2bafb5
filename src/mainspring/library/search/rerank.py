"""The first pages of a search, put in order again by a model that reads each together with the query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mainspring.errors import ModelError
from mainspring.library.embed.protocol import Reranker
from mainspring.library.page import Hit
from mainspring.library.search.snippet import of_words, snippet

#: How many pages are read again, at least and at most.
LEAST, MOST = 20, 50
#: Characters of a page that a reranker reads: what its window of some 500 tokens holds.
_CHARS = 1_800


def reranked(hits: Sequence[Hit], query: str, reranker: Reranker, k: int) -> list[Hit]:
    """The hits with the first 20 to 50 (twice `k`) in the reranker's order; the others keep theirs behind these.

    Raises:
        ModelError: the reranker failed, or gave another number of scores than it was given texts.
    """
    count = min(max(LEAST, 2 * k), MOST)
    first, rest = list(hits[:count]), list(hits[count:])
    if not first:
        return []
    scores = reranker.scores(query, [_text(hit, query) for hit in first])
    if len(scores) != len(first):
        raise ModelError(f"the reranker {reranker.name} gave {len(scores)} scores for {len(first)} pages")
    order = sorted(range(len(first)), key=lambda n: (-scores[n], n))
    found = [
        replace(first[n], score=float(scores[n]), ranks={**first[n].ranks, "rerank": rank})
        for rank, n in enumerate(order, 1)
    ]
    # Scores go on falling where the reranker's end.
    lowest = min(float(score) for score in scores)
    top = rest[0].score if rest else 0.0
    return found + [replace(hit, score=lowest - (top - hit.score)) for hit in rest]


def _text(hit: Hit, query: str) -> str:
    page = hit.page.page
    start, end = snippet(page, of_words(page.text, query), _CHARS) if len(page.text) > _CHARS else (0, len(page.text))
    head = [hit.page.document.title, page.heading]
    return "\n".join(part for part in [*head, page.text[start:end]] if part)
