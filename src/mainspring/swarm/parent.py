"""The run that starts others: what it holds, read from its journal up to the call that does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mainspring.agent import Agent, declared
from mainspring.config import SwarmSettings
from mainspring.errors import ToolError
from mainspring.label import Label
from mainspring.runtime.run import Run
from mainspring.runtime.settings import settings_of
from mainspring.runtime.state import RunState
from mainspring.store import Store, open_store
from mainspring.tool import Tool, ToolContext


@dataclass(frozen=True, slots=True)
class Parent:
    """A run as it was when it asked for sub-agents, which is the same after every crash.

    Args:
        intent: seq of the intent of the call; 0 for a program that asks on the run's behalf.
        state: the fold over its events up to there.
        prepared: what the call's `prepare` had journaled.
        dearest: what its most expensive model call cost so far, in US dollars.
        resumed: the seconds that it had worked when it was resumed last after the call had begun, and the Unix time of
            that; None when it was not.
    """

    store: Store
    run_id: str
    intent: int
    agent: Agent
    state: RunState
    label: Label
    prepared: Mapping[str, Any]
    dearest: float
    resumed: tuple[float, float] | None = None

    def seconds(self, now: float) -> float:
        """Seconds that it has worked; those in which it slept do not count."""
        if self.resumed is None:
            return self.state.seconds(now)
        before, at = self.resumed
        return before + max(0.0, now - at)

    @property
    def held(self) -> dict[str, Tool]:
        """The tools that it holds."""
        return self.state.bounds.hold(self.agent.tools)

    @property
    def workspace(self) -> Path | None:
        """The folder that it may touch."""
        return Path(self.state.workspace) if self.state.workspace else None

    @property
    def settings(self) -> SwarmSettings:
        """What the person who owns the home allows any run."""
        config = settings_of(self.store.home).config
        return SwarmSettings() if config is None else config.swarm

    @property
    def depth(self) -> int:
        """How many runs stand above its sub-agents."""
        return self.state.bounds.depth + 1

    def most(self, name: str) -> int:
        """The cap `name` ("depth" or "children") that its creators have set for everything below them; a large number
        where none has."""
        return int((self.state.bounds.cause.get("caps") or {}).get(name, 1_000_000))

    def root(self) -> str:
        """The run at the top of the tree that it belongs to."""
        found, cause = self.run_id, self.state.bounds.cause
        while cause.get("run"):
            found = cause["run"]
            cause = (self.store.event(found, 1).payload.get("bounds") or {}).get("cause") or {}
        return found


def parent_of(context: ToolContext, agent: Agent | None = None) -> Parent:
    """The run that a tool is called in, up to the intent of this call, or to its end while the call is prepared.

    Raises:
        ToolError: the context is none of a run's call, the tool is declared to run beside others, or the run's agent
            is not declared in this process.
    """
    if not context.run_id or context.home is None:
        raise ToolError("sub-agents are started by a tool call of a run; this is none. Programs use swarm.run_tasks")
    store = open_store(context.home)
    state = RunState()
    dearest = 0.0
    found: Parent | None = None
    for event in store.events(context.run_id):
        if found is not None:
            if event.kind == "run.resumed" and "seconds" in event.payload:
                found = replace(found, resumed=(event.payload["seconds"], event.at))
            continue
        state.apply(event)
        if event.kind == "model.answered":
            usage = event.payload["message"].get("usage") or {}
            dearest = max(dearest, usage.get("usd") or 0.0)
        if context.key and event.kind == "effect.intended" and event.payload["key"] == context.key:
            label = state.calls[event.payload["call_id"]].label
            prepared = event.payload.get("prepared") or {}
            found = Parent(store, context.run_id, event.seq, _agent(state, agent), state, label, prepared, dearest)
            name = event.payload["tool"]
            if name in found.held and found.held[name].parallel:
                raise ToolError(
                    f"the tool {name} starts sub-agents, so its calls must follow each other: they share one budget. "
                    "Declare it with parallel=False"
                )
    if found is not None:
        return found
    if context.key:
        raise ToolError("this call is not in the journal of its run; call the tool through a run")
    return Parent(store, context.run_id, 0, _agent(state, agent), state, state.label, {}, dearest)


def parent_run(run: Run, agent: Agent | None = None) -> Parent:
    """A run for which a program starts others."""
    store, state = run._store, run.state
    return Parent(store, run.id, 0, _agent(state, agent), state, state.label, {}, 0.0)


def _agent(state: RunState, agent: Agent | None) -> Agent:
    name = state.agent.get("name", "")
    found = agent if agent is not None and agent.name == name else declared.get(name)
    if found is None:
        raise ToolError(f"agent {name!r} of run {state.run_id} is not declared in this process; declare it first")
    return found
