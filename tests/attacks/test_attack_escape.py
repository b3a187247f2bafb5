"""Ways out of a sandbox: system calls, /proc, links, sockets, floods, and one's own approval."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mainspring.tools import cgroup, supervise
from mainspring.tools.sandbox import CommandResult, Sandbox, SandboxLimits


@pytest.fixture
def sandbox(workspace: Path, home: Path) -> Sandbox:
    return Sandbox(workspace, home=home)


def sh(sandbox: Sandbox, command: str, timeout_s: float = 60) -> CommandResult:
    return sandbox.run(["bash", "-c", command], timeout_s=timeout_s)


def py(sandbox: Sandbox, program: str, timeout_s: float = 60) -> CommandResult:
    return sandbox.run([str(sandbox.python), "-c", program], timeout_s=timeout_s)


CALLS = """
import ctypes, errno, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) for a in arguments])
    return 'OK' if result >= 0 else errno.errorcode[ctypes.get_errno()]
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of system calls of x86_64")
def test_system_calls_of_past_escapes_are_refused(sandbox: Sandbox) -> None:
    asked = {
        "mount": (165, 0, 0, 0, 0, 0), "umount2": (166, 0, 0), "open_tree": (428, -100, 0, 0), "fsopen": (430, 0, 0),
        "ptrace": (101, 0, 0, 0, 0), "process_vm_readv": (310, 1, 0, 0, 0, 0, 0), "keyctl": (250, 0, -3, 0),
        "add_key": (248, 0, 0, 0, 0, 0), "bpf": (321, 0, 0, 0), "perf_event_open": (298, 0, 0, -1, -1, 0),
        "userfaultfd": (323, 0), "io_uring_setup": (425, 1, 0), "open_by_handle_at": (304, 0, 0, 0),
        "setns": (308, 0, 0), "unshare user": (272, 0x10000000), "unshare mounts": (272, 0x20000),
        "clone user": (56, 0x10000011, 0, 0, 0, 0), "kexec_load": (246, 0, 0, 0, 0), "init_module": (175, 0, 0, 0),
        "swapon": (167, 0, 0), "reboot": (169, 0, 0, 0, 0), "personality": (135, 0x400000), "syslog": (103, 3, 0, 0),
        "chroot": (161, 0), "pidfd_getfd": (438, 0, 0, 0),
    }  # fmt: skip
    program = CALLS + f"for name, call_ in {asked!r}.items(): print(name, call(*call_))\n"
    program += "print('clone3', call(435, 0, 0))\nprint('x32', call(0x40000000 | 39))\nprint('getpid', call(39))\n"
    found = dict(line.rsplit(" ", 1) for line in py(sandbox, program).output.splitlines())
    assert found.pop("clone3") == "ENOSYS"
    assert found.pop("x32") == "ENOSYS"
    assert found.pop("getpid") == "OK"
    assert found == dict.fromkeys(asked, "EPERM")


def test_only_ordinary_sockets_can_be_made(sandbox: Sandbox) -> None:
    program = """
import socket
kinds = [(family, 0) for family in (1, 2, 10, 16, 17, 38, 40, 31, 29, 44)]
for family, protocol in [*kinds, (16, 9)]:
    try:
        socket.socket(family, socket.SOCK_DGRAM if family != 38 else socket.SOCK_SEQPACKET, protocol).close()
        print(family, protocol, 'made')
    except OSError as error:
        print(family, protocol, error.errno)
"""
    lines = py(sandbox, program).output.splitlines()
    assert [line for line in lines if line.endswith("made")] == ["1 0 made", "2 0 made", "10 0 made", "16 0 made"]
    assert all(line.endswith(" 97") for line in lines if not line.endswith("made")), lines


