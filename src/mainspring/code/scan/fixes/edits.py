"""Changes of a Python text by its syntax tree: spans, imports, and texts that are put together."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Editor", "Piece", "pieces", "rebuild"]

#: A constant text, or the source of an expression within it (and its conversion, such as ``!r``).
Piece = tuple[str, str]


@dataclass(slots=True)
class Editor:
    """Collects replacements in a text and makes them at once."""

    text: str
    tree: ast.Module
    _edits: list[tuple[int, int, str]] = field(default_factory=list)
    _imports: list[str] = field(default_factory=list)
    _helpers: list[str] = field(default_factory=list)
    _starts: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        total = 0
        for line in self.text.encode().split(b"\n"):
            self._starts.append(total)
            total += len(line) + 1

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Where a node stands, in bytes."""
        first, last = getattr(node, "lineno", 1), getattr(node, "end_lineno", 1)
        begin, end = getattr(node, "col_offset", 0), getattr(node, "end_col_offset", 0)
        return self._starts[first - 1] + begin, self._starts[last - 1] + end

    def source(self, node: ast.AST) -> str:
        """A node's text."""
        begin, end = self.span(node)
        return self.text.encode()[begin:end].decode()

    def replace(self, node: ast.AST, text: str) -> None:
        """Put a text in a node's place."""
        begin, end = self.span(node)
        self._edits.append((begin, end, text))

    def add_argument(self, call: ast.Call, text: str) -> None:
        """One more argument at a call's end."""
        _, end = self.span(call)
        held = self.text.encode()[: end - 1].rstrip()
        empty = not call.args and not call.keywords
        comma = "" if empty or held.endswith(b",") else ", "
        self._edits.append((len(held), len(held), (" " if held.endswith(b",") else comma) + text))

    def drop_keyword(self, call: ast.Call, keyword: ast.keyword) -> None:
        """Take a keyword argument out, with its comma."""
        begin, end = self.span(keyword)
        raw = self.text.encode()
        before = raw[:begin].rstrip()
        if before.endswith(b","):
            self._edits.append((len(before) - 1, end, ""))
            return
        after = re.match(rb"\s*,\s*", raw[end:])
        self._edits.append((begin, end + (after.end() if after else 0), ""))

    def need(self, statement: str) -> None:
        """An import that the fix uses."""
        names = {ast.unparse(node) for node in self.tree.body if isinstance(node, ast.Import | ast.ImportFrom)}
        if statement not in names and not any(_provides(node, statement) for node in self.tree.body):
            self._imports.append(statement)

    def helper(self, name: str, source: str) -> None:
        """A function that the fix calls, put behind the imports."""
        if not any(isinstance(node, ast.FunctionDef) and node.name == name for node in self.tree.body):
            self._helpers.append(source)

    def taken(self, name: str) -> bool:
        """Whether a name already means something else in this file."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store):
                return True
            if isinstance(node, ast.arg) and node.arg == name:
                return True
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
                return True
            if isinstance(node, ast.ImportFrom) and any((a.asname or a.name) == name for a in node.names):
                return True
        return False

    def other(self, name: str, source: str) -> bool:
        """Whether a name is taken by something else than our own helper of this source."""
        own = ast.dump(ast.parse(source).body[0])
        return self.taken(name) and not any(ast.dump(node) == own for node in self.tree.body)

    def done(self) -> str:
        """The new text."""
        raw = self.text.encode()
        ordered = sorted(enumerate(self._edits), key=lambda one: (one[1][0], one[1][1], one[0]), reverse=True)
        for _, (begin, end, text) in ordered:
            raw = raw[:begin] + text.encode() + raw[end:]
        result = raw.decode()
        if not self._imports and not self._helpers:
            return result
        lines = result.split("\n")
        place = self._place()
        added = list(dict.fromkeys(self._imports))
        last = max(
            (node.end_lineno or 0 for node in self.tree.body if isinstance(node, ast.Import | ast.ImportFrom)),
            default=place,
        )
        if self._helpers:
            at = max(place, last)
            lines[at:at] = ["", "", *"\n".join(self._helpers).strip("\n").split("\n"), *self._gap(at)]
        lines[place:place] = added
        return "\n".join(lines)

    def _gap(self, at: int) -> list[str]:
        """Blank lines behind a helper, when there are none."""
        following = self.text.split("\n")[at : at + 1]
        return [] if not following or not following[0].strip() else ["", ""]

    def _place(self) -> int:
        """Behind the docstring and imports from the future."""
        place = 0
        for node in self.tree.body:
            docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and place == 0
            future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
            if docstring or future:
                place = node.end_lineno or place
            else:
                break
        if place == 0:
            head = self.text.split("\n")
            while place < len(head) and head[place].startswith("#"):
                place += 1
        return place


def _provides(node: ast.stmt, statement: str) -> bool:
    wanted = statement.removeprefix("import ")
    return isinstance(node, ast.Import) and any(alias.name == wanted and not alias.asname for alias in node.names)


def pieces(node: ast.expr, editor: Editor) -> list[Piece] | None:
    """A text that is put together, as its parts; None when it is made in another way."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [("text", node.value)]
    if isinstance(node, ast.JoinedStr):
        found: list[Piece] = []
        for part in node.values:
            if isinstance(part, ast.Constant):
                found.append(("text", str(part.value)))
            elif isinstance(part, ast.FormattedValue):
                if part.format_spec is not None or part.conversion not in (-1, ord("s")):
                    return None
                found.append(("hole", ast.unparse(part.value)))
        return found
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = pieces(node.left, editor), pieces(node.right, editor)
        if left is None or right is None:
            return None
        return left + right
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and isinstance(node.left, ast.Constant):
        values = list(node.right.elts) if isinstance(node.right, ast.Tuple) else [node.right]
        return _filled(str(node.left.value), r"%[sd]", [ast.unparse(value) for value in values], "%%", "%")
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "format"
        and isinstance(node.func.value, ast.Constant)
    ):
        text = str(node.func.value.value)
        if node.keywords and not node.args:
            named = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            order = re.findall(r"\{(\w+)\}", text)
            return (
                _filled(text, r"\{\w+\}", [named.get(name, "") for name in order], "{{", "{")
                if all(n in named for n in order)
                else None
            )
        return _filled(text, r"\{\}", [ast.unparse(value) for value in node.args], "{{", "{")
    if isinstance(node, ast.Name | ast.Attribute | ast.Subscript | ast.Call):
        return [("hole", ast.unparse(node))]
    return None


def _filled(text: str, hole: str, values: list[str], escaped: str, plain: str) -> list[Piece] | None:
    parts = re.split(hole, text)
    if len(parts) != len(values) + 1 or escaped in text:
        return None
    found: list[Piece] = [("text", parts[0])]
    for value, part in zip(values, parts[1:], strict=True):
        found += [("hole", value), ("text", part)]
    return found


def rebuild(parts: list[Piece]) -> str:
    """Source of a text with these parts: a literal, or an f-string."""
    if all(kind == "text" for kind, _ in parts):
        return _quoted("".join(value for _, value in parts))
    joined: list[ast.expr] = []
    for kind, value in parts:
        if kind == "text":
            joined.append(ast.Constant(value))
        else:
            joined.append(ast.FormattedValue(ast.parse(value, mode="eval").body, -1, None))
    return ast.unparse(ast.JoinedStr(joined))


def _quoted(text: str) -> str:
    if "\n" in text and '"""' not in text and "\\" not in text and not text.endswith('"'):
        return f'"""{text}"""'
    return '"' + text + '"' if '"' not in text and "\\" not in text and text.isprintable() else repr(text)


def parents(tree: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Each node with what it stands in."""
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            yield child, node
