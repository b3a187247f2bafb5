"""From the program's tree to instructions: functions and calls."""

from __future__ import annotations

import ast
from collections.abc import Callable

from mainspring.guard.program import flow
from mainspring.guard.program.builtin import BUILTINS
from mainspring.guard.program.expressions import METHODS, Expressions
from mainspring.guard.program.machine import Code
from mainspring.guard.program.scopes import Scope
from mainspring.guard.program.syntax import harmless, refuse


class Calls(Expressions):
    """The part of the compiler that knows functions and calls."""

    def _e_lambda(self, node: ast.Lambda) -> None:
        def body() -> None:
            self.expression(node.body)
            self.emit(flow.op_return)

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
        self.emit(flow.op_function, (code, len(arguments.defaults)))

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
        self.emit(flow.op_call, (len(node.args), tuple(names)))

    def _pass_on(self, node: ast.Call) -> None:
        for argument in [*node.args, *(k.value for k in node.keywords)]:
            self.expression(argument)

    def _call_builtin(self, node: ast.Call, name: str, names: tuple[str, ...]) -> None:
        if name == "next" and not (node.args and isinstance(node.args[0], ast.GeneratorExp)):
            raise refuse(node, "next() only takes a search, such as next((x for x in xs if x.ok), None)")
        if name != "dict" and set(names) - set(BUILTINS[name][3]):
            raise refuse(node, f"{name}() takes no argument {sorted(set(names) - set(BUILTINS[name][3]))[0]!r} here")
        self._pass_on(node)
        self.emit(flow.op_call_builtin, (name, len(node.args), names))

    def _call_method(self, node: ast.Call, callee: ast.Attribute, names: tuple[str, ...]) -> None:
        if callee.attr in ("format", "format_map"):
            raise refuse(node, f"there is no {callee.attr}(); write an f-string")
        if callee.attr not in METHODS:
            raise refuse(node, f"there is no method {callee.attr}() here")
        self.expression(callee.value)
        if not all(isinstance(a, ast.Constant) for a in node.args):
            self.emit(flow.op_has_method, callee.attr)
        self._pass_on(node)
        self.emit(flow.op_call_method, (callee.attr, len(node.args), names))

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
        self.emit(flow.op_call_tool, (tool, tuple(names)))
