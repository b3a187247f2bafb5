"""The five tools as an agent has them: declared, small in the prompt, safe over a crash."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from mainspring import Agent, DidNotHappen, Happened, ScriptedModel, ToolCallPart, ToolContext, ToolError, Unknown
from mainspring.messages import Message, assistant
from mainspring.tool import Tool
from mainspring.tools import coding_tools, recovery
from mainspring.tools.undo import list_edits, undo_edit

TOOLS = {tool.name: tool for tool in coding_tools()}


def call(name: str, **arguments: Any) -> Message:
    return assistant("", ToolCallPart(f"c-{name}", name, arguments))


def invoke(name: str, context: ToolContext, **arguments: Any) -> Any:
    tool = TOOLS[name]
    return asyncio.run(tool.call(tool.validate(arguments), context))


def test_declarations() -> None:
    declared = {t.name: (t.effect, t.settlement, t.authority, t.undoable) for t in TOOLS.values()}
    assert declared == {
        "read_file": ("read", "read", ("path",), False),
        "search_codebase": ("read", "read", ("path",), False),
        "edit_file": ("write", "reconcile", ("path",), True),
        "run_terminal_command": ("write", "reconcile", ("command",), True),
        "execute_tests": ("write", "reconcile", ("target",), True),
    }
    assert {source for t in TOOLS.values() for source in t.label.sources} == {"tool:workspace"}


def test_the_prompt_stays_small() -> None:
    text = json.dumps([[t.name, t.description, t.schema] for t in TOOLS.values()], separators=(",", ":"))
    assert len(text) < 2_400  # some 600 tokens
    assert all(t.description for t in TOOLS.values())


def test_each_tool_is_importable_by_itself() -> None:
    from mainspring import tools

    for name in [*TOOLS, "web_fetch"]:
        found = getattr(tools, name)
        assert isinstance(found, Tool)
        assert found.name == name
    with pytest.raises(AttributeError, match="has no attribute 'no_such_tool'"):
        _ = tools.no_such_tool


def test_a_run_finds_mends_and_tests(workspace: Path, home: Path) -> None:
    (workspace / "pytest.ini").write_text("[pytest]\naddopts = -p no:langsmith_plugin -p no:hypothesispytest\n")
    (workspace / "calc.py").write_text("def add(a, b):\n    return a - b\n")
    (workspace / "test_calc.py").write_text("from calc import add\n\ndef test_add():\n    assert add(1, 2) == 3\n")
    model = ScriptedModel(
        [
            call("execute_tests"),
            call("search_codebase", query="def add"),
            call("read_file", path="calc.py"),
            call("edit_file", path="calc.py", old="return a-b", new="return a + b"),
            call("edit_file", path="calc.py", old="return a - b", new="return a + b"),
            call("execute_tests", target="test_calc.py"),
            call("run_terminal_command", command="cat calc.py; exit 3"),
            assistant("mended"),
        ]
    )
    run = Agent("coder", model=model, tools=coding_tools()).run_sync("mend it", workspace=workspace, home=home)
    assert (run.status, run.output) == ("done", "mended")
    events = run.events()
    answers = [e.payload["content"][0]["text"] for e in events if e.kind == "effect.done"]
    assert answers[0].startswith("FAILED (exit code 1): 0 passed, 1 failed")
    assert answers[1].endswith("calc.py:1: def add(a, b):")
    assert answers[2].endswith("    2|     return a - b")
    assert answers[3].endswith("-    return a - b\n+    return a + b")
    assert answers[4].startswith("PASSED: 1 passed")
    assert answers[5] == "exit code 3\ndef add(a, b):\n    return a + b"
    refused = [e.payload["reason"] for e in events if e.kind == "call.refused"]
    assert len(refused) == 1
    assert "Nearest lines" in refused[0]

    (edit,) = list_edits(events)
    assert (edit.path, edit.created) == ("calc.py", False)
    assert undo_edit(home, workspace, edit.payload) == "restored calc.py"
    assert (workspace / "calc.py").read_text() == "def add(a, b):\n    return a - b\n"


def test_without_a_workspace_the_answer_is_clear() -> None:
    with pytest.raises(ToolError, match="this run has no workspace"):
        invoke("read_file", ToolContext(), path="a")


def test_a_workspace_can_be_given_beforehand(workspace: Path) -> None:
    (workspace / "a.txt").write_text("here")
    read = coding_tools(workspace)[0]
    assert asyncio.run(read.call({"path": "a.txt"}, ToolContext())).value.endswith("    1| here")


def test_command_answers(workspace: Path, home: Path) -> None:
    context = ToolContext(workspace=workspace, home=home)
    command = "run_terminal_command"
    assert invoke(command, context, command="echo out; echo err >&2; exit 2") == "exit code 2\nout\nerr"
    assert invoke(command, context, command="true") == "exit code 0\n(no output)"
    assert invoke(command, context, command="printf '\\033[31mred\\033[0m\\033]0;t\\007'") == "exit code 0\nred"
    assert invoke(command, context, command="cat") == "exit code 0\n(no output)", "standard input is closed"
    ended = invoke(command, context, command="echo begun; sleep 1000", timeout_s=1)
    assert ended == "ended: still running after 1 s\nbegun"
    loud = invoke(command, context, command="yes | head -c 100000000; echo end")
    assert len(loud) < 30_000
    assert loud.endswith("\nend")
    assert "bytes left out here" in loud or "characters left out here" in loud
    for bad in ({"command": " "}, {"command": "true", "timeout_s": 0}):
        with pytest.raises(ToolError):
            invoke(command, context, **bad)


def test_progress_is_reported(workspace: Path, home: Path) -> None:
    seen: list[str] = []
    context = ToolContext(workspace=workspace, home=home, report=seen.append)
    invoke("run_terminal_command", context, command="printf '\\033[31mbegun\\033[0m\\n'; sleep 0.7; echo ended")
    assert seen == ["begun", "ended"]


def test_cancelling_ends_the_command_and_waits_for_it(workspace: Path, home: Path) -> None:
    context = ToolContext(workspace=workspace, home=home, key="k")
    tool = TOOLS["run_terminal_command"]

    async def go() -> None:
        task = asyncio.ensure_future(tool.call({"command": "touch begun; sleep 2; touch late"}, context))
        while not (workspace / "begun").exists():  # noqa: ASYNC110  a file cannot be awaited
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not list((home / "commands" / "running").iterdir()), "nothing of it is left when cancel returns"

    asyncio.run(go())
    assert not (workspace / "late").exists()


def test_a_command_is_settled_by_what_it_left(workspace: Path, home: Path) -> None:
    prepared = recovery.prepare(workspace, home)
    context = ToolContext("r", "key-1", workspace, home, prepared)
    assert recovery.reconcile(workspace, context) == DidNotHappen()
    answer = invoke("run_terminal_command", context, command="echo x > made.txt; echo done")
    assert recovery.reconcile(workspace, context) == Happened(answer), "its answer was kept"
    other = ToolContext("r", "key-2", workspace, home, prepared)
    settled = recovery.reconcile(workspace, other)
    assert isinstance(settled, Unknown)
    assert settled.reason.endswith("files changed: +made.txt")
    assert isinstance(recovery.reconcile(workspace, ToolContext("r", "key-3", workspace, home)), Unknown)
