"""What wakes a run is never lost, and what is to stop one is not undone by what wakes it."""

from __future__ import annotations

from pathlib import Path

from mainspring import Agent, NotYet, ScriptedModel, ToolContext, tool
from mainspring.messages import ToolCallPart
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
