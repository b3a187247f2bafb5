"""The instructions. Each takes the machine, the current frame and its argument, and works on the frame's stack.

Control flow and labels: a *decision* on a value that is not clean raises the frame's `pc`, which is joined to all that
is stored, changed or called after it; `op_restore` lowers it again where the branches meet, and marks whatever could
have been set in between.
"""

from __future__ import annotations

from typing import Any

from mainspring.guard.program import access, arith, builtin, tables
from mainspring.guard.program.cells import Bag, Builtin, Cell, Function, Seq, Table, kind, reach, truth
from mainspring.guard.program.faults import KINDS, Thrown
from mainspring.guard.program.machine import CELL_BYTES, Code, Frame, Machine, Request, Returned
from mainspring.guard.program.marks import Mark
from mainspring.guard.program.origins import blend
from mainspring.guard.program.texts import TEXT, formatted


class Walk:
    """A walk over a container, as it stands on the stack of a loop."""

    __slots__ = ("at", "items", "mark")

    def __init__(self, items: list[Cell], mark: Mark) -> None:
        self.items = items
        self.mark = mark
        self.at = 0


# -- values and variables ----------------------------------------------------------------------------------------------
def op_const(run: Machine, f: Frame, number: int) -> None:
    f.stack.append(run.consts[number])


def op_handle(run: Machine, f: Frame, name: str) -> None:
    f.stack.append(run.handles[name])


def op_load(run: Machine, f: Frame, slot: int) -> None:
    found = f.slots[slot]
    if found is None:
        raise run.error("NameError", f"{f.code.names[slot]!r} has no value yet")
    f.stack.append(found)


def op_load_up(run: Machine, f: Frame, where: tuple[int, int]) -> None:
    frame = _above(f, where[0])
    found = frame.slots[where[1]]
    if found is None:
        raise run.error("NameError", f"{frame.code.names[where[1]]!r} has no value yet")
    f.stack.append(found)


def _above(frame: Frame, levels: int) -> Frame:
    for _ in range(levels):
        assert frame.up is not None
        frame = frame.up
    return frame


def op_store(run: Machine, f: Frame, slot: int) -> None:
    cell = f.stack.pop()
    pc = f.pc
    f.slots[slot] = cell if pc is run.bottom else cell.marked(pc)


def op_store_raw(run: Machine, f: Frame, slot: int) -> None:
    """For the variables of a comprehension, whose result says itself what decided."""
    f.slots[slot] = f.stack.pop()


def op_swap(run: Machine, f: Frame, _: None) -> None:
    f.stack[-2:] = f.stack[:-3:-1]


def op_drop_under(run: Machine, f: Frame, _: None) -> None:
    del f.stack[-2]


def op_builtin_value(run: Machine, f: Frame, name: str) -> None:
    f.stack.append(Cell(Builtin(name), run.bottom))


def op_pop(run: Machine, f: Frame, _: None) -> None:
    f.stack.pop()


def op_copy_one(run: Machine, f: Frame, _: None) -> None:
    f.stack.append(f.stack[-1])


def op_copy_two(run: Machine, f: Frame, _: None) -> None:
    f.stack += f.stack[-2:]


def op_unpack(run: Machine, f: Frame, shape: tuple[int, int | None]) -> None:
    wanted, starred = shape
    cell = f.stack.pop()
    items, length, choice = access.elements(run, cell)
    short = len(items) < wanted - 1 if starred is not None else len(items) != wanted
    if short:
        raise run.error("ValueError", f"there are not {wanted} values to unpack here", cell)
    if starred is not None:
        behind = wanted - 1 - starred
        end = len(items) - behind
        run.size(len(items))
        why = choice.join(arith.length_told(run, length, len(items), cell))
        rest = Cell(Seq(items[starred:end], length, why), run.bottom)
        items = [*items[:starred], rest, *(i.marked(why) for i in items[end:])]
    f.stack += [i if choice is run.bottom else i.marked(choice) for i in reversed(items)]


def op_list(run: Machine, f: Frame, made: tuple[int, bool]) -> None:
    count, is_tuple = made
    items = f.stack[len(f.stack) - count :]
    del f.stack[len(f.stack) - count :]
    run.grow(CELL_BYTES + 8 * count)
    f.stack.append(Cell(Seq(items, run.own, run.bottom, is_tuple=is_tuple), run.bottom))


def op_dict(run: Machine, f: Frame, _: None) -> None:
    run.grow(CELL_BYTES)
    f.stack.append(Cell(Table({}, run.own, run.bottom, run.bottom), run.bottom))


def op_set(run: Machine, f: Frame, _: None) -> None:
    run.grow(CELL_BYTES)
    f.stack.append(Cell(Bag({}, run.own, run.bottom), run.bottom))


def _gather(run: Machine, f: Frame, depth: int) -> Cell:
    found = f.stack[-depth]
    assert isinstance(found, Cell)
    return found


def op_list_add(run: Machine, f: Frame, slot: int | None) -> None:
    """Add to the list on the stack, or to the one of a comprehension; the pc joins when the result is stored."""
    cell = f.stack.pop()
    holder = _gather(run, f, 1) if slot is None else f.slots[slot]
    items = holder.data.items  # type: ignore[union-attr]
    if len(items) >= run.limits.items:
        run.size(len(items) + 1)
    if slot is None:
        tables.behind(run, holder)  # type: ignore[arg-type]
    items.append(cell)


def op_list_extend(run: Machine, f: Frame, _: None) -> None:
    """`[*xs]`"""
    cell = f.stack.pop()
    items, shape, choice = access.elements(run, cell)
    tables.add_all(run, _gather(run, f, 1), list(items), shape, choice)


