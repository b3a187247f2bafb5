"""Search in a library: words and meaning fused, snippets, neighbours, and why a page was found."""

from mainspring.library.search.explain import Explanation, Met, explain
from mainspring.library.search.find import MAX_K, MODES, Mode, Side, find
from mainspring.library.search.neighbours import Neighbours, neighbours
from mainspring.library.search.query import Query, parse

__all__ = [
    "MAX_K",
    "MODES",
    "Explanation",
    "Met",
    "Mode",
    "Neighbours",
    "Query",
    "Side",
    "explain",
    "find",
    "neighbours",
    "parse",
]
