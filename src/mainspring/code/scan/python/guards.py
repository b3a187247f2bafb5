"""What a test of an `if` or `assert` says about the names in it: which of them are safe when it holds."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mainspring.code.scan.python.names import CHECKS

__all__ = ["Fact", "facts", "leaves", "named"]

#: A name as the source spells it (``x``, ``self.x``), and what it is safe for.
Fact = tuple[str, str]

_CHARACTERS = frozenset(["isalnum", "isdigit", "isalpha", "isnumeric", "isidentifier", "isdecimal", "isascii"])
_MATCHES = frozenset(["fullmatch", "match"])
_HOST = frozenset(["hostname", "netloc", "host"])


def named(node: ast.AST) -> list[str]:
    """The names and attributes that an expression reads, as the source spells them, without those of functions."""
    found: list[str] = []
    pending: list[ast.AST] = [node]
    while pending:
        part = pending.pop()
        if isinstance(part, ast.Name):
            found.append(part.id)
        elif isinstance(part, ast.Attribute):
            spelled = spell(part)
            if spelled:
                found.append(spelled)
            pending.append(part.value)
        elif isinstance(part, ast.Call):
            pending += [*part.args, *(keyword.value for keyword in part.keywords)]
            if isinstance(part.func, ast.Attribute):
                pending.append(part.func.value)
        else:
            pending.extend(ast.iter_child_nodes(part))
    return found


def spell(node: ast.AST) -> str:
    """``a.b.c`` of a chain of names, "" of anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    parts.append(node.id)
    return ".".join(reversed(parts))


def leaves(body: list[ast.stmt]) -> bool:
    """Whether what follows a block is not reached through it."""
    if not body:
        return False
    last = body[-1]
    if isinstance(last, ast.Return | ast.Raise | ast.Continue | ast.Break):
        return True
    if isinstance(last, ast.If):
        return leaves(last.body) and leaves(last.orelse)
    if isinstance(last, ast.Expr) and isinstance(last.value, ast.Call):
        return spell(last.value.func) in {
            "sys.exit",
            "abort",
            "exit",
            "quit",
            "os._exit",
            "self.fail",
            "pytest.fail",
        } or (spell(last.value.func).endswith((".abort", ".send_error")))
    return False


