"""Processes do not outlive Mainspring, and a run that goes on after a crash is told plainly that they are gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mainspring import Agent, Run, ScriptedModel, ToolCallPart
from mainspring.messages import assistant
from mainspring.tools.shells import close_all, process_tools, recover_run

KILLED = """
import json, os, signal, sys
from mainspring import Agent, ScriptedModel, ToolCallPart, points
from mainspring.messages import assistant
from mainspring.tools.shells import process_tools
point, number, asked, workspace, home = sys.argv[1:]
number = int(number)
def die(at):
    global number
    if at == point:
        number -= 1
        if number == 0:
            os.kill(os.getpid(), signal.SIGKILL)
points.hook = die
calls = [assistant("", ToolCallPart(f"c{i}", name, arguments)) for i, (name, arguments) in enumerate(json.loads(asked))]
model = ScriptedModel([*calls, assistant("done")])
Agent("coder", model=model, tools=process_tools()).run_sync("go", workspace=workspace, home=home, run_id="r1")
"""
START = (
    "start_process",
    {"command": "echo on; (setsid sleep 4242 &); exec sleep 4242", "name": "server", "wait_s": 10},
)
READ = ("read_process", {"name": "server", "wait_s": 0})


def run_until_killed(workspace: Path, home: Path, point: str, number: int, *calls: tuple[str, object]) -> None:
    command = [sys.executable, "-c", KILLED, point, str(number), json.dumps(calls), str(workspace), str(home)]
    killed = subprocess.run(command, check=False, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr


def resumed(home: Path, *calls: tuple[str, dict[str, object]]) -> Run:
    """The run, gone on with a model that makes these calls; its first ones may be in the journal already."""
    parts = [assistant("", ToolCallPart(f"c{i}", name, arguments)) for i, (name, arguments) in enumerate(calls)]
    run = Run.load("r1", home=home)
    run.resume_sync(Agent("coder", model=ScriptedModel([*parts, assistant("done")]), tools=process_tools()))
    return run


def answers(run: Run) -> list[str]:
    return [e.payload["content"][0]["text"] for e in run.events() if e.kind == "effect.done"]


def sleepers(workspace: Path) -> list[int]:
    """Processes that have to do with a workspace."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            here = os.readlink(f"/proc/{pid}/cwd") == str(workspace)
        except OSError:
            continue
        if (here and line[:2] == [b"sleep", b"4242"]) or (b"bwrap" in line[0] and str(workspace).encode() in line):
            found.append(int(pid))
    return found


def gone(workspace: Path) -> bool:
    deadline = time.monotonic() + 10
    while sleepers(workspace) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not sleepers(workspace)


def test_killed_nothing_is_left_and_the_run_is_told(workspace: Path, home: Path) -> None:
    run_until_killed(workspace, home, "outcome.before_commit", 2, START, READ)
    assert gone(workspace)
    run = resumed(home, START, READ)
    assert run.status == "done", run.reason
    told = answers(run)
    assert told[0].splitlines()[-1] == "on"
    assert "ended when Mainspring itself was ended" in told[1]
    assert "start it again: echo on;" in told[1]
    assert gone(workspace)


@pytest.mark.parametrize("point", ["intent.committed", "effect.before_act"])
def test_killed_before_it_began_it_is_started(workspace: Path, home: Path, point: str) -> None:
    run_until_killed(workspace, home, point, 1, START)
    run = resumed(home, START)
    assert run.status == "done", run.reason
    (done,) = [e.payload for e in run.events() if e.kind == "effect.done"]
    assert done["settled"] == "ran"
    close_all()
    assert gone(workspace)


@pytest.mark.parametrize("point", ["effect.acted", "outcome.before_commit"])
def test_killed_after_it_began_it_is_not_started_again(workspace: Path, home: Path, point: str) -> None:
    run_until_killed(workspace, home, point, 1, START)
    run = resumed(home, START)
    (done,) = [e.payload for e in run.events() if e.kind == "effect.done"]
    assert done["settled"] == "adopted"
    assert "it has ended since, when Mainspring itself was ended" in done["content"][0]["text"]
    assert not sleepers(workspace)


def test_killed_while_typing_what_changed_is_for_a_person(workspace: Path, home: Path) -> None:
    shell = ("start_process", {"name": "sh"})
    typed = ("write_process", {"name": "sh", "text": "echo x >> a.txt; sleep 4242<enter>", "wait_s": 600})
    command = [sys.executable, "-c", KILLED, "never", "1", json.dumps([shell, typed]), str(workspace), str(home)]
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 30
    while not (workspace / "a.txt").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(sleepers(workspace)) >= 2  # bubblewrap and the command: what the other tests look for can be found
    process.kill()
    process.wait()
    assert gone(workspace)
    run = resumed(home, shell, typed)
    assert run.status == "in_doubt"
    assert "files changed" in run.reason
    assert (workspace / "a.txt").read_text() == "x\n"


def test_a_program_that_ends_takes_its_processes_along(workspace: Path, home: Path) -> None:
    command = [sys.executable, "-c", KILLED, "never", "1", json.dumps([START]), str(workspace), str(home)]
    subprocess.run(command, check=True, timeout=60)
    assert not sleepers(workspace)


def test_what_a_lost_process_left_is_set_aside_before_anything_else(workspace: Path, home: Path) -> None:
    evil = ("start_process", {"command": "sleep 1; echo evil > .envrc; exec sleep 4242", "name": "e", "wait_s": 0})
    later = ("read_process", {"name": "e", "until": "never", "wait_s": 600})
    command = [sys.executable, "-c", KILLED, "never", "1", json.dumps([evil, later]), str(workspace), str(home)]
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 30
    while not (workspace / ".envrc").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    (workspace / ".envrc-from-sandbox").unlink(missing_ok=True)
    (workspace / ".envrc").write_text("evil again")  # as if it had been made right before the end
    recover_run("r1", home)
    assert not (workspace / ".envrc").exists()
    (workspace / ".envrc").write_text("mine")
    close_all()
    recover_run("r1", home)  # it was looked at; what a person puts there afterwards stays
    assert (workspace / ".envrc").read_text() == "mine"


def test_what_a_killed_process_left_for_later_is_set_aside(workspace: Path, home: Path) -> None:
    evil = ("start_process", {"command": "echo evil > .envrc; echo on; exec sleep 4242", "name": "e", "wait_s": 10})
    run_until_killed(workspace, home, "outcome.before_commit", 1, evil)
    assert (workspace / ".envrc").exists()
    run = resumed(home, evil)
    assert not (workspace / ".envrc").exists()
    assert (workspace / ".envrc-from-sandbox").read_text() == "evil\n"
    assert "it has ended since" in answers(run)[-1]
    close_all()
