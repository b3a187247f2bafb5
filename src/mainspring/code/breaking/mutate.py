"""Break one line of real code, repeatably: the bugs that the repair benchmark and the demo ask an agent to mend.

Each mutation is a slip that people make (an off by one, a flipped comparison, a wrong variable ...), changes
exactly one line inside a function, and leaves the file parsable. Whether a test notices is not known here.
"""

from __future__ import annotations

import ast
import random
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

#: Every kind of slip, in the order in which they are listed in reports.
KINDS: tuple[str, ...] = (
    "comparison",
    "operator",
    "off_by_one",
    "negated_condition",
    "dropped_not",
    "boolean_operator",
    "swapped_arguments",
    "wrong_constant",
    "wrong_variable",
    "missing_return",
)

_COMPARE = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.In: "not in",
    ast.NotIn: "in",
}
_ARITHMETIC = {"+": "-", "-": "+", "*": "+", "/": "*", "//": "*", "%": "//", "**": "*", "<<": ">>", ">>": "<<"}
_FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Mutation:
    """A broken line, or a few of one function.

    Args:
        path: the file, relative to the package's root, with forward slashes.
        function: the qualified name of the function that holds the lines, such as ``"Cache.pop"``.
        line: number of the first of them in the file, from 1.
        before, after: the whole lines without the last one's end, sound and broken.
        kind: which slip it is, one of :data:`KINDS`, or ``"reverted"``.
    """

    path: str
    function: str
    line: int
    before: str
    after: str
    kind: str

    def apply(self, root: Path) -> None:
        """Write the broken lines into the file under `root`. Raises ValueError when the file is another one."""
        self._replace(root, self.before, self.after)

    def revert(self, root: Path) -> None:
        """Write the sound lines back. Raises ValueError when the broken ones are not there."""
        self._replace(root, self.after, self.before)

    def _replace(self, root: Path, old: str, new: str) -> None:
        file = root / self.path
        lines = file.read_bytes().decode("utf-8").split("\n")
        first, last = self.line - 1, self.line - 1 + len(old.split("\n"))
        found = "\n".join(line.rstrip("\r") for line in lines[first:last])
        if found != old:
            raise ValueError(f"{self.path}:{self.line} is {found!r}, expected {old!r}: not the file it was made for")
        end = "\r" if lines[first].endswith("\r") else ""
        lines[first:last] = [line + end for line in new.split("\n")]
        file.write_bytes("\n".join(lines).encode("utf-8"))


def mutations(root: Path, paths: list[str], seed: int) -> list[Mutation]:
    """All possible one-line mutations of the functions in `paths`, in an order that follows from `seed`.

    Files that do not parse as Python are left out. The order puts different functions and different kinds first,
    so that the first n are spread widely.
    """
    found: list[Mutation] = []
    rng = random.Random(seed)
    for path in sorted(paths):
        source = (root / path).read_bytes().decode("utf-8", "replace").replace("\r\n", "\n")
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError):
            continue
        for name, node in functions(tree):
            found.extend(_of_function(path, name, node, source, rng))
    rng.shuffle(found)
    return _spread(found)


def functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, _FunctionNode]]:
    """Functions and methods with their qualified names; functions inside functions belong to the outer one."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, _FunctionNode):
            yield prefix + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from functions(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.If | ast.Try | ast.With):
            yield from functions(node, prefix)


def _spread(found: list[Mutation]) -> list[Mutation]:
    """Round robin over functions, and within each round kinds that were used least first."""
    by_function: dict[tuple[str, str], list[Mutation]] = {}
    for mutation in found:
        by_function.setdefault((mutation.path, mutation.function), []).append(mutation)
    used = dict.fromkeys(KINDS, 0)
    ordered: list[Mutation] = []
    while by_function:
        for key in list(by_function):
            rest = by_function[key]
            choice = min(rest, key=lambda m: used[m.kind])
            rest.remove(choice)
            used[choice.kind] += 1
            ordered.append(choice)
            if not rest:
                del by_function[key]
    return ordered


def _of_function(path: str, name: str, function: _FunctionNode, source: str, rng: random.Random) -> Iterator[Mutation]:
    lines = source.split("\n")
    names = _local_names(function)
    first, last = function.lineno, function.end_lineno or function.lineno
    sound = _parsed("\n".join(lines[first - 1 : last]))
    for node in _body_nodes(function):
        for kind, row, start, end, text in _slips(node, lines, names, rng):
            before = lines[row - 1]
            raw = before.encode("utf-8")
            after = (raw[:start] + text.encode("utf-8") + raw[end:]).decode("utf-8")
            if after == before:
                continue
            broken = _parsed("\n".join([*lines[first - 1 : row - 1], after, *lines[row:last]]))
            if broken is not None and broken != sound:
                yield Mutation(path, name, row, before, after, kind)


def _parsed(function: str) -> str | None:
    """The syntax tree of one function's lines as text, or None when they do not parse."""
    try:
        return ast.dump(ast.parse(textwrap.dedent(function)))
    except (SyntaxError, ValueError):
        return None


def _body_nodes(function: _FunctionNode) -> Iterator[ast.AST]:
    """Nodes of the body in source order, without docstrings, annotations and decorators."""
    pending: list[ast.AST] = list(reversed(function.body))
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            continue
        yield node
        children = [
            child
            for field, value in ast.iter_fields(node)
            if field not in ("annotation", "returns", "decorator_list")
            for child in (value if isinstance(value, list) else [value])
            if isinstance(child, ast.AST)
        ]
        pending.extend(reversed(children))


