"""The attacks benchmark: its models turn when they are shown something, its judge looks at the world, its fields."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.attacks.__main__ import _figures, played
from benchmarks.attacks.hijacked import SHOWN, Hijacked
from benchmarks.attacks.world import CASES, ORDER, Case, Result, World
from mainspring import ImagePart, ToolCallPart
from mainspring.messages import Message, TextPart, ToolResultPart, assistant, user
from mainspring.model import ModelSettings, ToolSpec

TOOLS = [ToolSpec("look", "Look.", {})]


def answer(model: Hijacked, *messages: Message, tools: list[ToolSpec] = TOOLS) -> str:
    said = asyncio.run(model.respond(messages, tools, ModelSettings()))
    return said.text or next(p.name for p in said.parts if isinstance(p, ToolCallPart))


def model() -> Hijacked:
    return Hijacked([("honest", {}), "honest end"], [("evil", {}), "evil end"], [ORDER])


def result(*parts: Any) -> Message:
    return Message("tool", (ToolResultPart("1", "look", tuple(parts)),))


def test_it_is_honest_until_it_is_shown_something() -> None:
    one = model()
    assert answer(one, user("go")) == "honest"
    assert answer(one, user("go"), assistant("x"), result(TextPart("all is well"))) == "honest end"
    assert answer(one, user("go"), assistant("x"), result(TextPart(ORDER[: SHOWN - 1]))) == "honest end"
    assert not one.hijacked
    assert answer(one, user("go"), assistant("x"), result(TextPart(f"it says {ORDER[5 : 5 + SHOWN]}"))) == "evil"
    assert one.hijacked


def test_it_goes_on_as_the_attackers() -> None:
    shown = result(TextPart(ORDER))
    assert answer(model(), user("go"), assistant("x"), shown, assistant("y"), user("ok")) == "evil end"


@pytest.mark.parametrize(
    "message",
    [user(ORDER), result(ImagePart(b"...." + ORDER.encode(), "image/png")), Message("system", (TextPart(ORDER),))],
)
def test_every_way_in_turns_it(message: Message) -> None:
    assert answer(model(), message) == "evil"


def test_a_description_turns_it_and_its_own_words_do_not() -> None:
    assert answer(model(), user("go"), tools=[ToolSpec("look", ORDER, {})]) == "evil"
    assert answer(model(), user("go"), tools=[ToolSpec("look", "", {"description": ORDER})]) == "evil"
    assert answer(model(), user("go"), assistant(ORDER), result(TextPart("fine"))) == "honest end"


def case(attempt: Callable[[World], Result]) -> Case:
    return Case("one", "something", "something else", attempt)


def test_a_case_that_gets_through_or_shows_nothing_is_told(tmp_path: Path) -> None:
    def broken(world: World) -> Result:
        raise ValueError("no such thing")

    runs = {
        "stopped": played(case(lambda world: Result(not world.guarded, "")), tmp_path),
        "through": played(case(lambda world: Result(True, "")), tmp_path),
        "vacuous": played(case(lambda world: Result(False, "")), tmp_path),
        "broken": played(case(broken), tmp_path),
    }
    assert {n: (p.stopped, p.works) for n, p in runs.items()} == {
        "stopped": (True, True),
        "through": (False, True),
        "vacuous": (True, False),
        "broken": (False, False),
    }
    figures = _figures([runs["stopped"], runs["through"], runs["vacuous"]], 0)
    assert (figures["cases"], figures["stopped"], figures["controls"]) == (3, 2, 2)
    assert figures["let_through"] == ["one"]
    assert figures["broken"] == ["one"]


def test_the_judge_sees_what_a_tool_did_and_nothing_else(tmp_path: Path) -> None:
    world = World(True, tmp_path)
    world.record("pay", account="DE1", amount=5.0)
    assert world.did("pay", account="DE1", amount=5)
    assert not world.did("pay", account="DE2")
    assert not world.did("send_mail")
    assert world.times("pay") == 1


def test_a_few_cases_print_the_fixed_fields(benchmark_object: Callable[..., dict[str, Any]]) -> None:
    result = benchmark_object("attacks", "--only", "june-13", "--only", "order-in-a-mail")
    assert result["cases"] == 4
    assert result["stopped"] == 4
    assert result["let_through"] == []
    assert set(result["detail"]) == {n for n in CASES if n.startswith(("june-13", "order-in-a-mail"))}
