"""Drawing pages of a document that was read before, as long as its file is what it was."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mainspring.errors import ToolError
from mainspring.label import Label
from mainspring.library.ingest import fingerprint
from mainspring.library.page import Document
from mainspring.library.read.protocol import Reading, ReadLimits

if TYPE_CHECKING:
    from PIL.Image import Image


class Open(Protocol):
    """Opens a file for reading, of which pages with this label will be made; None: with the one that it has."""

    def __call__(self, path: Path, limits: ReadLimits, label: Label | None = None, /) -> Reading: ...


class ChangedError(ToolError):
    """The file is not the one that was read: what is drawn from it must not stand under the document's label."""


class Drawing:
    """A document whose pages are drawn.

    Args:
        document: it.
        open_file: opens its file.
        limits: how much of it is read.

    Raises:
        ChangedError: its file is gone, or has changed since it was read.
        ToolError: it cannot be opened.
    """

    def __init__(self, document: Document, open_file: Open, limits: ReadLimits) -> None:
        self._path = Path(document.uri)
        try:
            self._taken = fingerprint.take(self._path, limits.bytes)
        except ToolError as error:
            raise ChangedError(str(error)) from None
        if self._taken.digest != document.digest:
            raise ChangedError("it has changed since it was read; index it again")
        try:
            self._reading = open_file(self._path, limits)
        except ToolError:
            self._check()
            raise

    def page(self, number: int, width: int) -> Image:
        """A picture of a page. Raises ToolError: it has none; ChangedError: the file was touched meanwhile."""
        try:
            return self._reading.render(number, width)
        finally:
            self._check()

    def _check(self) -> None:
        if not fingerprint.still(self._path, self._taken):
            from mainspring.library.read.children import close_readers

            # What a stranger put in its place may have taken over the process that drew: that one draws nothing else.
            close_readers()
            raise ChangedError("it has changed while it was drawn; index it again")

    def close(self) -> None:
        """Close it."""
        with contextlib.suppress(ChangedError):  # nothing of it is wanted any more
            self._check()
        self._reading.close()
