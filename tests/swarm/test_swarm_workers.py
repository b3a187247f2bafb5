"""Sub-agents of a run that a worker executes: enqueued, while their creator sleeps."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from swarmkit import Says, answer, lead, outputs

from mainspring import Agent, Run, ScriptedModel, tool
from mainspring.errors import StoreError
from mainspring.messages import ToolCallPart
from mainspring.runtime.dispatch import handing_over
from mainspring.runtime.starting import Start
from mainspring.store import Store, open_store
from mainspring.swarm import handed, members


async def one(home: Path, run_id: str, agent: Agent) -> None:
    """A worker that takes up this run only."""
    handing_over.set(True)
    await Run.load(run_id, home=home).resume(agent)


async def work(home: Path, agents: dict[str, Agent], *, turns: int = 100, batch: int = 100) -> list[str]:
    """What a worker does, in the plainest way: take up whatever is ready. Returns the order."""
    store = open_store(home)
    handing_over.set(True)
    taken: list[str] = []
    for _ in range(turns):
        ready = store.ready(time.time(), limit=batch)
        if not ready:
            break
        for run_id in ready:
            taken.append(run_id)
            await Run.load(run_id, home=home).resume(agents[store.row(run_id).agent])
    return taken


def test_a_worker_takes_children_up_and_their_creator_wakes(home: Path) -> None:
    worker = Agent("worker", model=Says(str.upper))
    agent = lead(["a", {"task": "b", "priority": 3}, "c"], worker, queue="night")
    run = agent.enqueue("go", home=home, run_id="r")
    taken = asyncio.run(work(home, members([agent])))
    assert run.status == "done"
    assert outputs(run) == ["A", "B", "C"]
    assert taken[0] == "r"
    assert taken[1] == "r.5.1"  # the highest priority first
    assert taken[-1] == "r"
    rows = open_store(home).children("r")
    assert {(r.queue, r.status) for r in rows} == {("night", "done")}
    assert run.usage.calls == 3 + 2


def test_the_creator_sleeps_while_they_work(home: Path) -> None:
    worker = Agent("worker", model=Says(str.upper))
    agent = lead(["a", "b"], worker)
    run = agent.enqueue("go", home=home, run_id="r")
    asyncio.run(work(home, members([agent]), turns=1))
    assert run.status == "waiting"
    assert run.reason == "0 of 2 sub-agents have ended"
    row = open_store(home).row("r")
    assert row.wake_at is not None
    assert row.wake_at > time.time() + 3000
    assert sorted(open_store(home).ready(time.time())) == ["r.5.0", "r.5.1"]


def test_no_more_than_declared_are_enqueued_at_once(home: Path) -> None:
    worker = Agent("worker", model=Says(str.upper))
    agent = lead([f"t{n}" for n in range(9)], worker, concurrency=4)
    run = agent.enqueue("go", home=home, run_id="r")
    asyncio.run(work(home, members([agent]), turns=1))
    assert len(open_store(home).children("r")) == 4
    asyncio.run(work(home, members([agent])))
    assert len(outputs(run)) == 9


def test_the_rest_ends_when_the_first_answer_is_there(home: Path) -> None:
    worker = Agent("worker", model=Says(str.upper))
    agent = lead(["a", "b", "c"], worker, join="first")
    run = agent.enqueue("go", home=home, run_id="r")
    asyncio.run(work(home, members([agent]), turns=1))
    asyncio.run(work(home, members([agent]), turns=1, batch=1))  # one child, and no more
    asyncio.run(one(home, "r", agent))
    assert len(outputs(run)) == 1
    asyncio.run(work(home, members([agent])))
    assert sorted(r.status for r in open_store(home).children("r")) == ["cancelled", "cancelled", "done"]


def test_what_a_plain_process_began_a_worker_can_end(home: Path) -> None:
    @tool(effect="irreversible", authority=["to"])
    def send(to: str) -> str:
        return "sent"

    worker = Agent(
        "worker", model=ScriptedModel([ToolCallPart("s", "send", {"to": "ann"}), "well"]), tools=[send], guard="tainted"
    )
    agent = lead(["a"], worker, tools=[send])
    run = agent.run_sync("go", home=home)
    assert run.status == "waiting"
    (child,) = open_store(home).children(run.id)
    (question,) = Run.load(child.id, home=home).pending()
    question.approve(by="ann")
    asyncio.run(work(home, members([agent])))
    assert outputs(run) == ["well"]


def test_late_children_are_told_to_end(home: Path) -> None:
    worker = Agent("worker", model=Says(str.upper))
    agent = lead(["a"], worker, timeout_s=0.01)
    run = agent.enqueue("go", home=home, run_id="r")
    asyncio.run(work(home, members([agent]), turns=1))
    time.sleep(0.05)
    open_store(home).post("r", "wake", {})
    store = open_store(home)

    asyncio.run(one(home, "r", agent))
    assert [i.kind for i in store.inbox("r.5.0")] == ["cancel"]
    asyncio.run(work(home, members([agent])))
    assert answer(run)["missing"][0]["status"] == "cancelled"


def test_a_creators_sleep_takes_no_seconds_from_those_that_begin_later(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Agent("worker", model=Says(str.upper))
    agent = lead(["a", "b"], worker, concurrency=1, limits={"seconds": 600.0})
    run = agent.enqueue("go", home=home, run_id="r")
    agents = members([agent])
    asyncio.run(work(home, agents, turns=2, batch=1))  # the creator sleeps, its first sub-agent is done
    assert run.status == "waiting"
    later = time.time() + 100_000.0
    monkeypatch.setattr(time, "time", lambda: later)  # a day later somebody goes on
    asyncio.run(work(home, agents, batch=1))
    assert run.status == "done"
    store = open_store(home)
    given = [store.event(row.id, 1).payload["limits"]["seconds"] for row in store.children("r")]
    assert len(given) == 2
    assert min(given) > 500.0


def test_a_journal_that_is_away_for_a_moment_does_not_end_the_call(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Agent("worker", model=Says(str.upper))
    agent = lead(["a", "b"], worker)
    run = agent.enqueue("go", home=home, run_id="r")
    agents = members([agent])
    asyncio.run(work(home, agents, turns=2))  # both have been enqueued, and have ended
    store = open_store(home)
    assert {row.status for row in store.children("r")} == {"done"}

    def away(self: object, run_id: str) -> list[object]:
        raise StoreError("the server is away")

    with monkeypatch.context() as patch:
        patch.setattr(type(store), "children", away)
        asyncio.run(work(home, agents, turns=1))
    assert (run.status, "away" in run.reason) == ("waiting", True)
    store.post("r", "wake", {})
    asyncio.run(work(home, agents))
    assert run.status == "done"
    assert outputs(run) == ["A", "B"]


def test_who_was_enqueued_by_the_owner_before_is_taken_as_begun(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Agent("worker", model=Says(str.upper))
    agent = lead(["a", "b"], worker)
    run = agent.enqueue("go", home=home, run_id="r")
    real = handed.enqueue

    def twice(store: Store, start: Start) -> str:
        if start.run_id.endswith(".0"):
            real(store, start)  # a frozen owner's thread was a moment faster
        return real(store, start)

    with monkeypatch.context() as patch:
        patch.setattr(handed, "enqueue", twice)
        asyncio.run(work(home, members([agent]), turns=1))
    asyncio.run(work(home, members([agent])))
    assert run.status == "done"
    assert outputs(run) == ["A", "B"]
