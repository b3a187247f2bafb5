"""Doubts: settled once, by an answer about the attempt that is in doubt."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mainspring import Agent, Policy, Run, ScriptedModel, tool
from mainspring.errors import ApprovalError
from mainspring.messages import ToolCallPart


class Desk:
    """An agent whose only call is interrupted as often as wanted."""

    def __init__(self, home: Path, name: str) -> None:
        self.home = home
        self.acts = 0
        self.stuck = True

        @tool(effect="irreversible")
        async def act() -> str:
            self.acts += 1
            if self.stuck:
                self.entered.set()
                await asyncio.sleep(60)
            return "acted"

        script = [ToolCallPart("c", "act", {}), "finished"]
        self.agent = Agent(name, model=ScriptedModel(script), tools=[act], policy=Policy(allow=["*"]))

    def interrupt(self) -> Run:
        """Start or resume, stop it while the tool acts, and resume it, so that the call is parked."""

        async def go() -> None:
            self.entered = asyncio.Event()
            known = Run.list(self.home)
            again = known[0].resume(self.agent) if known else self.agent.run("act", home=self.home, run_id="r")
            running = asyncio.ensure_future(again)
            await asyncio.wait_for(self.entered.wait(), 20)
            running.cancel()
            await asyncio.wait({running})

        asyncio.run(go())
        return Run.load("r", self.home).resume_sync(self.agent)


def test_an_answer_about_an_earlier_attempt_settles_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "doubt-attempts")
    run = desk.interrupt()
    assert run.status == "in_doubt"
    (seen_by_ann,) = run.pending()
    (seen_by_bob,) = run.pending()
    seen_by_ann.settle("did_not", by="ann")
    run = desk.interrupt()
    assert (run.status, desk.acts) == ("in_doubt", 2)
    with pytest.raises(ApprovalError, match="tried again since"):
        seen_by_bob.settle("did_not", by="bob")
    desk.stuck = False
    run.resume_sync(desk.agent)
    assert (run.status, desk.acts) == ("in_doubt", 2)
    (doubt,) = run.pending()
    assert doubt.id != seen_by_bob.id
    doubt.settle("happened", by="bob", value="both were seen")
    run.resume_sync(desk.agent)
    assert (run.status, desk.acts) == ("done", 2)


def test_a_doubt_is_settled_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "doubt-once")
    run = desk.interrupt()
    (doubt,) = run.pending()
    with pytest.raises(ApprovalError, match="happened, did_not or abort"):
        doubt.approve(by="ann")
    doubt.settle("abort", by="ann", reason="too late anyway")
    assert run.pending() == []
    with pytest.raises(ApprovalError, match="settled already"):
        doubt.settle("did_not", by="bob")
    run.resume_sync(desk.agent)
    assert (run.status, desk.acts) == ("done", 1)
    (answered,) = [e.payload for e in run.events() if e.kind == "doubt.answered"]
    assert (answered["answer"], answered["by"], answered["attempt"]) == ("abort", "ann", 1)
