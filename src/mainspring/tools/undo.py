"""Takes edits back: what `edit_file`, `replace_symbol` and `apply_patch` recorded in their intents is enough."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mainspring.errors import ToolError
from mainspring.tools import together
from mainspring.tools.editing import content, digest, kept, write
from mainspring.tools.paths import MissingError, locate

__all__ = ["Edit", "RunEventLike", "Undone", "list_edits", "undo_edit", "undo_run"]

#: Tools whose intents record what an edit replaced.
EDITORS = frozenset({"edit_file", "replace_symbol", "apply_patch"})


class RunEventLike(Protocol):
    """What is needed of a run's event."""

    @property
    def kind(self) -> str: ...
    @property
    def seq(self) -> int | None: ...
    @property
    def payload(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Edit:
    """An edit that took effect.

    Args:
        seq: sequence number of its intent in the run's journal.
        path: the file, relative to the workspace; the first one when there are several.
        created: the edit made the file (all of its files).
        payload: the intent's payload, as :func:`undo_edit` takes it.
        paths: every file that it changed.
        tool: the tool that made it.
    """

    seq: int
    path: str
    created: bool
    payload: Mapping[str, Any]
    paths: tuple[str, ...] = ()
    tool: str = "edit_file"


@dataclass(frozen=True, slots=True)
class Undone:
    """What :func:`undo_run` did.

    Args:
        done: what was taken back, newest first, for a person.
        refused: why an edit could not be taken back, where none of its files' edits fitted.
    """

    done: tuple[str, ...]
    refused: tuple[str, ...]


def list_edits(events: Iterable[RunEventLike]) -> list[Edit]:
    """The edits of a run that took effect, oldest first."""
    intended: dict[int, Mapping[str, Any]] = {}
    found = []
    for event in events:
        payload = event.payload
        if event.kind == "effect.intended" and payload.get("tool") in EDITORS and payload.get("prepared"):
            assert event.seq is not None
            intended[event.seq] = payload
        elif event.kind == "effect.done" and payload.get("intent") in intended and not payload.get("is_error"):
            seq = payload["intent"]
            entries = _entries(intended[seq]["prepared"])
            paths = tuple(str(entry["path"]) for entry in entries)
            created = all(entry["before"] is None for entry in entries)
            found.append(Edit(seq, paths[0], created, intended[seq], paths, intended[seq]["tool"]))
    return found


def undo_edit(home: Path, workspace: Path, intended_payload: Mapping[str, Any], later: Sequence[Edit] = ()) -> str:
    """Give an edit's files the content they had before it, or remove those that it made: all of them or none.

    Args:
        home: Mainspring's folder, which holds the old content.
        workspace: the run's workspace.
        intended_payload: payload of the edit's ``effect.intended`` event.
        later: edits that came after it, to name the one that is in the way.

    Returns:
        What was done, for a person.

    Raises:
        ToolError: a file was changed since (it says which and by what), or its old content is gone.
    """
    prepared = intended_payload.get("prepared")
    if intended_payload.get("tool") not in EDITORS or not prepared:
        raise ToolError(f"this event is no intent of {_any_of(EDITORS)}; only their edits can be taken back")
    try:
        return _undo_one(home, workspace, prepared) if "files" not in prepared else _undo_all(home, workspace, prepared)
    except ToolError as error:
        names = {str(entry["path"]) for entry in _entries(prepared)}
        blocking = [e for e in later if names & set(e.paths) and not _taken_back(home, workspace, e)]
        if not blocking:
            raise
        shown = "; ".join(
            f"{e.tool} at event {e.seq} ({', '.join(sorted(names & set(e.paths)))})" for e in blocking[:5]
        )
        raise ToolError(f"{error} (later: {shown})") from None


def undo_run(home: Path, workspace: Path, events: Iterable[RunEventLike], last: int | None = None) -> Undone:
    """Take back a run's edits, newest first.

    What was taken back before does not count: then a file's content fits an older edit and not the newest one. An edit
    whose files fit none is left, and said in the answer.

    Args:
        home: Mainspring's folder, which holds the old contents.
        workspace: the run's workspace.
        events: the run's journal.
        last: at most this many edits; None takes all back.
    """
    done: list[str] = []
    unfit: dict[str, str] = {}
    for edit in reversed(list_edits(events)):
        if last is not None and len(done) >= last:
            break
        try:
            said = undo_edit(home, workspace, edit.payload)
        except ToolError as error:
            states = {str(e["path"]): together.state(workspace, home, e) for e in _entries(edit.payload["prepared"])}
            foreign = [path for path, state in states.items() if state == "other"] or list(states)
            for path in states:
                if path not in foreign:
                    unfit.pop(path, None)
                else:
                    unfit.setdefault(path, f"event {edit.seq}: {error}")
            continue
        for path in edit.paths:
            unfit.pop(path, None)
        if "already is as it was" not in said:
            done.append(said)
    return Undone(tuple(done), tuple(dict.fromkeys(unfit.values())))


def _undo_one(home: Path, workspace: Path, prepared: Mapping[str, Any]) -> str:
    path = str(prepared["path"])
    try:
        with locate(workspace, path, home=home, write=True) as place:
            now = digest(content(place))
            if now == prepared["before"]:
                return f"{path} already is as it was before the edit"
            if now != prepared["after"]:
                raise ToolError(f"{path} was changed after this edit; take later edits back first")
            if prepared["before"] is None:
                os.unlink(place.name, dir_fd=place.folder)
                return f"removed {path}, which the edit had made"
            before = kept(home, prepared["undo"]) if prepared["undo"] else None
            if before is None:
                raise ToolError(f"the old content of {path} is not in {home / 'undo'} any more; it cannot be restored")
            write(place, before)
            return f"restored {path}"
    except MissingError:
        if prepared["before"] is None:
            return f"{path} already is as it was before the edit"
        raise ToolError(f"{path} was removed after this edit, with its folder; restore it by hand") from None


def _undo_all(home: Path, workspace: Path, prepared: Mapping[str, Any]) -> str:
    entries = _entries(prepared)
    restored = together.take_back(workspace, home, prepared)
    if not restored:
        if len(entries) == 1:
            return f"{entries[0]['path']} already is as it was before the edit"
        return f"everything already is as it was before the edit ({len(entries)} files)"
    made = {str(entry["path"]) for entry in entries if entry["before"] is None}
    back, gone = [p for p in restored if p not in made], [p for p in restored if p in made]
    said = [f"restored {_some(back)}"] if back else []
    return ", ".join([*said, f"removed {_some(gone)}, which the edit had made"] if gone else said)


def _taken_back(home: Path, workspace: Path, edit: Edit) -> bool:
    states = [together.state(workspace, home, entry) for entry in _entries(edit.payload["prepared"])]
    return all(state in ("before", "same") for state in states)


def _entries(prepared: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What was recorded of each file; an `edit_file` records its one file without a list around it."""
    return list(prepared["files"]) if "files" in prepared else [prepared]


def _some(paths: Sequence[str], most: int = 8) -> str:
    return ", ".join(paths[:most]) + (f" and {len(paths) - most:,} more" if len(paths) > most else "")


def _any_of(names: Iterable[str]) -> str:
    *first, last = sorted(names)
    return f"{', '.join(first)} or {last}"
