"""What is known of a value while a function is read: where it may come from, and what it was made safe for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

__all__ = ["CONSTANT", "GIVEN", "NOTHING", "OUTSIDE", "UNKNOWN", "Value", "constant", "join", "merge"]

#: Levels: written in the code; from some call or attribute; a parameter, an argument or the environment of the
#: program; from a network request.
CONSTANT, UNKNOWN, GIVEN, OUTSIDE = range(4)
#: Marks a part of a text that is not constant.
HOLE = "\0"
_TEXT = 2000
EVERYTHING = frozenset({"*"})


@dataclass(frozen=True, slots=True)
class Value:
    """One value.

    Args:
        level: the worst place that a part of it comes from.
        built: whether constant text was joined with something else.
        text: the constant parts, with `HOLE` where something else stands; "" when it is no text.
        clean: what it was made safe for (``"sql"``, ``"html"``, ``"path"``, ...), ``"*"`` for everything.
        origins: names of the variables that it was made of.
        kind: the dotted name of the call that made it.
        literal: whether the whole value is a literal.
    """

    level: int = CONSTANT
    built: bool = False
    text: str = ""
    clean: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()
    kind: str = ""
    literal: bool = False

    def safe(self, use: str) -> bool:
        """Whether nothing in it is dangerous for a use."""
        return self.level == CONSTANT or use in self.clean or "*" in self.clean

    def risk(self, use: str) -> int:
        """The level, CONSTANT where it was made safe."""
        return CONSTANT if self.safe(use) else self.level

    @property
    def prefix(self) -> str:
        """The constant text at the beginning."""
        return self.text.split(HOLE, 1)[0]

    def cleaned(self, *uses: str) -> Value:
        """The same, safe for more uses."""
        return replace(self, clean=self.clean | set(uses))


NOTHING = Value()


def constant(text: str = "") -> Value:
    """A literal."""
    return Value(text=text[:_TEXT], literal=True)


def merge(values: Iterable[Value]) -> Value:
    """What is known of a value that holds, or is one of, some others."""
    level, origins, clean = CONSTANT, frozenset[str](), None
    built, literal, text = False, True, ""
    for value in values:
        literal = literal and value.literal
        built = built or value.built
        origins |= value.origins
        if not text or (value.built and value.level >= level):
            text = value.text
        if value.level > CONSTANT and "*" not in value.clean:  # noqa: SIM102
            # What is only made safe in one of them is not safe in all.
            if value.level >= GIVEN or level < GIVEN:
                clean = value.clean if clean is None or level < GIVEN <= value.level else clean & value.clean
        level = max(level, CONSTANT if "*" in value.clean else value.level)
    if level > CONSTANT and not built:
        text = ""  # which of the texts it is cannot be told
    return Value(level, built, text, clean or frozenset(), frozenset(sorted(origins)[:50]), "", literal)


def join(parts: Iterable[Value]) -> Value:
    """Texts one after the other."""
    pieces = list(parts)
    whole = merge(pieces)
    text = "".join((piece.text or ("" if piece.level == CONSTANT else HOLE)) for piece in pieces)[:_TEXT]
    built = any(p.level > CONSTANT for p in pieces) and (len(pieces) > 1)
    return replace(whole, text=text, built=built or whole.built)