def op_as_tuple(run: Machine, f: Frame, _: None) -> None:
    cell = f.stack.pop()
    data = Seq(cell.data.items, cell.data.shape, cell.data.choice, is_tuple=True)
    f.stack.append(Cell(data, cell.mark))


def op_set_add(run: Machine, f: Frame, slot: int | None) -> None:
    cell = f.stack.pop()
    holder = _gather(run, f, 1) if slot is None else f.slots[slot]
    tables.bag_add(run, holder, cell, new=True)  # type: ignore[arg-type]


def op_set_extend(run: Machine, f: Frame, _: None) -> None:
    cell = f.stack.pop()
    items, shape, choice = access.elements(run, cell)
    holder = _gather(run, f, 1)
    for one in items:
        tables.bag_add(run, holder, one.marked(choice), new=True)
    holder.data.shape = holder.data.shape.join(shape)


def op_dict_add(run: Machine, f: Frame, slot: int | None) -> None:
    value = f.stack.pop()
    key = f.stack.pop()
    holder = _gather(run, f, 1) if slot is None else f.slots[slot]
    tables.put(run, holder, key, value, new=True)  # type: ignore[arg-type]


def op_dict_extend(run: Machine, f: Frame, _: None) -> None:
    """`{**d}`"""
    cell = f.stack.pop()
    if not isinstance(cell.data, Table):
        raise run.error("TypeError", f"** wants a dict here, not {kind(cell.data)}", cell)
    f.stack.append(tables.merged(run, [f.stack.pop(), cell]))


def op_text(run: Machine, f: Frame, count: int) -> None:
    """The parts of an f-string, joined."""
    parts = f.stack[len(f.stack) - count :]
    del f.stack[len(f.stack) - count :]
    run.text_size(sum(len(p.data) for p in parts))
    origin = parts[0].origin
    for part in parts[1:]:
        origin = blend(origin, part.origin)
    f.stack.append(Cell("".join(p.data for p in parts), run.book.join(p.mark for p in parts), origin))


def op_format(run: Machine, f: Frame, how: tuple[str, str]) -> None:
    cell = f.stack.pop()
    if run.trying:
        run.risk(reach(cell))
    f.stack.append(formatted(run, cell, *how))


# -- operators ---------------------------------------------------------------------------------------------------------
def op_binary(run: Machine, f: Frame, sign: str) -> None:
    right = f.stack.pop()
    f.stack[-1] = arith.binary(run, sign, f.stack[-1], right)


def op_inplace(run: Machine, f: Frame, sign: str) -> None:
    """`+=` and its like; a list is extended where it stands."""
    left, right = f.stack[-2:]
    if sign == "+" and isinstance(left.data, Seq) and not left.data.tuple:
        items, shape, choice = access.elements(run, right)
        tables.add_all(run, left, list(items), shape, choice)
        f.stack.pop()
        return
    op_binary(run, f, sign)


def op_unary(run: Machine, f: Frame, sign: str) -> None:
    f.stack[-1] = arith.unary(run, sign, f.stack[-1])


def op_compare(run: Machine, f: Frame, sign: str) -> None:
    right = f.stack.pop()
    f.stack[-1] = arith.compare(run, sign, f.stack[-1], right)


def op_swap_under(run: Machine, f: Frame, _: None) -> None:
    """`a b -> b a b`: for a comparison in a chain, which needs its right side again."""
    left, right = f.stack[-2:]
    f.stack[-2:] = [right, left, right]


def op_item(run: Machine, f: Frame, _: None) -> None:
    key = f.stack.pop()
    f.stack[-1] = access.item(run, f.stack[-1], key)


def op_field(run: Machine, f: Frame, name: str) -> None:
    f.stack[-1] = access.field(run, f.stack[-1], name)


def op_slice(run: Machine, f: Frame, _: None) -> None:
    step, high, low = f.stack.pop(), f.stack.pop(), f.stack.pop()
    f.stack[-1] = access.part(run, f.stack[-1], low, high, step)


def op_put(run: Machine, f: Frame, _: None) -> None:
    """`value holder key ->`"""
    key, holder, value = f.stack.pop(), f.stack.pop(), f.stack.pop()
    tables.put(run, holder, key, value)


def op_put_back(run: Machine, f: Frame, _: None) -> None:
    """`holder key value ->`"""
    value, key, holder = f.stack.pop(), f.stack.pop(), f.stack.pop()
    tables.put(run, holder, key, value)


def op_delete(run: Machine, f: Frame, _: None) -> None:
    key, holder = f.stack.pop(), f.stack.pop()
    tables.remove(run, holder, key)


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
        frame = _above(f, up)
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
    methods: Any = {}
    if isinstance(data, str):
        methods = TEXT
    elif isinstance(data, Seq):
        methods = tables.TUPLE if data.tuple else tables.LIST
    elif isinstance(data, Table):
        methods = tables.DICT
    elif isinstance(data, Bag):
        methods = tables.SET
    if name not in methods and not (name == "sort" and methods is tables.LIST):
        raise run.error("AttributeError", f"a {kind(data)} has no method {name}() here", me)
    return methods


def op_has_method(run: Machine, f: Frame, name: str) -> None:
    """As in Python, a method that is not there is an error before the arguments are worked out."""
    _methods(run, f.stack[-1], name)


def op_call_method(run: Machine, f: Frame, how: tuple[str, int, tuple[str, ...]]) -> None:
    name, count, names = how
    given, named = _arguments(f, count, names)
    me = f.stack.pop()
    methods = _methods(run, me, name)
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
    method, fewest, most = methods[name]
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
