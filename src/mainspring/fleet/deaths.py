"""Runs that kill their workers: how often in a row one has, read from its journal, and how it is parked."""

from __future__ import annotations

from mainspring.runtime.events import KINDS, check_version
from mainspring.runtime.inbox import PAUSE, WAKE
from mainspring.store import Changes, Lease, NewEvent, RunRow, Store

#: A stretch of a run begins with one of these.
_BEGINS = ("run.started", "run.resumed")
#: After one of these, what came before does not count: the run rested, or came a step forward.
_FORWARD = ("run.waiting", "run.paused", "run.ended", "run.forked", "model.answered", "effect.done", "effect.asleep")
#: From so many deaths on, a worker executes only one such run at a time: what dies beside it is not to blame. Not from
#: fewer: where machines fail, many runs are interrupted twice in a row, and all of these would queue for one place.
SUSPECT = 3


def deaths(store: Store, run_id: str) -> int:
    """How often in a row a run was interrupted without having come a step forward.

    Each stretch begins with an event; one that ends without another of `_FORWARD` was cut off. The effect protocol
    has a count of its own, per call, and parks a call that kills its process after five attempts.

    Raises:
        JournalVersionError: a newer Mainspring has written these events.
    """
    count = 0
    for event in store.events_of(run_id, (*_BEGINS, *_FORWARD), newest_first=True):
        check_version(event)
        if event.kind not in _BEGINS:
            break
        count += 1
    return count


def park(store: Store, lease: Lease, count: int) -> str:
    """Let a run wait for a person; returns the reason that the person sees. The lease is given up."""
    reason = (
        f"its worker died {count} times in a row while it worked on this run, each time before a step was done; look "
        f"at what it does there (its memory, say), then go on with: mainspring runs resume {lease.run_id}"
    )
    event = NewEvent("run.paused", {"reason": reason, "parked": True}, version=KINDS["run.paused"])
    store.append(lease, [event], Changes(status="waiting", release=True)).done.result()
    return reason


def still_paused(store: Store, row: RunRow) -> bool:
    """True for a run that was parked, or paused by a person, and that nobody has spoken to since.

    What a machine says (a sub-agent that ended, say) is no word of a person, unless a person moved the run here; and
    what lay in the inbox of a parked run before does not wake it either.
    """
    if row.status != "waiting" or row.wake_at is not None:
        return False
    last = store.event(row.id, row.head_seq)
    if last.kind != "run.paused":
        return False
    spoken = [i for i in store.inbox(row.id) if i.kind not in (PAUSE, WAKE) or i.payload.get("moved")]
    return all(i.at <= last.at for i in spoken) if last.payload.get("parked") else not spoken
