"""Errors of code that is not ours: a tool's, a check's, a model's library."""

from __future__ import annotations

import asyncio


def interrupted() -> bool:
    """Whether a CancelledError is ours: the run is interrupted. Libraries let out their own."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def said_by(error: BaseException) -> str:
    """An error's words, also when saying them fails."""
    try:
        return str(error)
    except Exception as second:
        return f"[its words cannot be had: {type(second).__name__}]"
