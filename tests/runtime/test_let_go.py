"""What a tool holds for a run is taken up with the run and let go with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from calculator import Scripted, call
from mainspring import Agent, Run, tool
from mainspring.messages import assistant


def holder(told: list[tuple[str, str, Path]]) -> Any:
    @tool(effect="irreversible", authority=["to"])
    def send(to: str) -> str:
        """Send."""
        return "sent"

    send.recover = lambda run, home: told.append(("recover", run, home))
    send.close = lambda run, home: told.append(("close", run, home))
    return send


@pytest.mark.parametrize("ending", ["done", "failed"])
def test_it_is_let_go_however_the_run_ends(home: Path, ending: str) -> None:
    told: list[Any] = []

    class Model:
        name = "m"

        async def respond(self, *_: Any) -> Any:
            if ending == "failed":
                raise RuntimeError("broken")
            return assistant("hello")

    run = Agent("t", model=Model(), tools=[holder(told)], model_retries=1).run_sync("go", home=home)
    assert run.status == ending
    assert [what for what, *_ in told] == ["close"]
    assert told[0][1:] == (run.id, home)


def test_a_run_that_waits_holds_nothing_and_takes_up_again(home: Path) -> None:
    told: list[Any] = []
    agent = Agent("t", model=Scripted(call("send", to="bob"), assistant("sent")), tools=[holder(told)])
    run = agent.run_sync("go", home=home)
    assert run.status == "waiting"
    assert [what for what, *_ in told] == ["close"]
    run.pending()[0].approve(by="ann")
    assert Run.load(run.id, home).resume_sync(agent).status == "done"
    assert [what for what, *_ in told] == ["close", "recover", "close"]


def test_a_process_does_not_outlive_its_run(home: Path, workspace: Path) -> None:
    from mainspring.tools.shells import loopback_of, process_tools

    script = Scripted(call("start_process", command="sleep 1000", name="s"), assistant("started"))
    agent = Agent("t", model=script, tools=process_tools(), workspace=workspace)
    run = agent.run_sync("go", home=home)
    assert run.status == "done"
    assert loopback_of(run.id, home) is None


def test_a_command_of_the_run_reaches_its_server_and_one_of_another_run_does_not(home: Path, workspace: Path) -> None:
    from mainspring.tools import coding_tools
    from mainspring.tools.shells import process_tools

    (workspace / "page.txt").write_text("served")
    fetch = "python -c \"import urllib.request as u; print(u.urlopen('http://127.0.0.1:8765/page.txt').read())\""
    serve = call("start_process", command="python -u -m http.server 8765 --bind 127.0.0.1", name="web", wait_s=5)
    answers: list[str] = []

    def look(results: list[str]) -> Any:
        answers.append(results[-1])
        return assistant("done")

    script = Scripted(serve, call("run_terminal_command", command=fetch), look)
    tools = [*coding_tools(), *process_tools()]
    other = Agent("other", model=Scripted(call("run_terminal_command", command=fetch), look), tools=coding_tools())

    def meanwhile(results: list[str]) -> Any:
        other.run_sync("go", home=home, workspace=workspace)
        return look(results)

    script.lines = (serve, call("run_terminal_command", command=fetch), meanwhile)
    Agent("t", model=script, tools=tools, workspace=workspace).run_sync("go", home=home)
    assert "refused" in answers[0].lower()  # the other run, while the server runs
    assert "b'served'" in answers[1]
