"""What the map keeps of an index between two maps, brought up to date at little cost after an edit."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from mainspring.code.repomap.words import words

if TYPE_CHECKING:
    from mainspring.code.index import CodeIndex, Graph

__all__ = ["Known", "known"]

#: BM25: how soon more of the same word stops counting, and how much long files are held back.
_SATURATION, _LENGTH = 1.5, 0.5
#: A definition says more about a file than a use, and its path more than both.
_DEFINES, _USES_AT_MOST, _PATH = 3.0, 4, 5.0
#: A word with more places than this many for each file is in every file: looking at them costs time and tells nothing.
_EVERYWHERE = 8
#: Of several files that define a name, so many can be meant.
_MANY_DEFINERS = 24


class Known:
    """Words and edges of one graph; see :func:`known`."""

    def __init__(self) -> None:
        self._version = -1
        self._by_word: dict[str, list[int]] = defaultdict(list)
        self._named = 0
        self._in_path: dict[str, list[int]] = defaultdict(list)
        self._words_of: dict[int, frozenset[str]] = {}
        self._by_base: dict[str, list[int]] = defaultdict(list)
        self._placed = 0
        self._waiting: list[int] = []
        self._edges: dict[int, dict[int, float]] = {}

    def sync(self, graph: Graph, version: int) -> None:
        """Take in names and files that are new; the numbers of old ones stay."""
        for name in range(self._named, len(graph.names)):
            for word in set(words(graph.names[name])):
                self._by_word[word].append(name)
        self._named = len(graph.names)
        fresh, self._waiting = [*self._waiting, *range(self._placed, len(graph.paths))], []
        for file in fresh:
            path = graph.paths[file]
            if path is None:  # came and went between two maps; it may come back
                self._waiting.append(file)
                continue
            self._words_of[file] = frozenset(words(path.rpartition(".")[0] or path))
            for word in self._words_of[file]:
                self._in_path[word].append(file)
            self._by_base[path.rpartition("/")[2]].append(file)
        self._placed = len(graph.paths)
        if version != self._version:
            self._edges.clear()
            self._version = version

    def with_base(self, graph: Graph, base: str) -> list[int]:
        """Files of this name in any folder."""
        return [file for file in self._by_base.get(base, ()) if graph.paths[file] is not None]

    def path_words(self, graph: Graph) -> Iterator[tuple[int, frozenset[str]]]:
        """The files that are there, with the words of their paths (without what follows the last dot)."""
        for file in graph.files():
            yield file, self._words_of[file]

    def rarity(self, graph: Graph, word: str) -> float:
        """How much a word of a path tells, by how few paths have it."""
        return math.log(1 + len(graph.files()) / (1 + len(self._in_path.get(word, ()))))

    def search(self, graph: Graph, query: Mapping[str, float]) -> dict[int, float]:
        """Files by how well the names in them and their paths fit the words of a query (BM25)."""
        files = graph.files()
        total: dict[int, float] = defaultdict(float)
        if not files or not query:
            return total
        mean = sum(_length(graph, file) for file in files) / len(files)
        for word, weight in query.items():
            counts = self._counts(graph, word)
            if not counts:
                continue
            rare = math.log(1 + (len(files) - len(counts) + 0.5) / (len(counts) + 0.5))
            for file, count in counts.items():
                held = 1 - _LENGTH + _LENGTH * _length(graph, file) / mean
                total[file] += rare * weight * count * (_SATURATION + 1) / (count + _SATURATION * held)
        return total

    def edges(self, graph: Graph, file: int) -> dict[int, float]:
        """Files that a file's names point to, with weights.

        A name counts by the square root of how often it is used and by its rarity; of several files that define it,
        imported ones are meant, else all of them share it.
        """
        found = self._edges.get(file)
        if found is None:
            found = self._edges[file] = _edges(graph, file)
        return found

    def _counts(self, graph: Graph, word: str) -> dict[int, float]:
        names = self._by_word.get(word, ())
        places = sum(len(graph.users(name)) + len(graph.definers(name)) for name in names)
        if places > _EVERYWHERE * len(graph.files()):
            return {}
        counts: dict[int, float] = defaultdict(float)
        for name in names:
            for file in graph.users(name):
                counts[file] += min(graph.uses(file)[name], _USES_AT_MOST)
            for file in graph.definers(name):
                counts[file] += _DEFINES
        for file in self._in_path.get(word, ()):
            if graph.paths[file] is not None:
                counts[file] += _PATH
        return counts


def _length(graph: Graph, file: int) -> float:
    return 10 + len(graph.uses(file)) + _DEFINES * len(graph.defines(file))


def _edges(graph: Graph, file: int) -> dict[int, float]:
    own, imports, files = set(graph.defines(file)), graph.imports(file), len(graph.files())
    edges = dict.fromkeys(imports, 0.0)
    for name, count in graph.uses(file).items():
        definers = graph.definers(name)
        if not definers or name in own:
            continue
        meant = [other for other in definers if other in imports] or definers
        if len(meant) > _MANY_DEFINERS:
            continue
        share = math.sqrt(count) * math.log(1 + files / max(1, len(graph.users(name)))) / len(meant)
        for other in meant:
            edges[other] = edges.get(other, 0.0) + share
    return edges


_KNOWN: WeakKeyDictionary[CodeIndex, Known] = WeakKeyDictionary()


def known(index: CodeIndex) -> Known:
    """What is kept of this index, brought up to date. Hold the index's lock."""
    found = _KNOWN.get(index)
    if found is None:
        found = _KNOWN[index] = Known()
    found.sync(index.graph, index.version)
    return found
