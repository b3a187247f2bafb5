"""Processes that look at pictures: a crash, a hang or a flood of memory in native code ends one of them, and no more.

A question is a name, a few plain values and the bytes of a picture; the answer is plain values. Each process serves
one question at a time with one thread.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mainspring
from mainspring.errors import DeclarationError, ModelError, ToolError
from mainspring.tools.pipes import read_exactly

__all__ = ["Children", "worker"]

_START = "import sys; sys.path[:0] = sys.argv[1:]; from mainspring.library.sight.child import worker; worker()"
#: Address space of a process: the models and a picture take about 1.5 GB, what the libraries reserve another 1.
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

    def ask(self, what: str, values: Mapping[str, Any], data: bytes | memoryview = b"") -> tuple[Any, bytes]:
        """Ask one of them; waits while all are busy.

        Raises:
            ToolError: the picture is at fault, or its process crashed or took too long over it.
            ModelError: the models cannot be loaded.
        """
        child = self._idle.get()
        try:
            if self._closed:
                raise ToolError("the readers of pictures are closed")
            child = child or _Child(self._settings)
            try:
                kind, answer, extra = child.ask(what, values, data, self._seconds)
            except TimeoutError as error:
                child.end()
                child = None
                raise ToolError(f"the picture took longer than {self._seconds:g} s and was given up") from error
            except (OSError, EOFError, ValueError) as error:
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
        with contextlib.suppress(queue.Empty):
            kept = 0
            while kept < self.workers:
                child = self._idle.get_nowait()
                kept += 1
                if child is not None:
                    child.end()
        for _ in range(kept):
            self._idle.put(None)


class _Child:
    def __init__(self, settings: Mapping[str, Any]) -> None:
        source = str(Path(mainspring.__file__).resolve().parent.parent)
        env = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
        env |= {"OMP_NUM_THREADS": str(settings["threads"]), "OPENBLAS_NUM_THREADS": "1", "OPENCV_LOG_LEVEL": "OFF"}
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _START, source],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=env,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self.pid = self._process.pid
        self._first: Mapping[str, Any] | None = {**settings, "parent": os.getpid()}

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
    """Little memory, no core files, no network, and an end with the parent."""
    import resource

    most = int(settings["memory_mb"]) << 20
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (most, most))

    def refuse(event: str, _: tuple[Any, ...]) -> None:
        if event.startswith("socket.") or event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"):
            raise PermissionError(f"a process that reads pictures may not do this: {event}")

    sys.addaudithook(refuse)
    threading.Thread(target=_watch, args=(int(settings["parent"]),), daemon=True).start()


def _watch(parent: int) -> None:
    # The kernel's own signal comes when the thread that started us ends, which is too early.
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(0)
