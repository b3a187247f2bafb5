"""Why a page was found: which token of the query met which piece of the page, and how much."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mainspring.errors import ToolError
from mainspring.library.embed.protocol import Encoded, Item, Picture, Vectors
from mainspring.library.page import Hit, StoredPage
from mainspring.library.search.find import Side
from mainspring.library.search.near import compared, matrix, spans_of
from mainspring.library.search.query import parse
from mainspring.library.search.snippet import of_words, whole

if TYPE_CHECKING:
    from PIL.Image import Image

_WORD = re.compile(r"\w+")
#: Heat below this is not shown: every token resembles every other a little.
_LEAST_HEAT = 0.35


@dataclass(frozen=True, slots=True)
class Met:
    """A word of the query and what it met.

    Args:
        word: of the query; "" for a part of a picture that is the query.
        score: similarity (up to 1) of the best match; for a match of words, 1.
        found: the word of the page's text that it met; "" for a patch of a picture.
        start, end: which characters of the page's text that is; 0 for a patch.
        patch: (row, column) of the patch that it met, or None.
    """

    word: str
    score: float
    found: str
    start: int = 0
    end: int = 0
    patch: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a page was found.

    Args:
        page: what was found.
        met: what each word of the query met, in the query's order.
        heat: pieces of the page's text (start, end) with how much they answer the query, 0 to 1, in order.
        grid: rows and columns of the picture's patches; (0, 0) when it was not found as a picture.
        patches: how much each patch answers the query, 0 to 1, row by row.
        source: where a picture of the page comes from: a function of its width in pixels.
    """

    page: StoredPage
    met: tuple[Met, ...]
    heat: tuple[tuple[int, int, float], ...] = ()
    grid: tuple[int, int] = (0, 0)
    patches: tuple[float, ...] = ()
    source: Callable[[int], Image] | None = field(default=None, repr=False, compare=False)

    def text(self, marks: tuple[str, str] = ("[", "]")) -> str:
        """For people: what each word met, and the text around with the matches between `marks`.

        It holds the page's words as they are; whoever prints it makes them harmless for their terminal.
        """
        lines = []
        for met in self.met:
            place = f"patch {met.patch[0] + 1},{met.patch[1] + 1}" if met.patch else repr(met.found)
            lines.append(f"{met.word or 'picture':<20} -> {place:<24} {met.score:.2f}")
        shown = self.marked(marks)
        return "\n".join([*lines, shown] if shown else lines)

    def marked(self, marks: tuple[str, str] = ("[", "]"), around: int = 120) -> str:
        """The text around the hottest place, with what is hot between `marks`."""
        if not self.heat:
            return ""
        text = self.page.page.text
        hottest = max(self.heat, key=lambda piece: piece[2])
        begin, end = whole(text, hottest[0] - around), whole(text, hottest[1] + around)
        shown, at = "", begin
        for start, stop, heat in self.heat:
            if heat >= _LEAST_HEAT and start >= at and stop <= end:
                shown += text[at:start] + marks[0] + text[start:stop] + marks[1]
                at = stop
        return shown + text[at:end]

    def picture(self, width: int = 1000) -> Image:
        """The page's picture with the heat drawn on it, `width` pixels wide.

        Raises:
            ToolError: the page has no picture, or its file is gone or has changed.
        """
        from mainspring.library.search.draw import drawn

        if self.source is None:
            raise ToolError(
                f"{self.page.document.uri}#{self.page.page.number} has no picture to draw on; its text is explained"
            )
        return drawn(self, self.source(width))


def explain(
    hit: Hit,
    query: str | Picture,
    sides: Sequence[Side] = (),
    *,
    source: Callable[[int], Image] | None = None,
    picture: Picture | None = None,
) -> Explanation:
    """Why a page was found.

    The page is encoded again where the index keeps no vectors that can be compared one by one, which takes as long as
    it took to index it.

    Args:
        sides: the spaces that were searched; the first that takes the query and holds the page explains it. Without
            any, words explain it.
        source: gives the page's picture, for :meth:`Explanation.picture`.
        picture: the page's picture for spaces of pictures; without it they explain nothing.

    Raises:
        ToolError: the query has no words.
        ModelError: the encoder failed.
    """
    page = hit.page
    asked = None if isinstance(query, Picture) else parse(query)
    for side in sides:
        kind = "image" if isinstance(query, Picture) else "text"
        if kind not in side.embedder.space.queries or not side.embedder.space.multi:
            continue
        item: Item = query if asked is None else asked.text
        shown = _shown(side, page, picture)
        if shown is None:
            continue
        (encoded,) = side.embedder.queries([item])
        if not len(encoded.vectors) or not len(shown.vectors):
            continue
        found = compared(side.index, side.embedder, page.id, encoded.vectors, shown)
        return _explained(page, "" if asked is None else asked.text, encoded, shown, found, source)
    return _by_words(page, "" if asked is None else asked.text, source)


