"""Audit records: the events of a journal that somebody has to answer for, in one form.

A record says who acted, for whom, what they did, how it ended, and why it was allowed. Records are made from the
journal when they are asked for; nothing is written twice. `hash` names the event in the run's chain.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mainspring.errors import ApprovalError
from mainspring.names import person_key
from mainspring.store import Event, Revocation, Store
from mainspring.store.seals import REVOCATIONS

#: Longest text of a record that is kept whole, in characters; of a longer one its beginning, length and digest are.
KEPT = 2000
_BEGINNING = 200

#: Kinds of events that become records, and what is done in them.
ACTIONS = {
    "run.started": "started",
    "run.forked": "forked",
    "run.resumed": "resumed",
    "run.cancel_requested": "cancel asked",
    "run.ended": "ended",
    "message.added": "said",
    "grants.compiled": "grants made",
    "grant.given": "grant given",
    "label.lowered": "label lowered",
    "label.restored": "label restored",
    "approval.requested": "approval asked",
    "approval.answered": "approval answered",
    "call.refused": "call refused",
    "effect.intended": "effect",
    "doubt.answered": "doubt answered",
}
#: Kinds that say how an effect ended.
_ENDINGS = ("effect.done", "effect.parked")


@dataclass(slots=True)
class AuditRecord:
    """One thing that somebody did.

    Args:
        run, seq, hash: the event; the list of revocations is the run ``:revocations``.
        at: Unix time in seconds.
        action: one of the values of `ACTIONS`, or ``"revoked"`` and ``"restored"``.
        agent: whose run it is.
        principals: for whom it acts and who acts, as the run began.
        by: the person who did it, or the agent.
        people: who said yes to the call; of an answer, everybody, where several had to.
        tool: of a call.
        what: arguments of a call, or what was said; long texts are cut and named by their digest.
        outcome: ``done``, ``error``, ``in doubt``, ``open``, ``approved``, ``denied``, and so on.
        why: why it was allowed, asked or refused.
        grant, approval: ids of what it was allowed by.
        channel: how a person's answer came.
    """

    run: str
    seq: int
    at: float
    action: str
    agent: str = ""
    principals: tuple[str, ...] = ()
    by: str = ""
    people: tuple[str, ...] = ()
    tool: str = ""
    what: Any = None
    outcome: str = ""
    why: str = ""
    grant: str = ""
    approval: str = ""
    channel: Mapping[str, str] = field(default_factory=dict)
    hash: str = ""

    def encode(self) -> dict[str, Any]:
        """As JSON-ready dict, without what is empty."""
        found = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return {k: v for k, v in found.items() if v not in ("", [], {}, None)}


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for; everything that is given must hold.

    Args:
        run, agent, tool, outcome, action: exact.
        person: takes part as who did it, who said yes, or for whom it was done; spelling does not count.
        text: occurs anywhere in the record, whatever its case.
        since, until: Unix times in seconds.
    """

    run: str = ""
    person: str = ""
    agent: str = ""
    tool: str = ""
    text: str = ""
    outcome: str = ""
    action: str = ""
    since: float | None = None
    until: float | None = None

    def fits(self, record: AuditRecord) -> bool:
        """True when the record is looked for."""
        exact = ("run", "agent", "tool", "outcome", "action")
        if any(getattr(self, name) and getattr(self, name) != getattr(record, name) for name in exact):
            return False
        if (self.since is not None and record.at < self.since) or (self.until is not None and record.at >= self.until):
            return False
        if self.person:
            names = {_key(n) for n in (record.by, *record.people, *record.principals) if n}
            if _key(self.person) not in names:
                return False
        if self.text:
            return self.text.casefold() in json.dumps(record.encode(), ensure_ascii=False, default=str).casefold()
        return True


