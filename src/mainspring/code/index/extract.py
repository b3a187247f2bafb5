"""Definitions and references of one file, by tree-sitter queries."""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from mainspring.code.index import imported
from mainspring.code.index.facts import KINDS, Facts
from mainspring.code.index.languages import MAX_DEPTH, Language, tools_for
from mainspring.code.index.records import Symbol

if TYPE_CHECKING:
    from tree_sitter import Node

__all__ = ["extract"]

_SIGNATURE = 200
_NAME = 200
#: Children of one damaged node after which the rest of a file cannot be told apart: the query takes time with the
#: square of their number.
_MOST_BROKEN = 10_000
#: Punctuation in a row that no person writes, for the same reason.
_PUNCTUATION = re.compile(rb"(?:[^\w\s\x80-\xff]\s*){5000}")
_SPACE = re.compile(r"\s+")
#: Names that say nothing about who is meant.
_EMPTY = frozenset({b"self", b"cls", b"this", b"super", b"_", b"None", b"True", b"False"})
#: Kinds of definitions that hold others, as they count for a qualified name.
_HOLDS = frozenset({"class", "interface", "struct", "enum", "module", "function", "method", "scope"})
_OWNERS = frozenset({"class", "interface", "struct", "enum", "scope"})
#: Of two definitions at one place, the one that says more.
_SAYS_LITTLE = {"constant": 1, "type": 2, "declaration": 3}


class _Definition(NamedTuple):
    start: int
    end: int
    kind: str
    node: Node


def extract(path: str, data: bytes, language: Language) -> Facts:
    """What a file defines and uses. Broken syntax is read as far as the parser recovers, and noted."""
    if _PUNCTUATION.search(data):
        return Facts(language.name, note="left out: thousands of punctuation marks in a row, so no person's source")
    import tree_sitter

    parser, query = tools_for(language.name)
    root = parser.parse(data).root_node
    note = ""
    if root.has_error:
        note = "broken syntax; indexed as far as it could be read"
        if _hopeless(root):
            return Facts(language.name, note="left out: its syntax is broken beyond what can be told apart")
    cursor = tree_sitter.QueryCursor(query)
    cursor.set_max_start_depth(MAX_DEPTH)
    captured = cursor.captures(root)
    return _Reader(path, data, language.name, captured, note).read()


def _hopeless(root: Node) -> bool:
    """Whether a damaged node has so many children that reading on would take minutes."""
    pending, looked = [root], 0
    while pending:
        node = pending.pop()
        looked += 1
        if looked > _MOST_BROKEN or (node.child_count > _MOST_BROKEN and (node.is_error or looked > 1)):
            return True
        pending.extend(child for child in node.children if child.has_error)
    return False


