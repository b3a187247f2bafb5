"""Processes that stay: a terminal in the sandbox, output as it comes, ports among a run's processes, and their end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mainspring.errors import DeclarationError, SandboxError, ToolError
from mainspring.tool import ToolContext
from mainspring.tools.limits import SandboxLimits
from mainspring.tools.provenance import WORKSPACE
from mainspring.tools.sandbox import Sandbox, new_loopback
from mainspring.tools.shells import ProcessLimits, close_all, close_run, loopback_of, process_tools, registry
from mainspring.tools.shells.process import Process
from process_calls import Call, calls


@pytest.fixture(autouse=True)
def _ended() -> Iterator[None]:
    yield
    close_all()


@pytest.fixture
def call(workspace: Path, home: Path) -> Call:
    return calls(workspace, home)


def test_a_shell_keeps_its_state_and_has_a_terminal(call: Call, workspace: Path) -> None:
    (workspace / "sub").mkdir()
    assert "$" in call("start", name="sh")
    call("write", name="sh", text="cd sub; X=41<enter>")
    said = call("write", name="sh", text="tty; stty size; pwd; echo $((X+1)) $TERM<enter>", until="linux")
    assert [line for line in said.splitlines() if "$" not in line][1:] == [
        "/dev/pts/0",
        "30 160",
        str(workspace / "sub"),
        "42 linux",
    ]
    assert said.startswith("sh running for ")
    call("write", name="sh", text="touch made<enter>", wait_s=1)
    assert (workspace / "sub" / "made").exists()
    assert "exit code 5" in call("write", name="sh", text="exit 5<enter>", until="never")


def test_what_ends_before_anybody_looks_has_been_started(workspace: Path, home: Path) -> None:
    process = Process("quick", "true", Sandbox(workspace, home=home), 60)

    class Late(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            return process.ended.wait(timeout)

    process._ready = Late()
    process.start()
    assert process.state() == "ended: exit code 0"


def test_output_comes_once_and_can_be_read_again(call: Call) -> None:
    said = call("start", command="for i in 1 2 3; do echo out $i; done; read x; echo got $x; exit 7")
    assert said.splitlines()[1:] == ["out 1", "out 2", "out 3"]
    assert call("read", name="p1", wait_s=0).endswith("nothing new after line 3")
    said = call("write", name="p1", text="hello<enter>", until="nothing", wait_s=20)
    assert said.splitlines() == ["p1 ended: exit code 7; lines 4-5", "hello", "got hello"]
    assert call("read", name="p1", from_line=2).splitlines() == [
        "p1 ended: exit code 7; lines 2-5",
        "out 2",
        "out 3",
        "hello",
        "got hello",
    ]
    assert call("read") == "p1 ended: exit code 7: for i in 1 2 3; do echo out $i; done; read x; echo got $x; e"


def test_waiting_ends_at_a_pattern_or_at_its_time(call: Call) -> None:
    began = time.monotonic()
    call("start", command="echo one; sleep 1; echo ready on port 80; sleep 60", name="a", wait_s=0)
    said = call("read", name="a", until=r"port \d+$", wait_s=30)
    assert said.splitlines()[-1] == "ready on port 80"
    assert 0.9 < time.monotonic() - began < 20
    began = time.monotonic()
    call("read", name="a", until="never", wait_s=1)
    assert 0.9 < time.monotonic() - began < 10
    with pytest.raises(ToolError, match="no regular expression"):
        call("read", name="a", until="(", wait_s=5)


def test_keys_reach_the_program_in_front(call: Call) -> None:
    call("start", name="sh")
    # What is computed can only come from the program in front itself, so the next key reaches it and not the shell.
    text = "sh -c 'echo begun$((1)); exec sleep 1000'<enter>"
    call("write", name="sh", text=text, until="begun1", wait_s=30)
    call("write", name="sh", text="<ctrl-c>", wait_s=2)
    assert "code 130" in call("write", name="sh", text="echo code $?<enter>", until="code 130", wait_s=20)
    call("write", name="sh", text="echo again$((1))<enter>", until="again1", wait_s=20)
    assert "again1" in call("write", name="sh", text="<up><enter>", until="again1", wait_s=20)
    assert "ended: exit code 0" in call("write", name="sh", text="<ctrl-d>", until="never", wait_s=20)
    with pytest.raises(ToolError, match="ended: exit code 0; nothing can be typed"):
        call("write", name="sh", text="x")


def test_a_program_that_draws_is_seen_as_its_screen(call: Call) -> None:
    program = "import curses\ndef m(s):\n s.addstr(5, 10, 'in the middle'); s.getkey()\ncurses.wrapper(m)"
    said = call("start", command=f'python -c "{program}"', name="c", wait_s=20)
    assert "; its screen, lines 1-6" in said
    assert said.splitlines()[-1] == " " * 10 + "in the middle"
    assert "exit code 0" in call("write", name="c", text="q", until="never", wait_s=20)


@pytest.mark.slow
def test_stopping_asks_first_and_then_insists(call: Call, workspace: Path) -> None:
    (workspace / "polite.py").write_text(
        "import signal, sys, time\nsignal.signal(15, lambda *a: (open('bye', 'w'), sys.exit(3)))\n"
        "print('on', flush=True)\ntime.sleep(99)\n"
    )
    call("start", command="python polite.py", name="polite", wait_s=20)
    assert "exit code 3" in call("stop", name="polite")
    assert (workspace / "bye").exists()
    call("start", command="trap '' TERM INT HUP; echo on; while true; do sleep 1; done", name="deaf", wait_s=20)
    assert "ended: it was stopped" in call("stop", name="deaf")
    assert "ended: it was stopped" in call("stop", name="deaf")  # once more does no harm


def test_names(call: Call) -> None:
    call("start", command="sleep 60", name="web", wait_s=0)
    with pytest.raises(ToolError, match="running already"):
        call("start", command="sleep 60", name="web")
    for name in ("../x", "a/b", "a b", "x" * 33, "..", "a\n"):
        with pytest.raises(ToolError, match="not usable"):
            call("start", command="true", name=name)
        with pytest.raises(ToolError, match="has no process"):
            call("read", name=name)
    with pytest.raises(ToolError, match="there are: web"):
        call("stop", name="x")
    call("stop", name="web")
    assert call("start", command="echo second", name="web").splitlines()[-1] == "second"


def test_wrong_arguments_say_what_to_do(call: Call, workspace: Path, home: Path) -> None:
    with pytest.raises(ToolError, match="from 0 to 600"):
        call("start", command="true", wait_s=601)
    with pytest.raises(ToolError, match="NUL"):
        call("start", command="a\0b")
    with pytest.raises(ToolError, match="belong to a run"):
        calls(workspace, home, run_id="")("start", command="true")
    assert call("read") == "no process was started"
    with pytest.raises(ToolError, match="none was started"):
        call("read", name="x")
    with pytest.raises(SandboxError, match="not a folder"):
        calls(workspace / "missing", home)("start", command="true")
    with pytest.raises(DeclarationError, match="above 0"):
        ProcessLimits(count=0)


def test_what_a_run_may_start_is_bounded(workspace: Path, home: Path) -> None:
    call = calls(workspace, home, processes=ProcessLimits(count=2))
    call("start", command="sleep 60", wait_s=0)
    call("start", command="sleep 60", wait_s=0)
    with pytest.raises(ToolError, match=r"2 processes run already \(p1, p2\); stop one first"):
        call("start", command="sleep 60")
    calls(workspace, home, run_id="r2")("start", command="true")
    call("stop", name="p1")
    call("start", command="true", wait_s=0)


@pytest.mark.slow
def test_time_ends_what_nobody_asks_for(workspace: Path, home: Path) -> None:
    call = calls(workspace, home, processes=ProcessLimits(idle_s=2))
    call("start", command="sleep 60", wait_s=0)
    for _ in range(4):
        time.sleep(0.8)
        assert "running" in call("read")
    time.sleep(4.5)
    assert "ended: nothing was asked of the run's processes for 2 s" in call("read")
    call = calls(workspace, home, run_id="r2", processes=ProcessLimits(max_s=1))
    call("start", command="sleep 60", name="long", wait_s=0)
    assert "time limit of 1 s" in call("read", name="long", until="never", wait_s=20)


def test_limits_of_the_sandbox_hold(workspace: Path, home: Path) -> None:
    limits = SandboxLimits(total_memory_bytes=400_000_000, processes=40)
    call = calls(workspace, home, limits=limits)
    call("start", command="python -c 'x = b\"x\" * 300_000_000; print(len(x))'", wait_s=60)
    said = call("read", name="p1", until="never", wait_s=30)
    assert "more than 100 MB of memory" in said
    assert "300000000" not in said


def test_processes_of_a_run_reach_each_other_and_nobody_else_does(workspace: Path, home: Path) -> None:
    call = calls(workspace, home)
    (workspace / "serve.py").write_text(
        "import socket\ns = socket.create_server(('127.0.0.1', 8123))\nprint('on', flush=True)\n"
        "while True:\n    c, _ = s.accept(); c.sendall(b'hello from the run'); c.close()\n"
    )
    (workspace / "ask.py").write_text(
        "import socket\ntry:\n    print(socket.create_connection(('127.0.0.1', 8123), 5).recv(99).decode())\n"
        "except OSError as e:\n    print('refused', type(e).__name__)\n"
    )
    assert "on" in call("start", command="python serve.py", name="server", wait_s=20)
    assert "hello from the run" in call("start", command="python ask.py", name="client", wait_s=20)
    loopback = loopback_of("r1", home)
    assert loopback is not None
    inside = Sandbox(workspace, home=home, loopback=loopback)
    assert inside.run([str(inside.python), "ask.py"]).output == "hello from the run\n"
    # Nobody else: not the host, not another run, not a command without the run's network, not one with hosts.
    ask = [sys.executable, str(workspace / "ask.py")]
    assert subprocess.run(ask, capture_output=True, text=True, check=True).stdout.startswith("refused")
    assert "refused" in calls(workspace, home, run_id="r2")("start", command="python ask.py", wait_s=20)
    outside = Sandbox(workspace, home=home)
    assert outside.run([str(outside.python), "ask.py"]).output.startswith("refused")
    granted = Sandbox(workspace, home=home, hosts=["example.com"], loopback=loopback)
    assert granted.loopback is None
    assert granted.run([str(granted.python), "ask.py"]).output.startswith("refused")
    assert loopback_of("r3", home) is None


def test_a_shared_network_gives_no_rights(workspace: Path) -> None:
    loopback = new_loopback()
    try:
        sandbox = Sandbox(workspace, loopback=loopback)
        said = sandbox.run(
            ["bash", "-c", "grep Cap /proc/self/status; cat /proc/net/dev; ls /proc/self/fd; id -u"]
        ).output
        lines = said.splitlines()
        assert [line.split()[1] for line in lines if line.startswith("Cap")] == ["0" * 16] * 5
        assert [line.split(":")[0].strip() for line in lines if ":" in line and "Cap" not in line][-1] == "lo"
        assert sum(":" in line and "Cap" not in line for line in lines) == 1
        assert lines[-5:] == ["0", "1", "2", "3", "1000"]  # 3 is the folder being listed
        for command in ("ip link set lo down", "ip addr add 10.9.9.9/8 dev lo"):
            tried = sandbox.run(["bash", "-c", f"PATH=/usr/sbin:/sbin:$PATH; {command}"])
            assert tried.exit_code != 0
    finally:
        loopback.close()
    assert loopback.descriptors == [-1, -1]


def test_closing_a_run_ends_its_processes_and_no_others(workspace: Path, home: Path) -> None:
    first, second = calls(workspace, home), calls(workspace, home, run_id="r2")
    first("start", command="(setsid sleep 1000 &) ; sleep 1000", name="a", wait_s=0)
    second("start", command="sleep 1000", name="a", wait_s=0)
    ours = registry.of_run("r1", home).get("a")
    close_run("r1", home)
    assert ours.ended.is_set()
    assert "the run stopped" in ours.state()
    assert "running" in second("read")
    with pytest.raises(ToolError, match="ended when the run stopped"):
        first("read", name="a")
    close_run("r1", home)
    close_run("never")
    close_run("r2")
    assert second("read") == "no process was started"


def _children() -> set[int]:
    """Every child of this process, also one that has ended and was not waited for."""
    found: set[int] = set()
    for listed in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):  # the thread has ended
            found.update(map(int, listed.read_text().split()))
    return found


def test_nothing_is_left_behind(workspace: Path, home: Path) -> None:
    call = calls(workspace, home)
    before = set(os.listdir("/proc/self/fd"))
    others = _children()  # such as the library's readers, which wait a while for another file
    for _ in range(3):
        call("start", command="echo x", wait_s=20)
    call("start", command="sleep 1000", wait_s=0)
    assert _children() - others
    close_run("r1", home)
    deadline = time.monotonic() + 5
    while len(os.listdir("/proc/self/fd")) > len(before) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(os.listdir("/proc/self/fd")) <= len(before)
    assert _children() <= others


@pytest.mark.slow
def test_files_that_run_later_are_set_aside_while_it_goes_on_and_at_its_end(workspace: Path, home: Path) -> None:
    (workspace / "AGENTS.md").write_text("ours")
    call = calls(workspace, home)
    call("start", name="sh")
    call("write", name="sh", text="echo evil > AGENTS.md; echo evil > .envrc; mkdir -p d/.vscode<enter>", wait_s=1)
    deadline = time.monotonic() + 20
    while not (workspace / ".envrc-from-sandbox").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    said = call("read", name="sh", wait_s=1)
    assert "was renamed to .envrc-from-sandbox" in said
    assert (workspace / "d" / ".vscode-from-sandbox").is_dir()
    assert (workspace / "AGENTS.md").read_text() == "ours"
    assert "renamed" not in call("read", name="sh", wait_s=0)
    call("write", name="sh", text="echo evil > .envrc; exit<enter>", until="never", wait_s=20)
    assert not (workspace / ".envrc").exists()


def test_the_tools_say_what_they_may_do() -> None:
    tools = {tool.name: tool for tool in process_tools()}
    assert sorted(tools) == ["read_process", "start_process", "stop_process", "write_process"]
    for name, tool in tools.items():
        assert tool.effect == ("read" if name == "read_process" else "write")
        assert tool.label == WORKSPACE
        assert not tool.outside
        assert tool.undoable == (name != "read_process")
        assert "name" in tool.selector
    assert tools["start_process"].authority == ("command",)
    assert tools["write_process"].authority == ("text",)
    prompt = sum(len(t.description) + len(str(t.schema)) for t in tools.values())
    assert prompt < 3200, prompt


def test_cancelling_a_start_ends_it(workspace: Path, home: Path) -> None:
    functions = {tool.name: tool.function for tool in process_tools()}
    context = ToolContext(run_id="r1", workspace=workspace, home=home, key="k")

    async def main() -> None:
        start = asyncio.ensure_future(
            functions["start_process"](context=context, command="echo on; sleep 1000", name="a", wait_s=600)
        )
        await asyncio.sleep(0.05)
        start.cancel()
        with pytest.raises(asyncio.CancelledError):
            await start

    asyncio.run(main())
    assert "its start was cancelled" in registry.of_run("r1", home).get("a").state()


def test_a_process_that_reads_nothing_says_so(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainspring.tools.shells.process._WRITE_S", 0.5)
    call("start", command="stty raw -echo; sleep 1000", name="deaf", wait_s=1)

    def flood() -> None:
        for _ in range(20):
            call("write", name="deaf", text="x" * 30_000, wait_s=0)

    with pytest.raises(ToolError, match="reads no input"):
        flood()


def test_signal_numbers_are_told_as_exit_codes(call: Call) -> None:
    said = call("start", command="kill -9 $$", wait_s=20)
    assert f"exit code {128 + signal.SIGKILL}" in said
