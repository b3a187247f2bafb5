"""Which files matter for a task: several weak signs, weighed together.

The weights were chosen on the development half of ``benchmarks/repo_map``.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mainspring.code.repomap.known import Known
from mainspring.code.repomap.seeds import Place, likeness, named_files, named_symbols
from mainspring.code.repomap.words import asked, words

if TYPE_CHECKING:
    from mainspring.code.index import Change, CodeIndex, Graph

__all__ = ["Question", "rank", "walk"]

#: The walk goes back to where it started with this probability at each step.
_RETURN = 0.5
_STEPS = 8
_SMALLEST = 1e-6
#: Files that fit the task's words best start the walk.
_STARTS = 40
#: Of very many failing tests, the first ones; the signs of the others are the same.
_MOST_TESTS = 25
_TEST_WORDS = 0.5

# How much each sign counts.
_WALK, _WORDS, _LIKENESS, _NAMED, _RECENT, _CENTRAL, _PATH = 1.0, 1.0, 1.0, 0.3, 0.3, 0.1, 1.5
# What a file's score is multiplied by.
_TEST, _ASIDE, _DOOR = 0.25, 0.3, 0.8
_ASIDE_FOLDERS = frozenset(
    {"doc", "docs", "example", "examples", "benchmarks", "third_party", "vendor", "node_modules"}
)
_DOORS = ("/__init__.py", "/index.ts", "/index.js", "/mod.rs")


@dataclass(slots=True)
class Question:
    """What a map is for.

    Args:
        task: in words.
        failing: failing tests; their files.
        opened: files that are open.
        recent: the last commits' changes.
    """

    task: str = ""
    failing: Sequence[Place] = ()
    opened: Sequence[Place] = ()
    recent: Sequence[Change] = ()
    words: dict[str, float] = field(default_factory=dict)


def rank(index: CodeIndex, kept: Known, question: Question) -> list[tuple[int, float]]:
    """Files and their scores, best first; open files and those of the failing tests are left out."""
    graph = index.graph
    given = {place.file for place in (*question.failing, *question.opened)}
    query: dict[str, float] = {word: min(count, 3) ** 0.5 for word, count in asked(question.task).items()}
    tested: dict[str, float] = {}
    for place in question.failing:
        for name in place.inside:
            for word in words(name):
                if word != "test":
                    tested[word] = _TEST_WORDS
    question.words = {**tested, **query}
    fits = kept.search(graph, question.words)
    named = named_symbols(graph, question.task)
    paths = named_files(graph, kept, question.task)
    start = _start(index, question, fits, named, paths)
    reached = walk(graph, kept, start) if start else _everywhere(graph, kept)
    alike = _alike(graph, kept, question.failing[:_MOST_TESTS])
    lately = _lately(graph, question)
    best_fit = max(fits.values(), default=0.0) or 1.0
    best_reach = max((v for f, v in reached.items() if f not in given and not index.is_test(graph.path(f))), default=0)
    found: list[tuple[int, float]] = []
    for file in graph.files():
        if file in given:
            continue
        score = (
            _WALK * math.sqrt(min(1.0, reached.get(file, 0.0) / (best_reach or 1.0)))
            + _WORDS * fits.get(file, 0.0) / best_fit
            + _LIKENESS * alike.get(file, 0.0)
            + _NAMED * min(1.0, named.get(file, 0.0))
            + _RECENT * lately.get(file, 0.0)
            + _CENTRAL * math.log1p(len(graph.importers(file))) / 8
            + _PATH * paths.get(file, 0.0)
        )
        found.append((file, score * _factor(index, graph.path(file), paths.get(file, 0.0))))
    found.sort(key=lambda item: (-item[1], graph.path(item[0])))
    return found


def _factor(index: CodeIndex, path: str, mentioned: float) -> float:
    if mentioned:
        return 1.0
    factor = _TEST if index.is_test(path) else 1.0
    if path.split("/", 1)[0].lower() in _ASIDE_FOLDERS:
        factor *= _ASIDE
    return factor * _DOOR if path.endswith(_DOORS) else factor


def _start(
    index: CodeIndex,
    question: Question,
    fits: Mapping[int, float],
    named: Mapping[int, float],
    paths: Mapping[int, float],
) -> dict[int, float]:
    """Where the walk starts, and how often at each place."""
    start: dict[int, float] = defaultdict(float)
    best = sorted(fits.items(), key=lambda item: (-item[1], item[0]))[:_STARTS]
    for file, fit in best:
        start[file] += 0.2 * (fit / best[0][1]) ** 2
    for file, weight in named.items():
        start[file] += min(2.0, weight)
    for file, weight in paths.items():
        start[file] += 2 * weight
    for share, places in ((3.0, question.failing), (2.0, question.opened)):
        for place in places:
            each = share / math.sqrt(len(places))
            inside = _used_inside(index, place)
            start[place.file] += each * (0.5 if inside else 1.0)
            total = sum(inside.values())
            for file, weight in inside.items():
                start[file] += each * 0.5 * weight / total
    return start


def _used_inside(index: CodeIndex, place: Place) -> dict[int, float]:
    """Files that define what one test uses; {} when the test is not found or the whole file was given."""
    if not place.inside:
        return {}
    graph = index.graph
    wanted = ".".join(place.inside)
    facts = index.facts(graph.path(place.file))
    spans = [(s.first, s.last) for s in facts.symbols if s.qualified == wanted or s.qualified.endswith("." + wanted)]
    if not spans:
        return {}
    used = {facts.names[n] for n, line in zip(facts.name, facts.line, strict=True) if _within(line, spans)}
    found: dict[int, float] = defaultdict(float)
    files, imports = len(graph.files()), graph.imports(place.file)
    for name in used:
        number = graph.name_number(name)
        definers = graph.definers(number) if number is not None else ()
        meant = [file for file in definers if file in imports] or definers
        if number is None or not 0 < len(meant) <= 5:
            continue
        for file in meant:
            found[file] += math.log(1 + files / max(1, len(graph.users(number)))) / len(meant)
    return found


def _within(line: int, spans: Sequence[tuple[int, int]]) -> bool:
    return any(first <= line <= last for first, last in spans)


def walk(graph: Graph, kept: Known, start: Mapping[int, float]) -> dict[int, float]:
    """How often a random walk along the edges that returns to `start` is at each file (personalised PageRank).

    Power iteration with a few steps: with a return as likely as not, what is farther away does not count.
    """
    total = sum(start.values())
    home = {file: weight / total for file, weight in start.items()}
    here = dict(home)
    for _ in range(_STEPS):
        there = {file: _RETURN * weight for file, weight in home.items()}
        for file, weight in here.items():
            if weight < _SMALLEST:
                continue
            edges = kept.edges(graph, file)
            whole = sum(edges.values())
            if not whole:
                continue
            for other, edge in edges.items():
                there[other] = there.get(other, 0.0) + (1 - _RETURN) * weight * edge / whole
        here = there
    return here


def _everywhere(graph: Graph, kept: Known) -> dict[int, float]:
    """Without any question, what everything leads to."""
    return walk(graph, kept, dict.fromkeys(graph.files(), 1.0)) if graph.files() else {}


def _alike(graph: Graph, kept: Known, tests: Sequence[Place]) -> dict[int, float]:
    found: dict[int, float] = {}
    for place in {place.file: place for place in tests}.values():
        for file, weight in likeness(graph, kept, place).items():
            found[file] = max(found.get(file, 0.0), weight)
    return found


def _lately(graph: Graph, question: Question) -> dict[int, float]:
    """Files that changed lately, and those that commits changed together with the given ones; from 0 to 1."""
    given = {graph.path(place.file) for place in (*question.failing, *question.opened)}
    found: dict[int, float] = defaultdict(float)
    for change in question.recent:
        number = graph.number(change.path)
        if number is not None:
            found[number] += 0.9**change.age * 0.5 + 0.1 * min(5, change.commits) / (1 + change.age) ** 0.5
        if change.path in given:
            for path, count in change.together.items():
                other = graph.number(path)
                if other is not None:
                    found[other] += 0.5 * count / change.commits
    return {file: min(1.0, weight) for file, weight in found.items()}
