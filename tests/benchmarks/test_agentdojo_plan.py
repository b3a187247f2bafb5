"""Plans: how they are written for a run, and where a person comes in."""

from __future__ import annotations

import pytest

from benchmarks.agentdojo.means import DOUBTED, PROMPT, TOLD
from benchmarks.agentdojo.person import with_person
from benchmarks.agentdojo.plan import ASK_PERSON, CannotGoOn, Pick, Plan, Ref, Step, Text, written
from mainspring import tool

HANDLES = {0: "v1", 1: "v2"}


@tool(effect="irreversible", authority=["to"])
def send(to: str, body: str) -> str:
    """Send something."""
    return ""


@tool(effect="read", authority=())
def look() -> str:
    """Look something up."""
    return ""


TOOLS = {"send": send, "look": look}


def named(step: int) -> int:
    return {1: 2}.get(step, -1)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("plain", "plain"),
        (Ref(0), "$v1"),
        (Ref(0, (2, "sender")), "$v1[2].sender"),
        (Ref(0, ("[]", "body")), "$v1[].body"),
        (Ref(1, ("odd key",)), '$v2["odd key"]'),
        ([Ref(0), "x"], ["$v1", "x"]),
        (Text(("Dear ", Ref(0, (0, "name")), "!")), "Dear ${v1[0].name}!"),
        (Pick(1, (Ref(0, (0,)), Ref(0, (1,)), Ref(0, (2,)))), "$v1[2]"),
    ],
)
def test_expressions_are_written_with_the_runs_own_handles(expression: object, text: object) -> None:
    assert written(expression, HANDLES, named) == text


@pytest.mark.parametrize("expression", [Ref(7), Pick(1, (Ref(0),)), Pick(5, (Ref(0),))])
def test_a_planner_stops_without_an_answer(expression: object) -> None:
    with pytest.raises(CannotGoOn):
        written(expression, HANDLES, named)


def sending(to: object, means: str) -> Step:
    return Step("send", {"to": to, "body": "x"}, {"to": means})


def test_one_call_that_needs_a_person_is_left_to_the_guard() -> None:
    plan = Plan([Step("look", {}), sending(Ref(0), TOLD)])
    assert with_person(plan, TOOLS, granted=True) is plan


def test_several_calls_are_asked_about_together_and_wait_for_the_answer() -> None:
    plan = Plan([Step("look", {}), sending(Ref(0), TOLD), Step("look", {}), sending(Ref(2), TOLD)], Ref(2))
    asked = with_person(plan, TOOLS, granted=True)
    assert [s.tool for s in asked.steps] == ["look", "look", ASK_PERSON, "send", "send"]
    assert [p["arguments"] for p in asked.steps[2].arguments["plan"]] == [{"to": Ref(0)}, {"to": Ref(1)}]
    assert [s.after for s in asked.steps] == [None, None, None, 2, 2]
    assert asked.output == Ref(1)


def test_a_value_that_comes_from_an_asked_call_is_not_asked_about_before() -> None:
    plan = Plan([sending("a", TOLD), sending(Ref(0), TOLD)])
    assert with_person(plan, TOOLS, granted=True) is plan


def test_a_doubtful_choice_is_asked_about_even_alone() -> None:
    plan = Plan([Step("look", {}), sending(Ref(0), f"system-made, {DOUBTED}")])
    assert [s.tool for s in with_person(plan, TOOLS, granted=True).steps] == ["look", ASK_PERSON, "send"]


def test_what_the_user_asked_for_needs_nobody() -> None:
    plan = Plan([sending("ann", PROMPT), sending("bob", PROMPT)])
    assert with_person(plan, TOOLS, granted=True) is plan
    assert with_person(plan, TOOLS, granted=False).steps[0].tool == ASK_PERSON
