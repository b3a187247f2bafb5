"""The process that reads files for `open_file`: ``python -m mainspring.library.read.child SOCKET PARENT MEMORY_MB``.

It gets a descriptor of a file and sends its pages. It has no network and ends with the process that started it.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from mainspring.errors import ToolError
from mainspring.library.page import Page
from mainspring.library.read.confine import allow_seconds, confine
from mainspring.library.read.local import OutOfMemory, open_here
from mainspring.library.read.protocol import Reading, ReadLimits
from mainspring.library.read.wire import Lost, page_message, receive, send

#: One answer holds the pages of so many seconds, or so many pages.
_BATCH_SECONDS = 0.25
_BATCH_PAGES = 64


class Child:
    """One file at a time, over one socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._reading: Reading | None = None
        self._pages: Iterator[Page] | None = None
        self._descriptor: int | None = None
        self._folder: str | None = None
        self._first = 1

    def serve(self) -> None:
        """Answer until the other side is gone."""
        while True:
            message, _, descriptor = receive(self._socket)
            try:
                self._answer(message, descriptor)
            except ToolError as error:
                self._send({"error": str(error), "spent": isinstance(error, OutOfMemory)})
            except (MemoryError, RecursionError):
                self._send({"error": "it needs more memory than the limit `memory_mb` allows", "spent": True})

    def _answer(self, message: dict[str, Any], descriptor: int | None) -> None:
        do = message.get("do")
        if do == "open" and descriptor is not None:
            self._open(message, descriptor)
        elif do == "pages":
            self._send_pages()
        elif do == "render" and self._reading is not None:
            image = self._reading.render(message["number"], message["width"]).convert("RGB")
            self._send({"size": list(image.size)}, image.tobytes())
        elif do == "close":
            self._close()
            self._send({"used_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss})
        else:
            raise ToolError(f"unknown request {do!r}")

    def _send(self, message: dict[str, Any], blob: bytes = b"") -> None:
        send(self._socket, message, blob)

    def _open(self, message: dict[str, Any], descriptor: int) -> None:
        self._close()
        self._descriptor = descriptor
        limits = ReadLimits(**message["limits"])
        allow_seconds(limits.seconds)
        # Readers want a name with its ending; the file itself lies nowhere that this process can see.
        self._folder = tempfile.mkdtemp(prefix="mainspring-read-")
        name = re.sub(r"[/\x00]", "_", message["name"])
        path = Path(self._folder) / (name if name not in ("", ".", "..") and len(os.fsencode(name)) < 250 else "file")
        path.symlink_to(f"/proc/self/fd/{descriptor}")
        self._reading = open_here(path, message["kind"], limits)
        self._first = message["first"]
        about = self._reading.about
        self._send({"about": {"kind": about.kind, "title": about.title, "extra": dict(about.extra)}, **self._state()})

    def _state(self) -> dict[str, Any]:
        return {"problem": "" if self._reading is None else self._reading.problem}

    def _send_pages(self) -> None:
        if self._reading is None:
            raise ToolError("no file is open")
        pages = self._pages
        if pages is None:
            skipping = getattr(self._reading, "pages_from", None)
            if skipping is not None:
                pages = skipping(self._first)
            else:
                pages = islice(self._reading.pages(), self._first - 1, None)
            self._pages = pages
        begun = time.monotonic()
        for _ in range(_BATCH_PAGES):
            try:
                page = next(pages, None)
            except ToolError:
                raise
            except (MemoryError, RecursionError):
                raise
            except Exception as error:  # a library that stumbles over what a file holds
                raise ToolError(f"{type(error).__name__}: {str(error)[:200]}") from None
            if page is None:
                self._send({"done": True, **self._state()})
                return
            self._send({"page": page_message(page)})
            if time.monotonic() - begun > _BATCH_SECONDS:
                break
        self._send({"done": False, **self._state()})

    def _close(self) -> None:
        self._pages = None
        if self._reading is not None:
            reading, self._reading = self._reading, None
            with contextlib.suppress(Exception):
                reading.close()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def main() -> None:
    number, parent, memory_mb = (int(value) for value in sys.argv[1:4])
    sock = socket.socket(fileno=number)
    tempfile.tempdir = os.environ["TMPDIR"]  # else it looks for a folder that takes a file, and none may grow here
    filtered = confine(memory_mb, parent or None)
    try:
        send(sock, {"ready": True, "filtered": filtered})
        Child(sock).serve()
    except (Lost, KeyboardInterrupt):
        os._exit(0)


if __name__ == "__main__":
    main()
