"""Fixes of texts that are put together: parameters in queries, quoted words, escaped values, fenced paths."""

from __future__ import annotations

import ast
import re

from mainspring.code.scan.fixes.edits import Editor, Piece, pieces, rebuild

__all__ = ["fix_command", "fix_page", "fix_path", "fix_query", "fix_redirect"]

_VALUE = re.compile(
    r"(=|<|>|\bLIKE|\bVALUES\s*\(|,|\bLIMIT|\bOFFSET|\bBETWEEN|\bAND|\bTHEN|\bELSE|\bIN\s*\()\s*$", re.I
)
_NAMED_DRIVERS = re.compile(r"\b(psycopg2?|pymysql|MySQLdb|mysql\.connector|aiomysql|mariadb)\b")
_WITHIN = '''def _within(base, *parts):
    """The path of the parts below a folder; ValueError when they leave it."""
    root = os.path.realpath(base)
    path = os.path.realpath(os.path.join(root, *parts))
    if os.path.commonpath([root, path]) != root:
        raise ValueError("the path leaves its folder")
    return path
'''
_LOCAL = '''def _safe_local_url(target):
    """A path of this site; "/" for everything else."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\\\")):
        return "/"
    return target
'''


def fix_query(editor: Editor, nodes: list[ast.AST]) -> bool:
    """Values in a query become its parameters."""
    for call in nodes:
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.func.attr != "execute":
            continue
        if len(call.args) != 1 or call.keywords:
            continue
        held = _built(editor, call, call.args[0])
        if held is None:
            continue
        parts = pieces(held, editor)
        made = _parameters(parts, "%s" if _NAMED_DRIVERS.search(editor.text) else "?") if parts else None
        if made is None:
            continue
        query, values = made
        editor.replace(held, rebuild([("text", query)]))
        comma = "," if len(values) == 1 else ""
        editor.add_argument(call, f"({', '.join(values)}{comma})")
        return True
    return False


def _built(editor: Editor, call: ast.AST, argument: ast.expr) -> ast.expr | None:
    """Where a text is put together: the argument itself, or the only assignment of the variable that it names."""
    if not isinstance(argument, ast.Name):
        return argument
    scope = _scope(editor, call)
    found = [
        node
        for node in ast.walk(scope)
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.For | ast.NamedExpr)
        and any(isinstance(t, ast.Name) and t.id == argument.id for t in _targets(node))
    ]
    uses = [
        n for n in ast.walk(scope) if isinstance(n, ast.Name) and n.id == argument.id and isinstance(n.ctx, ast.Load)
    ]
    if len(found) == 1 and isinstance(found[0], ast.Assign) and len(uses) == 1:
        return found[0].value
    return None


def _targets(node: ast.AST) -> list[ast.expr]:
    targets = getattr(node, "targets", None)
    return list(targets) if targets else [node.target]  # type: ignore[attr-defined]


def _scope(editor: Editor, node: ast.AST) -> ast.AST:
    best: ast.AST = editor.tree
    for part in ast.walk(editor.tree):
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) and any(node is inner for inner in ast.walk(part)):
            best = part
    return best


def _parameters(parts: list[Piece], mark: str) -> tuple[str, list[str]] | None:
    query, values = "", []
    if mark == "%s" and any(kind == "text" and "%" in value and "'%" not in value for kind, value in parts):
        return None
    place = 0
    while place < len(parts):
        kind, value = parts[place]
        if kind == "text":
            query += value
            place += 1
            continue
        following = parts[place + 1][1] if place + 1 < len(parts) and parts[place + 1][0] == "text" else ""
        quoted = re.search(r"'([^']*)$", query)
        if quoted and query.count("'") % 2 == 1:
            closing = following.find("'")
            if closing < 0:
                return None
            before, after = quoted[1], following[:closing]
            query = query[: quoted.start()]
            parts = [*parts[: place + 1], ("text", following[closing + 1 :]), *parts[place + 2 :]]
            value = rebuild([("text", before), ("hole", value), ("text", after)]) if before or after else value
        elif not _VALUE.search(query) or (
            re.match(r"\s*[\w(.]", following)
            and not re.match(
                r"\s+(AND|OR|ORDER|LIMIT|GROUP|OFFSET|WHERE|RETURNING|HAVING|UNION|THEN|ELSE|END|ON)\b", following, re.I
            )
        ):
            return None  # the name of a table or column cannot be a parameter
        elif re.search(r"\bIN\s*\(\s*$", query, re.I):
            return None
        query += mark
        values.append(value)
        place += 1
    return (query, values) if values else None


def fix_command(editor: Editor, nodes: list[ast.AST]) -> bool:
    """Values in a shell's text are quoted as one word each."""
    for call in nodes:
        if not isinstance(call, ast.Call) or not call.args:
            continue
        name = ast.unparse(call.func)
        first = call.args[0]
        if isinstance(first, ast.List) and len(first.elts) > 2:
            first = first.elts[2]
        shell = name.startswith(("os.", "subprocess.")) or name.endswith("create_subprocess_shell")
        held = _built(editor, call, first) if shell else None
        parts = pieces(held, editor) if held is not None else None
        if held is None or not parts or len(parts) < 2 or parts[0][0] != "text" or not parts[0][1].strip():
            continue
        made = _quoted(parts)
        if made is None or editor.taken("shlex"):
            continue
        editor.replace(held, rebuild(made))
        editor.need("import shlex")
        return True
    return False


