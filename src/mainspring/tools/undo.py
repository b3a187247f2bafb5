"""Takes edits back: what `edit_file` recorded in its intents is enough to restore the file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mainspring.errors import ToolError
from mainspring.tools.editing import content, digest, kept, write
from mainspring.tools.paths import MissingError, locate


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
        path: the file, relative to the workspace.
        created: the edit made the file.
        payload: the intent's payload, as :func:`undo_edit` takes it.
    """

    seq: int
    path: str
    created: bool
    payload: Mapping[str, Any]


def list_edits(events: Iterable[RunEventLike]) -> list[Edit]:
    """The edits of a run that took effect, oldest first."""
    intended: dict[int, Mapping[str, Any]] = {}
    found = []
    for event in events:
        payload = event.payload
        if event.kind == "effect.intended" and payload.get("tool") == "edit_file" and payload.get("prepared"):
            assert event.seq is not None
            intended[event.seq] = payload
        elif event.kind == "effect.done" and payload.get("intent") in intended and not payload.get("is_error"):
            seq = payload["intent"]
            prepared = intended[seq]["prepared"]
            found.append(Edit(seq, prepared["path"], prepared["before"] is None, intended[seq]))
    return found


def undo_edit(home: Path, workspace: Path, intended_payload: Mapping[str, Any]) -> str:
    """Give a file the content it had before an edit, or remove it when the edit made it.

    Args:
        home: Mainspring's folder, which holds the old content.
        workspace: the run's workspace.
        intended_payload: payload of the edit's ``effect.intended`` event.

    Returns:
        What was done, for a person.

    Raises:
        ToolError: the file was changed since, or its old content is gone.
    """
    prepared = intended_payload.get("prepared")
    if intended_payload.get("tool") != "edit_file" or not prepared:
        raise ToolError("this event is no intent of edit_file; only its edits can be taken back")
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
