"""The loop: steps, parallel calls, typed output, checks, steering, streaming."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from mainspring import (
    Agent,
    Message,
    ModelError,
    Policy,
    Run,
    ScriptedModel,
    TextPart,
    ToolCallPart,
    ToolError,
    tool,
)
from mainspring.errors import DeclarationError, StoreError
from mainspring.messages import ImagePart, assistant


@tool(effect="read")
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def call(name: str, /, **arguments: Any) -> ToolCallPart:
    return ToolCallPart("", name, arguments)


def kinds(run: Run) -> list[str]:
    return [e.kind for e in run.events()]


def test_a_question_a_tool_an_answer(tmp_path: Path) -> None:
    agent = Agent("sum", model=ScriptedModel([call("add", a=1, b=2), "It is 3."]), tools=[add])
    run = agent.run_sync("1 + 2?", home=tmp_path)
    assert (run.status, run.output, run.steps) == ("done", "It is 3.", 2)
    assert [m.role for m in run.model_messages()] == ["user", "assistant", "tool", "assistant"]
    assert run.model_messages()[2].parts[0].text == "3"
    assert run.verify() == len(run.events())
    assert run.replay().identical
    assert run.replay().steps == 2


def test_a_wrong_call_goes_back_as_a_clear_error(tmp_path: Path) -> None:
    script = [call("add", a="one", b=2), call("ad", a=1, b=2), call("add", a=1, b=2), "3"]
    run = Agent("sum", model=ScriptedModel(script), tools=[add]).run_sync("?", home=tmp_path)
    refused = [e.payload for e in run.events() if e.kind == "call.refused"]
    assert [r["cause"] for r in refused] == ["invalid", "unknown"]
    assert "a: " in refused[0]["reason"]
    assert "'one'" in refused[0]["reason"]
    assert "Did you mean 'add'" in refused[1]["reason"]
    assert run.status == "done"


def test_reads_run_side_by_side_and_writes_in_order(tmp_path: Path) -> None:
    log: list[str] = []
    together = threading.Barrier(2, timeout=10)

    @tool(effect="read")
    def look(name: str) -> str:
        together.wait()  # breaks unless both calls are under way at once
        return name

    @tool(effect="write", undoable=True)
    def put(name: str) -> str:
        log.append(f"{name}+")
        time.sleep(0.02)
        log.append(f"{name}-")
        return name

    step = assistant("", call("look", name="a"), call("look", name="b"), call("put", name="c"), call("put", name="d"))
    run = Agent("x", model=ScriptedModel([step, "ok"]), tools=[look, put]).run_sync("go", home=tmp_path)
    assert run.status == "done"
    assert log == ["c+", "c-", "d+", "d-"]
    result = run.model_messages()[2]
    assert [p.text for p in result.parts] == ["a", "b", "c", "d"]  # in the order of the calls


def test_a_look_behind_a_change_comes_after_it(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")

    @tool(effect="read")
    def look() -> str:
        return file.read_text()

    @tool(effect="write", undoable=True)
    def put() -> str:
        file.write_text("new")
        return "written"

    step = assistant("", call("look"), call("put"), call("look"))
    run = Agent("x", model=ScriptedModel([step, "ok"]), tools=[look, put]).run_sync("go", home=tmp_path / "home")
    assert [p.text for p in run.model_messages()[2].parts] == ["old", "written", "new"]


def test_typed_output_is_asked_for_again_until_it_fits(tmp_path: Path) -> None:
    @dataclasses.dataclass
    class City:
        name: str
        people: int

    script = ["Paris", '{"name": "Paris"}', 'Here:\n```json\n{"name": "Paris", "people": 2100000}\n```']
    agent = Agent("geo", model=ScriptedModel(script), output_type=City)
    run = agent.run_sync("?", home=tmp_path)
    assert run.output == City("Paris", 2_100_000)
    assert kinds(run).count("output.rejected") == 2
    assert Run.load(run.id, tmp_path).output == City("Paris", 2_100_000)


def test_an_output_that_json_cannot_say_is_asked_for_again(tmp_path: Path) -> None:
    run = Agent("x", model=ScriptedModel(["NaN", "1.5"]), output_type=float).run_sync("?", home=tmp_path)
    assert (run.status, run.output) == ("done", 1.5)


def test_a_check_sees_an_answer_that_is_on_disk(tmp_path: Path) -> None:
    seen: list[str] = []

    def check(output: str, run: Run) -> None:
        seen.append(run.events()[-1].kind)

    Agent("x", model=ScriptedModel(["ok"]), check=check).run_sync("?", home=tmp_path)
    assert seen == ["model.answered"]


def test_a_check_sends_the_agent_back_to_work(tmp_path: Path) -> None:
    async def polite(output: str, run: Run) -> str | None:
        assert run.id
        return None if "please" in output else "say please"

    agent = Agent("x", model=ScriptedModel(["Give.", "Give, please."]), check=polite)
    run = agent.run_sync("ask", home=tmp_path)
    assert (run.status, run.output) == ("done", "Give, please.")
    assert any("say please" in m.text for m in run.model_messages())


def test_effort_rises_with_trouble_and_says_why(tmp_path: Path) -> None:
    script = [call("add", a="x", b=1), call("add", a="y", b=1), call("add", a=1, b=1), "2"]
    run = Agent("x", model=ScriptedModel(script), tools=[add], effort="auto").run_sync("?", home=tmp_path)
    efforts = [e.payload["effort"] for e in run.events() if e.kind == "model.called"]
    assert efforts == ["low", "medium", "high", "low"]
    assert all(e.payload["why"] for e in run.events() if e.kind == "model.called")


def test_retry_with_backoff_then_another_model(tmp_path: Path) -> None:
    flaky = ScriptedModel([ModelError("busy", retryable=True, retry_after_s=0.01)] * 9, name="flaky")
    broken = ScriptedModel([ModelError("no such model")], name="broken")
    good = ScriptedModel(["fine"], name="good")
    agent = Agent("x", model=[flaky, broken, good], model_retries=2)
    run = agent.run_sync("?", home=tmp_path)
    assert (run.status, run.output) == ("done", "fine")
    failed = [e.payload for e in run.events() if e.kind == "model.failed"]
    assert [(f["model"], f["attempt"]) for f in failed] == [("flaky", 1), ("flaky", 2), ("broken", 1)]


def test_when_no_model_answers_the_run_fails_and_can_go_on(tmp_path: Path) -> None:
    agent = Agent("x", model=ScriptedModel([ModelError("dead")]))
    run = agent.run_sync("?", home=tmp_path)
    assert run.status == "failed"
    assert "dead" in run.reason
    alive = Agent("x", model=ScriptedModel(["back"]))
    assert run.resume_sync(alive).output == "back"


def test_a_tool_that_raises_is_an_answer_and_not_the_end(tmp_path: Path) -> None:
    @tool(effect="read")
    def bad(how: str) -> str:
        if how == "plain":
            raise ToolError("there is no such file")
        raise KeyError("boom")

    script = [call("bad", how="plain"), call("bad", how="crash"), "I give up"]
    run = Agent("x", model=ScriptedModel(script), tools=[bad]).run_sync("?", home=tmp_path)
    done = [e.payload for e in run.events() if e.kind == "effect.done"]
    assert [d["is_error"] for d in done] == [True, True]
    assert done[0]["content"][0]["text"] == "there is no such file"
    assert "KeyError" in done[1]["content"][0]["text"]
    assert run.status == "done"


def test_an_irreversible_call_that_crashes_says_it_may_have_happened(tmp_path: Path) -> None:
    @tool
    def pay(to: str) -> str:
        raise ConnectionError("reset by peer")

    agent = Agent("x", model=ScriptedModel([call("pay", to="bob"), "hm"]), tools=[pay], policy=Policy(allow=["pay"]))
    run = agent.run_sync("?", home=tmp_path)
    text = next(e for e in run.events() if e.kind == "effect.done").payload["content"][0]["text"]
    assert "may have taken effect" in text


def test_a_denied_tool_is_never_called(tmp_path: Path) -> None:
    called = []

    @tool(effect="read")
    def secret() -> str:
        called.append(1)
        return "x"

    agent = Agent("x", model=ScriptedModel([call("secret"), "ok"]), tools=[secret], policy=Policy(deny=["sec*"]))
    run = agent.run_sync("?", home=tmp_path)
    assert called == []
    assert next(e for e in run.events() if e.kind == "call.refused").payload["cause"] == "denied"


def test_steering_a_running_run(tmp_path: Path) -> None:
    @tool(effect="read")
    def look() -> str:
        Run.list(tmp_path)[0].send("Use metres.", by="ann")  # a person speaks while the run works
        return "seen"

    run = Agent("x", model=ScriptedModel([call("look"), "done"]), tools=[look]).run_sync("go", home=tmp_path)
    texts = [m.text for m in run.model_messages()]
    assert texts[-2:] == ["Use metres.", "done"]
    added = next(e for e in run.events() if e.kind == "message.added")
    assert added.payload["by"] == "ann"


def test_a_finished_run_goes_on_when_somebody_speaks(tmp_path: Path) -> None:
    agent = Agent("x", model=ScriptedModel(["one", "two"]))
    run = agent.run_sync("go", home=tmp_path)
    assert run.resume_sync().output == "one"  # nothing to go on with
    events = len(run.events())
    assert len(run.events()) == events
    run.send("and then?")
    assert run.resume_sync().output == "two"
    assert run.replay().identical


def test_stream_yields_deltas_and_ends(tmp_path: Path) -> None:
    agent = Agent("x", model=ScriptedModel([call("add", a=1, b=1), "two"]), tools=[add])

    async def main() -> list[Any]:
        return [event async for event in agent.stream("go", home=tmp_path)]

    events = asyncio.run(main())
    assert events[0].kind == "run.started"
    assert events[-1].kind == "run.ended"
    assert [e.payload["text"] for e in events if e.kind == "delta"] == ["two"]
    assert [e.seq for e in events if e.seq is not None] == list(range(1, len([e for e in events if e.seq]) + 1))


def test_leaving_a_stream_early_pauses_the_run(tmp_path: Path) -> None:
    agent = Agent("x", model=ScriptedModel([call("add", a=1, b=1), "two"]), tools=[add])

    async def main() -> None:
        async for event in agent.stream("go", home=tmp_path, run_id="s1"):
            if event.kind == "model.answered":
                break

    asyncio.run(main())
    run = Run.load("s1", tmp_path)
    assert run.status == "waiting"
    assert run.resume_sync(agent).output == "two"


def test_a_sync_call_works_inside_an_event_loop(tmp_path: Path) -> None:
    agent = Agent("x", model=ScriptedModel(["hi"]))

    async def notebook() -> str:
        return agent.run_sync("go", home=tmp_path).output

    assert asyncio.run(notebook()) == "hi"


def test_pictures_are_described_to_a_model_that_takes_none(tmp_path: Path) -> None:
    seen: list[list[Message]] = []

    class Blind:
        name = "blind"

        async def respond(self, messages: Any, tools: Any, settings: Any) -> Message:
            seen.append(list(messages))
            return assistant("ok")

    class Seeing(Blind):
        takes = frozenset({"image/"})

    picture = ImagePart(b"\x89PNG123", description="a cat")
    for model in (Blind(), Seeing()):
        run = Agent("x", model=model).run_sync(["what is it?", picture], home=tmp_path)
        assert run.status == "done"
        assert run.replay().identical
    assert any("a cat" in p.text for p in seen[0][0].parts if isinstance(p, TextPart))
    assert not any(isinstance(p, ImagePart) for p in seen[0][0].parts)
    assert picture in seen[1][0].parts


@pytest.mark.parametrize("task", ["", "  \n", [], None, 7, [1, 2], {"a": 1}])
def test_a_task_that_is_none_is_refused(task: Any, tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="task"):
        Agent("x", model=ScriptedModel(["x"])).run_sync(task, home=tmp_path)


def test_a_run_id_is_used_once(tmp_path: Path) -> None:
    agent = Agent("x", model=ScriptedModel(["x"]))
    agent.run_sync("a", home=tmp_path, run_id="mine")
    with pytest.raises(StoreError, match="exists already"):
        agent.run_sync("a", home=tmp_path, run_id="mine")
    with pytest.raises(DeclarationError, match="run_id"):
        agent.run_sync("a", home=tmp_path, run_id="a:b")
    with pytest.raises(DeclarationError, match="no folder"):
        agent.run_sync("a", home=tmp_path, workspace=tmp_path / "missing")
