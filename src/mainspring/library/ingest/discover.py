"""Which files there are to index below the paths that a person named."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.errors import ToolError

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

#: A file of patterns (as in .gitignore) of what is not indexed, in any folder.
IGNORE_FILE = ".mainspringignore"

#: What is never worth indexing, unless it is named itself.
USUAL = (
    "node_modules/",
    "__pycache__/",
    "*.pyc",
    "*.egg-info/",
    "~$*",
    "*~",
    "*.tmp",
    "*.part",
    "*.crdownload",
    "*.swp",
)

# Ignore files come with the folders and may be a stranger's: what matches slowly, or is huge, is passed over.
_MOST_BYTES = 64 * 1024
_MOST_STARS = 3


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file to index.

    Args:
        path: absolute, without symbolic links in it.
        size, stamp: bytes; time of the last change in nanoseconds.
        named: a person named the file itself.
    """

    path: Path
    size: int
    stamp: int
    named: bool = False


@dataclass
class Walk:
    """What to look for, and what was met on the way.

    Args:
        exclude: patterns as in .gitignore, relative to each root.
        hidden: also files and folders whose name begins with a dot.
        keep_out: folders that are never entered, such as the library's own.
        met: how many entries of folders were met, whatever they are.
        links: how many symbolic links were passed over.
        closed: folders that could not be read: nothing is known of what is below.
        badly_named: names that are no valid UTF-8, as escapes.
    """

    exclude: Sequence[str] = ()
    hidden: bool = False
    keep_out: Sequence[Path] = ()
    met: int = 0
    links: int = 0
    closed: list[tuple[str, str]] = field(default_factory=list)
    badly_named: list[str] = field(default_factory=list)

    def files(self, root: Path, stopped: Callable[[], bool] = lambda: False) -> Iterator[FoundFile]:
        """Every file to index at or below `root`, folder by folder in the order of names.

        Symbolic links below the root are not followed, and devices, pipes and sockets are not opened.
        """
        status = os.stat(root, follow_symlinks=False)
        if stat.S_ISREG(status.st_mode):
            yield FoundFile(root, status.st_size, status.st_mtime_ns, named=True)
            return
        own = _spec((*USUAL, *self.exclude))
        # (folder, path below the root, ignore files that hold there: each with the path that it is relative to)
        waiting: list[tuple[Path, str, tuple[tuple[str, GitIgnoreSpec], ...]]] = [(root, "", ())]
        while waiting and not stopped():
            folder, below, ignores = waiting.pop()
            if folder in self.keep_out:
                continue
            try:
                with os.scandir(folder) as entries:
                    found = sorted(entries, key=lambda entry: entry.name)
            except OSError as error:
                self.closed.append((str(folder), error.strerror or str(error)))
                continue
            self.met += len(found)
            if any(entry.name == IGNORE_FILE and entry.is_file(follow_symlinks=False) for entry in found):
                ignores = (*ignores, (below, _read_ignores(folder / IGNORE_FILE)))
            folders = []
            for entry in found:
                name = f"{below}{entry.name}"
                if entry.name.startswith(".") and not self.hidden:
                    continue
                if not _is_text(entry.name):
                    self.badly_named.append(ascii(os.fsencode(str(folder / entry.name)))[2:-1])
                    continue
                if entry.is_symlink():
                    self.links += 1
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if not _ignored(f"{name}/", own, ignores):
                        folders.append((folder / entry.name, f"{name}/", ignores))
                    continue
                if not entry.is_file(follow_symlinks=False) or _ignored(name, own, ignores):
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue  # gone meanwhile
                yield FoundFile(folder / entry.name, status.st_size, status.st_mtime_ns)
            waiting += reversed(folders)


def roots_of(paths: Sequence[str | Path]) -> list[Path]:
    """The files and folders that a person named, absolute and without symbolic links; patterns are expanded.

    One that stands below another is left out.

    Raises:
        ToolError: one does not exist, is empty, or is no file or folder.
    """
    import glob

    found: dict[Path, None] = {}
    for path in paths:
        if not str(path):  # it would be the present folder, and is a variable of a shell that is not set
            raise ToolError("an empty path was named; the present folder is '.'")
        text = os.path.expanduser(str(path))
        if not _is_text(text):
            raise ToolError(f"the path {text!a} is not valid UTF-8; rename it")
        names = [text]
        if not os.path.lexists(text) and glob.has_magic(text):
            names = sorted(glob.glob(text, recursive=True))
            if not names:
                raise ToolError(f"nothing matches the pattern {text!r}")
        for name in names:
            real = Path(os.path.realpath(name))
            try:
                mode = real.stat().st_mode
            except OSError as error:
                raise ToolError(f"{name!r} cannot be indexed: {error.strerror or error}") from None
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise ToolError(f"{name!r} is neither a file nor a folder (a device, a pipe or a socket)")
            found[real] = None
    return [path for path in found if not any(parent in found for parent in path.parents)]


@lru_cache(maxsize=256)
def _spec(patterns: tuple[str, ...]) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec

    try:
        return GitIgnoreSpec.from_lines(patterns)
    except ValueError as error:
        raise ToolError(f"not a pattern as in .gitignore: {error}") from None


def _read_ignores(path: Path) -> GitIgnoreSpec:
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        text = ""
    kept = []
    for line in text.splitlines():
        if all(part.count("*") <= _MOST_STARS for part in line.split("/")) and line.count("**") <= _MOST_STARS:
            try:
                _spec((line,))
            except ToolError:
                continue
            kept.append(line)
    return _spec(tuple(kept))


def _ignored(name: str, own: GitIgnoreSpec, ignores: Sequence[tuple[str, GitIgnoreSpec]]) -> bool:
    return own.match_file(name) or any(spec.match_file(name[len(base) :]) for base, spec in ignores)


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
