"""Names of a program, and the emitting of its instructions."""

from __future__ import annotations

import ast
import difflib
import keyword
from collections.abc import Mapping, Sequence
from typing import Any

from mainspring.guard.program import ops
from mainspring.guard.program.builtin import BUILTINS
from mainspring.guard.program.faults import KINDS, ProgramError, ProgramLimits
from mainspring.guard.program.machine import Code, Op
from mainspring.guard.program.syntax import refuse


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


class Emitter:
    """Emits instructions, and knows which name means what."""

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
    return keyword.iskeyword(name) or name.startswith("__")
