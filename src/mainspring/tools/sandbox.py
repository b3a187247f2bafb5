"""Runs commands under bubblewrap: no network but granted hosts, only the workspace writable, nothing outlives the call.

The processes: this one starts `bwrap`, which starts the first process of new namespaces, which starts a small
shell that waits for a go, sets the limits and becomes the command. Each of them dies with the one before it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from mainspring.errors import SandboxError
from mainspring.tools import aside, cgroup, seccomp
from mainspring.tools.limits import SandboxLimits
from mainspring.tools.mounts import (
    Mount,
    check_workspace,
    contains,
    credentials,
    default_python,
    python_mounts,
    system_mounts,
)
from mainspring.tools.network import PORT, SOCKET, Loopback, Network
from mainspring.tools.proxy.hosts import parse_hosts
from mainspring.tools.supervise import ALLOW_NAMESPACES, CommandResult, Supervisor

__all__ = ["CommandResult", "Sandbox", "SandboxLimits", "bwrap_version", "check"]

HOME_INSIDE = "/home/agent"
# `read` gives EOF when Mainspring died before it said go, so a command never starts without its owner.
_LAUNCHER = r"""printf '\006'; read -r go || exit 125
ulimit -c 0; ulimit -t {cpu} && ulimit -f {file} && ulimit -v {memory} || exit 125
ulimit -u {processes} 2> /dev/null || ulimit -p {processes} || exit 125
ulimit -n {open_files} 2> /dev/null  # a system that allows fewer keeps its own limit
{forwarder}
exec "$@" < /dev/null"""
_FORWARDER = (
    r"""python=$1; program=$2; shift 2; "$python" -I -S -c "$program" {socket} {port} < /dev/null || exit 125"""
)
_ETC = {
    "/etc/passwd": "agent:x:1000:1000:agent:/home/agent:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "/etc/group": "agent:x:1000:\nnogroup:x:65534:\n",
    "/etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
}
INSTALL = "install bubblewrap: apt-get install bubblewrap (Debian, Ubuntu) or dnf install bubblewrap (Fedora)"


class Sandbox:
    """A place to run commands over one workspace.

    Args:
        workspace: the folder that commands may write; everything else is read-only or not there.
        home: Mainspring's folder, hidden when it lies inside the workspace.
        limits: what one command may use.
        python: the interpreter that ``python`` means; default the workspace's ``.venv``, else our own.
        read_only: further folders that commands may read, at the same path.
        hosts: what commands may reach through the proxy, such as ``"pypi.org"``, ``"*.example.com"`` or
            ``"example.com:8443"``; nothing by default.
        resolver: granted name -> (address, port) to use for it, whatever the address is; for servers of one's own
            network, which the proxy would refuse.
        loopback: a network that commands share with others, so that they reach each other's ports. With hosts
            granted, a command keeps a network of its own: another one must not find its way to them.

    Raises:
        SandboxError: the workspace is unfit, bubblewrap is not installed, or the machine has no filter of calls.
        DeclarationError: a host is not understood.
    """

    def __init__(
        self,
        workspace: str | Path,
        *,
        home: str | Path | None = None,
        limits: SandboxLimits | None = None,
        python: str | Path | None = None,
        read_only: Sequence[str | Path] = (),
        hosts: Sequence[str] = (),
        resolver: Mapping[str, tuple[str, int]] | None = None,
        loopback: Loopback | None = None,
    ) -> None:
        self.workspace = check_workspace(Path(workspace))
        self.home = None if home is None else Path(os.path.realpath(home))
        self.limits = limits or SandboxLimits()
        self.python = Path(os.path.abspath(python)) if python is not None else default_python(self.workspace)
        self.read_only = tuple(Path(os.path.abspath(p)) for p in read_only)
        self.hosts = tuple(hosts)
        self.resolver = dict(resolver or {})
        if self.hosts:
            parse_hosts(self.hosts)
        self.loopback = None if self.hosts else loopback
        self._bwrap = _find_bwrap()
        self._filter = seccomp.program(os.uname().machine)

    def run(
        self,
        command: Sequence[str],
        *,
        timeout_s: float = 60.0,
        cwd: str = ".",
        env: Mapping[str, str] | None = None,
        scratch: Path | None = None,
        stop: threading.Event | None = None,
        record: Path | None = None,
        report: Callable[[str], None] | None = None,
        inherit: Sequence[int] = (),
    ) -> CommandResult:
        """Run a command and return when it and everything it started are gone.

        Args:
            command: program and arguments; no shell is added.
            timeout_s: seconds after which it is killed.
            cwd: folder inside the workspace.
            env: variables besides the few that are always set; nothing is inherited.
            scratch: a folder of the host that the command sees, writable, as ``/run/scratch``.
            stop: set it from another thread to end the command.
            record: a file that names the sandbox's first process while it runs.
            report: receives a recent line of output, twice a second at most.
            inherit: open descriptors that the command gets, under the same numbers.

        Raises:
            SandboxError: the sandbox could not be set up; the command has not run.
        """
        folder = Path(os.path.normpath(self.workspace / cwd))
        if not contains(self.workspace, folder):
            raise SandboxError(f"folder {cwd!r} is outside the workspace; name one inside it")
        without = [] if self.home is None else [self.home]
        before = aside.entries(self.workspace, without=without)
        limits = self.limits
        with contextlib.ExitStack() as stack:
            network = stack.enter_context(Network(self.hosts, self.resolver, limits, report)) if self.hosts else None
            mounts = self._mounts(before)
            arguments = self._arguments(folder, mounts, scratch)
            files = dict.fromkeys(credentials(mounts), "") | _ETC
            passed = {_memory_file(stack, text.encode()): path for path, text in files.items()}
            filter_fd = _memory_file(stack, self._filter)
            info_read, info_write = os.pipe()
            stack.callback(os.close, info_read)
            with contextlib.ExitStack() as writer:
                writer.callback(os.close, info_write)
                for fd, path in passed.items():
                    arguments += ["--ro-bind-data", str(fd), path]
                if network is not None:
                    arguments += Mount("ro", os.path.dirname(SOCKET), str(network.folder)).arguments()
                arguments += ["--seccomp", str(filter_fd), "--info-fd", str(info_write), "--remount-ro", "/", "--"]
                arguments += ["/bin/sh", "-c", _launcher(limits, network is not None), "sh"]
                if network is not None:
                    arguments += [sys.executable, network.program]
                env = (network.environment if network is not None else {}) | dict(env or {})
                process = self._begin([*arguments, *command], env, [*passed, filter_fd, info_write, *inherit])
            try:
                supervisor = Supervisor(process, limits, self.workspace, record, report)
                result = supervisor.run(info_read, timeout_s, stop)
            finally:
                notes = aside.set_aside(
                    self.workspace, {path: entry.record() for path, entry in before.items()}, without
                )
        told = _limit_notes(result, limits)
        if network is None:
            return replace(result, notes=(*told, *notes))
        return replace(result, notes=(*told, *network.notes(), *notes), network=network.uses())

    def _begin(self, arguments: list[str], env: Mapping[str, str] | None, passed: list[int]) -> subprocess.Popen[bytes]:
        first = [self._bwrap]
        if self.loopback is not None:
            first = [*self.loopback.launcher(), self._bwrap]
            passed = [*passed, *self.loopback.descriptors]
        try:
            return subprocess.Popen(
                [*first, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=self._environment(env),  # bwrap's own too: a command can read /proc/1/environ
                cwd="/",
                pass_fds=passed,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:  # too long, or no text that a command line can hold
            raise SandboxError(f"the command cannot be started: {error}; nothing ran") from None

    def _environment(self, extra: Mapping[str, str] | None) -> dict[str, str]:
        folder = str(self.python.parent)
        path = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
        env = {
            "PATH": path if folder in path.split(":") else f"{folder}:{path}",
            "HOME": HOME_INSIDE,
            "USER": "agent",
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "NO_COLOR": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
        }
        if (self.python.parent.parent / "pyvenv.cfg").exists():
            env["VIRTUAL_ENV"] = str(self.python.parent.parent)
        return env | dict(extra or {})

    def _arguments(self, cwd: Path, mounts: Sequence[Mount], scratch: Path | None) -> list[str]:
        new = bwrap_version() >= (0, 8)
        size = f"--size {self.limits.tmp_bytes} " if new else ""
        arguments = (
            "--unshare-all --unshare-user "
            + ("" if self.loopback is None else "--share-net ")
            + "--uid 1000 --gid 1000 --hostname sandbox --cap-drop ALL "
            "--die-with-parent --new-session --proc /proc --dev /dev "
            + ("--disable-userns " if new else "")
            + "".join(f"{size}--tmpfs {path} " for path in ("/dev/shm", "/tmp", "/var/tmp", HOME_INSIDE))
            # Run by the superuser, a command would otherwise be let into /proc/sys as the owner of its files.
            + "--remount-ro /dev --remount-ro /proc"
        ).split()
        for mount in mounts:
            arguments += mount.arguments()
        if scratch is not None:
            arguments += Mount("rw", "/run/scratch", str(scratch)).arguments()
        return [*arguments, "--chdir", str(cwd)]

    def _mounts(self, found: Mapping[str, aside.Entry]) -> list[Mount]:
        """Everything shown, in the order in which it is mounted."""
        outside = [*python_mounts(Path(sys.executable)), *python_mounts(self.python)]
        outside += [Mount("ro", str(p)) for p in self.read_only]
        mounts = system_mounts()
        for mount in dict.fromkeys(outside):
            if not contains(self.workspace, Path(os.path.realpath(mount.path))):
                mounts.append(mount)
        mounts.append(Mount("rw", str(self.workspace)))
        # These run or instruct later, outside the sandbox; so does the interpreter that runs us.
        mounts += [Mount("keep", path) for path in aside.read_only(self.workspace, found)]
        prefix = Path(os.path.realpath(sys.prefix))
        if contains(self.workspace, prefix):
            mounts.append(Mount("ro", str(prefix)))
        shown = [Path(m.path) for m in mounts if m.kind in ("ro", "rw")]
        if self.home is not None and self.home.is_dir() and any(contains(s, self.home) for s in shown):
            mounts.append(Mount("hide", str(self.home)))
        return mounts


def new_loopback() -> Loopback:
    """A network that sandboxes can share. Raises SandboxError."""
    return Loopback(_find_bwrap())


def check() -> tuple[bool, str, str]:
    """Whether commands can be run here: (it works, what was found, what to do when it does not)."""
    with tempfile.TemporaryDirectory(prefix="mainspring-check-") as folder:
        try:
            result = Sandbox(folder).run(["true"], timeout_s=20)
        except SandboxError as error:
            what, _, fix = str(error).partition("; ")
            return False, what, fix
    version = ".".join(map(str, bwrap_version()))
    if result.exit_code != 0:
        return False, f"bubblewrap {version} runs no command: {result.output.strip()[:300]}", ALLOW_NAMESPACES
    grouped = cgroup.available()
    return True, f"bubblewrap {version}, {' and '.join(grouped) or 'nothing'} bounded by control groups", ""


@lru_cache(maxsize=1)
def bwrap_version() -> tuple[int, ...]:
    """The version of bubblewrap, such as ``(0, 8, 0)``. Raises SandboxError when it is not installed."""
    said = subprocess.run([_find_bwrap(), "--version"], capture_output=True, text=True, check=False).stdout
    return tuple(int(n) for n in re.findall(r"\d+", said)[:3]) or (0,)


def _find_bwrap() -> str:
    found = shutil.which("bwrap", path="/usr/bin:/bin:/usr/local/bin:" + os.environ.get("PATH", ""))
    if found is None:
        raise SandboxError(f"bubblewrap is not installed, and no command runs without a sandbox; {INSTALL}")
    return found


def _launcher(limits: SandboxLimits, network: bool) -> str:
    return _LAUNCHER.format(
        cpu=limits.cpu_s + 2,  # the watchdog counts all processes and comes first
        file=limits.file_bytes // 512,
        memory=limits.memory_bytes // 1024,
        processes=limits.processes,
        open_files=limits.open_files,
        forwarder=_FORWARDER.format(socket=SOCKET, port=PORT) if network else "",
    )


def _limit_notes(result: CommandResult, limits: SandboxLimits) -> list[str]:
    """The limit that was hit, by its name."""
    said = limits.broken(result.ended)
    if said:
        return [said]
    if result.exit_code == 128 + signal.SIGXFSZ:
        return [f"a file would have grown over {limits.file_bytes // 1_000_000:,} MB (the limit `file_bytes`)"]
    return []


def _memory_file(stack: contextlib.ExitStack, data: bytes) -> int:
    fd = os.memfd_create("mainspring")
    stack.callback(os.close, fd)
    os.write(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
