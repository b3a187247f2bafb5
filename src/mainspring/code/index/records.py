"""What the index answers with. Paths are relative to the repository, with ``/``; lines count from 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["BlastRadius", "Change", "Found", "Hit", "Reference", "Refresh", "Symbol", "TestMatch"]


@dataclass(frozen=True, slots=True, order=True)
class Symbol:
    """Something that a file defines.

    Args:
        name: as it is called, such as ``get``.
        qualified: with what it stands in inside its file, such as ``Store.get``.
        kind: ``"function"``, ``"method"``, ``"class"``, ``"interface"``, ``"struct"``, ``"enum"``, ``"type"``,
            ``"constant"``, ``"macro"`` or ``"module"``.
        path: the file.
        first, last: the lines that it spans, decorators included.
        signature: its head on one line, at most 200 characters.
        language: such as ``"python"``.
    """

    name: str
    qualified: str
    kind: str
    path: str
    first: int
    last: int
    signature: str
    language: str


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """A place that names something.

    Args:
        name: the identifier.
        path, line: where.
        kind: ``"call"``, ``"import"``, ``"inherit"``, ``"type"``, ``"read"`` or ``"attribute"``.
        inside: qualified name of the symbol that holds the place, "" at the top of a file.
        confidence: how sure it is that this names the symbol asked for, from 0 to 1; 1 in the same file or through a
            resolved import, less where only the name agrees.
        excerpt: the line, at most 160 characters.
    """

    name: str
    path: str
    line: int
    kind: str
    inside: str
    confidence: float = 1.0
    excerpt: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """The definitions of a name.

    Args:
        symbols: best first; empty when nothing has the name.
        how: ``"exact"``, ``"qualified"`` (the end of a qualified name) or ``"none"``.
        suggestions: names that resemble it, when nothing has it.
    """

    symbols: tuple[Symbol, ...]
    how: str
    suggestions: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.symbols)


@dataclass(frozen=True, slots=True)
class TestMatch:
    """A test that exercises something.

    Args:
        symbol: the test function, or the test file's first symbol.
        test: what a runner takes, such as ``tests/test_store.py::TestStore::test_get``.
        distance: calls between the test and what it tests; 1 when the test names it itself, 0 when it was changed.
        why: ``"names it"``, ``"through NAME"``, ``"imports it"``, ``"named after it"``, ``"covers it"`` (recorded
            coverage) or ``"changed"``.
    """

    __test__ = False  # no test class for pytest

    symbol: Symbol
    test: str
    distance: int
    why: str


@dataclass(frozen=True, slots=True)
class BlastRadius:
    """What a change may touch.

    Args:
        symbols: the changed symbols.
        callers: places that call, inherit or otherwise name them, surest first.
        further: symbols that reach them through others, nearest first.
        importers: files that import a changed file.
        tests: tests to run, in this order.
        public: changed symbols that are part of the public face (no leading underscore, used or exported elsewhere).
        together: files that commits often changed together with the changed ones.
    """

    symbols: tuple[Symbol, ...]
    callers: tuple[Reference, ...]
    further: tuple[Symbol, ...]
    importers: tuple[str, ...]
    tests: tuple[TestMatch, ...]
    public: tuple[Symbol, ...]
    together: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """A place that a search found.

    Args:
        path, line: where.
        excerpt: the line.
        score: for comparison with other hits of the same search only.
        symbol: the definition that the line belongs to, if any.
    """

    path: str
    line: int
    excerpt: str
    score: float
    symbol: Symbol | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """How a file changed in the last commits that were looked at.

    Args:
        path: the file.
        commits: how many of them touched it.
        age: how many commits ago it was last touched; 0 in the newest.
        when: time of that commit, in seconds since 1970.
        together: file -> in how many of these commits it changed as well; commits of very many files do not count.
    """

    path: str
    commits: int
    age: int
    when: int
    together: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refresh:
    """What a refresh did.

    Args:
        files: indexed files now.
        symbols, references: in them.
        parsed: files that were parsed, because they are new or changed.
        removed: files that are gone.
        seconds: it took.
        notes: what was left out or is worth knowing, one line each, with counts.
    """

    files: int
    symbols: int
    references: int
    parsed: int
    removed: int
    seconds: float
    notes: tuple[str, ...] = ()
