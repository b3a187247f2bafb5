"""What people decide, inside one transaction each: answers to approvals, and rights taken back.

Every function runs in the writer with a transaction open, so that two people who answer, an answer and a revocation,
and a revocation and an intent that uses the answer each have an order.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from mainspring.errors import ApprovalError, StoreError
from mainspring.names import check_person, person_key
from mainspring.store.chain import GENESIS
from mainspring.store.protocol import Answer, ApprovalRow, Revocation
from mainspring.store.sql import Connection
from mainspring.store.statements import inbox_body

APPROVAL = (
    "SELECT id, run_id, digest, state, requested_at, expires_at, answered_by, used_seq, people, approvers "
    "FROM approvals "
)
ANSWER = "SELECT approval, name, answer, at, reason, channel, void FROM answers "
_REVOCATION = "SELECT number, name, revoked, by, reason, at, channel, hash FROM revocations "


def read_approval(row: tuple[Any, ...], answers: Sequence[tuple[Any, ...]]) -> ApprovalRow:
    """An approval from its row and those of its answers; raises StoreError for damaged ones."""
    id, run_id, digest, state, requested_at, expires_at, answered_by, used_seq, people, approvers = row
    try:
        said = tuple(
            Answer(name, kind, at, reason, json.loads(channel), bool(void))
            for _, name, kind, at, reason, channel, void in answers
        )
        allowed = tuple(json.loads(approvers))
    except (ValueError, TypeError) as error:
        raise StoreError(f"approval {id} is damaged ({error})") from None
    return ApprovalRow(
        id, run_id, digest, state, requested_at, expires_at, answered_by, used_seq, people, allowed, said
    )


def find_approval(connection: Connection, approval_id: str) -> ApprovalRow | None:
    """One approval with its answers."""
    found = connection.execute(APPROVAL + "WHERE id=?", (approval_id,)).fetchone()
    if found is None:
        return None
    answers = connection.execute(ANSWER + "WHERE approval=? ORDER BY number", (approval_id,)).fetchall()
    return read_approval(found, answers)


def record_answer(
    connection: Connection,
    row: ApprovalRow,
    answer: Literal["approved", "denied"],
    by: str,
    reason: str,
    channel: Mapping[str, str],
    grant: Mapping[str, Any] | None,
) -> None:
    """One person's answer; the approval is settled by one no, or by the yes of as many people as it needs.

    Raises:
        ApprovalError: it is settled or expired, or this person may not answer, or has said yes before.
    """
    now = time.time()
    by, key = check_person(by), person_key(by)
    _check_open(row, now)
    (agent,) = connection.execute("SELECT agent FROM runs WHERE id=?", (row.run_id,)).fetchone() or ("",)
    if key == person_key_of_agent(agent):
        raise ApprovalError(f"{by!r} is the agent that asks; no agent answers for a person")
    if row.approvers and key not in {person_key(a) for a in row.approvers}:
        raise ApprovalError(f"{by} may not answer approval {row.id}: it waits for {' or '.join(row.approvers)}")
    check_not_revoked(connection, by)
    yes = {person_key(a.by): a.by for a in row.answers if a.answer == "approved" and not a.void}
    if answer == "approved" and key in yes:
        missing = row.people - len(yes)
        raise ApprovalError(
            f"{by} has approved {row.id} already, and counts once; {missing} more "
            f"{'person has' if missing == 1 else 'people have'} to"
        )
    if grant is not None and (answer != "approved" or row.people > 1):
        raise ApprovalError(
            "a grant goes with the yes of one person: an approval that needs several lets this one call through"
        )
    connection.execute(
        "INSERT INTO answers (approval, name, person, answer, at, reason, channel) VALUES (?,?,?,?,?,?,?)",
        (row.id, by, key, answer, now, reason, _json(channel)),
    )
    said: dict[str, Any] = {"id": row.id, "answer": answer, "by": by, "reason": reason}
    if answer == "approved":
        names = [*yes.values(), by]
        if len(names) < row.people:
            return
        if row.people > 1:
            said |= {"by": ", ".join(names), "people": names}
    if channel:
        said["channel"] = dict(channel)
    connection.execute("UPDATE approvals SET state=?, answered_by=? WHERE id=?", (answer, said["by"], row.id))
    items = [("approval.answered", said)]
    if grant is not None:
        given = {"grant": dict(grant), "by": by, "reason": reason or f"given with approval {row.id}"}
        items.insert(0, ("grant.given", given | ({"channel": dict(channel)} if channel else {})))
    connection.executemany(
        "INSERT INTO inbox (run_id, at, kind, payload) VALUES (?,?,?,?)",
        [(row.run_id, now, kind, inbox_body(payload)) for kind, payload in items],
    )


def person_key_of_agent(agent: str) -> str:
    """An agent's name as a person would have to write it; one that no person could write is nobody's."""
    try:
        return person_key(agent)
    except ApprovalError:
        return ""


def _check_open(row: ApprovalRow, now: float) -> None:
    if row.state == "used":
        raise ApprovalError(f"approval {row.id} was used already; it let one call through, and lets no other")
    if row.state == "expired" or (row.state == "pending" and row.expires_at is not None and row.expires_at <= now):
        settled = "was already settled: expired" if row.state == "expired" else "has expired"
        raise ApprovalError(f"approval {row.id} {settled}; resume the run, and it asks again")
    if row.state != "pending":
        by_whom = f" by {row.answered_by}" if row.answered_by else ""
        raise ApprovalError(f"approval {row.id} was already settled: {row.state}{by_whom}")


# --- revocation ---


def check_not_revoked(connection: Connection, by: str) -> None:
    """Raises ApprovalError when this person's rights were taken back."""
    found = connection.execute(
        "SELECT revoked, by FROM revocations WHERE key=? ORDER BY number DESC LIMIT 1", (person_key(by),)
    ).fetchone()
    if found is not None and found[0]:
        raise ApprovalError(f"the rights of {by!r} were taken back by {found[1]}; somebody else has to decide")


