"""Tools that wait, bounds of runs that something else started, and runs that are put into the journal for a worker."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mainspring import Agent, Label, NotYet, Run, ScriptedModel, ToolContext, tool
from mainspring.errors import DeclarationError, StoreError
from mainspring.guard import Grant
from mainspring.messages import ToolCallPart, Usage, user
from mainspring.runtime.bounds import Bounds
from mainspring.runtime.execution import begin, run_blocking
from mainspring.runtime.starting import Delegated, Start
from mainspring.store import open_store
from mainspring.value import Labelled


def call(name: str, **arguments: object) -> ToolCallPart:
    return ToolCallPart(f"c-{name}", name, arguments)


def waiting_tool(calls: list[str], ready: list[bool]) -> object:
    @tool(effect="read", authority=[])
    def wait_for(what: str, context: ToolContext) -> str:
        """Wait for something."""
        calls.append(context.key)
        if not ready:
            raise NotYet(f"{what} is not there", wake_at=time.time() + 3600)
        return "there"

    return wait_for


def test_a_tool_that_waits_lets_the_run_sleep_and_is_called_again_under_the_same_key(home: Path) -> None:
    calls: list[str] = []
    ready: list[bool] = []
    agent = Agent("w", model=ScriptedModel([call("wait_for", what="rain"), "done"]), tools=[waiting_tool(calls, ready)])
    run = agent.run_sync("wait", home=home)
    assert (run.status, run.reason) == ("waiting", "rain is not there")
    store = open_store(home)
    wake_at = store.row(run.id).wake_at
    assert wake_at is not None
    assert wake_at > time.time() + 3000
    for _ in range(7):  # more often than a call may die
        run.resume_sync(agent)
    assert run.status == "waiting"
    store.post(run.id, "wake", {})
    assert store.ready(time.time()) == [run.id]
    ready.append(True)
    run.resume_sync(agent)
    assert run.status == "done"
    assert len(calls) == 9
    assert len(set(calls)) == 1
    assert store.inbox(run.id) == []
    assert run.replay().identical


def test_a_tool_that_may_not_be_called_again_cannot_wait(home: Path) -> None:
    @tool(effect="irreversible", authority=["what"])
    def wait_for(what: str) -> str:
        raise NotYet("never")

    grants = [Grant("wait_for", {"what": ("x",)})]
    model = ScriptedModel([call("wait_for", what="x"), "done"])
    done = Agent("w", model=model, tools=[wait_for], grants=grants).run_sync("wait", home=home)
    answers = [e for e in done.events() if e.kind == "effect.done"]
    assert done.status == "done"
    assert answers[0].payload["is_error"]
    assert "cannot wait" in answers[0].payload["content"][0]["text"]


def test_a_tool_says_what_it_spent(home: Path) -> None:
    @tool(effect="read", authority=[])
    def think() -> Labelled:
        return Labelled("thought", {}, Usage(10, 5, calls=2, usd=0.5))

    run = Agent("t", model=ScriptedModel([call("think"), "done"]), tools=[think]).run_sync("go", home=home)
    assert (run.usage.tokens, run.usage.usd) == (15, 0.5)


def test_a_tool_gets_its_arguments_with_their_labels(home: Path) -> None:
    seen: list[Label] = []

    @tool(effect="read", authority=[])
    def look(what: list[str], context: ToolContext) -> str:
        seen.append(context.values["what"].whole_label)
        return "ok"

    Agent("t", model=ScriptedModel([call("look", what=["a"]), "done"]), tools=[look]).run_sync("go", home=home)
    assert [label.trusted for label in seen] == [True]


@tool(effect="read", authority=[])
def look() -> str:
    """Look."""
    return "seen"


@tool(effect="irreversible", authority=["to"])
def send(to: str) -> str:
    """Send."""
    return f"sent to {to}"


def bounded(home: Path, model: ScriptedModel, bounds: Bounds, delegated: Delegated | None = None) -> tuple[Run, Agent]:
    agent = Agent("b", model=model, tools=[look, send], guard="tainted")
    start = Start(agent=agent, messages=[user("go")], limits=agent.limits, bounds=bounds, delegated=delegated)
    return run_blocking(begin(open_store(home), start, None)), agent


def test_a_bounded_run_holds_only_the_tools_that_it_was_given(home: Path) -> None:
    model = ScriptedModel([call("send", to="eve"), "done"])
    run, agent = bounded(home, model, Bounds(tools=("look",)))
    assert run.status == "done"
    assert [e.payload["cause"] for e in run.events() if e.kind == "call.refused"] == ["unknown"]
    run.send("and again")  # also when it is resumed under the whole declaration
    run.resume_sync(agent)
    assert run.state.bounds.tools == ("look",)


def test_after_its_time_a_run_neither_acts_nor_thinks(home: Path) -> None:
    run, agent = bounded(home, ScriptedModel([call("send", to="ann"), "done"]), Bounds(expires_at=time.time() + 0.5))
    assert run.status == "waiting"
    time.sleep(0.6)
    run.pending()[0].approve(by="ann")
    run.resume_sync(agent)
    assert run.status == "failed"
    assert "rights is over" in run.reason
    assert [e.kind for e in run.events() if e.kind == "effect.intended"] == []


def test_a_delegated_task_is_no_users_word(home: Path) -> None:
    label = Label(frozenset({"tool:web"}))
    grants = [Grant("send", {"to": ("ann",)})]
    told = Delegated(label=label, grants=grants, principals=("user", "agent:b", "agent:b/c"), mode="tainted")
    model = ScriptedModel([call("send", to="ann"), "done"])
    run, _ = bounded(home, model, Bounds(cause={"run": "none", "intent": 1, "index": 0}, depth=1), told)
    assert run.status == "done"  # the grant names the value
    assert run.state.label.strangers == {"tool:web", "tool:send"}
    assert run.state.guard.turns == []
    assert run.state.guard.principals == told.principals


def test_bounds_only_shrink() -> None:
    inner = Bounds(tools=("a", "b"), expires_at=50.0).within(Bounds(tools=("b", "c"), expires_at=20.0, depth=2))
    assert inner == Bounds(tools=("b",), expires_at=20.0, depth=3)
    assert Bounds().within(Bounds(tools=("a",))).tools == ("a",)
    assert Bounds.decode(inner.encode()) == inner
    with pytest.raises(DeclarationError, match="more than this Mainspring knows"):
        Bounds.decode(inner.encode() | {"hosts": []})


def test_an_enqueued_run_waits_for_a_worker(home: Path) -> None:
    agent = Agent("q", model=ScriptedModel(["done"]))
    run = agent.enqueue("go", home=home, run_id="q1", priority=3, queue="night")
    assert run.status == "waiting"
    assert open_store(home).ready(time.time(), queues=["night"]) == ["q1"]
    with pytest.raises(StoreError, match="exists already"):
        agent.enqueue("go", home=home, run_id="q1")
    assert run.resume_sync().status == "done"


def test_a_cancelled_run_takes_those_that_it_started_along(home: Path) -> None:
    calls: list[str] = []
    agent = Agent("w", model=ScriptedModel([call("wait_for", what="x"), "done"]), tools=[waiting_tool(calls, [])])
    parent = agent.run_sync("wait", home=home)
    cause = {"run": parent.id, "intent": 3, "index": 0}
    child, _ = bounded(home, ScriptedModel([call("send", to="ann")]), Bounds(cause=cause, depth=1))
    assert child.status == "waiting"
    assert [i.kind for i in open_store(home).inbox(parent.id)] == ["wake"]
    parent.cancel(by="ann")
    assert parent.status == "cancelled"
    assert [i.kind for i in open_store(home).inbox(child.id)] == ["cancel"]
