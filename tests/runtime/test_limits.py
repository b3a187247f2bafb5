"""Limits, the orderly finish, and the breaker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mainspring import Agent, ScriptedModel, ToolCallPart, Usage, tool
from mainspring.errors import DeclarationError
from mainspring.messages import assistant


def call(name: str, /, **arguments: Any) -> ToolCallPart:
    return ToolCallPart("", name, arguments)


@tool(effect="read")
def look(n: int) -> str:
    """Look."""
    return f"nothing at {n}"


def looker(until: int, usage: Usage | None = None) -> ScriptedModel:
    return ScriptedModel([assistant("", call("look", n=i), usage=usage) for i in range(until)] + ["the end"])


def test_steps_end_in_order(tmp_path: Path) -> None:
    run = Agent("x", model=looker(50), tools=[look], limits={"steps": 10}).run_sync("go", home=tmp_path)
    assert run.status == "failed"
    assert "limit steps" in run.reason
    assert run.steps == 10
    warned = [e.payload["limit"] for e in run.events() if e.kind == "limit.warned"]
    assert warned == ["steps", "steps:last"]
    assert any("last step" in m.text for m in run.model_messages())
    refused = [e.payload["cause"] for e in run.events() if e.kind == "call.refused"]
    assert refused == ["limit"]


def test_a_run_at_its_limit_goes_on_with_a_new_one(tmp_path: Path) -> None:
    agent = Agent("x", model=looker(12), tools=[look], limits={"steps": 5})
    run = agent.run_sync("go", home=tmp_path)
    assert run.status == "failed"
    run.resume_sync(limits={"steps": 100})
    assert (run.status, run.output) == ("done", "the end")


def test_one_step_is_enough_for_one_answer(tmp_path: Path) -> None:
    run = Agent("x", model=ScriptedModel(["yes"]), limits={"steps": 1}).run_sync("?", home=tmp_path)
    assert (run.status, run.output) == ("done", "yes")


@pytest.mark.parametrize(
    ("limits", "usage", "name"),
    [
        ({"usd": 1.0}, Usage(10, 10, calls=1, usd=0.3), "usd"),
        ({"tokens": 1000}, Usage(200, 50, calls=1, usd=0.0), "tokens"),
    ],
)
def test_money_and_tokens_are_hard_caps(tmp_path: Path, limits: dict[str, float], usage: Usage, name: str) -> None:
    run = Agent("x", model=looker(50, usage), tools=[look], limits=limits).run_sync("go", home=tmp_path)
    assert run.status == "failed"
    assert f"limit {name}" in run.reason
    assert run.steps <= 4


def test_an_unknown_price_counts_as_nothing_and_is_reported(tmp_path: Path) -> None:
    run = Agent("x", model=looker(2, Usage(10, 10, calls=1, usd=None)), tools=[look]).run_sync("go", home=tmp_path)
    assert run.usage.usd == 0.0
    assert run.state.unpriced_calls == 2


def test_time_is_limited_and_waiting_does_not_count(tmp_path: Path) -> None:
    import time

    @tool(effect="read")
    def slow(n: int) -> str:
        time.sleep(0.2)
        return str(n)

    model = ScriptedModel([call("slow", n=i) for i in range(30)])
    run = Agent("x", model=model, tools=[slow], limits={"seconds": 1}).run_sync("go", home=tmp_path)
    assert run.status == "failed"
    assert "limit seconds" in run.reason


@pytest.mark.parametrize("period", [1, 2, 3])
def test_a_run_that_goes_in_circles_is_ended(tmp_path: Path, period: int) -> None:
    model = ScriptedModel([call("look", n=i % period) for i in range(100)])
    run = Agent("x", model=model, tools=[look], limits={"repeats": 6}).run_sync("go", home=tmp_path)
    assert run.status == "failed"
    assert "no progress" in run.reason
    assert run.steps == 6 * period
    assert any("Take another way" in m.text for m in run.model_messages())


def test_progress_is_not_a_circle(tmp_path: Path) -> None:
    run = Agent("x", model=looker(40), tools=[look], limits={"repeats": 3}).run_sync("go", home=tmp_path)
    assert run.status == "done"


def test_failing_calls_in_a_row_end_the_run(tmp_path: Path) -> None:
    model = ScriptedModel([call("look", n=f"x{i}") for i in range(30)])
    run = Agent("x", model=model, tools=[look], limits={"tool_failures": 5}).run_sync("go", home=tmp_path)
    assert run.status == "failed"
    assert "tool_failures=5" in run.reason
    assert run.steps == 5


@pytest.mark.parametrize("limits", [{"dollars": 1}, {"usd": -1}, {"usd": 0}, {"steps": True}, {"steps": "5"}])
def test_wrong_limits_are_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError, match="limit"):
        Agent("x", model=ScriptedModel([]), limits=limits)


def test_time_is_limited_while_a_model_hangs(tmp_path: Path) -> None:
    import asyncio

    class Hangs:
        name = "hangs"

        async def respond(self, messages: Any, tools: Any, settings: Any) -> Any:
            assert settings.timeout_s < 1
            await asyncio.sleep(60)

    run = Agent("x", model=Hangs(), limits={"seconds": 0.2}).run_sync("go", home=tmp_path)
    assert run.status == "failed"
    assert "limit seconds" in run.reason


def test_time_before_a_crash_and_a_fork_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    from mainspring import Run, points

    class Died(BaseException):
        pass

    def hook(name: str) -> None:
        if name == "effect.acted":
            raise Died

    @tool(effect="read")
    def slow() -> str:
        time.sleep(0.4)
        return "seen"

    agent = Agent("x", model=ScriptedModel([call("slow"), "ok"]), tools=[slow])
    monkeypatch.setattr(points, "hook", hook)
    with pytest.raises(Died):
        agent.run_sync("go", home=tmp_path, run_id="r")
    monkeypatch.setattr(points, "hook", None)
    time.sleep(0.3)  # nobody executes it: this does not count
    run = Run.load("r", tmp_path)
    run.resume_sync(agent)
    events = run.events()
    resumed = next(e for e in events if e.kind == "run.resumed")
    died = events[events.index(resumed) - 1].at
    worked = (died - events[0].at) + (events[-1].at - resumed.at)
    assert run.state.busy_seconds == pytest.approx(worked, abs=0.05)
    assert run.fork().state.busy_seconds == pytest.approx(worked, abs=0.05)
