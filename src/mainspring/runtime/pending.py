"""What a run waits for a person to decide, and the answers that a person may give."""

from __future__ import annotations

import builtins
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from mainspring.errors import ApprovalError, DeclarationError
from mainspring.guard.grants import Grant
from mainspring.guard.people import Needs, People
from mainspring.names import check_person, person_key
from mainspring.store import ApprovalRow, Event, open_store


@dataclass(frozen=True, slots=True)
class Asked:
    """Everything that a person is shown of a call before they decide.

    Args:
        arguments: what would be passed, every handle resolved.
        origins: argument -> where its value came from, in words.
        labels: argument -> its encoded label.
        roles: argument -> ``"authority"``, ``"selector"`` or ``"payload"``.
        grant: the smallest grant that would cover the call; None where the journal does not say.
        diff: what would change, as text; "" when nothing can be shown.
        reason: why the guard asks.
        people, approvers: how many different people must say yes, and who may; empty means any person.
        approved_by: who has said yes so far.
        digest: what the approval is bound to.
    """

    arguments: Mapping[str, Any]
    origins: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    grant: Grant | None = None
    diff: str = ""
    reason: str = ""
    people: int = 1
    approvers: tuple[str, ...] = ()
    approved_by: tuple[str, ...] = ()
    digest: str = ""

    @property
    def missing(self) -> int:
        """How many people still have to say yes."""
        return max(self.people - len(self.approved_by), 0)


