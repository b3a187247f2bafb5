"""Several files changed as one: all of them or none, whenever the process dies.

Before the intent is committed, every old content lies in ``home/undo`` (`prepare`). `apply` writes all new contents
beside their files and only then renames one after the other. After a crash `reconcile` looks at every file: when all
are as they should be it happened; when only some are, those are given back what they had, so that none has changed and
the edit may run again.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from mainspring.errors import ToolError
from mainspring.tool import DidNotHappen, Happened, Settled, Unknown
from mainspring.tools.editing import Change, content, digest, keep, kept, move, put, runnable, temporary, write
from mainspring.tools.paths import MissingError, Place, locate

__all__ = ["MAX_FILES", "apply", "prepare", "reconcile", "state", "summary", "take_back"]

#: How many files one edit may change.
MAX_FILES = 5_000
_DESCRIBED_CHARACTERS = 16_000
_NAMED = 12
#: More files than this are flushed to disk together: one wait instead of two for each.
_FLUSHED_SINGLY = 16

#: How a file is to what was recorded of it; ``"same"`` means that the edit does not change its content.
State: TypeAlias = Literal["before", "after", "same", "other"]


def prepare(workspace: Path, home: Path | None, changes: Sequence[Change]) -> dict[str, Any]:
    """Put the old contents aside, and return what the intent records of the changes."""
    files = []
    single = len(changes) <= _FLUSHED_SINGLY
    for change in changes:
        entry: dict[str, Any] = {"path": change.path, "before": digest(change.before), "after": digest(change.after)}
        entry["undo"] = (
            keep(home, change.before, flush=single) if change.before is not None and home is not None else None
        )
        if change.before is not None and (change.after is None or change.executable is not None):
            entry["mode"] = _mode(workspace, home, change.path)
        if change.source:
            source = next((c.before for c in changes if c.path == change.source), None)
            entry["source"] = [change.source, digest(source)]
        files.append(entry)
    if home is not None and not single:
        _flush([home])
    return {"files": files, "made": _folders_to_make(workspace, changes)}


def apply(workspace: Path, home: Path | None, changes: Sequence[Change], key: str = "") -> str:
    """Write all changes and describe them.

    Raises:
        ToolError: a file is no longer what it was, or cannot be written; then nothing is changed.
    """
    made = _folders_to_make(workspace, changes)
    names = {change.path: temporary(f"{key}\0{change.path}" if key else "") for change in changes}
    done: list[Change] = []
    modes: dict[str, int] = {}
    single = len(changes) <= _FLUSHED_SINGLY
    folders = [workspace / os.path.dirname(change.path) for change in changes]
    try:
        for change in changes:
            with locate(workspace, change.path, home=home, write=True, make=change.before is None) as place:
                if content(place) != change.before:
                    raise ToolError(f"{change.path} was changed by someone else meanwhile; read it again")
                status = place.status()
                if status is not None:
                    modes[change.path] = stat.S_IMODE(status.st_mode)
                if change.after is not None and change.after != change.before:
                    put(place, change.after, names[change.path], change.executable, flush=single)
        if not single:
            _flush(folders)
        # What is removed goes last, so that a renamed file is never in neither place.
        for change in sorted(changes, key=lambda c: c.after is None):
            with locate(workspace, change.path, home=home, write=True) as place:
                if content(place) != change.before:
                    raise ToolError(f"{change.path} was changed by someone else meanwhile; read it again")
                done.append(change)
                if change.after is None:
                    _remove(place.folder, place.name, place.path, flush=single)
                elif change.after != change.before:
                    move(place, names[change.path], flush=single)
                else:
                    _set_mode(place, runnable(modes[change.path], change.executable))
        if not single:
            _flush(folders)
    except (ToolError, OSError) as error:
        _roll_back(workspace, home, done, names, modes)
        _remove_folders(workspace, home, made)
        raise ToolError(f"nothing was changed: {error}") from None
    return summary(changes)


def reconcile(workspace: Path, home: Path | None, prepared: Mapping[str, Any] | None, key: str) -> Settled:
    """After a crash: adopted when every file is as it should be, else taken back, so that it may run again.

    When somebody else changed one of the files meanwhile, nothing is touched and a person has to look.
    """
    if prepared is None:
        return Unknown("nothing was recorded before the edit")
    entries = prepared["files"]
    _sweep(workspace, home, entries, key)
    states = [state(workspace, home, entry) for entry in entries]
    foreign = [entry["path"] for entry, now in zip(entries, states, strict=True) if now == "other"]
    changed = [entry for entry, now in zip(entries, states, strict=True) if now == "after"]
    if foreign:
        return Unknown(
            f"{_named(foreign)} {'is' if len(foreign) == 1 else 'are'} neither as before the edit nor as after it; "
            f"of the {len(entries)} files, {len(changed)} are changed"
        )
    if changed and "before" not in states:
        return Happened(summary([_known(workspace, home, entry) for entry in entries]))
    try:
        take_back(workspace, home, prepared)
    except ToolError as error:
        return Unknown(f"the edit reached {len(changed)} of {len(entries)} files and cannot be taken back: {error}")
    return DidNotHappen()


def take_back(workspace: Path, home: Path | None, prepared: Mapping[str, Any]) -> list[str]:
    """Give files the content that they had before the edit; those that have it already are left alone.

    Returns:
        The paths that were restored or removed.

    Raises:
        ToolError: a file is neither as before nor as after, or an old content is gone; then nothing is changed.
    """
    entries = list(prepared["files"])
    states = [state(workspace, home, entry) for entry in entries]
    foreign = [entry["path"] for entry, now in zip(entries, states, strict=True) if now == "other"]
    if foreign:
        raise ToolError(f"{_named(foreign)} changed after this edit; take that back first")
    contents: dict[str, bytes] = {}
    for entry, now in zip(entries, states, strict=True):
        if now == "after" and entry["before"] is not None:
            before = kept(home, entry["undo"]) if home is not None and entry["undo"] else None
            if before is None:
                where = "home" if home is None else str(home / "undo")
                raise ToolError(f"the old content of {entry['path']} is not in {where} any more; it cannot be restored")
            contents[entry["path"]] = before
    restored = []
    single = len(entries) <= _FLUSHED_SINGLY
    # What the edit removed comes back first, what it made goes last.
    for entry, now in sorted(zip(entries, states, strict=True), key=lambda pair: pair[0]["before"] is None):
        if now == "after":
            restored.append(entry["path"])
        if now == "after" and entry["before"] is None:
            with locate(workspace, entry["path"], home=home, write=True) as place:
                _remove(place.folder, place.name, place.path, flush=single)
        elif now == "after":
            with locate(workspace, entry["path"], home=home, write=True, make=True) as place:
                name = temporary("")
                put(place, contents[entry["path"]], name, mode=entry.get("mode"), flush=single)
                move(place, name, flush=single)
        if now in ("after", "same") and entry["before"] is not None and entry.get("mode") is not None:
            with locate(workspace, entry["path"], home=home, write=True) as place:
                _set_mode(place, entry["mode"])
    if not single:
        _flush(workspace / os.path.dirname(entry["path"]) for entry in entries)
    _remove_folders(workspace, home, prepared.get("made", ()))
    return restored


def state(workspace: Path, home: Path | None, entry: Mapping[str, Any]) -> State:
    """How a file is to what was recorded of it before the edit."""
    try:
        with locate(workspace, str(entry["path"]), home=home, write=True) as place:
            now = digest(content(place))
    except MissingError:
        now = None
    except ToolError:
        return "other"  # a folder or a pipe by now, or too large
    if now == entry["before"]:
        return "same" if now == entry["after"] else "before"
    return "after" if now == entry["after"] else "other"


def summary(changes: Sequence[Change]) -> str:
    """What changed, file by file, as diffs of bounded length."""
    if len(changes) == 1:
        return changes[0].describe()
    parts, length = [f"changed {len(changes):,} files"], 0
    for number, change in enumerate(changes):
        part = change.describe()
        length += len(part)
        if length > _DESCRIBED_CHARACTERS:
            left = [c.path for c in changes[number:]]
            parts.append(f"[... no room for the diffs of {_named(left)} ...]")
            notes = [c.note for c in changes[number:] if c.note]
            parts += notes[:_NAMED]
            break
        parts.append(part)
    return "\n".join(parts)


def _named(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _NAMED:,} more" if len(paths) > _NAMED else ""
    return ", ".join(paths[:_NAMED]) + more


def _known(workspace: Path, home: Path | None, entry: Mapping[str, Any]) -> Change:
    """A change that was made, as far as its contents are still there."""
    before = kept(home, entry["undo"]) if home is not None and entry["undo"] else None
    if entry["after"] is None:
        return Change(entry["path"], before or b"", None)
    with locate(workspace, entry["path"], home=home, write=True) as place:
        after = content(place)
    return Change(entry["path"], None if entry["before"] is None else before or b"", after)


def _mode(workspace: Path, home: Path | None, path: str) -> int:
    with locate(workspace, path, home=home, write=True) as place:
        status = place.status()
    if status is None:
        raise ToolError(f"{path} was removed by someone else meanwhile")
    return stat.S_IMODE(status.st_mode)


def _set_mode(place: Place, mode: int) -> None:
    fd = place.open()  # not by name: a link put there meanwhile would be followed
    try:
        os.fchmod(fd, mode)
    finally:
        os.close(fd)


def _remove(folder: int, name: str, shown: str, *, flush: bool = True) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except OSError as error:
        raise ToolError(f"{shown} cannot be removed: {error.strerror}") from None
    if flush:
        os.fsync(folder)


def _flush(folders: Iterable[Path]) -> None:
    """Wait until the disk has all that was written, once for each file system (Linux's `syncfs`)."""
    import ctypes

    flushed = set()
    for folder in folders:
        try:
            device = os.stat(folder).st_dev
        except OSError:
            continue
        if device in flushed:
            continue
        flushed.add(device)
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if ctypes.CDLL(None, use_errno=True).syncfs(fd) != 0:
                raise ToolError(f"the disk did not take what was written: {os.strerror(ctypes.get_errno())}")
        finally:
            os.close(fd)


def _folders_to_make(workspace: Path, changes: Iterable[Change]) -> list[str]:
    """Folders that are not there yet, outer ones first."""
    found: set[str] = set()
    for change in changes:
        folder = os.path.dirname(change.path) if change.before is None else ""
        while folder and folder not in found and not os.path.lexists(workspace / folder):
            found.add(folder)
            folder = os.path.dirname(folder)
    return sorted(found)


def _remove_folders(workspace: Path, home: Path | None, made: Iterable[str]) -> None:
    """Remove folders that the edit had made, as far as they are empty."""
    for folder in sorted(made, reverse=True):
        with contextlib.suppress(ToolError, OSError), locate(workspace, folder, home=home, write=True) as place:
            os.rmdir(place.name, dir_fd=place.folder)


def _sweep(workspace: Path, home: Path | None, entries: Iterable[Mapping[str, Any]], key: str) -> None:
    """Remove what a crash left beside the files."""
    for entry in entries:
        with (
            contextlib.suppress(ToolError, FileNotFoundError),
            locate(workspace, str(entry["path"]), home=home, write=True) as place,
        ):
            os.unlink(temporary(f"{key}\0{entry['path']}"), dir_fd=place.folder)


def _roll_back(
    workspace: Path, home: Path | None, done: Sequence[Change], names: Mapping[str, str], modes: Mapping[str, int]
) -> None:
    """Undo a half-written edit from memory. Raises ToolError, naming the files, when that fails as well."""
    for path, name in names.items():
        with (
            contextlib.suppress(ToolError, FileNotFoundError),
            locate(workspace, path, home=home, write=True) as place,
        ):
            os.unlink(name, dir_fd=place.folder)
    stuck = []
    for change in reversed(done):
        try:
            with locate(workspace, change.path, home=home, write=True) as place:
                if content(place) != change.after:
                    continue  # it never changed, or somebody else has changed it since
                if change.before is None:
                    _remove(place.folder, place.name, place.path)
                    continue
                if change.before != change.after:
                    write(place, change.before)
                _set_mode(place, modes[change.path])
        except (ToolError, OSError) as error:
            stuck.append(f"{change.path} ({error})")
    if stuck:
        raise ToolError(f"the edit failed half-way, and these files could not be given back: {', '.join(stuck)}")
