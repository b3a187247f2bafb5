"""Where labelled values come into a program, and where they leave it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mainspring.guard.program.cells import CELL_BYTES, Bag, Cell, Seq, Table, kind
from mainspring.guard.program.faults import LimitReachedError, ProgramError
from mainspring.guard.program.marks import Mark
from mainspring.guard.program.origins import Made, Place, blend, words
from mainspring.value import MAX_DEPTH, Value

if TYPE_CHECKING:
    from mainspring.guard.program.machine import Machine


def from_value(run: Machine, value: Value, place: Place, *, fixed: bool, depth: int = 0) -> Cell:
    """A value from outside as the program sees it; `fixed` when the program may not change it.

    Raises:
        ProgramError: it is nested too deep, holds itself, or holds what is no JSON.
    """
    data = value.data
    if depth > MAX_DEPTH:
        raise ProgramError(f"{_top(place)} is nested deeper than {MAX_DEPTH} levels, or holds itself")
    mark = run.book.of(value.label)
    if isinstance(data, list):
        cells = [from_value(run, v, Place(n, place), fixed=fixed, depth=depth + 1) for n, v in enumerate(data)]
        seq = Seq(cells, mark, run.bottom)
        seq.fixed = fixed
        run.count(CELL_BYTES * 3 * (len(data) + 1))
        return Cell(seq, run.bottom, place)
    if isinstance(data, dict):
        entries: dict[Any, tuple[Cell, Cell]] = {}
        for key, below in data.items():
            if not isinstance(key, str):
                raise ProgramError(f"{_top(place)} has a key of type {type(key).__name__}; keys are texts")
            cell = from_value(run, below, Place(key, place), fixed=fixed, depth=depth + 1)
            entries[key] = (Cell(key, mark, Made((place,), False, False)), cell)
        table = Table(entries, mark, run.bottom, run.bottom)
        table.fixed = fixed
        run.count(CELL_BYTES * 4 * (len(data) + 1))
        return Cell(table, run.bottom, place)
    if data is None or isinstance(data, bool | int | float | str):
        run.count(2 * len(data) if isinstance(data, str) else 0)
        return Cell(data, mark, place)
    raise ProgramError(f"{_top(place)} holds a {type(data).__name__}, which is no JSON value")


def _top(place: Place) -> str:
    while place.above is not None:
        place = place.above
    return str(place)


def to_value(run: Machine, cell: Cell, pc: Mark) -> tuple[Value, int]:
    """A value that leaves the program, and its rough size in bytes.

    It carries the labels of all that it was made from, of the decisions that led to it, and after too many of those
    the full labels of everyone who had a part in them.

    Raises:
        Thrown: it holds a function, a number that is no JSON, or a key that is no text.
        LimitReachedError: it is too large, is nested too deep, or holds itself.
    """
    count = [0, 0]
    value = _out(run, cell, pc.join(run.book.ambient), 0, count)
    return value, count[0]


def _out(run: Machine, cell: Cell, above: Mark, depth: int, count: list[int]) -> Value:
    data = cell.data
    mark = cell.mark.join(above)
    count[0] += CELL_BYTES + (len(data) if isinstance(data, str) else 0)
    count[1] += 1
    if count[0] > run.limits.memory or count[1] > run.limits.items:
        limits = f"{run.limits.memory:,} bytes or {run.limits.items:,} items"
        raise LimitReachedError(f"a value that leaves the program has more than {limits}")
    run.charge(1)
    if depth > MAX_DEPTH:
        raise LimitReachedError(f"a value is nested deeper than {MAX_DEPTH} levels, or holds itself")
    if isinstance(data, Seq | Bag):
        below = mark.join(data.choice)
        cells = data.items if isinstance(data, Seq) else list(data.entries.values())
        return Value([_out(run, c, below, depth + 1, count) for c in cells], below.join(data.shape).label)
    if isinstance(data, Table):
        below = mark.join(data.choice).join(data.keyed.steer)
        shape = mark.join(data.choice).join(data.shape).join(data.keyed)
        found = {}
        for raw, (key, value) in data.entries.items():
            if not isinstance(raw, str | int) or isinstance(raw, bool):
                raise run.error("TypeError", "the keys of a dict that leaves the program are texts", key)
            shape = shape.join(key.mark)
            found[str(raw)] = _out(run, value, below, depth + 1, count)
        return Value(found, shape.label)
    if isinstance(data, float) and not math.isfinite(data):
        raise run.error("ValueError", "a number that leaves the program must be finite", cell)
    if data is not None and not isinstance(data, bool | int | float | str):
        raise run.error("TypeError", f"a {kind(data)} cannot leave the program; call it and pass its result", cell)
    return Value(data, mark.label)


def origin_of(run: Machine, cell: Cell) -> tuple[str, bool]:
    """Where a value came from, in words, and whether it is one value as somebody wrote it."""
    origin = cell.origin
    data = cell.data
    if isinstance(data, Seq | Table | Bag) and not (isinstance(origin, Place) and getattr(data, "fixed", False)):
        parts: Any
        if isinstance(data, Table):
            parts = [c for entry in data.entries.values() for c in entry]
        else:
            parts = data.items if isinstance(data, Seq) else list(data.entries.values())
        origin = None
        for number, part in enumerate(_leaves(parts)):
            origin = part.origin if number == 0 else blend(origin, part.origin)
            if number > 100:
                break
        whole = origin is None
        if isinstance(origin, Place):
            origin = Made((origin,), False, False)
        return words(origin), whole
    return words(origin), not isinstance(origin, Made)


def _leaves(cells: list[Cell]) -> list[Cell]:
    """The scalars and outside values in a structure that the program made; a few are enough to name."""
    found: list[Cell] = []
    waiting = list(reversed(cells))
    while waiting and len(found) < 200:
        cell = waiting.pop()
        data = cell.data
        if isinstance(cell.origin, Place) or not isinstance(data, Seq | Table | Bag):
            found.append(cell)
        elif isinstance(data, Table):
            waiting += [c for entry in reversed(data.entries.values()) for c in reversed(entry)]
        else:
            waiting += reversed(data.items if isinstance(data, Seq) else list(data.entries.values()))
    return found
