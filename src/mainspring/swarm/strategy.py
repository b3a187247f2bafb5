"""Whether a run does its task alone or splits it among sub-agents, and why.

Alone is the default: agents beside each other were measured to spend 73 to 124% more tokens at equal quality. A task is
split only when its own shape says that it has enough parts that do not need each other, or does not fit one context; or
when past runs of this agent on this kind of task say that splitting paid. Nothing is tried out unasked: what is known
of splitting comes from runs that were split for a stated reason, or because somebody asked for it.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from mainspring.agent import Agent, Limits, Task, declared
from mainspring.errors import DeclarationError
from mainspring.swarm import history
from mainspring.swarm.critical import LEAST_GAIN
from mainspring.swarm.history import ENOUGH_RUNS, History, Strategy
from mainspring.swarm.shape import Shape, shape_of

if TYPE_CHECKING:
    from mainspring.runtime.bounds import Bounds
    from mainspring.runtime.journal import Watcher
    from mainspring.runtime.run import Run

Wanted: TypeAlias = Literal["auto", "alone", "split"]
STRATEGIES: tuple[Wanted, ...] = ("auto", "alone", "split")

#: The tool by which a run starts sub-agents.
SPAWN = "spawn"
#: Splitting may cost so many times the tokens, if it is faster: the upper end of what was measured of parallel teams.
MOST_TOKENS = 2.24
#: How much larger a share of runs that are done outweighs time and tokens.
BETTER_DONE = 0.2

ORDERS = (
    "Split this task: give each part that does not need another one's result to a sub-agent of its own with one call "
    "of {spawn}, say in each part all that it needs to know, and put the answers together yourself."
)


@dataclass(frozen=True, slots=True)
class Choice:
    """A decision between alone and split.

    Args:
        strategy: what was decided.
        kind: of the task, see :class:`mainspring.swarm.shape.Shape`.
        reason: why, in words of the runtime and figures only.
    """

    strategy: Strategy
    kind: str
    reason: str

    def encode(self) -> dict[str, str]:
        """As it stands in the first event of the run, under ``bounds.cause.strategy``."""
        return {"strategy": self.strategy, "kind": self.kind, "reason": self.reason}


def choose(shape: Shape, known: History) -> Choice:
    """Decide from a task's shape and from past runs; see the head of this file."""
    strategy, reason = _compare(shape, known) or _by_shape(shape, known)
    return Choice(strategy, shape.kind, reason)


def _compare(shape: Shape, known: History) -> tuple[Strategy, str] | None:
    """What past runs say, when both ways are known well enough."""
    alone, split = known.alone, known.split
    if split.enough and not alone.enough and split.done_share < 0.5:
        return "alone", f"of past split runs on such tasks only {split.done_share:.0%} were done"
    if not (alone.enough and split.enough):
        return None
    faster, dearer = alone.seconds / split.seconds, split.tokens / alone.tokens
    said = (
        f"past runs on such tasks: split was {faster:.1f} times as fast for {dearer:.1f} times the tokens, "
        f"{split.done_share:.0%} done against {alone.done_share:.0%} alone"
    )
    if shape.sequential and shape.kind != "large":
        return "alone", "its parts need each other's results"
    if split.done_share >= alone.done_share + BETTER_DONE:
        return "split", said
    worse = split.done_share < alone.done_share - BETTER_DONE / 2
    pays = faster >= LEAST_GAIN and dearer <= MOST_TOKENS and not worse
    return ("split" if pays else "alone"), said


def _by_shape(shape: Shape, known: History) -> tuple[Strategy, str]:
    if shape.kind == "large":
        return "split", f"about {shape.tokens:,} tokens of input do not fit one context beside the work"
    if shape.sequential and shape.kind != "plain":
        return "alone", "its parts need each other's results"
    if shape.clear:
        named = "files or addresses" if shape.kind == "listed" else "parts"
        return "split", f"it names {shape.parts} {named} that do not need each other; past runs say nothing against it"
    if shape.kind == "plain":
        return "alone", "its words name no parts"
    if shape.kind == "enumerated":
        return "alone", f"it names {shape.parts} parts, too few to be worth sub-agents"
    return "alone", (
        f"not enough is known: {known.alone.runs:.0f} past runs alone and {known.split.runs:.0f} split on such tasks, "
        f"{ceil(ENOUGH_RUNS)} of each are wanted"
    )


