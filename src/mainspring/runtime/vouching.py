"""Declassification: a person vouches for a value, visibly and reversibly. Nothing else lowers a label."""

from __future__ import annotations

from typing import Any

from mainspring.errors import ApprovalError, ToolError
from mainspring.guard.handles import as_text
from mainspring.label import Label
from mainspring.runtime.guarded import split_target
from mainspring.runtime.state import RunState
from mainspring.value import Value, read_path

#: Longest vouched text that is shown to a clean planner, in characters.
MAX_SHOWN_CHARS = 12_000


def lowered(state: RunState, target: str, by: str, reason: str) -> dict[str, Any]:
    """The payload of ``label.lowered``.

    Raises:
        ApprovalError: the run has no such value, or no reason is given.
    """
    why = checked_reason(reason)
    if state.guard.mode != "clean":
        marked = state.guard.marked(target)
        if marked is None:
            known = ", ".join(state.results) or "none"
            raise ApprovalError(f"run {state.run_id} has no answer to the call {target!r}; it has: {known}")
        return {"target": target, "by": by, "reason": why, "label": _label(by, marked).encode(), "text": None}
    try:
        name, path = split_target(target)
        whole = state.guard.value(name)
        value = None if whole is None else whole.at(read_path(path))
    except ToolError as error:
        raise ApprovalError(f"{target}: {error}") from None
    if value is None:
        known = ", ".join(state.guard.handles) or "none"
        raise ApprovalError(f"run {state.run_id} has no handle {name!r}; it has: {known}")
    label = _label(by, value.whole_label)
    return {"target": target, "by": by, "reason": why, "label": label.encode(), "text": _shown(target, by, value)}


def checked_reason(reason: str) -> str:
    """Why a person changes a label; raises ApprovalError when it is empty."""
    if not isinstance(reason, str) or not reason.strip():
        raise ApprovalError("say why: reason='...'; the journal keeps it")
    return reason.strip()[:2000]


def _label(by: str, was: Label) -> Label:
    # Who may read it does not change: to vouch for words is not to publish them.
    return Label(frozenset({f"person:{by}"}), was.readers)


def _shown(target: str, by: str, value: Value) -> str:
    text = as_text(value)
    cut = f" [cut from {len(text):,} characters]" if len(text) > MAX_SHOWN_CHARS else ""
    return f"{by} vouches for ${target}: {text[:MAX_SHOWN_CHARS]}{cut}"
