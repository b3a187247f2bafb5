"""What wakes a run is never lost, and what is to stop one is not undone by what wakes it."""

from __future__ import annotations

import time
from pathlib import Path

from mainspring import Agent, NotYet, ScriptedModel, ToolContext, tool
from mainspring.messages import ToolCallPart, user
from mainspring.runtime.bounds import Bounds
from mainspring.runtime.execution import begin, run_blocking
from mainspring.runtime.starting import Start
from mainspring.store import open_store


def test_a_wake_that_comes_after_the_look_and_before_the_sleep_is_not_lost(home: Path) -> None:
    calls: list[str] = []

    @tool(effect="read", authority=[])
    def wait_for(context: ToolContext) -> str:
        """Wait."""
        calls.append(context.key)
        if len(calls) == 1:  # it has looked, and now what it waits for ends
            open_store(home).post(context.run_id, "wake", {})
            raise NotYet("not there")
        return "there"

    agent = Agent("w", model=ScriptedModel([ToolCallPart("c", "wait_for", {}), "done"]), tools=[wait_for])
    run = agent.run_sync("wait", home=home)
    assert run.status == "done"
    assert len(calls) == 2
    assert len(set(calls)) == 1
    assert open_store(home).inbox(run.id) == []


def test_a_creator_that_has_ended_is_not_woken(home: Path) -> None:
    store = open_store(home)
    agent = Agent("w", model=ScriptedModel(["done"]))
    creator = agent.run_sync("go", home=home)
    waits = agent.enqueue("go", home=home)
    for parent in (creator, waits):
        bounds = Bounds(cause={"run": parent.id, "intent": 3, "index": 0}, depth=1)
        start = Start(agent=agent, messages=[user("part")], limits=agent.limits, bounds=bounds)
        run_blocking(begin(store, start, None))
    assert store.inbox(creator.id) == []
    assert [item.kind for item in store.inbox(waits.id)] == ["wake"]  # the control


def test_a_sleeper_whose_time_is_over_ends_and_asks_nobody(home: Path) -> None:
    @tool(effect="read", authority=[])
    def wait_for() -> str:
        """Wait."""
        raise NotYet("not there")

    agent = Agent("w", model=ScriptedModel([ToolCallPart("c", "wait_for", {}), "done"]), tools=[wait_for])
    bounds = Bounds(expires_at=time.time() + 1.5)
    start = Start(agent=agent, messages=[user("wait")], limits=agent.limits, bounds=bounds)
    run = run_blocking(begin(open_store(home), start, None))
    assert run.status == "waiting"
    assert open_store(home).next_wake() == bounds.expires_at  # so that it does not sleep for ever
    time.sleep(1.6)
    run.resume_sync(agent)
    assert run.status == "failed"
    assert "time for which this run was given its rights is over" in run.reason
    assert run.replay().identical
