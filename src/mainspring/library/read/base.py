"""What the readers of one kind build on: notes of what was left out, and readings of flowing text."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.errors import ToolError
from mainspring.library.page import Page
from mainspring.library.read.blocks import Block, sections
from mainspring.library.read.protocol import About, ReadLimits
from mainspring.library.read.tidy import told

if TYPE_CHECKING:
    from PIL.Image import Image


class Notes:
    """What could not be read of a document, each thing once, and what was taken out of its text."""

    def __init__(self) -> None:
        self.removed: Counter[str] = Counter()
        self._said: list[str] = []
        self._hidden: Counter[str] = Counter()
        self.lost = 0

    def add(self, sentence: str) -> None:
        if sentence and sentence not in self._said:
            self._said.append(sentence)

    def hide(self, how: str, characters: int) -> None:
        """Text that nobody sees was left out, such as `how` = "in white on white"."""
        if characters:
            self._hidden[how] += characters

    def text(self) -> str:
        said = list(self._said)
        if self.lost:
            said.append(f"{self.lost:,} characters of pages over the limit `page_chars` were left out")
        if self._hidden:
            parts = ", ".join(f"{count:,} characters {how}" for how, count in self._hidden.items())
            said.append(f"text that nobody sees was left out: {parts}")
        unseen = told(self.removed)
        if unseen:
            said.append(unseen)
        return "; ".join(said)


class FlowReading:
    """A reading of blocks that follow each other: pages are sections.

    Args:
        about: what the file says of itself.
        blocks: makes the blocks, each time `pages` is called.
        limits, notes: the caller's.
    """

    def __init__(
        self, name: str, about: About, blocks: Callable[[], Iterable[Block]], limits: ReadLimits, notes: Notes
    ) -> None:
        self._name = name
        self._about = about
        self._blocks = blocks
        self._limits = limits
        self.notes = notes

    @property
    def about(self) -> About:
        return self._about

    @property
    def problem(self) -> str:
        return self.notes.text()

    def pages(self) -> Iterator[Page]:
        return bounded(self._pages(), self._limits, self.notes)

    def _pages(self) -> Iterator[Page]:
        return sections(self._blocks(), self._limits.page_chars, self.notes.removed)

    def render(self, number: int, width: int) -> Image:
        raise ToolError(f"{self._name} has no picture of page {number}: its pages are text without a layout")

    def close(self) -> None:
        pass


class PagesReading(FlowReading):
    """A reading whose pages are made one by one."""

    def __init__(
        self, name: str, about: About, pages: Callable[[], Iterator[Page]], limits: ReadLimits, notes: Notes
    ) -> None:
        super().__init__(name, about, list, limits, notes)
        self._make = pages

    def _pages(self) -> Iterator[Page]:
        return self._make()


def bounded(pages: Iterator[Page], limits: ReadLimits, notes: Notes, before: int = 0) -> Iterator[Page]:
    """At most `limits.pages` of them; more are noted."""
    for count, page in enumerate(pages, before + 1):
        if count > limits.pages:
            notes.add(f"only the first {limits.pages:,} pages were read (the limit `pages`)")
            return
        yield page


def read_bytes(path: Path, limits: ReadLimits) -> bytes:
    """All of a file, within `limits.bytes`."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size  # asked for more, `read` would take the memory for it first
        data = file.read(min(size, limits.bytes) + 1)
    if len(data) > limits.bytes:
        raise ToolError(f"{path.name} is larger than {limits.bytes:,} bytes (the limit `bytes`); raise it to read it")
    return data


def title_of(path: Path, *candidates: str) -> str:
    """The first candidate with words, else the file's name."""
    from mainspring.library.read.tidy import one_line

    for candidate in candidates:
        if candidate and (said := one_line(candidate)):
            return said
    return one_line(path.name) or "untitled"
