"""`open_file`: the one way in. It looks at what a path is before it opens anything."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from mainspring.errors import ToolError
from mainspring.library.page import Kind
from mainspring.library.read.kinds import HEAD_BYTES, kind_of
from mainspring.library.read.local import open_here
from mainspring.library.read.protocol import Reading, ReadLimits

_SPECIAL = (
    (stat.S_ISDIR, "a folder; give the files in it"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def open_file(path: Path, limits: ReadLimits | None = None, *, isolated: bool = True, circle: str = "") -> Reading:
    """Open a document for reading.

    Args:
        path: a regular file, or a link to one.
        limits: how much is read, default `ReadLimits()`.
        isolated: read in a child process that has no network, sees no files and is bounded in time and memory. Only
            for files of one's own is it wise to go without.
        circle: whose file it is, in any words: a child process reads files of one circle only.

    Raises:
        ToolError: there is no such file, it is no document, encrypted, broken or too large; the message names it and
            says what to do.
    """
    limits = limits or ReadLimits()
    path = Path(path)
    descriptor, kind = open_checked(path, limits)
    if not isolated:
        os.close(descriptor)
        return open_here(path, kind, limits)
    from mainspring.library.read.isolated import IsolatedReading

    return IsolatedReading(path.name, _for_others(descriptor), kind, limits, circle)


def _for_others(descriptor: int) -> int:
    """The descriptor, or one of a copy: in a sandbox the superuser has no right to other people's private files."""
    status = os.fstat(descriptor)
    if os.geteuid() != 0 or status.st_uid == 0 or status.st_mode & stat.S_IROTH:
        return descriptor
    copy = -1
    try:
        copy = os.memfd_create("mainspring", os.MFD_CLOEXEC)
        left = status.st_size
        while left > 0 and (sent := os.sendfile(copy, descriptor, None, min(left, 1 << 30))):
            left -= sent
        return copy
    except OSError as error:
        if copy >= 0:
            os.close(copy)
        raise ToolError(f"it cannot be copied to be read: {_why(error)}; free some memory") from None
    finally:
        os.close(descriptor)


def open_checked(path: Path, limits: ReadLimits) -> tuple[int, Kind]:
    """A descriptor of a regular file, and what kind of document it is.

    A pipe or device is never opened: it could block, or do something. Raises ToolError.
    """
    try:
        _refuse_special(path, os.stat(path))
        # Opening without blocking, then looking again: the path may have been changed in between.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except (OSError, ValueError) as error:
        raise ToolError(f"{path} cannot be opened: {_why(error)}") from None
    try:
        status = os.fstat(descriptor)
        _refuse_special(path, status)
        if status.st_size == 0:
            raise ToolError(f"{path} is empty")
        if status.st_size > limits.bytes:
            raise ToolError(
                f"{path} has {status.st_size:,} bytes, more than {limits.bytes:,} "
                "(the limit `bytes`); raise it to read it"
            )
        kind = kind_of(path, os.pread(descriptor, HEAD_BYTES, 0))
        if kind is None:
            raise ToolError(f"{path} is no document of a kind that can be read; see docs/library-reading.md")
        return descriptor, kind
    except OSError as error:
        os.close(descriptor)
        raise ToolError(f"{path} cannot be read: {_why(error)}") from None
    except BaseException:
        os.close(descriptor)
        raise


def _refuse_special(path: Path, status: os.stat_result) -> None:
    for is_kind, what in _SPECIAL:
        if is_kind(status.st_mode):
            raise ToolError(f"{path} is {what}; only regular files are read")


def _why(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, PermissionError):
        return "no permission; change its mode or ask its owner"
    return getattr(error, "strerror", None) or str(error)
