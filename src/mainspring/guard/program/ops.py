"""The instructions for values: variables, containers and operators.

Each instruction takes the machine, the current frame and its argument, and works on the frame's stack. Those for
control flow and for calls are in `flow`.
"""

from __future__ import annotations

from mainspring.guard.program import access, arith, tables
from mainspring.guard.program.cells import CELL_BYTES, Bag, Builtin, Cell, Seq, Table, kind, reach
from mainspring.guard.program.machine import Frame, Machine
from mainspring.guard.program.origins import blend
from mainspring.guard.program.texts import formatted


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
    frame = above(f, where[0])
    found = frame.slots[where[1]]
    if found is None:
        raise run.error("NameError", f"{frame.code.names[where[1]]!r} has no value yet")
    f.stack.append(found)


def above(frame: Frame, levels: int) -> Frame:
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
