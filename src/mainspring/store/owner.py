"""Proof of life: a process that owns runs holds an exclusive lock on a file of its own.

The kernel drops the lock when the process dies, however it dies, so a lock that can be taken proves that the owner is
dead. `flock` belongs to the open file, which a forked child would share: the child closes it at once.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import secrets
import weakref
from pathlib import Path

#: Files that a new owner looks at, to remove those of the dead.
SWEEP = 32

_all: weakref.WeakSet[Owner] = weakref.WeakSet()


class Owner:
    """This process as an owner of runs in one home."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._fd = -1
        while self._fd < 0:
            self.name = f"{os.getpid()}-{secrets.token_hex(6)}"
            self._path = folder / f"{self.name}.lock"
            self._fd = _locked(self._path)
        _all.add(self)
        self._sweep()

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
            # Shared, so that two who ask at the same moment do not take each other for the owner.
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            path.unlink(missing_ok=True)  # while we hold it: see _locked
            return True
        finally:
            os.close(fd)

    def _sweep(self) -> None:
        """Remove a few files of dead owners that owned nothing, so that they do not pile up."""
        with os.scandir(self.folder) as files:
            for file in itertools.islice(files, SWEEP):
                if file.name.endswith(".lock"):
                    self.is_dead(file.name.removesuffix(".lock"))

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


def _locked(path: Path) -> int:
    """A descriptor that holds the lock of a new file, or -1 when a sweep took the file before it was locked."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(fd), os.stat(path)):
            return fd
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(fd)
    return -1


def _in_child() -> None:
    for owner in list(_all):
        owner._drop()


os.register_at_fork(after_in_child=_in_child)