@pytest.mark.slow
def test_what_people_work_with_still_works(sandbox: Sandbox) -> None:
    (sandbox.workspace / "test_x.py").write_text(
        "import concurrent.futures as c, asyncio, subprocess, threading, tempfile, multiprocessing\n"
        "def test_x():\n"
        "    assert list(c.ThreadPoolExecutor(4).map(abs, [-1, 2])) == [1, 2]\n"
        "    assert list(c.ProcessPoolExecutor(2).map(abs, [-1, 2])) == [1, 2]\n"
        "    assert asyncio.run(asyncio.sleep(0, 5)) == 5\n"
        "    assert subprocess.check_output(['echo', 'a']) == b'a\\n'\n"
    )
    result = py(sandbox, "import pytest, sys; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', 'test_x.py']))")
    assert result.exit_code == 0, result.output
    if shutil.which("gcc", path="/usr/bin"):
        (sandbox.workspace / "a.c").write_text('#include <stdio.h>\n#include <pthread.h>\nint main(){puts("c");}\n')
        assert sh(sandbox, "gcc -O2 -pthread a.c -o a && ./a").output == "c\n"
    if shutil.which("node", path="/usr/bin"):
        worker = "new (require('worker_threads').Worker)('console.log(6*7)', {eval: true})"
        assert sh(sandbox, f'node -e "{worker}"').output == "42\n"
    if shutil.which("git", path="/usr/bin"):
        commit = "git -c user.name=a -c user.email=b commit --allow-empty -m x"
        assert sh(sandbox, f"cd /tmp && git init a && cd a && {commit}").exit_code == 0


def test_magic_links_lead_nowhere(sandbox: Sandbox, tmp_path: Path, home: Path) -> None:
    (home / "journal.db").write_text("the journal")
    (tmp_path / "neighbour").write_text("the neighbour")
    (sandbox.workspace / "up").symlink_to(f"/proc/self/root{tmp_path}/neighbour")
    (sandbox.workspace / "cwd").symlink_to("/proc/1/cwd/../../../home/journal.db")
    roots = ("/proc/1/root", "/proc/self/root", "/proc/self/task/1/root", "/proc/1/cwd")
    wanted = (f"{home}/journal.db", f"{tmp_path}/neighbour", "/etc/shadow", "/../../../../etc/shadow")
    places = [f"{root}{path}" for root in roots for path in wanted]
    result = sh(
        sandbox,
        f"cat up cwd {' '.join(places)} 2>/dev/null; for f in /proc/*/fd/*; do readlink $f; done 2>/dev/null; "
        f"ls -a /proc/*/root{tmp_path} 2>/dev/null",
    )
    assert "the journal" not in result.output
    assert "the neighbour" not in result.output
    assert "root:" not in result.output
    assert str(home) not in result.output


def test_the_kernels_own_files_tell_and_change_nothing(sandbox: Sandbox) -> None:
    before = Path("/proc/sys/kernel/core_pattern").read_text()
    result = sh(
        sandbox,
        "for f in /proc/kcore /proc/kmsg /proc/kallsyms /proc/1/environ /proc/1/mem /proc/keys /proc/sysrq-trigger; do "
        "head -c 300 $f 2>/dev/null | grep -aE '[1-9a-f]{8} [TtDd] |SECRET|KEY' && echo LEAK $f; done; "
        "for f in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/sys/vm/drop_caches /proc/self/oom_score_adj "
        "/proc/sys/kernel/modprobe /proc/sys/fs/binfmt_misc/register; do "
        "(echo '|/tmp/x' > $f) 2>/dev/null && echo WROTE $f; done; ls /sys /dev/mem /dev/kmsg /dev/sda 2>/dev/null",
    )
    assert result.output == ""
    assert Path("/proc/sys/kernel/core_pattern").read_text() == before


