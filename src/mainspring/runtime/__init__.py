"""Runs agents: starts, resumes and streams them. The rest of this folder is one duty a file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.agent import Agent, Limits, Task
from mainspring.errors import DeclarationError
from mainspring.messages import Message, Part, user
from mainspring.runtime.journal import RunEvent, Watcher
from mainspring.runtime.pending import checked_name
from mainspring.runtime.run import Pending, ReplayReport, Run
from mainspring.store import open_store

if TYPE_CHECKING:
    from mainspring.runtime.starting import Start

__all__ = ["Pending", "ReplayReport", "Run", "RunEvent", "Watcher", "enqueue", "start", "start_sync", "stream"]


async def start(
    agent: Agent,
    task: Task,
    *,
    workspace: str | Path | None = None,
    limits: Limits | Mapping[str, float | None] | None = None,
    run_id: str | None = None,
    home: str | Path | None = None,
    on_event: Watcher | None = None,
    by: str = "user",
) -> Run:
    """Execute `agent` on `task` until the run is done, waits or has failed.

    Args:
        task: text, a Message, or a list of texts and parts (pictures, files).
        workspace: the folder that the tools may touch, instead of the agent's own.
        limits: instead of the agent's own.
        run_id: the run's id, for callers that keep their own; it must be new.
        home: the folder of the journal, instead of `MAINSPRING_HOME` or ``~/.mainspring``.
        on_event: called with each :class:`RunEvent`, from the event loop.
        by: the person on whose behalf the run acts.

    Raises:
        DeclarationError: the task is empty or of a wrong type, or the workspace is no folder.
        StoreError: the journal cannot be written.
    """
    from mainspring.runtime.execution import begin

    return await begin(open_store(home), to_start(agent, task, workspace, limits, run_id, by), on_event)


def enqueue(
    agent: Agent,
    task: Task,
    *,
    workspace: str | Path | None = None,
    limits: Limits | Mapping[str, float | None] | None = None,
    run_id: str | None = None,
    home: str | Path | None = None,
    by: str = "user",
    priority: int = 0,
    queue: str = "",
) -> Run:
    """Put a run into the journal for a worker to execute; it is there when this returns.

    Args as for :func:`start`, and:
        priority: higher ones are taken up first.
        queue: the name of the workers that take it up; "" for any.

    Raises:
        DeclarationError, StoreError: as :func:`start`.
    """
    from mainspring.runtime.starting import enqueue as put

    store = open_store(home)
    start = replace(to_start(agent, task, workspace, limits, run_id, by), priority=priority, queue=queue)
    return Run(put(store, start), store)


def to_start(
    agent: Agent,
    task: Task,
    workspace: str | Path | None = None,
    limits: Limits | Mapping[str, float | None] | None = None,
    run_id: str | None = None,
    by: str = "user",
) -> Start:
    """What a run begins with that a person asks for, for rooms that start runs in ways of their own.

    Args as for :func:`start`.

    Raises:
        DeclarationError: as :func:`start`.
    """
    from mainspring.runtime.starting import Start

    folder = Path(workspace).expanduser().resolve() if workspace is not None else agent.workspace
    if folder is not None and not folder.is_dir():
        raise DeclarationError(f"the workspace {folder} is no folder; make it first")
    if run_id is not None and (not isinstance(run_id, str) or not 0 < len(run_id) <= 200 or ":" in run_id):
        raise DeclarationError(f"run_id must be a text of 1 to 200 characters without ':', not {run_id!r}")
    return Start(
        agent=agent,
        messages=task_messages(task),
        limits=agent.limits if limits is None else Limits.of(limits),
        workspace=folder,
        run_id=run_id,
        by=checked_name(by),
    )


def start_sync(agent: Agent, task: Task, **options: object) -> Run:
    """:func:`start` for programs without an event loop. Inside one it blocks the loop: use ``await agent.run``."""
    from mainspring.runtime.execution import run_blocking

    return run_blocking(start(agent, task, **options))  # type: ignore[arg-type]


async def stream(agent: Agent, task: Task, **options: object) -> AsyncIterator[RunEvent]:
    """Execute and yield what happens, as it happens. Leaving the loop early pauses the run; it can be resumed."""
    queue: asyncio.Queue[RunEvent | None] = asyncio.Queue()
    running = asyncio.ensure_future(start(agent, task, on_event=queue.put_nowait, **options))  # type: ignore[arg-type]
    running.add_done_callback(lambda _: queue.put_nowait(None))
    try:
        while (event := await queue.get()) is not None:
            yield event
        running.result()
    finally:
        if not running.done():
            running.cancel()
            await asyncio.wait({running})


def task_messages(task: Task) -> list[Message]:
    """A task as the messages that a run begins with; raises DeclarationError."""
    if isinstance(task, Message):
        return [task]
    if isinstance(task, str):
        if not task.strip():
            raise DeclarationError("the task is empty; say what is to be done")
        return [user(task)]
    if isinstance(task, Sequence) and task:
        items: list[object] = list(task)
        messages = [item for item in items if isinstance(item, Message)]
        if len(messages) == len(items):
            return messages
        parts = [item for item in items if isinstance(item, str | Part)]
        if len(parts) == len(items):
            return [user(parts)]
    raise DeclarationError(f"a task is text, a message or a list of parts, not {task!r}")
