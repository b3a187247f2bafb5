"""A reading whose file is read by another process. That process may crash, hang or eat memory: the pages stay."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mainspring.errors import ToolError
from mainspring.library.page import Kind, Page
from mainspring.library.read import children
from mainspring.library.read.protocol import About, ReadLimits
from mainspring.library.read.wire import MOST_BLOB, Lost, about_of_message, page_of_message

if TYPE_CHECKING:
    from PIL.Image import Image

#: Most frames of one answer; the child sends fewer.
_MOST_FRAMES = 256
#: After so many pages that end their reader the rest of a file is left.
_CRASHES = 3
#: A page that ended its reader is passed over in files whose pages stand by themselves.
_PAGED = frozenset({"pdf"})


class IsolatedReading:
    """A file that a child process reads. Owns `descriptor`.

    Args:
        name: the file's name, for messages.
        descriptor: of the file, open for reading; closed by `close`.
        kind, limits, circle: as for `open_file`.

    Raises:
        ToolError: the child says that the file is not readable, or was ended by it.
    """

    def __init__(self, name: str, descriptor: int, kind: Kind, limits: ReadLimits, circle: str = "") -> None:
        self._name = name
        self._circle = circle
        self._descriptor = descriptor
        self._kind = kind
        self._limits = limits
        self._left = limits.seconds
        self._child: children.ReadingProcess | None = None
        self._problems: list[str] = []
        self._told = ""
        self._isolation = ""
        self._begun = False
        try:
            self._open(1)
        except BaseException:
            self.close()
            raise

    @property
    def about(self) -> About:
        return self._about

    @property
    def isolation(self) -> str:
        """What holds the process that reads: ``"sandbox"``, ``"filter"`` (of system calls) or ``"limits"`` alone."""
        return self._isolation

    @property
    def problem(self) -> str:
        return "; ".join(part for part in (self._told, *self._problems) if part)

    def pages(self) -> Iterator[Page]:
        """The pages from the first one. What ends the reading is in `problem`, or raised when there is no page yet."""
        if self._begun:
            self._drop(healthy=self._child is not None)
            self._left = self._limits.seconds
            self._problems.clear()
        self._ensure(1)
        self._begun = True
        count = crashes = 0
        while True:
            pages, why, done = self._batch()
            for page in pages:
                count += 1
                yield page
            if count > self._limits.pages:  # the child leaves the rest out by itself, if it is still our own
                self._drop(healthy=False)
                self._problems.append(f"{self._name} was read up to page {count} only: its reader sent more")
                return
            if done:
                return
            if why is None:
                continue
            crashed = self._child is None and self._left > 0
            if crashed and self._kind in _PAGED and crashes < _CRASHES and count + 1 < self._limits.pages:
                crashes += 1
                self._problems.append(f"page {count + 1} of {self._name} ended its reader ({why}) and was left empty")
                count += 1
                yield Page(count, "", source="none")
                if self._again(count + 1):
                    continue
                return
            if not count:
                raise ToolError(f"{self._name} could not be read: {why}")
            self._problems.append(f"{self._name} was read up to page {count} only: {why}")
            return

    def render(self, number: int, width: int) -> Image:
        self._ensure(1)
        self._left = max(self._left, min(30.0, self._limits.seconds))
        most = min(3 * self._limits.pixels, MOST_BLOB)
        try:
            answer, blob = self._ask({"do": "render", "number": number, "width": width}, most_blob=most)
        except ToolError as error:
            raise ToolError(f"page {number} of {self._name} could not be rendered: {error}") from None
        if "error" in answer:
            raise ToolError(str(answer["error"]))
        from PIL import Image

        try:
            wide, high = (int(value) for value in answer["size"])
            if wide < 1 or high < 1 or len(blob) != wide * high * 3:
                raise ValueError
        except (KeyError, TypeError, ValueError):
            self._drop(healthy=False)
            raise ToolError(f"page {number} of {self._name} could not be rendered: no picture came back") from None
        return Image.frombytes("RGB", (wide, high), blob)

    def close(self) -> None:
        self._drop(healthy=True)
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        if getattr(self, "_descriptor", -1) >= 0:
            self.close()

    def _open(self, first: int) -> None:
        """Give the file to a child. Raises ToolError."""
        if self._descriptor < 0:
            raise ToolError(f"{self._name} is closed")
        self._child = children.pool.take(self._limits.memory_mb, self._circle)
        self._isolation = self._child.isolation
        self._begun = False
        message = {"do": "open", "name": self._name, "kind": self._kind, "first": first, "limits": asdict(self._limits)}
        try:
            answer, _ = self._ask(message, self._descriptor)
        except ToolError as error:
            raise ToolError(f"{self._name} could not be read: {error}") from None
        if "error" in answer:
            self._drop(healthy=not answer.get("spent"))
            raise ToolError(_naming(self._name, str(answer["error"])))
        try:
            self._about = about_of_message(answer.get("about"))
        except Lost as error:
            self._drop(healthy=False)
            raise ToolError(f"{self._name} could not be read: its reader sent {error}") from None
        self._told = str(answer.get("problem", ""))[:4000]

    def _ensure(self, first: int) -> None:
        if self._child is None:
            self._open(first)

    def _again(self, first: int) -> bool:
        """Go on in a fresh child; False when that fails too."""
        try:
            self._open(first)
        except ToolError as error:
            self._problems.append(str(error))
            return False
        self._begun = True
        return True

    def _batch(self) -> tuple[deque[Page], str | None, bool]:
        """Some pages, why there are no more (None: there are), whether the file is at its end."""
        pages: deque[Page] = deque()
        try:
            answer, _ = self._ask({"do": "pages"})
            while "page" in answer:
                if len(pages) >= _MOST_FRAMES:
                    raise Lost("pages without end")
                pages.append(page_of_message(answer["page"], self._limits.page_chars))
                answer, _ = self._next()
        except ToolError as error:
            return pages, str(error), False
        except Lost as error:
            self._drop(healthy=False)
            return pages, f"its reader sent {error}", False
        if "error" in answer:
            self._drop(healthy=not answer.get("spent"))
            self._left = min(self._left, 0.0) if answer.get("spent") else self._left
            return pages, str(answer["error"]), False
        self._told = str(answer.get("problem", ""))[:4000]
        return pages, None, answer.get("done") is True

    def _ask(
        self, message: dict[str, Any], descriptor: int | None = None, most_blob: int = 0
    ) -> tuple[dict[str, Any], bytes]:
        return self._within(lambda child: child.ask(message, self._left, descriptor, most_blob))

    def _next(self) -> tuple[dict[str, Any], bytes]:
        return self._within(lambda child: child.next(self._left))

    def _within(self, act: Any) -> tuple[dict[str, Any], bytes]:
        """An answer within the time that is left for this file. Raises ToolError; the child is gone then."""
        child = self._child
        if child is None:
            raise ToolError("its reader was ended")
        begun = time.monotonic()
        try:
            answer: tuple[dict[str, Any], bytes] = act(child)
        except TimeoutError:
            self._left = 0.0
            self._drop(healthy=False)
            raise ToolError(f"it took longer than {self._limits.seconds:g} s (the limit `seconds`)") from None
        except Lost:
            self._drop(healthy=False)
            raise ToolError("the process that read it crashed or ran out of memory") from None
        finally:
            self._left -= time.monotonic() - begun
        return answer

    def _drop(self, *, healthy: bool) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        if healthy:
            children.pool.give_back(child)
        else:
            child.kill()


def _naming(name: str, said: str) -> str:
    return said if name in said else f"{name} could not be read: {said}"
