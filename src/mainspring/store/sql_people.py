"""The part of a journal in SQL that people use: approvals, rights taken back, and where runs came from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from mainspring.errors import ApprovalError, RunNotFoundError, StoreError
from mainspring.names import person_key
from mainspring.store.people import (
    ANSWER,
    APPROVAL,
    REVOCATIONS_SQL,
    find_approval,
    read_approval,
    read_revocations,
    record_answer,
    record_revocation,
)
from mainspring.store.protocol import ApprovalRow, Imported, Revocation
from mainspring.store.seals import REVOCATIONS, Seal
from mainspring.store.sql import Connection
from mainspring.store.statements import no_run

_CHOSEN = "WHERE (CAST(? AS TEXT) IS NULL OR run_id=?) AND (CAST(? AS TEXT) IS NULL OR state=?)"
_THEIRS = f"WHERE approval IN (SELECT id FROM approvals {_CHOSEN}) "  # noqa: S608  our own


class Submits(Protocol):
    """A writer: runs a job in a transaction; the future is done when its effect is on disk."""

    def submit(self, job: Callable[[Any], Any]) -> Future[Any]:
        """Queue a job that takes a `Connection`."""
        ...


class PeopleInSQL:
    """See :class:`mainspring.store.protocol.Store`; the methods of a store in SQL that concern people."""

    home: Path
    _writer: Submits
    _revoked: tuple[int, frozenset[str]] = (0, frozenset())
    _revoked_at = float("-inf")  # when that was known, by the monotonic clock

    if TYPE_CHECKING:

        def _read(self, sql: str, values: Any) -> list[tuple[Any, ...]]: ...

        def _noticed(self, run_id: str) -> None: ...

        def _in_order(self, connection: Connection, approval_id: str | None) -> None: ...

        def _sign(self, run: str, seq: int, head: str) -> Seal: ...

        def _signed(self, run: str, most: int) -> Seal | None: ...

    def answer(
        self,
        approval_id: str,
        state: Literal["approved", "denied"],
        *,
        by: str,
        reason: str = "",
        channel: Mapping[str, str] | None = None,
        grant: Mapping[str, Any] | None = None,
    ) -> ApprovalRow:
        """See the protocol."""

        def job(connection: Connection) -> ApprovalRow:
            self._in_order(connection, approval_id)
            row = find_approval(connection, approval_id)
            if row is None:
                raise self._no_approval(approval_id)
            record_answer(connection, row, state, by, reason, channel or {}, grant)
            return find_approval(connection, approval_id) or row

        row: ApprovalRow = self._writer.submit(job).result()
        self._noticed(row.run_id)
        return row

    def _no_approval(self, approval_id: str) -> ApprovalError:
        return ApprovalError(f"no approval {approval_id!r} in {self.home}; see `mainspring approvals list`")

    def approval(self, approval_id: str) -> ApprovalRow:
        """See the protocol."""
        found = self._approvals("WHERE id=?", (approval_id,), "WHERE approval=? ")
        if not found:
            raise self._no_approval(approval_id)
        return found[0]

    def approvals(self, *, run_id: str | None = None, state: str | None = None) -> list[ApprovalRow]:
        """See the protocol."""
        values = (run_id, run_id, state, state)
        return self._approvals(f"{_CHOSEN} ORDER BY requested_at, id", values, _THEIRS)

    def _approvals(self, chosen: str, values: tuple[Any, ...], theirs: str) -> list[ApprovalRow]:
        # Answers are read first: one that comes in between then belongs to a row that is read as already settled.
        answers: dict[str, list[tuple[Any, ...]]] = {}
        for answer in self._read(ANSWER + theirs + "ORDER BY number", values):
            answers.setdefault(answer[0], []).append(answer)
        return [read_approval(row, answers.get(row[0], ())) for row in self._read(APPROVAL + chosen, values)]

    def revoke(
        self,
        name: str,
        *,
        by: str,
        reason: str = "",
        restore: bool = False,
        channel: Mapping[str, str] | None = None,
    ) -> None:
        """See the protocol."""

        def job(connection: Connection) -> tuple[int, str]:
            self._in_order(connection, None)
            return record_revocation(connection, name, not restore, by, reason, channel or {})

        number, head = self._writer.submit(job).result()
        self._revoked_at = float("-inf")
        self._sign(REVOCATIONS, number, head)

    def revoked(self, *, within_s: float = 0.0) -> frozenset[str]:
        """See the protocol. Looks each time."""
        newest = self._read("SELECT max(number) FROM revocations", ())[0][0] or 0
        number, names = self._revoked
        if newest != number:
            last = {line.name: line for line in self.revocations()}
            by_key = {person_key(line.name): line for line in last.values()}
            taken = {line.name for line in by_key.values() if line.revoked}
            names = frozenset(taken | {key for key, line in by_key.items() if line.revoked})
            self._revoked = (newest, names)
        return names

    def revocations(self) -> list[Revocation]:
        """See the protocol."""
        return read_revocations(self._read(REVOCATIONS_SQL, ()))

    def imported(self, run_id: str) -> Imported | None:
        """See the protocol."""
        found = self._read("SELECT at, head_seq, head_hash, seal FROM imports WHERE run_id=?", (run_id,))
        if not found:
            return None
        at, head_seq, head_hash, seal = found[0]
        try:
            return Imported(run_id, at, head_seq, head_hash, None if seal is None else Seal.decode(json.loads(seal)))
        except ValueError as error:
            raise StoreError(f"run {run_id}: where it was imported from is damaged ({error})") from None

    def seal(self, run_id: str) -> Seal:
        """See the protocol."""
        head = self._read("SELECT head_seq, head_hash FROM runs WHERE id=?", (run_id,))
        if not head:
            raise RunNotFoundError(no_run(run_id, self.home))
        return self._sign(run_id, *head[0])

    def newest_seal(self, run_id: str, most: int) -> Seal | None:
        """See the protocol."""
        found = self._signed(run_id, most)
        if found is None:
            came = self.imported(run_id)
            if came is not None and came.seal is not None and came.seal.seq <= most:
                return came.seal
        return found


def restore_people(connection: Connection, run_id: str, approvals: Iterable[Mapping[str, Any]]) -> None:
    """Write the approvals of an imported run with their answers. A yes that no call has used is void."""
    for a in approvals:
        connection.execute(
            "INSERT INTO approvals (id, run_id, digest, state, requested_at, expires_at, answered_by, used_seq, "
            "people, approvers) VALUES (?,?,?,?,?,?,?,?,?,?)",
            (
                *(a["id"], run_id, a["digest"], a["state"], a["requested_at"], a["expires_at"], a["answered_by"]),
                *(a["used_seq"], a.get("people", 1), json.dumps(a.get("approvers", []), ensure_ascii=False)),
            ),
        )
        for said in a.get("answers", ()):
            void = said["void"] or (said["answer"] == "approved" and a["state"] != "used")
            connection.execute(
                "INSERT INTO answers (approval, name, person, answer, at, reason, channel, void) "
                "VALUES (?,?,?,?,?,?,?,?)",
                (
                    *(a["id"], said["by"], person_key(said["by"]), said["answer"], said["at"], said["reason"]),
                    *(json.dumps(said["channel"], ensure_ascii=False, sort_keys=True), void),
                ),
            )
