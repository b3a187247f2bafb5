"""The tools that a model looks around a repository with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mainspring.code.index.records import Reference, Symbol, TestMatch
from mainspring.code.index.repository import CodeIndex
from mainspring.code.index.shelf import Shelf
from mainspring.errors import ToolError
from mainspring.tool import Tool, ToolContext
from mainspring.tools.names import printable
from mainspring.tools.provenance import WORKSPACE

__all__ = ["index_tools"]

_ROWS = 60
_CHARACTERS = 12_000


def index_tools(
    workspace: Path | None = None, index: CodeIndex | None = None, shelf: Shelf | None = None
) -> list[Tool]:
    """Tools that find symbols, outline a file and tell what a change touches. They only read.

    Args:
        workspace: the repository, when it is not to come from the run.
        index: the index of it, when there is one already; it is brought up to date before each answer.
        shelf: keeps the indexes instead, for tools that share them.
    """
    tools = _Tools(shelf or Shelf(workspace, index))
    make: Callable[..., Tool] = Tool
    return [
        make(tools.find_symbol, effect="read", authority=[], selector=["name"], label=WORKSPACE),
        make(tools.outline_file, effect="read", authority=["path"], label=WORKSPACE),
        make(tools.blast_radius, effect="read", authority=["path"], selector=["symbol"], label=WORKSPACE),
    ]


@dataclass
class _Tools:
    shelf: Shelf

    def find_symbol(
        self,
        name: str,
        context: ToolContext,
        what: Literal["definition", "references", "callers", "tests"] = "definition",
    ) -> str:
        """Find where a function, class or constant is defined, used, called or tested, in the whole repository.

        Args:
            name: such as parse or Store.get
        """
        index = self.shelf.index(context)
        if not name.strip() or len(name) > 400:
            raise ToolError("name is empty or longer than 400 characters; give one identifier")
        found = index.find_definition(name)
        if what == "definition":
            if not found:
                return _unknown(name, found.suggestions)
            return _page([_symbol(s) for s in found.symbols])
        if what == "tests":
            rows = [_test(t) for t in index.tests_for(name)] if found or name in index.files() else []
        else:
            places = index.who_calls(name) if what == "callers" else index.find_references(name)
            rows = [_reference(r) for r in places]
        if rows:
            return _page(rows)
        return f"no {what} of {printable(name)} found" if found else _unknown(name, found.suggestions)

    def outline_file(self, path: str, context: ToolContext) -> str:
        """List what a source file defines, with line numbers."""
        index = self.shelf.index(context)
        symbols = index.outline(self.shelf.inside(path, context))
        depth = {s.qualified: s.qualified.count(".") for s in symbols}
        rows = [f"{s.first}-{s.last}: {'  ' * min(depth[s.qualified], 6)}{_clean(s.signature)}" for s in symbols]
        return _page(rows) if rows else f"{printable(path)} defines nothing"

    def blast_radius(self, path: str, context: ToolContext, symbol: str = "") -> str:
        """What a change of a file, or of one symbol in it, may break: callers, importers, tests to run first."""
        index = self.shelf.index(context)
        inside = self.shelf.inside(path, context)
        index.outline(inside)  # says why when it is not indexed
        found = index.blast_radius([f"{inside}:{symbol}" if symbol else inside])
        parts = [
            ("used at", [_reference(r) for r in found.callers]),
            ("reached through these", [_symbol(s) for s in found.further]),
            ("imported by", [printable(p) for p in found.importers]),
            ("tests, first ones first", [_test(t) for t in found.tests]),
            ("public names", [printable(s.qualified) for s in found.public]),
            ("often changed together with", [printable(p) for p in found.together]),
        ]
        said = [f"{title}:\n{_page(rows, _ROWS // 3, 4_000)}" for title, rows in parts if rows]
        return "\n".join(said) or f"nothing else uses {printable(symbol or path)}"


def _page(rows: Iterable[str], most: int = _ROWS, characters: int = _CHARACTERS) -> str:
    rows = list(rows)
    kept, length = [], 0
    for row in rows[:most]:
        length += len(row) + 1
        if length > characters:
            break
        kept.append(row)
    left = len(rows) - len(kept)
    return "\n".join(kept + ([f"... and {left:,} more"] if left else []))


def _clean(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _symbol(symbol: Symbol) -> str:
    return f"{printable(symbol.path)}:{symbol.first}-{symbol.last}: {symbol.kind} {_clean(symbol.signature)}"


def _reference(found: Reference) -> str:
    doubt = "" if found.confidence >= 0.5 else " (perhaps)"
    inside = f" in {_clean(found.inside)}" if found.inside else ""
    return f"{printable(found.path)}:{found.line}: {found.kind}{inside}{doubt}: {_clean(found.excerpt)}"


def _test(test: TestMatch) -> str:
    return f"{printable(test.test)} ({_clean(test.why)})"


def _unknown(name: str, suggestions: Iterable[str]) -> str:
    hint = ", ".join(_clean(s) for s in suggestions)
    return f"nothing called {printable(name)} is defined here" + (f"; similar: {hint}" if hint else "")