class _Reader:
    def __init__(self, path: str, data: bytes, language: str, captured: dict[str, list[Node]], note: str) -> None:
        self._path = path
        self._data = data
        self._captured = captured
        self._starts = [0]
        find, at = data.find, data.find(b"\n")
        while at >= 0:
            self._starts.append(at + 1)
            at = find(b"\n", at + 1)
        self._facts = Facts(language, note=note)
        self._spans: list[tuple[int, int, int]] = []  # start, end, place of the symbol from 1

    def read(self) -> Facts:
        names = self._symbols()
        self._imports()
        self._references(names)
        return self._facts

    def _line(self, at: int) -> int:
        return bisect.bisect_right(self._starts, at)

    def _text(self, node: Node) -> str:
        return self._data[node.start_byte : node.end_byte].decode("utf-8", "backslashreplace")

    def _definitions(self) -> list[_Definition]:
        found: dict[tuple[int, int], _Definition] = {}
        for capture, nodes in self._captured.items():
            kind = capture[2:] if capture.startswith("d.") else capture
            if kind == capture and kind != "scope":
                continue
            for node in nodes:
                place = (node.start_byte, node.end_byte)
                known = found.get(place)
                if known is None or _SAYS_LITTLE.get(kind, 9) > _SAYS_LITTLE.get(known.kind, 9):
                    found[place] = _Definition(*place, kind, node)
        return sorted(found.values(), key=lambda d: (d.start, -d.end))

    def _symbols(self) -> set[int]:
        """Reads the definitions. Returns where their names start."""
        names = sorted(self._captured.get("name", ()), key=lambda n: n.start_byte)
        starts = [n.start_byte for n in names]
        taken: set[int] = set()
        outer: list[tuple[int, str, str]] = []  # end, kind, qualified
        for d in self._definitions():
            while outer and outer[-1][0] <= d.start:
                outer.pop()
            if d.kind == "scope":
                owner = d.node.child_by_field_name("type")
                outer.append((d.end, "scope", _bare(self._text(owner)) if owner is not None else ""))
                continue
            at = bisect.bisect_left(starts, d.start)
            if d.node.type == "type_definition":  # C names the type after all that it consists of
                at = bisect.bisect_left(starts, d.end) - 1
            while at < len(starts) and starts[at] in taken:
                at += 1
            if at == len(starts) or not d.start <= starts[at] < d.end:
                continue
            taken.add(starts[at])
            name = _SPACE.sub("", self._text(names[at])).replace("::", ".")[:_NAME]
            holder = outer[-1] if outer else None
            kind = "method" if d.kind == "function" and holder is not None and holder[1] in _OWNERS else d.kind
            above = holder[2] if holder is not None else _receiver(d.node, self._text)
            qualified = f"{above}.{name}" if above else name
            self._add(d, kind, name.rpartition(".")[2] or name, qualified)
            if d.kind in _HOLDS:
                outer.append((d.end, d.kind, qualified))
        return taken

    def _add(self, d: _Definition, kind: str, name: str, qualified: str) -> None:
        node, start = d.node, d.start
        parent = node.parent
        if parent is not None and parent.type in ("decorated_definition", "export_statement"):
            start = parent.start_byte
        body = node.child_by_field_name("body")
        stop = body.start_byte if body is not None else d.end
        head = self._data[d.start : min(stop, d.start + 4 * _SIGNATURE)].decode("utf-8", "backslashreplace")
        if body is None:
            head = head.split("\n", 1)[0]
        signature = _SPACE.sub(" ", head).strip().rstrip("{:").rstrip()[:_SIGNATURE]
        first, last = self._line(start), self._line(max(d.start, d.end - 1))
        symbols = self._facts.symbols
        symbols.append(Symbol(name, qualified, kind, self._path, first, last, signature, self._facts.language))
        if kind not in ("constant", "declaration"):
            self._spans.append((d.start, d.end, len(symbols)))

    def _imports(self) -> None:
        nodes = sorted(self._captured.get("imp", ()), key=lambda n: n.start_byte)
        language, facts = self._facts.language, self._facts
        for node in nodes:
            found = imported.read(language, self._text(node), self._line(node.start_byte))
            if language == "rust" and (level := _modules_around(node)):
                found = [replace(one, level=level) for one in found]
            facts.imports.extend(found)
        facts.package = imported.package(language, self._data)

    def _references(self, names: set[int]) -> None:
        kinds: dict[int, tuple[int, int]] = {}
        for number, kind in enumerate(KINDS):
            for node in self._captured.get(kind, ()):
                kinds[node.start_byte] = (number, node.end_byte)
        for node in self._captured.get("skip", ()):
            kinds.pop(node.start_byte, None)
        local = {node.start_byte for node in self._captured.get("local", ())}
        aliases = imported.aliases(self._facts.language, [self._text(n) for n in self._captured.get("imp", ())])
        inside = _Inside(self._spans)
        owned: set[tuple[int, bytes]] = set()
        rows: list[tuple[int, int, int, bytes]] = []
        data = self._data
        for start in sorted(kinds):
            number, end = kinds[start]
            text = data[start:end]
            holder = inside.at(start)
            if start in local and holder:
                owned.add((holder, text))
                continue
            if start in names or text in _EMPTY or (number == 0 and len(text) == 1):
                continue
            rows.append((start, number, holder, text))
        self._store(rows, owned, aliases)

    def _store(
        self, rows: Sequence[tuple[int, int, int, bytes]], owned: set[tuple[int, bytes]], aliases: dict[bytes, bytes]
    ) -> None:
        facts, starts = self._facts, self._starts
        known: dict[bytes, int] = {}
        line = 0
        for start, number, holder, text in rows:
            if number == 0 and (holder, text) in owned:
                continue
            name = known.get(text)
            if name is None:
                meant = aliases.get(text, text)
                name = known.get(meant)
                if name is None:
                    name = known[meant] = len(facts.names)
                    facts.names.append(meant[:_NAME].decode("utf-8", "backslashreplace"))
                known[text] = name
            while line < len(starts) and starts[line] <= start:
                line += 1
            facts.name.append(name)
            facts.line.append(line)
            facts.kind.append(number)
            facts.inside.append(holder)


class _Inside:
    """Which symbol holds a place; to be asked in ascending order."""

    def __init__(self, spans: Sequence[tuple[int, int, int]]) -> None:
        self._spans = spans
        self._next = 0
        self._open: list[tuple[int, int]] = []

    def at(self, start: int) -> int:
        while self._next < len(self._spans) and self._spans[self._next][0] <= start:
            first, end, place = self._spans[self._next]
            while self._open and self._open[-1][0] <= first:
                self._open.pop()
            self._open.append((end, place))
            self._next += 1
        while self._open and self._open[-1][0] <= start:
            self._open.pop()
        return self._open[-1][1] if self._open else 0


def _modules_around(node: Node) -> int:
    """How many modules of the same file a Rust import stands in."""
    count, above = 0, node.parent
    for _ in range(MAX_DEPTH):
        if above is None:
            break
        count += above.type == "mod_item"
        above = above.parent
    return count


def _bare(text: str) -> str:
    """A type's name without its parameters and path."""
    return text.split("<", 1)[0].rpartition("::")[2].strip("&* ")[:_NAME]


def _receiver(node: Node, text: object) -> str:
    """The type that a Go method belongs to."""
    receiver = node.child_by_field_name("receiver") if node.type == "method_declaration" else None
    if receiver is None or not callable(text):
        return ""
    found = re.search(r"([A-Za-z_]\w*)\s*(?:\[[^\]]*\])?\s*\)$", str(text(receiver)))
    return found.group(1) if found is not None else ""
