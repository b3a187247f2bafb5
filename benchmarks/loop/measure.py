"""Starts the systems' child processes and turns their stamps into figures."""

from __future__ import annotations

import json
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.peers.workload import bytes_on_disk

#: Steps done before the clock starts, so that first-time imports and table creation count for nobody.
WARM_UP = 10
#: Steps left to do after the kill.
TAIL = 10
#: A child that takes longer than this is stuck.
TIMEOUT_S = 1_800


@dataclass(frozen=True, slots=True)
class System:
    """One measured system: its name, the interpreter and the module of its child process."""

    name: str
    python: Path
    module: str
    environment: dict[str, str]
    persistent: bool = True


@dataclass(slots=True)
class Samples:
    """Figures of one system, a list entry for each round."""

    cpu_ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)
    kb: list[float] = field(default_factory=list)
    first10_ms: list[float] = field(default_factory=list)
    last10_ms: list[float] = field(default_factory=list)
    resume_s: list[float] = field(default_factory=list)
    restart_s: list[float] = field(default_factory=list)
    durable: list[bool] = field(default_factory=list)
    repeated: list[int] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)


class ChildError(Exception):
    """A child process did not do its work; the message ends with what it printed."""


def measure_run(system: System, scratch: Path, steps: int, samples: Samples) -> None:
    """One undisturbed run of `steps` steps."""
    with tempfile.TemporaryDirectory(dir=scratch, prefix=system.name) as name:
        folder, report = _places(name)
        _child(system, folder, report, "run", steps=steps, warm_up=WARM_UP)
        _take(json.loads(report.read_text()), bytes_on_disk(folder), steps, samples)


def measure_killed(system: System, scratch: Path, steps: int, samples: Samples) -> None:
    """A run killed with SIGKILL inside the tool after `steps` steps, looked at on disk, and resumed."""
    with tempfile.TemporaryDirectory(dir=scratch, prefix=system.name) as name:
        folder, report = _places(name)
        if not system.persistent:
            _child(system, folder, report, "run", steps=steps, warm_up=WARM_UP)
            _take(json.loads(report.read_text()), bytes_on_disk(folder), steps, samples)
            samples.durable.append(False)
            return
        _child(system, folder, report, "run", steps=steps + TAIL, warm_up=WARM_UP, kill_in=steps)
        copy = folder.with_name("copy")  # folding the log in would do some of the resume's work beforehand
        shutil.copytree(folder, copy)
        _take(json.loads(report.read_text()), bytes_on_disk(copy), steps, samples)
        shutil.rmtree(copy)
        started = time.perf_counter_ns()
        _child(system, folder, report, "resume", steps=steps + TAIL, warm_up=WARM_UP, kill_in=steps)
        after = json.loads(report.read_text())
        if not after["wall_ns"]:
            raise ChildError(f"{system.name}: the model was not called after the resume")
        samples.resume_s.append((after["wall_ns"][0] - after["resumed_at_ns"]) / 1e9)
        samples.restart_s.append((after["wall_ns"][0] - started) / 1e9)
        again = sum(1 for page in after["pages"] if page < steps)
        samples.repeated.append(again)
        # On disk before the next step: the step before the killed one is known and was not done again.
        samples.durable.append(bool(after["kept"]) and again == 0 and steps + TAIL - 1 in after["pages"])


def flushes_per_step(system: System, scratch: Path, steps: int) -> float | None:
    """Calls of fsync and fdatasync a step, counted by strace; None where strace is missing or refused."""
    strace = shutil.which("strace")
    if strace is None or not system.persistent:
        return None
    with tempfile.TemporaryDirectory(dir=scratch, prefix=system.name) as name:
        counts = []
        for size in (steps, steps * 2):
            folder, report = _places(name, str(size))
            log = report.with_suffix(".strace")
            prefix = [
                strace,
                "-f",
                "-qq",
                "-e",
                "trace=fsync,fdatasync",
                "-o",
                str(log),
            ]
            try:
                _child(system, folder, report, "run", steps=size, prefix=prefix)
            except ChildError:
                return None
            counts.append(len(re.findall(r"\b(?:fsync|fdatasync)\(", log.read_text())))
        return (counts[1] - counts[0]) / steps


def median(values: list[float]) -> float | None:
    """The median, or None of nothing."""
    return statistics.median(values) if values else None


def _take(report: dict[str, Any], size: int, steps: int, samples: Samples) -> None:
    cpu, wall = report["cpu_ns"], report["wall_ns"]
    if len(cpu) < steps + 1:
        raise ChildError(f"expected {steps + 1} model calls and saw {len(cpu)}")
    children_ms = report["children_cpu_s"] * 1e3  # no system starts any today; counted if one does
    samples.cpu_ms.append(((cpu[steps] - cpu[0]) / 1e6 + children_ms) / steps)
    samples.wall_ms.append((wall[steps] - wall[0]) / 1e6 / steps)
    samples.first10_ms.append((cpu[10] - cpu[0]) / 1e7)
    samples.last10_ms.append((cpu[steps] - cpu[steps - 10]) / 1e7)
    samples.kb.append((size - report["bytes_before"]) / 1024 / steps)
    samples.versions.update(report["versions"])


def _places(name: str, sub: str = "") -> tuple[Path, Path]:
    folder = Path(name) / f"home{sub}"
    folder.mkdir()
    return folder, Path(name) / f"report{sub}.json"


def _child(
    system: System,
    folder: Path,
    report: Path,
    mode: str,
    *,
    steps: int,
    warm_up: int = 0,
    kill_in: int | None = None,
    prefix: list[str] | None = None,
) -> None:
    command = [*(prefix or []), str(system.python), "-m", system.module, mode, "--folder", str(folder)]
    command += ["--report", str(report), "--steps", str(steps), "--warm-up", str(warm_up)]
    if kill_in is not None:
        command += ["--kill-in", str(kill_in)]
    done = subprocess.run(
        command,
        env=system.environment,
        cwd=folder.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=TIMEOUT_S,
        check=False,
    )
    killed = mode == "run" and kill_in is not None
    if done.returncode != (-signal.SIGKILL if killed else 0):
        told = (done.stderr or done.stdout)[-2_000:]
        raise ChildError(f"{system.name}: {mode} ended with {done.returncode}:\n{told}")


def python_of_this_process() -> Path:
    """The interpreter with Mainspring in it."""
    return Path(sys.executable)
