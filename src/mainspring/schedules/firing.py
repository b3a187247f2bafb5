"""The run of one firing: its id, its rights, and what it is told."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mainspring.agent import Agent, Limits
from mainspring.errors import DeclarationError, StoreError
from mainspring.guard.people import principals
from mainspring.label import USER
from mainspring.messages import user
from mainspring.runtime.bounds import Bounds
from mainspring.runtime.settings import settings_of
from mainspring.runtime.starting import Delegated, Start, enqueue, mode_of
from mainspring.schedules.schedule import Schedule, within
from mainspring.schedules.sources.port import Item
from mainspring.store import Store


def run_id_of(schedule: Schedule, due: float, items: Sequence[Item] = ()) -> str:
    """The same for the same firing, so that it cannot be made twice."""
    slug = re.sub(r"[^A-Za-z0-9_-]+", "-", schedule.name).strip("-")[:60] or "schedule"
    said = json.dumps([schedule.name, None if items else due, [i.id for i in items]])
    digest = hashlib.sha256(said.encode()).hexdigest()[:12]
    when = datetime.fromtimestamp(due, UTC)
    return f"{slug}-{digest}" if items else f"{slug}-{when:%Y%m%dT%H%M%S}-{digest[:6]}"


def begun(store: Store, run_id: str) -> bool:
    """Whether the firing of this id is in the journal already."""
    from mainspring.errors import RunNotFoundError

    try:
        store.row(run_id)
    except RunNotFoundError:
        return False
    return True


def fire(store: Store, schedule: Schedule, agent: Agent, due: float, now: float, items: Sequence[Item] = ()) -> str:
    """Put the run of one firing into the journal, unless it is there; returns its id. On disk when it returns.

    Raises:
        DeclarationError: the agent does not hold what the schedule names, or the workspace is no folder.
        StoreError: the journal does not take it, or holds an imported run of its id.
    """
    run_id = run_id_of(schedule, due, items)
    if store.imported(run_id) is not None:  # whoever made it elsewhere chose its name, so that ours would not be made
        raise StoreError(f"the run {run_id} was imported, and has the id of a firing of {schedule.name!r}")
    if begun(store, run_id):
        return run_id
    within(schedule, list(agent.tools))
    return enqueue(store, _start(store, schedule, agent, due, now, items, run_id))


def _start(
    store: Store, schedule: Schedule, agent: Agent, due: float, now: float, items: Sequence[Item], run_id: str
) -> Start:
    folder = Path(schedule.workspace) if schedule.workspace else agent.workspace
    if folder is not None and not folder.is_dir():
        raise DeclarationError(f"schedule {schedule.name!r}: the workspace {folder} is no folder; make it first")
    until = now + schedule.rights_s
    if schedule.expires_at is not None:
        until = min(until, schedule.expires_at)
    cause: dict[str, Any] = {"schedule": schedule.name, "due": due}
    hops = [int(i.payload["hops"]) for i in items if isinstance(i.payload.get("hops"), int)]
    if hops:
        cause["hops"] = max(hops)  # how many messages between runs led here
    start = Start(
        agent=agent,
        messages=[user(schedule.task)],
        limits=agent.limits if schedule.limits is None else Limits.of(schedule.limits),
        workspace=folder,
        run_id=run_id,
        by=schedule.by,
        bounds=Bounds(schedule.tools, until, cause),
        grants=schedule.grants,
        priority=schedule.priority,
        queue=schedule.queue,
    )
    return start if not items else _with_items(store, schedule, start, items)


def _with_items(store: Store, schedule: Schedule, start: Start, items: Sequence[Item]) -> Start:
    """What a stranger sent comes under its own label: as handles for a clean planner, else as text that taints."""
    from dataclasses import replace

    told = Delegated(label=USER, grants=schedule.grants, principals=principals(schedule.by, start.agent.name))
    start = replace(start, delegated=told)
    tools = settings_of(store.home).configured(start.bounds.hold(start.agent.tools))
    clean = mode_of(start, tools)[0] == "clean"
    lines, label, values = [schedule.task], USER, {}
    for number, item in enumerate(items, 1):
        if clean:
            values[f"v{number}"] = {"data": dict(item.payload), "labels": {"": item.label.encode()}}
            lines.append(f"[item {number}, kept as $v{number}]")
        else:
            label = label.join(item.label)
            lines.append(f"[item {number}]\n{json.dumps(dict(item.payload), ensure_ascii=False)}")
    return replace(start, messages=[user("\n\n".join(lines))], delegated=replace(told, label=label, values=values))
