"""Runs as JSON lines: for audits, backups and moving a run to another home.

The first line is a header, then one line an event with its whole payload and hash, then the approvals, what the run has
not taken from its inbox yet, and the newest signature of its home. The header's version is the oldest that can say
what the file holds: 1 knew neither approvals of several people nor signatures.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, TextIO, get_args

from mainspring.errors import ApprovalError, JournalVersionError, StoreError
from mainspring.names import person_key
from mainspring.store.protocol import ApprovalRow, ApprovalState, Store
from mainspring.store.seals import Seal

FORMAT = 2

_TEXT, _MAYBE_TEXT = (str,), (str, type(None))
_TIME, _MAYBE_TIME = (float, int), (float, int, type(None))
_COUNT, _MAYBE_COUNT = (int,), (int, type(None))
_OBJECT = (dict,)
#: What only a person of this home may say: it does not come in with a file.
_NOT_FROM_A_FILE = frozenset({"grant.given", "label.lowered"})

#: What each line must hold, checked before a store sees any of it.
_RUN = {
    "id": _TEXT,
    "agent": _TEXT,
    "task": _TEXT,
    "status": _TEXT,
    "created_at": _TIME,
    "updated_at": _TIME,
    "epoch": _COUNT,
    "head_seq": _COUNT,
    "wake_at": _MAYBE_TIME,
    "parent": _MAYBE_TEXT,
    "priority": _COUNT,
    "queue": _TEXT,
}
_EVENT = {
    "seq": _COUNT,
    "at": (float,),  # the hash covers how it is written
    "kind": _TEXT,
    "version": _COUNT,
    "label": _TEXT,
    "payload": _OBJECT,
    "hash": _TEXT,
}
_APPROVAL = {
    "id": _TEXT,
    "digest": _TEXT,
    "state": _TEXT,
    "requested_at": _TIME,
    "expires_at": _MAYBE_TIME,
    "answered_by": _MAYBE_TEXT,
    "used_seq": _MAYBE_COUNT,
}
_ANSWER = {"by": _TEXT, "answer": _TEXT, "at": _TIME, "reason": _TEXT, "channel": _OBJECT}
_INBOX = {"at": _TIME, "kind": _TEXT, "payload": _OBJECT}


def export_run(store: Store, run_id: str, out: TextIO) -> int:
    """Write a run to `out`, its chain checked first; returns the number of events."""
    count = store.verify(run_id)
    row = asdict(store.row(run_id))
    row.pop("alive")
    for name, plain in (("priority", 0), ("queue", "")):
        if row[name] == plain:
            del row[name]
    approvals = [_approval(a) for a in store.approvals(run_id=run_id)]
    seal = store.newest_seal(run_id, count)
    version = FORMAT if seal is not None or any("people" in a for a in approvals) else 1
    _line(out, {"mainspring_export": version, "run": row | {"head_seq": count}})
    for event in store.events(run_id):
        if event.seq > count:  # it went on while we wrote
            break
        value = asdict(event)
        value.pop("run_id")
        value["label"] = event.label.encode()
        _line(out, {"event": value})
    for approval in approvals:
        _line(out, {"approval": approval})
    for item in store.inbox(run_id):
        _line(out, {"inbox": {"at": item.at, "kind": item.kind, "payload": item.payload}})
    if seal is not None:
        _line(out, {"seal": seal.encode()})
    return count


def _approval(row: ApprovalRow) -> dict[str, Any]:
    """An approval's line; one that is as plain as those of the first format is written as there."""
    value = asdict(row)
    if row.people == 1 and not row.approvers and not row.answers:
        for name in ("people", "approvers", "answers"):
            del value[name]
    return value


