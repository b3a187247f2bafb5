"""The processes that read for us: started in a sandbox where there is one, used again for many small files."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from typing import Any

from mainspring.errors import ToolError
from mainspring.library.read.sandbox import sandbox_works, start, starter
from mainspring.library.read.wire import Lost, receive, send

#: A child is renewed after so many files, or when it has grown larger than this, or than this share of its limit.
_FILES_EACH = 200
_LARGE_KB = 600_000
_LARGE_SHARE = 0.5
#: So many wait for the next file, for so long.
_IDLE_CHILDREN = 4
_IDLE_SECONDS = 120.0
_START_SECONDS = 60.0


class ReadingProcess:
    """A child that reads one file at a time, all of one circle.

    `isolation` says what holds it: ``"sandbox"``, ``"filter"``, ``"limits"``.

    Raises:
        ToolError: it cannot be started.
    """

    def __init__(self, memory_mb: int, circle: str = "") -> None:
        self.memory_mb = memory_mb
        self.circle = circle
        self.files = 0
        self.era = 0
        self.idle_since = 0.0
        self._scratch: str | None = None
        ours, theirs = socket.socketpair()
        self.socket = ours
        try:
            with theirs:
                sandboxed = sandbox_works()
                self._process = starter().submit(self._start, theirs.fileno(), sandboxed).result()
            ready, _, _ = receive(ours, _START_SECONDS, 0)
        except (Lost, TimeoutError, OSError) as error:
            self.kill()
            raise ToolError(f"the process that reads files could not be started: {error}") from None
        self.isolation = "sandbox" if sandboxed else "filter" if ready.get("filtered") else "limits"

    @property
    def pid(self) -> int:
        """The process that was started; with a sandbox, the first one of it."""
        return self._process.pid

    def _start(self, number: int, sandboxed: bool) -> subprocess.Popen[bytes]:
        # Called in one thread that lives as long as this process: a child dies with the thread that started it.
        parent = 0 if sandboxed else os.getpid()
        command = ["mainspring.library.read.child", str(number), str(parent), str(self.memory_mb)]
        if not sandboxed:
            self._scratch = tempfile.mkdtemp(prefix="mainspring-reader-")
        return start(command, self._scratch, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[number])

    def ask(
        self, message: Mapping[str, Any], seconds: float, descriptor: int | None = None, most_blob: int = 0
    ) -> tuple[dict[str, Any], bytes]:
        """Send a request and take the first frame of the answer, with at most so many bytes behind it.

        Raises: Lost, TimeoutError.
        """
        self.socket.settimeout(max(seconds, 0.001))
        send(self.socket, message, descriptor=descriptor)
        return self.next(seconds, most_blob)

    def next(self, seconds: float, most_blob: int = 0) -> tuple[dict[str, Any], bytes]:
        """The next frame. Raises Lost, TimeoutError."""
        answer, blob, descriptor = receive(self.socket, max(seconds, 0.001), most_blob)
        if descriptor is not None:
            os.close(descriptor)
            raise Lost("a descriptor that nobody asked for")
        return answer, blob

    def kill(self) -> None:
        """End it, whatever it does."""
        self.socket.close()
        process = getattr(self, "_process", None)
        if process is not None:
            process.kill()
            process.wait()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)


class Pool:
    """Children that wait for the next file. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[ReadingProcess] = []
        self._era = 0  # a child of an earlier one reads its file to the end, and no other
        self._timer: threading.Timer | None = None

    def take(self, memory_mb: int, circle: str = "") -> ReadingProcess:
        """A child with this limit of memory that has read for this circle only. Raises ToolError: none can be started.

        What a file has done to a child that it took over reaches no file of other people, and none that is trusted.
        """
        with self._lock:
            for child in reversed(self._idle):
                if (child.memory_mb, child.circle) == (memory_mb, circle):
                    self._idle.remove(child)
                    return child
            era = self._era
        child = ReadingProcess(memory_mb, circle)
        child.era = era
        return child

    def give_back(self, child: ReadingProcess) -> None:
        """Keep a child for the next file, or end it when it has read enough."""
        child.files += 1
        try:
            answer, _ = child.ask({"do": "close"}, 10.0)
            used = int(answer.get("used_kb", 0))
        except (Lost, TimeoutError, TypeError, ValueError):
            child.kill()
            return
        if child.files >= _FILES_EACH or used >= min(_LARGE_KB, _LARGE_SHARE * 1000 * child.memory_mb):
            child.kill()
            return
        child.idle_since = time.monotonic()
        with self._lock:
            current = child.era == self._era
            if current:
                self._idle.append(child)
        if not current:
            child.kill()
            return
        self._trim()

    def close(self) -> None:
        """End all that wait, and the others when they have read their file."""
        with self._lock:
            idle, self._idle = self._idle, []
            self._era += 1
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        for child in idle:
            child.kill()

    def _trim(self, again: bool = False) -> None:
        """End those that are too many or have waited too long, and look again when the next one will have.

        Args:
            again: the timer calls; nobody else would, in a process that reads nothing more.
        """
        with self._lock:
            now = time.monotonic()
            kept = [one for one in self._idle if now - one.idle_since < _IDLE_SECONDS][-_IDLE_CHILDREN:]
            ended = [one for one in self._idle if one not in kept]
            self._idle = kept
            if again:
                self._timer = None
            if kept and self._timer is None:
                first = min(one.idle_since for one in kept)
                self._timer = threading.Timer(first + _IDLE_SECONDS - now, self._trim, [True])
                self._timer.daemon = True
                self._timer.start()
        for one in ended:
            one.kill()


pool = Pool()
atexit.register(pool.close)


def _after_fork() -> None:
    """In a forked process, the children belong to the parent."""
    global pool
    pool = Pool()


os.register_at_fork(after_in_child=_after_fork)


def close_readers() -> None:
    """End the reading processes, those at work when they have read their file; the next `open_file` starts new ones."""
    with contextlib.suppress(Exception):
        pool.close()
