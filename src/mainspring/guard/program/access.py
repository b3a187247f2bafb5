"""Reading from containers: items, slices, fields, and walks over them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.guard.program.arith import length_told, raw
from mainspring.guard.program.cells import SHARED_BYTES, Bag, Cell, Seq, Table, kind, reach, reading
from mainspring.guard.program.marks import Mark, bits_of
from mainspring.guard.program.origins import Place, blend

if TYPE_CHECKING:
    from mainspring.guard.program.machine import Machine


def item(run: Machine, holder: Cell, key: Cell) -> Cell:
    """`holder[key]`: the element with its own mark, and with what chose it when that was no clean value."""
    data = holder.data
    if isinstance(data, Seq):
        place = position(run, holder, key)
        mark = reading(holder)
        if key.mark.steer is not run.bottom:
            mark = mark.join(run.book.decide(key.mark, bits_of(len(data.items) + 1)))
        if isinstance(key.data, int) and key.data < 0:
            mark = mark.join(from_end(run, data))
        if run.trying:
            run.risk(data.shape.join(mark))
        found = data.items[place]
        return found if mark is run.bottom else found.marked(mark)
    if isinstance(data, Table):
        return entry(run, holder, key)
    if isinstance(data, str):
        if not isinstance(key.data, int):
            raise run.error("TypeError", f"a text is indexed by whole numbers, not by {kind(key.data)}", holder, key)
        mark = holder.mark.join(key.mark)
        if run.trying:
            run.risk(mark)
        if not -len(data) <= key.data < len(data):
            raise run.error("IndexError", "the text is shorter than that", holder, key)
        return Cell(data[key.data], mark, blend(holder.origin, key.origin))
    raise run.error("TypeError", f"{kind(data)} has no items", holder, key)


def position(run: Machine, holder: Cell, key: Cell) -> int:
    """The index that `key` means in a list; raises Thrown when there is none."""
    items = holder.data.items
    if not isinstance(key.data, int):
        raise run.error("TypeError", f"a {kind(holder.data)} is indexed by whole numbers, not by {kind(key.data)}", key)
    if not -len(items) <= key.data < len(items):
        raise run.error("IndexError", f"the {kind(holder.data)} is shorter than that", holder, key)
    return key.data + len(items) if key.data < 0 else key.data


def entry(run: Machine, holder: Cell, key: Cell, default: Cell | None = None) -> Cell:
    """The value under `key` in a dict, or `default`; raises Thrown when there is neither."""
    data: Table = holder.data
    chosen = key.mark.join(data.keyed)
    mark = reading(holder)
    if chosen.steer is not run.bottom:
        mark = mark.join(run.book.decide(chosen, bits_of(len(data.entries) + 1)))
    if run.trying:
        run.risk(data.shape.join(mark))
    found = data.entries.get(raw(run, key))
    if found is not None:
        return found[1] if mark is run.bottom else found[1].marked(mark)
    if default is None:
        what = f"the dict has no key {key.data!r}" if _said(run, key) else "the dict has no such key"
        raise run.error("KeyError", what, holder, key, detail=f"the dict has no key {run.plain(key)!r}")
    return default.marked(mark.join(run.book.decide(data.shape, 1)))


def _said(run: Machine, key: Cell) -> bool:
    """True for a short key that the program itself spells out."""
    return key.origin is None and key.mark is run.own and isinstance(key.data, str) and len(key.data) <= 80


def field(run: Machine, holder: Cell, name: str) -> Cell:
    """`holder.name`: the value under that key of a dict. Nothing else has fields."""
    data = holder.data
    if not isinstance(data, Table):
        raise run.error("AttributeError", f"a {kind(data)} has no field {name!r}", holder)
    found = data.entries.get(name)
    mark = reading(holder)
    if data.keyed.steer is not run.bottom:
        mark = mark.join(run.book.decide(data.keyed, bits_of(len(data.entries) + 1)))
    if run.trying:
        run.risk(data.shape.join(mark))
    if found is None:
        raise run.error("AttributeError", f"the dict has no field {name!r}", holder)
    return found[1] if mark is run.bottom else found[1].marked(mark)


def part(run: Machine, holder: Cell, low: Cell, high: Cell, step: Cell) -> Cell:
    """`holder[low:high:step]`."""
    data = holder.data
    bounds = (low, high, step)
    if not all(b.data is None or isinstance(b.data, int) for b in bounds):
        raise run.error("TypeError", "the bounds of a slice are whole numbers", *bounds)
    if step.data == 0:
        raise run.error("ValueError", "a slice cannot go in steps of 0", step)
    wanted = slice(low.data, high.data, step.data)
    cut = run.book.join(b.mark for b in bounds if b.data is not None or b.mark is not run.own)
    if isinstance(data, str):
        mark = holder.mark.join(cut)
        if run.trying:
            run.risk(mark)
        return run.text(data[wanted], mark, blend(holder.origin, holder.origin))
    if run.trying:
        run.risk(cut.join(holder.mark))
    if not isinstance(data, Seq):
        raise run.error("TypeError", f"{kind(data)} cannot be sliced", holder)
    items = data.items[wanted]
    run.size(len(items), SHARED_BYTES)
    choice = data.choice.join(
        run.book.join(run.book.decide(b.mark, bits_of(len(data.items) + 1)) for b in bounds if b.data is not None)
    )
    if (low.data or 0) < 0 or (high.data or 0) < 0 or (step.data or 1) < 0:
        choice = choice.join(from_end(run, data))
    return Cell(Seq(items, data.shape.join(cut), choice, is_tuple=data.tuple), holder.mark)


def from_end(run: Machine, data: Seq) -> Mark:
    """What counting from the end adds; nothing for a list whose elements all came with it from outside."""
    if data.shape.steer is run.bottom or all(isinstance(i.origin, Place) for i in data.items):
        return run.bottom
    return length_told(run, data.shape, len(data.items), Cell(data, run.bottom))


def order(run: Machine, data: Table) -> Mark:
    """What the order of a dict's keys adds: one that was there already keeps its place, so each tells a bit."""
    why = data.keyed.join(data.shape) if data.mixed else data.keyed
    return run.book.decide(why, len(data.entries))


def elements(run: Machine, holder: Cell) -> tuple[list[Cell], Mark, Mark]:
    """What a walk over `holder` meets, who decided how much that is, and what is joined to each of it."""
    if run.trying:
        run.risk(reach(holder))
    data = holder.data
    if isinstance(data, Seq):
        return data.items, holder.mark.join(data.shape).join(data.choice), reading(holder)
    if isinstance(data, Table):
        mark = reach(holder)
        run.charge(len(data.entries) >> 3)
        return [key for key, _ in data.entries.values()], mark, reading(holder).join(order(run, data))
    if isinstance(data, Bag):
        run.charge(len(data.entries) >> 3)
        return list(data.entries.values()), holder.mark.join(data.shape).join(data.choice), reading(holder)
    if isinstance(data, str):
        run.size(len(data))
        origin = blend(holder.origin, holder.origin)
        return [Cell(c, holder.mark, origin) for c in data], holder.mark, run.bottom
    raise run.error("TypeError", f"{kind(data)} cannot be walked over", holder)


def listed(run: Machine, holder: Cell, *, is_tuple: bool = False) -> Cell:
    """A new list (or tuple) of what a walk over `holder` meets."""
    items, shape, choice = elements(run, holder)
    run.size(len(items), SHARED_BYTES)
    return Cell(Seq(list(items), shape, choice, is_tuple=is_tuple), run.bottom)
