"""Starts the model server and one process for each arm, and reads what they report."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.peers.environment import QUIET
from benchmarks.swarm.draws import Size

ROOT = Path(__file__).resolve().parents[2]
#: A process that takes this many times as long as one agent alone is stuck.
STUCK = 3.0
MOST_WORDS = 300


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of doing the task.

    Args:
        at_once: most parts at the same time; None means all of them.
        paced: whether it is told the server's rate.
        options: further words on its command line.
    """

    python: Path
    module: str
    at_once: int | None = None
    paced: bool = False
    options: tuple[str, ...] = ()


@dataclass(slots=True)
class Outcome:
    """What one arm did. `failed` is empty when every part's answer is right."""

    seconds: float | None = None
    cpu_s: float | None = None
    peak_mb: float | None = None
    right: int = 0
    failed: str = ""
    server: dict[str, int] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


def environment() -> dict[str, str]:
    """For the children: nothing of the person's own settings, no telemetry."""
    found = {**os.environ, **QUIET, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "", "OPENAI_API_KEY": "none"}
    for name in list(found):
        if (
            name.startswith("MAINSPRING_")
            or name in ("OPENAI_BASE_URL", "PYTHONHOME")
            or name.lower().endswith("_proxy")
        ):
            del found[name]
    return found


@contextlib.contextmanager
def serving(size: Size) -> Iterator[str]:
    """The model server, in a process of its own; yields its address, with ``/v1``."""
    command = [sys.executable, "-m", "benchmarks.swarm.server", "--size", size.encode()]
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        if not port:
            raise SystemExit("the model server did not start")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def measure(arm: Arm, size: Size, parts: int, url: str, scratch: Path, most_s: float) -> Outcome:
    """Have an arm do `parts` parts; a process that fails is told, not raised."""
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        report = Path(name) / "report.json"
        command: list[str] = [str(arm.python), "-m", arm.module, "--url", url, "--size", size.encode()]
        command += ["--parts", str(parts), "--folder", name, "--report", str(report), *arm.options]
        if arm.at_once is not None:
            command += ["--at-once", str(arm.at_once)]
        if arm.paced:
            command += ["--paced"]
        try:
            done = subprocess.run(
                command,
                env=environment(),
                cwd=name,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=most_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Outcome(failed=f"not done within {most_s:.0f} s")
        if done.returncode or not report.exists():
            return Outcome(failed=_words(done.stderr or done.stdout or f"ended with {done.returncode}"))
        value: dict[str, Any] = json.loads(report.read_text())
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as answer:
        server = json.load(answer)
    outcome = Outcome(value["seconds"], value["cpu_s"], value["peak_mb"], value["right"], "", server, value["versions"])
    if value["wrong"]:
        said = next(iter(value["wrong"].values()))
        outcome.failed = f"{len(value['wrong'])} of {parts} parts have no right answer: {_words(said)}"
    return outcome


def best(outcomes: Sequence[tuple[str, Outcome]]) -> tuple[str, Outcome] | None:
    """The fastest that did everything; None when none did."""
    whole = [(name, o) for name, o in outcomes if not o.failed and o.seconds is not None]
    return min(whole, key=lambda one: one[1].seconds or 0.0, default=None)


def _words(text: str) -> str:
    return " ".join(text.split())[-MOST_WORDS:]
