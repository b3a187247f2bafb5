"""Editing that is exact, whole and undoable: whole definitions, patches over several files, syntax looked at first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainspring.code.edit.planning import plan_patch
    from mainspring.code.edit.replacing import change_symbol
    from mainspring.code.edit.tools import edit_tools, plan_symbol
    from mainspring.tools.syntax import check_syntax

__all__ = ["change_symbol", "check_syntax", "edit_tools", "plan_patch", "plan_symbol"]

_HOME = {
    "change_symbol": "mainspring.code.edit.replacing",
    "check_syntax": "mainspring.tools.syntax",
    "edit_tools": "mainspring.code.edit.tools",
    "plan_patch": "mainspring.code.edit.planning",
    "plan_symbol": "mainspring.code.edit.tools",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'mainspring.code.edit' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOME[name]), name)
