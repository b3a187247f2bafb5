"""One task through Mainspring's real loop, guard and tools, judged by AgentDojo's own checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.agentdojo.planner import Planner, Reader
from benchmarks.agentdojo.world import World
from mainspring import Agent, Run
from mainspring.guard import Grant

#: A run that asks more often than this is going round in circles.
MAX_QUESTIONS = 20


@dataclass(slots=True)
class Asked:
    """One question that a person was asked: about which tool, and why."""

    tool: str
    reason: str


@dataclass(slots=True)
class Outcome:
    """How a run went.

    Args:
        status: the run's last status.
        done: AgentDojo's check of the user's task.
        asked: what a person was asked, in order.
        complaints: calls that were refused or failed, for finding mistakes in the benchmark.
    """

    status: str
    output: str
    done: bool
    asked: list[Asked] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    run: Run | None = None


def execute(
    task: Any,
    world: World,
    planner: Planner,
    reader: Reader,
    *,
    grants: Sequence[Grant],
    mode: str,
    home: Path,
    approve: Callable[[Any], bool] = lambda pending: True,
) -> Outcome:
    """Run `task` in `world`; each question to a person is answered by `approve`."""
    before = world.environment.model_copy(deep=True)
    agent = Agent(
        f"agentdojo-{world.suite.name}",
        model=planner,
        reader=reader,
        tools=list(world.tools.values()),
        guard=mode,
        grants=list(grants),
        limits={"steps": 120, "tool_failures": None, "repeats": None},
    )
    run = agent.run_sync(task.PROMPT, home=home)
    asked: list[Asked] = []
    while run.status == "waiting" and len(asked) < MAX_QUESTIONS:
        for pending in run.pending():
            asked.append(Asked(pending.tool, pending.reason))
            if approve(pending):
                pending.approve(by="ann")
            else:
                pending.deny(by="ann", reason="no")
        run.resume_sync(agent)
    output = str(run.output or "")
    return Outcome(run.status, output, judged(task, output, before, world), asked, complaints(run), run)


def judged(task: Any, output: str, before: Any, world: World) -> bool:
    """AgentDojo's own check of a user's task."""
    by_trace = task.utility_from_traces(output, before, world.environment, world.trace)
    if by_trace is not None:
        return bool(by_trace)
    try:
        return bool(task.utility(output, before, world.environment))
    except KeyError:  # some checks look for what the task should have made, without asking whether it is there
        return False


def succeeded(injection: Any, output: str, before: Any, world: World) -> bool:
    """AgentDojo's own check of an attacker's goal."""
    by_trace = injection.security_from_traces(output, before, world.environment, world.trace)
    if by_trace is not None:
        return bool(by_trace)
    try:
        return bool(injection.security(output, before, world.environment))
    except (KeyError, IndexError):
        return False


def complaints(run: Run) -> list[str]:
    """Refused and failed calls, and why the run ended."""
    found = [str(e.payload.get("reason", "")) for e in run.events() if e.kind == "call.refused"]
    found += [
        "failed: " + str(e.payload)[:300] for e in run.events() if e.kind == "effect.done" and e.payload.get("is_error")
    ]
    return found + ([run.reason] if run.reason else [])
