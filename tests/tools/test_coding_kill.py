"""A run that is killed between a tool's act and its outcome settles it by looking, and goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mainspring import Agent, Run, ScriptedModel, ToolCallPart
from mainspring.messages import assistant
from mainspring.tools import coding_tools

KILLED = """
import json, os, signal, sys
from mainspring import Agent, ScriptedModel, ToolCallPart, points
from mainspring.messages import assistant
from mainspring.tools import coding_tools
point, name, arguments, workspace, home = sys.argv[1:]
def die(at):
    if at == point:
        os.kill(os.getpid(), signal.SIGKILL)
points.hook = die
model = ScriptedModel([assistant("", ToolCallPart("c", name, json.loads(arguments))), assistant("done")])
Agent("coder", model=model, tools=coding_tools()).run_sync("go", workspace=workspace, home=home, run_id="r1")
"""

EDIT = ("edit_file", {"path": "a.txt", "old": "one", "new": "two"})
COMMAND = ("run_terminal_command", {"command": "echo x >> a.txt"})


@pytest.mark.parametrize("point", ["intent.committed", "effect.before_act", "effect.acted", "outcome.before_commit"])
@pytest.mark.parametrize("call", [EDIT, COMMAND], ids=["edit", "command"])
def test_killed_and_resumed_it_happens_exactly_once(
    workspace: Path, home: Path, point: str, call: tuple[str, dict[str, str]]
) -> None:
    (workspace / "a.txt").write_text("one\n")
    name, arguments = call
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, point, name, json.dumps(arguments), str(workspace), str(home)], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    model = ScriptedModel([assistant("", ToolCallPart("c", name, arguments)), assistant("done")])
    agent = Agent("coder", model=model, tools=coding_tools())
    run = Run.load("r1", home=home)
    run.resume_sync(agent)
    assert run.status == "done", run.reason
    expected = "two\n" if call is EDIT else "one\nx\n"
    assert (workspace / "a.txt").read_text() == expected
    assert sorted(os.listdir(workspace)) == ["a.txt"]
    (done,) = [e.payload for e in run.events() if e.kind == "effect.done"]
    acted = point in ("effect.acted", "outcome.before_commit")
    assert done["settled"] == ("adopted" if acted else "ran")
    text = done["content"][0]["text"]
    assert text.startswith("edited a.txt\n--- a.txt") if call is EDIT else text == "exit code 0\n(no output)"
