"""A run that splits because its task says so; what it is told of what that gained, and when it is told to stop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mainspring import Agent, Run, ScriptedModel
from mainspring.messages import Message, TextPart, ToolCallPart, Usage
from mainspring.store import open_store
from mainspring.swarm import critical, history, spawn_tool
from mainspring.swarm.strategy import ORDERS, Choice, decide, run_sync, splitting

FIVE = "Look these up:\n1. Ann\n2. Bob\n3. Cid\n4. Dee\n5. Eve"


class Clerk:
    """Splits when it is told to, and does a part otherwise."""

    name = "clerk"

    async def respond(self, messages: Any, tools: Any, settings: Any) -> Message:
        usage = Usage(100, 10, calls=1, usd=0.0)
        told = "Split this task" in messages[0].text
        if not told:
            return Message("assistant", (TextPart(f"did: {messages[-1].text}"),), usage=usage)
        if messages[-1].role == "tool":
            return Message("assistant", (TextPart("all five"),), usage=usage)
        parts = [f"look up person {n}" for n in range(5)]
        return Message("assistant", (ToolCallPart("c1", "spawn", {"tasks": parts}),), usage=usage)


def test_a_task_of_many_parts_is_split_and_its_parts_are_not(home: Path) -> None:
    agent = Agent("clerk", model=Clerk(), instructions="Be brief.")
    run = run_sync(agent, FIVE, home=home)
    assert (run.status, run.output) == ("done", "all five")
    assert run.events()[0].payload["bounds"]["cause"]["strategy"]["strategy"] == "split"
    store = open_store(home)
    children = store.children(run.id)
    assert [c.status for c in children] == ["done"] * 5
    systems = [store.event(c.id, 1).payload["system"] for c in children]
    assert not any("Split" in s for s in systems)
    assert all("spawn" not in store.event(c.id, 1).payload["bounds"]["tools"] for c in children)
    assert history.recall(store, "clerk", "enumerated").split.tokens == pytest.approx(7 * 110)
    assert run.usage.tokens == 7 * 110
    assert run.replay().identical


def test_the_spawning_run_is_told_what_it_gained(home: Path) -> None:
    run = run_sync(Agent("clerk", model=Clerk()), FIVE, home=home, strategy="split")
    [done] = [e for e in run.events() if e.kind == "effect.done"]
    said = json.loads(done.payload["content"][0]["text"])
    assert said["gain"].startswith("5 parts: ")
    assert "tokens 1.0 times" in said["gain"]
    [split] = critical.splits_of(open_store(home), run.id)
    assert (split.parts, split.done, split.path.steps, split.intent) == (5, 5, 1, done.payload["intent"])


def spawning(name: str, *calls: int) -> Agent:
    part = Agent("part", model=ScriptedModel(["done"] * 50))
    steps = [ToolCallPart(f"c{n}", "spawn", {"tasks": ["a"] * count}) for n, count in enumerate(calls)]
    return Agent(name, model=ScriptedModel([*steps, "end"]), tools=[spawn_tool([part])])


def test_splitting_that_does_not_pay_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(critical, "LEAST_GAIN", 1e9)
    monkeypatch.setattr(critical, "LEAST_SECONDS", 0.0)
    run = spawning("slow", 2, 3, 4, 1).run_sync("go", home=home)
    answers = [e.payload["reason"] for e in run.events() if e.kind == "call.refused"]
    assert run.status == "done"
    assert len(answers) == 1
    assert "splitting does not pay in this run" in answers[0]
    assert "Do these 4 parts yourself" in answers[0]
    assert len(open_store(home).children(run.id)) == 2 + 3 + 1


def test_splitting_that_pays_goes_on(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(critical, "LEAST_GAIN", 0.0)
    monkeypatch.setattr(critical, "LEAST_SECONDS", 0.0)
    run = spawning("fast", 2, 2, 2, 2).run_sync("go", home=home)
    assert len(open_store(home).children(run.id)) == 8


def test_a_split_run_goes_on_after_its_process_died(home: Path) -> None:
    agent = Agent("clerk", model=Clerk())
    choice = decide(agent, FIVE, home=home)
    assert choice.strategy == "split"
    run = run_sync(agent, FIVE, home=home, strategy=choice)
    fork = run.fork(0)
    fork.resume_sync(splitting(agent))
    assert fork.output == "all five"
    assert len(open_store(home).children(fork.id)) == 5


def test_orders_are_given_once_and_never_written_into_a_file_that_a_person_approved(tmp_path: Path) -> None:
    agent = splitting(splitting(Agent("clerk", model=Clerk(), instructions="Be brief.")))
    assert str(agent.instructions).count(ORDERS.format(spawn="spawn")) == 1
    approved = Agent("other", model=Clerk(), instructions=tmp_path / "orders.md")
    assert splitting(approved).instructions == tmp_path / "orders.md"
    assert "spawn" not in approved.tools


def test_a_decision_can_be_made_beforehand(home: Path) -> None:
    run: Run = run_sync(Agent("clerk", model=Clerk()), FIVE, home=home, strategy=Choice("alone", "enumerated", "mine"))
    assert str(run.output).startswith("did:")
    assert open_store(home).children(run.id) == []
