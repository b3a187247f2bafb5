"""Models that misbehave: nonsense, half calls, floods, broken text, hanging, dying."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mainspring import (
    Agent,
    ImagePart,
    Message,
    ModelError,
    Run,
    ScriptedModel,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    Usage,
    tool,
)
from mainspring.messages import ToolResultPart, assistant


@tool(effect="read")
def look(name: str = "") -> str:
    """Look."""
    return f"saw {name}"


class Says:
    name = "says"

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    async def respond(self, messages: Any, tools: Any, settings: Any) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


def run_with(home: Path, *answers: Any, **options: Any) -> Any:
    run = Agent("x", model=Says(*answers), tools=[look], **options).run_sync("go", home=home)
    assert run.verify() == len(run.events())
    assert run.replay().identical
    return run


@pytest.mark.parametrize("answer", [None, 17, "text", {"role": "assistant"}, Message("user", (TextPart("x"),))])
def test_an_answer_of_a_wrong_type_fails_with_a_reason(tmp_path: Path, answer: Any) -> None:
    run = run_with(tmp_path, answer)
    assert run.status == "failed"
    assert "instead of an assistant's Message" in run.reason


def test_a_tool_result_from_a_model_is_refused(tmp_path: Path) -> None:
    forged = Message("assistant", (ToolResultPart("c", "look", (TextPart("forged"),)),))
    run = run_with(tmp_path, forged)
    assert run.status == "failed"
    assert "which no model may send" in run.reason


def test_half_a_tool_call_goes_back_to_the_model(tmp_path: Path) -> None:
    half = assistant("", ToolCallPart("1", "look", {}, invalid='{"name": "a'))
    run = run_with(tmp_path, half, assistant("ok"))
    refused = next(e for e in run.events() if e.kind == "call.refused").payload
    assert refused["cause"] == "invalid"
    assert '{"name": "a' in refused["reason"]
    assert run.status == "done"


def test_ten_thousand_calls_at_once(tmp_path: Path) -> None:
    flood = assistant("", *(ToolCallPart(str(i), "look", {"name": str(i)}) for i in range(10_000)))
    run = run_with(tmp_path, flood, assistant("ok"))
    assert run.status == "done"
    assert sum(e.kind == "effect.done" for e in run.events()) == 64
    assert any("9,936 further calls were dropped" in m.text for m in run.model_messages())


def test_call_ids_that_repeat_or_lack_are_made_unique(tmp_path: Path) -> None:
    twice = assistant("", ToolCallPart("a", "look", {"name": "1"}), ToolCallPart("a", "look", {"name": "2"}))
    again = assistant("", ToolCallPart("a", "look", {"name": "3"}), ToolCallPart("", "look", {"name": "4"}))
    run = run_with(tmp_path, twice, again, assistant("ok"))
    ids = [e.payload["call_id"] for e in run.events() if e.kind == "effect.done"]
    assert len(ids) == len(set(ids)) == 4


def test_broken_unicode_everywhere(tmp_path: Path) -> None:
    bad = "a\ud800b"
    answer = assistant(
        bad, ToolCallPart(bad, "look", {"name": bad}), ToolCallPart("n", bad, {bad: [bad, float("nan")]})
    )
    run = run_with(tmp_path, answer, assistant(bad))
    assert run.status == "done"
    assert "\ud800" not in run.output


def test_deeply_nested_arguments(tmp_path: Path) -> None:
    value: Any = "x"
    for _ in range(2000):
        value = [value]
    run = run_with(tmp_path, assistant("", ToolCallPart("1", "look", {"name": value})), assistant("ok"))
    assert run.status == "done"


def test_arguments_that_are_no_object(tmp_path: Path) -> None:
    odd: Any = ["not", "an", "object"]
    run = run_with(tmp_path, assistant("", ToolCallPart("1", "look", odd)), assistant("ok"))
    assert next(e for e in run.events() if e.kind == "call.refused").payload["cause"] == "invalid"


def test_empty_and_cut_answers_are_asked_for_again(tmp_path: Path) -> None:
    cut = Message("assistant", (TextPart("half of"),), finish="length")
    run = run_with(tmp_path, assistant(""), cut, assistant("whole"))
    assert run.output == "whole"
    run = run_with(tmp_path, *[assistant("")] * 9)
    assert run.status == "failed"
    assert "no acceptable final answer" in run.reason


def test_a_refusal_ends_the_run_with_its_reason(tmp_path: Path) -> None:
    run = run_with(tmp_path, Message("assistant", (TextPart("I will not."),), finish="refusal"))
    assert run.status == "failed"
    assert "refused: I will not." in run.reason


def test_a_model_that_raises_anything(tmp_path: Path) -> None:
    run = run_with(tmp_path, ZeroDivisionError("oops"))
    assert run.status == "failed"
    assert "ZeroDivisionError: oops" in run.reason


def test_a_stream_that_dies_midway_is_a_recorded_retry(tmp_path: Path) -> None:
    from mainspring.model import Delta

    class Dying:
        name = "dying"
        tries = 0

        async def respond(self, messages: Any, tools: Any, settings: Any) -> Message:
            self.tries += 1
            settings.on_delta(Delta("text", "Hel"))
            if self.tries == 1:
                raise ModelError("connection lost", retryable=True, retry_after_s=0.0)
            return assistant("Hello")

    run = Agent("x", model=Dying()).run_sync("go", home=tmp_path, on_event=lambda event: None)
    assert run.output == "Hello"
    failed = next(e for e in run.events() if e.kind == "model.failed").payload
    assert failed["partial"] is True


def test_a_model_that_hangs(tmp_path: Path) -> None:
    class Hangs:
        name = "hangs"

        async def respond(self, messages: Any, tools: Any, settings: Any) -> Any:
            await asyncio.sleep(60)

    agent = Agent("x", model=[Hangs(), ScriptedModel(["awake"])], model_timeout_s=0.05, model_retries=2)
    run = agent.run_sync("go", home=tmp_path)
    assert run.output == "awake"
    assert [e.payload["retryable"] for e in run.events() if e.kind == "model.failed"] == [True, True]


def test_a_long_pause_puts_the_run_to_sleep(tmp_path: Path) -> None:
    agent = Agent("x", model=Says(ModelError("quota", retryable=True, retry_after_s=3600), assistant("ok")))
    run = agent.run_sync("go", home=tmp_path)
    assert run.status == "waiting"
    assert "pause of 3600 s" in run.reason
    import time

    from mainspring.store import open_store

    store = open_store(tmp_path)
    assert store.due(time.time()) == []
    assert store.due(time.time() + 4000) == [run.id]


def test_a_run_that_slept_through_its_pause_asks_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    from mainspring.runtime import thinking

    monkeypatch.setattr(thinking, "MAX_NAP_S", 0.1)
    agent = Agent("x", model=Says(ModelError("quota", retryable=True, retry_after_s=0.4), assistant("ok")))
    run = agent.run_sync("go", home=tmp_path)
    assert run.status == "waiting"
    assert run.resume_sync().status == "waiting"  # too early
    time.sleep(0.5)
    assert run.resume_sync().output == "ok"


def test_a_cancel_ends_the_pause_before_a_retry(tmp_path: Path) -> None:
    import time

    class Busy:
        name = "busy"

        async def respond(self, messages: Any, tools: Any, settings: Any) -> Any:
            Run.list(tmp_path)[0].cancel(by="ann")
            raise ModelError("busy", retryable=True, retry_after_s=100)

    began = time.monotonic()
    assert Agent("x", model=Busy()).run_sync("go", home=tmp_path).status == "cancelled"
    assert time.monotonic() - began < 60  # far from the pause, with room for a busy machine


def test_a_watcher_that_raises_does_not_hurt_the_run(tmp_path: Path) -> None:
    def watcher(event: Any) -> None:
        raise RuntimeError("I cannot watch this")

    run = Agent("x", model=ScriptedModel(["ok"])).run_sync("go", home=tmp_path, on_event=watcher)
    assert run.status == "done"


def test_a_tool_that_prints_does_not_disturb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    @tool(effect="read")
    def noisy() -> str:
        print("noise")
        return "quiet"

    run = Agent("x", model=ScriptedModel([ToolCallPart("", "noisy", {}), "ok"]), tools=[noisy]).run_sync(
        "go", home=tmp_path
    )
    assert run.status == "done"


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, b"\xff\xfe", object(), {"a": {"b": float("inf")}}, "\udc80"])
def test_odd_results_are_journaled(tmp_path: Path, value: Any) -> None:
    @tool(effect="read")
    def odd() -> Any:
        return value

    run = Agent("x", model=ScriptedModel([ToolCallPart("", "odd", {}), "ok"]), tools=[odd]).run_sync(
        "go", home=tmp_path
    )
    assert run.status == "done"


def test_a_result_that_contains_itself(tmp_path: Path) -> None:
    loop: list[Any] = []
    loop.append(loop)

    @tool(effect="read")
    def odd() -> Any:
        return loop

    run = Agent("x", model=ScriptedModel([ToolCallPart("", "odd", {}), "ok"]), tools=[odd]).run_sync(
        "go", home=tmp_path
    )
    assert run.status == "done"


def test_half_a_character_from_anywhere_does_not_brick_the_run(tmp_path: Path) -> None:
    half = "\udc80"

    def prepare(context: Any) -> dict[str, Any]:
        raise RuntimeError(half)

    @tool(effect="read", prepare=prepare)
    def odd() -> str:
        return "x"

    message = Message(
        "assistant",
        (ThinkingPart("t", signature=half), TextPart("ok")),
        Usage(-1, 2, calls=0, usd=float("nan")),
        model=half,
        finish=half,
    )
    model = Says(
        ModelError(half, retryable=True, retry_after_s=0.0), assistant("", ToolCallPart("1", "odd", {})), message
    )
    complaints = [half, None]
    agent = Agent("x", model=model, tools=[odd], check=lambda output, run: complaints.pop(0))
    model.answers.append(assistant("ok"))
    run = agent.run_sync("go", home=tmp_path)
    assert run.status == "done"
    assert run.usage.usd == 0.0
    assert run.replay().identical
    assert run.verify() == len(run.events())


def test_a_picture_from_a_model_that_is_none_is_refused(tmp_path: Path) -> None:
    odd: Any = "not bytes"
    run = run_with(tmp_path, Message("assistant", (ImagePart(odd),)))
    assert run.status == "failed"
    assert "ImagePart" in run.reason
