"""A package's releases as a git repository, one commit each."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

_WHO = {"GIT_AUTHOR_NAME": "releases", "GIT_AUTHOR_EMAIL": "releases@example.org"}
_WHO |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in _WHO.items()}


class Worktree:
    """A folder that is moved from release to release; unchanged files are not touched, as after a checkout."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._files: dict[str, bytes] = {}
        self._commits = 0
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        self._git("init", "--quiet")

    def move(self, files: Mapping[str, bytes], version: str) -> list[str]:
        """Make the folder hold exactly these files, and commit them. Returns all tracked paths."""
        for path in self._files.keys() - files.keys():
            (self.root / path).unlink()
        for path, data in files.items():
            if self._files.get(path) != data:
                target = self.root / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
        self._files = dict(files)
        # What a release's own .gitignore names was shipped nevertheless.
        self._git("add", "--all", "--force")
        self._git("commit", "--quiet", "--allow-empty", "-m", version)
        self._commits += 1
        return sorted(os.fsdecode(path) for path in self._git("ls-files", "-z").split(b"\0") if path)

    def _git(self, *arguments: str) -> bytes:
        day = f"2020-01-01T00:{self._commits:02}:00Z"
        environment = {**os.environ, **_WHO, "GIT_AUTHOR_DATE": day, "GIT_COMMITTER_DATE": day}
        environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        command = ["git", "-c", "gc.auto=0", "-c", "core.autocrlf=false", *arguments]
        return subprocess.run(command, cwd=self.root, env=environment, check=True, stdout=subprocess.PIPE).stdout
