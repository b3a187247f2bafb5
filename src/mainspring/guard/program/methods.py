"""Methods of lists, dicts and sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from mainspring.guard.program.access import elements, entry, from_end, item, listed, order
from mainspring.guard.program.arith import combine, contains, raw
from mainspring.guard.program.cells import Bag, Cell, Seq, Table, reading
from mainspring.guard.program.tables import add_all, append, bag_add, bag_of, behind, change, merged, put, remove

if TYPE_CHECKING:
    from mainspring.guard.program.machine import Machine

Method: TypeAlias = "Callable[[Machine, Cell, list[Cell]], Cell]"


def _none(run: Machine) -> Cell:
    return Cell(None, run.own)


def _append(run: Machine, me: Cell, given: list[Cell]) -> Cell:
    append(run, me, given[0])
    return _none(run)


def _extend(run: Machine, me: Cell, given: list[Cell]) -> Cell:
    items, shape, choice = elements(run, given[0])
    add_all(run, me, list(items), shape, choice)
    return _none(run)


def _insert(run: Machine, me: Cell, given: list[Cell]) -> Cell:
    where = given[0]
    if not isinstance(where.data, int):
        raise run.error("TypeError", "insert() wants a whole number first", where)
    pc = change(run, me, where.mark)
    run.size(len(me.data.items) + 1 if len(me.data.items) >= run.limits.items else 1)
    run.charge(len(me.data.items) >> 6)
    behind(run, me)
    me.data.items.insert(where.data, given[1].marked(pc))
    return _none(run)


def _pop(run: Machine, me: Cell, given: list[Cell]) -> Cell:
    last = given[0] if given else Cell(-1, run.own)
    if not me.data.items:
        raise run.error("IndexError", "pop() from an empty list", me)
    run.charge(len(me.data.items) >> 6)
    return remove(run, me, last)


def _index(run: Machine, me: Cell, given: list[Cell]) -> Cell:
    plain, mark = run.view(me)
    wanted, other = run.view(given[0])
    mark = mark.join(other)
    if wanted not in plain:
        raise run.error("ValueError", "index() did not find it", Cell(None, mark))
    return Cell(plain.index(wanted), mark)


def _count(run: Machine, me: Cell, given: list[Cell]) -> Cell:
    plain, mark = run.view(me)
    wanted, other = run.view(given[0])
    return Cell(plain.count(wanted), mark.join(other))


def _drop(run: Machine, me: Cell, given: list[Cell]) -> Cell:
    at = _index(run, me, given)
    remove(run, me, at)
    return _none(run)


def _turn(run: Machine, me: Cell, given: list[Cell]) -> Cell:
    change(run, me)
    run.charge(len(me.data.items) >> 6)
    me.data.choice = me.data.choice.join(from_end(run, me.data))
    me.data.items.reverse()
    return _none(run)


def _clear(run: Machine, me: Cell, given: list[Cell]) -> Cell:
    change(run, me)
    (me.data.items if isinstance(me.data, Seq) else me.data.entries).clear()
    return _none(run)


def _copy(run: Machine, me: Cell, given: list[Cell]) -> Cell:
    if isinstance(me.data, Seq):
        return listed(run, me)
    return merged(run, [me]) if isinstance(me.data, Table) else bag_of(run, me)


def _get(run: Machine, me: Cell, given: list[Cell]) -> Cell:
    return entry(run, me, given[0], given[1] if len(given) > 1 else _none(run))


def _view(pick: Callable[[Machine, Cell, Cell], Cell]) -> Method:
    def method(run: Machine, me: Cell, given: list[Cell]) -> Cell:
        data: Table = me.data
        run.size(len(data.entries) * 2)
        choice = order(run, data)
        cells = [pick(run, k, v) for k, v in data.entries.values()]
        shape = me.mark.join(data.shape).join(data.keyed)
        return Cell(Seq(cells, shape, reading(me).join(choice)), run.bottom)

    return method


def _pair(run: Machine, key: Cell, value: Cell) -> Cell:
    return Cell(Seq([key, value], run.own, run.bottom, is_tuple=True), run.bottom)


def _setdefault(run: Machine, me: Cell, given: list[Cell]) -> Cell:
    key, value = given[0], given[1] if len(given) > 1 else _none(run)
    there, mark = contains(run, key, me)
    if not there:
        put(run, me, key, value)
    else:
        run.book.decide(mark, 1)
    return item(run, me, key)


def _take(run: Machine, me: Cell, given: list[Cell]) -> Cell:
    there, mark = contains(run, given[0], me)
    if there:
        return remove(run, me, given[0])
    if len(given) < 2:
        return item(run, me, given[0])  # which says that it is not there
    return given[1].marked(run.book.decide(mark, 1))


def _update(run: Machine, me: Cell, given: list[Cell]) -> Cell:
    if isinstance(me.data, Bag):
        change(run, me)
        new = combine(run, "|", me, bag_of(run, given[0])).data
        me.data.entries, me.data.shape = new.entries, me.data.shape.join(new.shape)
    else:
        pc = change(run, me)
        new = merged(run, [Cell(me.data, run.bottom), merged(run, [given[0]]).marked(pc)]).data
        me.data.entries, me.data.shape, me.data.keyed = new.entries, new.shape, new.keyed
        me.data.mixed = new.mixed
    me.data.choice = me.data.choice.join(new.choice)
    return _none(run)


def _discard(run: Machine, me: Cell, given: list[Cell]) -> Cell:
    place = raw(run, given[0])
    change(run, me, given[0].mark)
    me.data.shape = me.data.shape.join(given[0].mark)
    me.data.entries.pop(place, None)
    return _none(run)


def _leave(run: Machine, me: Cell, given: list[Cell]) -> Cell:
    there, mark = contains(run, given[0], me)
    if not there:
        raise run.error("KeyError", "the set does not hold it", Cell(None, mark))
    return _discard(run, me, given)


def _add(run: Machine, me: Cell, given: list[Cell]) -> Cell:
    bag_add(run, me, given[0])
    return _none(run)


def _sets(sign: str) -> Method:
    return lambda run, me, given: combine(run, sign, me, bag_of(run, given[0]))


def _subset(turned: bool) -> Method:
    def method(run: Machine, me: Cell, given: list[Cell]) -> Cell:
        (mine, one), (other, two) = run.view(me), run.view(bag_of(run, given[0]))
        return Cell(mine >= other if turned else mine <= other, one.join(two))

    return method


#: Methods by kind: name -> (function, fewest arguments, most arguments).
LIST: dict[str, tuple[Method, int, int]] = {
    "append": (_append, 1, 1),
    "extend": (_extend, 1, 1),
    "insert": (_insert, 2, 2),
    "pop": (_pop, 0, 1),
    "remove": (_drop, 1, 1),
    "index": (_index, 1, 1),
    "count": (_count, 1, 1),
    "reverse": (_turn, 0, 0),
    "clear": (_clear, 0, 0),
    "copy": (_copy, 0, 0),
}
TUPLE = {name: LIST[name] for name in ("index", "count")}
DICT: dict[str, tuple[Method, int, int]] = {
    "get": (_get, 1, 2),
    "keys": (_view(lambda run, key, value: key), 0, 0),
    "values": (_view(lambda run, key, value: value), 0, 0),
    "items": (_view(_pair), 0, 0),
    "pop": (_take, 1, 2),
    "setdefault": (_setdefault, 1, 2),
    "update": (_update, 1, 1),
    "copy": (_copy, 0, 0),
    "clear": (_clear, 0, 0),
}
SET: dict[str, tuple[Method, int, int]] = {
    "add": (_add, 1, 1),
    "discard": (_discard, 1, 1),
    "remove": (_leave, 1, 1),
    "update": (_update, 1, 1),
    "union": (_sets("|"), 1, 1),
    "intersection": (_sets("&"), 1, 1),
    "difference": (_sets("-"), 1, 1),
    "symmetric_difference": (_sets("^"), 1, 1),
    "issubset": (_subset(False), 1, 1),
    "issuperset": (_subset(True), 1, 1),
    "copy": (_copy, 0, 0),
    "clear": (_clear, 0, 0),
}
