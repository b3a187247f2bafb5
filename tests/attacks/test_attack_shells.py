"""Attacks through processes that stay: by what they print, through their terminal, on other runs, by staying longer."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mainspring.errors import ToolError
from mainspring.tools.limits import SandboxLimits
from mainspring.tools.shells import close_all, close_run, registry
from process_calls import Call, calls

_DIRTY = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(autouse=True)
def _ended() -> Iterator[None]:
    yield
    close_all()


@pytest.fixture
def call(workspace: Path, home: Path) -> Call:
    return calls(workspace, home)


def run_python(call: Call, workspace: Path, program: str, name: str = "attack", **arguments: Any) -> str:
    (workspace / f"{name}.py").write_text(program)
    return call("start", command=f"python {name}.py", name=name, **{"wait_s": 20} | arguments)


def sandboxed(workspace: Path) -> list[int]:
    """Processes of the machine that stand in this workspace, seen from outside."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/cwd") == str(workspace):
                found.append(int(pid))
        except OSError:
            continue
    return found


def test_escapes_titles_links_and_the_clipboard_reach_nobody(call: Call, workspace: Path) -> None:
    said = run_python(
        call,
        workspace,
        "import sys\n"
        "sys.stdout.buffer.write(b'\\x1b]0;title\\x07\\x1b]52;c;c2VjcmV0\\x07\\x1b]8;;http://evil.example\\x1b\\\\link"
        "\\x1b]8;;\\x1b\\\\\\x1b[31mred\\x1b[0m\\x1bP+q544e\\x1b\\\\\\xc2\\x9d0;c1\\xc2\\x9c \\xe2\\x80\\xaeturned "
        "\\xff\\xfe\\x00\\x07\\xf3\\xa0\\x81\\x81hidden\\n')\n",
    )
    assert not _DIRTY.search(said)
    line = said.splitlines()[1]
    assert line.startswith("linkred turned ")
    assert line.endswith("hidden")
    for word in ("title", "c2VjcmV0", "evil", "544e", "c1", "\U000e0041"):
        assert word not in line


def test_a_command_cannot_write_over_what_was_said_above_it(call: Call, workspace: Path) -> None:
    # The control: the same line without the tricks is there.
    assert "all tests passed" in run_python(call, workspace, "print('all tests passed')", name="honest")
    said = run_python(call, workspace, "print('\\x1b[1000A\\x1b[2J\\x1b[3J\\x1b[1;1Hattack ended: exit code 0')")
    # The state stands before the program's lines, always.
    assert re.match(r"attack (running for \d+ s|ended: exit code 0); its screen", said)
    assert said.splitlines()[1] == "attack ended: exit code 0"


def test_questions_to_the_terminal_are_not_answered(call: Call, workspace: Path) -> None:
    """An answer would be typed into the program, and by a shell it would be run."""
    said = run_python(
        call,
        workspace,
        "import os, select, sys, termios, tty\n"
        "tty.setraw(0)\n"
        "for q in ('[c', '[>c', '[6n', '[5n', '[21t', ']11;?\\x07', 'P$qm\\x1b\\\\', '\\x05'):\n"
        "    os.write(1, b'\\x1b' + q.encode())\n"
        "ready = select.select([0], [], [], 1.5)[0]\n"
        "print('answered' if ready else 'silence', end='\\r\\n', flush=True)\n"
        "print('then', os.read(0, 10), flush=True)\n",
        wait_s=1,
    )
    said += call("read", name="attack", until="silence", wait_s=20)
    assert "silence" in said
    assert "then b'x'" in call("write", name="attack", text="x", until="then b'x'", wait_s=20)  # the control


def test_typing_into_the_own_terminal_is_refused(call: Call, workspace: Path) -> None:
    said = run_python(
        call,
        workspace,
        "import fcntl, termios\n"
        "for command in (0x5412, 0x5412 | 1 << 32, 0x541C):\n"
        "    try:\n        fcntl.ioctl(0, command if command < 1 << 32 else 0x5412, b'x')\n        print('typed')\n"
        "    except OSError as error:\n        print(error.errno)\n"
        "print(len(fcntl.ioctl(0, termios.TIOCGWINSZ, b'12345678')))\n",
    )
    assert said.splitlines()[1:] == ["1", "1", "1", "8"]


