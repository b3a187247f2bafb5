"""The derived context: stable prefix, shortened answers, compaction that loses nothing and can be undone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mainspring import Agent, Message, Policy, Run, ScriptedModel, ToolCallPart, Usage, tool
from mainspring.messages import assistant, encode
from mainspring.runtime.compaction import SUMMARY_ORDER


def call(name: str, /, **arguments: Any) -> ToolCallPart:
    return ToolCallPart("", name, arguments)


class Recorder:
    """Plays a script and keeps what it was shown."""

    name = "recorder"

    def __init__(self, script: Sequence[Any], window: int = 1_000_000) -> None:
        self.script = ScriptedModel(script)
        self.context_window = window
        self.step = 0
        self.seen: list[list[Message]] = []

    async def respond(self, messages: Sequence[Message], tools: Any, settings: Any) -> Message:
        if messages[-1].text == f"[mainspring] {SUMMARY_ORDER}":
            return assistant("summary: looked at many things", usage=Usage(5, 5, calls=1))
        self.seen.append(list(messages))
        self.step += 1
        line = self.script.script[min(self.step - 1, len(self.script.script) - 1)]
        return assistant(line) if isinstance(line, str) else assistant("", line)


@tool(effect="read")
def dump(n: int) -> str:
    """Give a lot of text."""
    return f"result {n}: " + "lorem ipsum " * 200


def test_each_prompt_begins_with_the_one_before(tmp_path: Path) -> None:
    model = Recorder([call("dump", n=i) for i in range(20)] + ["end"])
    Agent("x", model=model, tools=[dump], instructions="Be good.").run_sync("go", home=tmp_path)
    for before, after in zip(model.seen, model.seen[1:], strict=False):
        assert after[: len(before)] == before


def test_a_long_answer_is_shortened_and_can_be_paged_through(tmp_path: Path) -> None:
    @tool(effect="read")
    def big() -> str:
        return "".join(f"line {i}\n" for i in range(10_000))

    script = [
        ToolCallPart("big1", "big", {}),
        call("read_result", call_id="big1", offset=40_000),
        call("read_result", call_id="nope"),
        "end",
    ]
    run = Agent("x", model=Recorder(script), tools=[big]).run_sync("go", home=tmp_path)
    results = [p for m in run.model_messages() if m.role == "tool" for p in m.parts]
    assert len(results[0].text) < 13_000
    assert "read_result" in results[0].text
    assert results[0].text.endswith("line 9999\n")
    whole = "".join(f"line {i}\n" for i in range(10_000))
    assert results[1].text.startswith(whole[40_000:48_000])
    assert results[2].is_error
    assert run.replay().identical


def test_a_hundred_megabytes(tmp_path: Path) -> None:
    @tool(effect="read")
    def huge() -> str:
        return "x" * 100_000_000

    run = Agent("x", model=Recorder([call("huge"), "end"]), tools=[huge]).run_sync("go", home=tmp_path)
    assert run.status == "done"
    assert sum(len(p.text) for m in run.model_messages() for p in m.parts if hasattr(p, "text")) < 20_000
    stored = next(e for e in run.events() if e.kind == "effect.done")
    assert len(stored.payload["content"][0]["text"]) == 100_000_000


def compacted_run(home: Path) -> tuple[Any, Recorder, Agent]:
    @tool
    def send(to: str) -> str:
        return "sent"

    script = [
        call("note", kind="decision", text="use the metric system"),
        call("note", kind="todo", text="check the third table"),
        call("send", to="bob@example.org"),
        *(call("dump", n=i) for i in range(40)),
        "end",
    ]
    model = Recorder(script, window=8_000)
    agent = Agent(
        "x", model=model, tools=[dump, send], instructions="RULE-17: never guess.", policy=Policy(ask=["send"])
    )
    run = agent.run_sync("TASK-99: read everything.", home=home)
    run.pending()[0].approve(by="ann", reason="REASON-5")
    run.send("STEER-3: mind the units.", by="ann")
    run.resume_sync()
    return run, model, agent


def test_compaction_keeps_what_must_be_kept(tmp_path: Path) -> None:
    run, model, _ = compacted_run(tmp_path)
    assert run.status == "done"
    folded = [e for e in run.events() if e.kind == "context.compacted"]
    assert len(folded) >= 2
    text = "\n".join(str(encode(m)) for m in run.model_messages())
    for fact in ["RULE-17", "TASK-99", "STEER-3", "REASON-5", "use the metric system", "check the third table"]:
        assert fact in text
    assert "summary: looked at many things" in text
    assert all(sum(len(str(encode(m))) for m in seen) < 8_000 * 4 for seen in model.seen)
    assert run.replay().identical


def test_compaction_deletes_nothing_and_can_be_undone(tmp_path: Path) -> None:
    run, model, agent = compacted_run(tmp_path)
    run.undo_compaction(by="ann")
    run.send("Once more.")
    model.context_window = 1_000_000
    run.resume_sync(agent)
    text = "\n".join(str(encode(m)) for m in run.model_messages())
    assert all(f"result {n}:" in text for n in range(40))
    assert run.replay().identical


def test_a_note_that_is_done_is_dropped(tmp_path: Path) -> None:
    script = [
        call("note", kind="todo", text="a"),
        call("note", kind="todo", text="b"),
        call("note", kind="done", text="a"),
        call("note", kind="wish", text="c"),
        "end",
    ]
    run = Agent("x", model=Recorder(script), tools=[dump]).run_sync("go", home=tmp_path)
    assert run.state.notes == [{"kind": "todo", "text": "b"}]


def test_a_context_that_the_model_finds_too_long_is_folded(tmp_path: Path) -> None:
    from mainspring.errors import ContextWindowError

    class Narrow(Recorder):
        """Says that it takes more than it does."""

        async def respond(self, messages: Sequence[Message], tools: Any, settings: Any) -> Message:
            if sum(len(str(encode(m))) for m in messages) > 30_000:
                raise ContextWindowError("too long")
            return await super().respond(messages, tools, settings)

    model = Narrow([call("dump", n=i) for i in range(30)] + ["end"], window=16_000)
    run = Agent("x", model=model, tools=[dump]).run_sync("go", home=tmp_path)
    assert run.status == "done"
    assert any(e.kind == "context.compacted" for e in run.events())
    assert run.replay().identical
    # A task that alone is too long cannot be folded: the run says so.
    run = Agent("y", model=Narrow(["end"], window=16_000)).run_sync("x" * 40_000, home=tmp_path)
    assert run.status == "failed"
    assert "too long" in run.reason


def asked_for_summary(messages: Sequence[Message]) -> bool:
    return messages[-1].text.startswith("[mainspring] The conversation has become too long")


class Tiring:
    """Looks until it is told that it is enough, in a small window; `summary` makes its summaries."""

    name = "tiring"
    context_window = 8_000

    def __init__(self, summary: Any, steps: int = 40) -> None:
        self.summary = summary
        self.steps = steps
        self.step = 0

    async def respond(self, messages: Sequence[Message], tools: Any, settings: Any) -> Any:
        if asked_for_summary(messages):
            return self.summary(messages)
        self.step += 1
        return assistant("", call("dump", n=self.step)) if self.step < self.steps else assistant("end")


def raises(messages: Sequence[Message]) -> Message:
    raise KeyError("no summary today")


@pytest.mark.parametrize("summary", [raises, lambda m: None, lambda m: assistant("half a \ud83d character")])
def test_a_summary_that_fails_does_not_end_the_run(tmp_path: Path, summary: Any) -> None:
    run = Agent("x", model=Tiring(summary), tools=[dump]).run_sync("go", home=tmp_path)
    assert run.status == "done"
    assert any(e.kind == "context.compacted" for e in run.events())
    assert run.replay().identical


def test_a_summary_is_made_of_what_is_on_disk(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def summary(messages: Sequence[Message]) -> Message:
        done = [e for e in Run.load("r", tmp_path).events() if e.kind == "effect.done"]
        seen.append((sum(m.role == "tool" for m in messages), len(done)))
        return assistant("fine")

    Agent("x", model=Tiring(summary), tools=[dump]).run_sync("go", home=tmp_path, run_id="r")
    assert seen[0][0] == seen[0][1]


@pytest.mark.parametrize(("task", "words"), [("go", 1500), ("go " * 5000, 5)])
def test_a_fold_is_not_made_at_every_step(tmp_path: Path, task: str, words: int) -> None:
    """Neither a talkative summary nor a task that takes up most of a small window makes each step pay for a fold."""
    model = Tiring(lambda m: assistant("word " * words))
    run = Agent("x", model=model, tools=[dump]).run_sync(task, home=tmp_path)
    assert run.status == "done"
    assert 2 <= sum(e.kind == "context.compacted" for e in run.events()) <= 15
