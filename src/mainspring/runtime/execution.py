"""Owning a run and driving it: for a fresh start, after a crash, and after a person's answer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from mainspring.agent import Agent, Limits
from mainspring.errors import ApprovalError, MainspringError, RunBusyError
from mainspring.label import Label
from mainspring.messages import Message
from mainspring.points import reach
from mainspring.runtime.dispatch import handing_over
from mainspring.runtime.imported import executed_elsewhere
from mainspring.runtime.inbox import CANCEL, PAUSE
from mainspring.runtime.journal import Journal, RunEvent, Watcher
from mainspring.runtime.loop import Engine
from mainspring.runtime.run import Run
from mainspring.runtime.settings import settings_of
from mainspring.runtime.starting import Start, create, unseen
from mainspring.runtime.state import RunState
from mainspring.store import Lease, Store


async def execute(
    run: Run,
    agent: Agent,
    limits: Limits | None,
    on_event: Watcher | None,
    workspace: Path | None = None,
    owned: Lease | None = None,
) -> None:
    """Own a run and drive it until it stops. Used by `resume`, by workers and by a fresh start alike.

    Args:
        owned: the lease, when the caller owns the run already; it is given up here.
    """
    store = run._store
    refused, again = 0, False
    _each(agent, "recover", run.id, store.home)
    while True:
        try:
            lease, owned = owned if owned is not None else store.acquire(run.id), None
        except RunBusyError:
            if again:
                return  # whoever spoke has resumed it
            raise
        run._state = RunState()
        try:
            journal = Journal(store, lease, RunState.of(store.events(run.id)), on_event)
            held = journal.state.bounds.hold(agent.tools)
            _record_resumed(journal, agent, limits, workspace, unseen(settings_of(store.home).configured(held)))
            limits = None  # they are in the journal now
            engine = Engine(agent, journal, store.home, run)
            await engine.drive()
            again = _overlooked(store, run.id, engine)
            if not again:
                run._state = journal.state  # it is what reading the journal again would give
                return
        except ApprovalError:
            # An approval ran out between the question and the intent. Nothing was written: read the journal again.
            refused += 1
            if refused == 5:
                raise
        finally:
            if not again:
                _each(agent, "close", run.id, store.home)
            if not lease.released:
                try:
                    store.release(lease)
                except MainspringError:
                    lease.released = True


def _each(agent: Agent, what: str, run_id: str, home: Path) -> None:
    """Have the tools take up, or let go of, what they hold for a run."""
    for call in {getattr(tool, what) for tool in agent.tools.values()} - {None}:
        call(run_id, home)


def _overlooked(store: Store, run_id: str, engine: Engine) -> bool:
    """True when somebody spoke after the run's last look and before it let go, and believes to have been heard."""
    if store.row(run_id).status not in ("waiting", "in_doubt"):
        return False
    kinds = {item.kind for item in store.inbox(run_id)}
    return CANCEL in kinds or (not engine.paused and bool(kinds - {PAUSE}))


def _record_resumed(
    journal: Journal, agent: Agent, limits: Limits | None, workspace: Path | None, stranger: Label
) -> None:
    elsewhere = executed_elsewhere(journal.store, journal.state) > 0
    if elsewhere and not journal.state.guard.foreign and limits is None:
        limits = agent.limits  # and not those that the journal gives itself
    seconds = round(journal.state.seconds_so_far, 3)
    if journal.state.model_open is not None:
        called = journal.state.model_open
        journal.record(
            "model.failed",
            {
                "step": called["step"],
                "model": called["model"],
                "model_index": 0,
                "error": "the process died while the model answered; the call may have been charged",
                "retryable": True,
                "attempt": 0,
                "wait_s": 0.0,
                "crashed": True,
            },
        )
    journal.record(
        "run.resumed",
        {
            "epoch": journal.lease.epoch,
            "pid": os.getpid(),
            "digest": agent.digest(),
            "limits": None if limits is None else asdict(limits),
            "seconds": seconds,
            **({"imported": True} if elsewhere else {}),
            **({"worker": True} if handing_over.get() else {}),
            **({} if workspace is None else {"workspace": str(workspace)}),
        },
        stranger,
    )
    journal.send(status="running")


async def begin(store: Store, start: Start, on_event: Watcher | None) -> Run:
    """Create a run and drive it until it stops."""
    agent = start.agent
    reach("run.before_create")
    lease, appended = create(store, start)
    new_id = lease.run_id
    run = Run(new_id, store)
    try:
        await asyncio.wrap_future(appended.done)
        reach("run.created")
        journal = Journal(store, lease, RunState.of(appended.events), on_event)
        first = appended.events[0]
        journal.tell(RunEvent(first.kind, first.seq, first.at, first.payload, new_id))
        try:
            engine = Engine(agent, journal, store.home, run)
            await engine.drive()
            again = _overlooked(store, new_id, engine)
            if not again:
                run._state = journal.state
        except ApprovalError:
            store.release(lease)
            again = True
        if again:
            with contextlib.suppress(RunBusyError):  # whoever spoke has resumed it
                await execute(run, agent, None, on_event)
    finally:
        _each(agent, "close", new_id, store.home)
        if not lease.released:
            try:
                store.release(lease)
            except MainspringError:
                lease.released = True
    return run


_T = TypeVar("_T")


def run_blocking(work: Coroutine[Any, Any, _T]) -> _T:
    """Run `work` to its end; inside a running event loop (a notebook, say) in a thread, blocking that loop."""

    async def main() -> _T:
        try:
            return await work
        finally:
            # Providers' connections belong to this loop, which ends here.
            models = sys.modules.get("mainspring.models")
            if models is not None:
                await models.close_connections()

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(main())
    with ThreadPoolExecutor(1, thread_name_prefix="mainspring-run") as pool:
        return pool.submit(asyncio.run, main()).result()


class NoModel:
    """Stands in for the model of a run that is only to be ended."""

    name = "none"

    async def respond(self, messages: object, tools: object, settings: object) -> Message:
        raise MainspringError("this run is being cancelled; no model is asked")
