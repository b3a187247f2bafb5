"""Watches one sandboxed command from its start to the end of the last process it started."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mainspring.errors import SandboxError
from mainspring.tools.capture import HeadTail, plain_text
from mainspring.tools.cgroup import Groups, bound
from mainspring.tools.limits import SandboxLimits
from mainspring.tools.proxy.server import NetworkUse
from mainspring.tools.watchdog import Watchdog, children

READY = b"\x06"
_TICK_S = 0.05
_SETUP_S = 30.0
_REPORT_S = 0.5
ALLOW_NAMESPACES = (
    "allow unprivileged user namespaces: sysctl -w kernel.unprivileged_userns_clone=1 (Debian), "
    "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu 24.04 and later), or, in a container, "
    "start it with --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
    "--security-opt systempaths=unconfined"
)
#: What bubblewrap says -> what helps, the most particular first.
_FIXES = (
    (
        r"mount proc",
        "this container hides parts of /proc, so that no new one may be mounted: start it with "
        "--security-opt systempaths=unconfined (Docker, Podman) or procMount: Unmasked (Kubernetes)",
    ),
    (r"seccomp|SECCOMP", "this kernel or container allows no filters of system calls (CONFIG_SECCOMP_FILTER)"),
    (r"No space left on device", "allow more user namespaces: sysctl -w user.max_user_namespaces=10000"),
    (r"namespace|uid map|loopback|Operation not permitted|Permission denied", ALLOW_NAMESPACES),
)


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command ended.

    Args:
        exit_code: its exit code (128 + N when signal N ended it), or None when Mainspring ended it.
        output: standard output and error as they came, cleaned of terminal escapes, bounded.
        dropped_bytes: how much of the output was left out.
        ended: ``"exit"``, ``"timeout"``, ``"cancelled"``, or the limit that ended it: ``"processes"``, ``"memory"``,
            ``"cpu"`` or ``"disk"``.
        seconds: how long it ran.
        notes: what a person should know: the limit that was hit, a repository that was set aside, a host refused.
        network: each decision of the proxy, when hosts were granted; the first of them, when there were very many.
    """

    exit_code: int | None
    output: str
    dropped_bytes: int
    ended: str
    seconds: float
    notes: tuple[str, ...] = ()
    network: tuple[NetworkUse, ...] = ()


class Supervisor:
    """Watches one bwrap process: its output, its time, the number of its processes, its end."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        limits: SandboxLimits,
        workspace: Path,
        record: Path | None = None,
        report: Callable[[str], None] | None = None,
    ) -> None:
        self._process = process
        self._limits = limits
        self._workspace = workspace
        self._record = record
        self._report = report
        self._reported = 0.0
        self._output = HeadTail(limits.output_bytes)
        self._first = -1  # process file descriptor of the first process in the sandbox
        self._first_pid = 0
        self._groups = Groups()
        self._watchdog: Watchdog | None = None

    def run(self, info: int, timeout_s: float, stop: threading.Event | None) -> CommandResult:
        started = time.monotonic()
        ended = "exit"
        try:
            self._start(info)
            ended = self._watch(started + timeout_s, stop)
            seconds = time.monotonic() - started
            if ended == "exit" and self._groups.memory_ran_out():
                ended = "memory"
        finally:
            self._end()
        code = self._process.returncode
        return CommandResult(
            code if ended == "exit" else None, self._output.text(), self._output.dropped, ended, seconds
        )

    def _start(self, info: int) -> None:
        """Wait until the launcher is ready, so that every process is tied to its parent; then let it go."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        output = self._process.stdout.fileno()
        if not readable(output, _SETUP_S):
            raise SandboxError(f"the sandbox was not ready after {_SETUP_S:.0f} s; no command ran")
        said = os.read(output, 1)
        if said != READY:
            said += self._process.stdout.read(4000)
            raise _setup_error(said.decode("utf-8", "replace").strip())
        told = b""
        while (found := re.search(rb'"child-pid": (\d+)\D', told)) is None:
            more = os.read(info, 4096)
            if not more:
                raise SandboxError("the sandbox ended before it began; no command ran")
            told += more
        self._first_pid = int(found[1])
        self._first = os.pidfd_open(self._first_pid)
        os.set_blocking(output, False)
        inside = [self._first_pid, *children(self._first_pid)]
        for pid in inside:  # when memory runs out, the kernel ends these before anything else
            with contextlib.suppress(OSError), open(f"/proc/{pid}/oom_score_adj", "w", encoding="ascii") as file:
                file.write("1000")
        if len(inside) > 1:
            self._groups = bound(inside, self._limits.processes, self._limits.total_memory_bytes)
        self._watchdog = Watchdog(self._first_pid, self._groups, self._workspace, self._limits)
        if self._record is not None:
            start = process_start(self._first_pid)
            self._record.write_text(json.dumps({"pid": self._first_pid, "start": start}), encoding="utf-8")
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(b"go\n")
            self._process.stdin.close()

    def _watch(self, deadline: float, stop: threading.Event | None) -> str:
        assert self._process.stdout is not None
        assert self._watchdog is not None
        output = self._process.stdout.fileno()
        poll = select.poll()
        poll.register(output, select.POLLIN)
        poll.register(self._first, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll(_TICK_S * 1000)}
            if output in ready and not self._read(output):
                poll.unregister(output)
            # The first process is reaped last: once it is gone, all that the command started is gone.
            if self._first in ready:
                return "exit"
            if time.monotonic() >= deadline:
                return "timeout"
            if stop is not None and stop.is_set():
                return "cancelled"
            if self._count() > self._limits.processes:
                return "processes"
            if exceeded := self._watchdog.look():
                return exceeded

    def _read(self, output: int) -> bool:
        """Take what is there; False at the end of the output."""
        try:
            data = os.read(output, 1 << 18)
        except BlockingIOError:
            return True
        self._output.feed(data)
        if self._report is not None and time.monotonic() - self._reported >= _REPORT_S:
            recent = plain_text(data[-2000:].decode("utf-8", "replace")).strip()
            if recent:
                self._reported = time.monotonic()
                self._report(recent.rsplit("\n", 1)[-1][:200])
        return bool(data)

    def _count(self) -> int:
        # Without a control group the kernel does not hold the superuser to a number of processes.
        try:
            return sum(name.isdigit() for name in os.listdir(f"/proc/{self._first_pid}/root/proc"))
        except OSError:
            return 0  # not ours to read: then the kernel's limit for this user holds

    def _end(self) -> None:
        """Kill what is left and wait until it is gone."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        if self._first >= 0:
            try:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._first, signal.SIGKILL)
                readable(self._first, 30)
            finally:
                os.close(self._first)
        else:
            process.kill()
        with contextlib.suppress(BlockingIOError):
            while data := os.read(process.stdout.fileno(), 1 << 18):
                self._output.feed(data)
        process.stdout.close()
        process.wait()
        self._groups.remove()
        if self._record is not None:
            self._record.unlink(missing_ok=True)


def readable(fd: int, timeout_s: float) -> bool:
    """Wait until `fd` can be read (a process's: until it has ended). `select` cannot take descriptors over 1,023."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))


def process_start(pid: int) -> str:
    """When a process started, in ticks since the machine did; empty when there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _setup_error(said: str) -> SandboxError:
    said = said.removeprefix("bwrap: ") or "it ended without a word"
    for pattern, fix in _FIXES:
        if re.search(pattern, said):
            return SandboxError(f"the sandbox cannot be set up: {said[:500]}; {fix}")
    return SandboxError(f"the sandbox cannot be set up: {said[:500]}; no command ran")
