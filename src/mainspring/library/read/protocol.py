"""What reads a file: its pages as text with places, and pictures of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mainspring.library.page import Kind, Page

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """How much of one file is read; what is beyond is left out, and `Reading.problem` says so.

    Args:
        bytes: largest file.
        pages: most pages.
        page_chars: most characters of one page; the reader splits sections that are longer where it can.
        pixels: largest picture that is decoded.
        unpacked_bytes: most bytes that an archive (Office file, book) may unpack to.
        seconds: time for the whole file.
        memory_mb: memory of the process that reads it.
    """

    bytes: int = 2_000_000_000
    pages: int = 10_000
    page_chars: int = 20_000
    pixels: int = 100_000_000
    unpacked_bytes: int = 1_000_000_000
    seconds: float = 600.0
    memory_mb: int = 2_048


@dataclass(frozen=True, slots=True)
class About:
    """What a file says of itself before its pages are read.

    Args:
        kind, title: as in `Document`; the title is never empty (the file's name at the least).
        extra: author, language, subject, date ... as the format gives them.
    """

    kind: Kind
    title: str
    extra: Mapping[str, str] = field(default_factory=dict)


class Reading(Protocol):
    """A file that is open for reading."""

    @property
    def about(self) -> About: ...

    @property
    def problem(self) -> str:
        """What could not be read, in a sentence; "" so far nothing. Complete after the last page."""
        ...

    def pages(self) -> Iterator[Page]:
        """The pages in order, read as they are asked for. Raises ToolError when nothing more can be read."""
        ...

    def render(self, number: int, width: int) -> Image:
        """A picture (RGB) of a page, `width` pixels wide. Raises ToolError: it has none, or is broken."""
        ...

    def close(self) -> None: ...


class Reader(Protocol):
    """Opens files of some kinds. Found by `mainspring.library.read.open_file(path, limits)`."""

    def open(self, path: Path, limits: ReadLimits) -> Reading:
        """Raises ToolError: not readable, encrypted, broken, too large; the message names the file and what to do."""
        ...
