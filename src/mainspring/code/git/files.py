"""Reads and writes the files of a tree as git sees them, through no link and never outside the tree.

A path is walked from an open folder, one name at a time, so nobody can swap a folder for a link between a check and
its use.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mainspring.errors import ToolError
from mainspring.tools.names import printable

#: Modes that git knows for what is no folder.
FILE, RUNNABLE, LINK, MODULE = "100644", "100755", "120000", "160000"

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class State:
    """What is at a path: its mode as git writes it, and its bytes (of a link: where it leads)."""

    mode: str
    data: bytes


class TooLargeError(ToolError):
    """A file is over the limit; the message says which, and how large it is."""


class Tree:
    """The files below one folder.

    Args:
        top: the folder; a link in its own path is resolved once.
    """

    def __init__(self, top: Path) -> None:
        self.top = Path(os.path.realpath(top))

    def read(self, path: str, most: int | None = None) -> State | None:
        """What is at a path; None for nothing, a folder, a pipe or a device, or a path that passes through a link.

        Args:
            path: relative, with ``/``.
            most: refuse a file with more bytes.

        Raises:
            TooLargeError: it has more.
            ToolError: it cannot be read.
        """
        try:
            with self._folder(path) as (folder, name):
                status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if stat.S_ISLNK(status.st_mode):
                    return State(LINK, os.fsencode(os.readlink(name, dir_fd=folder)))
                if not stat.S_ISREG(status.st_mode):
                    return None
                if most is not None and status.st_size > most:
                    raise TooLargeError(f"{printable(path)} has {status.st_size:,} bytes; the limit is {most:,}")
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                with open(os.open(name, flags, dir_fd=folder), "rb") as file:
                    data = file.read() if most is None else file.read(most + 1)
                return State(RUNNABLE if status.st_mode & 0o100 else FILE, data)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno == errno.ELOOP:  # a link on the way
                return None
            raise ToolError(f"{printable(path)} cannot be read: {error.strerror}") from None

    def put(self, path: str, state: State | None, temporary: str) -> None:
        """Let a path have this state, in one step and flushed to disk.

        Args:
            path: relative, with ``/``.
            state: what is to be there; None removes it, with the folders that become empty.
            temporary: a name for the new file beside it; what a crash left under this name is replaced.

        Raises:
            ToolError: it cannot be written, or a link or a folder is in the way; nothing is left behind.
        """
        try:
            with self._folder(path, make=state is not None) as (folder, name):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary, dir_fd=folder)
                if state is None:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(name, dir_fd=folder)
                    os.fsync(folder)
                else:
                    self._write(folder, name, state, temporary)
        except (FileNotFoundError, NotADirectoryError) as error:
            if state is not None:
                raise ToolError(f"{printable(path)} cannot be written: {error.strerror}") from None
        except OSError as error:
            raise ToolError(f"{printable(path)} cannot be written: {error.strerror}") from None
        if state is None:
            self._prune(path)

    def forget(self, path: str, temporary: str) -> None:
        """Remove a new file that a crash left beside a path."""
        with contextlib.suppress(OSError), self._folder(path) as (folder, _):
            os.unlink(temporary, dir_fd=folder)

    def _write(self, folder: int, name: str, state: State, temporary: str) -> None:
        try:
            if state.mode == LINK:
                os.symlink(os.fsdecode(state.data), temporary, dir_fd=folder)
            else:
                before = None
                with contextlib.suppress(FileNotFoundError):
                    before = os.stat(name, dir_fd=folder, follow_symlinks=False)
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                with open(os.open(temporary, flags, 0o666, dir_fd=folder), "wb") as file:
                    file.write(state.data)
                    mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                    if before is not None and stat.S_ISREG(before.st_mode):
                        mode = stat.S_IMODE(before.st_mode)
                        with contextlib.suppress(PermissionError):
                            os.fchown(file.fileno(), before.st_uid, before.st_gid)
                    runs = mode | (mode & 0o444) >> 2
                    os.fchmod(file.fileno(), runs if state.mode == RUNNABLE else mode & ~0o111)
                    file.flush()
                    os.fsync(file.fileno())
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise

    def _prune(self, path: str) -> None:
        """Remove the folders above a path that are empty now, as git does."""
        parts = path.split("/")[:-1]
        while parts:
            try:
                with self._folder("/".join(parts)) as (folder, name):
                    os.rmdir(name, dir_fd=folder)
            except OSError:
                return
            parts.pop()

    @contextlib.contextmanager
    def _folder(self, path: str, make: bool = False) -> Iterator[tuple[int, str]]:
        """The open folder of a path, and its name there; `make` makes missing folders."""
        *above, name = parts_of(path)
        folder = os.open(self.top, _FOLDER)
        try:
            for part in above:
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, dir_fd=folder)
                inner = os.open(part, _FOLDER, dir_fd=folder)
                os.close(folder)
                folder = inner
            yield folder, name
        finally:
            os.close(folder)


def parts_of(path: str) -> list[str]:
    """The names in a path. Raises ToolError for one that is absolute, leaves the tree or passes through ``.git``."""
    parts = path.split("/")
    if not path or any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise ToolError(f"{printable(path)!r} is no path inside a repository")
    if any(part.lower() == ".git" for part in parts):
        raise ToolError(f"{printable(path)} lies below .git, which no patch may touch")
    return parts
