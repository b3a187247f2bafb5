"""Values that become part of a query, a command, code, a template or a pattern."""

from __future__ import annotations

import ast
import re

from mainspring.code.scan.python.flow import Call
from mainspring.code.scan.python.report import Sink
from mainspring.code.scan.python.values import CONSTANT, GIVEN, OUTSIDE, UNKNOWN, Value

__all__ = ["call"]

_SQL = re.compile(
    r"\b(select\b.*\bfrom|insert\s+into|update\b.*\bset|delete\s+from|replace\s+into|drop\s+(table|database|view|index)|"
    r"create\s+(table|database|view|user|role|index)|alter\s+(table|user|role)|truncate|union\s+(all\s+)?select|where|"
    r"order\s+by|group\s+by|limit|exec(ute)?|call|pragma|grant|set|attach|use|show|with|values)\b",
    re.I | re.S,
)
_EXECUTE = frozenset(
    ["execute", "executemany", "executescript", "exec_driver_sql", "mogrify", "copy_expert", "prepare"]
)
_QUERY = frozenset(
    [
        "raw",
        "extra",
        "query",
        "fetch",
        "fetchrow",
        "fetchval",
        "read_sql",
        "read_sql_query",
        "sql",
        "text",
        "RawSQL",
        "from_statement",
        "fetch_all",
        "fetch_one",
        "fetch_val",
        "iterate",
        "callproc",
    ]
)
_DATABASE = re.compile(
    r"(cur|conn|db|database|session|engine|tx|transaction|pool|sqlite|psycopg|mysql|objects|con|sql)", re.I
)
_SHELLS = frozenset(
    [
        "os.system",
        "os.popen",
        "os.popen2",
        "os.popen3",
        "os.popen4",
        "popen2.popen2",
        "commands.getoutput",
        "commands.getstatusoutput",
        "subprocess.getoutput",
        "subprocess.getstatusoutput",
        "asyncio.create_subprocess_shell",
        "asyncio.subprocess.create_subprocess_shell",
    ]
)
_RUNS = frozenset(f"subprocess.{name}" for name in ("run", "Popen", "call", "check_call", "check_output"))
_SHELL_NAMES = re.compile(r"^(/usr)?(/bin/)?(ba|z|da|k)?sh$|^cmd(\.exe)?$|^powershell(\.exe)?$|^pwsh$")
_ENGINES = frozenset(
    [
        "jinja2.Template",
        "mako.template.Template",
        "django.template.Template",
        "tornado.template.Template",
        "flask.render_template_string",
        "render_template_string",
        "chevron.render",
        "pystache.render",
    ]
)


def call(at: Call, sink: Sink) -> None:
    """Look at one call."""
    _sql(at, sink)
    _shell(at, sink)
    _code(at, sink)
    _templates(at, sink)
    _directories(at, sink)
    _documents(at, sink)
    _patterns(at, sink)


def _sql(at: Call, sink: Sink) -> None:
    method = at.method
    if method not in _EXECUTE and method not in _QUERY:
        return
    query = at.value(0, "sql", "query", "statement", "operation", "where")
    if query is None:
        return
    if isinstance(at.node.func, ast.Name) and method not in ("text", "RawSQL", "read_sql", "read_sql_query"):
        return
    database = method in _EXECUTE or _DATABASE.search(at.name.rpartition(".")[0]) is not None
    if not (_SQL.search(query.text) or (method in _EXECUTE and query.level == OUTSIDE)):
        return
    if not database and not re.search(r"\b(select|insert|update|delete)\b", query.text, re.I):
        return
    if query.built and query.risk("sql") >= GIVEN:
        sink.risky("sql-injection", at.node, query, "sql", confidence="high")
    elif query.level == OUTSIDE and method in _EXECUTE:
        sink.risky("sql-injection", at.node, query, "sql", OUTSIDE)
    elif query.built and query.risk("sql") == UNKNOWN and re.search(r"['\"]%?\0|=\s*\0", query.text):
        # A value (not a table's name) from who knows where.
        sink.risky("sql-injection", at.node, query, "sql", UNKNOWN, severity="medium", confidence="low")


def _shell(at: Call, sink: Sink) -> None:
    name = at.name
    command = at.value(0, "args", "cmd", "command", "path")
    if command is None:
        return
    if name in _SHELLS:
        _shell_reads(at, sink, command)
    elif name in _RUNS or name in ("subprocess.run", "asyncio.create_subprocess_exec"):
        shell = at.expression(-1, "shell")
        on = shell is not None and not (isinstance(shell, ast.Constant) and not shell.value)
        first = at.expression(0, "args")
        if on:
            _shell_reads(at, sink, command)
        elif isinstance(first, ast.List | ast.Tuple):
            _shell_in_list(at, sink, first, command)
        elif command.level == OUTSIDE:
            sink.risky(
                "command-injection", at.node, command, "command", OUTSIDE, message="a request chooses the program"
            )
    elif at.method == "exec_command" and command.built:
        sink.risky("command-injection", at.node, command, "shell")
    elif name.startswith(("os.exec", "os.spawn")):
        sink.risky("command-injection", at.node, command, "command", OUTSIDE)


def _shell_reads(at: Call, sink: Sink, command: Value) -> None:
    if command.risk("shell") == UNKNOWN:
        sink.risky("command-injection", at.node, command, "shell", UNKNOWN, severity="medium", confidence="low")
    else:
        sink.risky("command-injection", at.node, command, "shell", confidence="high")


