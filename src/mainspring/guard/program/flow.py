"""The instructions for control flow and calls.

A *decision* on a value that is not clean raises the frame's `pc`, which is joined to all that is stored, changed or
called after it; `op_restore` lowers it again where the branches meet, and marks whatever could have been set between.
"""

from __future__ import annotations

from typing import Any

from mainspring.guard.program import access, arith, builtin, methods
from mainspring.guard.program.cells import CELL_BYTES, Bag, Builtin, Cell, Function, Seq, Table, kind, reach, truth
from mainspring.guard.program.faults import KINDS, Thrown
from mainspring.guard.program.machine import Code, Frame, Machine, Request, Returned
from mainspring.guard.program.marks import Mark
from mainspring.guard.program.ops import above
from mainspring.guard.program.texts import TEXT


class Walk:
    """A walk over a container, as it stands on the stack of a loop."""

    __slots__ = ("at", "items", "mark")

    def __init__(self, items: list[Cell], mark: Mark) -> None:
        self.items = items
        self.mark = mark
        self.at = 0


# -- control flow ------------------------------------------------------------------------------------------------------
def op_jump(run: Machine, f: Frame, target: int) -> None:
    f.ip = target


def op_save(run: Machine, f: Frame, _: None) -> None:
    f.pcs.append(f.pc)


def op_restore(run: Machine, f: Frame, what: tuple[tuple[tuple[int, int], ...], bool]) -> None:
    """The branches meet: mark what could have been set in them, and forget what decided, unless one jumped out."""
    saved = f.pcs.pop()
    pc = f.pc
    if pc is saved:
        return
    touched, keep = what
    for up, slot in touched:
        frame = above(f, up)
        cell = frame.slots[slot]
        if cell is not None:
            frame.slots[slot] = cell.marked(pc)
    if not keep:
        f.pc = saved


def op_restore_value(run: Machine, f: Frame, _: None) -> None:
    """The end of an expression with branches: its value was chosen by what decided."""
    saved = f.pcs.pop()
    if f.pc is not saved:
        f.stack[-1] = f.stack[-1].marked(f.pc)
        f.pc = saved


def op_lower(run: Machine, f: Frame, height: int) -> None:
    """A jump leaves branches behind; what decided stays."""
    del f.pcs[height:]


def _decide(run: Machine, f: Frame, cell: Cell, bits: int) -> None:
    mark = reach(cell)
    if mark.steer is not run.bottom:
        f.pc = f.pc.join(run.book.decide(mark, bits))


def op_branch(run: Machine, f: Frame, target: int) -> None:
    """Jump when the value is false: a decision."""
    cell = f.stack.pop()
    data = cell.data
    if cell.mark is not run.own or not isinstance(data, bool):
        _decide(run, f, cell, 1)
        if not truth(data):
            f.ip = target
    elif not data:
        f.ip = target


def op_branch_kept(run: Machine, f: Frame, how: tuple[int, int]) -> None:
    """The `if` of a comprehension: what it decides is joined to everything in the result."""
    target, slot = how
    cell = f.stack.pop()
    why = run.book.decide(reach(cell), 1)
    if why is not run.bottom:
        f.pc = f.pc.join(why)
        made = f.slots[slot]
        assert made is not None
        made.data.choice = made.data.choice.join(why)
        made.data.shape = made.data.shape.join(why)
    if not truth(cell.data):
        f.ip = target


def op_short(run: Machine, f: Frame, how: tuple[int, bool, bool]) -> None:
    """`and` / `or`: jump, keeping the value, when it settles the matter.

    Inside a condition (`test`) it counts for nothing yet: only the outcome of the whole condition decides.
    """
    target, stops_on, test = how
    cell = f.stack[-1]
    _decide(run, f, cell, 0 if test else 1)
    if truth(cell.data) == stops_on:
        f.ip = target
    elif test:
        f.stack[-1] = Cell(None, reach(cell))
    else:
        f.stack.pop()


def op_both(run: Machine, f: Frame, _: None) -> None:
    """Inside a condition: the last value's truth, with the labels of both."""
    right = f.stack.pop()
    left = f.stack.pop()
    f.stack.append(Cell(truth(right.data), left.mark.join(reach(right))))


def op_restore_test(run: Machine, f: Frame, _: None) -> None:
    f.pc = f.pcs.pop()


def op_walk(run: Machine, f: Frame, how: tuple[int | None, bool]) -> None:
    """Begin a loop: how often it goes round is a decision, unless nothing is done in it that could tell.

    `how` is the slot of a comprehension's result or None, and whether it counts.
    """
    made, counts = how
    cell = f.stack.pop()
    items, shape, choice = access.elements(run, cell)
    why = shape.steer
    if why is not run.bottom:
        f.pc = f.pc.join(arith.length_told(run, shape, len(items), cell) if counts else why)
    if made is not None:
        holder = f.slots[made]
        assert holder is not None
        holder.data.shape = holder.data.shape.join(shape)
    f.stack.append(Walk(items, choice))


def op_next(run: Machine, f: Frame, target: int) -> None:
    walk = f.stack[-1]
    if walk.at >= len(walk.items):
        f.stack.pop()
        f.ip = target
        return
    cell = walk.items[walk.at]
    walk.at += 1
    f.stack.append(cell if walk.mark is run.bottom else cell.marked(walk.mark))


def op_try(run: Machine, f: Frame, target: int) -> None:
    f.handlers.append((target, len(f.stack), len(f.pcs)))
    run.trying += 1
    run.risks = 0


def op_end_try(run: Machine, f: Frame, _: None) -> None:
    f.handlers.pop()
    run.trying -= 1


