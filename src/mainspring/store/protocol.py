"""What any store must do: keep runs, their events, and what people answered.

Reads are plain calls. Writes return a `concurrent.futures.Future` that is done when the data is on disk, so
that many runs, threads and event loops can share one writer, which commits them in groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from mainspring.label import SYSTEM, Label

if TYPE_CHECKING:
    from pathlib import Path

    from mainspring.errors import StoreError
    from mainspring.store.seals import Seal

#: How long a post from another process may stay unnoticed by `Store.news`, in seconds.
NEWS_S = 0.05

ApprovalState: TypeAlias = Literal["pending", "approved", "denied", "expired", "used"]


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to be appended: what happened, as a JSON-ready dict, and the label of what it says."""

    kind: str
    payload: Mapping[str, Any]
    label: Label = SYSTEM
    version: int = 1


@dataclass(frozen=True, slots=True)
class Event:
    """A line of the journal.

    Args:
        run_id, seq: its place; `seq` starts at 1 and has no gaps.
        at: Unix time in seconds.
        kind, version: what it is, and by which version of that kind's payload.
        label: who may have written what it says.
        payload: what it says.
        hash: SHA-256 (hex) over the previous event's hash and this one, see `mainspring.store.chain`.
    """

    run_id: str
    seq: int
    at: float
    kind: str
    version: int
    label: Label
    payload: dict[str, Any]
    hash: str


@dataclass(slots=True)
class Lease:
    """The right to append to a run, with the head of its chain. Only its owner changes it.

    `epoch` grows with every owner; an append under an older epoch is refused. `unseen` says that the owner before was
    not seen to be dead, only silent for as long as its lease: what it had begun may still be on its way.
    """

    run_id: str
    epoch: int
    head_seq: int
    head_hash: str
    released: bool = False
    unseen: bool = False


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run as the store lists it.

    Args:
        parent: the run that started it, or whose history it has (a fork).
        alive: whether a living process owns it now.
        priority: runs of a higher one are taken up first.
        queue: the name of the workers that take it up; "" for any.
    """

    id: str
    agent: str
    task: str
    status: str
    created_at: float
    updated_at: float
    epoch: int
    head_seq: int
    wake_at: float | None
    parent: str | None
    alive: bool
    priority: int = 0
    queue: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """A question to people about one call, bound to `digest`.

    Args:
        expires_at: Unix time after which nobody may answer, and an answer may not be used; None means never.
        people: how many different people must say yes.
        approvers: names of those who may answer; empty means any person.
    """

    id: str
    digest: str
    expires_at: float | None
    people: int = 1
    approvers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What one person said. `channel` is how they said it; `void` that their rights were taken back before its use."""

    by: str
    answer: Literal["approved", "denied"]
    at: float
    reason: str = ""
    channel: Mapping[str, str] = field(default_factory=dict)
    void: bool = False


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    """An approval's state. `used_seq` is the intent that consumed it; times are Unix times in seconds.

    `answered_by` names whoever settled it; `answers` holds what everybody said, oldest first.
    """

    id: str
    run_id: str
    digest: str
    state: ApprovalState
    requested_at: float
    expires_at: float | None
    answered_by: str | None
    used_seq: int | None
    people: int = 1
    approvers: tuple[str, ...] = ()
    answers: tuple[Answer, ...] = ()

    @property
    def approved_by(self) -> tuple[str, ...]:
        """Who has said yes so far, and still may."""
        return tuple(a.by for a in self.answers if a.answer == "approved" and not a.void)


@dataclass(frozen=True, slots=True)
class Revocation:
    """A line of the list of rights taken back (`revoked`) or restored. `name` is a principal's or a grant's id."""

    number: int
    name: str
    revoked: bool
    by: str
    reason: str
    at: float
    channel: Mapping[str, str]
    hash: str


@dataclass(frozen=True, slots=True)
class Imported:
    """Where a run came from that was executed elsewhere.

    Args:
        at: Unix time in seconds of the import.
        head_seq, head_hash: the end of what came with it; events after it were written here.
        seal: the newest signature of its old home that came along, unchecked.
    """

    run_id: str
    at: float
    head_seq: int
    head_hash: str
    seal: Seal | None


@dataclass(frozen=True, slots=True)
class Kept:
    """A small document that stands beside the runs: a schedule, what a day has spent.

    Args:
        kind, name: what it is and which.
        version: grows by one with each change, from 1; a change names the version that it changes.
        body: JSON-ready dict.
        due_at: Unix time at which somebody should look at it, or None.
        changed_at: Unix time in seconds.
    """

    kind: str
    name: str
    version: int
    body: dict[str, Any]
    due_at: float | None
    changed_at: float


