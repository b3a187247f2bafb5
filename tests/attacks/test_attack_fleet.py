"""Attacks on workers: by what lies in a journal, by somebody who starts one beside them, from the network."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mainspring import Agent, Policy, Run, ScriptedModel, ToolCallPart, tool
from mainspring.errors import DeclarationError
from mainspring.fleet import Report, Worker
from mainspring.fleet.service import listen
from mainspring.runtime.bounds import Bounds
from mainspring.runtime.starting import Start, enqueue
from mainspring.store import Changes, NewEvent, Store, open_store

PAID: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_paid() -> None:
    PAID.clear()


@tool(effect="irreversible", authority=["to"])
def pay(to: str) -> str:
    """Pay somebody."""
    PAID.append(to)
    return "paid"


def clerk(**more: Any) -> Agent:
    script = [ToolCallPart("", "pay", {"to": "eve"}), "done"]
    return Agent("clerk", model=ScriptedModel(script), tools=[pay], guard="tainted", **more)


def work(store: Store, agents: Sequence[Agent], **more: Any) -> list[Report]:
    said: list[Report] = []
    worker = Worker(store, agents, report=said.append, poll_s=0.01, **more)
    asyncio.run(asyncio.wait_for(worker.run(until_idle=True), 60))
    return said


def test_a_worker_gives_no_approval(home: Path) -> None:
    """Nobody sits in front of it: what needs a person waits for one."""
    run = clerk().enqueue("look after the bills", home=home)
    work(open_store(home), [clerk()])
    assert (run.status, PAID) == ("waiting", [])
    assert [p.tool for p in run.pending()] == ["pay"]


def test_control_the_call_is_made_where_it_is_allowed(home: Path) -> None:
    agent = clerk(policy=Policy(allow=["pay"]))
    agent.enqueue("look after the bills", home=home)
    work(open_store(home), [agent])
    assert PAID == ["eve"]


def test_a_run_that_somebody_sends_is_not_executed_by_itself(home: Path, tmp_path: Path) -> None:
    """A journal from elsewhere, interrupted in the middle, with a wake-up in its inbox."""
    agent = clerk(policy=Policy(allow=["pay"]))
    sent = agent.enqueue("pay eve", home=tmp_path / "elsewhere")
    open_store(tmp_path / "elsewhere").post(sent.id, "wake", {})
    sent.export(tmp_path / "run.jsonl")
    Run.import_(tmp_path / "run.jsonl", home)
    store = open_store(home)
    assert store.ready(time.time()) == [sent.id]  # the attack is live: the journal calls it ready
    said = work(store, [agent])
    assert [r.kind for r in said if r.run_id] == ["left"]
    assert (PAID, store.row(sent.id).head_seq) == ([], 1)


def test_bounds_hold_in_a_worker_that_declares_more(home: Path) -> None:
    agent = clerk(policy=Policy(allow=["pay"]))
    store = open_store(home)
    from mainspring.messages import user

    bounded = Start(agent=agent, messages=[user("go")], limits=agent.limits, bounds=Bounds(tools=()))
    run = Run(enqueue(store, bounded), store)
    work(store, [agent])
    assert PAID == []
    assert [e.payload["cause"] for e in run.events() if e.kind == "call.refused"] == ["unknown"]


def test_an_origin_in_the_journal_loads_no_file(home: Path, tmp_path: Path) -> None:
    """What a journal calls its origin is data: a worker executes the files that it was started with, and no other."""
    from mainspring.cli.worker import load_agents

    trap = tmp_path / "trap.py"
    trap.write_text(
        f"open({str(tmp_path / 'sprung')!r}, 'w').close()\n"
        "from mainspring import Agent, ScriptedModel\n"
        "clerk = Agent('clerk', model=ScriptedModel(['x']))\n"
    )
    mine = tmp_path / "mine.py"
    mine.write_text(
        "from mainspring import Agent, ScriptedModel\nclerk = Agent('clerk', model=ScriptedModel(['mine']))\n"
    )
    agents, declare = load_agents([str(mine)])
    agent = clerk()
    agent.origin = f"{trap}:clerk?guard=tainted"
    run = agent.enqueue("x", home=home)
    work(open_store(home), agents, declare=declare)
    assert (run.status, run.output) == ("done", "mine")
    assert not (tmp_path / "sprung").exists()
    load_agents([str(trap)])
    assert (tmp_path / "sprung").exists()  # control: the file is a trap


def test_a_flood_of_one_agent_does_not_keep_the_others_waiting(home: Path) -> None:
    flood = Agent("flood", model=ScriptedModel(["done"]))
    other = Agent("other", model=ScriptedModel(["done"]))
    for n in range(60):
        flood.enqueue(f"{n}", home=home)
    run = other.enqueue("me too", home=home)
    said = work(open_store(home), [flood, other], concurrency=2)
    taken = [r.run_id for r in said if r.kind == "taken"]
    assert taken.index(run.id) < 2


def test_a_run_cannot_have_itself_taken_up_for_ever(home: Path) -> None:
    """A journal that was cut off again and again: parked, and nothing of what lies in its inbox brings it back."""
    agent = Agent("loop", model=ScriptedModel(["done"]))
    store = open_store(home)
    run = agent.enqueue("x", home=home)
    for _ in range(6):
        lease = store.acquire(run.id)
        event = NewEvent("run.resumed", {"epoch": lease.epoch, "pid": 1, "digest": "", "limits": None, "seconds": 0.0})
        store.append(lease, [event], Changes(status="running")).done.result()
        store.post(run.id, "wake", {})
        store.release(lease)
    kinds = [r.kind for _ in range(3) for r in work(store, [agent]) if r.run_id]
    assert kinds == ["parked"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_nothing_listens_for_other_machines_unasked(host: str) -> None:
    with pytest.raises(DeclarationError, match="--public"):
        listen(host, 0)


def test_control_this_machine_is_listened_to() -> None:
    with listen("127.0.0.1", 0) as own, listen("0.0.0.0", 0, public=True) as public:
        assert own.getsockname()[0] == "127.0.0.1"
        assert public.family == socket.AF_INET
