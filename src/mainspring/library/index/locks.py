"""Locks between processes: a file that one of them holds. The kernel frees it when its holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from mainspring.errors import StoreError

_PAUSE_S = 0.01


@contextlib.contextmanager
def held(path: Path, wait_s: float, doing: str) -> Iterator[None]:
    """Hold the lock file while the block runs.

    Raises:
        StoreError: somebody else held it for `wait_s`, or the file cannot be made.
    """
    with tried(path, wait_s) as got:
        if not got:
            raise StoreError(f"another process is {doing} in {path.parent} for more than {wait_s:g} s; try again later")
        yield


@contextlib.contextmanager
def tried(path: Path, wait_s: float = 0.0) -> Iterator[bool]:
    """Hold the lock file if it is free within `wait_s`; the value tells whether it was."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StoreError(f"the lock {path} cannot be made: {error}; check the folder's space and rights") from error
    try:
        until = time.monotonic() + wait_s
        while not (got := lock(fd)) and time.monotonic() < until:
            time.sleep(_PAUSE_S)
        yield got
    finally:
        os.close(fd)


def lock(fd: int) -> bool:
    """Lock an open file for its holder alone; False when another holds it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
