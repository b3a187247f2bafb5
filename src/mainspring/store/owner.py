"""Proof of life: a process that owns runs holds an exclusive lock on a file of its own.

The kernel drops the lock when the process dies, however it dies, so a lock that can be taken proves that the owner is
dead. `flock` belongs to the open file, which a forked child would share: the child closes it at once.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import weakref
from pathlib import Path

_all: weakref.WeakSet[Owner] = weakref.WeakSet()


class Owner:
    """This process as an owner of runs in one home."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.name = f"{os.getpid()}-{secrets.token_hex(6)}"
        self._path = folder / f"{self.name}.lock"
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _all.add(self)

    def is_dead(self, name: str) -> bool:
        """True when the owner called `name` is certainly gone."""
        if name == self.name:
            return False
        path = self.folder / f"{name}.lock"
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(fd)
        path.unlink(missing_ok=True)
        return True

    def alive(self) -> bool:
        """True while this object still holds its lock."""
        return self._fd >= 0

    def close(self) -> None:
        """Give the lock up and remove the file."""
        if self._fd >= 0:
            self._path.unlink(missing_ok=True)
            self._drop()

    def _drop(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def _in_child() -> None:
    for owner in list(_all):
        owner._drop()


os.register_at_fork(after_in_child=_in_child)
