"""The encoding benchmark runs, and its object has what the documentation names."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_a_quick_run() -> None:
    command = [sys.executable, "-m", "benchmarks.library.encode", "--json", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["page_tokens"] == 488
    assert found["cosine_to_float"]["mean"] > 0.997
    assert found["query_ms"] > 0
    assert found["first_query_s"] > 0
    assert {"1", "2"} <= set(found["threads"])
    assert found["bytes"]["bin"] == 71_622_400
