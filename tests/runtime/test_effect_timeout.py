"""A call that ran out of time says why, to the person who has to settle it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainspring import Agent, Policy, ScriptedModel, ToolCallPart, Unknown, tool
from mainspring.messages import assistant
from mainspring.tool import DidNotHappen, Settled, Tool


def reason(home: Path, slow: Tool) -> str:
    model = ScriptedModel([assistant("", ToolCallPart("c", slow.name, {"to": "ann"})), assistant("done")])
    agent = Agent("clerk", model=model, tools=[slow], policy=Policy(allow={slow.name}))
    run = agent.run_sync("pay ann", home=home)
    assert run.status == "in_doubt", run.reason
    (doubt,) = run.pending()
    return doubt.reason


def test_what_the_tool_said_is_shown_to_the_person(home: Path) -> None:
    @tool
    async def pay(to: str) -> str:
        """Pay."""
        raise TimeoutError("the bank hung up late")

    assert reason(home, pay) == (
        "pay gave no answer within its own time limit; it may have taken effect. the bank hung up late"
    )


def test_a_long_story_is_cut_and_none_is_none(home: Path) -> None:
    @tool(name="long")
    async def long_(to: str) -> str:
        """Pay."""
        raise TimeoutError("x" * 1_000_000)

    @tool(timeout_s=0.05)
    async def quiet(to: str) -> str:
        """Pay."""
        import asyncio

        await asyncio.sleep(60)
        return ""

    assert 4_000 < len(reason(home, long_)) < 4_200
    assert reason(home, quiet).endswith("it may have taken effect")


def test_a_secret_in_it_is_taken_out(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BANK_TOKEN", "hunter2-hunter2")
    (home / "mainspring.toml").write_text("[secrets.bank]\nfrom = 'env:BANK_TOKEN'\ntools = ['pay']\n")

    @tool
    async def pay(to: str) -> str:
        """Pay."""
        raise TimeoutError("no answer to a request with token hunter2-hunter2")

    said = reason(home, pay)
    assert "no answer to a request with token" in said
    assert "hunter2" not in said


@pytest.mark.parametrize("settled", [DidNotHappen(), Unknown("nobody knows")])
def test_where_the_tool_can_be_asked_its_words_are_kept_too(home: Path, settled: Settled) -> None:
    @tool(reconcile=lambda: settled)
    async def pay(to: str) -> str:
        """Pay."""
        raise TimeoutError("the bank hung up")

    if isinstance(settled, Unknown):
        assert reason(home, pay) == "nobody knows"
        return
    model = ScriptedModel([assistant("", ToolCallPart("c", "pay", {"to": "ann"})), assistant("done")])
    run = Agent("clerk", model=model, tools=[pay], policy=Policy(allow={"pay"})).run_sync("pay ann", home=home)
    (done,) = [e.payload for e in run.events() if e.kind == "effect.done"]
    assert done["is_error"]
    assert done["content"][0]["text"].endswith("did not take effect. the bank hung up")