@dataclass(frozen=True, slots=True)
class Pending:
    """Something that a run waits for a person to decide.

    Args:
        id: of the approval, or of the doubt (``RUN:INTENT.ATTEMPT``: another attempt is another doubt).
        kind: ``"approval"`` (may this call be made?) or ``"doubt"`` (did this call take effect?).
        arguments: exactly what would be, or was, passed.
        reason: why a person is asked.
        digest: what an approval is bound to: run, tool, arguments and label.
        requested_at, expires_at: Unix times.
    """

    id: str
    kind: Literal["approval", "doubt"]
    run_id: str
    tool: str
    arguments: dict[str, Any]
    reason: str
    digest: str
    requested_at: float
    expires_at: float | None
    home: Path

    @classmethod
    def list(cls, home: str | Path | None = None) -> builtins.list[Pending]:
        """What all runs of a home wait for, oldest first."""
        from mainspring.runtime.run import Run

        store = open_store(home)
        found: builtins.list[Pending] = []
        for status in ("waiting", "in_doubt", "running"):
            for row in store.rows(status=status, limit=10_000):
                found += Run(row.id, store).pending()
        return sorted(found, key=lambda p: p.requested_at)

    @classmethod
    def load(cls, id: str, home: str | Path | None = None) -> Pending:
        """One by its id; raises ApprovalError when nothing with this id waits."""
        from mainspring.runtime.run import Run

        store = open_store(home)
        run_id = id.rpartition(":")[0] if ":" in id else store.approval(id).run_id
        for pending in Run.load(run_id, home).pending():
            if pending.id == id:
                return pending
        became = ""
        if ":" not in id:
            row = store.approval(id)
            by_whom = f" by {row.answered_by}" if row.answered_by else ""
            became = f": it was already settled: {row.state}{by_whom}" if row.state != "pending" else ""
        raise ApprovalError(f"nothing with the id {id!r} waits any more{became}; see `mainspring approvals list`")

    def asked(self) -> Asked:
        """What a person has to know to decide on it, as the journal has it; older journals say less.

        Raises:
            ApprovalError: the journal and the list of approvals do not speak of the same call.
        """
        if self.kind == "doubt":
            return Asked(self.arguments, reason=self.reason, digest=self.digest)
        store = open_store(self.home)
        row = store.approval(self.id)
        for event in store.events_of(self.run_id, ("approval.requested",), newest_first=True):
            if event.payload.get("id") == self.id:
                return _asked(event, row)
        raise ApprovalError(f"run {self.run_id} never asked for approval {self.id}; check it: mainspring audit verify")

    def approve(
        self,
        *,
        by: str,
        reason: str = "",
        channel: Mapping[str, str] | None = None,
        grant: bool = False,
        times: int = 1,
    ) -> ApprovalRow:
        """Say yes to exactly this call, once. Where it needs several people, the call waits for the others' yes.

        Args:
            channel: how the person was reached and recognised; by default the account of this process.
            grant: give the run the smallest grant that covers the call as well.
            times: calls that this grant covers, besides the present one.

        Raises:
            ApprovalError: it is a doubt, was answered already or has expired; this person may not answer it, or has
                said yes already; no grant can be given with it.
        """
        self._must_be("approval")
        asked = self.asked()
        channel = dict(channel) if channel is not None else this_channel("python")
        name = people_of(self.home).check(by, Needs(self.tool, asked.arguments, asked.approvers), channel)
        given: dict[str, Any] | None = None
        if grant:
            if asked.grant is None:
                raise ApprovalError(f"the journal of run {self.run_id} names no grant for this call; approve it alone")
            why = f"given with approval {self.id}"  # two that say the same are told apart by it
            given = _given(replace(asked.grant, count=_times(times), by=name, why=why)).encode()
        return open_store(self.home).answer(self.id, "approved", by=name, reason=reason, channel=channel, grant=given)

    def deny(self, *, by: str, reason: str = "", channel: Mapping[str, str] | None = None) -> ApprovalRow:
        """Refuse this call; the model is told the reason. One no is enough, however many people are asked."""
        self._must_be("approval")
        channel = dict(channel) if channel is not None else this_channel("python")
        # What a person may approve at most says nothing of what they may refuse.
        name = people_of(self.home).check(
            by, Needs(approvers=open_store(self.home).approval(self.id).approvers), channel
        )
        return open_store(self.home).answer(self.id, "denied", by=name, reason=reason, channel=channel)

    def settle(
        self, answer: Literal["happened", "did_not", "abort"], *, by: str, value: str | None = None, reason: str = ""
    ) -> None:
        """Settle a doubt.

        Args:
            answer: ``"happened"`` (the model is told so, with `value` as the tool's answer), ``"did_not"`` (the call
                is made again, under the same intent and key) or ``"abort"`` (it is given up).

        Raises:
            ApprovalError: it is an approval, was settled already, or the call was tried again since.
        """
        from mainspring.runtime.run import Run

        self._must_be("doubt")
        if answer not in ("happened", "did_not", "abort"):
            raise ApprovalError(f"a doubt is settled by 'happened', 'did_not' or 'abort', not {answer!r}")
        if self.id not in {p.id for p in Run.load(self.run_id, self.home).pending()}:
            raise ApprovalError(f"doubt {self.id} was settled already, or its call was tried again since: look anew")
        channel = this_channel("python")
        name = people_of(self.home).check(by, Needs(self.tool), channel)
        _not_revoked(self.home, name)
        intent, _, attempt = self.id.rpartition(":")[2].partition(".")
        if answer == "happened" and value is None and reason:
            value = f"It took effect; the answer itself was lost in a crash. {name} says: {reason}"
        payload = {
            "intent": int(intent),
            "attempt": int(attempt),
            "answer": answer,
            "by": name,
            "value": value,
            "reason": reason,
        }
        open_store(self.home).post(self.run_id, "doubt.answered", payload)

    def _must_be(self, kind: str) -> None:
        if self.kind != kind:
            way = "settle it with happened, did_not or abort" if self.kind == "doubt" else "approve or deny it"
            raise ApprovalError(f"{self.id} is a {self.kind}: {way}")


def checked_name(by: str) -> str:
    """The name of whoever decides; raises ApprovalError when it is empty."""
    if not isinstance(by, str) or not by.strip():
        raise ApprovalError("say who decides: by='NAME'")
    return by.strip()[:200]


