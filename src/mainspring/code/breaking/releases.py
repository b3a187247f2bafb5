"""Bugs that really were: a function of a release put back to how the release before had it.

A release's tests come with the fixes that they guard. Where the tests of the newer release notice that one of its
functions has its older text again, the difference between the two texts mended a bug (or the tests think so).
"""

from __future__ import annotations

import ast
import builtins
import difflib
import random
import re
from pathlib import Path

from mainspring.code.breaking.mutate import Mutation, functions

#: The kind of such a :class:`Mutation`.
REVERTED = "reverted"
#: More lines than these, old and new counted apart, are seldom a fix alone.
_MOST_LINES = 10
_NAME = re.compile(r"[A-Za-z_]\w*")


def reversals(root: Path, paths: list[str], older: Path, seed: int) -> list[Mutation]:
    """Every function of `paths` under `root` that can be put back to its text under `older`, in the seed's order.

    Left out is what is no small change of one function's inside: another signature or decorator, only comments or
    the docstring changed, more than ten lines gone or new, or old text with names that the new file does not have.

    Args:
        root: the newer release, unpacked.
        paths: its files, relative to `root`.
        older: the older release, unpacked; a file that it lacks is left out.
        seed: chooses the order.
    """
    found: list[Mutation] = []
    for path in sorted(paths):
        new, old = _functions(root / path), _functions(older / path)
        words = set(_NAME.findall(_read(root / path))) | set(dir(builtins))
        for name in new.keys() & old.keys():
            (line, sound, node), (_, text, old_node) = new[name], old[name]
            if _is_small_change(node, old_node) and set(_NAME.findall(_code(old_node))) <= words:
                found.append(Mutation(path, name, line, sound, text, REVERTED))
    found.sort(key=lambda m: (m.path, m.line))
    random.Random(seed).shuffle(found)
    return found


_Node = ast.FunctionDef | ast.AsyncFunctionDef
_Function = tuple[int, str, _Node]


def _functions(path: Path) -> dict[str, _Function]:
    """First line, text and tree of each function by its qualified name; of two with one name, neither."""
    source = _read(path)
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return {}
    rows = source.split("\n")
    found: dict[str, _Function] = {}
    double: set[str] = set()
    for name, node in functions(tree):
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        double |= {name} & found.keys()
        found[name] = first, "\n".join(rows[first - 1 : node.end_lineno]), node
    return {name: function for name, function in found.items() if name not in double}


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError):
        return ""


def _is_small_change(new: _Node, old: _Node) -> bool:
    if new.col_offset != old.col_offset or _head(new) != _head(old):
        return False
    changed = list(difflib.ndiff(_code(old).split("\n"), _code(new).split("\n")))
    counts = [sum(line.startswith(sign) for line in changed) for sign in "+-"]
    return sum(counts) > 0 and max(counts) <= _MOST_LINES


def _head(node: _Node) -> tuple[str, ...]:
    """What a caller sees: kind, names of arguments, defaults and decorators, without annotations."""
    arguments = node.args
    named = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg)
    names = [a.arg if a is not None else "" for a in named]
    defaults = [ast.dump(d) if d is not None else "" for d in (*arguments.defaults, *arguments.kw_defaults)]
    return type(node).__name__, *names, *defaults, *(ast.dump(d) for d in node.decorator_list)


def _code(node: _Node) -> str:
    """The body in one spelling, without comments and docstring."""
    head = node.body[0]
    described = (
        isinstance(head, ast.Expr) and isinstance(head.value, ast.Constant) and isinstance(head.value.value, str)
    )
    return "\n".join(ast.unparse(statement) for statement in node.body[described:])
