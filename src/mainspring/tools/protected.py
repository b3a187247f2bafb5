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
import stat
from collections.abc import Sequence
from pathlib import Path

GIT = "git runs hooks and commands that it names"
_EDITOR = "an editor runs tasks and settings from it"
_SHELL = "a shell or a program runs it when it starts"
_AGENT = "agents take it for instructions or settings"
_START = "the system runs what it names by itself"
_TOOL = "it can name programs or servers that other tools then use"

#: Last component(s) of a path -> why no tool writes it or anything below it.
PROTECTED: dict[str, str] = {
    ".git": GIT,
    ".gitmodules": GIT,
    ".gitconfig": GIT,
    ".githooks": GIT,
    ".husky": GIT,
    ".pre-commit-config.yaml": GIT,
    "lefthook.yml": GIT,
    ".lefthook.yml": GIT,
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
LENGTHS = sorted({len(parts) for parts in _EXACT})
_PATTERNS = [(re.compile(fnmatch.translate(name)), why) for name, why in PROTECTED.items() if "*" in name]
_OWN_TEMPORARY = re.compile(r"\.mainspring-[0-9a-f]+\.tmp\Z")  # made and renamed by `edit_file`
_HOOKS = re.compile(r"^\s*hookspath\s*=\s*\"?([^\"\n#;]+)", re.IGNORECASE | re.MULTILINE)
_INCLUDES = re.compile(r"^\s*path\s*=\s*\"?([^\"\n#;]+)", re.IGNORECASE | re.MULTILINE)


def protected(path: str | Path, workspace: str | Path) -> str | None:
    """Why a path may not be written by a tool, or None.

    Args:
        path: relative to the workspace or absolute; links are not followed (pass where the path leads).
        workspace: the folder that tools may write. What lies above it does not matter: a workspace inside a folder
            named ``.vscode`` is not protected as a whole.
    """
    relative = os.path.relpath(os.path.join(workspace, path), workspace)
    parts = [part for part in relative.split("/") if part not in ("", ".")]
    return why_protected(parts) or _named(parts, Path(workspace))


def why_protected(parts: Sequence[str]) -> str | None:
    """Why a path, given by its parts below the workspace, is protected by its name; None when it is not."""
    lowered = [part.lower() for part in parts]
    for end in range(1, len(lowered) + 1):
        for length in LENGTHS:
            if length <= end and (why := _EXACT.get(tuple(lowered[end - length : end]))) is not None:
                return why
        last = lowered[end - 1]
        for pattern, why in _PATTERNS:
            if pattern.match(last) and not _OWN_TEMPORARY.match(last):
                return why
    return None


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


def named_by_git(workspace: Path) -> list[tuple[str, ...]]:
    """Files and folders of the workspace that the repository at its top takes hooks or further settings from."""
    folder = workspace / ".git"
    text = _plain_file(folder / "config")
    found = [os.path.join(workspace, name.strip()) for name in _HOOKS.findall(text)[-1:]]
    found += [os.path.join(folder, os.path.expanduser(name.strip())) for name in _INCLUDES.findall(text)]
    inside = []
    for path in found:
        relative = os.path.relpath(os.path.realpath(path), os.path.realpath(workspace))
        if relative != "." and not relative.startswith(".."):
            inside.append(tuple(relative.split("/")))
    return inside


def _named(parts: Sequence[str], workspace: Path) -> str | None:
    return GIT if any(tuple(parts[: len(named)]) == named for named in named_by_git(workspace)) else None


def _plain_file(path: Path) -> str:
    """The beginning of a file; empty for one that is not there or is a pipe, which could keep us waiting for ever."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return ""
    with open(handle, "rb") as file:
        plain = stat.S_ISREG(os.fstat(handle).st_mode)
        return file.read(1 << 20).decode("utf-8", "replace") if plain else ""
