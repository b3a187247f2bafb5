"""No string that a stranger planted may come back in a field that is declared cleaner than written by anyone."""

from __future__ import annotations

import json
import os
import subprocess
import tomllib

import pytest

from benchmarks.agentdojo.environment import python_with_both
from tests.benchmarks.conftest import ROOT

TOOLS = tomllib.loads((ROOT / "benchmarks/agentdojo/tools.toml").read_text())["tools"]
#: Injection vectors of AgentDojo 0.1.35, v1.2.2.
VECTORS = {"workspace": 16, "slack": 6, "banking": 4, "travel": 13}


@pytest.mark.slow
@pytest.mark.parametrize("suite", VECTORS)
def test_a_planted_string_is_in_no_clean_field(suite: str) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"}
    command = [str(python_with_both()), "-m", "benchmarks.agentdojo.canary", suite]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["vectors"] == VECTORS[suite]
    assert found["unseen"] == []  # a string that never comes back proves nothing
    assert found["leaks"] == []
    reads = [name for name in found["calls"] if TOOLS[name]["effect"] == "read"]
    assert all(found["calls"][name] > 0 for name in reads)


@pytest.mark.parametrize("name", TOOLS)
def test_each_tool_says_what_it_does_and_why(name: str) -> None:
    declared = TOOLS[name]
    assert set(declared) <= {"effect", "authority", "selector", "fields", "outside", "undoable", "why"}
    assert declared["why"]
    if declared["effect"] == "irreversible":
        assert declared.get("authority") or declared.get("selector"), "nothing decides what it does"
    assert set(declared.get("fields", {}).values()) <= {"system", "attested", "anyone"}
