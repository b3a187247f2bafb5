"""Keeps a command from making or changing files that run or instruct later (see `protected`).

What is there when a command starts is mounted read-only; what is new or another one when it ends is renamed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mainspring.tools.names import printable
from mainspring.tools.protected import GIT, LENGTHS, hooks_folder, why_protected

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
    hooks = hooks_folder(workspace)
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
            why = why_protected(inner[-LENGTHS[-1] :]) or (GIT if inner == hooks else None)
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
        aside = f"{path}-from-sandbox"
        number = 1
        while os.path.lexists(aside):
            number += 1
            aside = f"{path}-from-sandbox-{number}"
        os.rename(path, aside)
        _break_hard_links(aside)
        shown = printable(os.path.relpath(aside, workspace))
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


def _break_hard_links(path: str) -> None:
    """Give a file, or each file in a folder, a content of its own: under another name, a later command could
    change what a person has reviewed by then."""
    files = [path]
    if os.path.isdir(path) and not os.path.islink(path):
        files = [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]
    for file in files:
        status = os.lstat(file)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink == 1:
            continue
        handle, copy = tempfile.mkstemp(dir=os.path.dirname(file))
        with open(file, "rb") as source, os.fdopen(handle, "wb") as target:
            shutil.copyfileobj(source, target)
        os.chmod(copy, stat.S_IMODE(status.st_mode))
        os.rename(copy, file)
