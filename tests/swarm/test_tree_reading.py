"""The tree of a run: what belongs to it, and that nothing is counted twice."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path

from family import parent, says

from mainspring import Agent, Run, ScriptedModel
from mainspring.messages import ToolCallPart
from mainspring.runtime.dispatch import handing_over
from mainspring.runtime.events import KINDS
from mainspring.runtime.state import RunState
from mainspring.store import open_store
from mainspring.swarm import spawn_tool
from mainspring.swarm.critical import analyse, splits_of
from mainspring.swarm.tree import read, totals


def test_a_sub_agents_spending_is_counted_once_although_its_parent_counts_it_too(home: Path) -> None:
    run = parent(home, 3).run_sync("go", home=home)
    root = read(open_store(home), run.id)
    steps, usage, unpriced = totals(root)[run.id]
    assert run.usage.tokens == 2 * 110 + 3 * 110  # what the run itself says includes its sub-agents'
    assert (steps, usage.tokens, unpriced) == (5, run.usage.tokens, 0)
    assert root.usage.tokens == 2 * 110
    assert [c.usage.tokens for c in root.children] == [110] * 3
    assert [c.started_by for c in root.children] == [(4, 0), (4, 1), (4, 2)]
    assert list(root.splits) == [4]


def test_what_a_tool_of_its_own_spent_stays_with_the_run(home: Path) -> None:
    run = parent(home, 0).run_sync("go", home=home)
    assert totals(read(open_store(home), run.id))[run.id][1].tokens == run.usage.tokens


def test_a_fork_is_marked_and_counts_only_what_it_did_itself(home: Path) -> None:
    agent = parent(home, 2)
    run = agent.run_sync("go", home=home)
    before = totals(read(open_store(home), run.id))[run.id]
    fork = run.fork(1)
    root = read(open_store(home), run.id)
    [found] = [c for c in root.children if c.fork]
    assert found.id == fork.id
    assert (found.steps, found.usage.tokens, found.work) == (0, 0, [])
    assert totals(root)[run.id] == before
    assert [c.fork for c in root.children] == [False, False, True]
    assert fork.id not in analyse(root).path.runs


def test_a_damaged_journal_is_a_node_with_its_problem(home: Path) -> None:
    run = parent(home, 3).run_sync("go", home=home)
    store = open_store(home)
    broken = store.children(run.id)[1].id

    class Damaged:
        def __getattr__(self, name: str) -> object:
            return getattr(store, name)

        def events(self, run_id: str, after: int = 0) -> object:
            for event in store.events(run_id, after):
                if run_id == broken and event.kind == "model.answered":
                    event.payload.clear()
                yield event

    root = read(Damaged(), run.id)  # type: ignore[arg-type]
    problems = [c.problem for c in root.children]
    assert "event" in problems[1]
    assert [problems[0], problems[2]] == ["", ""]
    assert totals(root)[run.id][1].tokens == 4 * 110
    assert len(analyse(root).splits) == 1


def test_splits_of_a_run_that_splits_twice(home: Path) -> None:
    run = parent(home, 2, frozenset({1}), splits=2).run_sync("go", home=home)
    first, second = splits_of(open_store(home), run.id)
    assert (first.parts, first.done, first.finished, first.stopped) == (2, 1, True, 0)
    assert second.intent > first.intent
    assert first.tokens == first.needed_tokens == 110
    assert first.opening_tokens == 100


def test_a_run_named_as_its_own_descendant_does_not_go_round(home: Path) -> None:
    run = parent(home, 1).run_sync("go", home=home)
    child = open_store(home).children(run.id)[0].id
    exported = home / "child.jsonl"
    Run.load(child, home).export(exported)
    lines = exported.read_text().splitlines()
    other = home.parent / "other"
    forged = [json.loads(line) for line in lines]
    forged[0]["run"]["parent"] = child
    exported.write_text("\n".join(json.dumps(line) for line in forged))
    imported = Run.import_(exported, other)
    assert open_store(other).row(imported.id).parent == child
    assert [n.id for n in read(open_store(other), imported.id).walk()] == [child]


def test_a_run_that_workers_execute_sleeps_while_its_sub_agents_work(home: Path) -> None:
    async def work() -> None:
        handing_over.set(True)
        store = open_store(home)
        while ready := store.ready(time.time()):
            for run_id in ready:
                await Run.load(run_id, home).resume({"lead": agent, "part": part}[store.row(run_id).agent])

    part = Agent("part", model=ScriptedModel([says("done")] * 3))
    call = ToolCallPart("c", "spawn", {"tasks": ["a", "b", "c"]})
    agent = Agent("lead", model=ScriptedModel([says("", call), says("end")]), tools=[spawn_tool([part])])
    run = agent.enqueue("go", home=home)
    asyncio.run(work())
    root = read(open_store(home), run.id)
    assert run.status == "done"
    [(intent, (began, done))] = root.splits.items()
    for child in root.children:
        assert child.began_at is not None
        assert began <= child.created_at <= child.began_at  # it was enqueued, and begun later
        assert all(begun >= child.began_at for begun, _ in child.work)
    assert done is not None
    assert len(root.work) >= 2  # it slept in between
    [split] = splits_of(open_store(home), run.id)
    assert (split.intent, split.parts, split.done) == (intent, 3, 3)
    assert totals(root)[run.id][1].tokens == run.usage.tokens == 5 * 110


def test_every_kind_of_event_that_a_run_spends_by_is_counted(home: Path) -> None:
    counted = set()
    store = open_store(home)
    run = parent(home, 0).run_sync("go", home=home)
    first = read(store, run.id).usage.tokens

    for kind in KINDS:
        if f"_on_{kind.replace('.', '_')}" not in SPENDS:
            continue

        class More:
            def __getattr__(self, name: str) -> object:
                return getattr(store, name)

            def events(self, run_id: str, after: int = 0, kind: str = kind) -> object:
                events = list(store.events(run_id, after))
                yield from events
                usage = {"in": 7, "out": 0, "calls": 1, "usd": 0.0}
                payload = {"usage": usage, "intent": 999, "message": {"usage": usage}}
                yield replace(events[-1], seq=len(events) + 1, kind=kind, payload=payload)

        if read(More(), run.id).usage.tokens == first + 7:  # type: ignore[arg-type]
            counted.add(kind)
    assert len(counted) == len(SPENDS)


#: What of the run's own fold adds to its usage.
SPENDS = {
    name
    for name, handler in vars(RunState).items()
    if name.startswith("_on_")
    and "usage" in handler.__code__.co_names + tuple(str(c) for c in handler.__code__.co_consts)
}