def op_catch(run: Machine, f: Frame, how: tuple[tuple[str, ...], int, int | None]) -> None:
    """One `except`: jump to the next when it is for other errors."""
    kinds, target, slot = how
    thrown = f.stack[-1]
    if not set(KINDS[thrown.kind]) & set(kinds):
        run.book.decide(thrown.mark.join(f.pc), 1)  # which kind it was tells something too
        f.ip = target
        return
    f.stack.pop()
    if slot is not None:
        f.slots[slot] = Cell(thrown.detail, thrown.mark.join(f.pc), thrown.origin)


def op_rethrow(run: Machine, f: Frame, _: None) -> None:
    thrown = f.stack.pop()
    thrown.pc = thrown.pc.join(f.pc)
    raise thrown


def op_raise(run: Machine, f: Frame, name: str) -> None:
    cell = f.stack.pop()
    if not isinstance(cell.data, str):
        raise run.error("TypeError", f"{name}(...) wants a text", cell)
    raise Thrown(name, f"the program raised {name}", cell.mark.join(f.pc), cell.data, cell.origin, own=True)


# -- calls -------------------------------------------------------------------------------------------------------------
def _arguments(f: Frame, count: int, names: tuple[str, ...]) -> tuple[list[Cell], dict[str, Cell]]:
    stack = f.stack
    start = len(stack) - len(names)
    named = dict(zip(names, stack[start:], strict=True)) if names else {}
    given = stack[start - count : start]
    del stack[start - count :]
    return given, named


def op_function(run: Machine, f: Frame, how: tuple[Code, int]) -> None:
    code, defaults = how
    start = len(f.stack) - defaults
    given = f.stack[start:]
    del f.stack[start:]
    run.grow(CELL_BYTES)
    f.stack.append(Cell(Function(code, given, f), run.bottom))


def op_call(run: Machine, f: Frame, how: tuple[int, tuple[str, ...]]) -> None:
    """Call a function of the program, or a built-in that a variable holds."""
    given, named = _arguments(f, *how)
    callee = f.stack.pop()
    data = callee.data
    if isinstance(data, Function):
        pc = f.pc
        if callee.mark.steer is not run.bottom:
            pc = pc.join(run.book.decide(callee.mark, 1))
        run.frame = run.enter(data, given, named, pc)
    elif isinstance(data, Builtin):
        f.stack.append(builtin.call(run, data.name, given, named))
    else:
        raise run.error("TypeError", f"{kind(data)} is no function", callee)


def op_call_builtin(run: Machine, f: Frame, how: tuple[str, int, tuple[str, ...]]) -> None:
    given, named = _arguments(f, how[1], how[2])
    f.stack.append(builtin.call(run, how[0], given, named))


def _methods(run: Machine, me: Cell, name: str) -> Any:
    data = me.data
    known: Any = {}
    if isinstance(data, str):
        known = TEXT
    elif isinstance(data, Seq):
        known = methods.TUPLE if data.tuple else methods.LIST
    elif isinstance(data, Table):
        known = methods.DICT
    elif isinstance(data, Bag):
        known = methods.SET
    if name not in known and not (name == "sort" and known is methods.LIST):
        raise run.error("AttributeError", f"a {kind(data)} has no method {name}() here", me)
    return known


def op_has_method(run: Machine, f: Frame, name: str) -> None:
    """As in Python, a method that is not there is an error before the arguments are worked out."""
    _methods(run, f.stack[-1], name)


def op_call_method(run: Machine, f: Frame, how: tuple[str, int, tuple[str, ...]]) -> None:
    name, count, names = how
    given, named = _arguments(f, count, names)
    me = f.stack.pop()
    known = _methods(run, me, name)
    if name == "sort":
        if given or set(named) - {"key", "reverse"}:
            raise run.error("TypeError", "sort() takes key= and reverse= only")
        f.stack.append(builtin.sort(run, me, named))
        return
    if named:
        if name not in ("split", "rsplit") or set(named) - {"sep", "maxsplit"} or given:
            raise run.error("TypeError", f"{name}() takes its arguments by position here")
        nothing, all_of_them = Cell(None, run.own), Cell(-1, run.own)
        given = [named.get("sep", nothing), named.get("maxsplit", all_of_them)]
    method, fewest, most = known[name]
    if not fewest <= len(given) <= most:
        raise run.error("TypeError", f"{name}() takes {fewest} to {most} arguments, and was given {len(given)}")
    found = method(run, me, given)
    if run.trying:
        run.risk(run.book.join([reach(found), reach(me), *(reach(g) for g in given)]))
    f.stack.append(found)


def op_call_tool(run: Machine, f: Frame, how: tuple[str, tuple[str, ...]]) -> Request:
    """Stop here; the answer is put on the stack before the program goes on."""
    _, named = _arguments(f, 0, how[1])
    if run.nested:
        raise run.error("RuntimeError", "no tool can be called from within a key, map or filter function; use a loop")
    return Request(how[0], named)


def op_return(run: Machine, f: Frame, _: None) -> Returned | None:
    cell = f.stack.pop()
    if f.pc is not run.bottom:
        cell = cell.marked(f.pc)
    if f.handlers:
        run.trying -= len(f.handlers)
        f.handlers.clear()
    if f.base or f.back is None:
        if run.trying and f.back is not None:
            f.back.pc = f.back.pc.join(f.pc)
        return Returned(cell)
    back = f.back
    if run.trying:  # how far the function came before it could have failed
        back.pc = back.pc.join(f.pc)
    back.stack.append(cell)
    run.frame = back
    return None
