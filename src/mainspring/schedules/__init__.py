"""Jobs that fire runs, by the clock or by what happens. Each has a part of a person's rights; no run changes one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainspring.schedules.kept import Attention, Entry, Firing, Schedules
    from mainspring.schedules.schedule import Schedule
    from mainspring.schedules.scheduler import Scheduler

__all__ = ["Attention", "Entry", "Firing", "Schedule", "Scheduler", "Schedules"]

_HOMES = {"Schedule": "schedule", "Scheduler": "scheduler"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOMES.get(name, 'kept')}"), name)
