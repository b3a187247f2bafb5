"""Long inputs in pieces: order, rounds, labels, budgets, and what happens to a piece that fails."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmkit import Says

from mainspring import Agent
from mainspring.errors import DeclarationError
from mainspring.label import USER
from mainspring.store import open_store
from mainspring.swarm import Result, map_reduce
from mainspring.swarm.mapreduce import cut, grouped


def joins(task: str) -> str:
    """Keeps the first word of each piece, and joins answers in the order that they come in."""
    said = re.findall(r"^\[input (?:piece|answer) \d+ of \d+\]\n(.*?)(?=\n\n\[|\Z)", task, re.DOTALL | re.MULTILINE)
    return " ".join(s.split()[0] for s in said) if task.startswith("read") else " ".join(said)


def go(home: Path, items: object, model: Says, **more: object) -> Result:
    worker = Agent("worker", model=model)
    return asyncio.run(map_reduce(worker, items, map="read it", reduce="join", home=home, **more))  # type: ignore[arg-type]


def test_answers_are_put_together_in_order_in_rounds(home: Path) -> None:
    model = Says(joins)
    found = go(home, [f"w{n:02} more words" for n in range(30)], model, budget=16)
    assert found.outputs == [" ".join(f"w{n:02}" for n in range(30))[: len(found.outputs[0])]]  # type: ignore[arg-type]
    assert found.satisfied
    assert found.usage.calls == len(model.asked)
    assert len([t for t in model.asked if t.startswith("read")]) == 30
    assert len(open_store(home).children(found.run_id)) == len(model.asked)


def test_a_long_text_is_cut_and_its_label_stays(home: Path) -> None:
    text = "\n\n".join(f"p{n} " + "words " * 40 for n in range(20))
    found = go(home, text, Says(joins), chunk=100)
    assert found.outputs == [" ".join(f"p{n}" for n in range(20))]
    assert found.answers[0].label.strangers == {"paste"}
    mine = go(home, text, Says(joins), chunk=100, label=USER)
    assert mine.answers[0].label.trusted


def test_it_goes_on_where_it_was(home: Path) -> None:
    model = Says(joins)
    first = go(home, ["a", "b", "c"], model, run_id="mine")
    again = go(home, ["a", "b", "c"], model, run_id="mine")
    assert again.outputs == first.outputs == ["a b c"]
    assert len(model.asked) == 4


def test_a_piece_that_fails_is_named(home: Path) -> None:
    def fails(task: str) -> str:
        if "bad" in task:
            raise ValueError("unreadable")
        return joins(task)

    worker = Agent("worker", model=Says(fails), model_retries=1)
    found = asyncio.run(map_reduce(worker, ["a", "bad", "c"], map="read it", reduce="join", home=home))
    assert found.outputs == ["a c"]
    assert [m.index for m in found.missing] == [1]
    assert not found.satisfied


def test_rounds_share_one_budget(home: Path) -> None:
    model = Says(joins, usd=1.0)
    found = go(home, [f"w{n}" for n in range(4)], model, limits={"usd": 4.5}, call_usd=1.0)
    assert (found.usage.usd or 0.0) <= 4.5
    assert [m.status for m in found.missing] == ["not begun"]  # nothing was left to put them together


@pytest.mark.parametrize(
    "wrong", [{"items": ""}, {"items": []}, {"items": "a", "chunk": 1}, {"items": "a", "map": " "}]
)
def test_what_cannot_be_read_is_refused(home: Path, wrong: dict[str, object]) -> None:
    given_: dict[str, object] = {"map": "read", "reduce": "join"} | wrong
    worker = Agent("worker", model=Says(joins))
    with pytest.raises(DeclarationError):
        asyncio.run(map_reduce(worker, given_.pop("items"), home=home, **given_))  # type: ignore[arg-type]


@given(st.text(alphabet="ab \n.", max_size=400), st.integers(4, 50))
def test_cutting_loses_nothing(text: str, size: int) -> None:
    pieces = cut(text, size)
    assert "".join(pieces) == text
    assert all(0 < len(p) <= size for p in pieces)


@given(st.lists(st.integers(0, 100), min_size=2, max_size=60), st.integers(1, 150))
def test_every_round_halves_the_number_at_least(sizes: list[int], budget: int) -> None:
    groups = grouped(sizes, budget)
    assert [n for g in groups for n in g] == list(range(len(sizes)))
    assert len(groups) <= (len(sizes) + 1) // 2
