"""Reads a repository through git without letting its settings run anything or lead elsewhere."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from mainspring.errors import ToolError

__all__ = ["git", "git_folder"]

#: Settings of a repository name programs that git starts, or files that it reads. These win over them.
_SETTINGS = (
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.hooksPath=/dev/null",
    "core.excludesFile=/dev/null",
    "core.attributesFile=/dev/null",
    "core.sshCommand=false",
    "core.pager=cat",
    "log.showSignature=false",
    "diff.external=",
    "protocol.allow=never",
    "gc.auto=0",
    "maintenance.auto=false",
    "safe.directory=*",  # it may belong to somebody else: nothing of it is run
)
_MOST_BYTES = 256 << 20


def git_folder(root: Path) -> Path | None:
    """The `.git` of a repository, or None where there is none that is its own.

    A `.git` file is followed only when what it names points back to it, as it does for a worktree and a submodule;
    another one could make us read a repository that has nothing to do with this folder.
    """
    place = root / ".git"
    if place.is_symlink():
        return None
    if place.is_dir():
        return place if (place / "HEAD").is_file() else None
    try:
        if not place.is_file() or place.stat().st_size > 8192:
            return None
        words = place.read_text(encoding="utf-8").strip()
        if not words.startswith("gitdir: "):
            return None
        target = (root / words.removeprefix("gitdir: ")).resolve()
        for name, mine in (("gitdir", place), ("config", root)):
            said = target / name
            if said.is_file() and said.stat().st_size < 65536 and _points_back(target, said, mine):
                return place
    except (OSError, ValueError):
        return None
    return None


def _points_back(target: Path, said: Path, mine: Path) -> bool:
    text = said.read_text(encoding="utf-8", errors="surrogateescape")
    if said.name == "gitdir":
        return Path(text.strip()).resolve() == mine.resolve()
    for line in text.splitlines():
        key, _, value = line.strip().partition("=")
        if key.strip().lower() == "worktree":
            return (target / value.strip()).resolve() == mine.resolve()
    return False


def git(root: Path, *arguments: str, timeout_s: float = 20.0) -> bytes:
    """What a git command that only reads says.

    Raises:
        ToolError: there is no git, it failed, took too long or said too much.
    """
    command = ["git", f"--git-dir={root / '.git'}", f"--work-tree={root}", "--no-pager", "--no-replace-objects"]
    for setting in _SETTINGS:
        command += ["-c", setting]
    environment = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "LC_ALL": "C",
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_FLUSH": "0",
    }
    try:
        done = subprocess.run(
            [*command, *arguments],
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except FileNotFoundError:
        raise ToolError("git is not installed; install it, or the files are found by walking the folders") from None
    except subprocess.TimeoutExpired:
        raise ToolError(f"git {arguments[0]} took longer than {timeout_s:g} s and was given up") from None
    except OSError as error:
        raise ToolError(f"git cannot be started: {error.strerror}") from None
    if done.returncode or len(done.stdout) > _MOST_BYTES:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise ToolError(f"git {arguments[0]} failed: {said[0][:200] if said else f'exit {done.returncode}'}")
    return done.stdout
