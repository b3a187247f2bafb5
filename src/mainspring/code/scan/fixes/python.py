"""Fixes for Python. Each gets an editor and the nodes of the finding's line, and says whether it changed something."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

from mainspring.code.scan.fixes.built import fix_command, fix_page, fix_path, fix_query, fix_redirect
from mainspring.code.scan.fixes.edits import Editor
from mainspring.code.scan.python.analysis import parse

__all__ = ["fix"]

_Fix = Callable[[Editor, list[ast.AST]], bool]


def fix(text: str, rule: str, line: int) -> str | None:
    """The text with one finding mended, None when there is no fix for it."""
    tree = parse(text)
    make = _FIXES.get(rule)
    if tree is None or make is None:
        return None
    nodes = [
        node
        for node in ast.walk(tree)
        if getattr(node, "lineno", -1) <= line <= (getattr(node, "end_lineno", -1) or -1)
    ]
    near = [node for node in nodes if getattr(node, "lineno", -1) == line]
    editor = Editor(text, tree)
    return editor.done() if make(editor, near) else None


def _calls(nodes: list[ast.AST]) -> Iterator[tuple[ast.Call, str]]:
    for node in nodes:
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func)


def _deserialise(editor: Editor, nodes: list[ast.AST]) -> bool:
    for call, name in _calls(nodes):
        if re.fullmatch(r"yaml\.(load|unsafe_load|full_load)(_all)?", name) and call.args:
            plural = "_all" if name.endswith("_all") else ""
            editor.replace(call, f"yaml.safe_load{plural}({editor.source(call.args[0])})")
            return True
        if name == "torch.load":
            return _set(editor, call, "weights_only", "True")
    return False


def _set(editor: Editor, call: ast.Call, name: str, value: str) -> bool:
    for keyword in call.keywords:
        if keyword.arg == name:
            editor.replace(keyword.value, value)
            return True
    editor.add_argument(call, f"{name}={value}")
    return True


def _hash(editor: Editor, nodes: list[ast.AST]) -> bool:
    for call, name in _calls(nodes):
        if name in ("hashlib.md5", "hashlib.sha1") and isinstance(call.func, ast.Attribute):
            function = next(
                (n for n in ast.walk(editor.tree) if isinstance(n, ast.FunctionDef) and call in ast.walk(n)), None
            )
            around = f"{function.name if function else ''} {ast.unparse(call)}"
            if re.search(r"passw|secret|token|auth|sign|hmac|cred|session|key|user|verify|integrity", around, re.I):
                editor.replace(call.func, "hashlib.sha256")
            else:
                editor.add_argument(call, "usedforsecurity=False")
            return True
        if name == "hashlib.new" and call.args and isinstance(call.args[0], ast.Constant):
            editor.replace(call.args[0], '"sha256"')
            return True
        if name in ("hmac.new", "hmac.digest"):
            for part in (*call.args[2:], *(k.value for k in call.keywords if k.arg in ("digestmod", "digest"))):
                editor.replace(part, "hashlib.sha256" if isinstance(part, ast.Attribute) else '"sha256"')
                return True
    return False


def _tls(editor: Editor, nodes: list[ast.AST]) -> bool:
    changed = False
    calls = [node for node in ast.walk(editor.tree) if isinstance(node, ast.Call)]
    lines = {getattr(node, "lineno", 0) for node in nodes}
    for call in calls:
        for keyword in call.keywords:
            off = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            if (
                keyword.value.lineno in lines
                and off
                and keyword.arg
                in (
                    "verify",
                    "verify_ssl",
                    "ssl_verify",
                    "validate_certs",
                    "check_hostname",
                    "ssl",
                    "verify_certs",
                )
            ):
                editor.drop_keyword(call, keyword)
                changed = True
        if call.lineno in lines and ast.unparse(call.func) == "ssl._create_unverified_context":
            editor.replace(call.func, "ssl.create_default_context")
            changed = True
    for node in nodes:
        if isinstance(node, ast.Assign):
            target = ast.unparse(node.targets[0])
            if target.endswith((".check_hostname", ".verify")) and isinstance(node.value, ast.Constant):
                editor.replace(node.value, "True")
                changed = True
            elif target.endswith(".verify_mode"):
                editor.replace(node.value, "ssl.CERT_REQUIRED")
                changed = True
            elif target.endswith("_create_default_https_context"):
                editor.replace(node.value, "ssl.create_default_context")
                changed = True
    return changed


def _random(editor: Editor, nodes: list[ast.AST]) -> bool:
    changed = False
    for call, name in _calls(nodes):
        if re.fullmatch(r"random\.\w+", name) and isinstance(call.func, ast.Attribute) and name != "random.seed":
            editor.replace(call.func.value, "secrets.SystemRandom()")
            editor.need("import secrets")
            changed = True
    return changed


def _temporary(editor: Editor, nodes: list[ast.AST]) -> bool:
    for call, name in _calls(nodes):
        if name == "tempfile.mktemp":
            given = [
                f"{key}={editor.source(a)}" for key, a in zip(("suffix", "prefix", "dir"), call.args, strict=False)
            ]
            given += [editor.source(keyword) for keyword in call.keywords]
            editor.replace(call, f"tempfile.NamedTemporaryFile({', '.join([*given, 'delete=False'])}).name")
            return True
    return False


def _literal(editor: Editor, nodes: list[ast.AST]) -> bool:
    for call, name in _calls(nodes):
        if name == "eval" and len(call.args) == 1 and not call.keywords:
            scope = next(
                (n for n in ast.walk(editor.tree) if isinstance(n, ast.FunctionDef) and call in ast.walk(n)), None
            )
            if re.search(
                r"calc|formula|expr|comput|script|rule|condition",
                f"{scope.name if scope else ''} {ast.unparse(call)}",
                re.I,
            ):
                return False  # more than a literal may be meant
            editor.replace(call.func, "ast.literal_eval")
            editor.need("import ast")
            return not editor.taken("ast")
    return False


def _compare(editor: Editor, nodes: list[ast.AST]) -> bool:
    for node in nodes:
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq | ast.NotEq):
            sides = [editor.source(node.left), editor.source(node.comparators[0])]
            if not all(side.endswith(".digest()") for side in sides) and not all(
                "hexdigest()" in side for side in sides
            ):
                # Text that is not ASCII, None and bytes are compared as before.
                sides = [f"repr({side}).encode()" for side in sides]
            call = f"hmac.compare_digest({', '.join(sides)})"
            editor.replace(node, call if isinstance(node.ops[0], ast.Eq) else f"not {call}")
            editor.need("import hmac")
            return not editor.taken("hmac")
    return False


def _archive(editor: Editor, nodes: list[ast.AST]) -> bool:
    for call, name in _calls(nodes):
        if name.endswith((".extractall", ".extract")) or name == "shutil.unpack_archive":
            return _set(editor, call, "filter", '"data"')
    return False


def _flag(*pairs: tuple[str, str, str]) -> _Fix:
    """A fix that sets a keyword of a call: (pattern of the callee, keyword, value)."""

    def make(editor: Editor, nodes: list[ast.AST]) -> bool:
        changed = False
        for call, name in _calls(nodes):
            for pattern, keyword, value in pairs:
                if re.search(pattern, name):
                    changed = _set(editor, call, keyword, value) or changed
            if changed:
                return True
        for node in nodes:
            if (
                isinstance(node, ast.Assign)
                and isinstance(node.value, ast.Constant)
                and isinstance(node.value.value, bool)
            ):
                editor.replace(node.value, str(not node.value.value))
                return True
        return False

    return make


def _mode(editor: Editor, nodes: list[ast.AST]) -> bool:
    for call, name in _calls(nodes):
        if name.endswith(("chmod", "mkdir", "makedirs", "open", "touch")):
            for part in (*call.args, *(keyword.value for keyword in call.keywords)):
                if isinstance(part, ast.Constant) and isinstance(part.value, int) and part.value & 0o002:
                    editor.replace(part, oct(part.value & 0o700 & (0o700 if part.value & 0o100 else 0o600)))
                    return True
        if name == "os.umask" and call.args:
            editor.replace(call.args[0], "0o077")
            return True
    return False


def _bind(editor: Editor, nodes: list[ast.AST]) -> bool:
    for call, _ in _calls(nodes):
        for part in ast.walk(call):
            if isinstance(part, ast.Constant) and part.value in ("0.0.0.0", "::", "") and isinstance(part.value, str):
                editor.replace(part, '"::1"' if part.value == "::" else '"127.0.0.1"')
                return True
    return False


def _xml(editor: Editor, nodes: list[ast.AST]) -> bool:
    changed = False
    for call, name in _calls(nodes):
        if name.endswith("XMLParser"):
            for keyword in call.keywords:
                if keyword.arg in ("resolve_entities", "load_dtd", "huge_tree", "no_network"):
                    editor.replace(keyword.value, "True" if keyword.arg == "no_network" else "False")
                    changed = True
        elif name.endswith("setFeature") and len(call.args) > 1:
            editor.replace(call.args[1], "False")
            changed = True
        elif (
            re.fullmatch(r"(lxml\.)?etree\.(fromstring|parse|XML)", name) and len(call.args) == 1 and not call.keywords
        ):
            owner = name.rpartition(".")[0]
            if "lxml" in editor.text:
                editor.add_argument(call, f"{owner}.XMLParser(resolve_entities=False, no_network=True)")
                changed = True
    return changed


def _host_key(editor: Editor, nodes: list[ast.AST]) -> bool:
    for node in nodes:
        if isinstance(node, ast.Attribute) and node.attr in ("AutoAddPolicy", "WarningPolicy"):
            editor.replace(node, f"{editor.source(node.value)}.RejectPolicy")
            return True
    return False


def _old_tls(editor: Editor, nodes: list[ast.AST]) -> bool:
    for node in nodes:
        if isinstance(node, ast.Attribute) and re.fullmatch(r"(TLSv1|TLSv1_1|SSLv2|SSLv3)", node.attr):
            editor.replace(node, f"{editor.source(node.value)}.TLSv1_2")
            return True
        if isinstance(node, ast.Attribute) and re.fullmatch(r"PROTOCOL_(TLSv1|TLSv1_1|SSLv2|SSLv3)", node.attr):
            editor.replace(node, f"{editor.source(node.value)}.PROTOCOL_TLS_CLIENT")
            return True
    return False


_FIXES: dict[str, _Fix] = {
    "deserialisation": _deserialise,
    "weak-hash": _hash,
    "tls-verification-off": _tls,
    "weak-random": _random,
    "insecure-temp": _temporary,
    "code-injection": _literal,
    "timing-compare": _compare,
    "archive-extraction": _archive,
    "debug-on": _flag((r"\.run$|run_simple$|run_app$", "debug", "False")),
    "insecure-cookie": _flag(
        (r"set_(signed_)?cookie$", "secure", "True"), (r"set_(signed_)?cookie$", "httponly", "True")
    ),
    "csrf-off": _flag(),
    "autoescape-off": _flag((r"Environment$", "autoescape", "True")),
    "world-writable": _mode,
    "bind-all": _bind,
    "xxe": _xml,
    "host-key-unchecked": _host_key,
    "weak-tls": _old_tls,
    "sql-injection": fix_query,
    "command-injection": fix_command,
    "xss": fix_page,
    "path-traversal": fix_path,
    "open-redirect": fix_redirect,
}
