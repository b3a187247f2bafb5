"""Work on code: mending it until its own tests pass, with a model that may be weak."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainspring.code.repair.agent import repair_agent
    from mainspring.code.repair.planner import RepairPlanner

__all__ = ["RepairPlanner", "repair_agent"]

_HOME = {"RepairPlanner": "repair.planner", "repair_agent": "repair.agent"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'mainspring.code' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"mainspring.code.{_HOME[name]}"), name)
