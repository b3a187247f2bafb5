"""When Mainspring dies by SIGKILL, what it ran dies with it, before it can do anything more."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mainspring.tool import ToolContext, Unknown
from mainspring.tools import recovery
from mainspring.tools.supervise import process_start

OWNER = """
import asyncio, sys, threading
from pathlib import Path
from mainspring.tool import ToolContext
from mainspring.tools import run_terminal_command
workspace, home, command = sys.argv[1:4]
context = ToolContext("r", "key", Path(workspace), Path(home))
asyncio.run(run_terminal_command.call({"command": command}, context))
"""


NETWORKED = OWNER.replace(
    "from mainspring.tools import run_terminal_command",
    """
from mainspring.tools import coding_tools
granted = coding_tools(sandbox={"hosts": ["good.test"]})
(run_terminal_command,) = [tool for tool in granted if tool.name == "run_terminal_command"]
""",
)


def start(workspace: Path, home: Path, command: str, owner: str = OWNER) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", owner, str(workspace), str(home), command])


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.005)


def wait_gone(pid: int, began: str) -> None:
    deadline = time.monotonic() + 30
    while process_start(pid) == began:
        assert time.monotonic() < deadline, f"process {pid} lives on"
        time.sleep(0.005)


DETACHED = "(setsid bash -c 'touch begun; sleep 1; touch late' > /dev/null 2>&1 &); "


@pytest.mark.parametrize("program", [OWNER, NETWORKED], ids=["alone", "with a host"])
@pytest.mark.parametrize("command", ["touch begun; sleep 1; touch late", DETACHED + "sleep 60"])
def test_nothing_survives_kill_nine(workspace: Path, home: Path, command: str, program: str) -> None:
    owner = start(workspace, home, command, program)
    wait_for(workspace / "begun")
    (record,) = (home / "commands" / "running").iterdir()
    first = json.loads(record.read_text())
    assert process_start(first["pid"]) == first["start"]
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    wait_gone(first["pid"], first["start"])
    time.sleep(1.3)
    assert not (workspace / "late").exists()


@pytest.mark.slow
def test_killed_at_any_moment_of_the_start(workspace: Path, home: Path) -> None:
    """Either the command never began, or it ended with its owner: it never runs on alone."""
    folders: list[tuple[int, Path]] = []
    for delay in range(0, 60, 3):
        # Each in a folder of its own, so that one wait at the end serves all of them.
        inside, own = workspace / str(delay), home / str(delay)
        inside.mkdir()
        own.mkdir()
        owner = start(inside, own, "touch begun; sleep 0.5; touch late")
        # Importing takes most of the start; the sandbox is set up in the last few hundredths of a second.
        running = own / "commands" / "running"
        deadline = time.monotonic() + 60
        while not running.exists():
            assert time.monotonic() < deadline
            time.sleep(0.001)
        time.sleep(delay / 1000)
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        folders.append((delay, inside))
    time.sleep(0.8)
    for delay, inside in folders:
        assert not (inside / "late").exists(), f"killed after {delay} ms, the command ran on"


def test_recovery_ends_what_outlived_its_owner(workspace: Path, home: Path) -> None:
    """Should a sandbox ever live on, settling its call kills it first and looks at the workspace after."""
    prepared = recovery.prepare(workspace, home)
    context = ToolContext("r", "key", workspace, home, prepared)
    survivor = subprocess.Popen(["sleep", "60"])
    record = recovery.record_file(context)
    assert record is not None
    record.write_text(json.dumps({"pid": survivor.pid, "start": process_start(survivor.pid)}))
    (workspace / "half").write_text("x")
    settled = recovery.reconcile(workspace, context)
    assert survivor.wait(timeout=10) == -signal.SIGKILL
    assert isinstance(settled, Unknown)
    assert "+half" in settled.reason
    assert not record.exists()


def test_recovery_never_kills_a_stranger_with_a_reused_number(workspace: Path, home: Path) -> None:
    context = ToolContext("r", "key", workspace, home, recovery.prepare(workspace, home))
    record = recovery.record_file(context)
    assert record is not None
    record.write_text(json.dumps({"pid": os.getpid(), "start": "1"}))
    recovery.reconcile(workspace, context)
    record.write_text("damaged")
    recovery.reconcile(workspace, context)
