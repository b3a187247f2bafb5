"""Reads a module function by function and keeps what is known of each variable; rules are told of what happens.

An abstract interpretation within one function: branches are joined, loops read twice. Of functions in the same file it
is known what they return. It never runs the code.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from mainspring.code.scan.python import names
from mainspring.code.scan.python.guards import Fact, facts, leaves, named, spell
from mainspring.code.scan.python.values import (
    CONSTANT,
    GIVEN,
    NOTHING,
    OUTSIDE,
    UNKNOWN,
    Value,
    constant,
    join,
    merge,
)

__all__ = ["Call", "Flow", "Function", "Rules"]

_DEPTH = 60
_OUTER = "<module>"


@dataclass(slots=True)
class Function:
    """The function that is being read: its name, whether a request reaches it, and the class that it stands in."""

    name: str = _OUTER
    handler: bool = False
    bases: tuple[str, ...] = ()
    node: ast.AST | None = None
    tests: int = 0


@dataclass(slots=True)
class Call:
    """A call as a rule sees it: `name` is dotted and resolved through imports, `method` its last part."""

    node: ast.Call
    name: str
    args: list[Value]
    keywords: dict[str, Value]
    receiver: Value
    function: Function

    @property
    def method(self) -> str:
        """What stands behind the last dot."""
        return self.name.rsplit(".", 1)[-1]

    def value(self, position: int, *keywords: str) -> Value | None:
        """An argument by position or keyword."""
        for name in keywords:
            if name in self.keywords:
                return self.keywords[name]
        return self.args[position] if 0 <= position < len(self.args) else None

    def expression(self, position: int, *keywords: str) -> ast.expr | None:
        """The source of an argument."""
        for keyword in self.node.keywords:
            if keyword.arg in keywords:
                return keyword.value
        return self.node.args[position] if 0 <= position < len(self.node.args) else None

    def literal(self, position: int, *keywords: str) -> object:
        """The value of an argument that is a constant, None otherwise."""
        found = self.expression(position, *keywords)
        return found.value if isinstance(found, ast.Constant) else None


class Rules(Protocol):
    """Who is told of what happens."""

    def call(self, call: Call) -> None:
        """A call was read."""

    def assign(self, target: str, value: Value, node: ast.AST, source: ast.expr, function: Function) -> None:
        """A value got a name."""

    def returns(self, value: Value, node: ast.Return, function: Function) -> None:
        """A function returned."""

    def compare(self, node: ast.Compare, values: Sequence[Value], function: Function) -> None:
        """Values were compared."""


@dataclass(slots=True)
class Flow:
    """Reads one module.

    Args:
        rules: told of calls, assignments, returns and comparisons, in the last of two passes.
    """

    rules: Rules
    aliases: dict[str, str] = field(default_factory=dict)
    returned: dict[str, Value] = field(default_factory=dict)
    _local: set[str] = field(default_factory=set)
    _quiet: bool = True
    _depth: int = 0

    def read(self, tree: ast.Module) -> None:
        """Read the module twice: once for what its functions return, once for the rules."""
        self._imports(tree)
        self._local = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        for quiet in (True, False):
            self._quiet = quiet
            self._block(tree.body, {}, Function())

    def _imports(self, tree: ast.Module) -> None:
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    self.aliases[alias.asname or alias.name.split(".")[0]] = (
                        alias.name if alias.asname else alias.name.split(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    self.aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"

    # -- names

    def dotted(self, node: ast.expr, env: dict[str, Value]) -> str:
        """The full name of what an expression stands for, such as ``requests.Session().get``."""
        parts: list[str] = []
        while True:
            if isinstance(node, ast.Attribute):
                known = env.get(spell(node))
                if known is not None and known.kind:
                    parts.append(known.kind)
                    break
                parts.append(node.attr)
                node = node.value
            elif isinstance(node, ast.Call):
                parts.append(self.dotted(node.func, env) + "()")
                break
            elif isinstance(node, ast.Name):
                known = env.get(node.id)
                if known is not None and known.kind:
                    parts.append(known.kind)
                else:
                    parts.append(self.aliases.get(node.id, node.id) if known is None else node.id)
                break
            elif isinstance(node, ast.Await):
                node = node.value
            else:
                parts.append("?")
                break
        return ".".join(reversed(parts))

    # -- statements

    def _block(self, body: Sequence[ast.stmt], env: dict[str, Value], function: Function) -> None:
        self._depth += 1
        if self._depth < _DEPTH:
            for statement in body:
                self._statement(statement, env, function)
        self._depth -= 1

    def _statement(self, node: ast.stmt, env: dict[str, Value], function: Function) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            self._function(node, env, function)
        elif isinstance(node, ast.ClassDef):
            bases = tuple(self.dotted(base, env) for base in node.bases)
            for decorator in node.decorator_list:
                self.value(decorator, env, function)
            self._block(node.body, dict(env), Function(name=node.name, bases=bases, node=node))
        elif isinstance(node, ast.Assign):
            value = self.value(node.value, env, function)
            for target in node.targets:
                self._bind(target, value, node.value, env, function)
        elif isinstance(node, ast.AnnAssign):
            if node.value is not None:
                self._bind(node.target, self.value(node.value, env, function), node.value, env, function)
        elif isinstance(node, ast.AugAssign):
            before = self.value(node.target, env, function)
            added = self.value(node.value, env, function)
            value = join((before, added)) if isinstance(node.op, ast.Add) else merge((before, added))
            self._bind(node.target, value, node.value, env, function)
        elif isinstance(node, ast.Return):
            value = self.value(node.value, env, function) if node.value else NOTHING
            if function.name in self._local:
                known = self.returned.get(function.name)
                self.returned[function.name] = value if known is None else merge((known, value))
            if not self._quiet:
                self.rules.returns(value, node, function)
        elif isinstance(node, ast.If):
            self._if(node, env, function)
        elif isinstance(node, ast.Assert):
            self.value(node.test, env, function)
            self._learn(facts(node.test, True), env)
        elif isinstance(node, ast.While):
            self.value(node.test, env, function)
            inner = dict(env)
            self._learn(facts(node.test, True), inner)
            self._loop(node, inner, env, function)
        elif isinstance(node, ast.For | ast.AsyncFor):
            items = self.value(node.iter, env, function)
            self._bind(node.target, self._item(node.iter, items, env), node.iter, env, function)
            # A loop that checks every member and leaves otherwise makes the whole safe.
            inner = dict(env)
            self._loop(node, inner, env, function)
            self._checked_members(node, inner, env)
        elif isinstance(node, ast.With | ast.AsyncWith):
            for item in node.items:
                value = self.value(item.context_expr, env, function)
                if item.optional_vars is not None:
                    self._bind(item.optional_vars, value, item.context_expr, env, function)
            self._block(node.body, env, function)
        elif isinstance(node, ast.Try | ast.TryStar):
            self._block(node.body, env, function)
            for handler in node.handlers:
                inner = dict(env)
                if handler.name:
                    inner[handler.name] = Value(UNKNOWN, kind="<error>")
                self._block(handler.body, inner, function)
            self._block(node.orelse, env, function)
            self._block(node.finalbody, env, function)
        elif isinstance(node, ast.Match):
            subject = self.value(node.subject, env, function)
            for case in node.cases:
                inner = dict(env)
                for part in ast.walk(case.pattern):
                    if isinstance(part, ast.MatchAs | ast.MatchStar) and part.name:
                        inner[part.name] = subject
                self._block(case.body, inner, function)
        elif isinstance(node, ast.Expr):
            self.value(node.value, env, function)
            self._checked(node.value, env)
        elif isinstance(node, ast.Raise):
            for raised in (node.exc, node.cause):
                if raised is not None:
                    self.value(raised, env, function)
        elif isinstance(node, ast.Delete):
            for target in node.targets:
                env.pop(spell(target), None)

    def _if(self, node: ast.If, env: dict[str, Value], function: Function) -> None:
        self.value(node.test, env, function)
        yes, no = dict(env), dict(env)
        self._learn(facts(node.test, True), yes)
        self._learn(facts(node.test, False), no)
        self._block(node.body, yes, function)
        self._block(node.orelse, no, function)
        ends = [branch for branch, body in ((yes, node.body), (no, node.orelse)) if not leaves(body)]
        self._rejoin(ends, env)

    def _loop(
        self,
        node: ast.For | ast.AsyncFor | ast.While,
        inner: dict[str, Value],
        env: dict[str, Value],
        function: Function,
    ) -> None:
        quiet, self._quiet = self._quiet, True
        self._block(node.body, inner, function)  # what a first round leaves behind is there in the second
        self._quiet = quiet
        again = {name: merge((value, env.get(name, value))) if name in env else value for name, value in inner.items()}
        for name, value in inner.items():
            if value.kind:
                again[name] = replace(again[name], kind=value.kind)
            if env.get(name) == value:
                again[name] = value
        self._block(node.body, again, function)
        self._rejoin([again, dict(env)], env)
        self._block(node.orelse, env, function)

    def _rejoin(self, ends: list[dict[str, Value]], env: dict[str, Value]) -> None:
        if not ends:
            return
        for name in set().union(*ends):
            values = [end[name] for end in ends if name in end]
            first = values[0]
            if all(value == first for value in values):
                env[name] = first
            else:
                joined = merge(values)
                kinds = {value.kind for value in values}
                env[name] = replace(joined, kind=first.kind if len(kinds) == 1 else "")

    def _checked_members(self, node: ast.For | ast.AsyncFor, inner: dict[str, Value], env: dict[str, Value]) -> None:
        for part in ast.walk(node):
            if isinstance(part, ast.If) and (leaves(part.body) or leaves(part.orelse)):
                safe = [*facts(part.test, False), *facts(part.test, True)]
                if any(use in ("path", "*", "resolved-path") for _, use in safe):
                    for name in named(node.iter):
                        if name in env:
                            env[name] = env[name].cleaned("members")

    def _learn(self, known: Iterator[Fact], env: dict[str, Value]) -> None:
        for name, use in known:
            if name == "*":
                for each in list(env):
                    env[each] = env[each].cleaned(use)
                continue
            upward = name.startswith("^")
            name = name.removeprefix("^")
            value = env.get(name)
            if value is None and "." in name:
                value = env.get(name.split(".", 1)[0]) if upward else Value(UNKNOWN)
            if value is None:
                continue
            if use == "resolved-path":
                if "resolved" not in value.clean:
                    continue
                use = "path"
            if not upward:
                env[name] = value.cleaned(use)
            if upward or use == "path":
                for origin in value.origins:
                    if origin in env and (use != "path" or "resolved" in value.clean):
                        env[origin] = env[origin].cleaned(use)

    def _checked(self, node: ast.expr, env: dict[str, Value]) -> None:
        """A call as a statement that raises when its argument is not fine."""
        if isinstance(node, ast.Await):
            node = node.value
        if not isinstance(node, ast.Call):
            return
        last = spell(node.func).rsplit(".", 1)[-1]
        if last == "relative_to" and isinstance(node.func, ast.Attribute):
            self._learn(iter([(name, "path") for name in named(node.func.value)]), env)
        elif names.CHECKS.search(last) or names.CLEANING_NAME.search(last):
            given = [name for argument in node.args for name in named(argument)]
            self._learn(iter([(name, "*") for name in given]), env)
            self._learn(iter([(f"^{name}", "url") for name in given]), env)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, env: dict[str, Value], outer: Function) -> None:
        for part in (*node.decorator_list, *node.args.defaults, *(d for d in node.args.kw_defaults if d)):
            self.value(part, env, outer)
        decorators = [self.dotted(d.func if isinstance(d, ast.Call) else d, {}) for d in node.decorator_list]
        handler = any(names.HANDLER.search(name) and not name.startswith("click.") for name in decorators)
        inner = dict(env)
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        arguments += [one for one in (node.args.vararg, node.args.kwarg) if one]
        first = arguments[0].arg if arguments else ""
        for argument in arguments:
            inner[argument.arg] = self._parameter(argument, handler)
        here = Function(node.name, handler or first == "request", outer.bases, node)
        self._block(node.body, inner, here)

    @staticmethod
    def _parameter(argument: ast.arg, handler: bool) -> Value:
        kind = ast.unparse(argument.annotation) if argument.annotation is not None else ""
        kind = kind.strip("'\"")
        origins = frozenset({argument.arg})
        if names.SERVICE_NAME.match(argument.arg) or argument.arg in ("request", "req", "flask_request"):
            return Value(UNKNOWN, origins=origins)
        if names.HARMLESS_TYPE.match(kind):
            return Value(UNKNOWN, clean=frozenset({"*"}), origins=origins)
        known = ""
        if kind in ("Path", "pathlib.Path"):
            known = "pathlib.Path()"
        return Value(OUTSIDE if handler else GIVEN, origins=origins, kind=known)

    def _item(self, source: ast.expr, items: Value, env: dict[str, Value]) -> Value:
        if isinstance(source, ast.Call):
            last = source.func.attr if isinstance(source.func, ast.Attribute) else ""
            if last in ("getmembers", "namelist", "infolist", "getnames"):
                return Value(OUTSIDE, origins=items.origins, kind="<member>", clean=items.clean)
            if spell(source.func) in ("os.walk", "os.listdir", "os.scandir", "glob.glob") or last in (
                "iterdir",
                "glob",
                "rglob",
                "walk",
            ):
                return Value(UNKNOWN)
        if "tarfile" in items.kind or "zipfile" in items.kind:
            return Value(OUTSIDE, origins=items.origins, kind="<member>", clean=items.clean)
        return replace(items, kind="", literal=False, text=items.text if items.built else "")

    def _bind(
        self, target: ast.expr, value: Value, source: ast.expr, env: dict[str, Value], function: Function
    ) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            parts = source.elts if isinstance(source, ast.Tuple | ast.List) else []
            for place, one in enumerate(target.elts):
                if len(parts) == len(target.elts):
                    self._bind(one, self.value(parts[place], env, function, quiet=True), parts[place], env, function)
                else:
                    self._bind(one, replace(value, kind=""), source, env, function)
            return
        if isinstance(target, ast.Starred):
            self._bind(target.value, value, source, env, function)
            return
        if isinstance(target, ast.Subscript):
            spelled = spell(target.value)
            if spelled in env:
                env[spelled] = replace(merge((env[spelled], value)), kind=env[spelled].kind)
            self.value(target.slice, env, function)
            name = f"{self.dotted(target.value, env)}[{ast.unparse(target.slice)[:80]}]"
        else:
            name = spell(target)
            if name:
                origins = value.origins | {name} if value.level >= UNKNOWN else value.origins
                env[name] = replace(value, origins=origins)
        if name and not self._quiet:
            self.rules.assign(name, value, target, source, function)

    # -- expressions

    def value(self, node: ast.expr, env: dict[str, Value], function: Function, *, quiet: bool = False) -> Value:
        """What is known of an expression; calls within it are told to the rules."""
        if quiet:
            before, self._quiet = self._quiet, True
            try:
                return self.value(node, env, function)
            finally:
                self._quiet = before
        self._depth += 1
        try:
            if self._depth > _DEPTH:
                return Value(UNKNOWN)
            return self._expression(node, env, function)
        finally:
            self._depth -= 1

    def _expression(self, node: ast.expr, env: dict[str, Value], function: Function) -> Value:
        if isinstance(node, ast.Constant):
            return constant(node.value if isinstance(node.value, str) else "")
        if isinstance(node, ast.Name):
            if node.id in env:
                return env[node.id]
            return NOTHING if node.id not in self.aliases and node.id.isupper() else self._source(node, env, function)
        if isinstance(node, ast.Attribute):
            return self._attribute(node, env, function)
        if isinstance(node, ast.JoinedStr):
            return join(self._piece(part, env, function) for part in node.values)
        if isinstance(node, ast.BinOp):
            return self._binary(node, env, function)
        if isinstance(node, ast.Call):
            return self._call(node, env, function)
        if isinstance(node, ast.Subscript):
            held = self.value(node.value, env, function)
            index = self.value(node.slice, env, function)
            if held.level == CONSTANT:
                return held  # one of constant things, whoever chooses which
            del index
            if held.kind == "sys.argv":
                return Value(GIVEN, origins=held.origins)
            return replace(held, kind="" if held.kind != "<member>" else held.kind, literal=False)
        if isinstance(node, ast.Compare):
            values = [self.value(part, env, function) for part in (node.left, *node.comparators)]
            if not self._quiet:
                self.rules.compare(node, values, function)
            return NOTHING
        if isinstance(node, ast.BoolOp):
            return merge(self.value(part, env, function) for part in node.values)
        if isinstance(node, ast.IfExp):
            self.value(node.test, env, function)
            yes, no = dict(env), dict(env)
            self._learn(facts(node.test, True), yes)
            self._learn(facts(node.test, False), no)
            return merge((self.value(node.body, yes, function), self.value(node.orelse, no, function)))
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            return replace(merge(self.value(part, env, function) for part in node.elts), text="")
        if isinstance(node, ast.Dict):
            parts = [self.value(part, env, function) for part in (*node.keys, *node.values) if part is not None]
            return replace(merge(parts), text="")
        if isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
            return self._comprehension(node, env, function)
        if isinstance(node, ast.Lambda):
            inner = dict(env)
            for argument in node.args.args:
                inner[argument.arg] = Value(UNKNOWN)
            self.value(node.body, inner, function)
            return NOTHING
        if isinstance(node, ast.NamedExpr):
            value = self.value(node.value, env, function)
            self._bind(node.target, value, node.value, env, function)
            return value
        if isinstance(node, ast.Await | ast.Starred | ast.YieldFrom | ast.FormattedValue):
            return self.value(node.value, env, function)
        if isinstance(node, ast.Yield):
            return self.value(node.value, env, function) if node.value else NOTHING
        if isinstance(node, ast.UnaryOp):
            value = self.value(node.operand, env, function)
            return NOTHING if isinstance(node.op, ast.Not) else value
        if isinstance(node, ast.Slice):
            return merge(self.value(p, env, function) for p in (node.lower, node.upper, node.step) if p is not None)
        return Value(UNKNOWN)

    def _piece(self, part: ast.expr, env: dict[str, Value], function: Function) -> Value:
        if not isinstance(part, ast.FormattedValue):
            return self.value(part, env, function)
        value = self.value(part.value, env, function)
        if part.format_spec is not None:
            self.value(part.format_spec, env, function)
        if part.conversion in (ord("r"), ord("a")):
            value = value.cleaned("log", "header")
        return replace(value, literal=False, kind="")

    def _binary(self, node: ast.BinOp, env: dict[str, Value], function: Function) -> Value:
        # A long chain of additions is as deep as it is long: it is walked here, not by calls.
        if isinstance(node.op, ast.Add):
            parts: list[ast.expr] = []
            left: ast.expr = node
            while isinstance(left, ast.BinOp) and isinstance(left.op, ast.Add):
                parts.append(left.right)
                left = left.left
            parts.append(left)
            return join(self.value(part, env, function) for part in reversed(parts))
        one, other = self.value(node.left, env, function), self.value(node.right, env, function)
        if isinstance(node.op, ast.Mod) and (one.text or one.built):
            return self._formatted(one, [other], "%r" in one.text)
        if isinstance(node.op, ast.Div):
            pieces = join((one, constant("/"), replace(other, text="" if other.level else other.text)))
            return replace(pieces, kind="pathlib.Path()", clean=_path_clean(one, other))
        if isinstance(node.op, ast.Mult):
            return replace(merge((one, other)), text=one.text or other.text, built=False)
        return replace(merge((one, other)), text="")

    @staticmethod
    def _formatted(pattern: Value, values: Sequence[Value], quoted: bool = False) -> Value:
        import re

        whole = merge((pattern, *values))
        text = pattern.text
        if any(value.level > CONSTANT for value in values):
            text = re.sub(r"%(\(\w+\))?[-#0 +]*[\d.*]*[a-zA-Z]|\{[^{}]*\}", "\0", text)
        result = replace(whole, text=text, built=whole.level > CONSTANT, literal=False)
        return result.cleaned("log", "header") if quoted else result

    def _attribute(self, node: ast.Attribute, env: dict[str, Value], function: Function) -> Value:
        spelled = spell(node)
        if spelled in env:
            return env[spelled]
        source = self._source(node, env, function)
        if source.level > UNKNOWN:
            return source
        held = self.value(node.value, env, function)
        if node.attr in ("name", "stem", "suffix") and "Path" in held.kind:
            return replace(held, kind="").cleaned("path")
        if node.attr == "filename" and held.level >= GIVEN:
            return replace(held, level=OUTSIDE, kind="", text="")
        if node.attr == "parent":
            return held
        if held.level == CONSTANT:
            return Value(UNKNOWN, origins=held.origins) if not spelled or spelled.split(".")[0] not in env else held
        return replace(held, kind=held.kind if held.kind == "<member>" else "", text="", built=False)

    def _source(self, node: ast.Name | ast.Attribute, env: dict[str, Value], function: Function) -> Value:
        name = self.dotted(node, env)
        if name in ("sys.argv", "os.environ"):
            return Value(GIVEN, origins=frozenset({name}), kind=name)
        owner, _, last = name.rpartition(".")
        if last in names.FIELDS_OF_REQUEST:
            holder = owner.rsplit(".", 1)[-1]
            if holder in ("request", "req") or owner in ("flask.request", "bottle.request", "self.request"):
                return Value(OUTSIDE, origins=frozenset({spell(node)}), kind="<request>")
        if owner == "self" and last in ("path", "headers") and any("HTTPRequestHandler" in b for b in function.bases):
            return Value(OUTSIDE, origins=frozenset({spell(node)}))
        return Value(UNKNOWN)

    def _comprehension(
        self,
        node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp,
        env: dict[str, Value],
        function: Function,
    ) -> Value:
        inner = dict(env)
        for part in node.generators:
            items = self.value(part.iter, inner, function)
            self._bind(part.target, self._item(part.iter, items, inner), part.iter, inner, function)
            for test in part.ifs:
                self.value(test, inner, function)
                self._learn(facts(test, True), inner)
        if isinstance(node, ast.DictComp):
            return merge((self.value(node.key, inner, function), self.value(node.value, inner, function)))
        return self.value(node.elt, inner, function)

    def _call(self, node: ast.Call, env: dict[str, Value], function: Function) -> Value:
        from mainspring.code.scan.python.calls import result

        name = self.dotted(node.func, env)
        receiver = self.value(node.func.value, env, function) if isinstance(node.func, ast.Attribute) else NOTHING
        args = [self.value(argument, env, function) for argument in node.args]
        keywords = {one.arg or "**": self.value(one.value, env, function) for one in node.keywords}
        if isinstance(node.func, ast.Name) and node.func.id in self._local:
            name = f"local:{node.func.id}"
        call = Call(node, name, args, keywords, receiver, function)
        if not self._quiet:
            self.rules.call(call)
        local = name.removeprefix("local:") if name.startswith("local:") else ""
        if name.startswith("self.") and name.count(".") == 1:
            local = name.removeprefix("self.")
        if call.method in ("append", "add", "extend", "insert", "update") and isinstance(node.func, ast.Attribute):
            holder = spell(node.func.value)
            if holder in env:
                env[holder] = replace(merge((env[holder], *args, *keywords.values())), kind=env[holder].kind)
        return result(call, self.returned.get(local) if local in self._local else None)


def _path_clean(base: Value, part: Value) -> frozenset[str]:
    clean = base.clean | part.clean if part.level == CONSTANT else part.clean
    return (clean | base.clean if base.level == CONSTANT else clean) - {"resolved"}
