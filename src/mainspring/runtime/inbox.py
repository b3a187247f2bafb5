"""Carries what people said from a run's inbox into its journal."""

from __future__ import annotations

from typing import Any

from mainspring.label import USER
from mainspring.messages import decode, encode
from mainspring.points import reach
from mainspring.runtime.calls import denial
from mainspring.runtime.journal import Journal
from mainspring.runtime.turns import take_turn
from mainspring.store import InboxItem

#: Kinds that are asks of the moment; they go to the loop and not into the context.
PAUSE = "pause"
CANCEL = "cancel"
#: Says that something which the run waits for may be there; it wakes a sleeper, and is no event of its own.
WAKE = "wake"


def take_inbox(journal: Journal, *, surely: bool = False, waking: bool = False) -> str | None:
    """Record everything that waits; returns the reason when somebody asked for a pause.

    Without `surely`, what another process posted in the last moment may be left for the next time.

    The items are removed in the transaction that writes their events, so that none is lost or taken twice.

    Args:
        waking: every call that sleeps is called again after this. Else a `WAKE` that came after such a call had looked
            stays where it is, and whoever lets the run rest finds it there: taken now, it would wake nobody.
    """
    pause: str | None = None
    asleep = not waking and any(call.stage == "asleep" for call in journal.state.calls.values())
    if not surely and not journal.store.news(journal.lease.run_id):
        return None
    for item in journal.store.inbox(journal.lease.run_id):
        if item.id in journal.taken or (asleep and item.kind == WAKE):
            continue
        journal.take(item.id)
        if (item.kind == PAUSE and item.at < journal.state.resumed_at) or (
            item.kind == CANCEL and item.at < journal.state.revived_at
        ):
            continue  # whoever resumed it since wants it to go on
        if item.kind == WAKE:
            continue
        if item.kind == PAUSE:
            pause = str(item.payload.get("reason") or "asked to pause")
        else:
            _record(journal, item)
    return pause


def _record(journal: Journal, item: InboxItem) -> None:
    state, payload = journal.state, item.payload
    if item.kind == "message":
        _record_message(journal, payload)
    elif item.kind == CANCEL:
        journal.record("run.cancel_requested", {"by": payload["by"], "reason": payload["reason"]}, USER)
    elif item.kind == "approval.answered":
        reach("approval.taken")
        call = next((c for c in state.calls.values() if c.approval == payload["id"]), None)
        if payload["answer"] == "denied" and call is not None:
            said = f": {payload['reason']}" if payload.get("reason") else ""
            payload = payload | {"text": denial(call.part.name, f"{payload['by']} said no{said}. It was not made.")}
        journal.record("approval.answered", payload, USER)
    elif item.kind in ("grant.given", "label.lowered", "label.restored"):
        journal.record(item.kind, payload, USER)
    elif item.kind == "doubt.answered":
        # An answer about an earlier attempt says nothing of the latest one; it is dropped and the doubt stays open.
        about = (payload["intent"], payload["attempt"])
        if any((c.intent, c.attempts) == about and c.stage == "parked" for c in state.calls.values()):
            journal.record("doubt.answered", payload, USER)
    elif item.kind == "context.restored" and state.compactions:
        journal.record("context.restored", {"by": payload["by"]}, USER)


def _record_message(journal: Journal, payload: dict[str, Any]) -> None:
    guard = journal.state.guard
    turn = take_turn([decode(payload["message"])], guard.mode, len(guard.handles))
    said: dict[str, Any] = {"message": encode(turn.messages[0]), "by": payload["by"]}
    if turn.values:
        said["values"] = turn.values
    if guard.turns:  # this run makes grants of what its user says
        said["words"] = turn.words
    journal.record("message.added", said, turn.label)