def _asked(event: Event, row: ApprovalRow) -> Asked:
    p = event.payload
    if p.get("digest") != row.digest:
        raise ApprovalError(
            f"approval {row.id} is not for the call that run {row.run_id} asked for: somebody changed it; "
            "deny it, and check the journal: mainspring audit verify"
        )
    grant = None
    if isinstance(p.get("grant"), Mapping):
        try:
            grant = Grant.decode(p["grant"])
        except DeclarationError as error:
            raise ApprovalError(f"approval {row.id}: its grant cannot be read ({error}); deny it") from None
    return Asked(
        arguments=dict(p.get("arguments") or {}),
        origins=dict(p.get("origins") or {}),
        labels=dict(p.get("labels") or {}),
        roles=dict(p.get("roles") or {}),
        grant=grant,
        diff=str(p.get("diff") or ""),
        reason=str(p.get("reason") or ""),
        people=row.people,
        approvers=row.approvers,
        approved_by=row.approved_by,
        digest=row.digest,
    )


def give_grant(
    run_id: str,
    grant: Grant,
    *,
    by: str,
    reason: str = "",
    home: str | Path | None = None,
    channel: Mapping[str, str] | None = None,
) -> Grant:
    """A person gives a run a right that it did not begin with; it holds from the run's next step on.

    Returns:
        The grant as it is given, with the person's name; its id is what `revoke` takes.

    Raises:
        ApprovalError: `by` is no person, was revoked, or may not give this.
        RunNotFoundError: there is no such run.
    """
    store = open_store(home)
    channel = dict(channel) if channel is not None else this_channel("python")
    name = may_give(store.home, grant, by, channel)
    agent = store.row(run_id).agent
    if person_key(name) == person_key(agent):
        raise ApprovalError(f"{name!r} is the agent of this run; no agent gives itself a right")
    _not_revoked(store.home, name)
    given = _given(replace(grant, by=name, why=f"{reason or 'given'} ({_moment()})"))
    payload = {"grant": given.encode(), "by": name, "reason": reason, "channel": channel}
    store.post(run_id, "grant.given", payload)
    return given


def may_give(home: Path, grant: Grant, by: str, channel: Mapping[str, str]) -> str:
    """Whether this person alone may let such calls pass; returns the name as the configuration spells it.

    Raises:
        ApprovalError: `by` is no person, may not answer for these values, or a rule wants somebody else.
    """
    values = {name: list(v) if not isinstance(v, str) else v for name, v in grant.arguments.items()}
    name = people_of(home).check(by, Needs(grant.tool, values), channel)
    _check_rules(home, name, grant.tool)
    return name


def _check_rules(home: Path, name: str, tool: str) -> None:
    """A grant by one person must not stand in for the yes of several, or of others."""
    from mainspring.config import load_config

    config = load_config(home)
    for rule in config.approvals.rules:
        if rule.above is not None or not any(fnmatchcase(tool, pattern) for pattern in rule.tools):
            continue  # a rule about an amount asks whatever grants there are
        if rule.people > 1:
            raise ApprovalError(
                f"a rule wants {rule.people} people for calls of {tool}; a grant by one cannot stand in for them"
            )
        who = People.of(config.people).who(rule.approvers)
        if who and person_key(name) not in {person_key(w) for w in who}:
            raise ApprovalError(f"{name} may not grant calls of {tool}: a rule names {' or '.join(who)}")


def people_of(home: str | Path) -> People:
    """The people of a home's configuration; raises DeclarationError when it cannot be read."""
    from mainspring.config import load_config

    return People.of(load_config(home).people)


def this_channel(kind: str) -> dict[str, str]:
    """How an answer from this process came: the kind of channel, the account as the kernel has it, the machine."""
    import pwd

    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # no such user, as in some containers
        user = f"uid {os.getuid()}"
    return {"kind": kind, "user": user, "host": platform.node()}


def _moment() -> str:
    """Two grants that say the same are told apart by when they were given."""
    now = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e6):06d}Z"


def _given(grant: Grant) -> Grant:
    if "any" in grant.arguments.values():
        raise ApprovalError(f"{grant.shown()!r} would allow any value; name the values, or declare it with the agent")
    return grant


def _times(times: int) -> int:
    if isinstance(times, bool) or not isinstance(times, int) or not 1 <= times <= 1_000_000:
        raise ApprovalError(f"a grant is for 1 to 1,000,000 calls, not {times!r}")
    return times


def _not_revoked(home: Path, name: str) -> None:
    if person_key(check_person(name)) in open_store(home).revoked():
        raise ApprovalError(f"the rights of {name!r} were taken back; somebody else has to decide")
