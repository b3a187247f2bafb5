"""Starting sub-agents: the tool that a model calls, and the call that a tool of yours makes."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from mainspring.agent import Agent
from mainspring.errors import StoreError, ToolError
from mainspring.label import SYSTEM, Label
from mainspring.runtime.dispatch import handing_over
from mainspring.runtime.run import Run
from mainspring.swarm.answers import MADE, labelled
from mainspring.swarm.critical import gained, splits_of, worth_it
from mainspring.swarm.family import Family
from mainspring.swarm.handed import hand_over
from mainspring.swarm.joins import Result
from mainspring.swarm.options import JOINS, ChildWatcher, Join, Options, Subtask, options_of
from mainspring.swarm.parent import Parent, parent_of, parent_run
from mainspring.swarm.parts import checked, planned, reserve
from mainspring.swarm.pool import Pool
from mainspring.swarm.rights import agent_of, handed_on, tools_of
from mainspring.tool import NotYet, Tool, ToolContext
from mainspring.value import Labelled, Value

#: Paths of what is ours in an answer: ids, counts and states. The rest has the labels of the sub-agents.
_FIELDS = (
    *("done", "of", "votes", "satisfied", "more_missing", "gain"),
    *(f"answers[].{name}" for name in ("index", "run", "answer", "cut_at", "characters")),
    *(f"missing[].{name}" for name in ("index", "run", "status", "why")),
)

#: Seconds after which a call is made again that found no journal.
AGAIN_S = 60.0

_WORDS = {
    "inputs": "name -> text or handle that it works on",
    "workspace": "a folder within yours, or 'none'",
    "grants": "rights of yours that it gets: {tool, count, arguments}",
}


class SpawnTool(Tool):
    """The tool that :func:`spawn_tool` returns.

    Attributes:
        options: what its declaration says.
    """

    options: Options

    @functools.cached_property
    def schema(self) -> Mapping[str, Any]:
        """JSON schema of the arguments, with few words: it is in every prompt."""
        schema = copy.deepcopy(dict(super().schema))
        subtask = schema.get("$defs", {}).get("Subtask")
        if subtask is None:
            return schema
        subtask.pop("description", None)
        if len(self.options.agents) < 2:
            subtask["properties"].pop("agent")
        subtask["properties"].pop("priority")
        subtask["properties"] = {n: dict(p) for n, p in subtask["properties"].items()}
        for name, words in _WORDS.items():
            subtask["properties"][name]["description"] = words
        return schema

    def with_declaration(self, **declared: Any) -> SpawnTool:
        """A copy declared otherwise; one call of it follows the other all the same, as each uses rights up."""
        made = super().with_declaration(**declared)
        made.parallel = False
        return made


def spawn_tool(
    agents: Sequence[Agent] = (),
    *,
    name: str = "spawn",
    description: str | None = None,
    on_event: ChildWatcher | None = None,
    **declared: Any,
) -> SpawnTool:
    """A tool with which an agent starts sub-agents.

    Args:
        agents: who may be started; none means the agent's own declaration.
        name, description: what the model sees.
        on_event: called with a sub-agent's run id and each of its events, in the process that executes it.
        declared: the other fields of :class:`Options`: `join`, `k`, `check`, `children`, `depth`, `concurrency`,
            `timeout_s`, `retries`, `duplicates`, `board`, `call_usd`, `queue`.

    Raises:
        DeclarationError: something declared does not fit.
    """
    options = options_of(agents, declared)

    async def spawn(
        tasks: list[str | Subtask], context: ToolContext, join: str = options.join, k: int = options.k
    ) -> Labelled:
        with _patient():
            parent = parent_of(context)
            values = context.values.get("tasks")
            found = await _spawned(parent, options, tasks, values, join, k, context.report, on_event)
        return labelled(found, await asyncio.to_thread(gained, parent.store, parent.run_id, parent.intent))

    def prepare(context: ToolContext, tasks: list[str | Subtask], **_: Any) -> Mapping[str, Any]:
        parent = parent_of(context)
        said = prepared(parent, options, tasks)
        refused = worth_it(splits_of(parent.store, parent.run_id), len(tasks))
        if refused is not None:
            raise ToolError(refused)
        return said

    spawn.__name__ = name
    return _made(spawn, name, description or _described(options), options, prepare)


def _made(
    function: Callable[..., Any], name: str, description: str, options: Options, prepare: Callable[..., Any]
) -> SpawnTool:
    tool = SpawnTool(
        function,
        name=name,
        description=description,
        effect="read",
        authority=(),
        outside=False,
        parallel=False,
        label=MADE,
        fields=dict.fromkeys(_FIELDS, MADE),
        prepare=prepare,
    )
    tool.options = options
    return tool


def _described(options: Options) -> str:
    agents = f" Agents: {', '.join(a.name for a in options.agents)}." if len(options.agents) > 1 else ""
    ends = "'all', 'first', 'k', 'vote'" + (", 'verified'" if options.check is not None else "")
    return (
        "Give parts of the work to sub-agents that work at the same time, each with a context of its own; they know "
        f"only what their task says. join: {ends}: when to go on.{agents}"
    )


def prepared(parent: Parent, options: Options, tasks: Sequence[str | Subtask]) -> dict[str, Any]:
    """What the intent of a call has to say: whether there is a board, and the grants that are handed on.

    Raises:
        ToolError: a part asks for a grant that its creator does not hold.
    """
    said: dict[str, Any] = {"board": True} if options.board else {}
    if any(isinstance(t, Subtask) and t.grants for t in tasks):
        parts = [Subtask(t) if isinstance(t, str) else t for t in tasks]
        said |= handed_on(
            parent, [(t, tools_of(parent, agent_of(parent, options, t.agent), options, t.tools)) for t in parts]
        )
    return said


async def spawn(
    source: ToolContext | Run,
    tasks: Sequence[str | Subtask],
    *,
    agents: Sequence[Agent] = (),
    join: Join | None = None,
    k: int | None = None,
    label: Label = SYSTEM,
    first: int = 0,
    report: Callable[[str], None] | None = None,
    on_event: ChildWatcher | None = None,
    **declared: Any,
) -> Result:
    """Start sub-agents of a run and return when their join is satisfied; call it again and it goes on where it was.

    Args:
        source: the context of a tool call that only reads or has a key (so that it may be called again), or a run
            that is not being executed, for a program that gives it sub-agents.
        tasks: the parts.
        agents: who may be started; none means the run's own agent.
        join, k, declared: as for :func:`spawn_tool`.
        label: who may have written the tasks, beside what the run itself has seen.
        first: index of the first part; a tool that starts sub-agents several times must use other indexes each time.
        report: shows lines of progress; by default the context's.
        on_event: called with a sub-agent's run id and each of its events.

    Raises:
        ToolError: the tasks, or the rights that they ask for, do not fit.
        NotYet: a sub-agent waits for a person, or a worker executes the run; let it pass, and the run sleeps.
        StoreError: the journal cannot be written.
    """
    if join is not None:
        declared["join"] = join
    if k is not None:
        declared["k"] = k
    options = options_of(agents, declared)
    show = report or (source.report if isinstance(source, ToolContext) else _silent)
    with _patient():
        parent = parent_run(source) if isinstance(source, Run) else parent_of(source)
        return await _spawned(parent, options, tasks, None, options.join, options.k, show, on_event, label, first)


@contextlib.contextmanager
def _patient() -> Iterator[None]:
    """Where workers do the work, a journal that is away for a moment does not end the call: its sub-agents go on, and
    nobody would hear what they find."""
    try:
        yield
    except StoreError as error:
        if not handing_over.get():
            raise
        raise NotYet(f"the journal could not be used: {error}", wake_at=time.time() + AGAIN_S) from error


async def _spawned(
    parent: Parent,
    options: Options,
    tasks: Sequence[str | Subtask],
    values: Value | None,
    join: str,
    k: int,
    report: Callable[[str], None],
    watch: ChildWatcher | None,
    label: Label = SYSTEM,
    first: int = 0,
) -> Result:
    how = _join(options, join)
    most = min(options.children, parent.settings.children)
    subtasks = checked(tasks, most)
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= len(subtasks):
        raise ToolError(f"k must be from 1 to the number of tasks ({len(subtasks)}), not {k!r}")
    parts = planned(parent, options, subtasks, values, label, first)
    reserve(parent, options, f"{parent.run_id}.{parent.intent}.{first}", len(parts))
    family = Family(parent, parts, options, how, k, report=report, watch=watch)
    return await (hand_over(family) if handing_over.get() else Pool(family).work())


def _join(options: Options, join: str) -> Join:
    for known in JOINS:
        if join == known and (join != "verified" or options.check is not None):
            return known
    has = [j for j in JOINS if j != "verified" or options.check is not None]
    raise ToolError(f"join {join[:50]!r} is not known here; use one of {has}")


def _silent(line: str) -> None:
    pass


def members(agents: Sequence[Agent]) -> dict[str, Agent]:
    """These agents and whoever they may start, by name: what a worker must know to execute their runs."""
    found: dict[str, Agent] = {}
    waiting = list(agents)
    while waiting:
        agent = waiting.pop()
        if found.get(agent.name) is not agent:
            found[agent.name] = agent
            for tool in agent.tools.values():
                if isinstance(tool, SpawnTool):
                    waiting += [a for a in tool.options.agents if a.name not in found]
    return found
