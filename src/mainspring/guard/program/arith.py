"""Arithmetic and comparison on labelled values: the same results as Python's, within limits."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mainspring.guard.program.cells import SHARED_BYTES, Bag, Cell, Seq, Table, kind, reach, truth
from mainspring.guard.program.faults import LimitReachedError
from mainspring.guard.program.marks import Mark, bits_of_count
from mainspring.guard.program.origins import blend

if TYPE_CHECKING:
    from mainspring.guard.program.machine import Machine

_NUMBERS = frozenset({int, float, bool})
_PLAIN: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "<<": operator.lshift,
    ">>": operator.rshift,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
}
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
#: Largest power of two that a float's exponent reaches; more always overflows.
_FLOAT_BITS = 1100


def binary(run: Machine, sign: str, left: Cell, right: Cell) -> Cell:
    """`left SIGN right`; raises Thrown when the types do not fit, LimitReachedError when the result is too big."""
    a, b = left.data, right.data
    mark = left.mark if left.mark is right.mark else left.mark.join(right.mark)
    if type(a) in _NUMBERS and type(b) in _NUMBERS:
        data = _number(run, sign, a, b, left, right)
    elif type(a) is str and type(b) is str and sign == "+":
        run.text_size(len(a) + len(b))
        data = a + b
    elif sign == "*" and isinstance(a, str | Seq) and isinstance(b, int):
        return _repeat(run, left, right)
    elif sign == "*" and isinstance(b, str | Seq) and isinstance(a, int):
        return _repeat(run, right, left)
    elif sign == "+" and isinstance(a, Seq) and isinstance(b, Seq) and a.tuple == b.tuple:
        return concat(run, left, right)
    elif isinstance(a, Bag) and isinstance(b, Bag) and sign in _SETS:
        return combine(run, sign, left, right)
    elif isinstance(a, Table) and isinstance(b, Table) and sign == "|":
        from mainspring.guard.program.tables import merged

        return merged(run, [left, right])
    elif sign == "%" and type(a) is str:
        raise run.error("TypeError", "% does not format texts here; write an f-string", left, right)
    else:
        raise run.error("TypeError", f"{sign} does not go with {kind(a)} and {kind(b)}", left, right)
    if run.trying:
        run.risk(mark)
    same = left.origin is None and right.origin is None
    return Cell(data, mark, None if same else blend(left.origin, right.origin))


def _number(run: Machine, sign: str, a: Any, b: Any, left: Cell, right: Cell) -> Any:
    bits = run.limits.number
    if sign == "**" and isinstance(a, int) and isinstance(b, int):
        # A negative power is a float, whose base must still be of bearable size (it is: all numbers are).
        if b > 0 and a not in (-1, 0, 1) and a.bit_length() * b > bits + a.bit_length():
            raise LimitReachedError(f"a number has more than {bits:,} bits")
    elif sign == "<<" and isinstance(b, int) and b > bits:
        raise LimitReachedError(f"a number has more than {bits:,} bits")
    try:
        found = _PLAIN[sign](a, b)
    except ZeroDivisionError:
        raise run.error("ZeroDivisionError", "division by zero", left, right) from None
    except OverflowError:
        raise run.error("OverflowError", "the number is too large for a float", left, right) from None
    except (TypeError, ValueError):
        raise run.error("TypeError", f"{sign} does not go with {kind(a)} and {kind(b)}", left, right) from None
    if type(found) is complex:
        raise run.error("ValueError", "the result is no real number", left, right)
    if type(found) is int and found.bit_length() > bits:
        raise LimitReachedError(f"a number has more than {bits:,} bits")
    return found


def _repeat(run: Machine, what: Cell, times: Cell) -> Cell:
    data, count = what.data, times.data
    mark = what.mark.join(times.mark)
    if run.trying:
        run.risk(mark)
    if isinstance(data, str):
        run.text_size(len(data) * max(0, count))
        return Cell(data * count, mark, blend(what.origin, times.origin))
    assert isinstance(data, Seq)
    run.size(len(data.items) * max(0, count), SHARED_BYTES)
    choice = run.book.decide(times.mark, bits_of_count(max(0, count)))
    if count > 1:
        choice = choice.join(length_told(run, data.shape, len(data.items), what))
    made = Seq(data.items * count, data.shape.join(times.mark), data.choice.join(choice), is_tuple=data.tuple)
    return Cell(made, what.mark)


def length_told(run: Machine, shape: Mark, length: int, holder: Cell | None = None) -> Mark:
    """The length of something decides, such as how often a loop goes round or where an element stands."""
    bits = bits_of_count(length)
    if holder is not None and isinstance(holder.data, Seq) and shape.steer is not run.bottom:
        if holder.data.told == length:
            bits = 0
        holder.data.told = length
    return run.book.decide(shape, bits)


def concat(run: Machine, left: Cell, right: Cell) -> Cell:
    """Two lists, or two tuples, joined: both keep their elements' own marks."""
    a, b = left.data, right.data
    run.size(len(a.items) + len(b.items), SHARED_BYTES)
    choice = a.choice.join(b.choice).join(length_told(run, a.shape, len(a.items), left))
    made = Seq(a.items + b.items, a.shape.join(b.shape), choice, is_tuple=a.tuple)
    return Cell(made, left.mark.join(right.mark))


