"""What can go wrong with a program, and how much of everything it may use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mainspring.errors import ToolError

if TYPE_CHECKING:
    from mainspring.guard.program.marks import Mark
    from mainspring.guard.program.origins import Origin


class ProgramError(ToolError):
    """A program was refused before it ran; the message is fit for the model that wrote it."""


@dataclass(frozen=True, slots=True)
class ProgramLimits:
    """How much a program may use. What goes over a limit ends the program; it cannot be caught.

    Args:
        steps: instructions, and the work that long values cost, over the whole run.
        memory: bytes of live data, roughly (100 for each value, 1 for each character).
        depth: calls within calls.
        text: characters in one text.
        items: items in one list, dict, set or range.
        number: bits of a whole number.
        source: characters of the program.
        nesting: levels of the program's own structure.
        steering_bits: how much strangers' data may decide (branches, loop counts, choices) before everything that
            leaves the program carries their full label; the same again for data that not everyone may read.
    """

    steps: int = 1_000_000
    memory: int = 64_000_000
    depth: int = 64
    text: int = 1_000_000
    items: int = 100_000
    number: int = 1024
    source: int = 50_000
    nesting: int = 80
    steering_bits: int = 64


class Thrown(Exception):
    """An error inside the program, which its own `try` may catch.

    Args:
        kind: the name that `except` knows it by.
        message: what happened, without any of the data.
        mark: who had a part in its happening, and in `detail`.
        detail: the whole text, data included; only ever shown with its label.
        origin: where `detail` comes from; None for the program's own text.
    """

    def __init__(
        self, kind: str, message: str, mark: Mark, detail: str | None = None, origin: Origin = None, own: bool = False
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.mark = mark
        self.detail = message if detail is None else detail
        self.origin = origin
        self.own = own  # the program raised it itself, with this text
        self.pc: Mark | None = None
        self.line = 0


class LimitReachedError(Exception):
    """A limit was passed; the message names the limit and holds no data."""


#: The names that a program may catch and raise, each with what catches it.
KINDS: dict[str, tuple[str, ...]] = {
    "Exception": ("Exception",),
    "ToolError": ("ToolError", "Exception"),
    "ValueError": ("ValueError", "Exception"),
    "TypeError": ("TypeError", "Exception"),
    "NameError": ("NameError", "Exception"),
    "KeyError": ("KeyError", "LookupError", "Exception"),
    "IndexError": ("IndexError", "LookupError", "Exception"),
    "LookupError": ("LookupError", "Exception"),
    "AttributeError": ("AttributeError", "Exception"),
    "AssertionError": ("AssertionError", "Exception"),
    "StopIteration": ("StopIteration", "Exception"),
    "ArithmeticError": ("ArithmeticError", "Exception"),
    "ZeroDivisionError": ("ZeroDivisionError", "ArithmeticError", "Exception"),
    "OverflowError": ("OverflowError", "ArithmeticError", "Exception"),
    "RuntimeError": ("RuntimeError", "Exception"),
}