def record_revocation(
    connection: Connection, name: str, revoked: bool, by: str, reason: str, channel: Mapping[str, str]
) -> tuple[int, str]:
    """Take a principal's or a grant's rights back, or restore them; returns the number and hash of the line.

    Yeses of a person whose rights are taken back and that no call has used yet are void in the same moment.

    Raises:
        ApprovalError: whoever does it is no person, was revoked, or gives themself their rights back.
    """
    now = time.time()
    by = check_person(by)
    name, key = name.strip(), revoked_key(name)
    check_not_revoked(connection, by)
    if not revoked and key == person_key(by):
        raise ApprovalError(f"{by} cannot give back their own rights; somebody else has to")
    number, previous = connection.execute(
        "SELECT number, hash FROM revocations ORDER BY number DESC LIMIT 1"
    ).fetchone() or (0, GENESIS)
    text = _json(channel)
    digest = revocation_hash(previous, number + 1, name, revoked, by, reason, now, text)
    connection.execute(
        "INSERT INTO revocations (number, name, key, revoked, by, reason, at, channel, hash) "
        "VALUES (?,?,?,?,?,?,?,?,?)",
        (number + 1, name, key, revoked, by, reason, now, text, digest),
    )
    if revoked:
        unused = "SELECT approval FROM answers WHERE person=? AND answer='approved' AND void=0"
        connection.execute(
            f"UPDATE approvals SET state='expired' WHERE state='approved' AND id IN ({unused})",  # noqa: S608  our own
            (key,),
        )
        connection.execute(
            "UPDATE answers SET void=1 WHERE person=? AND answer='approved' "
            "AND approval IN (SELECT id FROM approvals WHERE state IN ('pending', 'expired'))",
            (key,),
        )
    return number + 1, digest


def revoked_key(name: str) -> str:
    """The name of a principal or grant as revocations compare it; raises ApprovalError."""
    return person_key(name)


def revocation_hash(
    previous: str, number: int, name: str, revoked: bool, by: str, reason: str, at: float, channel: str
) -> str:
    """The hash of one line of the list, given the hash of the line before; StoreError for what UTF-8 cannot hold."""
    fields = [previous, number, name, bool(revoked), by, reason, at, channel]
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    try:
        return hashlib.sha256(text.encode("utf-8")).hexdigest()
    except UnicodeEncodeError as error:
        raise StoreError(f"this cannot be kept: {error}") from None


def read_revocations(rows: Sequence[tuple[Any, ...]]) -> list[Revocation]:
    """The list from its rows, its chain checked; raises StoreError at the first wrong line."""
    found: list[Revocation] = []
    previous = GENESIS
    for count, (number, name, revoked, by, reason, at, channel, digest) in enumerate(rows, 1):
        if number != count:
            raise StoreError(f"revocation {count} is missing; the list was changed")
        previous = revocation_hash(previous, number, name, revoked, by, reason, at, channel)
        if previous != digest:
            raise StoreError(f"revocation {number}: the hash does not fit; this line or one before it was changed")
        found.append(Revocation(number, name, bool(revoked), by, reason, at, json.loads(channel), digest))
    return found


REVOCATIONS_SQL = _REVOCATION + "ORDER BY number"


def _json(channel: Mapping[str, str]) -> str:
    try:
        return json.dumps(dict(channel), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    except (TypeError, ValueError) as error:
        raise StoreError(f"a channel is described by texts, not {channel!r} ({error})") from None
