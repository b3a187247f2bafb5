"""The hand-over from one context to the next: what must be there is, what does not fit is counted and can be read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mainspring import Agent, Drift, Message, Run, ToolCallPart, Usage, tool
from mainspring.messages import assistant, encode
from mainspring.runtime import loop
from mainspring.runtime.compaction import CHARS_PER_TOKEN, digest_lines, steps
from mainspring.runtime.handover import CHECK_ORDER, missing_facts, report
from mainspring.runtime.notes import Notes, Person, fitting_notes, fitting_people
from mainspring.runtime.state import RunState


@tool(effect="read")
def dump(n: int) -> str:
    """Give a lot of text."""
    return f"result {n}: " + "lorem ipsum " * 150


@tool(effect="write", undoable=True, outside=False, authority=(), idempotency="key")
def save(path: str, key: str) -> str:
    """Save a file."""
    return "saved"


class Noter:
    """Calls what it is told to, then reads on and on; its summaries say nothing of use."""

    name = "noter"

    def __init__(self, calls: Sequence[ToolCallPart], reads: int, window: int = 8_000) -> None:
        self.calls = list(calls)
        self.reads = reads
        self.context_window = window
        self.batch = 1  # calls in one answer
        self.asked: list[str] = []
        self.tools: list[set[str]] = []

    async def respond(self, messages: Sequence[Message], tools: Any, settings: Any) -> Message:
        said = messages[-1].text
        if said.startswith("[mainspring] The conversation has become too long"):
            return assistant("I read.", usage=Usage(5, 5, calls=1))
        if said.startswith("[mainspring] Here is the summary"):
            self.asked.append(said)
            return assistant('Sure: {"missing": ["the gate is at 7", 5, ""]}', usage=Usage(7, 7, calls=1))
        self.tools.append({t.name for t in tools})
        if self.calls:
            made, self.calls = self.calls[: self.batch], self.calls[self.batch :]
            return assistant("", *made)
        self.reads -= 1
        return assistant("", call("dump", n=self.reads)) if self.reads >= 0 else assistant("end")


def call(name: str, /, **arguments: Any) -> ToolCallPart:
    return ToolCallPart("", name, arguments)


def noted(*texts: str, kind: str = "todo") -> list[ToolCallPart]:
    return [call("note", kind=kind, text=text) for text in texts]


def folds(run: Run) -> list[dict[str, Any]]:
    return [e.payload for e in run.events() if e.kind == "context.compacted"]


def text_of(run: Run) -> str:
    return "\n".join(str(encode(m)) for m in run.model_messages())


NO_LIMITS = {"steps": None, "repeats": None, "tool_failures": None}


@pytest.mark.slow
def test_hundreds_of_notes_are_bounded_and_none_is_lost(tmp_path: Path) -> None:
    many = [f"decision number {n:04d}: the value is {n * 7}" for n in range(500)]
    model = Noter([*noted(*many, kind="decision"), *noted("mend the roof")], 40)
    model.batch = 50
    agent = Agent("x", model=model, tools=[dump], limits=NO_LIMITS)
    run = agent.run_sync("go", home=tmp_path)
    assert run.status == "done"
    last = folds(run)[-1]
    assert last["left_out"]["notes"] > 400
    assert "n501 todo: mend the roof" in text_of(run)  # open work comes before decisions
    assert "decision number 0499" in text_of(run)
    assert all(len(str(f["notes"])) < 8_000 * CHARS_PER_TOKEN * 0.3 for f in folds(run))
    model.batch = 1
    model.calls = [call("read_notes", of="notes", query="number 0003:"), call("read_notes", of="notes", offset=400)]
    run.send("Which is the third?", by="ann")
    run.resume_sync(agent)
    pages = [e.payload["content"][0]["text"] for e in run.events() if e.kind == "effect.done"][-2:]
    assert pages[0] == "n4 decision: decision number 0003: the value is 21"
    assert pages[1].startswith("n401 decision: decision number 0400")
    assert "more lines; go on with offset=" in pages[1]
    assert run.replay().identical


def test_reading_notes_is_offered_once_steps_were_folded(tmp_path: Path) -> None:
    model = Noter([], 30)
    run = Agent("x", model=model, tools=[dump]).run_sync("go", home=tmp_path)
    assert "read_notes" not in model.tools[0]
    assert "read_notes" in model.tools[-1]
    assert folds(run)


def test_a_note_is_closed_by_its_text_or_number_and_a_wrong_one_is_told_what_is_open(tmp_path: Path) -> None:
    wrong = [call("note", kind="done", text="sweep the floors"), call("note", kind="todo", text="x" * 3000)]
    model = Noter([*noted("sweep the floor", "feed the cat", "water"), *wrong], 0)
    agent = Agent("x", model=model, tools=[dump])
    run = agent.run_sync("go", home=tmp_path)
    answers = [e.payload for e in run.events() if e.kind == "effect.done"]
    assert answers[0]["content"][0]["text"] == "noted as n1"
    assert answers[3]["is_error"]
    assert "n1 todo: sweep the floor" in answers[3]["content"][0]["text"]
    assert answers[4]["is_error"]
    model.calls = [*noted("n1", kind="done"), *noted("water", kind="done")]
    run.send("Go on")
    run.resume_sync(agent)
    assert run.state.notes == [{"kind": "todo", "text": "feed the cat"}]
    assert [n["text"] for _, n in run.state.book.done] == ["sweep the floor", "water"]


def test_what_people_said_stays_when_a_thousand_approvals_do_not() -> None:
    people = [Person("said", "ann said: never on Sundays"), Person("denied", "ann denied pay(9)")]
    people += [Person("approved", f"ann approved pay({n})") for n in range(1000)]
    kept = fitting_people(people, 500)
    assert people[0] in kept
    assert people[1] in kept
    assert people[-1] in kept
    assert people[2] not in kept
    assert sum(len(p.text) for p in kept) <= 500
    assert kept == [p for p in people if p in kept]  # in their order


def test_the_runtime_states_what_it_knows_itself(tmp_path: Path) -> None:
    model = Noter([call("save", path="a.py"), call("save", path="b.py"), call("save", path="a.py"), *noted("one")], 30)
    run = Agent("x", model=model, tools=[dump, save], limits={"steps": 200}).run_sync("go", home=tmp_path)
    known = folds(run)[-1]["known"]
    assert "changed, newest last: b.py, a.py" in known
    assert any(line.startswith("spent: ") and "of 200 steps" in line for line in known)


def test_the_report_counts_what_is_shown_readable_and_gone(tmp_path: Path) -> None:
    run = Agent("x", model=Noter(noted("keep me"), 60), tools=[dump]).run_sync("go", home=tmp_path)
    for payload in folds(run):
        found = payload["handover"]
        assert found["absent"] == []
        assert found["calls"] == found["calls_readable"] > 0
        assert found["notes"] == [1, 1]
    assert found["calls_shown"] < found["calls"]  # the digest has no room for all; the pages do
    state = run.state
    page = [line for _, line in steps(state.plain, 2000)]
    assert sum("dump(" in line for line in page) == 60


def test_the_report_names_what_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report above can fail: a message that leaves a note out is found out."""
    from mainspring.runtime import handover

    run = Agent("x", model=Noter(noted("keep me"), 60), tools=[dump]).run_sync("go", home=tmp_path)
    payload = dict(folds(run)[-1])
    whole = handover.compaction_message
    monkeypatch.setattr(handover, "compaction_message", lambda p: whole(p | {"notes": []}))
    state = RunState.of(run.events())
    assert report(state, payload)["absent"] == ["n1 todo: keep me"]


