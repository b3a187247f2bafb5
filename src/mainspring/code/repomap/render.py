"""The lines of a map: a heading for each file, the signatures that matter below it, cut to a budget."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mainspring.code.repomap.words import words
from mainspring.tools.names import printable

if TYPE_CHECKING:
    from mainspring.code.index import CodeIndex, Graph, Symbol

__all__ = ["FIRST", "Line", "draw", "fit", "lines_of"]

#: A signature longer than this is cut.
_SIGNATURE = 100
_MOST_SYMBOLS = 12
#: A file's first symbol is worth this much of the file itself, the next ones less and less.
FIRST, _FALL = 0.85, 0.78
_KINDS = {"class": 0.4, "interface": 0.4, "struct": 0.4, "enum": 0.2, "function": 0.2, "constant": -0.6, "macro": -0.3}
_SILENT_KINDS = frozenset({"declaration", "module"})


@dataclass(frozen=True, slots=True)
class Line:
    """A heading (no symbol) or a symbol of a map, and what it is worth."""

    file: int
    worth: float
    symbol: Symbol | None = None


def lines_of(index: CodeIndex, file: int, score: float, query: Mapping[str, float], seen: frozenset[int]) -> list[Line]:
    """The heading and the best symbols of one file.

    Args:
        score: of the file.
        query: words of the task with their weights.
        seen: numbers of names that the failing tests and the open files use.
    """
    graph = index.graph
    found = [Line(file, score)]
    symbols = [s for s in index.symbols(graph.path(file)) if s.kind not in _SILENT_KINDS]
    rated = sorted(((_rate(graph, s, query, seen), -s.first, s) for s in symbols), key=lambda r: r[:2], reverse=True)
    taken: set[str] = set()
    worth = score * FIRST
    for _, _, symbol in rated:
        if symbol.qualified in taken:  # an overload
            continue
        taken.add(symbol.qualified)
        found.append(Line(file, worth, symbol))
        worth *= _FALL
        if len(taken) == _MOST_SYMBOLS:
            break
    return found


def _rate(graph: Graph, symbol: Symbol, query: Mapping[str, float], seen: frozenset[int]) -> float:
    number = graph.name_number(symbol.name)
    rating = _KINDS.get(symbol.kind, 0.0)
    if number is not None:
        definers = max(1, len(graph.definers(number)))
        rating += math.log1p(len(graph.users(number)) / definers) / 3
        if number in seen:
            rating += 1.5 / math.sqrt(definers)
    own = set(words(symbol.qualified))
    if own:
        fits = sum(query.get(word, 0.0) for word in own)
        rating += 1.2 * fits / math.sqrt(len(own))
    if symbol.name.startswith("__"):
        rating -= 0.8
    elif symbol.name.startswith("_"):
        rating -= 0.3
    return rating


def draw(graph: Graph, lines: Sequence[Line]) -> str:
    """The map's text: files in the order in which they were taken, symbols by line, what is left out as an ellipsis.

    A file whose symbols are left out is one line; a method stands below its class where both are shown.
    """
    by_file: dict[int, list[Symbol]] = {}
    for line in lines:
        shown = by_file.setdefault(line.file, [])
        if line.symbol is not None:
            shown.append(line.symbol)
    text: list[str] = []
    for file, symbols in by_file.items():
        path = _plain(graph.path(file))
        if not symbols:
            text.append(path)
            continue
        text.append(f"{path}:")
        text.extend(_signatures(symbols))
    return "\n".join(text) + "\n" if text else ""


def _signatures(symbols: Sequence[Symbol]) -> list[str]:
    found: list[str] = []
    open_: list[Symbol] = []
    for symbol in sorted(symbols, key=lambda s: (s.first, -s.last)):
        while open_ and not open_[-1].first <= symbol.first <= symbol.last <= open_[-1].last:
            open_.pop()
        signature = _short(symbol, inside=bool(open_))
        found.append(f"{' ' * (len(open_) + 1)}{symbol.first} {signature}")
        open_.append(symbol)
    return found


def _short(symbol: Symbol, inside: bool) -> str:
    """The signature on one line; a method away from its class is told with it."""
    text = _plain(symbol.signature) or _plain(symbol.name)
    owner = symbol.qualified.rpartition(".")[0]
    if owner and not inside and symbol.name in text:
        text = text.replace(symbol.name, _plain(symbol.qualified), 1)
    return text if len(text) <= _SIGNATURE else text[: _SIGNATURE - 3].rstrip() + "..."


def _plain(text: str) -> str:
    return text if text.isprintable() else printable(text)


def fit(graph: Graph, lines: Sequence[Line], budget: int, count: Callable[[str], int]) -> tuple[str, int, int]:
    """As many of the worthiest lines as the budget holds, found by bisection.

    Args:
        lines: worthiest first; a file's heading before its symbols.
        budget: in tokens.
        count: tokens of a text.

    Returns:
        The text, its tokens, and how many lines were taken.
    """
    low, high = 0, len(lines)
    best = ("", 0, 0)
    guess = min(high, max(1, budget // 12))
    # A last line more or less is not worth another drawing of a long map.
    while high - low > low // 200:
        text = draw(graph, lines[:guess])
        tokens = count(text)
        if tokens <= budget:
            low, best = guess, (text, tokens, guess)
        else:
            high = guess - 1
        guess = (low + high + 1) // 2
    return best
