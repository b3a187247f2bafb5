"""Labels as the interpreter handles them, and the count of what strangers have decided.

A :class:`Mark` is a label of which one run holds exactly one copy, so that two are compared by identity and a join
that was made once is looked up. A :class:`Book` holds the marks of one run, and its budget of steering.
"""

from __future__ import annotations

from collections.abc import Iterable

from mainspring.label import SYSTEM, Label


class Mark:
    """A label, with what follows from it worked out once."""

    __slots__ = ("_joins", "_steer", "book", "label", "private", "strange")

    def __init__(self, label: Label, book: Book) -> None:
        self.label = label
        self.book = book
        self.strange = bool(label.strangers)
        self.private = label.readers is not None
        self._joins: dict[Mark, Mark] = {}
        self._steer: Mark | None = None

    def join(self, other: Mark) -> Mark:
        """The mark of what was made from both."""
        bottom = self.book.bottom
        if other is self or other is bottom:
            return self
        if self is bottom:
            return other
        found = self._joins.get(other)
        if found is None:
            found = self._joins[other] = self.book.of(self.label.join(other.label))
        return found

    @property
    def steer(self) -> Mark:
        """What a decision on a value with this mark adds to what is done under it; bottom for a clean value."""
        if self._steer is None:
            label = self.label.steering()
            steered = frozenset(s for s in label.sources if s.startswith("steered:"))
            self._steer = self.book.of(Label(steered, label.readers))
        return self._steer


class Book:
    """The marks of one run, and how much strangers have decided in it.

    Args:
        limit: bits that may be decided before `ambient` holds the full label.
        used: bits that earlier programs of the same planner have used up.
    """

    def __init__(self, limit: int, used: int = 0) -> None:
        self._marks: dict[Label, Mark] = {}
        self.bottom = self.of(SYSTEM)
        self.limit = limit
        self.bits = used
        self.private_bits = 0
        self._spent = self.bottom
        self._kept = self.bottom
        self.ambient = self.bottom  # joined to everything that leaves the program

    def of(self, label: Label) -> Mark:
        """The one mark of this label."""
        found = self._marks.get(label)
        if found is None:
            found = self._marks[label] = Mark(label, self)
        return found

    def join(self, marks: Iterable[Mark]) -> Mark:
        """The join of any number of marks."""
        joined = self.bottom
        for mark in marks:
            if mark is not joined:
                joined = joined.join(mark)
        return joined

    def decide(self, mark: Mark, bits: int) -> Mark:
        """A decision is taken on a value with this mark: counts it, and says what it adds to what follows."""
        steer = mark.steer
        if steer is self.bottom:
            return steer
        if mark.strange:
            self.bits += bits
            self._spent = self._spent.join(self.of(Label(mark.label.strangers)))
            if self.bits > self.limit:
                self.ambient = self.ambient.join(self._spent)
        if mark.private:
            self.private_bits += bits
            self._kept = self._kept.join(self.of(Label(frozenset(), mark.label.readers)))
            if self.private_bits > self.limit:
                self.ambient = self.ambient.join(self._kept)
        return steer


def bits_of(choices: int) -> int:
    """Bits that choosing one of so many things can tell; at least 1, for a choice that may also fail."""
    return max(1, (choices - 1).bit_length()) if choices > 0 else 1


def bits_of_count(count: int) -> int:
    """Bits that a count tells when nothing bounds it: the length of Elias' gamma code, which no code undercuts much."""
    return 2 * (count + 1).bit_length() - 1
