"""The `edit_file` tool: one exact replacement, written at once and kept undoable.

`prepare` works out the change and puts the old content aside before the intent is committed; `apply` writes;
`reconcile` compares digests after a crash. A file is always either wholly old or wholly new.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mainspring.errors import ToolError
from mainspring.tool import DidNotHappen, Happened, Settled, Unknown
from mainspring.tools.matching import replace_text
from mainspring.tools.paths import MissingError, Place, locate, suggest
from mainspring.tools.textfile import Encoding, encoding_of, size

MAX_BYTES = 16 << 20
_DIFF_LINES = 120
_DIFF_CHARACTERS = 12_000


@dataclass(frozen=True, slots=True)
class Change:
    """One file's content before and after; `before` is None for a file that is made."""

    path: str
    before: bytes | None
    after: bytes

    def describe(self) -> str:
        """What changed, as a unified diff of bounded length."""
        encoding = encoding_of(self.before or self.after, whole=True) or Encoding("latin-1")
        old = encoding.decode(self.before or b"").splitlines(keepends=True)
        new = encoding.decode(self.after).splitlines(keepends=True)
        lines = [line.rstrip("\r\n") for line in difflib.unified_diff(old, new, self.path, self.path, n=2)]
        head = f"created {self.path}, {len(new)} lines" if self.before is None else f"edited {self.path}"
        text = "\n".join(lines[:_DIFF_LINES])[:_DIFF_CHARACTERS]
        if len(text) < len("\n".join(lines)):
            text += f"\n[... the diff has {len(lines):,} lines ...]"
        return f"{head}\n{text}"


def plan(workspace: Path, home: Path | None, path: str, old: str, new: str, every: bool = False) -> Change:
    """Work the change out without writing anything. Raises ToolError when it does not fit."""
    try:
        with locate(workspace, path, home=home, write=True) as place:
            before = content(place)
            shown = place.path
    except MissingError:
        before, shown = None, os.path.normpath(path)
    if before is None:
        if old:
            near = suggest(workspace, path)
            hint = f"did you mean {', '.join(near)}?" if near else "to make a new file, leave `old` empty"
            raise ToolError(f"{shown} does not exist; {hint}")
        return Change(shown, None, Encoding("utf-8").encode(new, shown))
    if not before:
        if old:
            raise ToolError(f"{shown} is empty; leave `old` empty to write it")
        return Change(shown, before, Encoding("utf-8").encode(new, shown))
    encoding = encoding_of(before, whole=True)
    if encoding is None:
        raise ToolError(f"{shown} is a binary file ({size(len(before))}); only text can be edited")
    after = encoding.encode(replace_text(encoding.decode(before), old, new, shown, every), shown)
    return Change(shown, before, after)


def prepare(home: Path | None, change: Change) -> dict[str, Any]:
    """Put the old content aside, and return what the intent records of the change."""
    undo = None
    if change.before is not None and home is not None:
        undo = keep(home, change.before)
    return {"path": change.path, "before": digest(change.before), "after": digest(change.after), "undo": undo}


def apply(workspace: Path, home: Path | None, change: Change, key: str = "") -> str:
    """Write the change and describe it.

    Raises:
        ToolError: the file is no longer what it was when the change was worked out.
    """
    with locate(workspace, change.path, home=home, write=True, make=change.before is None) as place:
        if content(place) != change.before:
            raise ToolError(f"{change.path} was changed by someone else meanwhile; read it again")
        write(place, change.after, key)
    return change.describe()


def reconcile(workspace: Path, home: Path | None, prepared: Mapping[str, Any] | None, key: str) -> Settled:
    """After a crash: the file's digest tells whether the change was written."""
    if prepared is None:
        return Unknown("nothing was recorded before the edit")
    try:
        with locate(workspace, str(prepared["path"]), home=home, write=True) as place:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(_temporary(key), dir_fd=place.folder)
            now = content(place)
    except MissingError:
        now = None
    if digest(now) == prepared["before"]:
        return DidNotHappen()
    if now is not None and digest(now) == prepared["after"]:
        before = kept(home, prepared["undo"]) if prepared["undo"] and home is not None else None
        if prepared["before"] is not None and before is None:
            return Happened(f"edited {prepared['path']}")
        return Happened(Change(str(prepared["path"]), before, now).describe())
    return Unknown(f"{prepared['path']} is neither as it was before the edit nor as it should be after it")


def content(place: Place) -> bytes | None:
    """A plain file's bytes, or None when nothing is there. Raises ToolError for anything else, or too large."""
    try:
        fd = place.open()
    except MissingError:
        return None
    status = os.fstat(fd)
    if stat.S_ISDIR(status.st_mode):
        os.close(fd)
        raise ToolError(f"{place.path} is a folder, not a file")
    with os.fdopen(fd, "rb") as file:
        if status.st_size > MAX_BYTES:
            raise ToolError(f"{place.path} is larger than {size(MAX_BYTES)}; edit it with a command")
        return file.read(MAX_BYTES + 1)


def write(place: Place, data: bytes, key: str = "") -> None:
    """Replace a file's content in one step: a new file beside it, flushed to disk, then renamed over it."""
    status = place.status()
    temporary = _temporary(key)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=place.folder)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    mode = 0o666 if status is None else 0o600
    try:
        fd = os.open(temporary, flags, mode, dir_fd=place.folder)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            if status is not None:
                with contextlib.suppress(PermissionError):
                    os.fchown(fd, status.st_uid, status.st_gid)
                os.fchmod(fd, stat.S_IMODE(status.st_mode))
            file.flush()
            os.fsync(fd)
        os.rename(temporary, place.name, src_dir_fd=place.folder, dst_dir_fd=place.folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=place.folder)
        raise ToolError(f"{place.path} cannot be written: {error.strerror}") from None
    os.fsync(place.folder)


def digest(data: bytes | None) -> str | None:
    """SHA-256 in hex, or None for a file that is not there."""
    return None if data is None else hashlib.sha256(data).hexdigest()


def keep(home: Path, data: bytes) -> str:
    """Store content under its digest in ``home/undo`` and return the digest."""
    name = hashlib.sha256(data).hexdigest()
    folder = home / "undo" / name[:2]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = folder / name
    if not target.exists():
        temporary = folder / f"{name}.{secrets.token_hex(4)}"
        with open(temporary, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(target)
    return name


def kept(home: Path, name: str) -> bytes | None:
    """Content stored by :func:`keep`, or None when it is gone or damaged."""
    try:
        data = (home / "undo" / name[:2] / name).read_bytes()
    except OSError:
        return None
    return data if hashlib.sha256(data).hexdigest() == name else None


def _temporary(key: str) -> str:
    # The name follows from the effect's key, so that what a crash left behind is found again.
    tail = hashlib.sha256(key.encode()).hexdigest()[:16] if key else secrets.token_hex(8)
    return f".mainspring-{tail}.tmp"