def _local_names(function: _FunctionNode) -> list[str]:
    arguments = function.args
    found = {a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return sorted(found - {"self", "cls"})


#: kind, line from 1, first and last byte of what is replaced, and its replacement
_Slip = tuple[str, int, int, int, str]


def _slips(node: ast.AST, lines: list[str], names: list[str], rng: random.Random) -> Iterator[_Slip]:
    for make in _MAKERS:
        yield from make(node, lines, names, rng)


def _comparison(node: ast.AST, lines: list[str], names: list[str], rng: random.Random) -> Iterator[_Slip]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        gap = _gap(node.left, node.comparators[0], lines)
        if gap is not None:
            row, start, end, text = gap
            flipped = _COMPARE[type(node.ops[0])]
            yield "comparison", row, start, end, _swap_operator(text, flipped)


def _operator(node: ast.AST, lines: list[str], names: list[str], rng: random.Random) -> Iterator[_Slip]:
    if isinstance(node, ast.BinOp) and not _is_text(node.left) and not _is_text(node.right):
        gap = _gap(node.left, node.right, lines)
        if gap is not None and gap[3].strip() in _ARITHMETIC:
            row, start, end, text = gap
            yield "operator", row, start, end, _swap_operator(text, _ARITHMETIC[text.strip()])
    if isinstance(node, ast.AugAssign):
        gap = _gap(node.target, node.value, lines)
        if gap is not None and gap[3].strip()[:-1] in ("+", "-"):
            row, start, end, text = gap
            yield "operator", row, start, end, _swap_operator(text, "-=" if "+" in text else "+=")


def _constant(node: ast.AST, lines: list[str], names: list[str], rng: random.Random) -> Iterator[_Slip]:
    if not isinstance(node, ast.Constant) or node.lineno != node.end_lineno:
        return
    place = node.lineno, node.col_offset, node.end_col_offset or 0
    if isinstance(node.value, bool):
        yield "wrong_constant", *place, str(not node.value)
    elif isinstance(node.value, int) and abs(node.value) < 1000:
        yield "off_by_one", *place, str(node.value + rng.choice((1, -1)) if node.value else 1)
    elif isinstance(node.value, int):
        yield "wrong_constant", *place, str(node.value // 10)


def _condition(node: ast.AST, lines: list[str], names: list[str], rng: random.Random) -> Iterator[_Slip]:
    if isinstance(node, ast.If | ast.While | ast.IfExp):
        test = node.test
        if isinstance(test, ast.Name | ast.Attribute | ast.Call) and test.lineno == test.end_lineno:
            yield "negated_condition", test.lineno, test.col_offset, test.col_offset, "not "
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not) and node.lineno == node.operand.lineno:
        yield "dropped_not", node.lineno, node.col_offset, node.operand.col_offset, ""
    if isinstance(node, ast.BoolOp):
        gap = _gap(node.values[0], node.values[1], lines)
        if gap is not None:
            row, start, end, text = gap
            yield "boolean_operator", row, start, end, _swap_operator(text, "or" if "and" in text else "and")


def _arguments(node: ast.AST, lines: list[str], names: list[str], rng: random.Random) -> Iterator[_Slip]:
    if not isinstance(node, ast.Call) or len(node.args) < 2:
        return
    first, second = node.args[0], node.args[1]
    if any(isinstance(a, ast.Starred) for a in (first, second)):
        return
    gap = _gap(first, second, lines)
    if gap is None or first.lineno != first.end_lineno or second.lineno != second.end_lineno:
        return
    raw = lines[first.lineno - 1].encode("utf-8")
    end = second.end_col_offset or 0
    one = raw[first.col_offset : first.end_col_offset].decode("utf-8")
    two = raw[second.col_offset : end].decode("utf-8")
    yield "swapped_arguments", first.lineno, first.col_offset, end, two + gap[3] + one


def _variable(node: ast.AST, lines: list[str], names: list[str], rng: random.Random) -> Iterator[_Slip]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names:
        others = [name for name in names if name != node.id]
        if others:
            yield "wrong_variable", node.lineno, node.col_offset, node.end_col_offset or 0, rng.choice(others)


def _return(node: ast.AST, lines: list[str], names: list[str], rng: random.Random) -> Iterator[_Slip]:
    if isinstance(node, ast.Return) and node.value is not None and node.lineno == node.end_lineno:
        yield "missing_return", node.lineno, node.col_offset, node.value.col_offset, ""


_Maker = Callable[[ast.AST, list[str], list[str], random.Random], Iterator[_Slip]]
_MAKERS: tuple[_Maker, ...] = (_comparison, _operator, _constant, _condition, _arguments, _variable, _return)


def _gap(left: ast.expr, right: ast.expr, lines: list[str]) -> tuple[int, int, int, str] | None:
    """The text between two operands, when both ends are on one line and no bracket stands between."""
    if left.end_lineno != right.lineno:
        return None
    raw = lines[right.lineno - 1].encode("utf-8")
    start, end = left.end_col_offset or 0, right.col_offset
    text = raw[start:end].decode("utf-8")
    if "(" in text or ")" in text or "#" in text:
        return None
    return right.lineno, start, end, text


def _swap_operator(text: str, operator: str) -> str:
    return re.sub(r"\S(?:.*\S)?", lambda _: operator, text, count=1)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
