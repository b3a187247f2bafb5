"""People who cancel, pause and speak at odd moments: each is heard once, and by the right execution."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainspring import Agent, Policy, Run, ScriptedModel, ToolCallPart, points, tool
from mainspring.errors import JournalVersionError
from mainspring.store import NewEvent, open_store

SEND = ToolCallPart("", "send", {})


def sender(sent: list[str], *, policy: Policy | None = None) -> Agent:
    @tool(idempotency="key")
    async def send(key: str) -> str:
        sent.append(key)
        return "sent"

    return Agent("sender", model=ScriptedModel([SEND, "ok", "more"]), tools=[send], policy=policy)


def test_cancelling_a_finished_run_does_not_end_what_comes_later(tmp_path: Path) -> None:
    agent = Agent("x", model=ScriptedModel(["one", "two"]))
    run = agent.run_sync("go", home=tmp_path)
    run.cancel(by="ann")
    assert run.status == "done"
    run.send("and then?")
    assert run.resume_sync().output == "two"


def test_a_cancel_that_came_too_late_is_not_kept_for_later(tmp_path: Path) -> None:
    run = Agent("x", model=ScriptedModel(["one", "two"])).run_sync("go", home=tmp_path)
    open_store(tmp_path).post(run.id, "cancel", {"by": "ann", "reason": "stop"})  # it ended while she spoke
    run.send("and then?")
    assert run.resume_sync().output == "two"


def test_a_cancelled_run_goes_on_when_somebody_speaks(tmp_path: Path) -> None:
    sent: list[str] = []
    run = sender(sent).run_sync("go", home=tmp_path)
    run.cancel(by="ann")
    assert run.status == "cancelled"
    run.send("Do it after all.")
    assert run.resume_sync().status == "waiting"
    run.pending()[0].approve(by="ann")
    assert run.resume_sync().status == "done"
    assert len(sent) == 1


def test_a_pause_is_over_when_the_run_is_resumed(tmp_path: Path) -> None:
    run = sender([]).run_sync("go", home=tmp_path)
    run.pause("for lunch")
    run.pending()[0].approve(by="ann")
    assert run.resume_sync().status == "done"


def test_nothing_is_done_after_a_cancel_not_even_for_recovery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Died(BaseException):
        pass

    def hook(name: str) -> None:
        if name == "intent.committed":
            raise Died

    sent: list[str] = []
    agent = sender(sent, policy=Policy(allow=["send"]))
    monkeypatch.setattr(points, "hook", hook)
    with pytest.raises(Died):
        agent.run_sync("go", home=tmp_path, run_id="r")
    monkeypatch.setattr(points, "hook", None)
    open_store(tmp_path).post("r", "cancel", {"by": "ann", "reason": "stop"})
    run = Run.load("r", tmp_path).resume_sync(agent)
    assert (run.status, sent) == ("cancelled", [])
    assert "in doubt: send" in run.reason


def test_a_cancel_while_the_run_lets_go_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hook(name: str) -> None:
        if name == "approval.before_request":  # it has looked into its inbox, and is about to wait
            monkeypatch.setattr(points, "hook", None)
            Run.load("r", tmp_path).cancel(by="ann")

    monkeypatch.setattr(points, "hook", hook)
    assert sender([]).run_sync("go", home=tmp_path, run_id="r").status == "cancelled"


def test_a_word_while_the_run_lets_go_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hook(name: str) -> None:
        if name == "approval.before_request":
            monkeypatch.setattr(points, "hook", None)
            Run.load("r", tmp_path).send("Take care.", by="ann")

    monkeypatch.setattr(points, "hook", hook)
    run = sender([]).run_sync("go", home=tmp_path, run_id="r")
    assert run.status == "waiting"
    assert any(e.kind == "message.added" for e in run.events())


def test_a_journal_that_cannot_be_read_is_not_held(tmp_path: Path) -> None:
    run = Agent("x", model=ScriptedModel([KeyError("no")])).run_sync("go", home=tmp_path)
    store = open_store(tmp_path)
    lease = store.acquire(run.id)
    store.append(lease, [NewEvent("run.teleported", {})]).done.result()
    store.release(lease)
    for _ in range(2):
        with pytest.raises(JournalVersionError, match="update Mainspring"):
            run.resume_sync()
    assert not store.row(run.id).alive
