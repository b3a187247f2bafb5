"""Events become lines that say what happened, whatever the events hold."""

from dataclasses import dataclass, field
from typing import Any

from mainspring.cli.narrate import STYLES, Line, Narrator
from mainspring.label import Label
from mainspring.messages import Message, TextPart, ThinkingPart, ToolCallPart, Usage, encode, user


@dataclass
class Happened:
    kind: str
    payload: dict[str, Any]
    at: float = 100.0
    seq: int | None = field(default=None)


def answered(step: int, *parts: Any, tokens: int = 0, usd: float | None = 0.0) -> Happened:
    message = Message("assistant", parts, usage=Usage(tokens, 0, calls=1, usd=usd))
    return Happened("model.answered", {"step": step, "message": encode(message)})


def started(**limits: float) -> Happened:
    agent = {"name": "clerk", "models": ["local"]}
    messages = [encode(user("Do it"))]
    return Happened("run.started", {"agent": agent, "workspace": "/w", "limits": limits, "messages": messages})


def tell(narrator: Narrator, *events: Happened) -> list[str]:
    return [line.text for event in events for line in narrator.feed(event)]


CALL = {"step": 1, "call_id": "c1", "tool": "read_file", "arguments": {"path": "a.py"}}


def test_a_run_from_start_to_end() -> None:
    lines = tell(
        Narrator(),
        started(steps=50, usd=2),
        Happened("model.called", {"step": 1, "model": "local", "effort": "low"}),
        answered(
            1, ThinkingPart("hm"), TextPart("I look."), ToolCallPart("c1", "read_file", {"path": "a.py"}), tokens=4100
        ),
        Happened("effect.intended", CALL),
        Happened("effect.done", {**CALL, "content": [{"type": "text", "text": "one\ntwo"}], "seconds": 0.24}),
        answered(2, TextPart("All good."), tokens=100, usd=0.5),
        Happened("run.ended", {"status": "done", "output": "All good.", "reason": ""}),
    )
    assert lines == [
        "clerk · local · /w",
        "hm",
        "I look.",
        "step 1/50 · 4.1k tokens · $0.00/$2.00",
        '→ read_file path="a.py"',
        "✓ read_file 0.2s  one (+1 lines)",
        "step 2/50 · 4.2k tokens · $0.50/$2.00",
        "All good.",
        "done",
    ]


def test_the_answer_is_left_out_where_it_is_printed_elsewhere() -> None:
    narrator = Narrator(hide_answer=True)
    assert "All good." not in tell(
        narrator, answered(1, TextPart("All good.")), Happened("run.ended", {"status": "done"})
    )


def test_an_answer_that_was_sent_back_is_shown() -> None:
    narrator = Narrator(hide_answer=True)
    lines = tell(
        narrator,
        answered(1, TextPart("First try.")),
        Happened("output.rejected", {"step": 1, "complaint": "no number"}),
        answered(2, TextPart("42")),
        Happened("run.ended", {"status": "failed", "reason": "limit steps reached"}),
    )
    assert "First try." in lines
    assert "answer sent back: no number" in lines
    assert "42" in lines  # it did not become the answer, so nobody else prints it
    assert lines[-1] == "failed: limit steps reached"


