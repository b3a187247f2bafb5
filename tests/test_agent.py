"""Agents are declared rightly or refused with what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mainspring import Agent, Limits, Policy, ScriptedModel, tool
from mainspring.agent import declared
from mainspring.errors import DeclarationError

MODEL = ScriptedModel(["fine"])


@tool(effect="read")
def look(where: str) -> str:
    """Look somewhere."""
    return where


def test_a_declaration(tmp_path: Path) -> None:
    agent = Agent("clerk", model=["local", MODEL], instructions="Be kind.", tools=[look, len_of], workspace=tmp_path)
    assert declared["clerk"] is agent
    assert agent.model_names() == ["local", "scripted"]
    assert list(agent.tools) == ["look", "len_of"]
    assert agent.tools["len_of"].effect == "irreversible"
    assert agent.limits == Limits()
    assert agent.workspace == tmp_path.resolve()
    assert agent.describe()["tools"]["look"] == {
        "effect": "read",
        "settlement": "read",
        "description": "Look somewhere.",
        "authority": ["where"],
        "selector": [],
        "outside": False,
        "undoable": False,
        "server": "",
    }
    assert repr(agent) == "<Agent 'clerk' model=['local', 'scripted'] tools=['look', 'len_of']>"


def len_of(text: str) -> int:
    return len(text)


def test_the_digest_changes_with_the_declaration() -> None:
    first = Agent("clerk", model=MODEL, instructions="a", tools=[look])
    assert first.digest() == Agent("clerk", model=MODEL, instructions="a", tools=[look]).digest()
    others = [
        Agent("clerk", model=MODEL, instructions="b", tools=[look]),
        Agent("clerk", model=MODEL, instructions="a"),
        Agent("clerk", model="local", instructions="a", tools=[look]),
        Agent("other", model=MODEL, instructions="a", tools=[look]),
    ]
    assert len({first.digest(), *(o.digest() for o in others)}) == 5


def test_the_newest_declaration_of_a_name_counts() -> None:
    Agent("twice", model=MODEL)
    second = Agent("twice", model="local")
    assert declared["twice"] is second


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": ""}, "1 to 100 characters"),
        ({"name": "x" * 101}, "1 to 100 characters"),
        ({"name": None}, "1 to 100 characters"),
        ({"instructions": None}, "instructions must be text or the Path"),
        ({"effort": "huge"}, "effort 'huge' is unknown; use one of"),
        ({"effort": ["low"]}, "effort"),
        ({"model": None}, "None is no model: pass a name"),
        ({"model": 5}, "5 is no model"),
        ({"model": ""}, "the model's name is empty"),
        ({"model": []}, "the list of models is empty"),
        ({"model": ["local", 5]}, "5 is no model"),
        ({"tools": [look, look]}, "two tools are called 'look'; rename one"),
        ({"tools": [5]}, "5 is no tool"),
        ({"tools": ["look"]}, "'look' is no tool"),
        ({"tools": "look"}, "tools is a list of tools, not 'look'"),
        ({"tools": look}, "tools is a list"),
        ({"tools": 5}, "tools is a list"),
        ({"policy": "strict"}, "policy must be a Policy, not 'strict'"),
        ({"check": "x"}, "check must be a function, not 'x'"),
        ({"limits": {"dollars": 2}}, "limit 'dollars' is unknown; known are"),
        ({"limits": {"usd": -1}}, "limit 'usd' must be a positive number or None, not -1"),
        ({"limits": {"usd": 0}}, "limit 'usd'"),
        ({"limits": {"usd": float("nan")}}, "limit 'usd'"),
        ({"limits": {"seconds": float("inf")}}, "limit 'seconds'"),
        ({"limits": {"steps": True}}, "limit 'steps'"),
        ({"limits": {"steps": "many"}}, "limit 'steps'"),
        ({"limits": 5}, "limits are a mapping"),
        ({"limits": ["steps"]}, "limits are a mapping"),
        ({"model_retries": 0}, "model_retries"),
        ({"model_timeout_s": 0}, "model_timeout_s"),
        ({"model_timeout_s": None}, "model_timeout_s"),
    ],
)
def test_wrong_declarations_say_what_is_wrong(options: dict[str, Any], message: str) -> None:
    name = options.pop("name", "wrong")
    with pytest.raises(DeclarationError, match=message):
        Agent(name, **({"model": MODEL} | options))
    assert "wrong" not in declared


def test_limits() -> None:
    assert Limits.of(None) == Limits()
    assert Limits.of({"usd": 2, "steps": None}) == Limits(usd=2, steps=None)
    assert Limits.of(Limits(tokens=5)) == Limits(tokens=5)
    with pytest.raises(DeclarationError):
        Limits(steps=-1)


def test_any_policy_that_decides_will_do() -> None:
    assert Agent("p", model=MODEL, policy=Policy(deny="x")).policy is not None
