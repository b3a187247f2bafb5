"""The networks of commands: the proxy for one that was granted hosts, and a loopback that those of one run share."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mainspring.errors import SandboxError
from mainspring.tools.limits import SandboxLimits
from mainspring.tools.proxy.server import NetworkUse, Proxy

#: Inside the sandbox: the proxy's socket, and the port of its loopback that leads there.
SOCKET = "/run/network/proxy"
PORT = 3128
_KEPT = 500
_NAMED = 8
_REACHED = 20
_NS_GET_USERNS = 0xB701  # linux/nsfs.h: the user namespace that owns another namespace
# Enters the namespaces and becomes the program. Its rights over them end with that: the superuser's are dropped by
# bubblewrap, another user's by the kernel. Bubblewrap makes a user namespace below, which has none over the network.
_JOIN = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
for fd, kind in ((int(sys.argv[1]), 0x10000000), (int(sys.argv[2]), 0x40000000)):
    if libc.setns(fd, kind):
        sys.exit("bwrap: joining a network namespace: " + os.strerror(ctypes.get_errno()))
    os.close(fd)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Loopback:
    """A network that is nothing but a loopback, which several sandboxes use and nobody else.

    It exists as long as this object or a sandbox in it does; when this process dies, so does it.

    Args:
        bwrap: path of bubblewrap.

    Raises:
        SandboxError: it cannot be made.
    """

    def __init__(self, bwrap: str) -> None:
        self.user = self.net = -1
        read, write = os.pipe()
        with open(read, "rb", buffering=0) as info:
            try:
                arguments = "--unshare-user --unshare-net --cap-drop ALL --die-with-parent --new-session --ro-bind / /"
                holder = subprocess.Popen(
                    [bwrap, *arguments.split(), "--info-fd", str(write), "--", "/bin/sh", "-c", "echo; read -r go"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    env={},
                    cwd="/",
                    pass_fds=[write],
                )
            finally:
                os.close(write)
            with holder:
                assert holder.stdout is not None
                try:
                    said = holder.stdout.readline()
                    found = re.search(rb'"child-pid": (\d+)\D', info.read(4096) if said == b"\n" else b"")
                    if found is None:
                        raise SandboxError(
                            f"no network for a run's processes can be made: {said.decode(errors='replace').strip()}"
                        )
                    self.net = os.open(f"/proc/{int(found[1])}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
                    self.user = fcntl.ioctl(self.net, _NS_GET_USERNS)
                except OSError as error:
                    self.close()
                    raise SandboxError(f"no network for a run's processes can be made: {error}") from None
                finally:
                    holder.kill()

    def launcher(self) -> list[str]:
        """The beginning of a command line whose rest then runs in this network; pass it `descriptors`."""
        return [sys.executable, "-I", "-S", "-c", _JOIN, str(self.user), str(self.net)]

    @property
    def descriptors(self) -> list[int]:
        """What the launcher has to inherit; it closes them before the program begins."""
        return [self.user, self.net]

    def close(self) -> None:
        """Let go of it."""
        for fd in (self.user, self.net):
            if fd >= 0:
                with contextlib.suppress(OSError):
                    os.close(fd)
        self.user = self.net = -1


class Network:
    """A proxy for one command, between `with` and its end; it keeps account of what was decided.

    Args:
        hosts, resolver: as :class:`mainspring.tools.proxy.server.Proxy` takes them.
        report: receives a line for each decision.
    """

    def __init__(
        self,
        hosts: Sequence[str],
        resolver: Mapping[str, tuple[str, int]],
        limits: SandboxLimits,
        report: Callable[[str], None] | None,
    ) -> None:
        self._report = report
        self._uses: list[NetworkUse] = []
        self._dropped = 0
        self._lock = threading.Lock()
        self._proxy = Proxy(
            hosts,
            told=self._told,
            resolver=resolver,
            connections=limits.connections,
            max_bytes=limits.network_bytes,
        )
        from mainspring.tools.proxy import inside

        #: Text of the program that carries bytes from the port to the socket.
        self.program = Path(inside.__file__).read_text(encoding="utf-8")

    def __enter__(self) -> Network:
        self._proxy.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._proxy.__exit__()

    @property
    def folder(self) -> Path:
        """The folder that holds the proxy's socket."""
        return self._proxy.folder

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which programs find the proxy. Nothing depends on their being obeyed: there is no other way."""
        address = f"http://127.0.0.1:{PORT}"
        local = "localhost,127.0.0.1,::1"
        env = {"NODE_USE_ENV_PROXY": "1", "GIT_TERMINAL_PROMPT": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            env[name] = env[name.upper()] = address
        env["no_proxy"] = env["NO_PROXY"] = local
        env["npm_config_proxy"] = env["npm_config_https_proxy"] = address
        return env

    def uses(self) -> tuple[NetworkUse, ...]:
        """What was decided, in order; the first ones, when there were very many."""
        with self._lock:
            return tuple(self._uses)

    def notes(self) -> list[str]:
        """What was refused or ended early, each once, and how much went to each host that was reached.

        They stand in the command's answer, so that the journal keeps what left.
        """
        with self._lock:
            lines = list(dict.fromkeys(use.text() for use in self._uses if not use.allowed or use.reason))
            more = len(lines) - _NAMED
            if more > 0:
                lines[_NAMED:] = [f"network: {more} more of this kind"]
            reached: dict[tuple[str, int], list[int]] = {}
            for use in self._uses:
                if use.allowed:
                    counts = reached.setdefault((use.host, use.port), [0, 0, 0])
                    for place, number in enumerate((1, use.sent, use.received)):
                        counts[place] += number
            for (host, port), (times, sent, received) in list(reached.items())[:_REACHED]:
                count = "once" if times == 1 else f"{times} times"
                lines.append(f"network: {host}:{port} reached {count}, {sent:,} bytes sent, {received:,} received")
            missing = max(len(reached) - _REACHED, 0)
            if missing or self._dropped:
                lines.append(f"network: {missing} more hosts reached, {self._dropped} more connections not listed")
            return lines

    def _told(self, use: NetworkUse) -> None:
        with self._lock:
            if len(self._uses) >= _KEPT:
                self._dropped += 1
                return
            self._uses.append(use)
        if self._report is not None:
            self._report(use.text())