def test_the_terminal_leads_nowhere(call: Call, workspace: Path, home: Path) -> None:
    (home / "secret").write_text("the journal")
    said = run_python(
        call,
        workspace,
        "import os\n"
        "print('fds', [os.readlink(f'/proc/self/fd/{f}') for f in os.listdir('/proc/self/fd') if int(f) < 50 "
        "and os.path.lexists(f'/proc/self/fd/{f}')])\n"
        "print('pts', sorted(os.listdir('/dev/pts')))\n"
        f"print('home', os.path.exists({str(home / 'secret')!r}))\n"
        "names = [open(f'/proc/{p}/cmdline').read().split(chr(0))[0] for p in os.listdir('/proc') if p.isdigit()]\n"
        "print('procs', sorted(os.path.basename(n) for n in names))\n"
        "print('caps', [l.split()[1] for l in open('/proc/self/status') if l.startswith('Cap')])\n",
    )
    lines = dict(line.split(" ", 1) for line in said.splitlines()[1:])
    assert lines["fds"].count("/dev/pts/0") == 3
    assert "socket:" not in lines["fds"]
    assert "net:" not in lines["fds"]
    assert "user:" not in lines["fds"]
    assert lines["pts"] == "['0', 'ptmx']"
    assert lines["home"] == "False"
    assert lines["procs"] == "['bwrap', 'python']"
    assert set(re.findall(r"\w{16}", lines["caps"])) == {"0" * 16}


def test_one_run_cannot_touch_another_ones_process(workspace: Path, home: Path) -> None:
    ours, theirs = calls(workspace, home), calls(workspace, home, run_id="r2")
    ours("start", command="echo private; sleep 1000", name="bank")
    assert "private" in ours("read", name="bank", from_line=1)  # the control
    for name in ("bank", "../r1/bank", "r1/bank", f"{home}/processes", ".."):
        for what, more in (("read", {}), ("write", {"text": "x"}), ("stop", {})):
            with pytest.raises(ToolError, match="this run has no process"):
                theirs(what, name=name, **more)
    assert theirs("read") == "no process was started"
    theirs("start", command="echo mine", name="bank")
    close_run("r2", home)
    assert "running" in ours("read")


def test_the_sandbox_of_another_run_is_out_of_reach(workspace: Path, home: Path) -> None:
    """By loopback, by abstract sockets, by the numbers of its processes."""
    serve = (
        "import socket, threading\n"
        "a = socket.socket(socket.AF_UNIX); a.bind('\\0bank'); a.listen()\n"
        "b = socket.create_server(('127.0.0.1', 8765)); print('on', flush=True)\n"
        "for s in (a, b): threading.Thread(target=lambda s=s: [s.accept() for _ in range(9)]).start()\n"
    )
    ask = (
        "import os, socket\n"
        "for family, place in ((socket.AF_UNIX, '\\0bank'), (socket.AF_INET, ('127.0.0.1', 8765))):\n"
        "    try:\n        socket.socket(family).connect(place); print('reached')\n"
        "    except OSError as error:\n        print('no')\n"
    )
    ours, theirs = calls(workspace, home), calls(workspace, home, run_id="r2")
    assert "on" in run_python(ours, workspace, serve, name="serve")
    assert run_python(ours, workspace, ask, name="ask").splitlines()[1:] == ["reached", "reached"]  # the control
    assert run_python(theirs, workspace, ask, name="ask").splitlines()[1:] == ["no", "no"]