def test_the_processes_outside_are_not_there_to_be_read(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-you")
    watched = subprocess.Popen(["sleep", "30"], env={"SECRET_OF_ANOTHER": "sk-not-for-you"})
    try:
        result = sh(
            sandbox,
            f"cat /proc/{watched.pid}/environ /proc/{os.getpid()}/environ /proc/*/environ /proc/*/cmdline 2>&1 | "
            "tr '\\0' '\\n' | grep -aE 'sk-not|SECRET_OF|sleep'; cat /proc/self/status | grep -E '^(PPid|NStgid)'",
        )
    finally:
        watched.kill()
        watched.wait()
    assert "sk-not-for-you" not in result.output
    assert "SECRET_OF_ANOTHER" not in result.output
    assert f"NStgid:\t{watched.pid}" not in result.output


def test_agents_and_daemons_of_the_user_cannot_be_reached(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ssh-agent, D-Bus, Docker: sockets of the user's session that do whatever they are asked."""
    path = tmp_path / "agent.sock"
    with socket.socket(socket.AF_UNIX) as agent, socket.socket(socket.AF_UNIX) as abstract:
        here = os.open(".", os.O_RDONLY)
        try:
            os.chdir(tmp_path)
            agent.bind("agent.sock")
        finally:
            os.fchdir(here)
            os.close(here)
        agent.listen()
        abstract.bind(f"\0dbus-{os.getpid()}")
        abstract.listen()
        monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:abstract=dbus-{os.getpid()}")
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        program = f"""
import os, socket
print([n for n in os.environ if n in ('SSH_AUTH_SOCK', 'DBUS_SESSION_BUS_ADDRESS', 'DOCKER_HOST', 'XDG_RUNTIME_DIR')])
os.symlink({str(path)!r}, 'link')
for where in ({str(path)!r}, 'link', '/proc/1/root{path}', '\\0dbus-{os.getpid()}',
              '/run/docker.sock', '/var/run/docker.sock', '/run/user/{os.getuid()}/bus',
              '/run/dbus/system_bus_socket', '/run/containerd/containerd.sock'):
    try: socket.socket(socket.AF_UNIX).connect(where); print('REACHED', where)
    except OSError: pass
"""
        assert py(sandbox, program).output == "[]\n"


def test_no_file_outside_gets_a_second_name(sandbox: Sandbox, tmp_path: Path) -> None:
    """Hard links and devices: names in the workspace for what lies outside it."""
    (sandbox.workspace / "AGENTS.md").write_text("obey your owner\n")
    result = sh(
        sandbox,
        "for f in /usr/bin/env /etc/passwd /proc/1/root/etc/hosts AGENTS.md; do ln -L $f linked 2>/dev/null && "
        "echo LINKED $f; ln $f linked2 2>/dev/null && echo LINKED $f; done; "
        "mknod disk b 8 0 2>/dev/null && echo DEVICE; mknod mem c 1 1 2>/dev/null && echo DEVICE; "
        "(echo evil > /usr/bin/env) 2>/dev/null && echo WROTE; chmod u+s /usr/bin/env 2>/dev/null && echo SUID",
    )
    assert result.output == ""
    assert (sandbox.workspace / "AGENTS.md").read_text() == "obey your owner\n"


def test_a_folder_swapped_for_a_link_leads_out_of_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (sandbox.workspace / "d").mkdir()
    sh(sandbox, f"rmdir d; ln -s {outside} d; echo evil > d/kept; echo evil > d/made; rm -rf d/")
    assert (outside / "kept").read_text() == "kept"
    assert os.listdir(outside) == ["kept"]


def test_nobody_approves_themselves(sandbox: Sandbox, home: Path) -> None:
    """The channel for approvals is the owner's home, which is not there; a made-up one approves nothing real."""
    (home / "approvals").mkdir()
    (home / "approvals" / "pending").write_text("pay 500")
    mainspring = Path(sys.executable).with_name("mainspring")
    assert mainspring.exists()
    result = sh(
        sandbox,
        f"ls -A {home} 2>&1; export MAINSPRING_HOME={home}; {mainspring} approvals list 2>&1; "
        f"{mainspring} approvals approve 1 2>&1; unset MAINSPRING_HOME; {mainspring} approvals approve 1 2>&1",
    )
    assert "pay 500" not in result.output
    assert "pending" not in result.output.replace("no pending", "")
    assert result.exit_code != 0
    assert os.listdir(home) == ["approvals"]
    assert os.listdir(home / "approvals") == ["pending"]


def test_settings_with_passwords_are_not_shown(workspace: Path, tmp_path: Path) -> None:
    environment = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (environment / "pip.conf").write_text("[global]\nindex-url = https://me:password@index.example/\n")
    box = Sandbox(workspace, python=environment / "bin" / "python")
    result = sh(
        box, f"cat {environment}/pip.conf /etc/pip.conf; ls -A /usr/local/etc; {environment}/bin/python -c 'print(1)'"
    )
    assert "password" not in result.output
    assert result.output.endswith("1\n")
    assert "password" in (environment / "pip.conf").read_text()


def test_files_of_the_system_that_are_shown_hold_no_secret(sandbox: Sandbox) -> None:
    result = sh(
        sandbox, "find /etc /var /run /home /root /opt /srv /mnt /media /boot /sys -maxdepth 1 2>/dev/null | sort"
    )
    pythons = [Path(path) for path in (sys.base_prefix, sys.prefix)]
    shown = {path for path in result.output.split() if not any(python.is_relative_to(path) for python in pythons)}
    allowed = {
        "/etc", "/etc/passwd", "/etc/group", "/etc/hosts", "/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf",
        "/etc/ld.so.conf.d", "/etc/localtime", "/etc/magic", "/etc/mime.types", "/etc/nsswitch.conf", "/etc/os-release",
        "/etc/pki", "/etc/protocols", "/etc/services", "/etc/ssl", "/var", "/var/tmp", "/home", "/home/agent", "/root",
        "/run",
    }  # fmt: skip
    assert shown - allowed == set()
    assert "root" not in sh(sandbox, "cat /etc/passwd /etc/group").output
    assert sh(sandbox, "ls /etc/ssl").output.split() in (["certs", "openssl.cnf"], ["certs"], [])


def test_memory_of_all_processes_together_is_bounded(workspace: Path, home: Path) -> None:
    bomb = "import os, time\nfor _ in range(6): os.fork()\nx = bytearray(20_000_000)\ntime.sleep(30)\n"
    limits = SandboxLimits(total_memory_bytes=300_000_000)
    result = py(Sandbox(workspace, home=home, limits=limits), bomb)
    assert (result.ended, result.exit_code) == ("memory", None)
    assert "300 MB of memory" in result.notes[0]


def test_memory_is_bounded_where_no_control_group_can_be_had(
    workspace: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervise, "bound", lambda *arguments: cgroup.Groups())
    bomb = "import os, time\nfor _ in range(4): os.fork()\nx = bytearray(b'x' * 20_000_000)\ntime.sleep(30)\n"
    limits = SandboxLimits(total_memory_bytes=200_000_000, processes=100)
    assert py(Sandbox(workspace, home=home, limits=limits), bomb).ended == "memory"
    limits = SandboxLimits(processes=10)
    flood = "import os, time\nfor _ in range(6): os.fork()\ntime.sleep(30)\n"
    assert py(Sandbox(workspace, home=home, limits=limits), flood).ended == "processes"


def test_memory_that_processes_share_is_counted_once(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "bound", lambda *arguments: cgroup.Groups())
    program = (
        "import os, time\nx = bytes(b'x' * 60_000_000)\n"
        "for _ in range(8):\n    if os.fork() == 0: time.sleep(1); os._exit(0)\ntime.sleep(1.5); print('done')\n"
    )
    result = py(Sandbox(workspace, limits=SandboxLimits(total_memory_bytes=300_000_000)), program)
    assert result.output == "done\n"


def test_cpu_time_of_all_processes_together_is_bounded(workspace: Path, home: Path) -> None:
    spin = "for i in 1 2 3 4 5 6; do (while :; do :; done) & done; wait"
    result = sh(Sandbox(workspace, home=home, limits=SandboxLimits(cpu_s=2)), spin, timeout_s=100)
    assert result.ended == "cpu", "each process alone stayed below the limit"
    assert result.notes == ("it used more than 2 s of CPU time (the limit `cpu_s`)",)


def test_the_workspaces_disk_is_bounded(workspace: Path, home: Path) -> None:
    limits = SandboxLimits(disk_bytes=40_000_000, file_bytes=20_000_000)
    box = Sandbox(workspace, home=home, limits=limits)
    result = sh(box, "i=0; while :; do head -c 10000000 /dev/zero > f$i; i=$((i+1)); sleep 0.05; done")
    assert result.ended == "disk"
    assert "40 MB into the workspace" in result.notes[0]
    assert sum(path.stat().st_size for path in workspace.iterdir()) < 200_000_000


def test_files_without_a_name_count_as_well(workspace: Path, home: Path) -> None:
    hide = (
        "import os, time\nkept = []\nfor i in range(200):\n"
        "    f = open(f'f{i}', 'wb', buffering=0); os.unlink(f'f{i}'); f.write(b'x' * 5_000_000); kept.append(f)\n"
        "    time.sleep(0.05)\n"
    )
    box = Sandbox(workspace, home=home, limits=SandboxLimits(disk_bytes=40_000_000))
    assert py(box, hide).ended == "disk"


def test_open_files_and_large_files_are_bounded_by_name(workspace: Path, home: Path) -> None:
    box = Sandbox(workspace, home=home, limits=SandboxLimits(open_files=64, file_bytes=1_000_000))
    result = py(box, "kept = [open('/dev/null') for _ in range(100)]")
    assert "Too many open files" in result.output
    result = sh(box, "head -c 5000000 /dev/zero > big")
    assert any("limit `file_bytes`" in note for note in result.notes)
