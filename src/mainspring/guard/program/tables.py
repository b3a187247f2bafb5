"""Changing lists, dicts and sets, and their methods."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

from mainspring.guard.program.access import elements, from_end, item, position
from mainspring.guard.program.arith import length_told, mixed, raw
from mainspring.guard.program.cells import Bag, Cell, Seq, Table, kind, reading
from mainspring.guard.program.marks import Mark, bits_of

if TYPE_CHECKING:
    from mainspring.guard.program.machine import Machine

Method: TypeAlias = "Callable[[Machine, Cell, list[Cell]], Cell]"


def change(run: Machine, holder: Cell, key: Mark | None = None) -> Mark:
    """Note that a container is about to be changed, and why; what is put in gets the returned mark too."""
    data = holder.data
    if isinstance(data, Seq | Table) and data.fixed:
        kept = isinstance(data, Seq) and data.tuple
        name = kind(data)
        hint = "build a new one" if kept else f"copy it first, with {name}(...)"
        raise run.error("TypeError", f"this {name} cannot be changed; {hint}", holder)
    why = run.frame.pc.join(holder.mark.steer)
    if key is not None and key.steer is not run.bottom:
        size = len(data.items) if isinstance(data, Seq) else len(data.entries)
        why = why.join(run.book.decide(key, bits_of(size + 1)))
    if why is not run.bottom:
        data.choice = data.choice.join(why)
        data.shape = data.shape.join(why)
    return run.frame.pc


def put(run: Machine, holder: Cell, key: Cell, value: Cell, *, new: bool = False) -> None:
    """`holder[key] = value`; `new` for a dict that is only being made: the pc joins when it is stored."""
    data = holder.data
    if isinstance(data, Table):
        place = raw(run, key)
        pc = run.bottom if new else change(run, holder, key.mark)
        old = data.entries.get(place)
        if old is None:
            run.size(len(data.entries) + 1 if len(data.entries) >= run.limits.items else 1)
            key = key.marked(pc)
        if key.mark.steer is not run.bottom:
            data.keyed = data.keyed.join(key.mark)
        data.mixed = data.mixed or bool(data.entries)
        data.entries[place] = (key if old is None else old[0], value.marked(pc))
    elif isinstance(data, Seq):
        place = position(run, holder, key)
        if run.trying:
            run.risk(key.mark.join(data.shape))
        pc = change(run, holder, key.mark)
        if key.data < 0:
            data.choice = data.choice.join(from_end(run, data))
        data.items[place] = value.marked(pc)
    else:
        raise run.error("TypeError", f"nothing can be put into {kind(data)} like this", holder)


def remove(run: Machine, holder: Cell, key: Cell) -> Cell:
    """`del holder[key]`; answers what was there."""
    if not isinstance(holder.data, Seq | Table):
        raise run.error("TypeError", f"a {kind(holder.data)} has no items that can be deleted", holder)
    found = item(run, holder, key)
    change(run, holder, key.mark)
    if isinstance(holder.data, Seq):
        del holder.data.items[position(run, holder, key)]
    else:
        del holder.data.entries[raw(run, key)]
    return found


def add_all(run: Machine, holder: Cell, cells: Iterable[Cell], shape: Mark, choice: Mark) -> None:
    """Append to a list what came from another container."""
    data: Seq = holder.data
    pc = change(run, holder)
    new = [c.marked(pc.join(choice)) for c in cells]
    run.size(len(data.items) + len(new) if len(data.items) + len(new) > run.limits.items else len(new))
    behind(run, holder)
    data.items += new
    data.shape = data.shape.join(shape)


def behind(run: Machine, holder: Cell) -> None:
    """Something is added to, or taken from, a list whose length a stranger decided: where it stands tells that."""
    data: Seq = holder.data
    if data.shape.steer is not run.bottom and data.choice.join(data.shape.steer) is not data.choice:
        data.choice = data.choice.join(length_told(run, data.shape, len(data.items), holder))


def append(run: Machine, holder: Cell, cell: Cell) -> None:
    """`holder.append(cell)`, the commonest change of all."""
    data: Seq = holder.data
    pc = change(run, holder)
    if len(data.items) >= run.limits.items:
        run.size(len(data.items) + 1)
    behind(run, holder)
    data.items.append(cell if pc is run.bottom else cell.marked(pc))


def bag_add(run: Machine, holder: Cell, cell: Cell, *, new: bool = False) -> None:
    """`holder.add(cell)`; `new` for a set that is only being made."""
    data: Bag = holder.data
    place = raw(run, cell)
    mark = run.view(cell)[1]
    pc = run.bottom if new else change(run, holder)
    if not cell.mark.strange:  # whether it is added depends on what strangers put in before
        data.choice = data.choice.join(run.book.decide(data.shape, 1))
    if len(data.entries) >= run.limits.items:
        run.size(len(data.entries) + 1)
    data.shape = data.shape.join(mark)
    data.entries.setdefault(place, cell.marked(pc))


def bag_of(run: Machine, holder: Cell) -> Cell:
    """`set(holder)`."""
    items, shape, choice = elements(run, holder)
    run.size(len(items))
    entries: dict[object, Cell] = {}
    for one in items:
        entries.setdefault(raw(run, one), one)
    mark = shape.join(run.book.join(run.view(i)[1] for i in items))
    return Cell(Bag(entries, mark, choice.join(mixed(run, mark, list(entries.values())))), run.bottom)


def merged(run: Machine, parts: list[Cell]) -> Cell:
    """`dict(...)` of dicts, the later ones winning; of a list of pairs, too."""
    made = Table({}, run.own, run.bottom, run.bottom)
    for one in parts:
        data = one.data
        if isinstance(data, Table):
            made.shape = made.shape.join(data.shape).join(one.mark)
            made.choice = made.choice.join(reading(one))
            made.keyed = made.keyed.join(data.keyed)
            made.mixed = made.mixed or data.mixed or bool(made.entries and data.entries)
            # Whether a later dict has a key decides whether the earlier one's value stands.
            if made.entries and data.entries and data.shape.steer is not run.bottom:
                made.choice = made.choice.join(run.book.decide(data.shape, len(made.entries)))
            made.entries.update(data.entries)
            continue
        pairs, shape, choice = elements(run, one)
        for pair in pairs:
            both, below, more = elements(run, pair)
            if len(both) != 2:
                raise run.error("ValueError", "dict() takes pairs of a key and a value", pair)
            key, value = (c.marked(more) for c in both)
            made.entries[raw(run, key)] = (made.entries.get(raw(run, key), (key, value))[0], value)
            made.shape = made.shape.join(below)
            if key.mark.steer is not run.bottom:
                made.keyed = made.keyed.join(key.mark)
        made.shape = made.shape.join(shape)
        made.choice = made.choice.join(choice)
    run.size(len(made.entries))
    return Cell(made, run.bottom)
