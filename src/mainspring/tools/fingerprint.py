"""Tells whether anything in a workspace changed, and what, without reading a single file."""

from __future__ import annotations

import hashlib
import os
import secrets
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mainspring.tools.paths import printable

MAX_FILES = 50_000
_KEPT = 64
# Caches that any run of a program may touch, and git's folder, which no command can write.
_IGNORED = frozenset({"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".git"})


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The state of a workspace.

    Args:
        digest: changes with any file's name, kind, size, times or inode.
        complete: False when there were more files than are looked at.
        files: what was seen of each, by path.
    """

    digest: str
    complete: bool
    files: Mapping[str, str]

    def changes(self, later: Fingerprint) -> list[str]:
        """Paths that were made, changed or removed since, fit to print, with ``+``, ``~`` or ``-`` before them."""
        made = [f"+{p}" for p in later.files if p not in self.files]
        changed = [f"~{p}" for p, seen in later.files.items() if self.files.get(p, seen) != seen]
        removed = [f"-{p}" for p in self.files if p not in later.files]
        return [printable(p) for p in sorted(made + changed + removed, key=lambda p: p[1:])]

    def save(self, home: Path) -> None:
        """Keep it in ``home/fingerprints``, under its digest; only the newest few are kept."""
        folder = home / "fingerprints"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = folder / self.digest
        if target.exists():
            os.utime(target)
            return
        text = "\n".join(f"{path}\0{seen}" for path, seen in self.files.items())
        temporary = folder / f"{self.digest}.{secrets.token_hex(4)}"
        temporary.write_bytes(zlib.compress(text.encode("utf-8", "surrogateescape"), 1))
        temporary.rename(target)
        forget_old(folder, _KEPT)

    @classmethod
    def load(cls, home: Path, digest: str) -> Fingerprint | None:
        """One that was saved, or None when it is gone."""
        try:
            data = zlib.decompress((home / "fingerprints" / digest).read_bytes())
        except (OSError, zlib.error):
            return None
        rows = data.decode("utf-8", "surrogateescape").split("\n") if data else []
        return cls(digest, True, dict(row.rsplit("\0", 1) for row in rows if "\0" in row))


def take(workspace: Path, home: Path | None = None, limit: int = MAX_FILES) -> Fingerprint:
    """Look at every file of a workspace, at most `limit` of them, nearest to the top first."""
    root = os.path.realpath(workspace)
    hidden = None if home is None else os.path.realpath(home)
    files: dict[str, str] = {}
    folders = [root]
    complete = True
    for folder in folders:
        try:
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda e: e.name)
        except OSError:
            continue
        for entry in found:
            if entry.name in _IGNORED or entry.path == hidden:
                continue
            if len(files) >= limit:
                complete = False
                break
            path = entry.path[len(root) + 1 :].replace("\n", "\\n")
            try:
                s = entry.stat(follow_symlinks=False)
            except OSError:
                files[path] = "gone"
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
                files[path] = f"{s.st_mode} {s.st_ino}"  # a folder's times change with every temporary file in it
            else:
                files[path] = f"{s.st_mode} {s.st_ino} {s.st_size} {s.st_mtime_ns} {s.st_ctime_ns}"
        if not complete:
            break
    total = hashlib.sha256()
    for path, seen in files.items():
        total.update(f"{path}\0{seen}\n".encode("utf-8", "surrogateescape"))
    return Fingerprint(total.hexdigest(), complete, files)


def forget_old(folder: Path, keep: int) -> None:
    """Remove all but the newest files of a folder."""
    with os.scandir(folder) as entries:
        files = sorted(((e.stat().st_mtime_ns, e.path) for e in entries if e.is_file()), reverse=True)
    for _, path in files[keep:]:
        Path(path).unlink(missing_ok=True)
