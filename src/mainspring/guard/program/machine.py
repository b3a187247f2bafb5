"""The machine that runs a compiled program: one loop over a list of instructions, with a stack of its own.

It never recurses with the program's calls (only when a built-in such as `sorted` calls back), so hostile input cannot
exhaust Python's stack; a tool call stops the loop, and the answer sets it going again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from mainspring.guard.program.cells import CELL_BYTES, SHARED_BYTES, Bag, Cell, Function, Seq, Table
from mainspring.guard.program.faults import LimitReachedError, ProgramLimits, Thrown
from mainspring.guard.program.marks import Book, Mark
from mainspring.guard.program.origins import Origin
from mainspring.value import MAX_DEPTH, Value

Op: TypeAlias = "Callable[[Machine, Frame, Any], Any]"


@dataclass(slots=True)
class Code:
    """A compiled body: the program's own, or a function's."""

    name: str
    params: tuple[str, ...] = ()
    slots: int = 0
    names: list[str] = field(default_factory=list)
    body: list[tuple[Op, Any]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    pure: bool = False  # calls no tool and changes nothing outside itself


@dataclass(frozen=True, slots=True)
class Request:
    """The machine stopped at a tool call."""

    tool: str
    arguments: dict[str, Cell]


@dataclass(frozen=True, slots=True)
class Returned:
    """The outermost frame of a loop returned."""

    cell: Cell


class Frame:
    """One call in progress."""

    __slots__ = ("back", "base", "body", "code", "depth", "handlers", "ip", "pc", "pcs", "slots", "stack", "up")

    def __init__(self, code: Code, up: Frame | None, back: Frame | None, pc: Mark) -> None:
        self.code = code
        self.body = code.body
        self.ip = 0
        self.slots: list[Cell | None] = [None] * code.slots
        self.stack: list[Any] = []
        self.up = up  # where the function was written
        self.back = back  # who called it
        self.base = False
        self.pc = pc  # what decided that this is being run
        self.pcs: list[Mark] = []
        self.handlers: list[tuple[int, int, int]] = []  # where to go on; heights of the stack and of `pcs`
        self.depth: int = 0 if back is None else back.depth + 1


class Machine:
    """The state of one run of a program."""

    def __init__(self, book: Book, limits: ProgramLimits, own: Mark) -> None:
        self.book = book
        self.bottom = book.bottom
        self.limits = limits
        self.own = own  # mark of the program's own text
        self.consts: list[Cell] = []
        self.handles: dict[str, Cell] = {}
        self.printed: list[Value] = []
        self._shown = 0
        self.frame: Frame
        self.steps = 0
        self.trying = 0  # `try` blocks that are open
        self.risks = 0  # untrusted operations that did not fail since the innermost one began
        self.nested = 0
        self._grown = 0
        self._measured_at = 0
        self._threshold = limits.memory // 2

    # -- running ---------------------------------------------------------------------------------------------------
    def loop(self, base: Frame) -> Request | Returned:
        """Run from the current frame until `base` returns or a tool is called; raises Thrown, LimitReachedError."""
        limit = self.limits.steps
        frame = self.frame
        while True:
            try:
                while True:
                    frame = self.frame
                    op, argument = frame.body[frame.ip]
                    frame.ip += 1
                    self.steps += 1
                    if self.steps > limit:
                        self.charge(0)
                    signal = op(self, frame, argument)
                    if signal is not None:
                        found: Request | Returned = signal
                        return found
            except Thrown as thrown:
                self._unwind(thrown, frame, base)

    def throw(self, thrown: Thrown, base: Frame) -> None:
        """Raise inside the program, at the instruction that it stopped at."""
        self._unwind(thrown, self.frame, base)

    def _unwind(self, thrown: Thrown, frame: Frame, base: Frame) -> None:
        """Go on at the innermost handler above; raises Thrown again when there is none within `base`."""
        if thrown.pc is None:
            thrown.pc = frame.pc
            thrown.line = self.line_of(frame)
        while True:
            if frame.handlers:
                ip, height, pcs = frame.handlers.pop()
                self.trying -= 1
                del frame.stack[height:]
                del frame.pcs[pcs:]
                frame.ip = ip
                frame.pc = frame.pc.join(thrown.pc).join(self.book.decide(thrown.mark, 1))
                frame.stack.append(thrown)
                self.frame = frame
                return
            if frame is base or frame.back is None:
                raise thrown
            frame = frame.back

    def call_now(self, function: Function, arguments: Sequence[Cell], pc: Mark | None = None) -> Cell:
        """Call a function of the program from within a built-in and wait for its answer; it may call no tool."""
        caller = self.frame
        callee = self.enter(function, list(arguments), {}, caller.pc if pc is None else pc)
        callee.base = True
        # The call costs Python frames of its own, so that it counts for more than a plain one.
        callee.depth += 3
        self.frame = callee
        self.nested += 1
        try:
            signal = self.loop(callee)
        finally:
            self.nested -= 1
            self.frame = caller
        assert isinstance(signal, Returned)
        return signal.cell

    def enter(self, function: Function, arguments: list[Cell], named: dict[str, Cell], pc: Mark) -> Frame:
        """A frame for a call of `function`; raises Thrown when the arguments do not fit it."""
        code = function.code
        frame = Frame(code, function.frame, self.frame, pc)
        if frame.depth > self.limits.depth:
            raise LimitReachedError(f"calls within calls are more than {self.limits.depth} deep")
        given = len(arguments)
        if given > len(code.params):
            raise self.error("TypeError", f"{code.name}() takes {len(code.params)} arguments, and was given {given}")
        slots = frame.slots
        for place, cell in enumerate(arguments):
            slots[place] = cell if pc is self.bottom else cell.marked(pc)
        for name, cell in named.items():
            if name not in code.params or slots[code.params.index(name)] is not None:
                raise self.error("TypeError", f"{code.name}() takes no argument {name!r}, or takes it only once")
            slots[code.params.index(name)] = cell.marked(pc)
        missing = len(code.params) - len(function.defaults)
        for place, name in enumerate(code.params):
            if slots[place] is None:
                if place < missing:
                    raise self.error("TypeError", f"{code.name}() needs the argument {name!r}")
                slots[place] = function.defaults[place - missing]
        self.grow(CELL_BYTES * (2 + len(slots)))
        return frame

    def line_of(self, frame: Frame) -> int:
        """The line of the program that `frame` is at."""
        return frame.code.lines[max(0, frame.ip - 1)]

    # -- what it may use -------------------------------------------------------------------------------------------
    def charge(self, amount: int) -> None:
        """Count work that one instruction does for long values."""
        self.steps += amount
        if self.steps > self.limits.steps:
            raise LimitReachedError(f"the program took more than {self.limits.steps:,} steps")

    def count(self, amount: int) -> None:
        """Count bytes of a value that no variable holds yet; `grow` follows when one does."""
        self._grown += amount

    def grow(self, amount: int) -> None:
        """Count bytes that were made; now and then finds out how many of them are still in use."""
        self._grown += amount
        made = self._grown + (self.steps - self._measured_at) * CELL_BYTES
        if made > self._threshold:
            self._grown, self._measured_at = 0, self.steps
            live = self._live()
            if live > self.limits.memory:
                raise LimitReachedError(f"the program holds more than {self.limits.memory:,} bytes of data")
            self._threshold = max(self.limits.memory // 8, (self.limits.memory - live) // 2)

    def _live(self) -> int:
        """Bytes that can still be reached, roughly; stops counting when there are too many."""
        waiting: list[Any] = [*self.handles.values()]
        frames: set[int] = set()
        ahead: list[Frame | None] = [self.frame]
        while ahead:
            frame = ahead.pop()
            if frame is None or id(frame) in frames:
                continue
            frames.add(id(frame))
            waiting += frame.slots
            waiting += frame.stack
            ahead += [frame.back, frame.up]
        seen: set[int] = set()
        total = CELL_BYTES * len(frames) + self._shown
        visited = 0
        while waiting and total <= self.limits.memory:
            thing = waiting.pop()
            visited += 1
            if thing is None or id(thing) in seen:
                continue
            seen.add(id(thing))
            total += CELL_BYTES
            if isinstance(thing, Cell):
                waiting.append(thing.data)
            elif isinstance(thing, str):
                total += len(thing) * (1 if thing.isascii() else 4)
            elif isinstance(thing, Seq):
                total += SHARED_BYTES * len(thing.items)
                waiting += thing.items
            elif isinstance(thing, Table):
                total += CELL_BYTES * len(thing.entries)
                for key, value in thing.entries.values():
                    waiting += (key, value)
            elif isinstance(thing, Bag):
                waiting += thing.entries.values()
            elif isinstance(thing, Function):
                waiting += thing.defaults
                if id(thing.frame) not in frames:
                    frames.add(id(thing.frame))
                    waiting += thing.frame.slots
            elif hasattr(thing, "items"):  # a walk over a container
                waiting += thing.items
        self.charge(visited >> 3)
        return total

    def size(self, items: int, each: int = CELL_BYTES) -> int:
        """Check the length of a container that is about to be made, of so many new bytes for each item."""
        if items > self.limits.items:
            raise LimitReachedError(f"a list, dict, set or range has more than {self.limits.items:,} items")
        self.charge(items >> 3)
        self.grow(items * each + CELL_BYTES)
        return items

    def text(self, data: str, mark: Mark, origin: Origin) -> Cell:
        """A text that was made, within its limit."""
        self.text_size(len(data))
        return Cell(data, mark, origin)

    def text_size(self, characters: int) -> None:
        """Check the length of a text that is about to be made."""
        if characters > self.limits.text:
            raise LimitReachedError(f"a text has more than {self.limits.text:,} characters")
        if characters > 64:
            self.charge(characters >> 6)
            self.grow(characters * 2)  # up to four bytes each, mostly one

    def show(self, cell: Cell) -> None:
        """Keep what the program printed, as it is now."""
        from mainspring.guard.program.boundary import to_value

        value, size = to_value(self, cell, self.frame.pc)
        self._shown += size
        if self._shown > self.limits.memory:
            raise LimitReachedError(f"the program printed more than {self.limits.memory:,} bytes")
        self.printed.append(value)

    # -- errors and their risk -------------------------------------------------------------------------------------
    def error(self, kind: str, message: str, *cells: Cell, detail: str | None = None) -> Thrown:
        """An error that came of `cells`."""
        from mainspring.guard.program.cells import reach

        origin = next((c.origin for c in cells if c.origin is not None), None)
        return Thrown(kind, message, self.book.join(reach(c) for c in cells), detail, origin)

    def risk(self, mark: Mark) -> None:
        """Inside a `try`, an operation on data with this mark went well: that it did tells something too."""
        if mark.steer is self.bottom:
            return
        bits = 0
        if mark.strange or mark.private:
            self.risks += 1
            bits = 1 if self.risks & (self.risks - 1) == 0 else 0  # n places to fail at tell log2(n) bits
        self.frame.pc = self.frame.pc.join(self.book.decide(mark, bits))

    # -- views of whole structures ---------------------------------------------------------------------------------
    def plain(self, cell: Cell, depth: int = 0) -> Any:
        """The data without marks, for comparing and for text; bounded in depth and in work."""
        return self.view(cell, depth)[0]

    def view(self, cell: Cell, depth: int = 0) -> tuple[Any, Mark]:
        """The data without marks, and the join of every mark in it."""
        data = cell.data
        if isinstance(data, str):
            if len(data) > 64:
                self.charge(len(data) >> 6)
            return data, cell.mark
        if not isinstance(data, Seq | Table | Bag):
            return data, cell.mark
        if depth > MAX_DEPTH:
            raise LimitReachedError(f"a value is nested deeper than {MAX_DEPTH} levels, or holds itself")
        mark = cell.mark.join(data.shape).join(data.choice)
        if isinstance(data, Table):
            self.charge(len(data.entries))
            mark = mark.join(data.keyed)
            table = {}
            for raw, (key, value) in data.entries.items():
                table[raw], below = self.view(value, depth + 1)
                mark = mark.join(below).join(key.mark)
            return table, mark
        cells: Any = data.items if isinstance(data, Seq) else data.entries.values()
        self.charge(len(cells))
        found = []
        for item in cells:
            seen, below = self.view(item, depth + 1)
            mark = mark.join(below)
            found.append(seen)
        if isinstance(data, Bag):
            return set(data.entries), mark
        return (tuple(found) if data.tuple else found), mark
