"""Methods of texts, and formatting in f-strings. Every result carries the labels of all that it was made from."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from mainspring.guard.program.access import elements
from mainspring.guard.program.cells import Cell, Function, Seq, kind
from mainspring.guard.program.faults import LimitReachedError
from mainspring.guard.program.marks import Mark
from mainspring.guard.program.origins import Origin, blend
from mainspring.value import MAX_DEPTH

if TYPE_CHECKING:
    from mainspring.guard.program.machine import Machine

Method: TypeAlias = "Callable[[Machine, Cell, list[Cell]], Cell]"

#: What may stand after the colon in an f-string.
SPEC = re.compile(r"(?:[^{}]?[<>=^])?[-+ ]?#?0?(\d{0,4})[,_]?(?:\.(\d{1,3}))?[bcdeEfFgGnosxX%]?\Z")
_WIDEST = 1000


def _mark(run: Machine, me: Cell, given: list[Cell]) -> tuple[Mark, Origin]:
    mark, origin = me.mark, me.origin
    for cell in given:
        mark = mark.join(run.view(cell)[1])
        origin = blend(origin, cell.origin)
    return mark, blend(origin, origin)


def _texts(run: Machine, name: str, given: list[Cell], *also: type) -> list[Any]:
    found = []
    for cell in given:
        data = run.plain(cell) if isinstance(cell.data, Seq) and tuple in also else cell.data
        if isinstance(data, tuple) and not all(isinstance(d, str) for d in data):
            raise run.error("TypeError", f"{name}() wants texts", cell)
        if not isinstance(data, (str, *also)) or isinstance(data, bool):
            raise run.error("TypeError", f"{name}() cannot take {kind(cell.data)}", cell)
        found.append(data)
    return found


def _simple(name: str, *also: type) -> Method:
    """A method whose result is no longer than its text and its arguments together, times three."""

    def method(run: Machine, me: Cell, given: list[Cell]) -> Cell:
        mark, origin = _mark(run, me, given)
        run.charge(len(me.data) >> 5)
        arguments = _texts(run, name, given, *also)
        try:
            found = getattr(str, name)(me.data, *arguments)  # `name` is one of the list below, never the program's
        except ValueError as error:
            raise run.error("ValueError", f"{name}(): {error}", Cell(None, mark)) from None
        except TypeError:
            raise run.error("TypeError", f"{name}() cannot take these arguments", Cell(None, mark)) from None
        if isinstance(found, str):
            return run.text(found, mark, origin)
        if isinstance(found, list | tuple):
            run.size(len(found))
            cells = [Cell(part, mark, origin) for part in found]
            return Cell(Seq(cells, mark, run.bottom, is_tuple=isinstance(found, tuple)), run.bottom)
        return Cell(found, mark, origin)

    return method


def _replace(run: Machine, me: Cell, given: list[Cell]) -> Cell:
    old, new, *count = _texts(run, "replace", given, int)
    if not isinstance(old, str) or not isinstance(new, str) or not all(isinstance(c, int) for c in count):
        raise run.error("TypeError", "replace() wants two texts and at most a number", *given)
    times = me.data.count(old)
    run.text_size(max(len(me.data), len(me.data) + times * (len(new) - len(old))))
    mark, origin = _mark(run, me, given)
    return run.text(me.data.replace(old, new, *count), mark, origin)


def _padded(name: str) -> Method:
    def method(run: Machine, me: Cell, given: list[Cell]) -> Cell:
        width = given[0]
        if not isinstance(width.data, int):
            raise run.error("TypeError", f"{name}() wants a whole number first", width)
        run.text_size(max(width.data, len(me.data)))
        return _simple(name, int)(run, me, given)

    return method


def _join(run: Machine, me: Cell, given: list[Cell]) -> Cell:
    items, shape, choice = elements(run, given[0])
    mark, origin, size = me.mark.join(shape).join(choice), me.origin, 0
    texts = []
    for cell in items:
        if not isinstance(cell.data, str):
            raise run.error("TypeError", f"join() wants texts, and met {kind(cell.data)}; use str()", given[0], cell)
        texts.append(cell.data)
        size += len(cell.data) + len(me.data)
        mark = mark.join(cell.mark)
        origin = blend(origin, cell.origin)
    run.charge(len(texts) >> 3)
    run.text_size(max(0, size - len(me.data)))
    return Cell(me.data.join(texts), mark, origin)


_NONE = (
    "lower upper title capitalize casefold swapcase isdigit isalpha isalnum isspace isupper islower isnumeric "
    "isdecimal istitle"
)
TEXT: dict[str, tuple[Method, int, int]] = {
    **{name: (_simple(name), 0, 0) for name in _NONE.split()},
    **{name: (_simple(name, int, type(None)), 0, 2) for name in ("split", "rsplit")},
    **{name: (_simple(name, type(None)), 0, 1) for name in ("strip", "lstrip", "rstrip")},
    **{name: (_simple(name, int), 1, 3) for name in ("find", "rfind", "index", "rindex", "count")},
    **{name: (_simple(name, int, tuple), 1, 3) for name in ("startswith", "endswith")},
    **{name: (_simple(name), 1, 1) for name in ("partition", "rpartition", "removeprefix", "removesuffix")},
    **{name: (_padded(name), 1, 2) for name in ("ljust", "rjust", "center")},
    "zfill": (_padded("zfill"), 1, 1),
    "splitlines": (_simple("splitlines"), 0, 0),
    "replace": (_replace, 2, 3),
    "join": (_join, 1, 1),
}


def written(run: Machine, cell: Cell, *, quoted: bool = False) -> Cell:
    """`str(cell)`, or `repr(cell)`: the text of the whole structure, with all of its labels."""
    data = cell.data
    if isinstance(data, str) and not quoted:
        return cell
    plain, mark = run.view(cell)
    _check_size(run, cell, 0)
    if _holds_function(plain):
        raise run.error("TypeError", "a function has no text", cell)
    return run.text(repr(plain) if quoted else str(plain), mark, blend(cell.origin, cell.origin))


def _check_size(run: Machine, cell: Cell, sofar: int, depth: int = 0) -> int:
    """Refuse a structure whose text would be too long before that text is made."""
    data = cell.data
    if depth > MAX_DEPTH or sofar > run.limits.text:
        raise LimitReachedError(f"a text has more than {run.limits.text:,} characters")
    if isinstance(data, str):
        return sofar + len(data)
    if isinstance(data, Seq):
        for item in data.items:
            sofar = _check_size(run, item, sofar + 2, depth + 1)
    elif hasattr(data, "entries"):
        for entry in data.entries.values():
            for item in entry if isinstance(entry, tuple) else (entry,):
                sofar = _check_size(run, item, sofar + 2, depth + 1)
    return sofar + 4


def _holds_function(plain: Any) -> bool:
    if isinstance(plain, list | tuple | set):
        return any(_holds_function(p) for p in plain)
    if isinstance(plain, dict):
        return any(_holds_function(p) for p in plain.values())
    return not (plain is None or isinstance(plain, bool | int | float | str)) or isinstance(plain, Function)


def formatted(run: Machine, cell: Cell, conversion: str, spec: str) -> Cell:
    """One `{cell!conversion:spec}` of an f-string."""
    if conversion or not isinstance(cell.data, str | int | float):
        cell = written(run, cell, quoted=conversion == "r")
    if not spec:
        return cell if isinstance(cell.data, str) else written(run, cell)
    try:
        text = format(cell.data, spec)  # a plain text or number: its own format, which looks nothing up
    except (ValueError, OverflowError):
        raise run.error("ValueError", f"the format {spec!r} does not fit {kind(cell.data)}", cell) from None
    return run.text(text, cell.mark, blend(cell.origin, cell.origin))


def spec_allowed(spec: str) -> bool:
    """Whether a format is one that is understood, and asks for no huge text."""
    match = SPEC.match(spec)
    return match is not None and int(match[1] or 0) <= _WIDEST and int(match[2] or 0) <= 100
