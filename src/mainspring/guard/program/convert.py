"""Built-in functions that turn one value into another, or ask what it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from mainspring.guard.program.access import listed
from mainspring.guard.program.cells import Bag, Builtin, Cell, Seq, Table, kind, reach, truth
from mainspring.guard.program.origins import blend
from mainspring.guard.program.tables import bag_of, merged
from mainspring.guard.program.texts import written

if TYPE_CHECKING:
    from mainspring.guard.program.machine import Machine

Named: TypeAlias = dict[str, Cell]
Call: TypeAlias = "Callable[[Machine, list[Cell], Named], Cell]"


def abs_of(run: Machine, given: list[Cell], named: Named) -> Cell:
    one = given[0]
    if not isinstance(one.data, int | float):
        raise run.error("TypeError", f"abs() wants a number, not {kind(one.data)}", one)
    return Cell(abs(one.data), one.mark, blend(one.origin, one.origin))


def round_of(run: Machine, given: list[Cell], named: Named) -> Cell:
    digits = given[1] if len(given) > 1 else named.get("ndigits", Cell(None, run.bottom))
    if not isinstance(given[0].data, int | float) or not isinstance(digits.data, int | None):
        raise run.error("TypeError", "round() wants a number, and a whole number of digits", *given)
    if digits.data is not None and abs(digits.data) > 400:
        raise run.error("ValueError", "round() to more than 400 digits", digits)
    try:
        found = round(given[0].data, digits.data)
    except (ValueError, OverflowError):
        raise run.error("ValueError", "this number cannot be rounded", given[0]) from None
    return Cell(found, given[0].mark.join(digits.mark), blend(given[0].origin, digits.origin))


def to_int(run: Machine, given: list[Cell], named: Named) -> Cell:
    one = given[0] if given else Cell(0, run.own)
    data = one.data
    if isinstance(data, str):
        if len(data) > 400:
            raise run.error("ValueError", "int(): the text is too long for a number", one)
    elif not isinstance(data, int | float):
        raise run.error("TypeError", f"int() cannot take {kind(data)}", one)
    try:
        return Cell(int(data), one.mark, blend(one.origin, one.origin))
    except (ValueError, OverflowError) as error:
        raise run.error("ValueError", "int(): this is no whole number", one, detail=str(error)) from None


def to_float(run: Machine, given: list[Cell], named: Named) -> Cell:
    one = given[0] if given else Cell(0.0, run.own)
    if not isinstance(one.data, int | float | str):
        raise run.error("TypeError", f"float() cannot take {kind(one.data)}", one)
    try:
        return Cell(float(one.data), one.mark, blend(one.origin, one.origin))
    except (ValueError, OverflowError) as error:
        raise run.error("ValueError", "float(): this is no number", one, detail=str(error)[:300]) from None


def to_str(run: Machine, given: list[Cell], named: Named) -> Cell:
    return written(run, given[0]) if given else Cell("", run.own)


def to_bool(run: Machine, given: list[Cell], named: Named) -> Cell:
    if not given:
        return Cell(False, run.own)
    return Cell(truth(given[0].data), reach(given[0]), blend(given[0].origin, given[0].origin))


def listing(is_tuple: bool) -> Call:
    def listing(run: Machine, given: list[Cell], named: Named) -> Cell:
        if given:
            return listed(run, given[0], is_tuple=is_tuple)
        return Cell(Seq([], run.own, run.bottom, is_tuple=is_tuple), run.bottom)

    return listing


def to_dict(run: Machine, given: list[Cell], named: Named) -> Cell:
    more = Table({n: (Cell(n, run.own), c) for n, c in named.items()}, run.own, run.bottom, run.bottom)
    return merged(run, [*given, Cell(more, run.bottom)])


def to_set(run: Machine, given: list[Cell], named: Named) -> Cell:
    return bag_of(run, given[0]) if given else Cell(Bag({}, run.own, run.bottom), run.bottom)


_TYPES: dict[str, Callable[[Any], bool]] = {
    "int": lambda d: isinstance(d, int),
    "float": lambda d: isinstance(d, float),
    "str": lambda d: isinstance(d, str),
    "bool": lambda d: isinstance(d, bool),
    "list": lambda d: isinstance(d, Seq) and not d.tuple,
    "tuple": lambda d: isinstance(d, Seq) and d.tuple,
    "dict": lambda d: isinstance(d, Table),
    "set": lambda d: isinstance(d, Bag),
}


def is_instance(run: Machine, given: list[Cell], named: Named) -> Cell:
    wanted = given[1].data.items if isinstance(given[1].data, Seq) else [given[1]]
    names = [w.data.name for w in wanted if isinstance(w.data, Builtin) and w.data.name in _TYPES]
    if len(names) != len(wanted):
        raise run.error("TypeError", f"isinstance() knows {', '.join(_TYPES)}", given[1])
    mark = given[0].mark.join(given[1].mark)
    return Cell(any(_TYPES[n](given[0].data) for n in names), mark)
