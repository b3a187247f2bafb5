"""Commands that try to see, reach, keep or break more than their workspace.

These tests need bubblewrap, and fail without it: a machine that cannot run them cannot run commands either.
"""

from __future__ import annotations

import http.server
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mainspring.errors import SandboxError
from mainspring.tools import sandbox as module
from mainspring.tools.sandbox import CommandResult, Sandbox, SandboxLimits, check


@pytest.fixture
def sandbox(workspace: Path, home: Path) -> Sandbox:
    return Sandbox(workspace, home=home)


def sh(sandbox: Sandbox, command: str, timeout_s: float = 30, **options: object) -> CommandResult:
    return sandbox.run(["bash", "-c", command], timeout_s=timeout_s, **options)  # type: ignore[arg-type]


def test_the_check_passes_here() -> None:
    works, detail, fix = check()
    assert works, f"{detail}; {fix}"
    assert detail.startswith("bubblewrap ")


def test_exit_codes_and_output(sandbox: Sandbox) -> None:
    result = sh(sandbox, "echo out; echo err >&2; exit 7")
    assert (result.exit_code, result.output, result.ended) == (7, "out\nerr\n", "exit")
    assert sh(sandbox, "kill -9 $$").exit_code == 137
    assert sandbox.run(["/nonexistent"]).exit_code == 127
    assert sh(sandbox, "pwd").output.strip() == str(sandbox.workspace)


def test_only_the_workspace_is_writable(sandbox: Sandbox) -> None:
    (sandbox.workspace / "a.txt").write_text("")
    result = sh(
        sandbox,
        "for f in /x /usr/x /etc/x /bin/x /dev/x /home/x /var/x /proc/x /root/x "
        "$(python -c 'import sys; print(sys.prefix)')/x; do touch $f 2>/dev/null && echo wrote $f; done; "
        "touch here /tmp/ok ~/ok && echo fine",
    )
    assert result.output == "fine\n"
    assert (sandbox.workspace / "here").exists()
    assert not Path("/tmp/ok").exists()
    sh(sandbox, "touch ../beside")
    assert not (sandbox.workspace.parent / "beside").exists(), "the folders above are not the real ones"


def test_nothing_outside_can_be_read(sandbox: Sandbox, tmp_path: Path, home: Path) -> None:
    (tmp_path / "neighbour.txt").write_text("neighbour")
    (home / "journal.db").write_text("journal")
    (sandbox.workspace / "link").symlink_to(tmp_path / "neighbour.txt")
    user_home = os.path.expanduser("~")
    result = sh(
        sandbox,
        f"cat {tmp_path}/neighbour.txt {home}/journal.db link /etc/shadow /proc/1/root{home}/journal.db "
        f"/proc/self/root{tmp_path}/neighbour.txt {user_home}/.bashrc {user_home}/.gitconfig 2>/dev/null; "
        f"ls -A {user_home} {home} /root/.ssh /home/* 2>/dev/null; ls /sys /run 2>/dev/null",
    )
    assert "neighbour" not in result.output
    assert "journal" not in result.output
    assert ".ssh" not in result.output
    assert ".bash" not in result.output


def test_a_home_inside_the_workspace_is_hidden(workspace: Path) -> None:
    inside = workspace / ".mainspring"
    inside.mkdir()
    (inside / "journal.db").write_text("journal")
    result = sh(Sandbox(workspace, home=inside), "ls -A .mainspring; cat .mainspring/*; echo x > .mainspring/y")
    assert "journal" not in result.output
    assert os.listdir(inside) == ["journal.db"]


def test_the_environment_carries_no_secret(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-you")
    result = sh(sandbox, "env; cat /proc/*/environ | tr '\\0' '\\n'; ps axe 2>/dev/null")
    assert "HOME=/home/agent" in result.output
    assert "sk-not-for-you" not in result.output


def test_no_network(sandbox: Sandbox) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("0.0.0.0", 0), Handler)
    port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind(f"\0mainspring-{os.getpid()}")
    abstract.listen()
    knock = (
        "import socket, sys\n"
        f"for kind, where in [(socket.AF_INET, ('127.0.0.1', {port})), (socket.AF_INET, ('{_address()}', {port})),\n"
        f"        (socket.AF_INET, ('1.1.1.1', 53)), (socket.AF_UNIX, '\\0mainspring-{os.getpid()}')]:\n"
        "    try:\n"
        "        s = socket.socket(kind); s.settimeout(2); s.connect(where); print('REACHED', where)\n"
        "    except OSError as error:\n"
        "        print('refused')\n"
    )
    try:
        assert (
            subprocess.run([sys.executable, "-c", knock], capture_output=True, text=True).stdout.count("REACHED") >= 2
        )
        assert sandbox.run([str(sandbox.python), "-c", knock]).output == "refused\n" * 4
    finally:
        server.shutdown()
        server.server_close()
        abstract.close()