def _quoted(parts: list[Piece]) -> list[Piece] | None:
    out: list[Piece] = []
    for place, (kind, value) in enumerate(parts):
        if kind == "text":
            out.append((kind, value))
            continue
        before = "".join(text for k, text in out if k == "text")
        for quote in ("'", '"'):
            if before.count(quote) % 2 == 0:
                continue
            # The value stands in quotes of the command's own: they go when they hold nothing else.
            following = parts[place + 1][1] if place + 1 < len(parts) else ""
            if not (out and out[-1][1].endswith(quote) and following.startswith(quote)):
                return None
            out[-1] = ("text", out[-1][1][:-1])
            parts[place + 1] = ("text", following[1:])
        out.append(("hole", value if value.startswith("shlex.quote(") else f"shlex.quote(str({value}))"))
    return out


def fix_page(editor: Editor, nodes: list[ast.AST]) -> bool:
    """Values in HTML are escaped."""
    candidates: list[ast.expr] = []
    for node in nodes:
        if isinstance(node, ast.Return) and node.value is not None:
            candidates.append(node.value)
        elif isinstance(node, ast.Call) and node.args:
            candidates.append(node.args[0])
    for candidate in candidates:
        held = _built(editor, candidate, candidate)
        parts = pieces(held, editor) if held is not None else None
        if held is None or not parts or not any(kind == "hole" for kind, _ in parts) or len(parts) < 2:
            continue
        taken = editor.taken("html")
        function = "html_escape" if taken else "html.escape"
        made = [(k, v if k == "text" or "escape(" in v else f"{function}(str({v}))") for k, v in parts]
        editor.replace(held, rebuild(made))
        editor.need("from html import escape as html_escape" if taken else "import html")
        return True
    return False


def fix_path(editor: Editor, nodes: list[ast.AST]) -> bool:
    """A path below a folder is checked to stay there."""
    for call in nodes:
        if not isinstance(call, ast.Call):
            continue
        choices: list[ast.expr] = list(call.args[:2])
        if isinstance(call.func, ast.Attribute):
            choices.insert(0, call.func.value)
        for choice in choices:
            held = _built_often(editor, call, choice)
            made = _fenced(editor, held) if held is not None else None
            if held is None or made is None or editor.other("_within", _WITHIN):
                continue
            editor.replace(held, made)
            editor.need("import os")
            editor.helper("_within", _WITHIN)
            return True
    return False


def _built_often(editor: Editor, call: ast.AST, choice: ast.expr) -> ast.expr | None:
    """Like `_built`, for a path that may be used more than once."""
    if not isinstance(choice, ast.Name):
        return choice
    scope = _scope(editor, call)
    found = [
        node
        for node in ast.walk(scope)
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == choice.id for t in node.targets)
    ]
    return found[0].value if len(found) == 1 else None


def _fenced(editor: Editor, held: ast.expr) -> str | None:
    if isinstance(held, ast.Call):
        name = ast.unparse(held.func)
        if name in ("os.path.join", "posixpath.join") and len(held.args) > 1:
            return f"_within({', '.join(editor.source(argument) for argument in held.args)})"
        if name in ("Path", "pathlib.Path") and len(held.args) > 1:
            return f"{name}(_within({', '.join(editor.source(argument) for argument in held.args)}))"
        return None
    if isinstance(held, ast.BinOp) and isinstance(held.op, ast.Div):
        known = re.search(r"\bfrom pathlib import .*\bPath\b", editor.text)
        return f"{'Path' if known else 'type(' + editor.source(held.left) + ')'}(_within({editor.source(held.left)}, {editor.source(held.right)}))"  # noqa: E501
    parts = pieces(held, editor)
    if not parts or len(parts) < 2:
        return None
    first = next((place for place, (kind, value) in enumerate(parts) if kind == "text" and "/" in value), None)
    if first is None or first + 1 >= len(parts):
        return None
    cut = parts[first][1].rfind("/") + 1
    base = [*parts[:first], ("text", parts[first][1][:cut])]
    rest = [("text", parts[first][1][cut:]), *parts[first + 1 :]]
    rest = [part for part in rest if part != ("text", "")]
    inner = rest[0][1] if len(rest) == 1 and rest[0][0] == "hole" else rebuild(rest)
    return f"_within({rebuild(base)}, {inner})"


def fix_redirect(editor: Editor, nodes: list[ast.AST]) -> bool:
    """A redirect stays on the site."""
    for call in nodes:
        if isinstance(call, ast.Call) and re.search(r"redirect|Redirect", ast.unparse(call.func)) and call.args:
            if editor.other("_safe_local_url", _LOCAL):
                return False
            editor.replace(call.args[0], f"_safe_local_url({editor.source(call.args[0])})")
            editor.helper("_safe_local_url", _LOCAL)
            return True
    return False
