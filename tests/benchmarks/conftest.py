"""The benchmarks are no part of the installed package: they are imported from the project's root."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


@pytest.fixture
def benchmark_object(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Runs a benchmark as a person would, with a cache of its own, and gives the object of its last line."""

    def execute(name: str, *options: str) -> dict[str, Any]:
        environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
        command = [sys.executable, "-m", f"benchmarks.{name}", "--json", "--quick", *options]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        lines = done.stdout.splitlines()
        assert len(lines) > 3, "a table comes before the object"
        value: dict[str, Any] = json.loads(lines[-1])
        return value

    return execute
