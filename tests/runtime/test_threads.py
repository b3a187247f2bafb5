"""Tools that block: each has a thread of its own, which cannot be stopped, so the runtime must live with it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from mainspring import Agent, Policy, ScriptedModel, ToolCallPart, ToolContext, tool
from mainspring.messages import assistant
from mainspring.runtime import RunEvent


def call(name: str, /, **arguments: Any) -> ToolCallPart:
    return ToolCallPart("", name, arguments)


_PROGRAM = """
import threading
from mainspring import *

def hang():
    threading.Event().wait()

def stop():
    return next(iter([]))

def leave():
    raise SystemExit(3)

async def leave_async():
    raise SystemExit(3)

act = tool(effect="read", name="act", timeout_s={timeout_s})({name})
run = Agent("x", model=ScriptedModel([ToolCallPart("", "act", {{}}), "ok"]), tools=[act]).run_sync("go", home={home!r})
print(run.status, [e.payload["content"][0]["text"] for e in run.events() if e.kind == "effect.done"])
"""


@pytest.mark.parametrize(
    ("name", "timeout_s", "said"),
    [
        ("hang", 0.2, "no answer within 0.2 s"),
        ("stop", None, "StopIteration"),
        ("leave", None, "SystemExit: 3"),
        ("leave_async", None, "SystemExit: 3"),
    ],
)
def test_whatever_a_tool_does_to_its_thread_the_run_goes_on(
    tmp_path: Path, name: str, timeout_s: float | None, said: str
) -> None:
    program = _PROGRAM.format(name=name, timeout_s=timeout_s, home=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith("done"), done.stderr
    assert said in done.stdout


def test_a_call_is_begun_at_once_or_not_at_all(tmp_path: Path) -> None:
    """Calls that hang must not make later ones begin after they were given up."""
    gate = threading.Event()
    paid: list[int] = []

    @tool(effect="read", timeout_s=0.1)
    def look(n: int) -> None:
        gate.wait(20)

    @tool(timeout_s=10)
    def pay() -> str:
        paid.append(1)
        return "paid"

    async def main() -> str:
        pool = (os.cpu_count() or 1) + 5
        looks = assistant("", *(call("look", n=n) for n in range(pool)))
        agent = Agent(
            "x", model=ScriptedModel([looks, call("pay"), "ok"]), tools=[look, pay], policy=Policy(allow=["*"])
        )
        try:
            run = await agent.run("go", home=tmp_path)
        finally:
            gate.set()
        return run.status

    assert asyncio.run(main()) == "done"
    assert paid == [1]


def test_a_call_that_still_works_is_not_made_again(tmp_path: Path) -> None:
    gate, ended = threading.Event(), threading.Event()
    made: list[int] = []

    @tool(timeout_s=0.1)
    def pay() -> str:
        made.append(1)
        if len(made) == 1:
            gate.wait(20)
            ended.set()
        return "paid"

    agent = Agent("x", model=ScriptedModel([call("pay"), "ok"]), tools=[pay], policy=Policy(allow=["*"]))
    run = agent.run_sync("go", home=tmp_path)
    (doubt,) = run.pending()
    assert "be still at work" in doubt.reason
    doubt.settle("did_not", by="ann")  # ann is wrong: it has not ended
    assert run.resume_sync().status == "in_doubt"
    assert made == [1]
    gate.set()
    assert ended.wait(20)
    for thread in threading.enumerate():
        if thread.name.startswith("mainspring-call-"):
            thread.join(20)
    (doubt,) = run.pending()
    doubt.settle("did_not", by="ann")
    assert run.resume_sync().status == "done"
    assert made == [1, 1]


def test_progress_of_a_thread_is_told_in_the_event_loop(tmp_path: Path) -> None:
    told: list[int] = []

    @tool(effect="read")
    def look(context: ToolContext) -> str:
        context.report("half way")
        return "seen"

    def watch(event: RunEvent) -> None:
        if event.kind == "progress":
            told.append(threading.get_ident())

    Agent("x", model=ScriptedModel([call("look"), "ok"]), tools=[look]).run_sync("go", home=tmp_path, on_event=watch)
    assert told == [threading.get_ident()]
