"""Dates as ISO texts: pure functions that know neither the clock nor a time zone of their own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mainspring.guard.program.cells import Cell, Table, kind
from mainspring.guard.program.origins import blend

if TYPE_CHECKING:
    from mainspring.guard.program.machine import Machine


def _read(run: Machine, name: str, cell: Cell) -> datetime:
    """The moment that an ISO text names; a date alone is its midnight."""
    if not isinstance(cell.data, str):
        raise run.error("TypeError", f"{name}() wants a date as text, not {kind(cell.data)}", cell)
    try:
        return datetime.fromisoformat(cell.data.strip()[:40])
    except ValueError:
        raise run.error(
            "ValueError",
            f"{name}(): this text is no date like 2026-05-31 or 2026-05-31T09:30",
            cell,
            detail=f"{name}(): {cell.data[:200]!r} is no date like 2026-05-31 or 2026-05-31T09:30",
        ) from None


def _number(run: Machine, name: str, cell: Cell) -> float:
    if isinstance(cell.data, bool) or not isinstance(cell.data, int | float):
        raise run.error("TypeError", f"{name}() wants a number, not {kind(cell.data)}", cell)
    return cell.data


def _result(run: Machine, data: Any, *cells: Cell) -> Cell:
    mark, origin = cells[0].mark, cells[0].origin
    for cell in cells[1:]:
        mark, origin = mark.join(cell.mark), blend(origin, cell.origin)
    return Cell(data, mark, blend(origin, origin))


def _moved(name: str, unit: Callable[[float], timedelta]) -> Callable[[Machine, list[Cell]], Cell]:
    def move(run: Machine, given: list[Cell]) -> Cell:
        start = _read(run, name, given[0])
        try:
            moved = start + unit(_number(run, name, given[1]))
        except (OverflowError, ValueError):
            raise run.error("OverflowError", f"{name}(): the date is out of range", *given) from None
        whole = len(given[0].data.strip()) == 10 and name == "add_days" and moved.time() == start.time()
        return _result(run, moved.date().isoformat() if whole else moved.isoformat(), *given)

    return move


def _between(name: str, seconds: float) -> Callable[[Machine, list[Cell]], Cell]:
    def between(run: Machine, given: list[Cell]) -> Cell:
        first, second = (_read(run, name, g) for g in given)
        if (first.tzinfo is None) != (second.tzinfo is None):
            raise run.error("ValueError", f"{name}(): only one of the two has a time zone", *given)
        if name == "days_between":
            return _result(run, (second.date() - first.date()).days, *given)
        return _result(run, (second - first).total_seconds() / seconds, *given)

    return between


def _weekday(run: Machine, given: list[Cell]) -> Cell:
    return _result(run, _read(run, "weekday", given[0]).weekday(), given[0])


def _parts(run: Machine, given: list[Cell]) -> Cell:
    moment = _read(run, "date_parts", given[0])
    names = ("year", "month", "day", "hour", "minute", "second")
    entries = {n: (Cell(n, run.own), _result(run, getattr(moment, n), given[0])) for n in names}
    return Cell(Table(entries, run.own, run.bottom, run.bottom), run.bottom)


def _make(run: Machine, given: list[Cell]) -> Cell:
    numbers = [_number(run, "make_date", g) for g in given]
    try:
        made = date(*(int(n) for n in numbers))
    except (ValueError, OverflowError):
        raise run.error("ValueError", "make_date(): there is no such day", *given) from None
    return _result(run, made.isoformat(), *given)


def _day(run: Machine, given: list[Cell]) -> Cell:
    return _result(run, _read(run, "parse_date", given[0]).date().isoformat(), given[0])


#: name -> (function, fewest arguments, most arguments)
DATES: dict[str, tuple[Callable[[Machine, list[Cell]], Cell], int, int]] = {
    "parse_date": (_day, 1, 1),
    "make_date": (_make, 3, 3),
    "date_parts": (_parts, 1, 1),
    "weekday": (_weekday, 1, 1),
    "add_days": (_moved("add_days", lambda n: timedelta(days=n)), 2, 2),
    "add_minutes": (_moved("add_minutes", lambda n: timedelta(minutes=n)), 2, 2),
    "days_between": (_between("days_between", 86400), 2, 2),
    "minutes_between": (_between("minutes_between", 60), 2, 2),
}
