"""Functions as text: find one in a file, show it shortly, put a changed line back, check what a model wrote."""

from __future__ import annotations

import ast
import re
import textwrap
from dataclasses import dataclass

from mainspring.code.breaking.mutate import functions


@dataclass(frozen=True, slots=True)
class FunctionSource:
    """One function of a file.

    Args:
        path: the file, relative to the workspace.
        name: its qualified name, such as ``"Cache.pop"``.
        first: number of its first line in the file (its decorators' first, if it has any), from 1.
        lines: its lines without line ends.
        docstring: first and last line number of its docstring, or None.
        body: line number of its first statement after the docstring.
    """

    path: str
    name: str
    first: int
    lines: tuple[str, ...]
    docstring: tuple[int, int] | None
    body: int

    @property
    def last(self) -> int:
        """Number of its last line."""
        return self.first + len(self.lines) - 1

    @property
    def text(self) -> str:
        """Its lines as one text."""
        return "\n".join(self.lines)

    def line(self, number: int) -> str:
        """The line with this number in the file."""
        return self.lines[number - self.first]

    def replaced(self, number: int, line: str) -> str:
        """The function's text with one line replaced."""
        changed = list(self.lines)
        changed[number - self.first] = line
        return "\n".join(changed)

    def code_lines(self) -> list[int]:
        """Numbers of the lines of its body that hold code: no blank lines, comments or docstring."""
        skip: set[int] = set()
        if self.docstring is not None:
            skip.update(range(self.docstring[0], self.docstring[1] + 1))
        numbers = range(self.body, self.last + 1)
        return [n for n in numbers if n not in skip and self.line(n).strip() and self.line(n).strip()[0] != "#"]

    def shown(self, docstring_lines: int = 12) -> str:
        """The function for a prompt: without common indentation, and with a long docstring cut short."""
        lines = list(self.lines)
        if self.docstring is not None:
            start, end = self.docstring[0] - self.first, self.docstring[1] - self.first
            if end - start + 1 > docstring_lines:
                lines[start + docstring_lines - 1 : end] = []
        return textwrap.dedent("\n".join(lines))


def all_functions(path: str, source: str) -> list[FunctionSource]:
    """Every function of a file, outermost functions only. An unparsable file has none."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return []
    rows = source.replace("\r\n", "\n").split("\n")
    found = []
    for name, node in functions(tree):
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        last = node.end_lineno or node.lineno
        docstring, body = None, node.body[0].lineno
        head = node.body[0]
        if isinstance(head, ast.Expr) and isinstance(head.value, ast.Constant) and isinstance(head.value.value, str):
            docstring = (head.lineno, head.end_lineno or head.lineno)
            body = docstring[1] + 1
        found.append(FunctionSource(path, name, first, tuple(rows[first - 1 : last]), docstring, body))
    return found


def one_function(path: str, name: str, first: int, text: str) -> FunctionSource | None:
    """The function whose lines are `text` and whose first line has the number `first`; None when it is no function."""
    lines = text.split("\n")
    # An `if` in front makes the indentation of a method legal without touching a line of it.
    wrapped = all_functions(path, "if True:\n" + text) or all_functions(path, "\n" + text)
    if len(wrapped) != 1 or wrapped[0].last != len(lines) + 1:
        return None
    found, shift = wrapped[0], first - 2
    docstring = found.docstring and (found.docstring[0] + shift, found.docstring[1] + shift)
    return FunctionSource(path, name, first, tuple(lines), docstring, found.body + shift)


def statement_lines(source: str) -> dict[int, int]:
    """For every line of a statement's own text, the statement's first line (a compound's body is not its own)."""
    owner: dict[int, int] = {}
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.stmt):
            continue
        body = getattr(node, "body", None)
        last = node.end_lineno or node.lineno
        if isinstance(body, list) and body and isinstance(body[0], ast.stmt):
            last = max(node.lineno, body[0].lineno - 1)
        for number in range(node.lineno, last + 1):
            owner[number] = max(node.lineno, owner.get(number, 0))
    return owner


def code_in_answer(text: str) -> str:
    """The code of a model's answer: the inside of its first code fence, else all of it."""
    match = re.search(r"```[a-zA-Z]*\n(.*?)(?:```|\Z)", text, re.DOTALL)
    return (match.group(1) if match else text).strip("\n")


def reindented(code: str, like: str) -> str:
    """`code` moved to the indentation of the line `like`."""
    indent = like[: len(like) - len(like.lstrip())]
    return textwrap.indent(textwrap.dedent(code), indent)


def same_meaning(one: str, other: str) -> bool:
    """True when both texts parse to the same tree (or neither parses and they are equal up to spaces)."""
    trees = [_tree(one), _tree(other)]
    if trees[0] is None or trees[1] is None:
        return trees == [None, None] and one.split() == other.split()
    return trees[0] == trees[1]


def signature(code: str) -> str | None:
    """Name, arguments and kind of the single function in `code`, docstring aside; None when it is no such thing."""
    try:
        tree = ast.parse(textwrap.dedent(code))
    except (SyntaxError, ValueError):
        return None
    if len(tree.body) != 1 or not isinstance(tree.body[0], ast.FunctionDef | ast.AsyncFunctionDef):
        return None
    node = tree.body[0]
    return f"{type(node).__name__} {node.name}({ast.unparse(node.args)})"


def _tree(code: str) -> str | None:
    try:
        return ast.dump(ast.parse(textwrap.dedent(code)))
    except (SyntaxError, ValueError):
        return None
