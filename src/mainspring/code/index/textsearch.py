"""Search by names, by text, and by meaning where a library holds the repository, joined by reciprocal rank."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from mainspring.code.index.languages import is_test
from mainspring.code.index.records import Hit, Symbol
from mainspring.code.index.words import cut

if TYPE_CHECKING:
    from mainspring.code.index.repository import CodeIndex
    from mainspring.library import Library

__all__ = ["search"]

#: Reciprocal rank fusion's constant (Cormack, Clarke, Büttcher: "Reciprocal rank fusion outperforms Condorcet and
#: individual rank learning methods", SIGIR 2009).
_K = 60
_FILES = 60
_SYMBOLS = 60
_EXCERPT = 160
_SECONDS = 1.0
_WORD = re.compile(r"\w+")
_COMMON = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be by do does for from has have how if in is it its of on or that the this to was what "
        "when where which why with",
    )
)


def search(index: CodeIndex, query: str, limit: int, library: Library | None = None) -> tuple[Hit, ...]:
    """See `CodeIndex.search`."""
    whole = query.strip()
    spoken = [word for word in _WORD.findall(whole) if word.lower() not in _COMMON] or _WORD.findall(whole)
    words = list(dict.fromkeys(part for word in spoken[:40] for part in cut(word)))
    if not whole or limit < 1:
        return ()
    with index.lock:
        named = _by_name(index, spoken, words)
        files = index.candidates(words, _FILES)
        literal = _by_text(index, whole, words, files)
    scores: dict[tuple[str, int], float] = {}
    symbols: dict[tuple[str, int], Symbol] = {}
    excerpts: dict[tuple[str, int], str] = {}
    for rank, symbol in enumerate(named):
        place = (symbol.path, symbol.first)
        scores[place] = scores.get(place, 0.0) + 1 / (_K + rank)
        symbols[place] = symbol
        excerpts.setdefault(place, symbol.signature[:_EXCERPT])
    for rank, (path, line, excerpt) in enumerate(literal):
        place = (path, line)
        scores[place] = scores.get(place, 0.0) + 1 / (_K + rank)
        excerpts[place] = excerpt
    for rank, (path, line, excerpt) in enumerate(_by_meaning(index, whole, library) if library else ()):
        place = (path, line)
        scores[place] = scores.get(place, 0.0) + 1 / (_K + rank)
        excerpts.setdefault(place, excerpt)
    best = sorted(scores, key=lambda p: (-scores[p], is_test(p[0]), p))[:limit]
    found = []
    for path, line in best:
        holder = symbols.get((path, line)) or _holder(index, path, line)
        found.append(Hit(path, line, excerpts[path, line], round(scores[path, line], 6), holder))
    return tuple(found)


def _by_name(index: CodeIndex, spoken: list[str], words: list[str]) -> list[Symbol]:
    """Symbols whose names share words with the query: those spelled as in it first, then by the words shared."""
    graph = index.graph
    exact = {word.lower() for word in spoken}
    wanted = set(words)
    scored: list[tuple[float, str, int]] = []
    seen: dict[int, float] = {}
    for file in graph.files():
        for name in graph.defines(file):
            score = seen.get(name)
            if score is None:
                text = graph.names[name]
                parts = cut(text)
                shared = len(wanted.intersection(parts))
                score = shared + shared / (len(parts) or 1) + (3 if text.lower() in exact else 0) if shared else 0.0
                seen[name] = score
            if score:
                scored.append((-score, graph.path(file), name))
    scored.sort(key=lambda s: (s[0], is_test(s[1]), s[1], graph.names[s[2]]))
    found: list[Symbol] = []
    for _, path, name in scored[:_SYMBOLS]:
        text = graph.names[name]
        found.extend(s for s in index.symbols(path) if s.name == text)
    return list(dict.fromkeys(found))[:_SYMBOLS]


def _by_text(index: CodeIndex, whole: str, words: list[str], files: list[str]) -> list[tuple[str, int, str]]:
    """The best line of each file that the words lead to: one with the query as it is, else with most of its words."""
    exact: list[tuple[str, int, str]] = []
    partly: list[tuple[str, int, str]] = []
    until = time.monotonic() + _SECONDS
    low = whole.lower()
    for path in files:
        if time.monotonic() > until:
            break
        best, most = 0, 0
        lines = index.read_lines(path)
        for number, line in enumerate(lines, 1):
            text = line.lower()
            if low in text:
                best, most = number, len(words) + 1
                break
            count = sum(word in text for word in words)
            if count > most:
                best, most = number, count
        if best:
            row = (path, best, lines[best - 1].strip()[:_EXCERPT])
            (exact if most > len(words) else partly).append(row)
    return exact + partly


def _by_meaning(index: CodeIndex, whole: str, library: Library) -> list[tuple[str, int, str]]:
    """The pieces of this repository's files that are nearest in meaning: path, first line, and what stands there."""
    from mainspring.library.page import Where

    root = str(index.root.resolve())
    found = []
    for hit in library.search(whole, _FILES, Where(kinds=("code",), paths=(root + "/",)), mode="meaning"):
        path = hit.page.document.uri.removeprefix(root + "/")
        lines = index.read_lines(path)
        line = max(hit.page.page.line or 1, 1)
        if line <= len(lines) and lines[line - 1].strip():  # else it has changed since the library read it
            found.append((path, line, lines[line - 1].strip()[:_EXCERPT]))
    return found


def _holder(index: CodeIndex, path: str, line: int) -> Symbol | None:
    holding = [s for s in index.symbols(path) if s.first <= line <= s.last]
    return max(holding, key=lambda s: s.first, default=None)
