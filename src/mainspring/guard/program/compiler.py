"""From the program's tree to instructions: statements. Expressions are in `expressions` and `calls`."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mainspring.guard.program import flow, ops
from mainspring.guard.program.calls import Calls
from mainspring.guard.program.expressions import SIGNS
from mainspring.guard.program.faults import KINDS, ProgramLimits
from mainspring.guard.program.machine import Code
from mainspring.guard.program.scopes import Scope
from mainspring.guard.program.syntax import HINTS, assigned, changed, jumps, leaves, parse, refuse


@dataclass(slots=True)
class _Loop:
    """What `break` and `continue` need to know."""

    head: int
    height: int  # of the saved pcs
    tries: int
    walks: bool  # a walk stands on the stack
    breaks: list[int] = field(default_factory=list)


class Compiler(Calls):
    """Compiles one program.

    Args:
        tools: name in the program -> (tool's name, its parameters).
        handles: which names are values from outside.
    """

    def __init__(
        self,
        source: str,
        tools: Mapping[str, tuple[str, Sequence[str]]],
        handles: frozenset[str],
        limits: ProgramLimits,
    ) -> None:
        super().__init__(tools, handles, limits)
        tree = parse(source, limits)
        self.main = Code("the program")
        self.scope = Scope(self.main, None)
        self.loops: list[_Loop] = []
        self.height = 0
        self.tries = 0
        self._declare(tree.body)
        *first, last = tree.body or [ast.Pass()]
        self.statements(first)
        if isinstance(last, ast.Expr):  # the answer of a program that ends in an expression is its value
            self.line = last.lineno
            self.expression(last.value)
        else:
            self.statements([last])
            self.constant(None)
        self.emit(flow.op_return)

    def _declare(self, body: Sequence[ast.AST]) -> None:
        for name, node in sorted(assigned(body), key=lambda found: (getattr(found[1], "lineno", 0), found[0])):
            self.check_name(name, node)
            self.scope.declare(name)

    def statements(self, body: Sequence[ast.stmt]) -> None:
        """Compile a block."""
        for statement in body:
            self.line = getattr(statement, "lineno", self.line)
            method = getattr(self, f"_{type(statement).__name__.lower()}", None)
            if method is None:
                raise refuse(statement, HINTS.get(type(statement), f"{type(statement).__name__} is not allowed here"))
            method(statement)

    def _save(self) -> int:
        self.emit(flow.op_save)
        self.height += 1
        return self.height

    def _restore(self, body: Sequence[ast.AST], keep: bool) -> None:
        touched = []
        for name in sorted(changed(body)):
            where = self.scope.find(name)
            if where is not None:
                touched.append(where)
        self.emit(flow.op_restore, (tuple(touched), keep))
        self.height -= 1

    # -- simple statements -----------------------------------------------------------------------------------------
    def _pass(self, node: ast.Pass) -> None:
        pass

    def _expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Constant):
            return  # a comment in quotes
        self.expression(node.value)
        self.emit(ops.op_pop)

    def _assign(self, node: ast.Assign) -> None:
        self.expression(node.value)
        for number, target in enumerate(node.targets):
            if number < len(node.targets) - 1:
                self.emit(ops.op_copy_one)
            self.store(target)

    def _annassign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.expression(node.value)
            self.store(node.target)

    def _augassign(self, node: ast.AugAssign) -> None:
        sign = SIGNS.get(type(node.op))
        if sign is None:
            raise refuse(node, "there is no @ here")
        if isinstance(node.target, ast.Name):
            self.load(ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target))
            self.expression(node.value)
            self.emit(ops.op_inplace, sign)
            self.store(node.target)
        elif isinstance(node.target, ast.Subscript) and not isinstance(node.target.slice, ast.Slice):
            self.expression(node.target.value)
            self.expression(node.target.slice)
            self.emit(ops.op_copy_two)
            self.emit(ops.op_item)
            self.expression(node.value)
            self.emit(ops.op_inplace, sign)
            self.emit(ops.op_put_back)
        else:
            raise refuse(node.target, 'only names and items such as d["key"] can be set')

    def _delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if not isinstance(target, ast.Subscript) or isinstance(target.slice, ast.Slice):
                raise refuse(target, 'only items can be deleted, such as del d["key"]')
            self.expression(target.value)
            self.expression(target.slice)
            self.emit(ops.op_delete)

    def _return(self, node: ast.Return) -> None:
        if node.value is None:
            self.constant(None)
        else:
            self.expression(node.value)
        self.emit(flow.op_return)

    def _raise(self, node: ast.Raise) -> None:
        error = node.exc
        if node.cause is not None or error is None:
            raise refuse(node, 'write raise ToolError("what was wrong")')
        call = error if isinstance(error, ast.Call) else None
        name = call.func if call is not None else error
        if not isinstance(name, ast.Name) or name.id not in KINDS:
            raise refuse(node, f"only these errors can be raised: {', '.join(KINDS)}")
        if call is not None and (len(call.args) > 1 or call.keywords):
            raise refuse(node, f'write raise {name.id}("what was wrong")')
        if call is not None and call.args:
            self.expression(call.args[0])
        else:
            self.constant("")
        self.emit(flow.op_raise, name.id)

    def _assert(self, node: ast.Assert) -> None:
        name = ast.Name("AssertionError", ast.Load())
        error = ast.Call(name, [node.msg] if node.msg else [], [])
        test = ast.UnaryOp(ast.Not(), node.test)
        made = ast.copy_location(ast.If(test, [ast.copy_location(ast.Raise(error, None), node)], []), node)
        self._if(ast.fix_missing_locations(made))

    def _functiondef(self, node: ast.FunctionDef) -> None:
        if node.decorator_list:
            raise refuse(node, "there are no decorators; call the function yourself")
        outside = (self.loops, self.height, self.tries)
        self.loops, self.height, self.tries = [], 0, 0

        def body() -> None:
            self._declare(node.body)
            self.statements(node.body)
            self.constant(None)
            self.emit(flow.op_return)

        self.function(node, node.name, node.args, body)
        self.loops, self.height, self.tries = outside
        self.emit(ops.op_store, self.scope.slot(node.name))

    # -- compound statements ---------------------------------------------------------------------------------------
    def _if(self, node: ast.If) -> None:
        self._save()
        ends: list[int] = []
        body: list[ast.stmt] = []
        at: ast.If | None = node
        while at is not None:
            self.line = at.lineno
            self.test(at.test)
            otherwise = self.emit(flow.op_branch)
            self.statements(at.body)
            body += at.body
            ends.append(self.emit(flow.op_jump))
            self.land(otherwise)
            following = at.orelse
            at = following[0] if len(following) == 1 and isinstance(following[0], ast.If) else None
            if at is None:
                self.statements(following)
                body += following
        for end in ends:
            self.land(end)
        self._restore(body, jumps(body) or self.tries > 0)  # inside a try, anything may jump out

    def _while(self, node: ast.While) -> None:
        height = self._save()
        head = self.here()
        self.test(node.test)
        out = self.emit(flow.op_branch)
        loop = _Loop(head, height, self.tries, walks=False)
        self._body(loop, node.body)
        self.emit(flow.op_jump, head)
        self.land(out)
        self.statements(node.orelse)
        for jump in loop.breaks:
            self.land(jump)
        self._restore([*node.body, *node.orelse], leaves(node.body) or jumps(node.orelse))

    def _for(self, node: ast.For) -> None:
        height = self._save()
        self.expression(node.iter)
        self.emit(flow.op_walk, (None, True))
        head = self.here()
        out = self.emit(flow.op_next)
        self.store(node.target)
        loop = _Loop(head, height, self.tries, walks=True)
        self._body(loop, node.body)
        self.emit(flow.op_jump, head)
        self.land(out)
        self.statements(node.orelse)
        for jump in loop.breaks:
            self.land(jump)
        self._restore([node.target, *node.body, *node.orelse], leaves(node.body) or jumps(node.orelse))

    def _body(self, loop: _Loop, body: Sequence[ast.stmt]) -> None:
        self.loops.append(loop)
        self.statements(body)
        self.loops.pop()

    def _out_to(self, loop: _Loop) -> None:
        for _ in range(self.tries - loop.tries):
            self.emit(flow.op_end_try)
        self.emit(flow.op_lower, loop.height)

    def _break(self, node: ast.Break) -> None:
        if not self.loops:
            raise refuse(node, "break stands outside a loop")
        loop = self.loops[-1]
        self._out_to(loop)
        if loop.walks:
            self.emit(ops.op_pop)
        loop.breaks.append(self.emit(flow.op_jump))

    def _continue(self, node: ast.Continue) -> None:
        if not self.loops:
            raise refuse(node, "continue stands outside a loop")
        self._out_to(self.loops[-1])
        self.emit(flow.op_jump, self.loops[-1].head)

    def _try(self, node: ast.Try) -> None:
        if node.finalbody:
            raise refuse(node.finalbody[0], "there is no finally; put it after the try statement")
        self._save()
        caught = self.emit(flow.op_try)
        self.tries += 1
        self.statements(node.body)
        self.tries -= 1
        self.emit(flow.op_end_try)
        self.statements(node.orelse)
        ends = [self.emit(flow.op_jump)]
        self.land(caught)
        body: list[ast.AST] = [*node.body, *node.orelse, *node.handlers]
        for handler in node.handlers:
            self.line = handler.lineno
            kinds = self._kinds(handler)
            slot = None if handler.name is None else self.scope.slot(handler.name)
            other = self.emit(flow.op_catch, (kinds, 0, slot))
            self.statements(handler.body)
            ends.append(self.emit(flow.op_jump))
            self.patch(other, (kinds, self.here(), slot))
        self.emit(flow.op_rethrow)
        for end in ends:
            self.land(end)
        self._restore(body, jumps(body))

    def _kinds(self, handler: ast.ExceptHandler) -> tuple[str, ...]:
        if handler.type is None:
            return ("Exception",)
        names = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        found = []
        for name in names:
            if not isinstance(name, ast.Name) or name.id not in KINDS:
                raise refuse(handler, f"only these errors can be caught: {', '.join(KINDS)}")
            found.append(name.id)
        return tuple(found)
