"""Workers in one process: what they take up, what they leave, and how they stop."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from mainspring import Agent, NotYet, Run, ScriptedModel, ToolContext, tool
from mainspring.config import FleetSettings
from mainspring.errors import StoreError
from mainspring.fleet import Report, Worker
from mainspring.fleet.admission import DAY, Admission, day_of, memory_limit_mb
from mainspring.fleet.deaths import deaths
from mainspring.fleet.picking import pick
from mainspring.fleet.worker import MOVED
from mainspring.messages import Message, TextPart, ToolCallPart, Usage
from mainspring.runtime.events import KINDS
from mainspring.store import Changes, NewEvent, RunRow, Store, open_store
from mainspring.swarm import spawn_tool


def scripted(name: str, *lines: Any, **more: Any) -> Agent:
    return Agent(name, model=ScriptedModel(lines or ["done"]), **more)


def work(store: Store, agents: Sequence[Agent], **more: Any) -> list[Report]:
    """Work until nothing is ready, and return what the worker said."""
    said: list[Report] = []
    worker = Worker(store, agents, report=said.append, poll_s=0.01, **more)
    asyncio.run(asyncio.wait_for(worker.run(until_idle=True), 60))
    return said


def kinds(said: Sequence[Report], *wanted: str) -> list[tuple[str, str]]:
    return [(r.kind, r.run_id) for r in said if r.kind in wanted]


def test_enqueued_runs_are_executed(home: Path) -> None:
    agent = scripted("a")
    ids = [agent.enqueue(f"task {n}", home=home).id for n in range(5)]
    said = work(open_store(home), [agent])
    assert {Run.load(id, home).status for id in ids} == {"done"}
    assert sorted(kinds(said, "rested")) == sorted(("rested", id) for id in ids)
    assert said[-1].kind == "stopped"


def test_runs_of_other_agents_and_queues_are_left_to_other_workers(home: Path) -> None:
    mine, theirs = scripted("mine"), scripted("theirs")
    runs = [mine.enqueue("a", home=home), theirs.enqueue("b", home=home)]
    runs += [mine.enqueue("c", home=home, queue="night"), mine.enqueue("d", home=home, queue="day")]
    work(open_store(home), [mine], queues=["night"])
    assert [r.status for r in runs] == ["done", "waiting", "done", "waiting"]
    work(open_store(home), [mine])
    assert [r.status for r in runs] == ["done", "waiting", "done", "done"]


def test_a_sleeper_is_woken_by_time_and_by_a_post(home: Path) -> None:
    now, ready = [1000.0], [False]

    @tool(effect="read", authority=[])
    def wait(context: ToolContext) -> str:
        if not ready[0]:
            raise NotYet("not there", wake_at=2000.0)
        return "there"

    agent = scripted("sleeper", ToolCallPart("", "wait", {}), "done", tools=[wait])
    store = open_store(home)
    run = agent.run_sync("wait", home=home)
    assert work(store, [agent], clock=lambda: now[0])[:-1] == []
    now[0] = 2001.0
    ready[0] = True
    work(store, [agent], clock=lambda: now[0])
    assert run.status == "done"
    ready[0] = False
    other = agent.run_sync("wait", home=home)
    ready[0], now[0] = True, 1000.0
    store.post(other.id, "wake", {})
    work(store, [agent], clock=lambda: now[0])
    assert other.status == "done"


def row(name: str, agent: str, priority: int = 0) -> RunRow:
    return RunRow(name, agent, "", "waiting", 0, 0, 1, 1, 0.0, None, False, priority)


def test_one_agents_many_runs_do_not_starve_another() -> None:
    many = [row(f"m{n}", "many") for n in range(1000)]
    few = [row("f0", "few"), row("f1", "few")]
    assert {"f0", "f1"} <= {r.id for r in pick({"many": many, "few": few}, {}, 4)}
    assert pick({"many": many, "few": few}, {"many": 60}, 1) == [few[0]]
    urgent = [row("u", "many", 1), *many]
    assert [r.id for r in pick({"many": urgent, "few": few}, {"many": 60}, 2)] == ["u", "f0"]
    assert len(pick({"many": many}, {}, 2000)) == 1000


def test_fairness_holds_in_the_order_that_runs_are_taken_up(home: Path) -> None:
    many, few = scripted("many"), scripted("few")
    for n in range(20):
        many.enqueue(f"{n}", home=home)
    one = few.enqueue("mine", home=home)
    said = work(open_store(home), [many, few], concurrency=2)
    assert ("taken", one.id) in kinds(said, "taken")[:2]


def test_no_more_than_concurrency_at_a_time(home: Path) -> None:
    at_work, most = [0], [0]

    async def slow(messages: Any, tools: Any, settings: Any) -> Message:
        at_work[0] += 1
        most[0] = max(most[0], at_work[0])
        await asyncio.sleep(0.05)
        at_work[0] -= 1
        return Message("assistant", (TextPart("done"),))

    agent = Agent("a", model=_Model(slow))
    for n in range(7):
        agent.enqueue(f"{n}", home=home)
    work(open_store(home), [agent], concurrency=3)
    assert most[0] == 3


class _Model:
    name = "own"
    context_window = 100_000

    def __init__(self, respond: Callable[..., Any]) -> None:
        self.respond = respond


def interrupted(store: Store, run_id: str, times: int) -> None:
    """Leave a run as workers would that died as soon as they had taken it up."""
    for _ in range(times):
        lease = store.acquire(run_id)
        event = NewEvent("run.resumed", {"epoch": lease.epoch, "pid": 1, "digest": "", "limits": None, "seconds": 0.0})
        store.append(lease, [event], Changes(status="running")).done.result()
        store.release(lease)


def test_a_run_that_kills_its_workers_is_parked_until_a_person_speaks(home: Path) -> None:
    agent = scripted("poison")
    store = open_store(home)
    run = agent.enqueue("boom", home=home)
    interrupted(store, run.id, 6)
    assert deaths(store, run.id) == 7  # the first stretch counts from run.started
    store.post(run.id, "wake", {})
    said = work(store, [agent])
    assert kinds(said, "parked", "taken") == [("parked", run.id)]
    assert (run.status, "died 7 times in a row" in run.reason) == ("waiting", True)
    assert kinds(work(store, [agent]), "parked", "taken") == []  # what lay in its inbox before does not wake it
    run.send("go on, I have given it more memory")
    assert kinds(work(store, [agent]), "taken") == [("taken", run.id)]
    assert run.status == "done"


def test_a_run_that_comes_forward_between_its_deaths_is_not_parked(home: Path) -> None:
    @tool(effect="read", authority=[])
    def look() -> str:
        return "seen"

    agent = scripted("a", ToolCallPart("", "look", {}), "done", tools=[look])
    store = open_store(home)
    run = agent.enqueue("x", home=home)
    interrupted(store, run.id, 3)
    lease = store.acquire(run.id)
    event = NewEvent("run.waiting", {"status": "waiting", "reason": "", "wake_at": None}, version=KINDS["run.waiting"])
    store.append(lease, [event], Changes(status="waiting", release=True)).done.result()
    interrupted(store, run.id, 4)
    assert deaths(store, run.id) == 4
    work(store, [agent])
    assert run.status == "done"


def test_a_suspect_is_executed_alone(home: Path) -> None:
    at_work: list[int] = []

    async def slow(messages: Any, tools: Any, settings: Any) -> Message:
        at_work.append(worker.at_work)
        await asyncio.sleep(0.02)
        return Message("assistant", (TextPart("done"),))

    agent = Agent("a", model=_Model(slow))
    store = open_store(home)
    runs = [agent.enqueue(f"{n}", home=home) for n in range(3)]
    for run in runs:
        interrupted(store, run.id, 2)

    async def main() -> None:
        while any(r.status != "done" for r in runs):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        worker.stop()

    async def both() -> None:
        await asyncio.wait_for(asyncio.gather(worker.run(), main()), 60)

    now = time.time
    worker = Worker(store, [agent], clock=now, poll_s=0.01)
    asyncio.run(both())
    assert at_work == [1, 1, 1]


def test_a_worker_with_nothing_to_do_looks_when_something_was_written_or_is_due(home: Path) -> None:
    store = open_store(home)
    clock, looks = [time.time() + 60], []
    agent = scripted("a", "one", "two")

    class Seen(Worker):
        def _find(self, free: int) -> Any:
            looks.append(clock[0])
            return super()._find(free)

    async def until(true: Callable[[], bool]) -> None:
        while not true():  # noqa: ASYNC110 - what is waited for is written by others
            await asyncio.sleep(0.01)

    async def main(worker: Worker) -> None:
        task = asyncio.create_task(worker.run())
        await until(lambda: bool(looks))
        await asyncio.sleep(0.3)  # thirty polls or so, of which hardly one finds reason to look
        assert len(looks) < 10
        run = agent.enqueue("written", home=home)
        await until(lambda: run.status == "done")
        first = NewEvent("run.started", store.event(run.id, 1).payload, version=2)
        lease, appended = store.create("sleeps", [first], agent="a", task="sleeps")
        appended.done.result()
        store.append(lease, [], Changes(status="waiting", wake_at=clock[0] + 1000, release=True)).done.result()
        await asyncio.sleep(0.3)
        assert store.row(lease.run_id).status == "waiting"
        clock[0] += 1000  # nothing is written now, only its time has come
        await until(lambda: store.row(lease.run_id).status == "done")
        worker.stop()
        await task

    asyncio.run(asyncio.wait_for(main(Seen(store, [agent], poll_s=0.01, clock=lambda: clock[0])), 60))


def test_a_journal_of_a_newer_version_is_left_as_it_is(home: Path) -> None:
    agent = scripted("a")
    store = open_store(home)
    run = agent.enqueue("x", home=home)
    lease = store.acquire(run.id)
    store.append(lease, [NewEvent("run.danced", {}, version=1)]).done.result()
    store.release(lease)
    other = agent.enqueue("y", home=home)
    said = work(store, [agent])
    assert kinds(said, "left") == [("left", run.id)]
    assert "newer" in next(r.text for r in said if r.kind == "left")
    assert other.status == "done"  # one such run does not stop the others
    now = store.row(run.id)
    assert (now.status, now.head_seq, now.alive) == ("waiting", 2, False)


def test_bounds_that_are_not_known_are_left(home: Path) -> None:
    agent = scripted("a")
    store = open_store(home)
    run = agent.enqueue("x", home=home)
    first = store.event(run.id, 1)
    bounds = {"tools": None, "expires_at": None, "cause": {}, "depth": 0, "hosts": []}
    lease, appended = store.create(
        "strange", [NewEvent("run.started", first.payload | {"bounds": bounds}, version=2)], agent="a", task="x"
    )
    appended.done.result()
    store.append(lease, [], Changes(status="waiting", wake_at=1.0, release=True)).done.result()
    said = work(store, [agent])
    assert kinds(said, "left") == [("left", "strange")]
    assert store.row("strange").head_seq == 1


def test_an_imported_run_is_not_taken_up_by_itself(home: Path, tmp_path: Path) -> None:
    agent = scripted("a")
    run = agent.enqueue("x", home=home)
    run.export(tmp_path / "run.jsonl")
    there = Run.import_(tmp_path / "run.jsonl", tmp_path / "other")
    store = open_store(tmp_path / "other")
    assert store.ready(time.time()) == [run.id]
    assert kinds(work(store, [agent]), "taken", "left") == [("left", run.id)]
    store.keep(MOVED, run.id, {}, version=0)
    work(store, [agent])
    assert there.status == "done"


def test_a_worker_that_stops_hands_its_runs_over_at_the_end_of_their_step(home: Path) -> None:
    begun = asyncio.Event()
    calls: list[str] = []

    @tool(effect="irreversible", authority=["to"])
    async def send(to: str) -> str:
        calls.append(to)
        begun.set()
        await asyncio.sleep(0.1)
        return "sent"

    agent = scripted(
        "a",
        ToolCallPart("", "send", {"to": "ann"}),
        ToolCallPart("", "send", {"to": "bob"}),
        "done",
        tools=[send],
        guard="tainted",
        policy=_allowing("send"),
    )
    store = open_store(home)
    run = agent.enqueue("send", home=home)

    async def main() -> None:
        worker = Worker(store, [agent], poll_s=0.01)
        working = asyncio.create_task(worker.run())
        await begun.wait()
        worker.stop()
        await asyncio.wait_for(working, 20)

    asyncio.run(main())
    assert calls == ["ann"]
    assert run.state.open_calls == []  # the effect under way was settled, and the next one not begun
    assert store.ready(time.time()) == [run.id]  # for anybody, at once
    assert "its worker stopped" in run.reason
    begun = asyncio.Event()
    work(store, [agent])
    assert (run.status, calls) == ("done", ["ann", "bob"])


def _allowing(*names: str) -> Any:
    from mainspring import Policy

    return Policy(allow=list(names))


def test_a_model_call_that_takes_too_long_is_given_up_when_the_worker_stops(home: Path) -> None:
    asked = asyncio.Event()

    async def slow(messages: Any, tools: Any, settings: Any) -> Message:
        asked.set()
        await asyncio.sleep(3600)
        raise AssertionError

    store = open_store(home)
    agent = Agent("a", model=_Model(slow))
    run = agent.enqueue("x", home=home)
    said: list[Report] = []

    async def main() -> None:
        worker = Worker(store, [agent], poll_s=0.01, report=said.append, settings=FleetSettings(grace=6.0))
        working = asyncio.create_task(worker.run())
        await asked.wait()
        worker.stop()
        await asyncio.wait_for(working, 30)

    asyncio.run(main())
    assert not any("middle of a step" in r.text for r in said)
    assert store.ready(time.time()) == [run.id]


def test_a_run_that_wants_to_be_woken_in_the_past_is_not_asked_in_a_circle(home: Path) -> None:
    calls: list[float] = []

    @tool(effect="read", authority=[])
    def wait() -> str:
        calls.append(time.time())
        if len(calls) < 3:
            raise NotYet("soon", wake_at=1.0)
        return "there"

    agent = scripted("a", ToolCallPart("", "wait", {}), "done", tools=[wait])
    store = open_store(home)
    run = agent.enqueue("x", home=home)
    for _ in range(3):
        work(store, [agent])
        time.sleep(0.05)
    assert run.status == "done"
    assert len(calls) == 3


def test_a_day_that_has_cost_enough_takes_nothing_new(home: Path) -> None:
    now = [time.time()]
    said_usd = Message("assistant", (TextPart("done"),), usage=Usage(10, 10, calls=1, usd=0.75))
    agent = scripted("a", said_usd)
    store = open_store(home)
    runs = [agent.enqueue(f"{n}", home=home) for n in range(3)]
    settings = FleetSettings(usd_per_day=1.0)
    said: list[Report] = []

    async def main() -> None:
        worker = Worker(
            store, [agent], concurrency=1, poll_s=0.01, clock=lambda: now[0], report=said.append, settings=settings
        )
        working = asyncio.create_task(worker.run())
        while not any(r.kind == "held" for r in said):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert sorted(r.status for r in runs) == ["done", "done", "waiting"]
        now[0] += 86400
        while any(r.status != "done" for r in runs):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        worker.stop()
        await working

    now[0] = time.time()
    asyncio.run(asyncio.wait_for(main(), 20))
    assert "usd_per_day = 1" in next(r.text for r in said if r.kind == "held")
    assert [r.kind for r in said if r.kind in ("held", "admitting")] == ["held", "admitting"]
    spent = {k.name: k.body["usd"] for k in store.all_kept(DAY)}
    assert sum(spent.values()) == 2.25


def test_what_a_run_spent_is_counted_once(home: Path) -> None:
    store = open_store(home)
    admission = Admission(lambda: store, FleetSettings(usd_per_day=10.0), lambda: 0.0)
    admission.count("r", 1.0, False)
    admission.count("r", 1.5, False)
    admission.count("r", 1.5, True)
    assert admission.spent_today() == 1.5
    assert day_of(0.0) == "1970-01-01"


def test_a_worker_that_has_grown_takes_nothing_new(tmp_path: Path, home: Path) -> None:
    store = open_store(home)
    used = [100.0]
    admission = Admission(lambda: store, FleetSettings(memory_mb=200), memory=lambda: used[0])
    assert admission.refusal() is None
    used[0] = 300.0
    assert "300 MB, more than 200 MB" in str(admission.refusal())
    group = tmp_path / "memory.max"
    group.write_text("1000000000\n")
    assert memory_limit_mb(FleetSettings(), group) == 800.0
    group.write_text("max\n")
    assert memory_limit_mb(FleetSettings(), group) is None


def test_a_full_queue_refuses_the_next_run(home: Path) -> None:
    (home / "mainspring.toml").write_text("[fleet]\nqueued = 3\n")
    os.chmod(home / "mainspring.toml", 0o600)
    agent = scripted("a")
    for n in range(3):
        agent.enqueue(f"{n}", home=home, queue="q")
    with pytest.raises(StoreError, match=r"queue 'q' holds 3 runs .* queued = 3"):
        agent.enqueue("4", home=home, queue="q")
    agent.enqueue("other", home=home)  # another queue has room
    work(open_store(home), [agent])
    agent.enqueue("5", home=home, queue="q")


def test_a_run_that_ended_since_the_worker_looked_is_not_executed_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = scripted("a")
    store = open_store(home)
    run = agent.enqueue("x", home=home)
    work(store, [agent])
    length = len(run.events())
    looks: list[int] = []

    def stale(*_: Any, **__: Any) -> list[str]:
        looks.append(1)
        return [run.id]  # as it was before another worker ended it

    monkeypatch.setattr(store, "ready", stale)
    assert kinds(work(store, [agent]), "taken") == []
    assert looks
    assert (run.status, len(run.events()), store.row(run.id).alive) == ("done", length, False)


def test_an_agents_declaration_may_be_made_for_one_run(home: Path) -> None:
    agent = scripted("a")
    agent.origin = "/x/agents.py:a?model=other"
    run = agent.enqueue("x", home=home)
    asked: list[str] = []

    def declare(known: Agent, origin: str) -> Agent:
        asked.append(origin)
        return scripted("a", "as the person wanted it")

    work(open_store(home), [agent], declare=declare)
    assert (run.output, asked) == ("as the person wanted it", ["/x/agents.py:a?model=other"])


def test_a_pause_of_a_sleeper_holds_and_no_sub_agent_undoes_it(home: Path) -> None:
    calls: list[int] = []

    @tool(effect="read", authority=[])
    def wait() -> str:
        calls.append(1)
        if len(calls) == 1:
            raise NotYet("not there")
        return "there"

    agent = scripted("a", ToolCallPart("", "wait", {}), "done", tools=[wait])
    store = open_store(home)
    run = agent.enqueue("x", home=home)
    work(store, [agent])
    assert (run.status, len(calls)) == ("waiting", 1)
    run.pause("look at it first")
    store.post(run.id, "wake", {})
    work(store, [agent])
    assert (run.status, run.reason, len(calls)) == ("waiting", "look at it first", 1)
    before = store.row(run.id).head_seq
    store.post(run.id, "wake", {})
    work(store, [agent])
    assert store.row(run.id).head_seq == before
    run.send("go on", by="ann")
    work(store, [agent])
    assert run.status == "done"


def test_what_sub_agents_cost_counts_once(home: Path) -> None:
    def costs(usd: float) -> Message:
        return Message("assistant", (TextPart("done"),), usage=Usage(10, 10, calls=1, usd=usd))

    worker = Agent("worker", model=ScriptedModel([costs(0.25)]))
    asked = Message("assistant", (ToolCallPart("", "spawn", {"tasks": ["a"]}),), usage=Usage(10, 10, calls=1, usd=0.5))
    lead = scripted("lead", asked, costs(0.125), tools=[spawn_tool([worker])])
    run = lead.enqueue("x", home=home)
    store = open_store(home)
    settings = FleetSettings(usd_per_day=10.0)
    work(store, [lead, worker], settings=settings)
    assert (run.status, run.usage.usd) == ("done", 0.875)
    assert Admission(lambda: store, settings).spent_today() == 0.875
