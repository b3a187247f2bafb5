"""The effect protocol in one process: approvals, doubts, settlement by class, timeouts, cancel, pause."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from mainspring import (
    Agent,
    DidNotHappen,
    Happened,
    ImagePart,
    Policy,
    Run,
    ScriptedModel,
    ToolCallPart,
    ToolContext,
    Unknown,
    points,
    tool,
)
from mainspring.errors import ApprovalError, RunBusyError
from mainspring.runtime import Pending
from mainspring.store import open_store


class Died(BaseException):
    """Stands for the end of the process: nothing of ours may catch it."""


def call(name: str, /, **arguments: Any) -> ToolCallPart:
    return ToolCallPart("", name, arguments)


def kinds(run: Run) -> list[str]:
    return [e.kind for e in run.events()]


def die_at(monkeypatch: pytest.MonkeyPatch, name: str, occurrence: int = 1) -> None:
    count = 0

    def hook(reached: str) -> None:
        nonlocal count
        count += reached == name
        if reached == name and count == occurrence:
            raise Died(name)

    monkeypatch.setattr(points, "hook", hook)


def crash(agent: Agent, home: Path, monkeypatch: pytest.MonkeyPatch, at: str) -> Run:
    """Run until the point `at`, then let everything in memory go, as a killed process does."""
    die_at(monkeypatch, at)
    with pytest.raises(Died):
        agent.run_sync("go", home=home, run_id="r")
    monkeypatch.setattr(points, "hook", None)
    return Run.load("r", home)


def test_an_approval_lets_exactly_one_execution_through(tmp_path: Path) -> None:
    sent: list[str] = []

    @tool
    def send(to: str) -> str:
        sent.append(to)
        return "sent"

    script = [call("send", to="bob"), call("send", to="bob"), "ok"]
    run = Agent("x", model=ScriptedModel(script), tools=[send]).run_sync("go", home=tmp_path)
    assert (run.status, sent) == ("waiting", [])
    (pending,) = run.pending()
    assert pending.arguments == {"to": "bob"}
    pending.approve(by="ann", reason="fine")
    assert run.pending() == []
    run.resume_sync()
    assert sent == ["bob"]
    assert run.status == "waiting"  # the second, equal call asks again
    with pytest.raises(ApprovalError, match="used already"):
        open_store(tmp_path).answer(pending.id, "approved", by="eve")
    assert open_store(tmp_path).approval(pending.id).state == "used"
    run.pending()[0].deny(by="bob", reason="once is enough")
    run.resume_sync()
    assert (run.status, sent) == ("done", ["bob"])
    assert any("once is enough" in p.text for m in run.model_messages() for p in m.parts if hasattr(p, "call_id"))
    assert run.replay().identical


def test_resuming_without_news_changes_nothing(tmp_path: Path) -> None:
    @tool
    def send(to: str) -> str:
        return "sent"

    run = Agent("x", model=ScriptedModel([call("send", to="b"), "ok"]), tools=[send]).run_sync("go", home=tmp_path)
    before = len(run.events())
    for _ in range(3):
        assert run.resume_sync().status == "waiting"
    assert len(run.events()) == before


def test_an_expired_approval_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mainspring.runtime import gate

    sent: list[str] = []

    @tool
    def send(to: str) -> str:
        sent.append(to)
        return "sent"

    monkeypatch.setattr(gate, "APPROVAL_TTL_S", 1.2)
    run = Agent("x", model=ScriptedModel([call("send", to="b"), "ok"]), tools=[send]).run_sync("go", home=tmp_path)
    (old,) = run.pending()
    old.approve(by="ann")
    time.sleep(1.3)
    run.resume_sync()
    assert sent == []
    (new,) = run.pending()
    assert new.id != old.id
    monkeypatch.setattr(gate, "APPROVAL_TTL_S", 60.0)
    with pytest.raises(ApprovalError):
        old.approve(by="ann")
    time.sleep(1.3)
    with pytest.raises(ApprovalError, match="expired"):
        new.approve(by="ann")
    run.resume_sync()
    run.pending()[0].approve(by="ann")
    assert run.resume_sync().status == "done"
    assert sent == ["b"]


@pytest.mark.parametrize("by", ["", "  "])
def test_nobody_cannot_approve(tmp_path: Path, by: str) -> None:
    @tool
    def send() -> str:
        return "sent"

    run = Agent("x", model=ScriptedModel([call("send"), "ok"]), tools=[send]).run_sync("go", home=tmp_path)
    with pytest.raises(ApprovalError, match="who decides"):
        run.pending()[0].approve(by=by)
    with pytest.raises(ApprovalError, match="approve or deny"):
        run.pending()[0].settle("happened", by="ann")
    with pytest.raises(ApprovalError, match="no approval"):
        Pending.load("ap_unknown", tmp_path)


def test_a_read_is_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []

    @tool(effect="read")
    async def look() -> str:
        done.append(1)
        return "seen"

    agent = Agent("x", model=ScriptedModel([call("look"), "ok"]), tools=[look])
    run = crash(agent, tmp_path, monkeypatch, "outcome.before_commit")
    assert run.resume_sync(agent).status == "done"
    assert len(done) == 2
    assert "effect.retried" in kinds(run)
    assert run.replay().identical


def test_a_keyed_call_is_repeated_under_the_same_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys: list[str] = []

    @tool(idempotency="key")
    async def pay(to: str, key: str) -> str:
        keys.append(key)
        return "paid"

    script = [call("pay", to="b"), call("pay", to="b"), "ok"]
    agent = Agent("x", model=ScriptedModel(script), tools=[pay], policy=Policy(allow=["pay"]))
    run = crash(agent, tmp_path, monkeypatch, "effect.acted")
    assert run.resume_sync(agent).status == "done"
    assert len(keys) == 3
    assert keys[0] == keys[1] != keys[2]


def test_an_old_key_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys: list[str] = []

    @tool(idempotency="key", key_ttl_s=0.05)
    async def pay(key: str) -> str:
        keys.append(key)
        return "paid"

    agent = Agent("x", model=ScriptedModel([call("pay"), "ok"]), tools=[pay], policy=Policy(allow=["pay"]))
    run = crash(agent, tmp_path, monkeypatch, "effect.acted")
    time.sleep(0.1)
    assert run.resume_sync(agent).status == "in_doubt"
    assert len(keys) == 1


@pytest.mark.parametrize(
    ("answer", "status", "calls"),
    [(Happened("it is there"), "done", 1), (DidNotHappen(), "done", 2), (Unknown("no idea"), "in_doubt", 1)],
)
def test_reconcile_settles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: object, status: str, calls: int
) -> None:
    made: list[str] = []
    asked: list[ToolContext] = []

    def reconcile(name: str, context: ToolContext) -> object:
        asked.append(context)
        return answer

    def prepare(name: str) -> dict[str, str]:
        return {"before": name}

    @tool(effect="write", undoable=True, reconcile=reconcile, prepare=prepare)
    async def put(name: str, context: ToolContext) -> str:
        made.append(context.key)
        assert context.prepared == {"before": name}
        return "put"

    agent = Agent("x", model=ScriptedModel([call("put", name="n"), "ok"]), tools=[put])
    run = crash(agent, tmp_path, monkeypatch, "effect.acted")
    assert run.resume_sync(agent).status == status
    assert len(made) == calls
    assert asked[0].prepared == {"before": "n"}
    assert asked[0].key == made[0]
    if status == "in_doubt":
        assert run.pending()[0].reason == "no idea"


def test_a_reconcile_that_raises_parks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def reconcile() -> object:
        raise OSError("service is down")

    @tool(effect="write", undoable=True, reconcile=reconcile)
    async def put() -> str:
        return "put"

    agent = Agent("x", model=ScriptedModel([call("put"), "ok"]), tools=[put])
    run = crash(agent, tmp_path, monkeypatch, "effect.acted")
    assert run.resume_sync(agent).status == "in_doubt"
    assert "service is down" in run.pending()[0].reason


@pytest.mark.parametrize(
    ("answer", "calls", "said"),
    [("happened", 1, "the money is gone"), ("did_not", 2, "paid"), ("abort", 1, "Do not repeat")],
)
def test_an_opaque_call_waits_for_a_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Any, calls: int, said: str
) -> None:
    made: list[int] = []

    @tool
    async def pay() -> str:
        made.append(1)
        return "paid"

    agent = Agent("x", model=ScriptedModel([call("pay"), "ok"]), tools=[pay], policy=Policy(allow=["pay"]))
    run = crash(agent, tmp_path, monkeypatch, "effect.acted")
    assert run.status == "interrupted"
    assert run.resume_sync(agent).status == "in_doubt"
    assert len(made) == 1
    (doubt,) = Pending.list(tmp_path)
    assert doubt.kind == "doubt"
    with pytest.raises(ApprovalError, match="settle it"):
        doubt.approve(by="ann")
    doubt.settle(answer, by="ann", value="the money is gone" if answer == "happened" else None)
    assert run.pending() == []
    assert run.resume_sync(agent).status == "done"
    assert len(made) == calls
    result = next(m for m in run.model_messages() if m.role == "tool").parts[0]
    assert said in result.text
    assert kinds(run).count("effect.intended") == 1  # the same intent, the same key, the same approval
    assert run.replay().identical


def test_before_the_intent_nothing_is_in_doubt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    @tool
    async def pay() -> str:
        made.append(1)
        return "paid"

    agent = Agent("x", model=ScriptedModel([call("pay"), "ok"]), tools=[pay], policy=Policy(allow=["pay"]))
    run = crash(agent, tmp_path, monkeypatch, "intent.before_commit")
    assert run.resume_sync(agent).status == "done"
    assert made == [1]
    lost = next(e for e in run.events() if e.kind == "model.failed")
    assert "may have been charged" in lost.payload["error"]


def test_a_tool_that_kills_its_process_each_time_is_parked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @tool(effect="read")
    async def bomb() -> str:
        raise Died

    agent = Agent("x", model=ScriptedModel([call("bomb"), "ok"]), tools=[bomb])
    with pytest.raises(Died):
        agent.run_sync("go", home=tmp_path, run_id="r")
    run = Run.load("r", tmp_path)
    for _ in range(4):
        with pytest.raises(Died):
            run.resume_sync(agent)
    assert run.resume_sync(agent).status == "in_doubt"
    assert "died 5 times" in run.pending()[0].reason


def test_a_tool_that_is_gone_parks_its_open_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @tool(effect="read")
    async def look() -> str:
        return "seen"

    run = crash(
        Agent("x", model=ScriptedModel([call("look"), "ok"]), tools=[look]), tmp_path, monkeypatch, "effect.acted"
    )
    without = Agent("x", model=ScriptedModel([call("look"), "ok"]))
    assert run.resume_sync(without).status == "in_doubt"


def test_an_approved_call_of_a_tool_that_is_gone_is_refused(tmp_path: Path) -> None:
    @tool
    def send() -> str:
        return "sent"

    model = ScriptedModel([call("send"), "ok"])
    run = Agent("x", model=model, tools=[send]).run_sync("go", home=tmp_path)
    (pending,) = run.pending()
    pending.approve(by="ann")
    assert run.resume_sync(Agent("x", model=model)).status == "done"
    assert next(e for e in run.events() if e.kind == "call.refused").payload["cause"] == "unknown"
    assert open_store(tmp_path).approval(pending.id).state == "expired"


def test_a_call_to_be_repeated_of_a_tool_that_is_gone_stays_in_doubt(tmp_path: Path) -> None:
    @tool(timeout_s=0.05)
    async def send() -> str:
        await asyncio.sleep(30)
        return "sent"

    model = ScriptedModel([call("send"), "ok"])
    run = Agent("x", model=model, tools=[send], policy=Policy(allow=["*"])).run_sync("go", home=tmp_path)
    run.pending()[0].settle("did_not", by="ann")
    assert run.resume_sync(Agent("x", model=model)).status == "in_doubt"
    assert "not declare" in run.pending()[0].reason


def test_what_a_preparation_says_carries_its_tools_label(tmp_path: Path) -> None:
    def prepare() -> None:
        raise ValueError("words from a file")

    @tool(effect="read", prepare=prepare)
    def look() -> str:
        return "seen"

    run = Agent("x", model=ScriptedModel([call("look"), "ok"]), tools=[look]).run_sync("go", home=tmp_path)
    assert "tool:look" in run.state.label.sources


def test_what_was_prepared_is_the_same_before_and_after_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    @tool(effect="read", prepare=lambda: {1: ("a", "b")})
    async def look(context: ToolContext) -> str:
        seen.append(context.prepared)
        return "seen"

    agent = Agent("x", model=ScriptedModel([call("look"), "ok"]), tools=[look])
    crash(agent, tmp_path, monkeypatch, "effect.acted").resume_sync(agent)
    assert seen == [{"1": ["a", "b"]}, {"1": ["a", "b"]}]


def test_a_tool_that_turned_irreversible_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    async def act() -> str:
        made.append(1)
        return "x"

    first = Agent("x", model=ScriptedModel([call("act"), "ok"]), tools=[tool(effect="read")(act)])
    run = crash(first, tmp_path, monkeypatch, "effect.acted")
    second = Agent("x", model=ScriptedModel([call("act"), "ok"]), tools=[tool(act)], policy=Policy(allow=["act"]))
    assert run.resume_sync(second).status == "in_doubt"
    assert made == [1]


@pytest.mark.parametrize("is_async", [True, False])
def test_a_call_that_hangs(tmp_path: Path, is_async: bool) -> None:
    def block() -> str:
        time.sleep(0.5)
        return "late"

    async def wait() -> str:
        await asyncio.sleep(30)
        return "late"

    function = wait if is_async else block
    name = function.__name__
    read = tool(effect="read", timeout_s=0.1)(function)
    run = Agent("x", model=ScriptedModel([call(name), "ok"]), tools=[read]).run_sync("go", home=tmp_path)
    done = next(e for e in run.events() if e.kind == "effect.done").payload
    assert done["is_error"]
    assert "no answer within 0.1 s" in done["content"][0]["text"]

    send = tool(timeout_s=0.1)(function)
    agent = Agent("y", model=ScriptedModel([call(name), "ok"]), tools=[send], policy=Policy(allow=["*"]))
    run = agent.run_sync("go", home=tmp_path)
    assert run.status == "in_doubt"
    assert "may have taken effect" in run.pending()[0].reason


def test_cancel_while_waiting_and_while_running(tmp_path: Path) -> None:
    @tool
    def send() -> str:
        return "sent"

    run = Agent("x", model=ScriptedModel([call("send"), "ok"]), tools=[send]).run_sync("go", home=tmp_path)
    (pending,) = run.pending()
    run.cancel(by="ann", reason="changed my mind")
    assert run.status == "cancelled"
    assert "changed my mind" in run.reason
    with pytest.raises(ApprovalError):
        pending.approve(by="ann")
    assert run.resume_sync().status == "cancelled"

    class Slow:
        name = "slow"

        async def respond(self, messages: Any, tools: Any, settings: Any) -> Any:
            Run.list(tmp_path)[0].cancel(by="bob", reason="too slow")
            await asyncio.sleep(60)

    began = time.monotonic()
    run = Agent("y", model=Slow()).run_sync("go", home=tmp_path)
    assert run.status == "cancelled"
    assert time.monotonic() - began < 30  # far from the model's minute, with room for a busy machine


def test_pause_and_resume(tmp_path: Path) -> None:
    @tool(effect="read")
    def look() -> str:
        Run.list(tmp_path)[0].pause("lunch")
        return "seen"

    agent = Agent("x", model=ScriptedModel([call("look"), "ok"]), tools=[look])
    run = agent.run_sync("go", home=tmp_path)
    assert (run.status, run.reason) == ("waiting", "lunch")
    assert "effect.done" in kinds(run)  # the effect under way was finished
    assert run.resume_sync().status == "done"


def test_a_run_that_is_executed_cannot_be_resumed_beside(tmp_path: Path) -> None:
    seen: list[BaseException] = []

    @tool(effect="read")
    async def look() -> str:
        try:
            await Run.list(tmp_path)[0].resume()
        except RunBusyError as error:
            seen.append(error)
        return "x"

    run = Agent("x", model=ScriptedModel([call("look"), "ok"]), tools=[look]).run_sync("go", home=tmp_path)
    assert run.status == "done"
    assert len(seen) == 1


def test_fork_keeps_history_and_repeats_nothing(tmp_path: Path) -> None:
    made: list[str] = []

    @tool(idempotency="key")
    async def act(n: int, key: str) -> str:
        made.append(key)
        return str(n)

    script = [call("act", n=1), call("act", n=2), "end"]
    agent = Agent("x", model=ScriptedModel(script), tools=[act], policy=Policy(allow=["act"]))
    run = agent.run_sync("go", home=tmp_path)
    fork = run.fork(1)
    assert fork.status == "waiting"
    assert fork.resume_sync(agent).status == "done"
    assert len(made) == 3
    assert len(set(made)) == 3  # the fork's effects have keys of their own
    assert fork.replay().identical
    assert fork.verify()
    with pytest.raises(Exception, match="cannot be forked"):
        run.fork(17)


def test_export_and_import_move_a_waiting_run(tmp_path: Path) -> None:
    @tool
    def send() -> str:
        return "sent"

    agent = Agent("x", model=ScriptedModel([call("send"), "ok"]), tools=[send])
    run = agent.run_sync("go", home=tmp_path / "a")
    run.export(tmp_path / "run.jsonl")
    moved = Run.import_(tmp_path / "run.jsonl", tmp_path / "b")
    assert moved.id == run.id
    moved.pending()[0].approve(by="ann")
    assert moved.resume_sync(agent).status == "done"
    assert moved.replay().identical


def test_an_approval_is_not_used_in_two_homes(tmp_path: Path) -> None:
    sent: list[str] = []

    @tool
    def send() -> str:
        sent.append("x")
        return "sent"

    agent = Agent("x", model=ScriptedModel([call("send"), "ok"]), tools=[send])
    run = agent.run_sync("go", home=tmp_path / "a")
    run.pending()[0].approve(by="ann")
    run.export(tmp_path / "run.jsonl")
    moved = Run.import_(tmp_path / "run.jsonl", tmp_path / "b")
    assert run.resume_sync(agent).status == "done"
    assert moved.resume_sync(agent).status == "waiting"  # it asks again
    assert len(sent) == 1
    moved.pending()[0].approve(by="ann")
    assert moved.resume_sync(agent).status == "done"


def test_a_tool_of_the_users_that_is_called_note_is_only_that(tmp_path: Path) -> None:
    @tool(effect="read")
    def note(kind: str, text: str) -> str:
        return "theirs"

    script = [call("note", kind="todo", text="x"), "ok"]
    run = Agent("x", model=ScriptedModel(script), tools=[note]).run_sync("go", home=tmp_path)
    assert run.state.notes == []


def test_a_picture_too_large_to_keep_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mainspring.runtime import outcome

    monkeypatch.setattr(outcome, "MAX_MEDIA_BYTES", 1_000)

    @tool(effect="read")
    def shoot() -> ImagePart:
        return ImagePart(b"x" * 1001)

    run = Agent("x", model=ScriptedModel([call("shoot"), "ok"]), tools=[shoot]).run_sync("go", home=tmp_path)
    done = next(e for e in run.events() if e.kind == "effect.done")
    assert "1,001 bytes: too large to keep" in done.payload["content"][0]["text"]
