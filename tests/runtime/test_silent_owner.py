"""A run taken over from a process that only fell silent: what it had begun may still be on its way."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mainspring import Agent, DidNotHappen, Run, ScriptedModel, ToolContext, points, tool
from mainspring.guard import Grant
from mainspring.messages import ToolCallPart
from mainspring.store import Lease, SQLiteStore, open_store


class Killed(BaseException):
    """Stands for the end of the process."""


def begun(home: Path, agent: Agent) -> Run:
    """A run whose process died between the intent and the act."""

    def die(name: str) -> None:
        if name == "effect.before_act":
            raise Killed

    points.hook = die
    try:
        with pytest.raises(Killed):
            agent.run_sync("go", home=home, run_id="r")
    finally:
        points.hook = None
    return Run.load("r", home)


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every lease is one whose owner before was only silent, as where processes cannot see each other."""
    acquire: Callable[[SQLiteStore, str], Lease] = SQLiteStore.acquire

    def unseen(self: SQLiteStore, run_id: str) -> Lease:
        lease = acquire(self, run_id)
        lease.unseen = True
        return lease

    monkeypatch.setattr(SQLiteStore, "acquire", unseen)


def orders(happened: list[str], asked: list[float], **more: Any) -> Agent:
    def did_it(item: str) -> DidNotHappen:
        asked.append(time.time())
        return DidNotHappen()

    if more.pop("asks", True):
        more["reconcile"] = did_it

    @tool(effect="irreversible", authority=["item"], **more)
    def order(item: str, context: ToolContext) -> str:
        """Order."""
        assert context.holds()
        happened.append(item)
        return "ordered"

    grants = [Grant("order", {"item": ("tea",)})]
    model = ScriptedModel([ToolCallPart("c", "order", {"item": "tea"}), "done"])
    return Agent("o", model=model, tools=[order], grants=grants, guard="tainted")


@pytest.mark.usefixtures("silent")
def test_the_service_is_asked_when_the_begun_call_must_be_over(home: Path) -> None:
    happened: list[str] = []
    asked: list[float] = []
    agent = orders(happened, asked, timeout_s=2)
    run = begun(home, agent)
    began = time.time()
    run.resume_sync(agent)
    assert (run.status, asked, happened) == ("waiting", [], [])
    assert "may be under way" in run.reason
    wake_at = open_store(home).row("r").wake_at
    assert wake_at is not None
    assert began < wake_at < began + 4
    open_store(home).post("r", "wake", {})
    run.resume_sync(agent)
    assert (run.status, asked) == ("waiting", [])
    time.sleep(max(0.0, wake_at - time.time()) + 0.05)
    run.resume_sync(agent)
    assert run.status == "done"
    assert len(asked) == 1
    assert happened == ["tea"]


@pytest.mark.usefixtures("silent")
def test_a_person_is_asked_when_the_begun_call_must_be_over(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainspring.runtime.effects.UNSEEN_S", -0.5)
    agent = orders([], [], asks=False)
    run = begun(home, agent)
    run.resume_sync(agent)
    assert run.status == "waiting"
    time.sleep(1.1)
    run.resume_sync(agent)
    assert run.status == "in_doubt"


def test_an_owner_that_is_seen_to_be_dead_is_not_waited_for(home: Path) -> None:
    happened: list[str] = []
    asked: list[float] = []
    agent = orders(happened, asked, timeout_s=60)
    run = begun(home, agent)
    run.resume_sync(agent)
    assert run.status == "done"
    assert len(asked) == 1
    assert happened == ["tea"]


@pytest.mark.usefixtures("silent")
def test_a_second_attempt_of_a_silent_owner_has_as_long_as_the_first(home: Path) -> None:
    happened: list[str] = []
    asked: list[float] = []
    agent = orders(happened, asked, timeout_s=1)
    run = begun(home, agent)
    run.resume_sync(agent)
    time.sleep(2.2)  # the first attempt is over; whoever takes the run begins the second, and falls silent too

    def die(name: str) -> None:
        if name == "effect.before_act":
            raise Killed

    points.hook = die
    try:
        with pytest.raises(Killed):
            run.resume_sync(agent)
    finally:
        points.hook = None
    assert (len(asked), happened) == (1, [])
    run.resume_sync(agent)
    assert (run.status, len(asked)) == ("waiting", 1)  # the second may be under way: to ask now would prove nothing
    assert "may be under way" in run.reason
    time.sleep(2.2)
    run.resume_sync(agent)
    assert (run.status, len(asked), happened) == ("done", 2, ["tea"])


@pytest.mark.usefixtures("silent")
def test_a_call_whose_owners_always_fall_silent_is_parked_at_last(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainspring.runtime.effects.GRACE_S", 0.05)
    agent = orders([], [], timeout_s=0.05)
    run = begun(home, agent)

    def die(name: str) -> None:
        if name == "effect.before_act":
            raise Killed

    for _ in range(30):
        points.hook = die
        try:
            run.resume_sync(agent)
        except Killed:
            pass
        finally:
            points.hook = None
        if run.status == "in_doubt":
            break
        time.sleep(0.11)
    assert run.status == "in_doubt"
    assert "died 5 times" in run.reason


@pytest.mark.usefixtures("silent")
def test_cancelled_while_a_silent_owner_may_be_at_it_says_so(home: Path) -> None:
    agent = orders([], [], timeout_s=60)
    run = begun(home, agent)
    run.resume_sync(agent)
    assert run.status == "waiting"
    run.cancel(by="ann")
    assert run.status == "cancelled"
    assert "in doubt: order" in run.reason
