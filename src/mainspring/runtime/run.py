"""A run as its user sees it: what it is at, what it waits for, and what may be done with it."""

from __future__ import annotations

import builtins
import contextlib
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

from mainspring.agent import Agent, Limits, declared
from mainspring.errors import ApprovalError, DeclarationError, RunBusyError, StoreError
from mainspring.guard import Grant
from mainspring.label import USER
from mainspring.messages import Message, Part, Usage, encode, user
from mainspring.names import check_person, person_key
from mainspring.runtime.imported import executed_elsewhere
from mainspring.runtime.journal import RunEvent, Watcher
from mainspring.runtime.pending import Pending, checked_name, give_grant, people_of
from mainspring.runtime.state import CallState, RunState
from mainspring.runtime.vouching import checked_reason, lowered
from mainspring.store import Changes, Event, NewEvent, Store, open_store

__all__ = ["Pending", "ReplayReport", "Run", "RunEvent"]


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """Whether the journal gives the same context bytes again.

    Args:
        steps: model calls that were compared.
        identical: True when every one saw the context that the journal gives now.
        differences: numbers of the steps that did not.
    """

    steps: int
    identical: bool
    differences: tuple[int, ...]


class Run:
    """One execution of an agent on a task. Its state is read from the journal, as new as the journal is."""

    def __init__(self, run_id: str, store: Store) -> None:
        self.id = run_id
        self._opened = store
        self._state = RunState()

    @property
    def _store(self) -> Store:
        """The journal; opened anew when a full disk or the like broke it."""
        if self._opened.broken is not None:
            self._opened = open_store(self._opened.home)
        return self._opened

    @classmethod
    def load(cls, run_id: str, home: str | Path | None = None) -> Run:
        """The run with this id; raises RunNotFoundError."""
        store = open_store(home)
        store.row(run_id)
        return cls(run_id, store)

    @classmethod
    def list(cls, home: str | Path | None = None, status: str | None = None, limit: int = 50) -> builtins.list[Run]:
        """Runs of a home, newest first; `status` selects."""
        store = open_store(home)
        wanted = "running" if status == "interrupted" else status
        runs = [cls(row.id, store) for row in store.rows(status=wanted, limit=limit)]
        return [r for r in runs if status is None or r.status == status]

    def __repr__(self) -> str:
        return f"<Run {self.id} {self.status}>"

    # --- what it is ---

    @property
    def home(self) -> Path:
        """The folder of its journal."""
        return self._store.home

    @property
    def status(self) -> str:
        """``"done"``, ``"waiting"``, ``"in_doubt"``, ``"failed"``, ``"cancelled"``, ``"running"``, or ``"interrupted"``
        when the process that executed it died; `resume` goes on from there."""
        row = self._store.row(self.id)
        if row.status == "running" and not row.alive:
            return "interrupted"
        return row.status

    @property
    def state(self) -> RunState:
        """The fold over all its events so far."""
        if self._store.row(self.id).head_seq != self._state.seq:
            for event in self._store.events(self.id, after=self._state.seq):
                self._state.apply(event)
        return self._state

    @property
    def output(self) -> Any:
        """The final answer: text, or a value of the agent's `output_type` when its declaration is known here."""
        output = self.state.output
        agent = declared.get(self.agent_name)
        if output is not None and agent is not None and agent.output_type is not None and self.status == "done":
            from mainspring.runtime.output import OutputType

            try:
                return OutputType(agent.output_type).restore(output)
            except ValueError:  # the declaration changed since
                return output
        return output

    @property
    def reason(self) -> str:
        """Why it failed, waits or was cancelled."""
        return self.state.reason

    @property
    def usage(self) -> Usage:
        """What its model calls spent."""
        return self.state.usage

    @property
    def steps(self) -> int:
        """Answers of the model so far."""
        return self.state.step

    @property
    def agent_name(self) -> str:
        """Who executes it."""
        return self._store.row(self.id).agent

    @property
    def imported(self) -> bool:
        """True when it, or a run whose history it has, was executed elsewhere: what its journal names is not ours."""
        return executed_elsewhere(self._store, self.state) > 0

    @property
    def origin(self) -> str | None:
        """Where the agent's declaration came from, if it was said."""
        return self.state.origin

    @property
    def task(self) -> str:
        """The task's text."""
        return self.state.task

    @property
    def workspace(self) -> Path | None:
        """The folder that it may touch."""
        return Path(self.state.workspace) if self.state.workspace else None

    @property
    def created_at(self) -> float:
        """Unix time in seconds."""
        return self._store.row(self.id).created_at

    def events(self) -> builtins.list[Event]:
        """Its journal."""
        return builtins.list(self._store.events(self.id))

    def model_messages(self) -> builtins.list[Message]:
        """The context that the next model call would see."""
        return builtins.list(self.state.context.messages)

    def pending(self) -> builtins.list[Pending]:
        """Approvals and doubts that wait for a person."""
        state = self.state
        answered = {
            (item.payload["intent"], item.payload["attempt"])
            for item in self._store.inbox(self.id)
            if item.kind == "doubt.answered"
        }
        found: builtins.list[Pending] = []
        for call in state.open_calls:
            if call.stage == "asked" and call.approval is not None:
                row = self._store.approval(call.approval)
                if row.state == "pending":
                    found.append(self._pending(call, row.id, "approval", row.digest, row.expires_at))
            elif call.stage == "parked" and (call.intent, call.attempts) not in answered:
                digest = str(call.intended["digest"])
                found.append(self._pending(call, f"{self.id}:{call.intent}.{call.attempts}", "doubt", digest, None))
        return found

    def _pending(
        self, call: CallState, id: str, kind: Literal["approval", "doubt"], digest: str, expires_at: float | None
    ) -> Pending:
        at = call.intended_at or self._store.row(self.id).updated_at
        arguments = dict(call.asked.get("arguments", call.part.arguments))  # with every handle filled in
        return Pending(
            id, kind, self.id, call.part.name, arguments, call.reason, digest, at, expires_at, self._store.home
        )

    def verify(self) -> int:
        """Check the hash chain; returns the number of events, raises StoreError at the first changed one."""
        return self._store.verify(self.id)

    def replay(self) -> ReplayReport:
        """Compute every context again from the journal, with no model and no effects, and compare the bytes."""
        state = RunState()
        steps, differences = 0, []
        for event in self._store.events(self.id):
            if event.kind == "model.called":
                steps += 1
                if event.payload["context"] != state.context.digest:
                    differences.append(int(event.payload["step"]))
            state.apply(event)
        return ReplayReport(steps, not differences, tuple(differences))

    # --- what may be done with it ---

    async def resume(
        self,
        agent: Agent | None = None,
        *,
        limits: Limits | dict[str, float | None] | None = None,
        on_event: Watcher | None = None,
        workspace: str | Path | None = None,
    ) -> Run:
        """Go on where the journal ends; returns itself when there is nothing to go on with.

        Args:
            agent: its declaration; by default the agent of the same name that was declared in this process.
            limits: new limits from here on, for a run that reached its old ones.
            on_event: called with each RunEvent.
            workspace: the folder that it may touch from here on. An imported run has none until one is named here.

        Raises:
            RunBusyError: a living process executes it.
            DeclarationError: no agent of this name is declared here.
            JournalVersionError, StoreError: the journal cannot be read or written.
        """
        folder = None if workspace is None else Path(workspace).expanduser().resolve()
        if folder is not None and not folder.is_dir():
            raise DeclarationError(f"the workspace {folder} is no folder; make it first")
        row = self._store.row(self.id)
        inbox = {item.kind for item in self._store.inbox(self.id)}
        if row.status in ("done", "cancelled") and "message" not in inbox:
            return self
        if row.status in ("waiting", "in_doubt") and not inbox and not self._may_go_on():
            return self
        executor = agent if agent is not None else declared.get(row.agent)
        if executor is None:
            raise DeclarationError(
                f"run {self.id} belongs to agent {row.agent!r}, which is not declared in this process; "
                "declare it first, or pass agent=..."
            )
        from mainspring.runtime.execution import execute

        changed = Limits.of(limits) if limits is not None else None
        await execute(self, executor, changed, on_event, folder)
        return self

    def _may_go_on(self) -> bool:
        """False while every open call waits for a person who has not answered yet."""
        calls = self.state.open_calls
        now = time.time()
        for call in calls:
            if call.stage == "asked" and call.approval is not None:
                row = self._store.approval(call.approval)
                if row.expires_at is not None and row.expires_at <= now + 1.0:
                    return True  # it is asked anew
            elif call.stage != "parked":
                return True
        return not calls

    def resume_sync(
        self,
        agent: Agent | None = None,
        *,
        limits: Limits | dict[str, float | None] | None = None,
        on_event: Watcher | None = None,
        workspace: str | Path | None = None,
    ) -> Run:
        """:meth:`resume` for programs without an event loop."""
        from mainspring.runtime.execution import run_blocking

        return run_blocking(self.resume(agent, limits=limits, on_event=on_event, workspace=workspace))

    def send(self, content: str | Part | Iterable[str | Part], *, by: str = "user") -> None:
        """Say something to the run; the model sees it before its next answer. A finished run goes on at `resume`."""
        # What it says is the user's own word, of which grants are made: no agent may speak here.
        self._store.post(self.id, "message", {"message": encode(user(content)), "by": check_person(checked_name(by))})

    def vouch(self, target: str, *, by: str, reason: str) -> None:
        """Lower a label: from now on a value counts as `by`'s own word. The journal keeps who and why, and it can be
        taken back with :meth:`doubt`.

        Args:
            target: a handle (``"v3"``), a field of one (``"v3[0].body"``), or the id of a call whose answer the model
                saw.

        Raises:
            ApprovalError: there is no such value, or it is not said who and why.
        """
        payload = lowered(self.state, target, self._person(by), reason)
        self._store.post(self.id, "label.lowered", payload)

    def doubt(self, target: str, *, by: str, reason: str) -> None:
        """Take back what :meth:`vouch` said; raises ApprovalError when nobody vouched for it."""
        waiting = {i.payload["target"] for i in self._store.inbox(self.id) if i.kind == "label.lowered"}
        if target not in self.state.guard.lowered and target not in waiting:
            raise ApprovalError(f"nobody vouches for {target!r} in run {self.id}")
        payload = {"target": target, "by": self._person(by), "reason": checked_reason(reason)}
        self._store.post(self.id, "label.restored", payload)

    def grant(self, grant: Grant, *, by: str, reason: str = "") -> None:
        """Give the run a right, from its next step on; raises ApprovalError as :func:`give_grant` does."""
        give_grant(self.id, grant, by=by, reason=reason, home=self._store.home)

    def _person(self, by: str) -> str:
        """The name of somebody who may decide for this home; raises ApprovalError for anybody else."""
        name = people_of(self._store.home).check(checked_name(by))
        if person_key(name) == person_key(self.agent_name):
            raise ApprovalError(f"{name!r} is the agent of this run; no agent vouches for what it reads")
        if person_key(name) in self._store.revoked():
            raise ApprovalError(f"the rights of {name} were taken back")
        return name

    @property
    def mode(self) -> str:
        """How it is guarded: ``"plain"``, ``"contained"``, ``"clean"`` or ``"tainted"``."""
        return self.state.guard.mode

    @property
    def grants(self) -> builtins.list[Grant]:
        """The rights that it holds."""
        return builtins.list(self.state.guard.grants)

    def cancel(self, *, by: str = "user", reason: str = "cancelled") -> None:
        """End the run: at once when nobody executes it, else as soon as its effects under way have settled.

        A run that has ended stays as it is.
        """
        if self.status in ("done", "failed", "cancelled"):
            return
        self._store.post(self.id, "cancel", {"by": checked_name(by), "reason": reason})
        row = self._store.row(self.id)
        if not row.alive and row.status not in ("done", "failed", "cancelled"):
            from mainspring.runtime.execution import NoModel, execute, run_blocking

            idle = Agent("mainspring-cancel", model=NoModel())
            declared.pop(idle.name, None)
            with contextlib.suppress(RunBusyError):  # somebody resumed it just now, and will find our word
                run_blocking(execute(self, idle, None, None))

    def pause(self, reason: str = "paused by a person") -> None:
        """Stop after the effects under way; `resume` goes on."""
        self._store.post(self.id, "pause", {"reason": reason})

    def undo_compaction(self, *, by: str = "user") -> None:
        """Give the model its whole context back, at its next step."""
        if not self.state.compactions:
            raise StoreError(f"run {self.id} was never compacted; there is nothing to undo")
        self._store.post(self.id, "context.restored", {"by": checked_name(by)})

    def fork(self, step: int | None = None, *, run_id: str | None = None) -> Run:
        """A new run with this one's history up to the end of a step (default: the last finished one).

        Effects of that history are not repeated; what comes after has keys and approvals of its own.

        Raises:
            StoreError: there is no such finished step.
        """
        kept: builtins.list[Event] = []
        state = RunState()
        cut, at_step, seconds = 0, 0, 0.0
        for event in self._store.events(self.id):
            if event.kind == "model.called" and (step is None or state.step <= step):
                cut, at_step, seconds = len(kept), state.step, state.seconds(event.at)
            kept.append(event)
            state.apply(event)
        if not state.open_calls and state.model_open is None and (step is None or state.step <= step):
            ends = {"run.ended", "run.waiting", "run.paused"}
            cut = next((n for n, e in enumerate(kept) if n >= cut and e.kind in ends), len(kept))
            at_step, seconds = state.step, state.seconds_so_far
        if not cut or (step is not None and (step < 0 or at_step != step)):
            raise StoreError(f"run {self.id} has {state.step} steps; it cannot be forked at step {step}")
        from mainspring.runtime.starting import new_run_id

        new_id = run_id or new_run_id()
        events = [NewEvent(e.kind, e.payload, e.label, e.version) for e in kept[:cut]]
        forked = {"parent": self.id, "step": at_step, "seq": cut, "seconds": round(seconds, 3)}
        events.append(NewEvent("run.forked", forked, USER))
        row = self._store.row(self.id)
        lease, appended = self._store.create(new_id, events, agent=row.agent, task=row.task, parent=self.id)
        appended.done.result()
        self._store.append(lease, [], _PAUSED).done.result()
        return Run(new_id, self._store)

    def export(self, target: str | Path | TextIO) -> int:
        """Write the run as JSON lines to a path or an open file; returns the number of events."""
        from mainspring.store.transfer import export_run

        if isinstance(target, str | Path):
            try:
                with open(target, "w", encoding="utf-8") as out:
                    return export_run(self._store, self.id, out)
            except OSError as error:
                raise StoreError(f"cannot write {target}: {error}") from error
        return export_run(self._store, self.id, target)

    @classmethod
    def import_(cls, source: str | Path | TextIO, home: str | Path | None = None) -> Run:
        """Read a run written by :meth:`export`; raises StoreError, and then nothing was imported."""
        from mainspring.store.transfer import import_run

        store = open_store(home)
        if isinstance(source, str | Path):
            try:
                with open(source, encoding="utf-8") as lines:
                    return cls(import_run(store, lines), store)
            except (OSError, UnicodeDecodeError) as error:
                raise StoreError(f"cannot read {source}: {error}") from error
        return cls(import_run(store, source), store)


_PAUSED = Changes(status="waiting", release=True)