@dataclass(frozen=True, slots=True)
class InboxItem:
    """What somebody outside wants a run to know: an answer, a message, a request to stop."""

    id: int
    run_id: str
    at: float
    kind: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Changes:
    """What else is changed in the same transaction as an append.

    Args:
        status: new status of the run, or None to keep it.
        wake_at: Unix time at which a waiting run wants to be woken; only used together with `status`.
        release: give the lease up.
        consume: `(approval id, digest, seq of the intent)`: each approval must be given for this digest, unexpired
            and unused; it is used up.
        requests: approvals that begin to wait.
        expire: approvals that nobody may answer any more.
        taken: ids of inbox items that these events carry into the journal.
    """

    status: str | None = None
    wake_at: float | None = None
    release: bool = False
    consume: tuple[tuple[str, str, int], ...] = ()
    requests: tuple[ApprovalRequest, ...] = ()
    expire: tuple[str, ...] = ()
    taken: tuple[int, ...] = ()


NO_CHANGES = Changes()


#: A new event with its seq, time and hash.
Placed: TypeAlias = tuple[int, float, str, NewEvent]


@dataclass(frozen=True, slots=True)
class Appended:
    """Events that are on their way to the disk; `done` resolves when they are there."""

    run_id: str
    placed: tuple[Placed, ...]
    done: Future[None] = field(repr=False)

    @property
    def events(self) -> tuple[Event, ...]:
        """The events as the journal gives them back; made only when somebody asks."""
        return tuple(
            Event(self.run_id, seq, at, e.kind, e.version, e.label, dict(e.payload), digest)
            for seq, at, digest, e in self.placed
        )