def records(store: Store, run_id: str) -> list[AuditRecord]:
    """The records of a run, in the order of its journal; raises RunNotFoundError or StoreError."""
    agent = store.row(run_id).agent
    found: list[AuditRecord] = []
    effects: dict[int, AuditRecord] = {}
    shown: dict[str, Any] = {}  # approval -> the values that a person saw
    tools: dict[str, str] = {}
    said_yes: dict[str, tuple[str, ...]] = {}
    principals: tuple[str, ...] = ()
    for event in store.events_of(run_id, (*ACTIONS, *_ENDINGS)):
        p = event.payload
        if event.kind in _ENDINGS or event.kind == "doubt.answered":
            effect = effects.get(p.get("intent", -1))
            if effect is not None:
                effect.outcome = _ending(event)
            if event.kind in _ENDINGS:
                continue
        if event.kind == "run.started":
            principals = tuple((p.get("guard") or {}).get("principals") or ()) or ("user", f"agent:{agent}")
        record = AuditRecord(run_id, event.seq, event.at, ACTIONS[event.kind], agent, principals, hash=event.hash)
        _FILL[event.kind](record, p)
        if event.kind == "approval.requested":
            shown[record.approval] = record.what
            tools[record.approval] = record.tool
        elif event.kind == "approval.answered":
            record.tool = tools.get(record.approval, "")
            record.what = shown.get(record.approval)
            said_yes[record.approval] = record.people or (record.by,)
        elif event.kind == "effect.intended":
            effects[event.seq] = record
            record.what = shown.get(record.approval, record.what)
            record.people = said_yes.get(record.approval, ()) if record.approval else ()
        found.append(record)
    return found


def search(store: Store, wanted: Search) -> Iterator[AuditRecord]:
    """All records that fit, oldest run first, revocations last."""
    rows = store.rows(limit=1_000_000_000)
    for row in reversed(rows):
        if (wanted.run and row.id != wanted.run) or (wanted.agent and row.agent != wanted.agent):
            continue
        if wanted.since is not None and row.updated_at < wanted.since:
            continue
        yield from (r for r in records(store, row.id) if wanted.fits(r))
    if not wanted.run or wanted.run == REVOCATIONS:
        yield from (r for r in map(of_revocation, store.revocations()) if wanted.fits(r))


def of_revocation(line: Revocation) -> AuditRecord:
    """A line of the list of revocations as a record."""
    return AuditRecord(
        REVOCATIONS,
        line.number,
        line.at,
        "revoked" if line.revoked else "restored",
        by=line.by,
        what=line.name,
        outcome="done",
        why=line.reason,
        channel=dict(line.channel),
        hash=line.hash,
    )


