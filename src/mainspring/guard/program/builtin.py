"""The built-in functions. All are pure; those that choose say what chose."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mainspring.guard.program.access import elements
from mainspring.guard.program.arith import binary, length_told
from mainspring.guard.program.cells import SHARED_BYTES, Bag, Builtin, Cell, Function, Seq, Table, kind, reach, truth
from mainspring.guard.program.convert import (
    Call,
    Named,
    abs_of,
    is_instance,
    listing,
    round_of,
    to_bool,
    to_dict,
    to_float,
    to_int,
    to_set,
    to_str,
)
from mainspring.guard.program.dates import DATES
from mainspring.guard.program.marks import Mark, bits_of
from mainspring.guard.program.origins import Made, Place, blend
from mainspring.guard.program.tables import change

if TYPE_CHECKING:
    from mainspring.guard.program.machine import Machine


def invoke(run: Machine, function: Cell, arguments: list[Cell], pc: Mark | None = None) -> Cell:
    """Call a function that was passed as a value."""
    data = function.data
    if isinstance(data, Builtin):
        return call(run, data.name, arguments, {})
    if isinstance(data, Function):
        why = (run.frame.pc if pc is None else pc).join(function.mark.steer)
        return run.call_now(data, arguments, why)
    raise run.error("TypeError", f"{kind(data)} is no function", function)


def call(run: Machine, name: str, given: list[Cell], named: Named) -> Cell:
    """Call a built-in function by its name; raises Thrown for wrong arguments."""
    function, fewest, most, names = BUILTINS[name]
    if not fewest <= len(given) <= most:
        wanted = str(fewest) if fewest == most else f"{fewest} to {most}" if most < _ANY else f"at least {fewest}"
        raise run.error("TypeError", f"{name}() takes {wanted} arguments, and was given {len(given)}")
    for one in named:
        if one not in names and name != "dict":
            raise run.error("TypeError", f"{name}() takes no argument {one!r} here")
    found = function(run, given, named)
    if run.trying:
        run.risk(run.book.join([reach(found), *(reach(g) for g in given)]))
    return found


def _len(run: Machine, given: list[Cell], named: Named) -> Cell:
    data = given[0].data
    if isinstance(data, str):
        return Cell(len(data), given[0].mark, blend(given[0].origin, given[0].origin))
    if isinstance(data, Seq):
        return Cell(len(data.items), reach(given[0]))
    if isinstance(data, Table | Bag):
        return Cell(len(data.entries), reach(given[0]))
    raise run.error("TypeError", f"{kind(data)} has no length", given[0])


def _times(run: Machine, function: Cell, shape: Mark, count: int) -> Mark:
    """What decides that a function is called so many times; nothing when it can tell nobody."""
    data = function.data
    if isinstance(data, Builtin) and data.name != "print":
        return run.frame.pc
    if isinstance(data, Function) and data.code.pure:
        return run.frame.pc
    return run.frame.pc.join(length_told(run, shape, count))


def _keys(run: Machine, items: list[Cell], key: Cell | None, shape: Mark) -> tuple[list[Any], Mark]:
    """What the items are ordered by, and who wrote that."""
    keys = items
    if key is not None and key.data is not None:
        pc = _times(run, key, shape, len(items))
        keys = [invoke(run, key, [i], pc) for i in items]
    seen = [run.view(k) for k in keys]
    return [s[0] for s in seen], run.book.join(s[1] for s in seen)


def _best(pick: Callable[..., Any], name: str) -> Call:
    def best(run: Machine, given: list[Cell], named: Named) -> Cell:
        shape = choice = run.bottom
        items = given
        if len(given) == 1:
            items, shape, choice = elements(run, given[0])
        if not items:
            if "default" in named:
                return named["default"].marked(run.book.decide(shape, 1))
            raise run.error("ValueError", f"{name}() of nothing; pass default=", *given)
        items = list(items)
        keys, mark = _keys(run, items, named.get("key"), shape)
        run.charge(len(items))
        try:
            at: int = pick(range(len(items)), key=lambda n: keys[n])
        except TypeError:
            raise run.error("TypeError", f"{name}() of values that have no order", Cell(None, mark)) from None
        why = choice.join(run.book.decide(mark, bits_of(len(items))))
        if "default" in named or _counted(items):
            why = why.join(length_told(run, shape, len(items)))
        return items[at].marked(why)

    return best


def _counted(items: list[Cell]) -> bool:
    """True when the program itself made elements, so that which of them is the largest tells how many there are."""
    return not all(isinstance(i.origin, Place) for i in items)


def _order(run: Machine, items: list[Cell], named: Named, shape: Mark) -> tuple[list[Cell], Mark]:
    keys, mark = _keys(run, items, named.get("key"), shape)
    turned = named.get("reverse")
    count = len(items)
    run.charge(count * max(1, count.bit_length()) >> 2)
    try:
        order = sorted(range(count), key=lambda n: keys[n], reverse=turned is not None and truth(turned.data))
    except TypeError:
        raise run.error("TypeError", "values that have no order cannot be sorted", Cell(None, mark)) from None
    why = run.book.decide(mark, sum(n.bit_length() for n in range(1, count)))
    if turned is not None:
        why = why.join(run.book.decide(reach(turned), 1))
    return [items[n] for n in order], why


def _sorted(run: Machine, given: list[Cell], named: Named) -> Cell:
    items, shape, choice = elements(run, given[0])
    found, why = _order(run, list(items), named, shape)
    run.size(len(found), SHARED_BYTES)
    if _counted(found):
        why = why.join(length_told(run, shape, len(found), given[0]))
    return Cell(Seq(found, shape, choice.join(why)), run.bottom)


def sort(run: Machine, me: Cell, named: Named) -> Cell:
    """`me.sort(key=..., reverse=...)`."""
    change(run, me)
    data: Seq = me.data
    found, why = _order(run, list(data.items), named, data.shape)
    if _counted(found):
        why = why.join(length_told(run, data.shape, len(found), me))
    data.items, data.choice = found, data.choice.join(why)
    return Cell(None, run.own)


def _sum(run: Machine, given: list[Cell], named: Named) -> Cell:
    items, shape, choice = elements(run, given[0])
    total = given[1] if len(given) > 1 else named.get("start", Cell(0, run.bottom))
    if isinstance(total.data, str):
        raise run.error("TypeError", "sum() adds no texts; use ''.join(...)", total)
    for one in list(items):
        total = binary(run, "+", total, one)
        run.charge(1)
    if items and all(isinstance(i.origin, Place | Made) and not getattr(i.origin, "own", False) for i in items):
        # Of what came from outside, whoever decides how much there is only chose; of anything else, he wrote the sum.
        shape = length_told(run, shape, len(items), given[0])
    return total.marked(shape.join(choice))


def _truths(every: bool) -> Call:
    def truths(run: Machine, given: list[Cell], named: Named) -> Cell:
        items, shape, choice = elements(run, given[0])
        run.charge(len(items))
        mark = run.book.join([shape, choice, *(reach(i) for i in items)])
        found = [truth(i.data) for i in items]
        return Cell(all(found) if every else any(found), mark)

    return truths


def _range(run: Machine, given: list[Cell], named: Named) -> Cell:
    if not all(isinstance(g.data, int) for g in given):
        raise run.error("TypeError", "range() wants whole numbers", *given)
    if len(given) == 3 and given[2].data == 0:
        raise run.error("ValueError", "range() cannot go in steps of 0", *given)
    found = range(*(g.data for g in given))
    try:
        count = len(found)
    except OverflowError:
        count = run.limits.items + 1
    run.size(count)
    run.charge(count >> 1)
    run.grow(100 * count)
    stop = given[0] if len(given) == 1 else given[1]
    mark = run.own.join(run.book.join(g.mark for g in given if g is not stop))
    choice = length_told(run, stop.mark, count)
    return Cell(Seq([Cell(n, mark) for n in found], mark.join(stop.mark), choice), run.bottom)


def _enumerate(run: Machine, given: list[Cell], named: Named) -> Cell:
    items, shape, choice = elements(run, given[0])
    start = given[1] if len(given) > 1 else named.get("start", Cell(0, run.own))
    if not isinstance(start.data, int):
        raise run.error("TypeError", "enumerate() starts at a whole number", start)
    run.size(len(items) * 4)
    # The number of the last one tells how many there are.
    mark = run.own.join(start.mark).join(length_told(run, shape, len(items), given[0]))
    pairs = [
        Cell(
            Seq([Cell(n, mark), c if choice is run.bottom else c.marked(choice)], run.own, run.bottom, is_tuple=True),
            run.bottom,
        )
        for n, c in enumerate(items, start.data)
    ]
    return Cell(Seq(pairs, shape, run.bottom), run.bottom)


def _zip(run: Machine, given: list[Cell], named: Named) -> Cell:
    walks = [elements(run, g) for g in given]
    shape = run.book.join(w[1] for w in walks) if walks else run.own
    count = min((len(w[0]) for w in walks), default=0)
    run.size(count * (len(walks) + 1))
    rows = []
    # Where one list ends, the others are cut: its length chooses which of their elements is the last.
    cut = [run.bottom] * len(walks)
    for n in range(len(walks)):
        others = run.book.join(w[1] for m, w in enumerate(walks) if m != n)
        cut[n] = walks[n][2].join(length_told(run, others, count))
    for n in range(count):
        row = [w[0][n].marked(c) for w, c in zip(walks, cut, strict=True)]
        rows.append(Cell(Seq(row, run.own, run.bottom, is_tuple=True), run.bottom))
    return Cell(Seq(rows, shape, run.bottom), run.bottom)


def _map(run: Machine, given: list[Cell], named: Named) -> Cell:
    rows = _zip(run, given[1:], {}) if len(given) > 2 else None
    items, shape, choice = elements(run, rows or given[1])
    pc = _times(run, given[0], shape, len(items))
    run.size(len(items))
    made = [invoke(run, given[0], i.data.items if rows else [i.marked(choice)], pc) for i in list(items)]
    return Cell(Seq(made, shape, choice), run.bottom)


def _filter(run: Machine, given: list[Cell], named: Named) -> Cell:
    items, shape, choice = elements(run, given[1])
    kept, why = [], run.bottom
    pc = _times(run, given[0], shape, len(items))
    for one in list(items):
        verdict = one if given[0].data is None else invoke(run, given[0], [one.marked(choice)], pc)
        why = why.join(run.book.decide(reach(verdict), 1))
        if truth(verdict.data):
            kept.append(one)
    run.size(len(kept))
    return Cell(Seq(kept, shape.join(why), choice.join(why)), run.bottom)


def _reversed(run: Machine, given: list[Cell], named: Named) -> Cell:
    items, shape, choice = elements(run, given[0])
    run.size(len(items))
    if _counted(items):
        choice = choice.join(length_told(run, shape, len(items), given[0]))
    return Cell(Seq(items[::-1], shape, choice), run.bottom)


def _next(run: Machine, given: list[Cell], named: Named) -> Cell:
    items, shape, choice = elements(run, given[0])
    if items:
        return items[0].marked(choice)
    if len(given) < 2:
        raise run.error("StopIteration", "next() found nothing; give it a default", given[0])
    return given[1].marked(run.book.decide(shape, 1))


def _print(run: Machine, given: list[Cell], named: Named) -> Cell:
    run.size(1)
    one = given[0] if len(given) == 1 else Cell(Seq(list(given), run.own, run.bottom), run.bottom)
    run.show(one)
    return Cell(None, run.own)


_ANY = 100
#: name -> (function, fewest and most arguments, arguments by name)
BUILTINS: dict[str, tuple[Call, int, int, tuple[str, ...]]] = {
    "len": (_len, 1, 1, ()),
    "min": (_best(min, "min"), 1, _ANY, ("key", "default")),
    "max": (_best(max, "max"), 1, _ANY, ("key", "default")),
    "sorted": (_sorted, 1, 1, ("key", "reverse")),
    "sum": (_sum, 1, 2, ("start",)),
    "any": (_truths(False), 1, 1, ()),
    "all": (_truths(True), 1, 1, ()),
    "abs": (abs_of, 1, 1, ()),
    "round": (round_of, 1, 2, ("ndigits",)),
    "range": (_range, 1, 3, ()),
    "enumerate": (_enumerate, 1, 2, ("start",)),
    "zip": (_zip, 0, _ANY, ()),
    "map": (_map, 2, _ANY, ()),
    "filter": (_filter, 2, 2, ()),
    "reversed": (_reversed, 1, 1, ()),
    "int": (to_int, 0, 1, ()),
    "float": (to_float, 0, 1, ()),
    "str": (to_str, 0, 1, ()),
    "bool": (to_bool, 0, 1, ()),
    "list": (listing(False), 0, 1, ()),
    "tuple": (listing(True), 0, 1, ()),
    "dict": (to_dict, 0, 1, ()),
    "set": (to_set, 0, 1, ()),
    "isinstance": (is_instance, 2, 2, ()),
    "next": (_next, 1, 2, ()),
    "print": (_print, 0, _ANY, ()),
    **{
        name: ((lambda f: lambda run, given, named: f(run, given))(function), fewest, most, ())
        for name, (function, fewest, most) in DATES.items()
    },
}
