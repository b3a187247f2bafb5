"""The kinds of events and their versions. An old journal always opens; a newer one is refused, not guessed at.

When a payload changes its meaning, raise the version here and teach `RunState` to read both.
"""

from __future__ import annotations

from mainspring.errors import JournalVersionError
from mainspring.store import Event

#: kind -> newest version that this code can read.
KINDS: dict[str, int] = {
    "run.started": 2,
    "run.resumed": 1,
    "run.waiting": 1,
    "run.paused": 1,
    "run.cancel_requested": 1,
    "run.ended": 1,
    "run.forked": 1,
    "model.called": 1,
    "model.answered": 1,
    "model.failed": 1,
    "call.refused": 1,
    "approval.requested": 1,
    "approval.answered": 2,
    "effect.intended": 2,
    "effect.retried": 1,
    "effect.asleep": 1,
    "effect.done": 2,
    "effect.parked": 1,
    "doubt.answered": 1,
    "message.added": 1,
    "limit.warned": 1,
    "output.rejected": 1,
    "context.compacted": 2,
    "context.restored": 1,
    "drift.checked": 1,
    "grants.compiled": 1,
    "grant.given": 1,
    "label.lowered": 1,
    "label.restored": 1,
    "call.nested": 1,
    "program.begun": 1,
    "program.ended": 1,
}


def check_version(event: Event) -> None:
    """Raises JournalVersionError for an event that this Mainspring cannot read."""
    known = KINDS.get(event.kind)
    if known is None or event.version > known:
        raise JournalVersionError(
            f"run {event.run_id}, event {event.seq}: {event.kind!r} version {event.version} was written by a newer "
            "Mainspring; update Mainspring to go on with this run (nothing was changed)"
        )
