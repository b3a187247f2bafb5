"""What a change may touch: callers, importers and the tests to run."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from mainspring.code.index import lookup
from mainspring.code.index.languages import is_test
from mainspring.code.index.records import BlastRadius, Reference, Symbol, TestMatch
from mainspring.code.patch import Patch
from mainspring.errors import ToolError

if TYPE_CHECKING:
    from mainspring.code.index.repository import CodeIndex

__all__ = ["Coverage", "blast_radius", "tests_for"]

#: Recorded coverage: test -> file -> lines that it ran.
Coverage = Mapping[str, Mapping[str, Sequence[int]]]

_DEPTH = 3
#: A name that more files use than this is not followed further: nearly everything would be reached through it.
_MANY_USERS = 60
_MOST = 2_000
_MOST_TESTS = 200
_SURE = 0.5
_TEST_FUNCTION = re.compile(r"^(?:test|Test|Benchmark|Fuzz|Example|should|it_)|_test$|Test$")


def tests_for(index: CodeIndex, name_or_path: str, coverage: Coverage | None) -> tuple[TestMatch, ...]:
    """See `CodeIndex.tests_for`."""
    with index.lock:
        if index.graph.number(name_or_path) is not None:
            symbols = list(index.symbols(name_or_path))
            return _tests(index, symbols, [name_or_path], coverage, _DEPTH)[:_MOST_TESTS]
        found = index.find_definition(name_or_path)
        paths = [] if found.symbols else _missing(name_or_path, found.suggestions)
        return _tests(index, found.symbols, paths, coverage, _DEPTH)[:_MOST_TESTS]


def blast_radius(index: CodeIndex, change: Patch | Sequence[str] | str, depth: int) -> BlastRadius:
    """See `CodeIndex.blast_radius`."""
    with index.lock:
        symbols, paths = _changed(index, change)
        touched = {(s.path, s.qualified) for s in symbols}
        callers: dict[tuple[str, int, str], Reference] = {}
        for symbol in symbols:
            for found in lookup.references(index, symbol.qualified, symbol.path):
                if (found.path, found.inside) not in touched and found.confidence >= lookup.ONE_OF_MANY:
                    callers.setdefault((found.path, found.line, found.name), found)
        reached = _reach(index, symbols, depth)
        further = tuple(s for s, distance, _ in reached if distance > 1 and not is_test(s.path))
        importers = _importers(index, paths)
        tests = _tests(index, symbols, paths, None, depth, reached)[:_MOST_TESTS]
        direct = sorted(callers.values(), key=lambda r: (-r.confidence, is_test(r.path), r.path, r.line))
        public = tuple(s for s in symbols if _public(s))
        changes = {c.path: c.together for c in index.recent() if c.path in paths}
        counts: dict[str, int] = {}
        for others in changes.values():
            for other, count in others.items():
                if other not in paths and count > 1:
                    counts[other] = counts.get(other, 0) + count
        together = tuple(sorted(counts, key=lambda p: (-counts[p], p))[:10])
        return BlastRadius(tuple(symbols), tuple(direct[:_MOST]), further[:_MOST], importers, tests, public, together)


def _changed(index: CodeIndex, change: Patch | Sequence[str] | str) -> tuple[list[Symbol], list[str]]:
    """The symbols and files that a change names; for a patch, those whose lines it changes.

    The index may be of the state before the patch or after it: lines of both sides count.
    """
    if isinstance(change, Patch):
        symbols: dict[Symbol, None] = {}
        for one in change.changes:
            known = index.symbols(one.path)
            lines = sorted(set(one.added_lines()) | set(one.removed_lines()))
            for line in lines:
                holding = [s for s in known if s.first <= line <= s.last]
                if holding:
                    symbols[max(holding, key=lambda s: (s.first, -s.last))] = None
        return list(symbols), list(change.paths)
    found: dict[Symbol, None] = {}
    paths: dict[str, None] = {}
    for item in [change] if isinstance(change, str) else change:
        if index.graph.number(item) is not None:
            paths[item] = None
            found.update(dict.fromkeys(index.symbols(item)))
            continue
        path, colon, name = item.rpartition(":")
        inside = path.rstrip(":") if colon and index.graph.number(path.rstrip(":")) is not None else None
        definition = index.find_definition(name if inside else item, inside)
        if not definition:
            _missing(item, definition.suggestions)
        found.update(dict.fromkeys(definition.symbols))
        paths.update(dict.fromkeys(s.path for s in definition.symbols))
    return list(found), list(paths)


def _missing(item: str, suggestions: Sequence[str]) -> list[str]:
    hint = f"; similar names: {', '.join(suggestions)}" if suggestions else ""
    raise ToolError(f"{item!r} is neither an indexed file nor a defined name{hint}")


def _reach(index: CodeIndex, symbols: Iterable[Symbol], depth: int) -> list[tuple[Symbol, int, str]]:
    """Symbols from which these are reached -> (symbol, how many calls away, through what), nearest first."""
    seen: dict[tuple[str, str], tuple[Symbol, int, str]] = {}
    edge = list(symbols)
    start = {(s.path, s.qualified) for s in edge}
    for distance in range(1, depth + 1):
        following: list[Symbol] = []
        for symbol in edge:
            number = index.graph.name_number(symbol.name)
            if number is None or (distance > 1 and len(index.graph.users(number)) > _MANY_USERS):
                continue
            for caller in _callers(index, symbol):
                key = (caller.path, caller.qualified)
                if key not in seen and key not in start and len(seen) < _MOST:
                    seen[key] = (caller, distance, symbol.qualified)
                    following.append(caller)
        edge = following
    return sorted(seen.values(), key=lambda f: (f[1], f[0].path, f[0].first))


def _callers(index: CodeIndex, symbol: Symbol) -> list[Symbol]:
    """Symbols that name one, where it is likely that it is meant."""
    graph = index.graph
    number = graph.name_number(symbol.name)
    if number is None:
        return []
    others = [s for s in index.find_definition(symbol.name).symbols if s.path != symbol.path]
    found: dict[Symbol, None] = {}
    for user in sorted(graph.users(number), key=graph.path):
        path = graph.path(user)
        if lookup.confidence(index, path, [symbol], others) < _SURE:
            continue
        facts = index.facts(path)
        for _, _, inside in facts.places(symbol.name):
            if 0 < inside <= len(facts.symbols):
                found[facts.symbols[inside - 1]] = None
    return list(found)


def _tests(
    index: CodeIndex,
    symbols: Iterable[Symbol],
    paths: Sequence[str],
    coverage: Coverage | None,
    depth: int,
    reached: list[tuple[Symbol, int, str]] | None = None,
) -> tuple[TestMatch, ...]:
    symbols = list(symbols)
    found: dict[str, TestMatch] = {}

    def add(symbol: Symbol, distance: int, why: str) -> None:
        if is_test(symbol.path) and (symbol.kind in ("class", "function", "method")):
            match = TestMatch(symbol, _identity(symbol), distance, why)
            known = found.get(match.test)
            if known is None or distance < known.distance:
                found[match.test] = match

    for symbol in symbols:
        if _is_test_symbol(symbol):
            add(symbol, 0, "changed")
    for test, files in sorted((coverage or {}).items()):
        ran = [s for s in symbols if any(s.first <= line <= s.last for line in files.get(s.path, ()))]
        if ran or (not symbols and any(path in files for path in paths)):
            stand_in = ran[0] if ran else Symbol(test, test, "function", test.split("::")[0], 1, 1, "", "")
            found[test] = TestMatch(stand_in, test, 1, "covers it")
    for symbol, distance, through in _reach(index, symbols, depth) if reached is None else reached:
        if _is_test_symbol(symbol):
            add(symbol, distance, "names it" if distance == 1 else f"through {through}")
    if not found:
        for path in dict.fromkeys([*paths, *(s.path for s in symbols)]):
            for test in _test_files(index, path):
                for symbol in index.symbols(test):
                    if _is_test_symbol(symbol) and symbol.kind != "class":
                        add(symbol, depth + 1, _why(test, path))
    return tuple(sorted(found.values(), key=lambda t: (t.distance, t.why != "named after it", t.test)))


def _test_files(index: CodeIndex, path: str) -> list[str]:
    """Test files that import a file or are named after it."""
    number = index.graph.number(path)
    importing = {index.graph.path(f) for f in index.graph.importers(number)} if number is not None else set()
    named = {f for f in index.files() if is_test(f) and f != path and _named_after(f, path)}
    return sorted(named | {f for f in importing if is_test(f)})


def _why(test: str, path: str) -> str:
    return "named after it" if _named_after(test, path) else "imports it"


def _named_after(test: str, path: str) -> bool:
    stem = posixpath.basename(test).partition(".")[0]
    bare = re.sub(r"^tests?_|_tests?$|Tests?$|^Test", "", stem)
    return bool(bare) and bare == posixpath.basename(path).partition(".")[0]


def _is_test_symbol(symbol: Symbol) -> bool:
    return is_test(symbol.path) and bool(_TEST_FUNCTION.search(symbol.name) or symbol.language in ("rust", "java"))


def _identity(symbol: Symbol) -> str:
    """What a runner takes to run one test; files for languages whose runners go by files."""
    if symbol.language == "python":
        return f"{symbol.path}::{symbol.qualified.replace('.', '::')}"
    if symbol.language in ("go", "rust", "java"):
        return f"{symbol.path}::{symbol.qualified}"
    return symbol.path


def _importers(index: CodeIndex, paths: Iterable[str]) -> tuple[str, ...]:
    graph, found = index.graph, set()
    for path in paths:
        number = graph.number(path)
        if number is not None:
            found |= {graph.path(file) for file in graph.importers(number)}
    return tuple(sorted(found - set(paths), key=lambda p: (is_test(p), p)))


def _public(symbol: Symbol) -> bool:
    """Whether others outside may use it, by the custom of its language."""
    if is_test(symbol.path):
        return False
    parts = symbol.qualified.split(".")
    if symbol.language == "python":
        special = symbol.name.startswith("__") and symbol.name.endswith("__")
        return not any(part.startswith("_") for part in (parts[:-1] if special else parts))
    if symbol.language == "go":
        return symbol.name[:1].isupper()
    if symbol.language == "rust":
        return symbol.signature.startswith("pub")
    if symbol.language == "java":
        return "public " in symbol.signature or symbol.kind == "interface"
    if symbol.language in ("c", "cpp"):
        return not symbol.signature.startswith("static ")
    return not symbol.name.startswith(("_", "#"))