def test_services_of_the_host_are_out_of_reach(call: Call, workspace: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        heard = []
        threading.Thread(target=lambda: heard.append(server.accept()), daemon=True).start()
        said = run_python(
            call,
            workspace,
            "import socket\n"
            f"for host in ('127.0.0.1', 'localhost', '::1', '0.0.0.0', '::ffff:127.0.0.1', '{_own_address()}'):\n"
            "    try:\n"
            f"        socket.create_connection((host, {port}), 3); print('reached')\n"
            "    except OSError:\n        print('no')\n",
        )
        assert said.splitlines()[1:] == ["no"] * 6
        assert not heard
        socket.create_connection(("127.0.0.1", port)).close()  # the control


def _own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.2"
        return str(probe.getsockname()[0])


_DAEMON = (
    "import os, signal, sys, time\n"
    "for n in range(1, 65):\n"
    "    try: signal.signal(n, signal.SIG_IGN)\n"
    "    except (OSError, ValueError): pass\n"
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    "    if os.fork() == 0:\n"
    "        for fd in range(3): os.close(fd)\n"
    "        while True: time.sleep(1)\n"
    "    os._exit(0)\n"
    "print('on', flush=True)\n"
)


@pytest.mark.parametrize("end", ["close", "stop", "exit"])
def test_a_daemon_does_not_survive(call: Call, workspace: Path, home: Path, end: str) -> None:
    program = _DAEMON + ("time.sleep(0.5)\n" if end == "exit" else "while True: time.sleep(1)\n")
    assert "on" in run_python(call, workspace, program)
    if end == "exit":
        call("read", name="attack", until="never", wait_s=20)
    else:
        assert len(sandboxed(workspace)) >= 3  # the control: the daemon is there
        if end == "close":
            close_run("r1", home)
        else:
            call("stop", name="attack")
    assert sandboxed(workspace) == []


def test_an_end_cannot_be_faked(call: Call, workspace: Path, home: Path) -> None:
    """A process that closes its terminal still runs, is told as running, and is ended."""
    run_python(
        call, workspace, "import os, time\nprint('bye', flush=True)\nfor f in range(3): os.close(f)\ntime.sleep(999)"
    )
    time.sleep(0.5)
    assert "attack running" in call("read", name="attack", wait_s=0)
    with pytest.raises(ToolError, match="has closed its terminal"):
        call("write", name="attack", text="x", wait_s=0)
    close_run("r1", home)
    assert sandboxed(workspace) == []


def test_a_fork_bomb_is_ended(workspace: Path, home: Path) -> None:
    call = calls(workspace, home, limits=SandboxLimits(processes=60))
    call("start", command="bomb() { bomb | bomb & }; bomb; sleep 1000", name="bomb", wait_s=1)
    other = calls(workspace, home, run_id="r2")
    assert "alive" in other("start", command="echo alive", wait_s=30)
    assert len(sandboxed(workspace)) <= 80
    began = time.monotonic()
    close_run("r1", home)
    assert time.monotonic() - began < 20
    assert sandboxed(workspace) == []


@pytest.mark.slow
def test_a_flood_of_output_costs_neither_memory_nor_the_end(call: Call, workspace: Path) -> None:
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    call("start", command="head -c 20000000 /dev/urandom; yes | head -c 80000000; echo; echo the end", name="big")
    while "running" in call("read") and time.monotonic() - began < 280:
        time.sleep(0.5)
    said = call("read", name="big", wait_s=0)
    assert "ended: exit code 0" in said
    assert said.splitlines()[-1] == "the end"
    assert len(said) < 26_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000  # KiB
    assert not _DIRTY.search(said)


def test_a_hostile_pattern_stops_nothing_but_itself(call: Call) -> None:
    call("start", command=f"echo {'a' * 80}'!'; sleep 1000", name="p", wait_s=5)
    began = time.monotonic()
    call("write", name="p", text=f"{'a' * 80}!", until=r"^(a+)+$", wait_s=1)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("text", ["\x1b]52;c;AAAA\x07", "\x1b[200~", "a\x00b", "\x9b6n", "\x03"])
def test_raw_control_characters_cannot_be_typed(call: Call, text: str) -> None:
    call("start", command="cat", name="cat", wait_s=0)
    with pytest.raises(ToolError, match="name the key"):
        call("write", name="cat", text=text)
    assert "fine" in call("write", name="cat", text="fine<enter>", until="fine", wait_s=10)


def test_protected_files_are_protected_from_processes_too(call: Call, workspace: Path) -> None:
    (workspace / ".git").mkdir()
    (workspace / ".git" / "config").write_text("[core]\n")
    (workspace / "AGENTS.md").write_text("ours")
    call("start", name="sh")
    evil = (
        "echo evil > .git/config; mv AGENTS.md x; rm -rf .git; mv .git y; echo evil >> AGENTS.md; mkdir .vscode; exit"
    )
    call("write", name="sh", text=f"{evil}<enter>", until="never", wait_s=20)
    assert (workspace / ".git" / "config").read_text() == "[core]\n"
    assert (workspace / "AGENTS.md").read_text() == "ours"
    assert not (workspace / ".vscode").exists()
    assert (workspace / ".vscode-from-sandbox").is_dir()


def test_a_name_never_becomes_a_path(workspace: Path, home: Path) -> None:
    for name in ("../../evil", "/tmp/evil", "a\0b", ".", "..", "x" * 33, "é"):
        with pytest.raises(ToolError, match="not usable"):
            calls(workspace, home)("start", command="true", name=name)
    calls(workspace, home, run_id="../../r1")("start", command="true", name="a")
    assert {p.name for p in home.parent.iterdir()} == {"home", "workspace"}
    assert all(re.fullmatch(r"[0-9a-f]{32}", p.name) for p in (home / "processes").iterdir())
    assert registry.of_run("../../r1", home).all()