def _shell_in_list(at: Call, sink: Sink, parts: ast.List | ast.Tuple, command: Value) -> None:
    words = [part.value if isinstance(part, ast.Constant) else None for part in parts.elts]
    if (
        words
        and isinstance(words[0], str)
        and _SHELL_NAMES.match(words[0])
        and any(w in ("-c", "/c", "-lc") for w in words)
    ):
        # What follows the script is passed to it as arguments, which is fine.
        place = next(i for i, word in enumerate(words) if word in ("-c", "/c", "-lc")) + 1
        if place < len(words) and words[place] is None:
            sink.risky("command-injection", at.node, command, "shell", confidence="high")
    elif parts.elts and words[0] is None and command.level == OUTSIDE and isinstance(parts.elts[0], ast.Name):
        sink.risky("command-injection", at.node, command, "command", OUTSIDE, severity="medium", confidence="low")


def _code(at: Call, sink: Sink) -> None:
    name = at.name
    text = at.value(0, "source", "object", "expr")
    if text is None:
        return
    if name in ("eval", "exec", "builtins.eval", "builtins.exec", "compile", "code.interact", "pandas.eval"):
        if name == "compile" and text.level < OUTSIDE:
            return
        low = text.risk("code") == UNKNOWN
        sink.risky(
            "code-injection",
            at.node,
            text,
            "code",
            UNKNOWN,
            severity="medium" if low else "high",
            confidence="medium" if low else "high",
        )
    elif name in ("__import__", "importlib.import_module", "runpy.run_path", "runpy.run_module"):
        sink.risky("unsafe-reflection", at.node, text, "code", OUTSIDE)
    elif name == "getattr" and len(at.args) > 1:
        sink.risky("unsafe-reflection", at.node, at.args[1], "code", OUTSIDE)
    elif isinstance(at.node.func, ast.Subscript) and "globals()" in ast.unparse(at.node.func.value)[:40]:
        sink.add("unsafe-reflection", at.node)


def _templates(at: Call, sink: Sink) -> None:
    name = at.name
    if name in _ENGINES or at.method in ("render_template_string", "from_string"):
        if name.startswith("string."):
            return
        text = at.value(0, "source", "template_string", "text")
        if (
            text is not None
            and at.method == "from_string"
            and "env" not in name.lower()
            and "jinja" not in name.lower()
        ):
            return
        sink.risky("ssti", at.node, text, "template")
    elif at.method == "format" and at.receiver.level == OUTSIDE and not at.receiver.built:
        sink.risky("format-string", at.node, at.receiver, "format", OUTSIDE, severity="medium")


def _directories(at: Call, sink: Sink) -> None:
    if at.method in ("search_s", "search_ext_s", "search_ext", "search_st", "search", "paged_search", "simple_bind_s"):
        for value in [*at.args[1:], *(at.keywords.get(k) or at.receiver for k in ("search_filter", "filterstr"))]:
            if value.built and re.search(r"\(\s*[&|!]?\(?\s*[\w;-]+[~<>]?=", value.text):
                sink.risky("ldap-injection", at.node, value, "ldap", confidence="high")
                return


def _documents(at: Call, sink: Sink) -> None:
    method = at.method
    first = at.value(0, "path", "_path")
    if method in ("xpath", "find", "findall", "findtext", "iterfind", "XPath", "select") and first is not None:  # noqa: SIM102
        if first.built and re.search(r"^(\.?/|\.$|//|[\w*]+\[|string\()|\[@?\w+(\(\))?\s*=", first.text):
            sink.risky("xpath-injection", at.node, first, "xpath", confidence="high")
            return
    if method in (
        "find",
        "find_one",
        "find_one_and_update",
        "find_one_and_delete",
        "delete_one",
        "delete_many",
        "update_one",
        "update_many",
        "count_documents",
        "aggregate",
        "replace_one",
        "find_one_and_replace",
    ):
        expression = at.expression(0, "filter")
        if isinstance(expression, ast.Dict):
            for key, part in zip(expression.keys, expression.values, strict=True):
                where = isinstance(key, ast.Constant) and key.value in ("$where", "$function", "$accumulator")
                if where and not isinstance(part, ast.Constant) and first is not None:  # noqa: SIM102
                    if sink.risky("nosql-injection", at.node, first, "nosql", confidence="high"):
                        return
        if first is None or first.literal or first.level < OUTSIDE:  # noqa: SIM102
            if first is None or first.kind != "json.loads()":
                return
        # Text from a form cannot be an operator; what JSON holds can.
        source = " ".join(sorted(first.origins))
        if re.search(r"json|data|body|query|params|get_json|args|form", source) or isinstance(expression, ast.Name):
            sink.risky("nosql-injection", at.node, first, "nosql", GIVEN)


def _patterns(at: Call, sink: Sink) -> None:
    if (
        at.name.startswith("re.")
        and "()" not in at.name
        and at.method
        in (
            "compile",
            "match",
            "search",
            "fullmatch",
            "findall",
            "finditer",
            "sub",
            "split",
        )
    ):
        pattern = at.value(0, "pattern")
        if pattern is not None and pattern.level > CONSTANT:
            sink.risky("regex-injection", at.node, pattern, "regex", OUTSIDE)
        text = at.literal(0, "pattern")
        if isinstance(text, str):
            from mainspring.code.scan.redos import explosive

            why = explosive(text)
            if why:
                sink.add("redos", at.node, message=f"the pattern can take exponential time: {why}")