def test_a_comparison_adds_what_the_summary_left_out(tmp_path: Path) -> None:
    model = Noter([], 30)
    run = Agent("x", model=model, tools=[dump], drift=Drift(handover=True)).run_sync("go", home=tmp_path)
    assert len(model.asked) == len(folds(run)) > 0
    assert "I read." in model.asked[0]
    assert folds(run)[-1]["missing"] == ["the gate is at 7"]
    assert folds(run)[-1]["usage"]["in"] == 12
    assert "the gate is at 7" in text_of(run)
    quiet = Noter([], 30)
    Agent("y", model=quiet, tools=[dump]).run_sync("go", home=tmp_path)
    assert quiet.asked == []  # nobody is asked unless the agent says so


@pytest.mark.parametrize("said", ["", "none", "[1, 2]", '{"missing": "all"}', '{"missing": ', "{" * 5000])
def test_an_answer_that_cannot_be_read_adds_nothing(said: str) -> None:
    assert missing_facts(said) == []


def test_no_more_than_a_dozen_short_facts_are_added() -> None:
    facts = missing_facts('{"missing": [' + ",".join(f'"{"word " * 200}{n}"' for n in range(40)) + "]}")
    assert len(facts) == 12
    assert max(map(len, facts)) <= 300
    assert "{summary}" in CHECK_ORDER


def test_a_digest_too_long_keeps_the_beginning_and_the_newest() -> None:
    plain: list[Message] = []
    for n in range(3000):
        plain.append(assistant("", ToolCallPart(f"c{n}", "dump", {"n": n})))
    digest = digest_lines(plain, 4_000)
    assert len(digest) < 4_200
    assert "[c0]" in digest
    assert "[c2999]" in digest
    assert "[c1500]" not in digest
    assert "read_notes" in digest
    assert "read_notes" not in digest_lines(plain[:20], 4_000)


def test_notes_fold_the_same_in_any_order_of_closing() -> None:
    notes = Notes()
    for n in range(50):
        notes.apply({"kind": "todo", "text": f"t{n}"})
    notes.apply({"kind": "todo", "text": "t0"})  # noted again: it moves to the end
    notes.apply({"kind": "done", "text": "n2"})
    notes.apply({"kind": "done", "text": "nothing of the kind"})
    assert [n["text"] for _, n in notes.open()] == [*(f"t{n}" for n in range(2, 50)), "t0"]
    assert notes.find("n51") == "t0"
    assert notes.find("n1") is None
    assert [n["text"] for _, n in fitting_notes(notes, 40)][-1] == "t0"


def test_the_context_stays_below_the_window_when_everything_is_full(tmp_path: Path) -> None:
    """Notes, people and digest at their bounds, and a fold still gains enough not to be made at each step."""
    model = Noter(noted(*(f"{n:04d} " + "w" * 200 for n in range(150))), 60)
    agent = Agent("x", model=model, tools=[dump], limits=NO_LIMITS)
    run = agent.run_sync("go", home=tmp_path)
    model.reads = 60
    for n in range(60):
        run.send(f"rule {n}: " + "r" * 200, by="ann")
    run.resume_sync(agent)
    assert run.status == "done"
    assert folds(run)[-1]["left_out"]["persons"] > 0
    assert 5 < len(folds(run)) < 60
    assert run.state.context.chars < 8_000 * CHARS_PER_TOKEN
    assert hasattr(loop, "kept")
