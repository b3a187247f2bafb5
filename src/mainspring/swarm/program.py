"""Sub-agents for a program that has no run: a run is made for it, so that everything is durable all the same.

That run has a script instead of a model: it makes one call, which starts the sub-agents, and ends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mainspring.agent import Agent, Limits
from mainspring.errors import RunNotFoundError, StoreError
from mainspring.guard import Grant
from mainspring.label import SYSTEM, Label
from mainspring.messages import ToolCallPart
from mainspring.models.scripted import ScriptedModel
from mainspring.runtime import start
from mainspring.runtime.journal import Watcher
from mainspring.runtime.run import Run
from mainspring.store import open_store
from mainspring.swarm.answers import MADE, labelled
from mainspring.swarm.child import Ended
from mainspring.swarm.joins import Result
from mainspring.swarm.options import ChildWatcher, Subtask, options_of
from mainspring.swarm.parent import parent_of
from mainspring.swarm.parts import checked
from mainspring.swarm.spawning import SpawnTool, prepared, spawn
from mainspring.tool import NotYet, ToolContext

#: What is done in the call of such a run: from its context and its arguments to the result.
Work = Callable[[ToolContext, dict[str, Any]], Awaitable[Result]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Where a program's sub-agents live, and what holds for all of them together.

    Args:
        home, workspace, by, run_id: as for :meth:`mainspring.Agent.run`. With the `run_id` of a call that was cut off,
            the call goes on where it was.
        limits: what all of them together may spend, in money and tokens; steps and seconds are for each.
        grants: rights that may be handed on to them.
        on_event: called with each event of the run that stands for the program.
    """

    home: str | Path | None = None
    workspace: str | Path | None = None
    by: str = "user"
    run_id: str | None = None
    limits: Limits | Mapping[str, float | None] | None = None
    grants: Sequence[Grant] = ()
    on_event: Watcher | None = None


async def run_tasks(
    agent: Agent,
    tasks: Sequence[str | Subtask],
    *,
    agents: Sequence[Agent] = (),
    label: Label = SYSTEM,
    home: str | Path | None = None,
    workspace: str | Path | None = None,
    by: str = "user",
    run_id: str | None = None,
    limits: Limits | Mapping[str, float | None] | None = None,
    grants: Sequence[Grant] = (),
    on_event: Watcher | None = None,
    watch: ChildWatcher | None = None,
    **declared: Any,
) -> Result:
    """Run `agent` on many tasks at the same time. Durable: call it again with the same `run_id` after a crash, and
    finished tasks are not repeated.

    Args:
        agents: others that a task may name.
        label: who may have written the tasks, if not the program itself.
        watch: called with a sub-agent's run id and each of its events.
        home, workspace, by, run_id, limits, grants, on_event: see :class:`Where`.
        declared: `join`, `k`, `check` and the other fields of :class:`Options`.

    Returns:
        The answers in the order of the tasks. Where a sub-agent waits for a person, it is among the missing with the
        status "waiting"; answer it and call again.

    Raises:
        ToolError, DeclarationError: the tasks or the declaration do not fit.
        StoreError: the journal cannot be written.
    """
    team = tuple(dict.fromkeys((agent, *agents)))
    options = options_of(team, declared)
    written = [asdict(t) for t in checked(tasks, options.children)]

    async def work(context: ToolContext, said: dict[str, Any]) -> Result:
        parts = [Subtask(**t) for t in said["tasks"]]
        joined = Label.decode(said["label"])
        return await spawn(context, parts, agents=team, label=joined, on_event=watch, **declared)

    where = Where(home=home, workspace=workspace, by=by, run_id=run_id, limits=limits, grants=grants, on_event=on_event)
    said = {"tasks": written, "label": label.encode()}
    return await in_a_run(agent, team, f"{len(written):,} tasks", said, work, where, declared)


async def in_a_run(
    agent: Agent,
    team: Sequence[Agent],
    what: str,
    said: dict[str, Any],
    work: Work,
    where: Where,
    declared: dict[str, Any],
) -> Result:
    """Do `work` in the one call of a run that is made for it, or found by its id."""
    box: list[Result] = []
    options = options_of(team, declared)

    async def parts(said: dict[str, Any], context: ToolContext) -> Any:
        box.append(await work(context, said))
        return labelled(box[0])

    def prepare(said: dict[str, Any], context: ToolContext) -> Mapping[str, Any]:
        tasks = [Subtask(**t) for t in said.get("tasks", ())]
        return prepared(parent_of(context, driver), options, tasks)

    tool = SpawnTool(
        parts, name="start_parts", description="", effect="read", authority=(), outside=False, parallel=False,
        label=MADE, prepare=prepare,
    )  # fmt: skip
    tool.options = options
    held = {t.name: t for member in team for t in member.tools.values()}
    driver = Agent(
        f"{agent.name[:90]} swarm",
        model=ScriptedModel([ToolCallPart("parts", tool.name, {"said": said}), "done"], name="program"),
        tools=[*held.values(), tool],
        limits=Limits.of(where.limits),
        workspace=where.workspace if where.workspace is not None else agent.workspace,
        grants=where.grants,
    )
    store = open_store(where.home)
    run = _existing(where, store.home)
    if run is None:
        task = f"{what} for {agent.name}"
        run = await start(driver, task, run_id=where.run_id, home=store.home, by=where.by, on_event=where.on_event)
    else:
        await run.resume(driver, on_event=where.on_event)
    if run.status == "failed":
        raise StoreError(f"run {run.id} of these tasks failed: {run.reason}; the tasks that ended are in its journal")
    if box:
        return box[0]
    return await _read_again(run, work, store.home)


def _existing(where: Where, home: Path) -> Run | None:
    if where.run_id is None:
        return None
    try:
        return Run.load(where.run_id, home=home)
    except RunNotFoundError:
        return None


async def _read_again(run: Run, work: Work, home: Path) -> Result:
    """The result of a run that has ended before, or what there is of one that waits."""
    for event in run.events():
        if event.kind == "effect.intended":
            context = ToolContext(run.id, event.payload["key"], run.workspace, home)
            try:
                return await work(context, event.payload["arguments"]["said"])
            except NotYet as waits:
                missing = Ended(-1, run.id, "waiting", None, waits.reason)
                return Result("all", False, 0, (), (missing,), run_id=run.id)
        if event.kind == "call.refused":
            from mainspring.errors import ToolError

            raise ToolError(event.payload["reason"])
    return replace(Result("all", False, 0), run_id=run.id)