class Store(Protocol):
    """The journal. One conformance suite (`tests/store/conformance.py`) holds for every implementation."""

    @property
    def home(self) -> Path:
        """The folder of what belongs to this machine: keys, undo copies, indexes; with SQLite the journal too."""
        ...

    @property
    def broken(self) -> StoreError | None:
        """Why this store refuses further writes, or None; open the home again to go on."""
        ...

    def retire(self) -> None:
        """Close once nothing is executed under this store: until then nobody else may take its runs."""
        ...

    def create(
        self,
        run_id: str,
        events: Sequence[NewEvent],
        *,
        agent: str,
        task: str,
        parent: str | None = None,
        priority: int = 0,
        queue: str = "",
    ) -> tuple[Lease, Appended]:
        """Begin a run with its first events and own it. `done` fails with StoreError if the id exists."""
        ...

    def acquire(self, run_id: str) -> Lease:
        """Own a run under the next epoch. Its status stays what it is until the owner appends.

        Raises:
            RunNotFoundError: there is no such run.
            RunBusyError: a living process owns it.
        """
        ...

    def release(self, lease: Lease) -> None:
        """Give a lease up without changing anything else; harmless when it is gone already."""
        ...

    def holds(self, lease: Lease) -> bool:
        """True while nobody can have taken the run from this lease; asked right before an effect."""
        ...

    def append(self, lease: Lease, events: Sequence[NewEvent], changes: Changes = NO_CHANGES) -> Appended:
        """Add events in order, all or none, with `changes`.

        `done` fails with LeaseLostError under an old epoch, ApprovalError when `consume` cannot be used,
        and StoreError when the disk does not take it. After a failure the lease must be acquired again.
        """
        ...

    def row(self, run_id: str) -> RunRow:
        """One run; raises RunNotFoundError."""
        ...

    def rows(self, *, status: str | None = None, prefix: str = "", limit: int = 100) -> list[RunRow]:
        """Runs, newest first."""
        ...

    def children(self, run_id: str) -> list[RunRow]:
        """Runs whose parent this one is, oldest first: its sub-agents and its forks."""
        ...

    def due(self, now: float) -> list[str]:
        """Ids of waiting runs whose `wake_at` has come."""
        ...

    def ready(
        self, now: float, *, agents: Sequence[str] | None = None, queues: Sequence[str] | None = None, limit: int = 100
    ) -> list[str]:
        """Ids of runs that somebody should take up now: of a higher priority first, then what was
        interrupted and those that somebody has spoken to, then those due longest.

        They are waiting and due, or interrupted (their owner is dead), or wait while something that may let them go on
        lies in their inbox (anything but a pause), or have ended and a message waits. Runs that a living process owns
        are none of them. Costs nothing for the sleepers that are not ready.

        Args:
            agents: only runs of these agents; None for all.
            queues: only runs of these queues; None for all.
        """
        ...

    def next_wake(self) -> float | None:
        """The earliest `wake_at` of any waiting run, past or future; None when none has one."""
        ...

    def stamp(self) -> int | None:
        """A number that is another one once anybody has written to this journal; None where that cannot be told.

        For those who look again and again: while it stays the same, only time and the death of an owner change what
        they would find. It costs a few microseconds.
        """
        ...

    # --- small documents ---

    def keep(self, kind: str, name: str, body: Mapping[str, Any], *, version: int, due_at: float | None = None) -> Kept:
        """Write a document: a new one with `version` 0, else the next version of the one that has `version` now.

        Raises:
            StoreError: it has another version by now (somebody else was faster), or exists or is gone; nothing changed.
        """
        ...

    def kept(self, kind: str, name: str) -> Kept | None:
        """One document, or None."""
        ...

    def all_kept(self, kind: str, *, prefix: str = "", due: float | None = None, limit: int = 1000) -> list[Kept]:
        """Documents of a kind by name; with `due` only those whose `due_at` has come by then, the longest due first."""
        ...

    def drop(self, kind: str, name: str, *, version: int) -> None:
        """Remove a document; raises StoreError when it has another version by now or is gone."""
        ...

    def events(self, run_id: str, after: int = 0) -> Iterator[Event]:
        """The journal of a run behind `after`, in order; raises RunNotFoundError."""
        ...

    def event(self, run_id: str, seq: int) -> Event:
        """One event; raises RunNotFoundError when there is none at `seq`."""
        ...

    def post(self, run_id: str, kind: str, payload: Mapping[str, Any]) -> None:
        """Put something into a run's inbox; raises RunNotFoundError. On disk when it returns."""
        ...

    def inbox(self, run_id: str) -> list[InboxItem]:
        """What the run has not taken yet, oldest first."""
        ...

    def news(self, run_id: str) -> bool:
        """False when the inbox was found empty a moment ago; cheap enough for every step.

        What another process posts may be noticed `NEWS_S` seconds later.
        """
        ...

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
        """A person's answer. One no settles the approval, and the yes of as many different people as it needs; what is
        settled is posted as ``approval.answered`` to the run's inbox.

        Args:
            channel: how the answer came, such as ``{"kind": "cli", "user": "ann", "host": "desk"}``.
            grant: an encoded grant that is given with the yes: posted as ``grant.given`` in the same transaction.

        Raises:
            ApprovalError: unknown, expired, used, or answered before; `by` is no person, is not among the approvers,
                has said yes before, or was revoked.
        """
        ...

    def approval(self, approval_id: str) -> ApprovalRow:
        """One approval; raises ApprovalError when it is unknown."""
        ...

    def approvals(self, *, run_id: str | None = None, state: str | None = None) -> list[ApprovalRow]:
        """Approvals, oldest first."""
        ...

    def revoke(
        self,
        name: str,
        *,
        by: str,
        reason: str = "",
        restore: bool = False,
        channel: Mapping[str, str] | None = None,
    ) -> None:
        """Take back what a principal (a person, ``agent:NAME``) may do, or a grant by its id; `restore` gives it back.

        Yeses of this person that no call has used are void from then on, in the same transaction.

        Raises:
            ApprovalError: `by` is no person, was revoked, or restores themself.
        """
        ...

    def revoked(self, *, within_s: float = 0.0) -> frozenset[str]:
        """Names and grant ids that are revoked now, each as it was written and as `person_key` compares it.

        Cheap enough for every step: one look at the end of an index when nothing has changed.

        Args:
            within_s: what was taken back in the last so many seconds need not be known yet, where a look is a question
                to a server.
        """
        ...

    def revocations(self) -> list[Revocation]:
        """The whole list, oldest first, its chain checked; raises StoreError at the first wrong line."""
        ...

    def imported(self, run_id: str) -> Imported | None:
        """Where an imported run came from; None for one that began here."""
        ...

    def seal(self, run_id: str) -> Seal:
        """Sign where the journal of a run ends now. What it holds is on disk already; the run need not be owned.

        Raises:
            StoreError: the signing key cannot be used, or the seal cannot be written; the run is as good as before.
        """
        ...

    def newest_seal(self, run_id: str, most: int) -> Seal | None:
        """The newest signature over a run at or before event `most`, unchecked."""
        ...

    def chain(self, run_id: str) -> Iterator[tuple[int, str, str]]:
        """`(seq, kind, hash)` of each event of a run, in order, checked as they are read.

        What is appended meanwhile is left out.

        Raises:
            RunNotFoundError: there is no such run.
            StoreError: at the first event that was changed or is missing, and at the end when some are.
        """
        ...

    def events_of(self, run_id: str, kinds: Sequence[str], *, newest_first: bool = False) -> Iterator[Event]:
        """The events of some kinds; raises RunNotFoundError."""
        ...

    def verify(self, run_id: str) -> int:
        """Check the hash chain and return the number of events; raises StoreError at the first wrong one."""
        ...

    def restore(
        self,
        row: Mapping[str, Any],
        lines: Sequence[Mapping[str, Any]],
        approvals: Sequence[Mapping[str, Any]],
        inbox: Sequence[Mapping[str, Any]] = (),
        seal: Seal | None = None,
    ) -> None:
        """Write an exported run back, its fields and chain checked, and remember that it came from elsewhere.

        Raises:
            StoreError: the run or an approval is there already, or a line is damaged; nothing was written.
        """
        ...

    def close(self) -> None:
        """Flush and close; harmless when it is closed already."""
        ...
