"""What sub-agents may spend: shares, leftovers, and a sum that never passes the creator's limit."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from swarmkit import Says, answer, lead

from mainspring import Agent, Run, Usage, tool
from mainspring.agent import Limits
from mainspring.messages import Message, ToolCallPart, assistant
from mainspring.store import open_store
from mainspring.swarm import run_tasks
from mainspring.swarm.purse import Purse


@tool(effect="read", authority=())
def look(n: int) -> str:
    """Look."""
    return f"saw {n}"


class Spender:
    """A model that never comes to an end by itself, at a dollar a call."""

    name = "spender"

    async def respond(self, messages: list[Message], tools: object, settings: object) -> Message:
        if "last step" in messages[-1].text:
            return Message("assistant", assistant("out of money").parts, usage=Usage(10, 0, calls=1, usd=1.0))
        part = ToolCallPart(f"l{len(messages)}", "look", {"n": len(messages)})
        return Message("assistant", (part,), usage=Usage(10, 0, calls=1, usd=1.0))


def test_the_sum_never_passes_the_creators_money(home: Path) -> None:
    worker = Agent("worker", model=Spender(), tools=[look])
    agent = lead(["a", "b", "c", "d"], worker, tools=[look], limits={"usd": 10.0}, call_usd=1.0, duplicates=False)
    run = agent.run_sync("go", home=home)
    assert run.usage.usd is not None
    assert 4.0 <= run.usage.usd <= 10.0
    spent = [Run.load(r.id, home=home).usage.usd or 0.0 for r in open_store(home).children(run.id)]
    assert run.usage.usd == pytest.approx(sum(spent))


def test_shares_too_small_for_a_call_go_to_fewer(home: Path) -> None:
    worker = Agent("worker", model=Says(str.upper, usd=1.0))
    agent = lead([str(n) for n in range(20)], worker, limits={"usd": 5.0}, call_usd=1.0)
    run = agent.run_sync("go", home=home)
    found = answer(run)
    assert 4 <= len(found["answers"]) <= 5
    assert {m["status"] for m in found["missing"]} == {"not begun"}
    assert "budget" in found["missing"][0]["why"]
    assert (run.usage.usd or 0.0) <= 5.0


def test_what_a_finished_child_leaves_goes_to_the_others(home: Path) -> None:
    worker = Agent("worker", model=Says(str.upper, tokens=10))
    agent = lead(["a", "b", "c", "d"], worker, limits={"tokens": 400}, concurrency=1)
    run = agent.run_sync("go", home=home)
    given_ = [open_store(home).event(r.id, 1).payload["limits"]["tokens"] for r in open_store(home).children(run.id)]
    assert given_ == [100, 130, 190, 370]


def test_a_childs_own_limits_hold_too(home: Path) -> None:
    worker = Agent("worker", model=Says(str.upper), limits={"steps": 3, "usd": 0.5})
    run = lead(["a"], worker, limits={"steps": 50, "usd": 10.0, "seconds": 100.0}).run_sync("go", home=home)
    (row,) = open_store(home).children(run.id)
    limits = open_store(home).event(row.id, 1).payload["limits"]
    assert (limits["steps"], limits["usd"]) == (3, 0.5)
    assert 0 < limits["seconds"] <= 100


def test_a_crash_does_not_give_the_money_a_second_time(home: Path) -> None:
    """The first process ends after some children; the second counts from their journals."""
    stop = asyncio.Event()
    asked: list[str] = []

    def pause(task: str) -> float:
        asked.append(task)
        if len(asked) == 3:
            stop.set()
            return 30.0
        return 0.0

    worker = Agent("worker", model=Says(str.upper, usd=1.0, pause=lambda t: pause(t) if len(asked) < 3 else 0.0))
    tasks = [str(n) for n in range(10)]
    more = {"limits": {"usd": 5.0}, "call_usd": 1.0, "concurrency": 1, "run_id": "r", "home": home}

    async def first() -> None:
        running = asyncio.create_task(run_tasks(worker, tasks, **more))  # type: ignore[arg-type]
        await stop.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(first())
    found = asyncio.run(run_tasks(worker, tasks, **more))  # type: ignore[arg-type]
    spent = sum(Run.load(r.id, home=home).usage.usd or 0.0 for r in open_store(home).children("r"))
    assert found.usage.usd == pytest.approx(spent)
    assert spent <= 5.0
    assert len(found.answers) >= 4


PARENT = SimpleNamespace(
    state=SimpleNamespace(limits={"usd": 100.0, "steps": None}, usage=Usage(), step=0), dearest=0.0
)


@settings(max_examples=200)
@given(
    costs=st.lists(st.floats(0.1, 60.0), min_size=1, max_size=30),
    order=st.randoms(use_true_random=False),
    together=st.integers(1, 8),
    dearest=st.floats(0.01, 10.0),
)
def test_whatever_the_children_cost_the_sum_holds(
    costs: list[float], order: object, together: int, dearest: float
) -> None:
    purse = Purse(PARENT, dearest)  # type: ignore[arg-type]
    working: dict[str, float] = {}
    spent = 0.0
    for n, cost in enumerate(costs):
        limits = purse.share(str(n), len(costs) - n, Limits(steps=None))
        if limits is not None:
            assert limits.usd is not None
            # A run stops after the call that reaches its limit, and no call costs more than the dearest one.
            working[str(n)] = min(cost, limits.usd + dearest * 0.999)
        if len(working) >= together or n == len(costs) - 1:
            for run_id in sorted(working, key=lambda _: order.random()):  # type: ignore[attr-defined]
                spent += working.pop(run_id)
                purse.finished(run_id, Usage(usd=spent - (purse.spent.usd or 0.0)))
    assert spent <= 100.0 + 1e-6
