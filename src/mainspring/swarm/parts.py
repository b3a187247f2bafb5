"""From what a call asks for to the parts that are started: checked, labelled, within the creator's rights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mainspring.agent import Agent
from mainspring.errors import StoreError, ToolError
from mainspring.guard import Grant
from mainspring.label import SYSTEM, Label
from mainspring.messages import valid_text
from mainspring.store import Store
from mainspring.swarm.options import MAX_TASK_CHARS, Options, Subtask
from mainspring.swarm.parent import Parent
from mainspring.swarm.rights import agent_of, tools_of
from mainspring.value import Value, wrap

KIND = "swarm"


@dataclass(frozen=True, slots=True)
class Part:
    """What one sub-agent is started with.

    Args:
        text: the task, and its label joined with that of what the creator had seen.
        inputs: name -> value with its own labels.
        tools: names of the tools that it holds.
        workspace: the folder that was asked for; it is looked at when the part begins.
    """

    index: int
    agent: Agent
    text: str
    label: Label
    inputs: Mapping[str, Value]
    tools: tuple[str, ...]
    workspace: str
    grants: tuple[Grant, ...]
    priority: int


def checked(tasks: Sequence[str | Subtask], most: int) -> list[Subtask]:
    """The parts of a call; raises ToolError for none, too many, empty or huge ones."""
    if isinstance(tasks, str) or not isinstance(tasks, Sequence):
        raise ToolError("tasks is a list of texts, one for each sub-agent")
    if not tasks:
        raise ToolError("tasks is empty; name at least one part of the work")
    if len(tasks) > most:
        raise ToolError(
            f"{len(tasks):,} tasks are more than the {most:,} sub-agents that may be started here; "
            "put several parts into one task, or start them in batches from separate runs"
        )
    found: list[Subtask] = []
    for index, task in enumerate(tasks):
        part = Subtask(task) if isinstance(task, str) else task
        if not isinstance(part, Subtask) or not isinstance(part.task, str):
            raise ToolError(f"task {index} is no text and no Subtask, but {type(task).__name__}")
        if not part.task.strip():
            raise ToolError(f"task {index} is empty; say what is to be done")
        if len(part.task) > MAX_TASK_CHARS:
            raise ToolError(
                f"task {index} has {len(part.task):,} characters; at most {MAX_TASK_CHARS:,}. Pass a long text in "
                "inputs, in pieces, or use map_reduce"
            )
        if _size(part.inputs) > MAX_TASK_CHARS:
            raise ToolError(f"the inputs of task {index} have more than {MAX_TASK_CHARS:,} characters; use map_reduce")
        found.append(part)
    return found


def _size(data: Any) -> int:
    if isinstance(data, Value):
        return _size(data.data)
    if isinstance(data, str):
        return len(data)
    if isinstance(data, Mapping):
        return sum(_size(k) + _size(v) for k, v in data.items())
    return sum(_size(v) for v in data) if isinstance(data, list | tuple) else 8


def planned(
    parent: Parent,
    options: Options,
    tasks: Sequence[Subtask],
    values: Value | None,
    label: Label = SYSTEM,
    first: int = 0,
) -> list[Part]:
    """The parts with their agents, rights and labels.

    Args:
        values: the tasks as the call's arguments, with a label for each field; None takes the label of the call.
        label: joined to that of every task and input.
        first: index of the first part.

    Raises:
        ToolError: a part asks for more than the creator has, or its words are an outsider's where none may be.
    """
    clean = parent.state.guard.mode == "clean"
    grants = parent.prepared.get("grants") or {}
    used = parent.state.guard.used
    over = [g.tool for g in parent.state.guard.grants if used.get(g.id, 0) > g.count]
    if grants and over:
        raise ToolError(f"more calls of {over[0]} were handed on than are held; nothing was started")
    parts = []
    for n, task in enumerate(tasks):
        agent = agent_of(parent, options, task.agent)
        words, inputs = _labelled(task, n, values, parent.label)
        words = words.join(parent.label).join(label)
        if clean and not words.trusted:
            raise ToolError(
                f"the words of task {first + n} were written by outsiders; in a run whose planner sees no outsider's "
                "text, say in your own words what is to be done and pass the text in inputs"
            )
        given = tuple(Grant.decode(g) for g in grants.get(str(first + n), ()))
        parts.append(
            Part(
                first + n,
                agent,
                valid_text(task.task),
                words,
                {name: v.joined(label) for name, v in inputs.items()},
                tools_of(parent, agent, options, task.tools),
                task.workspace,
                given,
                task.priority,
            )
        )
    return parts


def _labelled(task: Subtask, n: int, values: Value | None, context: Label) -> tuple[Label, dict[str, Value]]:
    """The label of a part's words, and its inputs with theirs."""
    if values is None or not isinstance(values.data, list) or n >= len(values.data):
        given = {n: v if isinstance(v, Value) else wrap(v, {}, context) for n, v in task.inputs.items()}
        return context, {name: v.joined(context) for name, v in given.items()}
    value: Value = values.data[n]
    label = values.label.join(value.label)
    if not isinstance(value.data, dict):
        return label, {}
    inputs: dict[str, Value] = {}
    for name, member in value.data.items():
        if name != "inputs":
            label = label.join(member.whole_label)  # who is asked, and with what, is an order as well
        elif isinstance(member.data, dict):
            label = label.join(member.label)  # its names stand in the prompt
            inputs = dict(member.data)
    return label, inputs


def reserve(parent: Parent, options: Options, spawn: str, count: int) -> None:
    """Count the sub-agents of a call against the caps of the whole tree, once however often it is called.

    Raises:
        ToolError: a cap would be passed.
    """
    deepest = min(options.depth, parent.settings.depth, parent.most("depth"))
    if parent.depth > deepest:
        raise ToolError(
            f"{parent.depth - 1} runs stand above this one already; sub-agents may be nested {deepest} deep. "
            "Do the work yourself"
        )
    most = min(options.children, parent.settings.children, parent.most("children"))
    store, root = parent.store, parent.root()
    for _ in range(100):
        kept = store.kept(KIND, root)
        spawns: dict[str, int] = {} if kept is None else dict(kept.body["spawns"])
        if spawns.get(spawn, 0) >= count:
            return
        others = sum(n for name, n in spawns.items() if name != spawn)
        if others + count > most:
            raise ToolError(
                f"{count:,} more sub-agents would be {others + count:,} below run {root}; at most {most:,} are allowed"
            )
        try:
            store.keep(KIND, root, {"spawns": spawns | {spawn: count}}, version=0 if kept is None else kept.version)
            return
        except StoreError:  # another run of the tree was faster
            if store.kept(KIND, root) == kept:
                raise
    raise ToolError("the count of sub-agents of this tree changes all the time; try again")


def reserved(store: Store, root: str) -> int:
    """How many sub-agents were started below a run, at all depths."""
    kept = store.kept(KIND, root)
    return 0 if kept is None else sum(kept.body["spawns"].values())