def import_run(store: Store, lines: Iterable[str]) -> str:
    """Read a run written by :func:`export_run` and return its id. All or nothing.

    An approval that was given and not used yet does not move along: the run asks again. Nor does a grant that the run
    has not taken from its inbox: a person of this home gives it again.

    Raises:
        StoreError: a line is damaged or missing, the chain does not fit, or the run is in this home already.
        JournalVersionError: the file is from a newer Mainspring.
    """
    header: dict[str, Any] | None = None
    events: list[dict[str, Any]] = []
    approvals: list[dict[str, Any]] = []
    inbox: list[dict[str, Any]] = []
    seal: Seal | None = None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise StoreError(f"line {number} is no JSON ({error}); nothing was imported") from None
        if not isinstance(value, dict):
            raise StoreError(f"line {number} is no JSON object; nothing was imported")
        if header is None:
            version = value.get("mainspring_export")
            if type(version) is not int or not isinstance(value.get("run"), dict):
                raise StoreError("this is no export of a Mainspring run: its first line is no header")
            if version > FORMAT:
                raise JournalVersionError(
                    f"the export has format {version}, and this Mainspring knows formats up to {FORMAT}; "
                    "update Mainspring (nothing was imported)"
                )
            header = _checked({"priority": 0, "queue": ""} | value["run"], _RUN, number)
            if not 0 < len(header["id"]) <= 200 or ":" in header["id"]:
                raise StoreError(f"{header['id'][:80]!r} is no run's id; nothing was imported")
        elif "event" in value:
            events.append(_checked(value["event"], _EVENT, number))
        elif "approval" in value:
            approval = _checked(value["approval"], _APPROVAL, number)
            if approval["state"] not in get_args(ApprovalState):
                raise StoreError(f"line {number}: unknown state {approval['state']!r}; nothing was imported")
            if approval["state"] == "approved":
                # It was given for one execution, which the run's old home may begin as well; here it is asked again.
                approval = approval | {"state": "expired"}
            approvals.append(_checked_people(approval, number))
        elif "inbox" in value:
            item = _checked(value["inbox"], _INBOX, number)
            if item["kind"] not in _NOT_FROM_A_FILE:
                inbox.append(item)
        elif "seal" in value:
            try:
                seal = Seal.decode(value["seal"])
                seal.line()
            except StoreError as error:
                raise StoreError(f"line {number} is damaged: {error}; nothing was imported") from None
        else:
            raise StoreError(f"line {number} is no event, approval, inbox item or seal; nothing was imported")
    if header is None:
        raise StoreError("the export is empty")
    store.restore(header, events, approvals, inbox, seal)
    return str(header["id"])


def _checked(value: Any, fields: Mapping[str, tuple[type, ...]], number: int) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise StoreError(f"line {number} is damaged: no JSON object in it; nothing was imported")
    for name, types in fields.items():
        if name not in value:
            raise StoreError(f"line {number} is damaged: {name!r} is missing; nothing was imported")
        found = value[name]
        if not isinstance(found, types) or isinstance(found, bool) or (isinstance(found, int) and found >= 2**63):
            raise StoreError(f"line {number} is damaged: {name!r} is {str(found)[:80]!r}; nothing was imported")
    return value


def _checked_people(approval: dict[str, Any], number: int) -> dict[str, Any]:
    """The fields of an approval that the first format did not have."""
    people, approvers = approval.get("people", 1), approval.get("approvers", [])
    answers = approval.get("answers", [])
    sound = type(people) is int and 1 <= people < 2**31 and isinstance(approvers, list) and isinstance(answers, list)
    if not sound or not all(isinstance(name, str) for name in approvers):
        raise StoreError(f"line {number} is damaged: {str([people, approvers])[:80]}; nothing was imported")
    for said in answers:
        if isinstance(said, dict) and type(said.get("void")) is bool:
            _checked({k: v for k, v in said.items() if k != "void"}, _ANSWER, number)
        else:
            raise StoreError(f"line {number} is damaged: {str(said)[:80]!r} is no answer; nothing was imported")
        if said["answer"] not in ("approved", "denied"):
            raise StoreError(f"line {number}: unknown answer {said['answer']!r}; nothing was imported")
        try:
            person_key(said["by"])
        except ApprovalError as error:
            raise StoreError(f"line {number} is damaged: {error}; nothing was imported") from None
    return approval


def _line(out: TextIO, value: dict[str, Any]) -> None:
    out.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")
