"""When a call ends: policies, the ones left over, stragglers, and what never ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from swarmkit import Says, answer, lead, outputs

from mainspring import Agent, Message, Run, ScriptedModel, tool
from mainspring.label import Label
from mainspring.messages import ToolCallPart, Usage, assistant
from mainspring.store import open_store
from mainspring.swarm import Ended
from mainspring.swarm.joins import over, result, votes


def slow(task: str) -> float:
    return 30.0 if task.startswith("slow") else 0.0


def statuses(run: Run, home: Path) -> dict[str, str]:
    return {r.id.rpartition(".")[2]: r.status for r in open_store(home).children(run.id)}


def test_the_first_good_answer_ends_the_rest(home: Path) -> None:
    worker = Agent("worker", model=Says(str.upper, pause=slow))
    run = lead(["slow a", "b", "slow c"], worker, join="first").run_sync("go", home=home)
    assert outputs(run) == ["B"]
    assert statuses(run, home) == {"0": "cancelled", "1": "done", "2": "cancelled"}
    assert "missing" not in answer(run)


def test_what_has_not_begun_is_never_begun(home: Path) -> None:
    worker = Agent("worker", model=Says(str.upper))
    run = lead(["a"] * 20, worker, join="first", concurrency=1).run_sync("go", home=home)
    assert outputs(run) == ["A"]
    assert len(open_store(home).children(run.id)) == 1


def test_k_of_n(home: Path) -> None:
    worker = Agent("worker", model=Says(str.upper, pause=slow))
    run = lead(["a", "slow b", "c"], worker, join="k", k=2).run_sync("go", home=home)
    assert outputs(run) == ["A", "C"]


def test_k_that_cannot_be_reached_any_more_ends_at_once(home: Path) -> None:
    def say(task: str) -> str:
        if task != "good":
            raise ValueError("broken")
        return "well"

    worker = Agent("worker", model=Says(say, pause=slow), model_retries=1)
    found = answer(lead(["bad", "bad", "slow"], worker, join="k", k=2).run_sync("go", home=home))
    assert found["satisfied"] is False
    assert found["answers"] == []
    assert [m["status"] for m in found["missing"]] == ["failed", "failed", "cancelled"]


def test_until_one_is_verified(home: Path) -> None:
    seen: list[str] = []

    async def check(output: object, run: Run) -> str | None:
        seen.append(str(output))
        await asyncio.sleep(0)
        return None if output == "RIGHT" else "that is wrong"

    worker = Agent("worker", model=Says(str.upper))
    run = lead(["wrong", "right", "late"], worker, join="verified", check=check, concurrency=1).run_sync(
        "go", home=home
    )
    assert outputs(run) == ["RIGHT"]
    assert seen == ["WRONG", "RIGHT"]


def test_a_check_that_fails_accepts_nothing(home: Path) -> None:
    def check(output: object, run: Run) -> str | None:
        raise RuntimeError("oops")

    worker = Agent("worker", model=Says(str.upper))
    found = answer(lead(["a"], worker, check=check).run_sync("go", home=home))
    assert found["answers"] == []
    assert "oops" in found["missing"][0]["why"]


def test_the_most_frequent_answer_wins_as_soon_as_none_can_overtake_it(home: Path) -> None:
    said = {"1": "Paris", "2": " paris ", "3": "Rome", "4": "PARIS", "slow 5": "Rome"}
    worker = Agent("worker", model=Says(lambda t: said[t], pause=slow))
    found = answer(lead(list(said), worker, join="vote").run_sync("go", home=home))
    assert found["votes"] == 3
    assert found["answers"][0]["answer"].casefold() == "paris"


def test_typed_votes_are_equal_by_value() -> None:
    good = [Ended(n, f"r{n}", "done", {"a": 1, "b": n % 2 or 1}, at=n) for n in range(3)]
    assert [(count, found.index) for count, found in votes(good)] == [(3, 0)]


@pytest.mark.parametrize(
    ("join", "k", "good", "to_come", "is_over"),
    [
        ("all", 1, 5, 1, False),
        ("all", 1, 5, 0, True),
        ("first", 1, 0, 3, False),
        ("first", 1, 1, 3, True),
        ("k", 3, 2, 1, False),
        ("k", 3, 1, 1, True),
        ("vote", 1, 2, 2, False),  # two could still draw level
        ("vote", 1, 3, 2, True),
    ],
)
def test_over(join: object, k: int, good: int, to_come: int, is_over: bool) -> None:
    answers = [Ended(n, f"r{n}", "done", "same") for n in range(good)]
    assert over(join, k, answers, to_come) is is_over  # type: ignore[arg-type]


def test_a_choice_carries_the_labels_of_everybody_who_might_have_been_chosen() -> None:
    labels = [Label(frozenset({"tool:a"})), Label(frozenset({"tool:b"}))]
    ends = [Ended(n, f"r{n}", "done", "x", label=label, at=n) for n, label in enumerate(labels)]
    assert result("vote", 1, 2, ends, Usage(), "r").label.strangers == {"tool:a", "tool:b"}
    assert result("all", 1, 2, ends, Usage(), "r").label.strangers == set()


def test_a_child_that_never_ends_is_given_up_and_the_others_count(home: Path) -> None:
    worker = Agent("worker", model=Says(str.upper, pause=slow))
    began = time.monotonic()
    run = lead(["a", "slow b"], worker, timeout_s=0.5, duplicates=False).run_sync("go", home=home)
    assert time.monotonic() - began < 25
    found = answer(run)
    assert [a["answer"] for a in found["answers"]] == ["A"]
    assert found["missing"][0]["status"] == "cancelled"
    assert "longer than 0.5 s" in found["missing"][0]["why"]
    assert statuses(run, home) == {"0": "done", "1": "cancelled"}


def test_a_straggler_gets_one_duplicate_and_the_first_answer_wins(home: Path) -> None:
    calls: list[str] = []

    def once_slow(task: str) -> float:
        calls.append(task)
        return 30.0 if task == "s" and calls.count("s") == 1 else 0.01

    model = Says(str.upper, pause=once_slow, usd=1.0)
    run = lead(["a", "b", "c", "s"], Agent("worker", model=model)).run_sync("go", home=home)
    assert outputs(run) == ["A", "B", "C", "S"]
    assert statuses(run, home) == {"0": "done", "1": "done", "2": "done", "3": "cancelled", "3~2": "done"}
    assert calls.count("s") == 2
    assert run.usage.usd == pytest.approx(4.0)  # the first one's call was interrupted before it cost anything


def test_nobody_who_can_change_something_is_duplicated(home: Path) -> None:
    @tool(effect="write", undoable=True, authority=())
    def save(text: str) -> str:
        return "saved"

    worker = Agent("worker", model=Says(str.upper, pause=lambda t: 4.0 if t == "s" else 0.01), tools=[save])
    run = lead(["a", "b", "c", "s"], worker, tools=[save]).run_sync("go", home=home)
    assert outputs(run) == ["A", "B", "C", "S"]
    assert set(statuses(run, home)) == {"0", "1", "2", "3"}


def test_cancelling_the_creator_ends_its_children(home: Path) -> None:
    worker = Agent("worker", model=Says(str.upper, pause=slow))
    agent = lead(["a", "slow b", "slow c"], worker)

    async def main() -> Run:
        running = asyncio.create_task(agent.run("go", home=home, run_id="r"))
        while not [r for r in open_store(home).children("r") if r.status == "done"]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        open_store(home).post("r", "cancel", {"by": "ann", "reason": "enough"})
        return await running

    run = asyncio.run(main())
    assert run.status == "cancelled"
    assert statuses(run, home) == {"0": "done", "1": "cancelled", "2": "cancelled"}


def test_pausing_the_creator_pauses_them_and_resuming_goes_on(home: Path) -> None:
    times: list[str] = []

    def first_slow(task: str) -> float:
        times.append(task)
        return 30.0 if times.count(task) == 1 and task == "b" else 0.0

    worker = Agent("worker", model=Says(str.upper, pause=first_slow))
    agent = lead(["a", "b"], worker)

    async def main() -> Run:
        running = asyncio.create_task(agent.run("go", home=home, run_id="r"))
        while len(times) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        Run.load("r", home=home).pause("later")
        return await running

    run = asyncio.run(main())
    assert (run.status, statuses(run, home)["1"]) == ("waiting", "waiting")
    run.resume_sync(agent)
    assert run.status == "done"
    assert outputs(run) == ["A", "B"]
    assert times == ["a", "b", "b"]


def test_interrupting_the_program_lets_everything_go_and_resuming_goes_on(home: Path) -> None:
    times: list[str] = []

    def first_slow(task: str) -> float:
        times.append(task)
        return 30.0 if times.count(task) == 1 and task == "b" else 0.0

    worker = Agent("worker", model=Says(str.upper, pause=first_slow))
    agent = lead(["a", "b"], worker)

    async def main() -> None:
        running = asyncio.create_task(agent.run("go", home=home, run_id="r"))
        while len(times) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())
    run = Run.load("r", home=home)
    assert run.status == "waiting"
    run.resume_sync(agent)
    assert outputs(run) == ["A", "B"]


@tool(effect="irreversible", authority=["to"])
def send(to: str) -> str:
    """Send."""
    return f"sent to {to}"


def asking() -> Agent:
    """An agent that sends when its task says "ask"."""

    def first(messages: Sequence[Message]) -> Message | str:
        ask = "ask" in next(m.text for m in messages if m.role == "user")
        return assistant("", ToolCallPart("s", "send", {"to": "ann"})) if ask else "plain"

    return Agent("worker", model=ScriptedModel([first, "sent"]), tools=[send], guard="tainted")


def test_a_child_that_waits_for_a_person_lets_its_creator_sleep(home: Path) -> None:
    worker = asking()
    agent = lead(["ask first", "plain"], worker, tools=[send])
    run = agent.run_sync("go", home=home)
    assert run.status == "waiting"
    child = next(r.id for r in open_store(home).children(run.id) if r.status == "waiting")
    assert child in run.reason
    assert "approval of send" in run.reason
    assert open_store(home).row(run.id).wake_at is not None
    run.resume_sync(agent)  # nobody has answered
    assert run.status == "waiting"
    (question,) = Run.load(child, home=home).pending()
    question.approve(by="ann")
    run.resume_sync(agent)
    assert run.status == "done"
    assert outputs(run) == ["sent", "plain"]
