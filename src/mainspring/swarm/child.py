"""One sub-agent: the id and the first event of its run, and what its journal says when it has ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mainspring.agent import Limits
from mainspring.errors import StoreError
from mainspring.guard.people import extend
from mainspring.label import SYSTEM, Label
from mainspring.messages import Usage, decode_usage, user
from mainspring.runtime.bounds import Bounds
from mainspring.runtime.settings import settings_of
from mainspring.runtime.starting import Delegated, Start, mode_of
from mainspring.runtime.state import RunState
from mainspring.store import RunRow, Store
from mainspring.swarm.options import Options
from mainspring.swarm.parent import Parent
from mainspring.swarm.parts import Part
from mainspring.swarm.rights import workspace_of
from mainspring.value import Value, labels_of

ENDED = ("done", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a sub-agent ended.

    Args:
        status: ``"done"``, ``"failed"``, ``"cancelled"``, ``"waiting"``, or ``"not begun"``.
        output: its answer, as JSON data.
        why: what stands in the way, in words; "" for a good answer.
        label: who may have written the answer and the reason.
        began, at: Unix times.
    """

    index: int
    run_id: str
    status: str
    output: Any = None
    why: str = ""
    label: Label = SYSTEM
    usage: Usage = field(default_factory=Usage)
    began: float = 0.0
    at: float = 0.0

    @property
    def good(self) -> bool:
        """True for an answer that counts."""
        return self.status == "done" and not self.why


def child_id(parent: Parent, index: int, attempt: int = 1) -> str:
    """The id of a sub-agent's run: the same after every crash."""
    base = f"{parent.run_id}.{parent.intent}.{index}"
    return base if attempt == 1 else f"{base}~{attempt}"


def placed(run_id: str, parent: Parent) -> tuple[int, int] | None:
    """The index and attempt that an id of this call's sub-agents says; None for any other id."""
    index, _, attempt = run_id.removeprefix(f"{parent.run_id}.{parent.intent}.").partition("~")
    if not index.isdecimal() or (attempt and not attempt.isdecimal()):
        return None
    found = int(index), int(attempt or 1)
    return found if child_id(parent, *found) == run_id else None


def start_of(parent: Parent, part: Part, run_id: str, limits: Limits, options: Options) -> Start:
    """Everything that a sub-agent's run begins with.

    Raises:
        ToolError: its folder is not within its creator's.
        DeclarationError: the agent's name can be none of a principal.
    """
    agent, state = part.agent, parent.state
    caps = {name: min(getattr(options, name), parent.most(name)) for name in ("depth", "children")}
    cause = {"run": parent.run_id, "intent": parent.intent, "index": part.index, "caps": caps}
    bounds = Bounds(part.tools, None, cause).within(state.bounds)
    start = Start(
        agent=agent,
        messages=[user(part.text)],
        limits=limits,
        workspace=workspace_of(parent, agent, part.workspace),
        run_id=run_id,
        bounds=bounds,
        delegated=Delegated(
            label=part.label,
            grants=part.grants,
            principals=extend(state.guard.principals, agent.name),
            mode=state.guard.mode,
        ),
        priority=part.priority,
        queue=options.queue,
    )
    return _with_inputs(parent, part, start) if part.inputs else start


def _with_inputs(parent: Parent, part: Part, start: Start) -> Start:
    """A clean sub-agent gets its inputs as handles with labels of their own; any other reads them, and is tainted."""
    assert start.delegated is not None
    tools = settings_of(parent.store.home).configured(start.bounds.hold(part.agent.tools))
    values: dict[str, Any] = {}
    lines, label = [part.text], part.label
    clean = mode_of(start, tools)[0] == "clean"
    for number, (name, value) in enumerate(part.inputs.items(), 1):
        if clean:
            labels = {path: found.encode() for path, found in labels_of(value).items()}
            values[f"v{number}"] = {"data": value.plain(), "labels": labels}
            lines.append(f"[input {name}, kept as $v{number}]")
        else:
            label = label.join(value.whole_label)
            lines.append(f"[input {name}]\n{_text(value)}")
    told = replace(start.delegated, label=label, values=values)
    return replace(start, messages=[user("\n\n".join(lines))], delegated=told)


def _text(value: Value) -> str:
    data = value.plain()
    return data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)


def check_own(store: Store, parent: Parent, part: Part, row: RunRow) -> Mapping[str, Any]:
    """The first event of a run, when this call has started it; a run that only has the right id is no answer.

    Raises:
        StoreError: somebody else made it, or it was imported.
    """
    first = store.event(row.id, 1)
    cause = (first.payload.get("bounds") or {}).get("cause") or {}
    ours = {"run": parent.run_id, "intent": parent.intent, "index": part.index}
    named = first.payload["agent"]["name"]
    if (
        first.kind != "run.started"
        or any(cause.get(k) != v for k, v in ours.items())
        or named != part.agent.name
        or store.imported(row.id)
    ):
        raise StoreError(f"run {row.id} was not started by run {parent.run_id}; its answer does not count")
    return first.payload


def ended(store: Store, part: Part, row: RunRow) -> Ended:
    """What the journal of a sub-agent that has ended says."""
    last = store.event(row.id, row.head_seq)
    if last.kind == "run.ended":
        said, label = last.payload, last.label
        usage = decode_usage(said["usage"]) if said.get("usage") else Usage()
        output, reason, status = said["output"], said["reason"], said["status"]
    else:
        state = RunState.of(store.events(row.id))
        output, reason, status, label, usage = state.output, state.reason, state.status, state.label, state.usage
    why = "" if status == "done" else reason or status
    return Ended(part.index, row.id, status, output, why, label, usage, row.created_at, last.at)
