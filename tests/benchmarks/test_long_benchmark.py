"""The benchmark of long tasks: its plan is what it says, its model knows only its context, and it can find a loss."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from benchmarks.long.model import Knower
from benchmarks.long.plan import GAP, Plan, answer, make_plan, score
from mainspring import Message, ModelSettings
from mainspring.messages import TextPart, ToolResultPart, user


def say(model: Knower, messages: Sequence[Message]) -> Message:
    return asyncio.run(model.respond(messages, [], ModelSettings()))


def told(text: str, name: str = "work") -> Message:
    return Message("tool", (ToolResultPart(f"c{len(text)}", name, (TextPart(text),), False),))


def test_the_plan_is_the_same_for_every_process_and_asks_late() -> None:
    one, two = make_plan(2000, 7), make_plan(2000, 7)
    assert one == two
    assert one != make_plan(2000, 8)
    assert one.steps >= 2000
    assert one.crashes > 5
    assert one.steering > 20
    assert {kind for kind, _ in one.truth.values()} == set(one.planted)
    for number, part in one.parts.items():
        if part.ask is not None and part.ask[1] == "told":
            assert int(part.ask[2].split("-")[1]) < number - GAP


def test_the_model_answers_from_its_context_alone() -> None:
    ask = told("Part 9. Quiet.\nASK q1 decision De-0008\nNEXT 10")
    (call,) = say(Knower(1000), [user("[mainspring] ... Setting De-0008 reads 4711."), ask]).tool_calls
    assert call.arguments == {"question": "q1", "text": "4711"}
    (call,) = say(Knower(1000), [user("nothing is known"), ask]).tool_calls
    assert call.arguments == {"question": "q1", "text": "unknown"}


def test_the_newest_word_on_a_piece_of_work_counts() -> None:
    lines = [user("todo: Open work Wo-0013: look"), told("Part 80. NOTE done: Open work Wo-0013: look\nOVER")]
    assert say(Knower(1000), [*lines[:1], told("Part 9.\nOVER")]).text == "open: Wo-0013"
    assert say(Knower(1000), lines).text == "open: "


def test_a_wrong_answer_and_a_missing_one_count_as_lost() -> None:
    plan = Plan(planted=dict.fromkeys(("task", "order", "said", "decision", "work", "told"), 1))
    plan.truth = {"q1": ("said", "5"), "q2": ("said", "6"), "q3": ("task", "7")}
    plan.open_work = {"a", "b"}
    found = score(plan, {"q1": "5", "q2": "66"}, {"b", "c"})
    assert found["said"] == {"planted": 1, "asked": 2, "lost": 1}
    assert found["task"]["lost"] == 1
    assert found["work"] == {"planted": 1, "asked": 2, "lost": 2}  # one forgotten, one that is not open


def test_a_part_says_what_is_to_be_done_and_what_comes_next() -> None:
    plan = make_plan(300, 7)
    last = max(plan.parts)
    assert answer(plan.parts[1], 1, last).endswith("NEXT 2")
    assert answer(plan.parts[last], last, last).endswith("OVER")


@pytest.mark.slow
def test_quick_run_prints_the_fields_and_the_control_loses(benchmark_object: Callable[..., dict[str, Any]]) -> None:
    result = benchmark_object("long")
    assert result["steps"] >= 300
    assert result["compactions"] > 3
    assert result["crashes"] > 0
    assert result["steering"] > 0
    assert (result["facts_lost"], result["rules_lost"], result["work_lost"]) == (0, 0, 0)
    assert result["absent_after_folds"] == 0
    assert result["context_tokens_max"] < result["window_tokens"]
    lost = result["control"]
    assert lost["facts_lost"] > 0
    assert lost["rules_lost"] > 0
    assert lost["work_lost"] > 0