_SETS: dict[str, Callable[[Any, Any], Any]] = {
    "|": lambda a, b: {**a, **{k: v for k, v in b.items() if k not in a}},
    "&": lambda a, b: {k: v for k, v in a.items() if k in b},
    "-": lambda a, b: {k: v for k, v in a.items() if k not in b},
    "^": lambda a, b: {**{k: v for k, v in a.items() if k not in b}, **{k: v for k, v in b.items() if k not in a}},
}


def combine(run: Machine, sign: str, left: Cell, right: Cell) -> Cell:
    """A set from two; which elements are in it was decided by all of both."""
    a, b = left.data, right.data
    run.size(len(a.entries) + len(b.entries))
    mark = run.view(left)[1].join(run.view(right)[1])
    entries = _SETS[sign](a.entries, b.entries)
    return Cell(Bag(entries, mark, mixed(run, mark, list(entries.values()))), left.mark.join(right.mark))


def mixed(run: Machine, mark: Mark, cells: list[Cell]) -> Mark:
    """What `mark` adds to a choice among `cells`: each one that it does not already cover tells one bit."""
    if mark.steer is run.bottom:
        return run.bottom
    return run.book.decide(mark, sum(1 for c in cells if c.mark is not mark and not c.mark.strange))


def unary(run: Machine, sign: str, cell: Cell) -> Cell:
    """`-x`, `+x`, `~x` and `not x`."""
    data = cell.data
    if sign == "not":
        return Cell(not truth(data), reach(cell), blend(cell.origin, cell.origin))
    if run.trying:
        run.risk(cell.mark)
    if type(data) not in _NUMBERS or (sign == "~" and type(data) is float):
        raise run.error("TypeError", f"{sign} does not go with {kind(data)}", cell)
    found = -data if sign == "-" else +data if sign == "+" else ~int(data)
    return Cell(found, cell.mark, blend(cell.origin, cell.origin))


def compare(run: Machine, sign: str, left: Cell, right: Cell) -> Cell:
    """`left SIGN right` for every comparison, `in` and `is` included."""
    a, b = left.data, right.data
    if sign in ("in", "not in"):
        inside, mark = contains(run, left, right)
        if run.trying:
            run.risk(mark)
        return Cell(inside == (sign == "in"), mark, blend(left.origin, right.origin))
    if sign in ("is", "is not"):
        mark = reach(left).join(reach(right)) if b is not None else left.mark
        return Cell((a is b) == (sign == "is"), mark, blend(left.origin, right.origin))
    if (type(a) is str and type(b) is str) or (type(a) in _NUMBERS and type(b) in _NUMBERS):
        mark = left.mark if left.mark is right.mark else left.mark.join(right.mark)
        found = _ORDER[sign](a, b)
        if type(a) is str and len(a) > 64:
            run.charge(len(a) >> 6)
    else:
        (x, one), (y, two) = run.view(left), run.view(right)
        mark = one.join(two)
        try:
            found = _ORDER[sign](x, y)
        except TypeError:
            raise run.error("TypeError", f"{kind(a)} and {kind(b)} have no order", left, right) from None
    if run.trying:
        run.risk(mark)
    same = left.origin is None and right.origin is None
    return Cell(found, mark, None if same else blend(left.origin, right.origin))


def contains(run: Machine, needle: Cell, holder: Cell) -> tuple[bool, Mark]:
    """Whether `needle in holder`, and whose doing that is: everything that was looked at."""
    data = holder.data
    if isinstance(data, str):
        if not isinstance(needle.data, str):
            raise run.error("TypeError", f"a text holds texts only, not {kind(needle.data)}", needle, holder)
        run.charge(len(data) >> 6)
        return needle.data in data, needle.mark.join(holder.mark)
    if isinstance(data, Table):
        run.charge(len(data.entries) >> 3)
        keys = run.book.join(key.mark for key, _ in data.entries.values())
        return raw(run, needle) in data.entries, reach(holder).join(keys).join(run.view(needle)[1])
    if isinstance(data, Bag):
        return raw(run, needle) in data.entries, run.view(holder)[1].join(run.view(needle)[1])
    if isinstance(data, Seq):
        plain, mark = run.view(holder)
        wanted, other = run.view(needle)
        return wanted in plain, mark.join(other)
    raise run.error("TypeError", f"{kind(data)} holds nothing, so `in` cannot look into it", needle, holder)


def raw(run: Machine, key: Cell, depth: int = 0) -> Any:
    """The key of a dict or set as Python's own dict can hold it; raises Thrown for what can be no key."""
    data = key.data
    if isinstance(data, Seq) and data.tuple and depth < 8:
        run.charge(len(data.items))
        return tuple(raw(run, item, depth + 1) for item in data.items)
    if isinstance(data, Seq | Table | Bag):
        raise run.error("TypeError", f"a {kind(data)} can be no key of a dict and no element of a set", key)
    return data
