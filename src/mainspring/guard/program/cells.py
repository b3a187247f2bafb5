"""What a program's variables hold.

Every reference has a mark of its own, and so has every element of a container. A container knows besides:

- `shape`: who decided how many elements it has (and, of a dict that came from outside, which keys);
- `choice`: who, in this program, decided which elements stand where; it is joined to whatever is read from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.guard.program.marks import Mark
from mainspring.guard.program.origins import Origin

if TYPE_CHECKING:
    from mainspring.guard.program.machine import Code, Frame


#: Rough bytes of one value with its mark.
CELL_BYTES = 100
#: Rough bytes of a reference to a value that was there before.
SHARED_BYTES = 8


class Cell:
    """A value with its mark and where it came from. Never changed once made; what it refers to may be."""

    __slots__ = ("data", "mark", "origin")

    def __init__(self, data: Any, mark: Mark, origin: Origin = None) -> None:
        self.data = data
        self.mark = mark
        self.origin = origin

    def marked(self, mark: Mark) -> Cell:
        """The same value with `mark` joined."""
        joined = self.mark.join(mark)
        return self if joined is self.mark else Cell(self.data, joined, self.origin)


class Seq:
    """A list or a tuple."""

    __slots__ = ("choice", "fixed", "items", "shape", "told", "tuple")

    def __init__(self, items: list[Cell], shape: Mark, choice: Mark, *, is_tuple: bool = False) -> None:
        self.items = items
        self.shape = shape
        self.choice = choice
        self.tuple = is_tuple
        self.fixed = is_tuple  # may not be changed
        self.told = -1  # the length that a decision has told already: to learn it twice tells nothing new


class Table:
    """A dict: raw key -> (key, value)."""

    __slots__ = ("choice", "entries", "fixed", "keyed", "mixed", "shape")

    def __init__(self, entries: dict[Any, tuple[Cell, Cell]], shape: Mark, choice: Mark, keyed: Mark) -> None:
        self.entries = entries
        self.shape = shape
        self.choice = choice
        self.keyed = keyed  # who wrote the keys that this program put in
        self.mixed = False  # this program put keys among others that came from outside
        self.fixed = False


class Bag:
    """A set, which keeps the order in which its elements came, so that a second run does the same."""

    __slots__ = ("choice", "entries", "shape")

    def __init__(self, entries: dict[Any, Cell], shape: Mark, choice: Mark) -> None:
        self.entries = entries
        self.shape = shape
        self.choice = choice


class Function:
    """A function of the program, with the frame it was written in."""

    __slots__ = ("code", "defaults", "frame")

    def __init__(self, code: Code, defaults: list[Cell], frame: Frame) -> None:
        self.code = code
        self.defaults = defaults
        self.frame = frame


class Builtin:
    """A built-in function as a value, such as the `str` in `map(str, numbers)`."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


def kind(data: Any) -> str:
    """The type's name, as Python says it."""
    if isinstance(data, Seq):
        return "tuple" if data.tuple else "list"
    if isinstance(data, Table):
        return "dict"
    if isinstance(data, Bag):
        return "set"
    if isinstance(data, Function | Builtin):
        return "function"
    return "None" if data is None else type(data).__name__


def reach(cell: Cell) -> Mark:
    """Who decided the value itself; of a container, how many elements it has."""
    data = cell.data
    if isinstance(data, Seq | Bag):
        return cell.mark.join(data.shape).join(data.choice)
    if isinstance(data, Table):
        return cell.mark.join(data.shape).join(data.choice).join(data.keyed)
    return cell.mark


def reading(cell: Cell) -> Mark:
    """What is joined to an element that is read from this container."""
    return cell.mark.join(cell.data.choice)


def truth(data: Any) -> bool:
    """As `bool` says."""
    if isinstance(data, Seq):
        return bool(data.items)
    if isinstance(data, Table | Bag):
        return bool(data.entries)
    return bool(data) if not isinstance(data, Function | Builtin) else True
