"""Drawing pages of a document that was read before, as long as its file is what it was."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.errors import ToolError
from mainspring.library.ingest import fingerprint
from mainspring.library.page import Document
from mainspring.library.read.protocol import ReadLimits

if TYPE_CHECKING:
    from PIL.Image import Image

    from mainspring.library.ingest.reading import Open


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
        self._changed = False
        try:
            self._taken = fingerprint.take(self._path, limits.bytes)
        except ToolError as error:
            raise ChangedError(str(error)) from None
        if self._taken.digest != document.digest:
            raise ChangedError("it has changed since it was read; index it again")
        self._reading = open_file(self._path, limits)

    def page(self, number: int, width: int) -> Image:
        """A picture of a page. Raises ToolError: it has none; ChangedError: the file was touched meanwhile."""
        try:
            return self._reading.render(number, width)
        finally:
            if not fingerprint.still(self._path, self._taken):
                self._changed = True
                raise ChangedError("it has changed while it was drawn; index it again")

    def close(self) -> None:
        """Close it. What a stranger put in its place may have taken over the process that drew: that one ends."""
        self._reading.close()
        if self._changed:
            from mainspring.library.read.children import close_readers

            close_readers()
