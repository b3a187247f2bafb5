"""Where on a page the query's meaning was met: token against token, or token against patch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mainspring.errors import StoreError
from mainspring.library.embed.protocol import Embedder, Encoded, Vectors
from mainspring.library.index.protocol import VectorIndex
from mainspring.library.page import StoredPage
from mainspring.library.search.snippet import Meeting

#: Of a query's tokens, those whose best match is at least this share of the best one's say where they were met.
_STRONG = 0.5


def matrix(index: VectorIndex, page: int, vectors: Vectors) -> Vectors | None:
    """Similarities of shape (query vectors, page vectors) as the index sees them; None when it keeps none to show."""
    match: Callable[..., Any] | None = getattr(index, "match", None)
    if match is None:
        return None
    try:
        found: Vectors = match(vectors, page)
    except StoreError:  # the page has no vectors yet, or has just been taken out
        return None
    return found


def spans_of(embedder: Embedder, text: str) -> Sequence[tuple[int, int]] | None:
    """Which characters each vector of a text stands for, without encoding it; None when the encoder cannot say."""
    spans: Callable[[str], Sequence[tuple[int, int]]] | None = getattr(embedder, "spans", None)
    return None if spans is None else spans(text)


def compared(index: VectorIndex, embedder: Embedder, page: int, vectors: Vectors, encoded: Encoded) -> Vectors:
    """As `matrix`; where the index keeps none that fits, from the page encoded again."""
    import numpy as np

    found = matrix(index, page, vectors)
    if found is not None and found.shape == (len(vectors), len(encoded.vectors)):
        return found
    documents = encoded.vectors
    if embedder.space.centred and len(documents) > 1:
        # The corpus' mean is the index's; the page's own stands in for it.
        documents = documents - documents.mean(axis=0)
        documents = documents / np.maximum(np.linalg.norm(documents, axis=1, keepdims=True), 1e-9)
    return np.asarray(vectors @ documents.T, np.float32)


def meetings_of(index: VectorIndex, page: StoredPage, vectors: Vectors | None) -> list[Meeting]:
    """Where each vector of the query found its best match in a page's text; nothing where that cannot be told cheaply.

    It never encodes: a search has no time for that. A place is right to within a few words.
    """
    if vectors is None or not index.space.multi or not page.page.text:
        return []
    found = matrix(index, page.id, vectors)
    if found is None or not found.size:
        return []
    best = found.argmax(axis=1)
    scores = found[range(len(best)), best]
    least = _STRONG * float(scores.max())
    # Vectors stand in the order of the text, about equally far apart. Where exactly, only the encoder could tell, and
    # asking it takes longer than the rest of a search.
    each = len(page.page.text) / found.shape[1]
    return [
        Meeting(int(at * each), int(at * each + each) + 1, f"vector {number}", 4.0 * float(score))
        for number, (at, score) in enumerate(zip(best, scores, strict=True))
        if score > 0 and score >= least
    ]
