"""One process indexes a library at a time; the others wait for it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from mainspring.errors import StoreError

# `flock` belongs to the open file, so two libraries opened in one process exclude each other as well.
_NAME = "indexing.lock"


@contextlib.contextmanager
def indexing(
    folder: Path,
    *,
    wait: bool = True,
    waiting: Callable[[str], None] | None = None,
    stopped: threading.Event | None = None,
) -> Iterator[None]:
    """Hold the right to index the library in `folder`. The kernel gives it up with the process, however it dies.

    Args:
        wait: wait for whoever holds it; else fail at once.
        waiting: told, while it waits, who holds it.
        stopped: ends the waiting.

    Raises:
        StoreError: another process holds it, and `wait` is False or `stopped` was set.
    """
    fd = os.open(folder / _NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not _try(fd):
            holder = os.pread(fd, 100, 0).decode("utf-8", "replace").strip() or "unknown"
            if not wait or (stopped is not None and stopped.is_set()):
                raise StoreError(
                    f"another process ({holder}) is indexing the library {folder}; wait for it, or stop it: what it "
                    "has indexed is kept"
                )
            if waiting is not None:
                waiting(holder)
            time.sleep(0.2)
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"pid {os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(fd)


def _try(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
