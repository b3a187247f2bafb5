"""What a program may not say, in words that help to say it otherwise; and questions about its structure."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from mainspring.guard.program.faults import ProgramError, ProgramLimits

#: What changes the thing that it is called on.
CHANGES = frozenset(
    {
        "append",
        "extend",
        "insert",
        "pop",
        "remove",
        "reverse",
        "clear",
        "sort",
        "setdefault",
        "update",
        "add",
        "discard",
    }
)
#: What is no part of the language -> what to write instead.
HINTS: dict[type[ast.AST], str] = {
    ast.Import: "nothing can be imported; the built-in functions and your tools are all there is",
    ast.ImportFrom: "nothing can be imported; the built-in functions and your tools are all there is",
    ast.ClassDef: "there are no classes; use dicts and functions",
    ast.AsyncFunctionDef: "there is no async; call tools as plain functions, they are waited for",
    ast.Await: "there is no await; call tools as plain functions, they are waited for",
    ast.AsyncFor: "there is no async; write a plain for",
    ast.AsyncWith: "there is no with",
    ast.With: "there is no with; nothing needs closing here",
    ast.Yield: "there are no generators; build a list and return it",
    ast.YieldFrom: "there are no generators; build a list and return it",
    ast.Global: "functions cannot set outer variables; return the new value instead",
    ast.Nonlocal: "functions cannot set outer variables; return the new value instead",
    ast.NamedExpr: "there is no :=; assign on a line of its own",
    ast.Match: "there is no match; use if and elif",
    ast.Starred: "* may only stand in a list, tuple or set, or once on the left of an assignment",
}
if hasattr(ast, "TryStar"):
    HINTS[ast.TryStar] = "there is no except*; use except"


def refuse(node: ast.AST | None, message: str) -> ProgramError:
    """The error for a place in the program."""
    line = getattr(node, "lineno", 1)
    column = getattr(node, "col_offset", 0) + 1
    return ProgramError(f"line {line}, column {column}: {message}")


def parse(source: str, limits: ProgramLimits) -> ast.Module:
    """The program's tree; raises ProgramError for what is no Python, too long or too deep."""
    if not isinstance(source, str):
        raise ProgramError(f"a program is a text, not {type(source).__name__}")
    if len(source) > limits.source:
        raise ProgramError(f"the program has {len(source):,} characters; at most {limits.source:,} are allowed")
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise ProgramError(
            f"line {error.lineno or 1}, column {error.offset or 1}: this is no Python: {error.msg}"
        ) from None
    except (RecursionError, MemoryError):
        raise ProgramError("the program is nested too deep; break long expressions into several lines") from None
    except ValueError:  # a lone surrogate, a null character
        raise ProgramError("the program holds characters that no program may hold") from None
    waiting: list[tuple[ast.AST, int]] = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > limits.nesting:
            raise refuse(node, f"nested more than {limits.nesting} levels deep; break it into several lines")
        for child in ast.iter_child_nodes(node):
            elif_ = isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]
            waiting.append((child, depth if elif_ else depth + 1))
    return tree


_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def within(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Every node below, without the bodies of functions."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, _SCOPES):
            waiting.extend(ast.iter_child_nodes(node))


def assigned(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    """The names that these statements set, apart from those of comprehensions."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
            yield node.id, node
        elif isinstance(node, ast.FunctionDef | ast.ExceptHandler) and node.name:
            yield str(node.name), node
        if not isinstance(node, (*_SCOPES, *_COMPREHENSIONS)):
            waiting.extend(ast.iter_child_nodes(node))


def changed(nodes: Iterable[ast.AST]) -> set[str]:
    """The names that these statements set, or whose containers they change."""
    nodes = list(nodes)
    found = {name for name, _ in assigned(nodes)}
    for node in within(nodes):
        inner: ast.AST | None = None
        if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            inner = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGES:
            inner = node.func.value
        while isinstance(inner, ast.Subscript | ast.Attribute):
            inner = inner.value
        if isinstance(inner, ast.Name):
            found.add(inner.id)
    return found


def jumps(nodes: Iterable[ast.AST]) -> bool:
    """Whether one of these statements can leave the statement that they stand in, other than by its end."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Break | ast.Continue | ast.Return | ast.Raise | ast.Assert):
            return True
        if isinstance(node, ast.For | ast.While):
            if leaves([*node.body, *node.orelse]):
                return True
        elif isinstance(node, ast.stmt | ast.ExceptHandler) and not isinstance(node, _SCOPES):
            waiting.extend(ast.iter_child_nodes(node))
    return False


def leaves(nodes: Iterable[ast.AST]) -> bool:
    """Whether one of these statements can leave the function."""
    return any(isinstance(n, ast.Return | ast.Raise | ast.Assert) for n in within(nodes))


_CALLBACKS = frozenset({"print", "map", "filter", "sorted", "min", "max", "next"})


def harmless(node: ast.AST) -> bool:
    """Whether a function only works out a value, so that nobody can tell how often it was called."""
    from mainspring.guard.program.builtin import BUILTINS

    if isinstance(node, ast.Lambda):
        return pure(node.body, BUILTINS)
    body = node.body if isinstance(node, ast.FunctionDef) else []
    stores = any(isinstance(n, ast.Subscript) and not isinstance(n.ctx, ast.Load) for n in within(body))
    grows = any(isinstance(n, ast.AugAssign) for n in within(body))  # `xs += [1]` changes the list itself
    return not stores and not grows and all(pure(statement, BUILTINS) for statement in body)


def pure(node: ast.AST, builtins: Iterable[str]) -> bool:
    """Whether an expression calls nothing but simple built-ins and changes nothing."""
    known = set(builtins) - _CALLBACKS
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call):
            plain = isinstance(inner.func, ast.Name) and inner.func.id in known
            method = isinstance(inner.func, ast.Attribute) and inner.func.attr not in CHANGES
            if not plain and not method:
                return False
    return True