def decide(
    agent: Agent,
    task: Task,
    *,
    strategy: str = "auto",
    home: str | Path | None = None,
    clock: Callable[[], float] = time.time,
) -> Choice:
    """Whether this agent should do this task alone or split it.

    Args:
        strategy: ``"auto"``, or what was asked for: then only the kind of task is found out.

    Raises:
        DeclarationError: the strategy is unknown, or the task is none.
    """
    from mainspring.messages import FilePart, ImagePart, TextPart
    from mainspring.runtime import task_messages
    from mainspring.store import open_store

    if strategy not in STRATEGIES:
        raise DeclarationError(f"strategy {strategy!r} is unknown; use one of {STRATEGIES}")
    parts = [part for message in task_messages(task) if message.role == "user" for part in message.parts]
    words = "\n".join(p.text for p in parts if isinstance(p, TextPart))
    more = sum(len(p.data) for p in parts if isinstance(p, FilePart))
    pictures = sum(isinstance(p, ImagePart) for p in parts)
    shape = shape_of(words, more_chars=more + 4_000 * pictures, window=_window(agent))
    if strategy != "auto":
        return Choice("split" if strategy == "split" else "alone", shape.kind, "it was asked for")
    return choose(shape, history.recall(open_store(home), agent.name, shape.kind, clock=clock))


def _window(agent: Agent) -> int:
    """Context window of its first model, as far as it says; hosted ones seldom have less than the default."""
    window = getattr(agent.models[0], "context_window", None)
    return window if isinstance(window, int) and window > 0 else 128_000


def splitting(agent: Agent) -> Agent:
    """The same agent, able and told to start sub-agents of its own declaration; it replaces `agent` among the declared
    ones, so that a run goes on after a crash. In another process, pass it to :meth:`Run.resume`.

    An agent that declares such a tool itself keeps it, and is told only.

    Raises:
        DeclarationError: it has another tool of the name ``spawn``.
    """
    from mainspring.swarm.spawning import spawn_tool

    made = copy.copy(agent)
    name = next(iter(_spawners(agent)), None)
    if name is None:
        if SPAWN in agent.tools:
            raise DeclarationError(
                f"agent {agent.name!r} has a tool {SPAWN!r} that starts no sub-agents; rename it, so that it can split"
            )
        name = SPAWN
        # As it was declared: nobody tells a sub-agent to split its part again.
        made.tools = {**agent.tools, SPAWN: spawn_tool([agent])}
    orders = ORDERS.format(spawn=name)
    if isinstance(agent.instructions, str) and orders not in agent.instructions:  # a file is as a person approved it
        made.instructions = f"{agent.instructions}\n\n{orders}".strip()
    declared[made.name] = made
    return made


def _spawners(agent: Agent) -> list[str]:
    """Names of its tools that start sub-agents."""
    from mainspring.swarm.spawning import SpawnTool

    return [name for name, tool in agent.tools.items() if isinstance(tool, SpawnTool)]


def bounds_of(agent: Agent, choice: Choice) -> Bounds:
    """What a run may not go beyond by this decision; alone, it holds no tool that starts sub-agents."""
    from mainspring.runtime.bounds import Bounds

    spawners = _spawners(agent)
    tools = tuple(name for name in agent.tools if name not in spawners) if choice.strategy == "alone" else None
    return Bounds(tools, cause={"strategy": choice.encode()})


async def run(
    agent: Agent,
    task: Task,
    *,
    strategy: Wanted | Choice = "auto",
    workspace: str | Path | None = None,
    limits: Limits | Mapping[str, float | None] | None = None,
    run_id: str | None = None,
    home: str | Path | None = None,
    on_event: Watcher | None = None,
    by: str = "user",
    clock: Callable[[], float] = time.time,
) -> Run:
    """Execute an agent on a task, alone or split, as its shape and past runs say.

    The decision stands in the first event of the run (``bounds.cause.strategy``), with its reason; `mainspring runs
    show --tree` shows it.

    Args:
        strategy: ``"auto"``, ``"alone"``, ``"split"``, or a decision of :func:`decide`.

    Other args and errors as for :meth:`mainspring.agent.Agent.run`.
    """
    from mainspring.runtime import to_start
    from mainspring.runtime.execution import begin
    from mainspring.runtime.starting import new_run_id
    from mainspring.store import open_store

    if isinstance(strategy, Choice):
        choice = strategy
    else:
        choice = decide(agent, task, strategy=strategy, home=home, clock=clock)
    executor = splitting(agent) if choice.strategy == "split" else agent
    start = to_start(executor, task, workspace, limits, run_id or new_run_id(), by)
    start = replace(start, bounds=bounds_of(executor, choice))
    store = open_store(home)
    assert start.run_id is not None
    history.begun(store, agent.name, choice.kind, choice.strategy, start.run_id, clock=clock)
    return await begin(store, start, on_event)


def run_sync(agent: Agent, task: Task, **options: Any) -> Run:
    """:func:`run` for programs without an event loop."""
    from mainspring.runtime.execution import run_blocking

    return run_blocking(run(agent, task, **options))
