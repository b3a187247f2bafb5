"""The real service, as a process of its own, while there is nothing to do, and when sleepers wake."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.idle.filling import add_waker
from benchmarks.output import note
from mainspring.store import Store, open_store

ROOT = Path(__file__).resolve().parents[2]
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Process:
    """A running `mainspring serve`."""

    name: str
    pid: int
    child: subprocess.Popen[bytes]
    log: Path

    def cpu_s(self) -> float:
        """CPU seconds of all its threads and of the children it has waited for."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(int(fields[n]) for n in (11, 12, 13, 14)) / _TICKS

    def resident_kb(self) -> int:
        """What of it is in memory (VmRSS)."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))

    def lives(self) -> None:
        """Raises SystemExit with what it said last, when it has ended."""
        if self.child.poll() is not None:
            raise SystemExit(f"{self.name} ended with {self.child.returncode}:\n{self.log.read_text()[-2000:]}")


@contextlib.contextmanager
def serving(name: str, home: Path, log: Path) -> Iterator[Process]:
    """The service over a home."""
    environment = {**os.environ, "MAINSPRING_HOME": str(home), "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    environment.pop("MAINSPRING_DATABASE_URL", None)
    command = [sys.executable, "-m", "mainspring", "serve", "--port", "0", "--json"]
    command += ["--agent", str(Path(__file__).with_name("agents.py"))]
    with log.open("wb") as said:
        child = subprocess.Popen(
            command, env=environment, cwd=home, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT
        )
        process = Process(name, child.pid, child, log)
        try:
            until = time.monotonic() + 60
            while b"worker.started" not in log.read_bytes():
                process.lives()
                if time.monotonic() > until:
                    raise SystemExit(f"{name} did not start within 60 s:\n{log.read_text()[-2000:]}")
                time.sleep(0.05)
            yield process
        finally:
            child.terminate()
            try:
                child.wait(60)
            except subprocess.TimeoutExpired:
                child.kill()


def idle(processes: list[Process], settle_s: float, seconds: float) -> dict[str, dict[str, float]]:
    """CPU share of one core over `seconds` of nothing, and resident memory at their end, by name."""
    time.sleep(settle_s)
    note(f"{len(processes)} services idle for {seconds:g} s")
    began = {p.name: (time.monotonic(), p.cpu_s()) for p in processes}
    time.sleep(seconds)
    found = {}
    for process in processes:
        process.lives()
        at, cpu_s = began[process.name]
        share = (process.cpu_s() - cpu_s) / (time.monotonic() - at)
        found[process.name] = {"cpu_share": share, "resident_kb": float(process.resident_kb())}
    return found


def wake_ups(process: Process, home: Path, count: int, spread_s: float) -> dict[str, Any]:
    """Let the service put `count` runs to sleep and wake them; seconds from each one's time to the first event of
    the stretch that follows."""
    store = open_store(home)
    draw = random.Random(7)
    begin = time.time() + 5.0 + count * 0.05  # by then all of them must sleep, which is checked
    moments = {f"wake-{n}": begin + draw.uniform(0.0, spread_s) for n in range(count)}
    note(f"{count} sleepers wake within {spread_s:g} s")
    for name, when in moments.items():
        add_waker(store, name, when)
    until = begin + spread_s + 120.0
    while (left := sum(store.row(name).status != "done" for name in moments)) and time.time() < until:
        process.lives()
        time.sleep(1.0)
    delays = sorted(d for name, when in moments.items() if (d := _delay(store, name, when)) is not None)
    return {"delays": delays, "unfinished": left, "did_not_sleep": count - left - len(delays)}


def _delay(store: Store, name: str, when: float) -> float | None:
    """Seconds between the time of a sleeper and what it did next; None when it did not sleep, or did nothing more."""
    slept = False
    for event in store.events(name):
        if slept and event.at >= when:
            return event.at - when
        slept = slept or (event.kind == "effect.asleep" and event.at < when)
    return None