def shorten(value: Any) -> Any:
    """A value with each long text replaced by its beginning, its length and its digest."""
    if isinstance(value, str) and len(value) > KEPT:
        digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
        return {"begins": value[:_BEGINNING], "characters": len(value), "sha256": digest}
    if isinstance(value, Mapping):
        return {str(k): shorten(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [shorten(v) for v in value]
    return value


# --- from a payload to a record ---


def _started(r: AuditRecord, p: Mapping[str, Any]) -> None:
    r.by = r.principals[0]
    texts = [part.get("text", "") for m in p.get("messages", []) for part in m.get("parts", []) if "text" in part]
    guard = p.get("guard") or {}
    r.what, r.outcome, r.why = shorten("\n".join(texts)), "done", _words(guard.get("mode"), guard.get("why"))


def _forked(r: AuditRecord, p: Mapping[str, Any]) -> None:
    r.what, r.outcome = {"parent": p.get("parent"), "step": p.get("step")}, "done"


def _resumed(r: AuditRecord, p: Mapping[str, Any]) -> None:
    r.what, r.outcome = {"epoch": p.get("epoch"), "limits": p.get("limits")}, "done"


def _cancel(r: AuditRecord, p: Mapping[str, Any]) -> None:
    r.by, r.why, r.outcome = str(p.get("by", "")), str(p.get("reason", "")), "done"


def _ended(r: AuditRecord, p: Mapping[str, Any]) -> None:
    r.outcome, r.why, r.what = str(p.get("status", "")), str(p.get("reason", "")), shorten(p.get("output"))


def _said(r: AuditRecord, p: Mapping[str, Any]) -> None:
    parts = (p.get("message") or {}).get("parts", [])
    r.by, r.outcome = str(p.get("by", "")), "done"
    r.what = shorten("\n".join(part.get("text", "") for part in parts if "text" in part))


def _compiled(r: AuditRecord, p: Mapping[str, Any]) -> None:
    r.by, r.outcome, r.why = "mainspring", "done", f"made by {p.get('how', 'rules')} of the user's own words"
    r.what = shorten(p.get("grants") or [])


def _given(r: AuditRecord, p: Mapping[str, Any]) -> None:
    grant = p.get("grant") or {}
    r.by, r.why, r.what, r.outcome = str(p.get("by", "")), str(p.get("reason", "")), shorten(grant), "done"
    r.tool, r.channel = str(grant.get("tool", "")), dict(p.get("channel") or {})


def _label(r: AuditRecord, p: Mapping[str, Any]) -> None:
    r.by, r.why, r.outcome = str(p.get("by", "")), str(p.get("reason", "")), "done"
    r.what = shorten({k: v for k, v in p.items() if k not in ("by", "reason", "channel")})
    r.channel = dict(p.get("channel") or {})


def _asked(r: AuditRecord, p: Mapping[str, Any]) -> None:
    r.by, r.tool, r.approval = r.principals[-1], str(p.get("tool", "")), str(p.get("id", ""))
    r.what, r.why, r.outcome = shorten(p.get("arguments")), str(p.get("reason", "")), "asked"


def _answered(r: AuditRecord, p: Mapping[str, Any]) -> None:
    r.by, r.approval = str(p.get("by", "")), str(p.get("id", ""))
    r.people, r.channel = tuple(p.get("people") or ()), dict(p.get("channel") or {})
    r.outcome, r.why = str(p.get("answer", "")), str(p.get("reason", ""))


def _refused(r: AuditRecord, p: Mapping[str, Any]) -> None:
    r.by, r.tool, r.outcome = r.principals[-1], str(p.get("tool", "")), str(p.get("cause", "refused"))
    r.why = str(shorten(p.get("reason", "")))


def _effect(r: AuditRecord, p: Mapping[str, Any]) -> None:
    r.by, r.tool, r.what = r.principals[-1], str(p.get("tool", "")), shorten(p.get("arguments"))
    r.outcome, r.why = "open", str(p.get("why") or ("a person approved it" if p.get("approval") else ""))
    r.grant, r.approval = str(p.get("grant") or ""), str(p.get("approval") or "")


def _doubt(r: AuditRecord, p: Mapping[str, Any]) -> None:
    r.by, r.outcome, r.why = str(p.get("by", "")), str(p.get("answer", "")), str(p.get("reason", ""))
    r.what = {"intent": p.get("intent"), "value": shorten(p.get("value"))}


_FILL = {
    "run.started": _started,
    "run.forked": _forked,
    "run.resumed": _resumed,
    "run.cancel_requested": _cancel,
    "run.ended": _ended,
    "message.added": _said,
    "grants.compiled": _compiled,
    "grant.given": _given,
    "label.lowered": _label,
    "label.restored": _label,
    "approval.requested": _asked,
    "approval.answered": _answered,
    "call.refused": _refused,
    "effect.intended": _effect,
    "doubt.answered": _doubt,
}


def _ending(event: Event) -> str:
    if event.kind == "effect.parked":
        return "in doubt"
    if event.kind == "effect.done":
        return "error" if event.payload.get("is_error") else "done"
    return {"happened": "done", "did_not": "open", "abort": "unknown"}.get(str(event.payload.get("answer")), "in doubt")


def _words(*parts: Any) -> str:
    return ": ".join(str(p) for p in parts if p)


def _key(name: str) -> str:
    try:
        return person_key(name)
    except ApprovalError:
        return name.casefold()
