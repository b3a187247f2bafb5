"""Keeps a command from making or changing files that run or instruct later (see `protected`).

What is there when a command starts is mounted read-only; what is new or another one when it ends is renamed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mainspring.tools.names import printable
from mainspring.tools.protected import GIT, LENGTHS, named_by_git, why_protected

#: Other people's packages: nobody works in these folders, and they may hold thousands of such files.
_DEPENDENCIES = frozenset({"node_modules", "site-packages"})


@dataclass(frozen=True, slots=True)
class Entry:
    """A protected file or folder that is there.

    Args:
        inode: with it, a file in the same place that is another one is noticed.
        target: where it leads, when it is a link.
        leads: inode of what is there; 0 when nothing is, or when it is no link.
        reason: why it is protected.
    """

    inode: int
    target: str | None
    leads: int
    reason: str

    def record(self) -> list[int | str | None]:
        """As JSON, for the journal."""
        return [self.inode, self.target, self.leads]


def entries(workspace: Path, limit: int = 50_000, without: Iterable[Path] = ()) -> dict[str, Entry]:
    """Everything protected in the workspace, by path. Links are listed and not followed.

    At most `limit` folder entries are looked at, nearest to the top first.

    Args:
        without: folders that are left out, such as Mainspring's own home.
    """
    skipped = {os.fspath(path) for path in without}
    named = set(named_by_git(workspace))
    found: dict[str, Entry] = {}
    folders: list[tuple[str, ...]] = [()]
    seen = 0
    for parts in folders:
        try:
            with os.scandir(os.path.join(workspace, *parts)) as listing:
                inside = {entry.name: entry for entry in listing if entry.path not in skipped}
        except OSError:
            continue  # a folder that we may not read cannot be reached by a command of ours either
        seen += len(inside)
        if "HEAD" in inside and ("commondir" in inside or {"objects", "refs"} <= inside.keys()):
            found[inside["HEAD"].path] = _entry(inside["HEAD"], GIT)
            if parts:
                continue  # a repository without `.git`: the folder is one
        foreign = not _DEPENDENCIES.isdisjoint(parts)
        for name, entry in inside.items():
            inner = (*parts, name)
            # Only the last parts are new: what lies in a protected folder is not looked at.
            why = why_protected(inner[-LENGTHS[-1] :]) or (GIT if inner in named else None)
            if why is not None and (not foreign or name.lower() == ".git"):
                found[entry.path] = _entry(entry, why)
            elif entry.is_dir(follow_symlinks=False):
                folders.append(inner)
        if seen >= limit:
            break
    return found


def _entry(entry: os.DirEntry[str], why: str) -> Entry:
    if not entry.is_symlink():
        return Entry(entry.inode(), None, 0, why)
    leads = 0
    with contextlib.suppress(OSError):
        leads = entry.stat().st_ino
    return Entry(entry.inode(), os.readlink(entry.path), leads, why)


def read_only(workspace: Path, found: Mapping[str, Entry]) -> list[str]:
    """What has to be mounted read-only so that nothing of `found` can be changed.

    Of a link, that is what it leads to; the link itself can be replaced, which :func:`set_aside` notices.
    """
    paths: dict[str, None] = {}
    for path, entry in found.items():
        folder, name = os.path.split(path)
        if name == "HEAD" and folder != os.fspath(workspace):
            paths[folder] = None
        elif entry.target is None:
            paths[path] = None
        else:
            real = os.path.realpath(path)
            if real.startswith(f"{workspace}/") and os.path.exists(real):
                paths[real] = None
    return list(paths)


def set_aside(
    workspace: Path,
    before: Mapping[str, Sequence[int | str | None]],
    without: Iterable[Path] = (),
    only_git: bool = False,
) -> tuple[str, ...]:
    """Rename what is protected and was made or replaced since `before` was recorded; say so.

    Args:
        workspace: where to look.
        before: path -> :meth:`Entry.record`.
        without: folders that are left out.
        only_git: `before` was recorded by a version that knew of nothing but ``.git``.
    """
    notes = []
    for path, entry in entries(workspace, without=without).items():
        name = os.path.basename(path)
        if list(before.get(path, ())) == entry.record() or (only_git and name.lower() != ".git"):
            continue
        parts = os.path.relpath(path, workspace).split("/")
        try:
            aside = _rename(workspace, parts, entry.inode)
        except OSError as error:
            notes.append(
                f"{printable('/'.join(parts))} could not be renamed ({error.strerror}): {entry.reason}; remove it"
            )
            continue
        shown = printable("/".join([*parts[:-1], aside]))
        if name in (".git", "HEAD"):
            what = "a git repository" if name == ".git" else "HEAD of a git repository"
            notes.append(f"{what} made by the command was renamed to {shown}: review its config and hooks first")
        else:
            notes.append(
                f"{printable(name)}, made or replaced by the command, was renamed to {shown}: {entry.reason}; "
                "review it first"
            )
    if len(notes) > 10:
        notes[10:] = [f"{len(notes) - 10} more such files were renamed to *-from-sandbox"]
    return tuple(notes)


def _rename(workspace: Path, parts: Sequence[str], inode: int) -> str:
    """Rename an entry and return its new name. Raises OSError when it is not there any more.

    Another command may be running in the same workspace, so no step follows a link.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    folder = os.open(workspace, flags & ~os.O_NOFOLLOW)
    try:
        for part in parts[:-1]:
            inner = os.open(part, flags, dir_fd=folder)
            os.close(folder)
            folder = inner
        name = parts[-1]
        if os.stat(name, dir_fd=folder, follow_symlinks=False).st_ino != inode:
            raise FileNotFoundError(errno.ENOENT, "it was replaced meanwhile")
        aside = f"{name}-from-sandbox"
        number = 1
        while _exists(aside, folder):
            number += 1
            aside = f"{name}-from-sandbox-{number}"
        os.rename(name, aside, src_dir_fd=folder, dst_dir_fd=folder)
        if stat.S_ISDIR(os.stat(aside, dir_fd=folder, follow_symlinks=False).st_mode):
            for _, _, files, inner in os.fwalk(aside, dir_fd=folder):
                for file in files:
                    _break_hard_link(file, inner)
        else:
            _break_hard_link(aside, folder)
        return aside
    finally:
        os.close(folder)


def _exists(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _break_hard_link(name: str, folder: int) -> None:
    """Give a file a content of its own: under another name, a later command could change what was reviewed by then."""
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink == 1:
        return
    copy = f"{secrets.token_hex(8)}.tmp"
    flags = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with open(os.open(name, os.O_RDONLY | flags, dir_fd=folder), "rb") as source:
        new = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | flags, stat.S_IMODE(status.st_mode), dir_fd=folder)
        with open(new, "wb") as target:
            shutil.copyfileobj(source, target)
    os.rename(copy, name, src_dir_fd=folder, dst_dir_fd=folder)
