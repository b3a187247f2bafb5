"""The `edit_file` tool: one exact replacement, checked for syntax, written at once and kept undoable.

`prepare` works out the change and puts the old content aside before the intent is committed; `apply` writes;
`reconcile` compares digests after a crash. A file is always either wholly old or wholly new.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mainspring.errors import ToolError
from mainspring.tool import DidNotHappen, Happened, Settled, Unknown
from mainspring.tools.matching import replace_text
from mainspring.tools.paths import MissingError, Place, locate, suggest
from mainspring.tools.syntax import judge
from mainspring.tools.textfile import Encoding, decoded, encoding_of, size

MAX_BYTES = 16 << 20
_DIFF_LINES = 120
_DIFF_CHARACTERS = 12_000
#: Longer files are compared only between the first and the last line that differ.
_COMPARED_LINES = 5_000


@dataclass(frozen=True, slots=True)
class Change:
    """One file's content before and after.

    Args:
        path: from the workspace, links resolved.
        before: None for a file that is made.
        after: None for a file that is removed.
        executable: whether it may be run afterwards; None leaves that as it is.
        source: the file whose content it takes over (a rename, a copy), or "".
        note: told beside the diff.
    """

    path: str
    before: bytes | None
    after: bytes | None
    executable: bool | None = None
    source: str = ""
    note: str = ""

    def describe(self) -> str:
        """What changed, as a unified diff of bounded length."""
        encoding = encoding_of(self.before or self.after or b"", whole=True) or Encoding("latin-1")
        old = encoding.decode(self.before or b"").splitlines(keepends=True)
        new = encoding.decode(self.after or b"").splitlines(keepends=True)
        if self.before is None:
            head = f"created {self.path}, {len(new)} lines"
        else:
            head = f"removed {self.path}" if self.after is None else f"edited {self.path}"
        if max(len(old), len(new)) > _COMPARED_LINES:
            lines = _rough_diff(old, new, self.path)
        else:
            lines = [line.rstrip("\r\n") for line in difflib.unified_diff(old, new, self.path, self.path, n=2)]
        text = "\n".join(lines[:_DIFF_LINES])[:_DIFF_CHARACTERS]
        if len(text) < len("\n".join(lines)):
            text += f"\n[... the diff has {len(lines):,} lines ...]"
        return "\n".join(part for part in (head, text, self.note) if part)


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
        return checked(Change(shown, None, Encoding("utf-8").encode(new, shown)))
    if not before:
        if old:
            raise ToolError(f"{shown} is empty; leave `old` empty to write it")
        return checked(Change(shown, before, Encoding("utf-8").encode(new, shown)))
    encoding = encoding_of(before, whole=True)
    if encoding is None:
        raise ToolError(f"{shown} is a binary file ({size(len(before))}); only text can be edited")
    after = encoding.encode(replace_text(decoded(before, encoding, shown), old, new, shown, every), shown)
    return checked(Change(shown, before, after))


def checked(change: Change) -> Change:
    """The change, with a note when its file does not parse.

    Raises:
        ToolError: the file parsed before and would not afterwards, or would have more broken places.
    """
    if change.after is None or change.after == change.before:
        return change
    verdict = judge(change.path, change.before, change.after)
    if verdict.refusal is not None:
        raise ToolError(verdict.refusal)
    return change if verdict.warning is None else replace(change, note=verdict.warning)


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
    assert change.after is not None
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
                os.unlink(temporary(key), dir_fd=place.folder)
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


def write(place: Place, data: bytes, key: str = "", mode: int | None = None) -> None:
    """Replace a file's content in one step: a new file beside it, flushed to disk, then renamed over it.

    Args:
        mode: permission bits for a file that is not there; the usual ones by default.
    """
    name = temporary(key)
    put(place, data, name, mode=mode)
    move(place, name)


def put(
    place: Place,
    data: bytes,
    name: str,
    executable: bool | None = None,
    mode: int | None = None,
    *,
    flush: bool = True,
) -> None:
    """Write a new file beside a place, with the owner and mode of what is there, and flush it to disk.

    Args:
        name: of the new file; one that a crash left under this name is replaced.
        executable: whether it may be run; None leaves that as it is.
        mode: permission bits when nothing is at the place; the usual ones by default.
        flush: wait until the disk has it.

    Raises:
        ToolError: it cannot be written; nothing is left behind.
    """
    status = place.status()
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=place.folder)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(name, flags, 0o666 if status is None else 0o600, dir_fd=place.folder)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            if status is not None:
                with contextlib.suppress(PermissionError):
                    os.fchown(fd, status.st_uid, status.st_gid)
                mode = stat.S_IMODE(status.st_mode)
            mode = stat.S_IMODE(os.fstat(fd).st_mode) if mode is None else mode
            os.fchmod(fd, runnable(mode, executable))
            file.flush()
            if flush:
                os.fsync(fd)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=place.folder)
        raise ToolError(f"{place.path} cannot be written: {error.strerror}") from None


def move(place: Place, name: str, *, flush: bool = True) -> None:
    """Let the file that :func:`put` wrote take its place. Raises ToolError."""
    try:
        os.rename(name, place.name, src_dir_fd=place.folder, dst_dir_fd=place.folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=place.folder)
        raise ToolError(f"{place.path} cannot be written: {error.strerror}") from None
    if flush:
        os.fsync(place.folder)


def runnable(mode: int, executable: bool | None) -> int:
    """Permission bits with those for running set for whoever may read, or cleared; None leaves them."""
    if executable is None:
        return mode
    return mode | (mode & 0o444) >> 2 if executable else mode & ~0o111


def digest(data: bytes | None) -> str | None:
    """SHA-256 in hex, or None for a file that is not there."""
    return None if data is None else hashlib.sha256(data).hexdigest()


def keep(home: Path, data: bytes, *, flush: bool = True) -> str:
    """Store content under its digest in ``home/undo`` and return the digest; with `flush`, the disk has it then."""
    name = hashlib.sha256(data).hexdigest()
    folder = home / "undo" / name[:2]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = folder / name
    if not target.exists():
        unfinished = folder / f"{name}.{secrets.token_hex(4)}"
        with open(unfinished, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(data)
            file.flush()
            if flush:
                os.fsync(file.fileno())
        unfinished.rename(target)
    return name


def kept(home: Path, name: str) -> bytes | None:
    """Content stored by :func:`keep`, or None when it is gone or damaged."""
    try:
        data = (home / "undo" / name[:2] / name).read_bytes()
    except OSError:
        return None
    return data if hashlib.sha256(data).hexdigest() == name else None


def temporary(key: str) -> str:
    """The name under which a file is written before it takes its place.

    It follows from the effect's key, so that what a crash left behind is found again.
    """
    tail = hashlib.sha256(key.encode()).hexdigest()[:16] if key else secrets.token_hex(8)
    return f".mainspring-{tail}.tmp"


def _rough_diff(old: list[str], new: list[str], path: str) -> list[str]:
    """A diff of long files in linear time: what is alike at both ends is left out, what is between is shown whole."""
    most = min(len(old), len(new))
    head = next((n for n in range(most) if old[n] != new[n]), most)
    tail = next((n for n in range(most - head) if old[-1 - n] != new[-1 - n]), most - head)
    gone, come = old[head : len(old) - tail], new[head : len(new) - tail]
    if max(len(gone), len(come)) <= _COMPARED_LINES:
        first = max(0, head - 2)
        last = [len(side) - max(0, tail - 2) for side in (old, new)]
        rows = list(difflib.unified_diff(old[first : last[0]], new[first : last[1]], path, path, n=2))
        return [_shifted(row, first).rstrip("\r\n") for row in rows]
    where = f"@@ -{head + 1},{len(gone)} +{head + 1},{len(come)} @@"
    return [where, *(f"-{line.rstrip()}" for line in gone), *(f"+{line.rstrip()}" for line in come)]


def _shifted(row: str, by: int) -> str:
    """A hunk's headline with its line numbers counted from the file's beginning."""
    if not row.startswith("@@"):
        return row
    return re.sub(r"([-+])(\d+)", lambda match: f"{match[1]}{int(match[2]) + by}", row)
