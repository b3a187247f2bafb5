"""The board that siblings share: notes under their writers' labels, and only where it was declared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from swarmkit import lead, outputs

from mainspring import Agent, Message, Run, ScriptedModel, tool
from mainspring.messages import ToolCallPart, assistant
from mainspring.store import open_store
from mainspring.swarm import post_note, read_board


@tool(effect="read", authority=())
def look() -> str:
    """Look."""
    return "a stranger's words"


def first(messages: Sequence[Message]) -> Message:
    writes = "write" in next(m.text for m in messages if m.role == "user")
    return assistant("", ToolCallPart("l", "look", {}) if writes else ToolCallPart("b", "read_board", {}))


def second(messages: Sequence[Message]) -> Message | str:
    writes = "write" in next(m.text for m in messages if m.role == "user")
    if writes:
        return assistant("", ToolCallPart("p", "post_note", {"text": "found it"}))
    return next(p.text for p in messages[-1].parts)  # type: ignore[union-attr]


def run_of(home: Path, **declared: object) -> Run:
    worker = Agent("worker", model=ScriptedModel([first, second, "noted"]), tools=[look, post_note, read_board])
    return lead(["write", "read"], worker, tools=[look], concurrency=1, **declared).run_sync("go", home=home)


def test_a_note_comes_back_under_its_writers_label(home: Path) -> None:
    run = run_of(home, board=True)
    (note,) = json.loads(outputs(run)[1])
    assert note["text"] == "found it"
    assert note["by"].endswith(".0")
    reader = Run.load(note["by"][:-1] + "1", home=home)
    assert "tool:look" in reader.state.label.strangers  # which its writer had read, and it had not


def test_without_a_board_nobody_holds_its_tools(home: Path) -> None:
    run = run_of(home)
    rows = open_store(home).children(run.id)
    refused = [e for r in rows for e in open_store(home).events(r.id) if e.kind == "call.refused"]
    assert {e.payload["tool"] for e in refused} == {"post_note", "read_board"}
    assert open_store(home).all_kept("board") == []


def test_a_run_of_its_own_has_no_board(home: Path) -> None:
    script = [ToolCallPart("p", "post_note", {"text": "hello"}), "done"]
    run = Agent("alone", model=ScriptedModel(script), tools=[post_note]).run_sync("go", home=home)
    (done,) = [e for e in run.events() if e.kind == "effect.done"]
    assert "there is no board here" in done.payload["content"][0]["text"]


def test_notes_are_small_and_few(home: Path) -> None:
    calls = [ToolCallPart(f"p{n}", "post_note", {"text": "x" * (3_000 if n == 0 else 3)}) for n in range(53)]
    worker = Agent("worker", model=ScriptedModel([*calls, "done"]), tools=[post_note], limits={"repeats": None})
    run = lead(["a"], worker, board=True).run_sync("go", home=home)
    (row,) = open_store(home).children(run.id)
    said = [e.payload for e in open_store(home).events(row.id) if e.kind == "effect.done"]
    assert "at most 2,000" in said[0]["content"][0]["text"]
    assert len(open_store(home).all_kept("board")) == 50
    assert "which is the most" in said[-1]["content"][0]["text"]