def _address() -> str:
    """An address of this machine besides the loopback, if there is one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("10.255.255.255", 1))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def test_no_privileges_and_no_way_to_get_them(sandbox: Sandbox) -> None:
    status = sh(sandbox, "cat /proc/self/status").output
    assert "CapEff:\t0000000000000000" in status
    assert "CapBnd:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    result = sh(
        sandbox,
        "id -u; mount -t tmpfs none /tmp && echo MOUNTED; unshare -Ur true 2>/dev/null && echo NEW-NAMESPACE; "
        "cp /bin/bash ./b && chmod u+s b && ./b -p -c 'id -u'; su -c id 2>/dev/null && echo SU; "
        "cat /proc/sys/kernel/panic > /proc/sys/kernel/panic && echo SYSCTL; dmesg >/dev/null 2>&1 && echo DMESG",
    )
    assert "MOUNTED" not in result.output
    assert "SYSCTL" not in result.output
    assert "SU" not in result.output
    assert [line for line in result.output.splitlines() if line.isdigit()] == ["1000", "1000"]
    if module.bwrap_version() >= (0, 8):
        assert "NEW-NAMESPACE" not in result.output


def test_no_terminal_and_no_input(sandbox: Sandbox) -> None:
    probe = (
        "import fcntl, os, sys, termios\n"
        "print(sys.stdin.read() == '', os.isatty(0))\n"
        "try:\n"
        "    tty = os.open('/dev/tty', os.O_RDWR); fcntl.ioctl(tty, termios.TIOCSTI, b'x'); print('TYPED')\n"
        "except OSError:\n"
        "    print('no terminal')\n"
    )
    assert sandbox.run([str(sandbox.python), "-c", probe]).output == "True False\nno terminal\n"


def test_no_descriptor_is_inherited(sandbox: Sandbox) -> None:
    result = sandbox.run([str(sandbox.python), "-c", "import os; print(sorted(os.listdir('/proc/self/fd')))"])
    assert result.output == "['0', '1', '2', '3']\n", "0, 1, 2 and the listing itself"


def test_other_processes_are_not_there(sandbox: Sandbox) -> None:
    result = sh(sandbox, f"ls /proc | grep -c '^[0-9]'; kill -9 {os.getpid()} 2>/dev/null && echo KILLED")
    assert int(result.output.split()[0]) < 8
    assert "KILLED" not in result.output


def test_a_fork_bomb_is_bounded(workspace: Path, home: Path) -> None:
    limits = SandboxLimits(processes=60)
    count = (
        "import os, time\n"
        "made = 0\n"
        "for _ in range(3000):\n"
        "    try:\n"
        "        if os.fork() == 0:\n"
        "            time.sleep(60)\n"
        "            os._exit(0)\n"
        "        made += 1\n"
        "    except OSError:\n"
        "        break\n"
        "print('made', made, flush=True)\n"
        "time.sleep(1)\n"
    )
    box = Sandbox(workspace, home=home, limits=limits)
    result = box.run([str(box.python), "-c", count], timeout_s=30)
    if result.ended == "exit":
        assert int(result.output.split()[1]) < 60
    else:
        assert result.ended == "processes"
    bomb = sh(box, ":(){ :|:& };:; sleep 20", timeout_s=2)
    assert bomb.ended in ("timeout", "processes")
    assert sh(box, "echo still well").output == "still well\n"


def test_memory_file_size_and_cpu_are_bounded(workspace: Path, home: Path) -> None:
    box = Sandbox(workspace, home=home, limits=SandboxLimits(memory_bytes=1 << 30, file_bytes=1 << 20, cpu_s=1))
    assert "MemoryError" in box.run([str(box.python), "-c", "x = bytearray(2 << 30)"]).output
    sh(box, "head -c 10000000 /dev/zero > big")
    assert (workspace / "big").stat().st_size == 1 << 20
    spun = sh(box, "while :; do :; done", timeout_s=60)
    assert (spun.ended, spun.exit_code) == ("cpu", None)
    assert "limit `cpu_s`" in spun.notes[0]


def test_temporary_space_is_bounded(workspace: Path, home: Path) -> None:
    if module.bwrap_version() < (0, 8):
        pytest.skip("this bubblewrap cannot bound it")
    box = Sandbox(workspace, home=home, limits=SandboxLimits(tmp_bytes=1 << 20))
    result = sh(box, "for f in /tmp ~ /var/tmp /dev/shm; do head -c 3000000 /dev/zero > $f/x; stat -c %s $f/x; done")
    sizes = [int(line) for line in result.output.splitlines() if line.isdigit()]
    assert len(sizes) == 4
    assert max(sizes) <= 1 << 20


def test_a_hundred_megabytes_of_output(sandbox: Sandbox) -> None:
    result = sh(sandbox, "echo first; yes | head -c 100000000; echo last")
    assert result.exit_code == 0
    assert result.output.startswith("first\ny\n")
    assert result.output.endswith("y\nlast\n")
    assert len(result.output) < 300_000
    assert result.dropped_bytes == 100_000_000 + 11 - SandboxLimits().output_bytes


def test_a_command_that_never_ends(sandbox: Sandbox) -> None:
    result = sh(sandbox, "trap '' TERM INT HUP; echo begun; while :; do sleep 1; done", timeout_s=1)
    assert (result.ended, result.exit_code, result.output) == ("timeout", None, "begun\n")


def test_daemons_end_with_the_command(sandbox: Sandbox) -> None:
    result = sh(
        sandbox,
        "(setsid nohup bash -c 'echo $$ > begun; sleep 1; touch late' >/dev/null 2>&1 &) ; "
        "while ! [ -s begun ]; do sleep 0.01; done; echo done",
    )
    assert result.output == "done\n"
    assert subprocess.run(["pgrep", "-f", "sleep 1; touch late"], check=False).returncode == 1
    assert not (sandbox.workspace / "late").exists()


def test_another_thread_can_stop_a_command(sandbox: Sandbox) -> None:
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    assert sh(sandbox, "sleep 100", stop=stop).ended == "cancelled"


def test_unfit_workspaces_are_refused(tmp_path: Path, workspace: Path) -> None:
    (tmp_path / "link").symlink_to("/usr")
    for folder in ("/", "/usr", "/usr/lib", "/etc", "/proc/self", tmp_path / "link", os.path.expanduser("~")):
        with pytest.raises(SandboxError, match=r"part of the system|holds the home folder"):
            Sandbox(folder)
    with pytest.raises(SandboxError, match="not a folder"):
        Sandbox(tmp_path / "absent")
    with pytest.raises(SandboxError, match="outside the workspace"):
        Sandbox(workspace).run(["true"], cwd="../..")


def test_a_workspace_cannot_name_other_folders_as_its_python(workspace: Path, tmp_path: Path) -> None:
    loot = tmp_path / "loot"
    (loot / "bin").mkdir(parents=True)
    (loot / "key.txt").write_text("loot")
    (loot / "bin" / "python").symlink_to("/usr/bin/python3")
    (workspace / ".venv" / "bin").mkdir(parents=True)
    (workspace / ".venv" / "bin" / "python").symlink_to(loot / "bin" / "python")
    (workspace / ".venv" / "pyvenv.cfg").write_text(f"home = {loot}/bin\n")
    result = sh(Sandbox(workspace), f"cat {loot}/key.txt; ls {loot}; echo end")
    assert "loot\n" not in result.output
    assert "key.txt\n" not in result.output.replace("loot/key.txt", "")
    assert result.output.endswith("end\n")


def test_without_bubblewrap_nothing_runs(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.shutil, "which", lambda *arguments, **options: None)
    with pytest.raises(SandboxError, match="apt-get install bubblewrap"):
        Sandbox(workspace)
    works, detail, fix = check()
    assert not works
    assert detail.startswith("bubblewrap is not installed")
    assert "apt-get install bubblewrap" in fix


def test_a_sandbox_that_cannot_be_set_up_says_so(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub = tmp_path / "bwrap"
    stub.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    stub.chmod(0o755)
    box = Sandbox(workspace)
    box._bwrap = str(stub)
    with pytest.raises(SandboxError, match="No permissions to create new namespace; allow unprivileged"):
        box.run(["true"])
    stub.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(SandboxError, match="no command ran"):
        box.run(["touch", "ran"])
    assert not (workspace / "ran").exists()


def test_a_command_that_cannot_be_started(sandbox: Sandbox) -> None:
    for command in ("echo " + "x" * 200_000, "lone \ud800 surrogate", "nul \0 byte"):
        with pytest.raises(SandboxError, match="the command cannot be started"):
            sh(sandbox, command)