def test_escape_sequences_and_odd_arguments_are_harmless() -> None:
    evil = "\x1b]0;owned\x07[bold red]x[/]\x9b2J"
    grant = {"tool": evil, "arguments": {evil: [evil]}, "by": evil, "why": evil}
    label = Label(frozenset({f"tool:{evil}"})).encode()
    events = [
        answered(1, TextPart(evil), ThinkingPart(evil), ToolCallPart("c", evil, {}, invalid=evil)),
        Happened("effect.intended", {"tool": evil, "arguments": {evil: evil}}),
        Happened("effect.done", {"content": [{"type": "text", "text": evil}], "is_error": True}),
        Happened("progress", {"tool": evil, "line": evil}),
        Happened("call.refused", {"tool": evil, "reason": evil}),
        Happened("approval.requested", {"tool": evil, "arguments": {"a": evil}, "reason": evil}),
        Happened("approval.answered", {"answer": evil, "by": evil, "reason": evil}),
        Happened("model.failed", {"model": evil, "error": evil, "wait_s": 1}),
        Happened("message.added", {"message": encode(user(evil)), "by": evil}),
        Happened("effect.parked", {"tool": evil, "reason": evil}),
        Happened("run.waiting", {"reason": evil}),
        Happened("run.paused", {"reason": evil}),
        Happened("run.started", {"guard": {"mode": evil, "why": evil, "principals": [evil], "grants": [grant]}}),
        Happened("grants.compiled", {"grants": [grant], "failed": evil}),
        Happened("grant.given", {"by": evil, "grant": grant}),
        Happened("label.lowered", {"by": evil, "target": evil, "reason": evil}),
        Happened("label.restored", {"by": evil, "target": evil, "reason": evil}),
        answered(2, ToolCallPart("p", "run_program", {"source": evil})),
        Happened("program.begun", {"call_id": "p"}),
        Happened("call.nested", {"call_id": "p/1", "tool": evil, "arguments": {evil: evil}}),
        Happened("effect.intended", {"call_id": "p/1", "tool": evil, "why": evil, "grant": evil}),
        Happened("effect.done", {"content": [{"type": "text", "text": evil}], "is_error": True, "handle": evil}),
        Happened("approval.requested", {"labels": {evil: label}, "origins": {evil: evil}, "grant": grant}),
        Happened("program.ended", {"call_id": "p", "shown": evil}),
        Happened("run.ended", {"status": evil, "reason": evil}),
    ]
    text = "\n".join(tell(Narrator(), *events))
    assert "owned" in text
    assert not {c for c in text if ord(c) < 0x20} - {"\n"}
    assert "\x9b" not in text
    assert "cannot be shown" not in text


def test_a_damaged_event_is_reported_and_the_next_one_is_told() -> None:
    narrator = Narrator()
    lines = tell(
        narrator,
        Happened("model.answered", {"step": 1, "message": {"role": "assistant", "parts": [{"type": "hologram"}]}}),
        Happened("model.answered", {}),
        Happened("effect.done", {"content": 3}),
        Happened("some.thing.new", {"x": 1}),
        Happened("run.ended", {"status": "done"}),
    )
    assert "hologram" in lines[0]
    assert lines[1].startswith("event model.answered cannot be shown")
    assert lines[-1] == "done"


def test_a_question_of_several_people_and_a_broken_grant() -> None:
    asked = {"tool": "pay", "arguments": {"to": "x"}, "id": "ap_1", "call_id": "c", "reason": "r", "people": 2}
    grant = {"tool": "pay", "arguments": {"to": ["x"]}}
    [line] = tell(Narrator(), Happened("approval.requested", asked | {"approvers": ["ann", "ben"], "grant": grant}))
    assert line.splitlines()[2:] == [
        '  smallest grant: pay once with to "x"',
        "  who: 2 different people of: ann, ben",
    ]
    brief = tell(Narrator(will_ask=True), Happened("approval.requested", asked))
    assert brief == ['? pay to="x"\n  needs a person\'s yes: r']
    [broken] = tell(Narrator(), Happened("grant.given", {"by": "ann", "grant": {"tool": 3}}))
    assert broken.startswith("granted by ann; a grant that cannot be read: ")


def test_readers_are_counted_in_what_was_spent() -> None:
    narrator = Narrator()
    used = {"in": 30, "out": 12, "calls": 1, "usd": 0.5}
    tell(narrator, Happened("effect.done", {"tool": "ask_reader", "content": [], "usage": used}))
    tell(narrator, Happened("grants.compiled", {"grants": [], "usage": used}))
    assert narrator.tally.text() == "step 0 · 84 tokens · $1.00"


def test_a_transcript_shows_everything_and_live_progress_its_beginning() -> None:
    long = "\n".join(f"line {n}" for n in range(20))
    event = answered(1, ThinkingPart(long), ToolCallPart("c", "t", {}))
    assert "line 19" in "\n".join(tell(Narrator(full=True), event))
    short = "\n".join(tell(Narrator(), event))
    assert "line 19" not in short
    assert "14 more lines" in short
    done = Happened("effect.done", {"content": [{"type": "text", "text": long}], "seconds": 1})
    assert "line 19" in tell(Narrator(full=True), done)[0]


def test_an_unknown_price_is_not_shown_as_nothing() -> None:
    narrator = Narrator()
    narrator.feed(answered(1, TextPart("x"), tokens=10, usd=None))
    assert narrator.tally.text() == "step 1 · 10 tokens · $?"


def test_every_style_has_a_look() -> None:
    narrator = Narrator(full=True)
    lines: list[Line] = []
    for event in [started(), answered(1, TextPart("x"), ThinkingPart("y")), Happened("effect.intended", CALL)]:
        lines.extend(narrator.feed(event))
    assert {line.style for line in lines} <= set(STYLES)
