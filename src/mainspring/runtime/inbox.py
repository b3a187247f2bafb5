"""Carries what people said from a run's inbox into its journal."""

from __future__ import annotations

from mainspring.label import USER
from mainspring.points import reach
from mainspring.runtime.journal import Journal
from mainspring.store import InboxItem

#: Kinds that are asks of the moment; they go to the loop and not into the context.
PAUSE = "pause"
CANCEL = "cancel"


def take_inbox(journal: Journal, *, surely: bool = False) -> str | None:
    """Record everything that waits; returns the reason when somebody asked for a pause.

    Without `surely`, what another process posted in the last moment may be left for the next time.

    The items are removed in the transaction that writes their events, so that none is lost or taken twice.
    """
    pause: str | None = None
    if not surely and not journal.store.news(journal.lease.run_id):
        return None
    for item in journal.store.inbox(journal.lease.run_id):
        if item.id in journal.taken:
            continue
        journal.take(item.id)
        if (item.kind == PAUSE and item.at < journal.state.resumed_at) or (
            item.kind == CANCEL and item.at < journal.state.revived_at
        ):
            continue  # whoever resumed it since wants it to go on
        if item.kind == PAUSE:
            pause = str(item.payload.get("reason") or "asked to pause")
        else:
            _record(journal, item)
    return pause


def _record(journal: Journal, item: InboxItem) -> None:
    state, payload = journal.state, item.payload
    if item.kind == "message":
        journal.record("message.added", {"message": payload["message"], "by": payload["by"]}, USER)
    elif item.kind == CANCEL:
        journal.record("run.cancel_requested", {"by": payload["by"], "reason": payload["reason"]}, USER)
    elif item.kind == "approval.answered":
        reach("approval.taken")
        journal.record("approval.answered", payload, USER)
    elif item.kind == "doubt.answered":
        # An answer about an earlier attempt says nothing of the latest one; it is dropped and the doubt stays open.
        about = (payload["intent"], payload["attempt"])
        if any((c.intent, c.attempts) == about and c.stage == "parked" for c in state.calls.values()):
            journal.record("doubt.answered", payload, USER)
    elif item.kind == "context.restored" and state.compactions:
        journal.record("context.restored", {"by": payload["by"]}, USER)
