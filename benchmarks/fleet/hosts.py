"""Workers on hosts of their own: started, killed, frozen, cut off, and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.fleet.network import Network

AGENTS = Path(__file__).with_name("agents.py")


@dataclass(frozen=True, slots=True)
class Blow:
    """Something that was done to a worker, or to the database (`pid` 0)."""

    kind: str
    at: float
    pid: int
    seconds: float = 0.0


@dataclass(slots=True)
class Host:
    """One machine with one worker on it at a time."""

    number: int
    network: Network | None
    environment: dict[str, str]
    folder: Path
    concurrency: int
    process: subprocess.Popen[bytes] | None = None
    cpu_s: float = 0.0  # of workers that have ended
    started: list[int] = field(default_factory=list)

    def start(self) -> None:
        """Start a worker."""
        home = self.folder / f"host-{self.number}"
        home.mkdir(parents=True, exist_ok=True)
        command = [
            *(sys.executable, "-m", "mainspring", "worker"),
            *("--agent", str(AGENTS), "--concurrency", str(self.concurrency)),
        ]
        if self.network is not None:
            command = self.network.inside(self.number, command)
        with open(home / "log", "ab") as log:
            self.process = subprocess.Popen(
                command,
                env=self.environment | {"MAINSPRING_HOME": str(home)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started.append(self.process.pid)

    @property
    def pid(self) -> int:
        """`ip netns exec` becomes the worker, so its process id is the worker's own."""
        return 0 if self.process is None else self.process.pid

    @property
    def alive(self) -> bool:
        """Whether the worker runs."""
        return self.process is not None and self.process.poll() is None

    def kill(self) -> Blow:
        """SIGKILL."""
        assert self.process is not None
        blow = Blow("kill", time.time(), self.pid)
        self._count()
        self.process.kill()
        self.process.wait()
        return blow

    def freeze(self, seconds: float) -> Blow:
        """SIGSTOP, and SIGCONT after a while."""
        blow = Blow("freeze", time.time(), self.pid, seconds)
        os.kill(self.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(self.pid, signal.SIGCONT)
        return blow

    def cut(self, seconds: float) -> Blow:
        """No network for a while."""
        assert self.network is not None
        blow = Blow("cut", time.time(), self.pid, seconds)
        self.network.cut(self.number)
        time.sleep(seconds)
        self.network.mend(self.number)
        return blow

    def stop(self) -> None:
        """SIGTERM, and SIGKILL when it does not end."""
        if self.process is None:
            return
        self._count()
        if self.alive:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def cpu_now(self) -> float:
        """CPU seconds of all workers that were started here."""
        return self.cpu_s + (cpu_of(self.pid) if self.alive else 0.0)

    def _count(self) -> None:
        if self.alive:
            self.cpu_s += cpu_of(self.pid)


def cpu_of(pid: int) -> float:
    """User and system CPU seconds of a process; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
