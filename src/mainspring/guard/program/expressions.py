"""From the program's tree to instructions: names, expressions and calls."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mainspring.guard.program import ops, tables, texts
from mainspring.guard.program.builtin import BUILTINS
from mainspring.guard.program.faults import KINDS, ProgramError, ProgramLimits
from mainspring.guard.program.machine import Code, Op
from mainspring.guard.program.syntax import HINTS, harmless, pure, refuse

SIGNS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.LShift: "<<",
    ast.RShift: ">>",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.BitXor: "^",
}
_UNARY: dict[type[ast.unaryop], str] = {ast.Not: "not", ast.USub: "-", ast.UAdd: "+", ast.Invert: "~"}
_COMPARE: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Is: "is",
    ast.IsNot: "is not",
}
METHODS = frozenset({"sort", *texts.TEXT, *tables.LIST, *tables.DICT, *tables.SET})


class Scope:
    """The variables of one function, or of the program."""

    def __init__(self, code: Code, parent: Scope | None) -> None:
        self.code = code
        self.parent = parent
        self.names: dict[str, int] = {}
        self.inner: list[dict[str, int]] = []  # of the comprehensions that are open

    def fresh(self, name: str) -> int:
        """A new slot."""
        self.code.slots += 1
        self.code.names.append(name)
        return self.code.slots - 1

    def declare(self, name: str) -> None:
        """Give a name a slot, once."""
        if name not in self.names:
            self.names[name] = self.fresh(name)

    def slot(self, name: str) -> int:
        """The slot of a name that was declared here."""
        return self.names[name]

    def find(self, name: str) -> tuple[int, int] | None:
        """`(levels up, slot)` of a name, or None."""
        scope: Scope | None = self
        up = 0
        while scope is not None:
            for inner in reversed(scope.inner):
                if name in inner:
                    return up, inner[name]
            if name in scope.names:
                return up, scope.names[name]
            scope, up = scope.parent, up + 1
        return None

    def known(self) -> set[str]:
        """Every name in sight."""
        found = set(self.names).union(*self.inner)
        return found if self.parent is None else found | self.parent.known()


class Expressions:
    """The half of the compiler that knows expressions."""

    scope: Scope

    def __init__(
        self, tools: Mapping[str, tuple[str, Sequence[str]]], handles: frozenset[str], limits: ProgramLimits
    ) -> None:
        self.tools = tools
        self.handles = handles
        self.limits = limits
        self.consts: list[Any] = []
        self.used: set[str] = set()  # handles that the program names
        self.line = 1

    # -- emitting --------------------------------------------------------------------------------------------------
    def emit(self, op: Op, argument: Any = None) -> int:
        """Add an instruction; answers its place."""
        code = self.scope.code
        code.body.append((op, argument))
        code.lines.append(self.line)
        return len(code.body) - 1

    def here(self) -> int:
        """The place of the next instruction."""
        return len(self.scope.code.body)

    def patch(self, place: int, argument: Any) -> None:
        """Give an instruction its argument."""
        self.scope.code.body[place] = (self.scope.code.body[place][0], argument)

    def land(self, place: int) -> None:
        """A jump comes down here."""
        self.patch(place, self.here())

    def constant(self, data: Any) -> None:
        """Push a literal."""
        self.consts.append(data)
        self.emit(ops.op_const, len(self.consts) - 1)

    # -- names -----------------------------------------------------------------------------------------------------
    def check_name(self, name: str, node: ast.AST) -> None:
        """Refuse to set a name that means something else."""
        if name.startswith("__"):
            raise refuse(node, f"names with two underscores in front are not allowed: {name!r}")
        what = (
            "a built-in"
            if name in BUILTINS or name in KINDS
            else "a tool"
            if name in self.tools
            else "a handle"
            if name in self.handles
            else ""
        )
        if what:
            raise refuse(node, f"{name!r} is {what} and cannot be set; choose another name")

    def load(self, node: ast.Name) -> None:
        """Push a variable, a handle or a built-in."""
        name = node.id
        found = self.scope.find(name)
        if found is not None:
            up, slot = found
            self.emit(ops.op_load if up == 0 else ops.op_load_up, slot if up == 0 else found)
        elif name in BUILTINS:
            if name in ("print", "next"):
                raise refuse(node, f"{name} can only be called")
            self.emit(ops.op_builtin_value, name)
        elif name in self.tools:
            raise refuse(node, f"the tool {name!r} can only be called, as {name}(...)")
        elif name in self.handles:
            self.used.add(name)
            self.emit(ops.op_handle, name)
        elif name in KINDS:
            raise refuse(node, f"{name} can only be raised or caught")
        else:
            known = self.scope.known() | set(BUILTINS) | set(self.tools) | self.handles
            near = difflib.get_close_matches(name, sorted(known), 1)
            hint = f"; did you mean {near[0]!r}?" if near else "; there are no modules, only built-ins and your tools"
            raise refuse(node, f"nothing is called {name!r}{hint}")

    def store(self, target: ast.expr, store: Op | None = None) -> None:
        """Take a value from the stack into a target."""
        if isinstance(target, ast.Name):
            found = self.scope.find(target.id)
            assert found is not None
            assert found[0] == 0
            self.emit(store or ops.op_store, found[1])
        elif isinstance(target, ast.Tuple | ast.List):
            starred = [n for n, t in enumerate(target.elts) if isinstance(t, ast.Starred)]
            if len(starred) > 1:
                raise refuse(target, "only one * may stand on the left")
            self.emit(ops.op_unpack, (len(target.elts), starred[0] if starred else None))
            for part in target.elts:
                self.store(part.value if isinstance(part, ast.Starred) else part, store)
        elif isinstance(target, ast.Subscript) and not isinstance(target.slice, ast.Slice) and store is None:
            self.expression(target.value)
            self.expression(target.slice)
            self.emit(ops.op_put)
        elif isinstance(target, ast.Attribute):
            raise refuse(target, f'fields are set like this: x["{target.attr}"] = ...')
        else:
            raise refuse(target, 'only names and items such as d["key"] can be set')

    # -- expressions -----------------------------------------------------------------------------------------------
    def expression(self, node: ast.expr) -> None:
        """Compile an expression: its value ends on the stack."""
        method: Callable[[Any], None] | None = getattr(self, f"_e_{type(node).__name__.lower()}", None)
        if method is None:
            raise refuse(node, HINTS.get(type(node), f"{type(node).__name__} is not allowed here"))
        line, self.line = self.line, getattr(node, "lineno", self.line)
        method(node)
        self.line = line

    def test(self, node: ast.expr) -> None:
        """Compile a condition, of which only the outcome matters."""
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            self.test(node.operand)
            self.emit(ops.op_unary, "not")
        elif isinstance(node, ast.BoolOp) and all(pure(v, BUILTINS) for v in node.values[1:]):
            self._bool(node, test=True)
        else:
            self.expression(node)

    def _e_constant(self, node: ast.Constant) -> None:
        data = node.value
        if not (data is None or isinstance(data, bool | int | float | str)):
            raise refuse(node, f"{type(data).__name__} literals are not allowed")
        if isinstance(data, int) and data.bit_length() > self.limits.number:
            raise refuse(node, f"a number has more than {self.limits.number:,} bits")
        if isinstance(data, str) and not data.isascii():
            try:
                data.encode()
            except UnicodeEncodeError:
                raise refuse(node, "the text holds half a character (a lone surrogate)") from None
        self.constant(data)

    def _e_name(self, node: ast.Name) -> None:
        self.load(node)

    def _e_list(self, node: ast.List) -> None:
        self._sequence(node.elts, is_tuple=False)

    def _e_tuple(self, node: ast.Tuple) -> None:
        self._sequence(node.elts, is_tuple=True)

    def _sequence(self, parts: Sequence[ast.expr], *, is_tuple: bool) -> None:
        if not any(isinstance(p, ast.Starred) for p in parts):
            for part in parts:
                self.expression(part)
            self.emit(ops.op_list, (len(parts), is_tuple))
            return
        self.emit(ops.op_list, (0, False))
        for part in parts:
            self.expression(part.value if isinstance(part, ast.Starred) else part)
            self.emit(ops.op_list_extend if isinstance(part, ast.Starred) else ops.op_list_add)
        if is_tuple:
            self.emit(ops.op_as_tuple)

    def _e_set(self, node: ast.Set) -> None:
        self.emit(ops.op_set)
        for part in node.elts:
            self.expression(part.value if isinstance(part, ast.Starred) else part)
            self.emit(ops.op_set_extend if isinstance(part, ast.Starred) else ops.op_set_add)

    def _e_dict(self, node: ast.Dict) -> None:
        self.emit(ops.op_dict)
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                self.expression(value)
                self.emit(ops.op_dict_extend)
            else:
                self.expression(key)
                self.expression(value)
                self.emit(ops.op_dict_add)

    def _e_binop(self, node: ast.BinOp) -> None:
        sign = SIGNS.get(type(node.op))
        if sign is None:
            raise refuse(node, "there is no @ here")
        self.expression(node.left)
        self.expression(node.right)
        self.emit(ops.op_binary, sign)

    def _e_unaryop(self, node: ast.UnaryOp) -> None:
        self.expression(node.operand)
        self.emit(ops.op_unary, _UNARY[type(node.op)])

    def _e_compare(self, node: ast.Compare) -> None:
        signs = [_COMPARE[type(op)] for op in node.ops]
        for sign, right in zip(signs, node.comparators, strict=True):
            literal = isinstance(right, ast.Constant) and (right.value is None or isinstance(right.value, bool))
            if sign in ("is", "is not") and not literal:
                raise refuse(node, "`is` only goes with None, True and False; use ==")
        self.expression(node.left)
        self.expression(node.comparators[0])
        if len(signs) == 1:
            self.emit(ops.op_compare, signs[0])
            return
        if len(signs) > 2 or not pure(node.comparators[1], BUILTINS):
            raise refuse(node, "write this comparison with `and`")
        self.emit(ops.op_save)
        self.emit(ops.op_swap_under)
        self.emit(ops.op_compare, signs[0])
        stop = self.emit(ops.op_short)
        self.emit(ops.op_swap)
        self.expression(node.comparators[1])
        self.emit(ops.op_compare, signs[1])
        self.emit(ops.op_both)
        end = self.emit(ops.op_jump)
        self.patch(stop, (self.here(), False, True))
        self.emit(ops.op_drop_under)
        self.land(end)
        self.emit(ops.op_restore_test)

    def _e_boolop(self, node: ast.BoolOp) -> None:
        self._bool(node, test=False)

    def _bool(self, node: ast.BoolOp, *, test: bool) -> None:
        stops_on = isinstance(node.op, ast.Or)
        self.emit(ops.op_save)
        stops = []
        for number, value in enumerate(node.values):
            if test:
                self.test(value)
            else:
                self.expression(value)
            if test and number:
                self.emit(ops.op_both)
            if number < len(node.values) - 1:
                stops.append(self.emit(ops.op_short))
        for stop in stops:
            self.patch(stop, (self.here(), stops_on, test))
        self.emit(ops.op_restore_test if test else ops.op_restore_value)

    def _e_ifexp(self, node: ast.IfExp) -> None:
        self.emit(ops.op_save)
        self.test(node.test)
        otherwise = self.emit(ops.op_branch)
        self.expression(node.body)
        end = self.emit(ops.op_jump)
        self.land(otherwise)
        self.expression(node.orelse)
        self.land(end)
        self.emit(ops.op_restore_value)

    def _e_subscript(self, node: ast.Subscript) -> None:
        self.expression(node.value)
        if not isinstance(node.slice, ast.Slice):
            self.expression(node.slice)
            self.emit(ops.op_item)
            return
        for bound in (node.slice.lower, node.slice.upper, node.slice.step):
            if bound is None:
                self.constant(None)
            else:
                self.expression(bound)
        self.emit(ops.op_slice)

    def _e_attribute(self, node: ast.Attribute) -> None:
        if node.attr.startswith("_"):
            raise refuse(node, f'fields that begin with an underscore are read like this: x["{node.attr}"]')
        self.expression(node.value)
        self.emit(ops.op_field, node.attr)

    def _e_joinedstr(self, node: ast.JoinedStr) -> None:
        if not node.values:
            self.constant("")
            return
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                self.expression(part.value)
                self.emit(ops.op_format, (chr(part.conversion) if part.conversion > 0 else "", self._spec(part)))
            else:
                self.expression(part)
        self.emit(ops.op_text, len(node.values))

    def _spec(self, part: ast.FormattedValue) -> str:
        if part.conversion == ord("a"):
            raise refuse(part, "!a is not allowed; use !r")
        if part.format_spec is None:
            return ""
        assert isinstance(part.format_spec, ast.JoinedStr)
        pieces = [v.value for v in part.format_spec.values if isinstance(v, ast.Constant)]
        spec = "".join(str(p) for p in pieces)
        if len(pieces) != len(part.format_spec.values) or not texts.spec_allowed(spec):
            raise refuse(part, "this format is not allowed; write a plain one such as {x:.2f} or {x:>10}")
        return spec

    # -- comprehensions --------------------------------------------------------------------------------------------
    def _e_listcomp(self, node: ast.ListComp | ast.GeneratorExp) -> None:
        self._comprehension(node.generators, ops.op_list, (0, False), [node.elt], ops.op_list_add)

    def _e_generatorexp(self, node: ast.GeneratorExp) -> None:
        self._e_listcomp(node)

    def _e_setcomp(self, node: ast.SetComp) -> None:
        self._comprehension(node.generators, ops.op_set, None, [node.elt], ops.op_set_add)

    def _e_dictcomp(self, node: ast.DictComp) -> None:
        self._comprehension(node.generators, ops.op_dict, None, [node.key, node.value], ops.op_dict_add)

    def _comprehension(
        self, generators: list[ast.comprehension], new: Op, how: Any, parts: list[ast.expr], add: Op
    ) -> None:
        made = self.scope.fresh("the result")
        self.emit(ops.op_save)
        self.emit(new, how)
        self.emit(ops.op_store_raw, made)
        counts = not all(pure(p, BUILTINS) for p in [*parts, *(i for g in generators for i in g.ifs)])
        counts = counts or not all(pure(g.iter, BUILTINS) for g in generators[1:])
        inner: dict[str, int] = {}
        heads: list[int] = []
        out = 0
        for number, generator in enumerate(generators):
            if generator.is_async:
                raise refuse(generator.iter, "there is no async")
            self.expression(generator.iter)  # the first one does not see the names of this comprehension
            if number == 0:
                self.scope.inner.append(inner)
            self.emit(ops.op_walk, (made, counts))
            for name in ast.walk(generator.target):
                if isinstance(name, ast.Name) and name.id not in inner:
                    self.check_name(name.id, name)
                    inner[name.id] = self.scope.fresh(name.id)
            heads.append(self.here())
            end = self.emit(ops.op_next)
            if number:
                self.patch(end, heads[-2])
            else:
                out = end
            self.store(generator.target, ops.op_store_raw)
            for condition in generator.ifs:
                self.test(condition)
                self.emit(ops.op_branch_kept, (heads[-1], made))
        for part in parts:
            self.expression(part)
        self.emit(add, made)
        self.emit(ops.op_jump, heads[-1])
        self.land(out)
        self.scope.inner.pop()
        self.emit(ops.op_load, made)
        self.emit(ops.op_restore, ((), False))

    # -- functions and calls ---------------------------------------------------------------------------------------
    def _e_lambda(self, node: ast.Lambda) -> None:
        def body() -> None:
            self.expression(node.body)
            self.emit(ops.op_return)

        self.function(node, "lambda", node.args, body)

    def function(self, node: ast.AST, name: str, arguments: ast.arguments, body: Callable[[], None]) -> None:
        """Compile a function; its value ends on the stack."""
        if arguments.posonlyargs or arguments.kwonlyargs or arguments.vararg or arguments.kwarg:
            raise refuse(node, "functions take plain parameters only: no *, ** or /")
        for default in arguments.defaults:
            self.expression(default)
        code = Code(name, tuple(a.arg for a in arguments.args), pure=harmless(node))
        outer, self.scope = self.scope, Scope(code, self.scope)
        for parameter in arguments.args:
            self.check_name(parameter.arg, parameter)
            self.scope.declare(parameter.arg)
        body()
        self.scope = outer
        self.emit(ops.op_function, (code, len(arguments.defaults)))

    def _e_call(self, node: ast.Call) -> None:
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                raise refuse(argument, "* cannot stand in a call; pass the arguments one by one")
        names = []
        for keyword in node.keywords:
            if keyword.arg is None:
                raise refuse(keyword.value, "** cannot stand in a call; pass the arguments one by one")
            names.append(keyword.arg)
        callee = node.func
        if isinstance(callee, ast.Name) and self.scope.find(callee.id) is None:
            if callee.id in BUILTINS:
                self._call_builtin(node, callee.id, tuple(names))
                return
            if callee.id in self.tools:
                self._call_tool(node, callee.id)
                return
        if isinstance(callee, ast.Attribute):
            self._call_method(node, callee, tuple(names))
            return
        self.expression(callee)
        self._pass_on(node)
        self.emit(ops.op_call, (len(node.args), tuple(names)))

    def _pass_on(self, node: ast.Call) -> None:
        for argument in [*node.args, *(k.value for k in node.keywords)]:
            self.expression(argument)

    def _call_builtin(self, node: ast.Call, name: str, names: tuple[str, ...]) -> None:
        if name == "next" and not (node.args and isinstance(node.args[0], ast.GeneratorExp)):
            raise refuse(node, "next() only takes a search, such as next((x for x in xs if x.ok), None)")
        if name != "dict" and set(names) - set(BUILTINS[name][3]):
            raise refuse(node, f"{name}() takes no argument {sorted(set(names) - set(BUILTINS[name][3]))[0]!r} here")
        self._pass_on(node)
        self.emit(ops.op_call_builtin, (name, len(node.args), names))

    def _call_method(self, node: ast.Call, callee: ast.Attribute, names: tuple[str, ...]) -> None:
        if callee.attr in ("format", "format_map"):
            raise refuse(node, f"there is no {callee.attr}(); write an f-string")
        if callee.attr not in METHODS:
            raise refuse(node, f"there is no method {callee.attr}() here")
        self.expression(callee.value)
        if not all(isinstance(a, ast.Constant) for a in node.args):
            self.emit(ops.op_has_method, callee.attr)
        self._pass_on(node)
        self.emit(ops.op_call_method, (callee.attr, len(node.args), names))

    def _call_tool(self, node: ast.Call, name: str) -> None:
        tool, parameters = self.tools[name]
        wanted = f"{name}({', '.join(parameters)})"
        if len(node.args) > len(parameters):
            raise refuse(node, f"too many arguments for {wanted}")
        names = list(parameters[: len(node.args)])
        for keyword in node.keywords:
            given = keyword.arg or ""
            # A parameter such as `from` is no word that Python lets one write: `from_` means it.
            given = given[:-1] if given not in parameters and given.endswith("_") else given
            if given not in parameters:
                raise refuse(node, f"{wanted} has no argument {given!r}")
            if given in names:
                raise refuse(node, f"{wanted} is given {given!r} twice")
            names.append(given)
        self._pass_on(node)
        self.emit(ops.op_call_tool, (tool, tuple(names)))


def python_names(tools: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, Sequence[str]]]:
    """What each tool is called in a program: its own name, with `_` for `-`; `tool_NAME` where that is taken.

    A tool never takes the place of a built-in: whoever names the tools would change what programs mean.

    Raises:
        ProgramError: two tools would have the same name.
    """
    found: dict[str, tuple[str, Sequence[str]]] = {}
    for tool, parameters in tools.items():
        name = tool.replace("-", "_")
        if name in BUILTINS or name in KINDS or not name.isidentifier() or _reserved(name):
            name = f"tool_{name}"
        if name in found:
            raise ProgramError(f"the tools {found[name][0]!r} and {tool!r} would both be called {name!r}")
        found[name] = (tool, tuple(parameters))
    return found


def _reserved(name: str) -> bool:
    import keyword

    return keyword.iskeyword(name) or name.startswith("__")
