"""Opens files inside the workspace and nowhere else, whatever a path or a symbolic link says.

A path is walked one component at a time from an open folder, links are read and walked by us, and every step
is relative to the folder that the step before opened. So nobody can swap a folder for a link between a check
and its use: there is no such moment.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mainspring.errors import ToolError
from mainspring.tools.names import printable
from mainspring.tools.protected import linked_identities, protected

__all__ = ["MissingError", "Place", "locate", "printable", "suggest"]

_LINKS = 40
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class MissingError(ToolError):
    """Nothing is at this path."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path leads, links resolved.

    Args:
        folder: descriptor of the folder that holds it; open as long as the `locate` block runs.
        name: its name there; ``"."`` for the workspace itself.
        parts: the path from the workspace, without links.
        shown: the path as it was asked for, fit to print.
    """

    folder: int
    name: str
    parts: tuple[str, ...]
    shown: str

    @property
    def path(self) -> str:
        """The path from the workspace, fit to print."""
        return printable("/".join(self.parts) or ".")

    def status(self) -> os.stat_result | None:
        """What is there, or None."""
        try:
            return os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def open(self) -> int:
        """A descriptor to read a plain file or a folder; the caller closes it.

        Raises:
            MissingError: nothing is there.
            ToolError: a pipe, socket or device, or no permission.
        """
        try:
            # O_PATH first: merely opening a device or a pipe can already have consequences.
            handle = os.open(self.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.folder)
        except OSError as error:
            raise _refusal(self.shown, error) from None
        try:
            mode = os.fstat(handle).st_mode
            for test, kind in _KINDS:
                if test(mode):
                    raise ToolError(f"{self.shown} is {kind}, not a file; it cannot be opened")
            if stat.S_ISLNK(mode):
                raise ToolError(f"{self.shown} was replaced by a link while it was opened; try again")
            return os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise _refusal(self.shown, error) from None
        finally:
            os.close(handle)


@contextlib.contextmanager
def locate(
    workspace: Path, path: str, *, home: Path | None = None, write: bool = False, make: bool = False
) -> Iterator[Place]:
    """Find where a path leads inside the workspace. The last component need not exist.

    Args:
        workspace: the folder that nothing may leave.
        path: relative to the workspace, or absolute and inside it.
        home: Mainspring's own folder, refused when it lies inside the workspace.
        write: the place is to be written, so what runs or instructs later outside the sandbox (see
            `mainspring.tools.protected`, and the interpreter that runs Mainspring) is refused.
        make: missing folders on the way are made.

    Raises:
        MissingError: a folder on the way is missing.
        ToolError: the path leaves the workspace, is not usable, or may not be touched.
    """
    shown = printable(path)
    if "\0" in path or len(path) > 4096:
        raise ToolError(f"path {shown[:100]!r} is no path: it holds a NUL byte or is longer than 4,096 characters")
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise ToolError(f"path {shown!r} cannot be a file name: it is not valid text") from None
    root = Path(os.path.realpath(workspace))
    called = f"{os.path.abspath(workspace)}/"
    if path.startswith(called):  # the workspace by a name that passes through a link
        path = path[len(called) :]
    walk = _Walk(root, shown, _forbidden(root, home, write), write, make)
    try:
        yield walk.go(path)
    finally:
        walk.close()


def suggest(workspace: Path, path: str, limit: int = 5_000) -> list[str]:
    """Paths that resemble a missing one: the same name elsewhere first, then similar names."""
    wanted = os.path.basename(path.rstrip("/")).lower()
    names: dict[str, list[str]] = {}
    seen = 0
    folders = [str(workspace)]
    for folder in folders:
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                seen += 1
                if entry.is_dir(follow_symlinks=False):
                    if not entry.name.startswith(".") and entry.name not in ("node_modules", "__pycache__"):
                        folders.append(entry.path)
                else:
                    names.setdefault(entry.name.lower(), []).append(os.path.relpath(entry.path, workspace))
        if seen > limit:
            break
    close = difflib.get_close_matches(wanted, names, n=5, cutoff=0.6)
    found = [p for name in dict.fromkeys([wanted, *close]) for p in names.get(name, [])]
    return [printable(p) for p in found[:5]]


class _Walk:
    """One walk from the workspace down; `_stack` holds the open folders from the workspace to where we are."""

    def __init__(self, root: Path, shown: str, forbidden: dict[tuple[int, int], str], write: bool, make: bool) -> None:
        self._root = root
        self._shown = shown
        self._forbidden = forbidden
        self._write = write
        self._make = make
        self._parts: list[str] = []
        self._stack: list[int] = []
        self._links = 0

    def go(self, path: str) -> Place:
        try:
            self._stack.append(os.open(self._root, _FOLDER))
        except OSError as error:
            raise ToolError(f"the workspace {str(self._root)!r} cannot be opened: {error.strerror}") from None
        pending = self._components(path)
        while pending:
            part = pending.pop(0)
            if part == "..":
                if not self._parts:
                    raise self._leaves()
                self._parts.pop()
                os.close(self._stack.pop())
                continue
            self._check_name(part)
            target = self._link(part)
            if target is not None:
                self._links += 1
                if self._links > _LINKS:
                    raise ToolError(f"{self._shown} passes through more than {_LINKS} links; it may be a circle")
                pending = self._components(target) + pending
            elif pending:
                self._enter(part)
            else:
                return self._arrive(part)
        return Place(self._stack[-1], ".", tuple(self._parts), self._shown)

    def close(self) -> None:
        for fd in self._stack:
            os.close(fd)

    def _components(self, path: str) -> list[str]:
        """The parts of a path or of a link's target. An absolute one inside the workspace starts from its top."""
        if os.path.isabs(path):
            if not (path + "/").startswith(f"{self._root}/"):
                raise self._leaves()
            path = path[len(str(self._root)) :]
            while len(self._stack) > 1:
                os.close(self._stack.pop())
            self._parts.clear()
        return [part for part in path.split("/") if part not in ("", ".")]

    def _link(self, part: str) -> str | None:
        try:
            return os.readlink(part, dir_fd=self._stack[-1])
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT):
                return None  # no link, or nothing there
            raise _refusal(self._shown, error) from None

    def _enter(self, part: str) -> None:
        if self._make:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, dir_fd=self._stack[-1])
        try:
            fd = os.open(part, _FOLDER, dir_fd=self._stack[-1])
        except OSError as error:
            raise _refusal(self._shown, error) from None
        self._stack.append(fd)
        self._parts.append(part)
        self._check_identity(os.fstat(fd))

    def _arrive(self, part: str) -> Place:
        place = Place(self._stack[-1], part, (*self._parts, part), self._shown)
        status = place.status()
        if status is not None:
            self._check_identity(status)
        return place

    def _check_name(self, part: str) -> None:
        if not self._write:
            return
        if part.lower() == ".git":
            raise ToolError(f"{self._shown} is not writable: nothing below .git is written by a tool")
        why = protected("/".join((*self._parts, part)), self._root)
        if why is not None:
            raise ToolError(f"{self._shown} is not writable by a tool: {why}; a person has to change it")

    def _check_identity(self, status: os.stat_result) -> None:
        why = self._forbidden.get((status.st_dev, status.st_ino))
        if why is not None:
            raise ToolError(f"{self._shown} is not accessible: it {why}")

    def _leaves(self) -> ToolError:
        return ToolError(f"{self._shown} is outside the workspace; only paths inside it can be used")


def _forbidden(root: Path, home: Path | None, write: bool) -> dict[tuple[int, int], str]:
    found = {}
    candidates = [(home, "belongs to Mainspring")] if home is not None else []
    if write:
        candidates.append((Path(sys.prefix), "is the Python environment that runs Mainspring"))
    for folder, why in candidates:
        with contextlib.suppress(OSError):
            status = os.stat(folder)
            if os.path.realpath(folder) != str(root):
                found[(status.st_dev, status.st_ino)] = why
    if write:
        for identity, why in linked_identities(root).items():
            found.setdefault(identity, f"is what a protected link leads to: {why}; a person has to change it")
    return found


def _refusal(shown: str, error: OSError) -> ToolError:
    if error.errno == errno.ENOENT:
        return MissingError(f"{shown} does not exist")
    if error.errno in (errno.ENOTDIR, errno.ELOOP):
        return ToolError(f"{shown} passes through something that is no folder")
    if error.errno == errno.ENAMETOOLONG:
        return ToolError(f"{shown[:100]}... has a name that is too long")
    return ToolError(f"{shown} cannot be opened: {error.strerror}")
