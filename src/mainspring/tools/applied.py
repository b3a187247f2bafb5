"""A planned edit of several files, as the effect protocol runs it: prepared, performed, settled, labels kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mainspring.errors import StoreError, ToolError
from mainspring.label import Label, join_all
from mainspring.tool import Happened, Settled, ToolContext
from mainspring.tools import provenance, together
from mainspring.tools.editing import Change
from mainspring.value import Labelled

__all__ = ["perform", "settle"]


def perform(context: ToolContext, workspace: Path, changes: Sequence[Change]) -> Labelled:
    """Write the changes, keep the label of each file, and answer with the diffs under the labels of all.

    Raises:
        ToolError: a file was changed since the intent, or cannot be written; then nothing is changed.
    """
    recorded = together.prepare(workspace, context.home if context.prepared is None else None, changes)
    if context.prepared is not None and _digests(recorded) != _digests(context.prepared):
        raise ToolError("a file was changed by someone else meanwhile; read it again")
    labels = _labels(context, workspace, recorded)  # before the files change
    text = together.apply(workspace, context.home, changes, context.key)
    return _kept(context, workspace, recorded, labels, text)


def settle(context: ToolContext, workspace: Path) -> Settled:
    """After a crash: what :func:`mainspring.tools.together.reconcile` finds, with labels as `perform` gives them."""
    settled = together.reconcile(workspace, context.home, context.prepared, context.key)
    if not isinstance(settled, Happened) or context.prepared is None:
        return settled
    labels = _labels(context, workspace, context.prepared)
    return Happened(_kept(context, workspace, context.prepared, labels, settled.value))


def _digests(recorded: Mapping[str, Any]) -> list[tuple[str, str | None, str | None]]:
    return [(entry["path"], entry["before"], entry["after"]) for entry in recorded["files"]]


def _labels(context: ToolContext, workspace: Path, recorded: Mapping[str, Any]) -> list[Label]:
    """Who may have written each file afterwards: who chose the edit, and whoever wrote what it was made from."""
    found = []
    for entry in recorded["files"]:
        label = provenance.edit_label(context.home, workspace / entry["path"], entry["before"], context.labels)
        source = entry.get("source")
        if source is not None:
            label = label.join(provenance.label_read(context.home, workspace / source[0], source[1]))
        found.append(label)
    return found


def _kept(
    context: ToolContext, workspace: Path, recorded: Mapping[str, Any], labels: Sequence[Label], text: str
) -> Labelled:
    """The answer, once each file's label is kept; a file whose label cannot be kept is an outsider's."""
    if context.home is not None:
        for entry, label in zip(recorded["files"], labels, strict=True):
            if entry["after"] is None:
                continue
            try:
                known = provenance.provenance(context.home)
                known.record(workspace / entry["path"], entry["after"], label, context.run_id)
            except StoreError as error:
                context.report(f"{entry['path']} will count as written by anyone: {error}")
    return Labelled(text, {"": join_all(labels)})
