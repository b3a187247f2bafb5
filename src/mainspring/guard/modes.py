"""Which way a run is guarded, chosen from what its tools could do."""

from __future__ import annotations

from collections.abc import Iterable

from mainspring.guard.decision import Mode
from mainspring.tool import Tool


def choose(tools: Iterable[Tool], capable: bool = True, workspace: bool = True) -> tuple[Mode, str]:
    """The mode for a run with these tools, and why, in words for a person.

    Args:
        tools: everything that the run holds, without Mainspring's own helpers.
        capable: whether its model can plan on handles; a weak model falls back from clean to tainted.
        workspace: whether the run has a folder of its own, in which its undoable tools work.
    """
    held = list(tools)
    consequential = [t.name for t in held if t.consequential]
    inside = workspace and any(t.undoable and not t.keeps_labels for t in held)
    if not consequential:
        if inside:
            return "contained", "everything it can change stays in the workspace and the sandbox, and can be undone"
        return "plain", "nothing that it holds can change or tell anything outside"
    named = _named(consequential)
    if inside:
        return "contained", f"it works in the workspace and reads freely; what leaves needs authority: {named}"
    if all(t.result_labels[""].trusted and all(f.trusted for f in t.fields.values()) for t in held):
        return "tainted", f"no tool returns outsiders' text; what needs authority: {named}"
    if capable:
        return "clean", f"it can act on the outside ({named}), so its planner sees no outsider's text"
    return "tainted", f"its model is too weak to plan on handles; after outsiders' text, each of these asks: {named}"


def _named(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
