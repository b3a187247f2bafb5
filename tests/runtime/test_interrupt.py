"""A run that is interrupted while a tool acts: what is known is kept, and only what is not is in doubt."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from mainspring import Agent, Policy, Run, ScriptedModel, tool
from mainspring.messages import ToolCallPart, assistant


class Door:
    """Lets a test wait until a tool acts, and the tool until it may go on."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.go = threading.Event()
        self.acts = 0

    def pass_through(self) -> None:
        self.entered.set()
        assert self.go.wait(20)
        self.acts += 1


def _agent(name: str, *tools: object, calls: int = 1) -> Agent:
    asked = assistant("", *(ToolCallPart(f"c{n}", "act", {}) for n in range(calls)))
    return Agent(name, model=ScriptedModel([asked, "finished"]), tools=tools, policy=Policy(allow=["*"]))


async def _interrupt(agent: Agent, home: Path, door: Door) -> Run:
    running = asyncio.ensure_future(agent.run("act", home=home, run_id="r"))
    await asyncio.to_thread(door.entered.wait, 20)
    running.cancel()
    await asyncio.sleep(0.05)
    door.go.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    return Run.load("r", home)


@pytest.mark.parametrize("calls", [1, 3])
def test_the_outcome_of_a_thread_is_recorded_before_the_run_gives_way(tmp_path: Path, calls: int) -> None:
    door = Door()

    @tool(effect="irreversible", parallel=True)
    def act() -> str:
        door.pass_through()
        return "acted"

    agent = _agent("interrupt-thread", act, calls=calls)
    run = asyncio.run(_interrupt(agent, tmp_path, door))
    assert run.status == "waiting"
    assert [e.payload["settled"] for e in run.events() if e.kind == "effect.done"] == ["ran"] * calls
    assert run.pending() == []
    run.resume_sync(agent)
    assert (run.status, run.output, door.acts) == ("done", "finished", calls)


def test_a_tool_that_fails_while_interrupted_is_no_doubt_either(tmp_path: Path) -> None:
    door = Door()

    @tool(effect="irreversible")
    def act() -> str:
        door.pass_through()
        raise ValueError("no such account")

    agent = _agent("interrupt-failing", act)
    run = asyncio.run(_interrupt(agent, tmp_path, door))
    (done,) = [e for e in run.events() if e.kind == "effect.done"]
    assert done.payload["is_error"]
    run.resume_sync(agent)
    assert (run.status, door.acts) == ("done", 1)


def test_a_coroutine_that_was_stopped_is_in_doubt(tmp_path: Path) -> None:
    door = Door()

    @tool(effect="irreversible")
    async def act() -> str:
        door.entered.set()
        await asyncio.sleep(60)
        return "acted"

    agent = _agent("interrupt-coroutine", act)
    run = asyncio.run(_interrupt(agent, tmp_path, door))
    assert run.status == "waiting"
    run.resume_sync(agent)
    assert run.status == "in_doubt"
    (doubt,) = run.pending()
    doubt.settle("happened", by="ann", value="seen")
    run.resume_sync(agent)
    assert (run.status, run.output) == ("done", "finished")


def test_an_interrupt_begins_no_further_call(tmp_path: Path) -> None:
    door = Door()

    @tool(effect="irreversible")
    def act() -> str:
        door.pass_through()
        return "acted"

    agent = _agent("interrupt-next", act, calls=2)
    run = asyncio.run(_interrupt(agent, tmp_path, door))
    assert [e.kind for e in run.events()].count("effect.intended") == 1
    run.resume_sync(agent)
    assert (run.status, door.acts) == ("done", 2)


def test_an_interrupt_while_a_call_is_prepared_leaves_no_doubt(tmp_path: Path) -> None:
    door = Door()
    acts: list[int] = []

    async def prepare() -> None:
        if acts or not door.go.is_set():
            door.entered.set()
            await asyncio.sleep(0.2)

    @tool(effect="irreversible", parallel=True)
    async def act() -> str:
        acts.append(1)
        return "acted"

    @tool(effect="irreversible", parallel=True, prepare=prepare)
    async def careful() -> str:
        acts.append(2)
        return "acted"

    asked = assistant("", ToolCallPart("a", "act", {}), ToolCallPart("b", "careful", {}))
    model = ScriptedModel([asked, "finished"])
    agent = Agent("interrupt-prepare", model=model, tools=[act, careful], policy=Policy(allow=["*"]))
    run = asyncio.run(_interrupt(agent, tmp_path, door))
    assert acts == []
    run.resume_sync(agent)
    assert (run.status, sorted(acts)) == ("done", [1, 2])


def test_interrupting_between_writes_leaves_the_journal_usable(tmp_path: Path) -> None:
    for delay in range(12):
        name = f"interrupt-{delay}"

        @tool(effect="read")
        async def act() -> str:
            await asyncio.sleep(0)
            return "looked"

        asked = ToolCallPart("c", "act", {})
        agent = Agent(name, model=ScriptedModel([asked, asked, asked, "finished"]), tools=[act])

        async def go(agent: Agent = agent, name: str = name, delay: int = delay) -> None:
            running = asyncio.ensure_future(agent.run("look", home=tmp_path, run_id=name))
            await asyncio.sleep(delay / 1000)
            running.cancel()
            await asyncio.wait({running})

        asyncio.run(go())
        runs = {run.id: run for run in Run.list(tmp_path)}
        if name in runs:
            runs[name].resume_sync(agent)
            assert runs[name].status == "done"