def facts(test: ast.expr, holds: bool) -> Iterator[Fact]:
    """What is known after a test came out as `holds`."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        yield from facts(test.operand, not holds)
    elif isinstance(test, ast.BoolOp):
        every = isinstance(test.op, ast.And) == holds
        if every:
            for part in test.values:
                yield from facts(part, holds)
    elif isinstance(test, ast.Compare):
        yield from _comparison(test, holds)
    elif isinstance(test, ast.Call) and holds:
        yield from _call(test)
    elif isinstance(test, ast.NamedExpr):
        yield from facts(test.value, holds)
    elif isinstance(test, ast.Attribute) and test.attr in _HOST and not holds:
        # An address without a host stays on the site.
        for name in named(test):
            yield from ((name, "url"), (f"^{name}", "url"))


def _comparison(test: ast.Compare, holds: bool) -> Iterator[Fact]:
    if len(test.ops) != 1:
        return
    left, operator, right = test.left, test.ops[0], test.comparators[0]
    if isinstance(operator, ast.In | ast.NotIn):
        inside = isinstance(operator, ast.In) == holds
        if isinstance(left, ast.Constant):
            if isinstance(left.value, str | bytes) and not inside:
                words = left.value if isinstance(left.value, str) else left.value.decode("latin-1")
                for use in _absent(words):
                    yield from ((name, use) for name in named(right))
        elif inside:
            for name in named(left):
                yield name, "*"
            if any(isinstance(part, ast.Attribute) and part.attr in _HOST for part in ast.walk(left)):
                yield from ((f"^{name}", "url") for name in named(left))
            # `base in path.parents` says that a path lies within a folder.
            if isinstance(right, ast.Attribute) and right.attr == "parents":
                yield from ((name, "path") for name in named(right))
    elif isinstance(operator, ast.Eq | ast.NotEq | ast.Is | ast.IsNot):
        same = isinstance(operator, ast.Eq | ast.Is) == holds
        if not same:
            # `if os.path.basename(x) != x` and the like are read as "equal" on the other branch.
            return
        sides = (left, right)
        calls = [spell(part.func) for side in sides for part in ast.walk(side) if isinstance(part, ast.Call)]
        for side, other in (sides, sides[::-1]):
            if isinstance(other, ast.Constant) and other.value is not None:
                if any(name.endswith(("fullmatch", "match")) for name in calls):
                    continue
                yield from ((name, "*") for name in named(side))
                if any(isinstance(part, ast.Attribute) and part.attr in _HOST for part in ast.walk(side)):
                    yield from ((f"^{name}", "url") for name in named(side))
            elif any(isinstance(part, ast.Attribute) and part.attr in _HOST for part in ast.walk(side)):
                yield from ((f"^{name}", "url") for name in named(side))
        if any(name.endswith(("commonpath", "commonprefix", "basename", ".dirname")) for name in calls) or any(
            isinstance(part, ast.Attribute) and part.attr in ("name", "parent")
            for side in sides
            for part in ast.walk(side)
        ):
            yield from ((name, "path") for side in sides for name in named(side))
        if any(name.endswith(("secure_filename",)) for name in calls):
            yield from ((name, "path") for side in sides for name in named(side))
    # `if re.fullmatch(...) is not None`
    if (isinstance(operator, ast.IsNot) and holds) or (isinstance(operator, ast.Is) and not holds):  # noqa: SIM102
        if isinstance(left, ast.Call):
            yield from _call(left)


def _absent(words: str) -> tuple[str, ...]:
    if ".." in words or words in ("/", "\\"):
        return ("path",)
    if "DOCTYPE" in words.upper() or "ENTITY" in words.upper():
        return ("xml",)
    if words in ("\n", "\r", "\r\n"):
        return ("header", "log")
    return ()


def _call(test: ast.Call) -> Iterator[Fact]:
    method = test.func.attr if isinstance(test.func, ast.Attribute) else ""
    function = spell(test.func)
    receiver = named(test.func.value) if isinstance(test.func, ast.Attribute) else []
    given = [name for argument in test.args for name in named(argument)]
    if method in _CHARACTERS:
        yield from ((name, "*") for name in receiver)
    elif method in _MATCHES:
        yield from ((name, "*") for name in given)
    elif method == "is_relative_to":
        yield from ((name, "path") for name in receiver)
    elif method == "startswith" and test.args:
        start = test.args[0]
        if isinstance(start, ast.Constant) and isinstance(start.value, str):
            if start.value.count("/") >= 3 or start.value == "/":
                yield from ((name, use) for name in receiver for use in ("url", "redirect"))
        else:
            yield from ((name, use) for name in receiver for use in ("resolved-path", "url"))
    elif method == "endswith" and test.args:
        return
    elif function == "isinstance" and len(test.args) == 2:
        kinds = {part.id for part in ast.walk(test.args[1]) if isinstance(part, ast.Name)}
        if kinds and kinds <= {"int", "float", "bool"}:
            yield from ((name, "*") for name in named(test.args[0]))
        elif kinds and kinds <= {"str", "int", "float", "bool", "bytes"}:
            yield from ((name, "nosql") for name in named(test.args[0]))
    elif function.endswith("compare_digest"):
        yield "*", "deserialise"
        yield from ((name, "*") for name in given)
    elif function in ("all", "any") and test.args:
        yield from ((name, "*") for name in named(test.args[0]))
    elif function.endswith(("url_has_allowed_host_and_scheme", "is_safe_url")):
        yield from ((name, use) for name in given for use in ("url", "redirect"))
    elif CHECKS.search(function.rsplit(".", 1)[-1]):
        yield from ((name, "*") for name in (*given, *receiver))
        yield from ((f"^{name}", "url") for name in given)