def _shown(side: Side, page: StoredPage, picture: Picture | None) -> Encoded | None:
    """The page as this space sees it: with its index's own vectors only the spans are needed."""
    space = side.embedder.space
    if "text" in space.documents and page.page.text:
        import numpy as np

        spans = spans_of(side.embedder, page.page.text)
        kept = matrix(side.index, page.id, np.zeros((1, space.dim), np.float32))
        if spans is not None and kept is not None and kept.shape[1] == len(spans):
            return Encoded(np.zeros((len(spans), space.dim), np.float32), tuple(spans))
        return side.embedder.documents([page.page.text])[0]
    if "image" in space.documents and picture is not None:
        return side.embedder.documents([picture])[0]
    return None


def _explained(
    page: StoredPage,
    query: str,
    asked: Encoded,
    shown: Encoded,
    found: Vectors,
    source: Callable[[int], Image] | None,
) -> Explanation:
    import numpy as np

    best = found.argmax(axis=1)
    scores = found.max(axis=1)
    hot = _heat(found)
    rows, columns = shown.grid
    count = rows * columns
    met: dict[str, Met] = {}
    for number in range(len(found)):
        at, score = int(best[number]), float(scores[number])
        word = _word_at(query, asked.spans[number]) if number < len(asked.spans) else ""
        if word == "" and query:
            continue  # a mark of the encoder's own
        if at < count:
            one = Met(word, score, "", patch=(at // columns, at % columns))
        elif at < len(shown.spans) and shown.spans[at][1] > shown.spans[at][0]:
            start, end = _grown(page.page.text, *shown.spans[at])
            one = Met(word, score, page.page.text[start:end], start, end)
        else:
            continue
        key = word or f"part {number}"
        if key not in met or met[key].score < score:
            met[key] = one
    words: dict[tuple[int, int], float] = {}
    for span, heat in zip(shown.spans, hot, strict=False):
        if span[1] > span[0]:
            grown = _grown(page.page.text, *span)
            words[grown] = max(words.get(grown, 0.0), float(heat))
    pieces = tuple((start, end, heat) for (start, end), heat in sorted(words.items()))
    patches = tuple(float(h) for h in np.asarray(hot)[:count])
    return Explanation(page, tuple(met.values()), pieces, shown.grid, patches, source)


def _heat(found: Vectors) -> Vectors:
    """How much each vector of the page answers the query, 0 to 1: as good as a query vector's best match or less.

    A query vector counts from its median similarity, which is what it has with anything, and the more the better its
    best match is.
    """
    import numpy as np

    floor = np.median(found, axis=1, keepdims=True)
    best = found.max(axis=1, keepdims=True)
    share = np.clip((found - floor) / np.maximum(best - floor, 1e-6), 0.0, 1.0)
    weight = np.clip(best, 0.0, None) / max(float(best.max()), 1e-6)
    heat: Vectors = (weight * share**3).max(axis=0)
    return heat


def _by_words(page: StoredPage, query: str, source: Callable[[int], Image] | None) -> Explanation:
    meetings = of_words(page.page.text, query) if query else []
    text = page.page.text
    first: dict[str, Met] = {}
    for m in meetings:
        first.setdefault(m.what, Met(m.what, 1.0, text[m.start : m.end], m.start, m.end))
    top = max((m.weight for m in meetings), default=1.0)
    heat = tuple((m.start, m.end, max(m.weight / top, _LEAST_HEAT)) for m in meetings)
    return Explanation(page, tuple(first.values()), heat, source=source)


def _word_at(text: str, span: tuple[int, int]) -> str:
    start, end = _grown(text, *span)
    word = text[start:end].strip()
    return word if any(c.isalnum() for c in word) else ""


def _grown(text: str, start: int, end: int) -> tuple[int, int]:
    """The whole word that a piece of one belongs to, where the script has spaces; without spaces around it."""
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    end -= len(piece) - len(piece.rstrip()) if piece.strip() else 0
    if not text[start:end].isascii():
        return start, end
    for found in _WORD.finditer(text, max(start - 40, 0), min(end + 40, len(text))):
        if found.start() <= start and end <= found.end() and found.group().isascii():
            return found.start(), found.end()
    return start, end
