"""Starts real workers as processes, and looks at what they did."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mainspring import Run

AGENTS = Path(__file__).with_name("fleet_agents.py")


def worker_environment(home: Path, effects: Path, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MAINSPRING_", "PYTEST_"))}
    return kept | {"MAINSPRING_HOME": str(home), "FLEET_EFFECTS": str(effects), "LC_ALL": "C.UTF-8"} | more


def start_worker(
    home: Path, effects: Path, *arguments: str, command: str = "worker", agents: Path = AGENTS, **more: str
) -> subprocess.Popen[bytes]:
    """A worker process; its lines go to a file beside the effects, named by its process id."""
    program = [sys.executable, "-m", "mainspring.cli", command, "--agent", str(agents), "--json", *arguments]
    lines = effects / f"lines-{time.monotonic_ns()}"
    with open(lines, "wb") as out, open(f"{lines}.err", "wb") as errors:
        process = subprocess.Popen(program, stdout=out, stderr=errors, env=worker_environment(home, effects, **more))
    process.lines = lines  # type: ignore[attr-defined]
    return process


def said(process: subprocess.Popen[bytes]) -> list[dict[str, Any]]:
    """What a worker has said so far."""
    whole = process.lines.read_text().splitlines()  # type: ignore[attr-defined]
    return [json.loads(line) for line in whole if line.endswith("}")]


def until(true: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Wait for something; fails the test when it never comes."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"{what} never came"
        time.sleep(0.02)


def ledger(effects: Path) -> list[str]:
    """What was paid, one line a payment."""
    path = effects / "ledger"
    return path.read_text().splitlines() if path.exists() else []


def all_ended(runs: list[Run]) -> bool:
    return all(run.status in ("done", "failed", "cancelled") for run in runs)
