"""Files that run or instruct later, outside the sandbox, without anybody asking for it: no tool writes them.

A `Makefile`, a test or a package's build runs when somebody runs it, so it is not among them: its diff is looked at
first. What is listed here acts by itself: at the next `git` command, when a folder is entered or opened in an editor,
at the next login, or when the next agent reads its instructions. Names are compared without regard to case, since
some file systems do not tell them apart.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_GIT = "git runs hooks and commands that it names"
_EDITOR = "an editor runs tasks and settings from it"
_SHELL = "a shell or a program runs it when it starts"
_AGENT = "agents take it for instructions or settings"
_START = "the system runs what it names by itself"
_TOOL = "it can name programs or servers that other tools then use"

#: Last component(s) of a path -> why no tool writes it or anything below it.
PROTECTED: dict[str, str] = {
    ".git": _GIT,
    ".gitmodules": _GIT,
    ".gitconfig": _GIT,
    ".githooks": _GIT,
    ".husky": _GIT,
    ".pre-commit-config.yaml": _GIT,
    "lefthook.yml": _GIT,
    ".lefthook.yml": _GIT,
    ".envrc": _SHELL,
    ".mise.toml": _SHELL,
    "mise.toml": _SHELL,
    ".bashrc": _SHELL,
    ".bash_profile": _SHELL,
    ".bash_login": _SHELL,
    ".bash_logout": _SHELL,
    ".bash_aliases": _SHELL,
    ".profile": _SHELL,
    ".zshrc": _SHELL,
    ".zshenv": _SHELL,
    ".zprofile": _SHELL,
    ".zlogin": _SHELL,
    ".zlogout": _SHELL,
    ".config/fish": _SHELL,
    ".vimrc": _SHELL,
    ".nvimrc": _SHELL,
    ".nvim.lua": _SHELL,
    ".exrc": _SHELL,
    ".emacs": _SHELL,
    ".dir-locals.el": _SHELL,
    ".gdbinit": _SHELL,
    ".lldbinit": _SHELL,
    ".vscode": _EDITOR,
    "*.code-workspace": _EDITOR,
    ".idea": _EDITOR,
    ".fleet": _EDITOR,
    ".zed": _EDITOR,
    ".devcontainer": _EDITOR,
    ".devcontainer.json": _EDITOR,
    ".config/systemd": _START,
    ".config/autostart": _START,
    ".local/share/systemd": _START,
    "crontab": _START,
    "cron.d": _START,
    ".ssh": _TOOL,
    ".npmrc": _TOOL,
    ".yarnrc": _TOOL,
    ".yarnrc.yml": _TOOL,
    ".pypirc": _TOOL,
    ".netrc": _TOOL,
    ".mcp.json": _TOOL,
    ".mainspring*": _AGENT,
    "mainspring.toml": _AGENT,
    "agents.md": _AGENT,
    "agents.override.md": _AGENT,
    "claude.md": _AGENT,
    "claude.local.md": _AGENT,
    "gemini.md": _AGENT,
    "skill.md": _AGENT,
    ".claude": _AGENT,
    ".codex": _AGENT,
    ".cursor": _AGENT,
    ".cursorrules": _AGENT,
    ".windsurf": _AGENT,
    ".windsurfrules": _AGENT,
    ".clinerules": _AGENT,
    ".github/copilot-instructions.md": _AGENT,
    ".github/instructions": _AGENT,
}
_EXACT = {tuple(name.split("/")): why for name, why in PROTECTED.items() if "*" not in name}
_LENGTHS = sorted({len(parts) for parts in _EXACT})
_PATTERNS = [(re.compile(fnmatch.translate(name)), why) for name, why in PROTECTED.items() if "*" in name]
#: Other people's packages: nobody works in these folders, and they may hold thousands of such files.
_DEPENDENCIES = frozenset({"node_modules", "site-packages"})
_OWN_TEMPORARY = re.compile(r"\.mainspring-[0-9a-f]+\.tmp\Z")  # made and renamed by `edit_file`
_HOOKS = re.compile(r"^\s*hookspath\s*=\s*\"?([^\"\n#;]+)", re.IGNORECASE | re.MULTILINE)


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


def protected(path: str | Path, workspace: str | Path) -> str | None:
    """Why a path may not be written by a tool, or None.

    Args:
        path: relative to the workspace or absolute; links are not followed (pass where the path leads).
        workspace: the folder that tools may write. What lies above it does not matter: a workspace inside a folder
            named ``.vscode`` is not protected as a whole.
    """
    relative = os.path.relpath(os.path.join(workspace, path), workspace)
    parts = [part for part in relative.split("/") if part not in ("", ".")]
    return why_protected(parts) or _below_hooks(parts, Path(workspace))


def why_protected(parts: Sequence[str]) -> str | None:
    """Why a path, given by its parts below the workspace, is protected by its name; None when it is not."""
    lowered = [part.lower() for part in parts]
    for end in range(1, len(lowered) + 1):
        for length in _LENGTHS:
            if length <= end and (why := _EXACT.get(tuple(lowered[end - length : end]))) is not None:
                return why
        last = lowered[end - 1]
        for pattern, why in _PATTERNS:
            if pattern.match(last) and not _OWN_TEMPORARY.match(last):
                return why
    return None


def entries(workspace: Path, limit: int = 50_000, without: Iterable[Path] = ()) -> dict[str, Entry]:
    """Everything protected in the workspace, by path. Links are listed and not followed.

    At most `limit` folder entries are looked at, nearest to the top first.

    Args:
        without: folders that are left out, such as Mainspring's own home.
    """
    skipped = {os.fspath(path) for path in without}
    hooks = _hooks(workspace)
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
            found[inside["HEAD"].path] = _entry(inside["HEAD"], _GIT)
            if parts:
                continue  # a repository without `.git`: the folder is one
        foreign = not _DEPENDENCIES.isdisjoint(parts)
        for name, entry in inside.items():
            inner = (*parts, name)
            # Only the last parts are new: what lies in a protected folder is not looked at.
            why = why_protected(inner[-_LENGTHS[-1] :]) or (_GIT if inner == hooks else None)
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
        shown = os.path.relpath(aside, workspace)
        if name in (".git", "HEAD"):
            what = "a git repository" if name == ".git" else "HEAD of a git repository"
            notes.append(f"{what} made by the command was renamed to {shown}: review its config and hooks first")
        else:
            notes.append(
                f"{name}, made or replaced by the command, was renamed to {shown}: {entry.reason}; review it first"
            )
    if len(notes) > 10:
        notes[10:] = [f"{len(notes) - 10} more such files were renamed to *-from-sandbox"]
    return tuple(notes)


def linked_identities(workspace: Path) -> dict[tuple[int, int], str]:
    """Files that a protected link at the top of the workspace leads to (``AGENTS.md -> docs/agents.md``):
    (device, inode) -> why they are protected."""
    found = {}
    with contextlib.suppress(OSError), os.scandir(workspace) as listing:
        for entry in listing:
            if entry.is_symlink() and (why := why_protected([entry.name])) is not None:
                with contextlib.suppress(OSError):
                    status = entry.stat()
                    found[(status.st_dev, status.st_ino)] = why
    return found


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


def _below_hooks(parts: Sequence[str], workspace: Path) -> str | None:
    hooks = _hooks(workspace)
    return _GIT if hooks and tuple(parts[: len(hooks)]) == hooks else None


def _hooks(workspace: Path) -> tuple[str, ...]:
    """Where the repository at the top keeps its hooks, when that is another folder of the workspace."""
    try:
        with open(workspace / ".git" / "config", encoding="utf-8", errors="replace") as config:
            named = _HOOKS.findall(config.read(1 << 20))
    except OSError:
        return ()
    if not named:
        return ()
    folder = os.path.realpath(os.path.join(workspace, named[-1].strip()))
    relative = os.path.relpath(folder, os.path.realpath(workspace))
    return () if relative == "." or relative.startswith("..") else tuple(relative.split("/"))
