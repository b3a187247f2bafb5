"""From the program's tree to instructions: names, expressions and calls."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

from mainspring.guard.program import flow, methods, ops, texts
from mainspring.guard.program.builtin import BUILTINS
from mainspring.guard.program.machine import Op
from mainspring.guard.program.scopes import Emitter
from mainspring.guard.program.syntax import HINTS, pure, refuse

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
METHODS = frozenset({"sort", *texts.TEXT, *methods.LIST, *methods.DICT, *methods.SET})


class Expressions(Emitter):
    """The part of the compiler that knows expressions."""

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
        self.emit(flow.op_save)
        self.emit(ops.op_swap_under)
        self.emit(ops.op_compare, signs[0])
        stop = self.emit(flow.op_short)
        self.emit(ops.op_swap)
        self.expression(node.comparators[1])
        self.emit(ops.op_compare, signs[1])
        self.emit(flow.op_both)
        end = self.emit(flow.op_jump)
        self.patch(stop, (self.here(), False, True))
        self.emit(ops.op_drop_under)
        self.land(end)
        self.emit(flow.op_restore_test)

    def _e_boolop(self, node: ast.BoolOp) -> None:
        self._bool(node, test=False)

    def _bool(self, node: ast.BoolOp, *, test: bool) -> None:
        stops_on = isinstance(node.op, ast.Or)
        self.emit(flow.op_save)
        stops = []
        for number, value in enumerate(node.values):
            if test:
                self.test(value)
            else:
                self.expression(value)
            if test and number:
                self.emit(flow.op_both)
            if number < len(node.values) - 1:
                stops.append(self.emit(flow.op_short))
        for stop in stops:
            self.patch(stop, (self.here(), stops_on, test))
        self.emit(flow.op_restore_test if test else flow.op_restore_value)

    def _e_ifexp(self, node: ast.IfExp) -> None:
        self.emit(flow.op_save)
        self.test(node.test)
        otherwise = self.emit(flow.op_branch)
        self.expression(node.body)
        end = self.emit(flow.op_jump)
        self.land(otherwise)
        self.expression(node.orelse)
        self.land(end)
        self.emit(flow.op_restore_value)

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
        self.emit(flow.op_save)
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
            self.emit(flow.op_walk, (made, counts))
            for name in ast.walk(generator.target):
                if isinstance(name, ast.Name) and name.id not in inner:
                    self.check_name(name.id, name)
                    inner[name.id] = self.scope.fresh(name.id)
            heads.append(self.here())
            end = self.emit(flow.op_next)
            if number:
                self.patch(end, heads[-2])
            else:
                out = end
            self.store(generator.target, ops.op_store_raw)
            for condition in generator.ifs:
                self.test(condition)
                self.emit(flow.op_branch_kept, (heads[-1], made))
        for part in parts:
            self.expression(part)
        self.emit(add, made)
        self.emit(flow.op_jump, heads[-1])
        self.land(out)
        self.scope.inner.pop()
        self.emit(ops.op_load, made)
        self.emit(flow.op_restore, ((), False))
