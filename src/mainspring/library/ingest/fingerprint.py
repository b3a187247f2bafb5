"""Which bytes a file holds, so that what was read is known to be what was looked at."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from mainspring.errors import ToolError

#: First bytes that say what kind of file it is.
HEAD = 8192
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A file at one moment.

    Args:
        digest: SHA-256 of its bytes, hex.
        size, stamp: bytes; time of its last change in nanoseconds.
        head: its first bytes.
        identity: device, inode, size and times: another after any change, also after one that was undone.
    """

    digest: str
    size: int
    stamp: int
    head: bytes
    identity: tuple[int, ...]


def take(path: Path, most: int) -> Fingerprint:
    """Look at a file.

    Args:
        path: absolute and without symbolic links, as `discover` gives it.
        most: largest file, in bytes.

    Raises:
        ToolError: it cannot be read, is no regular file (any more), is larger, or a link has come into its path.
    """
    try:
        # A pipe that was put in its place must not stop us, and a link leads elsewhere.
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        raise ToolError(f"{error.strerror or error}") from None
    with open(fd, "rb", buffering=0) as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise ToolError("it is no regular file (any more)")
        _check_place(path)
        if status.st_size > most:
            raise ToolError(f"it has {status.st_size:,} bytes, and at most {most:,} are read")
        digest = hashlib.sha256()
        head = b""
        length = 0
        try:
            while piece := file.read(_PIECE):
                head = head or piece[:HEAD]
                digest.update(piece)
                length += len(piece)
                if length > most:
                    raise ToolError(f"it grows while it is read, beyond {most:,} bytes")
        except OSError as error:
            raise ToolError(f"{error.strerror or error}") from None
    return Fingerprint(digest.hexdigest(), length, status.st_mtime_ns, head, _identity(status))


def still(path: Path, before: Fingerprint) -> bool:
    """True when the file is the same, and was not touched since `before` was taken."""
    try:
        status = os.stat(path, follow_symlinks=False)
        _check_place(path)
    except (OSError, ToolError):
        return False
    return _identity(status) == before.identity


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _check_place(path: Path) -> None:
    if os.path.realpath(path) != str(path):
        raise ToolError("a folder on its path was replaced by a link; it is not followed")
