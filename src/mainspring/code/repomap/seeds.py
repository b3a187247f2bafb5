"""What a task, failing tests and open files point to in a repository."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mainspring.code.repomap.known import Known
from mainspring.code.repomap.words import identifiers, mentioned_paths, words

if TYPE_CHECKING:
    from mainspring.code.index import CodeIndex, Graph

__all__ = ["Place", "likeness", "named_files", "named_symbols", "places"]

#: A name that more files than this define does not say which one is meant.
_MANY = 12
#: Words of a test's path that say no more than that.
_OF_TESTS = frozenset({"test", "spec"})
_LOOKS_LIKE_CODE = re.compile(r"_|[a-z][A-Z]|[A-Z]{2}[a-z]|^[A-Z][a-z]+[A-Z]")


@dataclass(slots=True)
class Place:
    """A file that was given, and what of it.

    Args:
        file: its number in the graph.
        inside: names on the way to one test or symbol in it, such as ``["TestStore", "test_get"]``; [] for all of it.
    """

    file: int
    inside: list[str] = field(default_factory=list)


def places(index: CodeIndex, given: Iterable[str]) -> list[Place]:
    """The indexed files among paths, ids of tests (``tests/a.py::TestA::test_b``) and dotted names of tests.

    What is not indexed is left out: a map can say nothing about it.
    """
    found: list[Place] = []
    for item in given:
        path, *inside = item.split("::")
        place = _place(index, path)
        if place is None and not inside and "/" not in path:
            place = _dotted(index.graph, path)
        if place is not None:
            # "test_get[1-2]" is one case of test_get.
            place.inside += [name.partition("[")[0] for name in inside]
            found.append(place)
    return found


def _place(index: CodeIndex, path: str) -> Place | None:
    if os.path.isabs(path):
        path = os.path.relpath(path, index.root)
    number = index.graph.number(os.path.normpath(path).replace(os.sep, "/"))
    return None if number is None else Place(number)


def _dotted(graph: Graph, name: str) -> Place | None:
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        start = "/".join(parts[:count])
        for path in (f"{start}.py", f"{start}/__init__.py"):
            number = graph.number(path)
            if number is not None:
                return Place(number, parts[count:])
    return None


def named_files(graph: Graph, kept: Known, text: str) -> dict[int, float]:
    """Files whose paths or dotted names stand in a text -> how surely, from 0 to 1."""
    found: dict[int, float] = {}
    for mention in mentioned_paths(text):
        parts = [part for part in mention.split("/") if part]
        if not parts:
            continue
        ends = [mention.strip("/")]
        if "/" not in mention.strip("/"):
            dotted = mention.split(".")
            ends += [
                end for count in range(len(dotted), 0, -1) for end in _module_paths(dotted[:count]) if len(dotted) > 1
            ]
        for end in ends:
            files = [
                file
                for file in kept.with_base(graph, end.rpartition("/")[2])
                if ("/" + graph.path(file)).endswith("/" + end)
            ]
            if files:
                for file in files:
                    found[file] = max(found.get(file, 0.0), 1 / len(files))
                break
    return found


def _module_paths(parts: list[str]) -> tuple[str, ...]:
    start = "/".join(parts)
    return (f"{start}.py", f"{start}/__init__.py") if len(parts) > 1 else ()


def named_symbols(graph: Graph, text: str) -> dict[int, float]:
    """Files that define what a text names -> how much: names that look like code count most, common ones least."""
    found: dict[int, float] = {}
    for name in identifiers(text):
        number = graph.name_number(name)
        definers = graph.definers(number) if number is not None else ()
        if not 0 < len(definers) <= _MANY:
            continue
        weight = (1.0 if _LOOKS_LIKE_CODE.search(name.strip("_")) else 0.3) / len(definers)
        for file in definers:
            found[file] = found.get(file, 0.0) + weight
    return found


def likeness(graph: Graph, kept: Known, place: Place) -> dict[int, float]:
    """Files whose paths have the words of a test's path, from 0 to 1: ``tests/test_store.py`` is about ``store.py``."""
    wanted = set(words(graph.path(place.file).rpartition(".")[0])) - _OF_TESTS
    rare = {word: kept.rarity(graph, word) for word in wanted}
    size = sum(rare.values()) + 1
    found: dict[int, float] = {}
    for file, has in kept.path_words(graph):
        both = wanted & has
        if both:
            all_of_it = sum(kept.rarity(graph, word) for word in has) + 1
            found[file] = sum(rare[word] for word in both) / (all_of_it * size) ** 0.5
    return found
