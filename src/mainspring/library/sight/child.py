"""Processes that look at pictures: a crash, a hang or a flood of memory in native code ends one of them, and no more.

A question is a name, a few plain values and the bytes of a picture; the answer is plain values. Each process serves
one question at a time with one thread, and is confined like those that read files: see `read.confine`.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from typing import Any

from mainspring.errors import DeclarationError, ModelError, ToolError
from mainspring.library.read.confine import confine
from mainspring.library.read.sandbox import sandbox_works, start, starter
from mainspring.tools.pipes import read_exactly

__all__ = ["Children", "worker"]

#: Address space of a process, in millions of bytes: models and a picture take 1,500, what libraries reserve 1,000.
MEMORY_MB = 4_096
#: Largest question or answer.
_MOST = 512 << 20


class Children:
    """A pool of such processes, started as they are needed. Safe to use from several threads.

    Args:
        workers: processes at most; by default one for each core that this process may use.
        threads, engine: of the models in each.
        seconds: time for one question; a process that takes longer is ended.
        memory_mb: address space of a process.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        threads: int = 1,
        engine: str = "onnxruntime",
        seconds: float = 180.0,
        memory_mb: int = MEMORY_MB,
    ) -> None:
        if workers is not None and workers < 1:
            raise DeclarationError(f"workers is {workers}; at least one process is needed")
        self.workers = workers or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else workers or 2
        self._settings = {"threads": threads, "engine": engine, "memory_mb": memory_mb}
        self._seconds = seconds
        self._idle: queue.LifoQueue[_Child | None] = queue.LifoQueue()
        for _ in range(self.workers):
            self._idle.put(None)
        self._closed = False

    def ask(
        self, what: str, values: Mapping[str, Any], data: bytes | memoryview = b"", circle: str = ""
    ) -> tuple[Any, bytes]:
        """Ask one of them; waits while all are busy.

        Args:
            circle: whose picture it is, in any words. A process is asked about pictures of one circle only: what one
                of them has done to it reaches no others.

        Raises:
            ToolError: the picture is at fault, or its process crashed or took too long over it.
            ModelError: the models cannot be loaded.
        """
        child = self._idle.get()
        try:
            if self._closed:
                raise ToolError("the readers of pictures are closed")
            if child is not None and child.circle != circle:
                child.end()
                child = None
            child = child or _Child(self._settings, circle)
            try:
                kind, answer, extra = child.ask(what, values, data, self._seconds)
            except TimeoutError as error:
                child.end()
                child = None
                raise ToolError(f"the picture took longer than {self._seconds:g} s and was given up") from error
            except (OSError, EOFError, ValueError, TypeError, RecursionError) as error:  # it is gone, or no longer ours
                code = child.end()
                child = None
                raise ToolError(
                    f"the process that reads pictures ended over this one (exit status {code}); "
                    "it is damaged, or needs more memory than it may have"
                ) from error
            if kind == "model":
                raise ModelError(str(answer))
            if kind == "tool":
                raise ToolError(str(answer))
            return answer, extra
        finally:
            if self._closed and child is not None:
                child.end()
                child = None
            self._idle.put(child)

    def pids(self) -> list[int]:
        """Process ids of those that are idle now."""
        return [child.pid for child in list(self._idle.queue) if child is not None]

    def close(self) -> None:
        """End the idle ones now, the others when they have answered."""
        self._closed = True
        kept = 0
        with contextlib.suppress(queue.Empty):
            while kept < self.workers:
                child = self._idle.get_nowait()
                kept += 1
                if child is not None:
                    child.end()
        for _ in range(kept):
            self._idle.put(None)


class _Child:
    def __init__(self, settings: Mapping[str, Any], circle: str) -> None:
        self.circle = circle
        self._scratch = None if sandbox_works() else tempfile.mkdtemp(prefix="mainspring-pictures-")
        self._process = starter().submit(self._start, int(settings["threads"])).result()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self.pid = self._process.pid
        self._first: Mapping[str, Any] | None = {**settings, "parent": os.getpid() if self._scratch else None}

    def _start(self, threads: int) -> subprocess.Popen[bytes]:
        # In one thread that lives as long as this process: a child dies with the thread that started it.
        more = {"OMP_NUM_THREADS": str(threads), "OPENCV_LOG_LEVEL": "OFF"}
        return start(
            ["mainspring.library.sight.child"], self._scratch, more=more, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def ask(
        self, what: str, values: Mapping[str, Any], data: bytes | memoryview, seconds: float
    ) -> tuple[str, Any, bytes]:
        head = json.dumps({"what": what, "values": values, "settings": self._first}).encode()
        self._first = None
        # A child that hangs before it has read everything must not hang its parent: the pipe is written by another
        # thread, which ends with the child.
        writer = threading.Thread(target=self._write, args=(head, data), daemon=True)
        writer.start()
        until = time.monotonic() + seconds
        sizes = read_exactly(self._out.fileno(), 12, until)
        size, extra = int.from_bytes(sizes[:4], "big"), int.from_bytes(sizes[4:], "big")
        if size + extra > _MOST:
            raise ValueError("an answer of impossible size")
        kind, answer = json.loads(read_exactly(self._out.fileno(), size, until))
        return kind, answer, read_exactly(self._out.fileno(), extra, until)

    def _write(self, head: bytes, data: bytes | memoryview) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._in.write(len(head).to_bytes(4, "big") + len(data).to_bytes(8, "big") + head)
            self._in.write(data)
            self._in.flush()

    def end(self) -> int:
        """End it; its exit status."""
        self._process.kill()
        code = self._process.wait()
        with contextlib.suppress(OSError):
            self._in.close()
        self._out.close()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
        return code


def worker() -> None:
    """What such a process does: answers questions from standard input until there are no more."""
    from mainspring.library.sight.looking import Looker

    read, write = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is not an answer
    looker: Looker | None = None
    while sizes := read.read(12):
        head = json.loads(read.read(int.from_bytes(sizes[:4], "big")))
        data = read.read(int.from_bytes(sizes[4:], "big"))
        if head["settings"] is not None:
            _confine(head["settings"])
            looker = Looker(head["settings"]["threads"], head["settings"]["engine"])
        assert looker is not None
        kind, extra = "done", b""
        answer: Any
        try:
            answer, extra = looker.answer(head["what"], head["values"], data)
        except (ModelError, DeclarationError) as error:
            kind, answer = "model", str(error)
        except ToolError as error:
            kind, answer = "tool", str(error)
        except MemoryError:
            kind, answer = "tool", "the picture needs more memory than its process may have"
        except Exception as error:
            kind, answer = "tool", f"the picture cannot be read: {type(error).__name__}: {str(error)[:200]}"
        body = json.dumps([kind, answer]).encode()
        write.write(len(body).to_bytes(4, "big") + len(extra).to_bytes(8, "big") + body + extra)
        write.flush()


def _confine(settings: Mapping[str, Any]) -> None:
    """Take from this process what looking at a picture does not need."""
    confine(int(settings["memory_mb"]), settings["parent"])

    def refuse(event: str, _: tuple[Any, ...]) -> None:
        if event.startswith("socket.") or event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"):
            raise PermissionError(f"a process that reads pictures may not do this: {event}")

    sys.addaudithook(refuse)  # where there is no filter of system calls


if __name__ == "__main__":
    worker()
