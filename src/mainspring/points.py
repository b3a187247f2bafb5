"""Named points of the effect protocol, where a test may stop or kill the process.

`reach` costs one attribute look-up when no hook is set. The crash benchmark sets one and dies at every point.
"""

from __future__ import annotations

from collections.abc import Callable

POINTS: tuple[str, ...] = (
    "run.before_create",
    "run.created",
    "store.before_commit",
    "store.committed",
    "model.before_call",
    "model.answered",
    "approval.before_request",
    "approval.requested",
    "approval.taken",
    "intent.before_commit",
    "intent.committed",
    "effect.before_act",
    "effect.acted",
    "outcome.before_commit",
    "outcome.committed",
    "recovery.begun",
    "recovery.before_settle",
    "recovery.settled",
    "run.before_end",
    "run.ended",
)

hook: Callable[[str], None] | None = None


def reach(name: str) -> None:
    """Tell the hook, if there is one, that the protocol reached the point `name`."""
    if hook is not None:
        hook(name)
