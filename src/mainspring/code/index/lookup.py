"""Definitions, references and what a reference means."""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mainspring.code.index.records import Found, Reference, Symbol

if TYPE_CHECKING:
    from mainspring.code.index.repository import CodeIndex

__all__ = ["confidence", "definition", "plain", "references"]

_EXCERPT = 160
_SUGGESTIONS = 5
#: How sure it is that a reference means a definition in another file, by what connects the two.
IMPORTED, REEXPORTED, SAME_FOLDER, ONLY_ONE, ONE_OF_MANY = 1.0, 0.9, 0.7, 0.6, 0.4
#: Kinds that are listed after others of the same name: they only say that there is such a thing.
_LAST = ("declaration", "constant")


def plain(name: str) -> str:
    """A name as it is kept: ``Store::get``, ``Store#get`` and ``store->get`` are ``Store.get``."""
    for mark in ("::", "#", "->"):
        name = name.replace(mark, ".")
    return name.strip().removesuffix("()").strip(".")


def definition(index: CodeIndex, name: str, path: str | None) -> Found:
    """See `CodeIndex.find_definition`."""
    wanted = plain(name)
    last = wanted.rpartition(".")[2]
    with index.lock:
        named = [s for s in _defined(index, last) if path is None or _below(s.path, path)]
        if wanted == last:
            if named:
                return Found(tuple(sorted(named, key=_order)), "exact")
        else:
            fitting = [s for s in named if s.qualified == wanted or s.qualified.endswith(f".{wanted}")]
            fitting = fitting or [s for s in named if _dotted_end(s, wanted)]
            if fitting:
                return Found(tuple(sorted(fitting, key=_order)), "qualified")
        return Found((), "none", _similar(index, last))


def references(index: CodeIndex, name: str, path: str | None) -> tuple[Reference, ...]:
    """See `CodeIndex.find_references`."""
    wanted = plain(name)
    last = wanted.rpartition(".")[2]
    with index.lock:
        meant = list(definition(index, wanted, path).symbols)
        others = [s for s in _defined(index, last) if s not in meant]
        number = index.graph.name_number(last)
        if number is None:
            return ()
        found: list[Reference] = []
        for user in sorted(index.graph.users(number), key=index.graph.path):
            where = index.graph.path(user)
            sure = confidence(index, where, meant, others)
            if sure > 0:
                found.extend(_places(index, where, last, sure))
    return tuple(sorted(found, key=lambda r: (-r.confidence, r.path, r.line, r.kind)))


def confidence(index: CodeIndex, where: str, meant: Iterable[Symbol], others: Iterable[Symbol] = ()) -> float:
    """How sure it is that a file's use of a name means one of these definitions; 0 when it means another one."""
    best = max((_connection(index, where, symbol.path) for symbol in meant), default=0.0)
    rival = max((_connection(index, where, symbol.path) for symbol in others), default=-1.0)
    if rival > best and rival >= SAME_FOLDER:
        return 0.0  # the name of its own file, or of an imported one
    if best == 0.0:
        return ONE_OF_MANY if any(True for _ in others) or not any(True for _ in meant) else ONLY_ONE
    return best if rival < best else min(best, ONE_OF_MANY)


def _connection(index: CodeIndex, where: str, defined: str) -> float:
    if where == defined:
        return 1.0
    graph = index.graph
    here, there = graph.number(where), graph.number(defined)
    if here is None or there is None:
        return 0.0
    if there in graph.imports(here):
        return IMPORTED
    if there in graph.reach(here):
        return REEXPORTED
    return SAME_FOLDER if where.rpartition("/")[0] == defined.rpartition("/")[0] else 0.0


def _places(index: CodeIndex, path: str, name: str, sure: float) -> Iterable[Reference]:
    facts, lines = index.facts(path), index.read_lines(path)
    seen = set()
    for line, kind, inside in facts.places(name):
        if (line, kind) in seen:
            continue
        seen.add((line, kind))
        holder = facts.symbols[inside - 1].qualified if 0 < inside <= len(facts.symbols) else ""
        excerpt = lines[line - 1].strip()[:_EXCERPT] if line <= len(lines) else ""
        yield Reference(name, path, line, kind, holder, sure, excerpt)


def _defined(index: CodeIndex, name: str) -> list[Symbol]:
    number = index.graph.name_number(name)
    if number is None:
        return []
    return [
        symbol
        for file in index.graph.definers(number)
        for symbol in index.facts(index.graph.path(file)).symbols
        if symbol.name == name
    ]


def _dotted_end(symbol: Symbol, wanted: str) -> bool:
    """Whether ``package.module.Class.name`` ends as wanted: the file's path counts as a part of the name."""
    whole = f"{symbol.path.rpartition('.')[0].removesuffix('/__init__').replace('/', '.')}.{symbol.qualified}"
    return whole == wanted or whole.endswith(f".{wanted}")


def _below(path: str, wanted: str) -> bool:
    wanted = wanted.rstrip("/")
    return wanted in ("", ".") or path == wanted or path.startswith(f"{wanted}/")


def _order(symbol: Symbol) -> tuple[object, ...]:
    from mainspring.code.index.languages import is_test

    return is_test(symbol.path), symbol.kind in _LAST, symbol.path, symbol.first, symbol.qualified


def _similar(index: CodeIndex, name: str) -> tuple[str, ...]:
    """Defined names that resemble one: in other case, then as parts, then by their letters."""
    graph, low = index.graph, name.lower()
    if not low:
        return ()
    defined = {n: graph.names[n] for file in graph.files() for n in graph.defines(file)}
    names = sorted(set(defined.values()))
    same = [n for n in names if n.lower() == low]
    squashed = low.replace("_", "")
    same += [n for n in names if n.lower().replace("_", "") == squashed and n not in same]
    parts = [n for n in names if low in n.lower() and n not in same]
    nearest = heapq.nsmallest(_SUGGESTIONS, parts, key=lambda n: (len(n), n))
    # Comparing letters takes a while, so only with names that begin alike.
    alike = [n for n in names if n[:1].lower() == low[0] and abs(len(n) - len(name)) <= 4][:20_000]
    close = difflib.get_close_matches(name, alike, n=_SUGGESTIONS, cutoff=0.7)
    return tuple(dict.fromkeys([*same, *close, *nearest]))[:_SUGGESTIONS]
