"""A repair that is killed in the middle goes on in another process and mends the code."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from small_project import COMMAND, SHAPES, Told, break_line

from mainspring import Run
from mainspring.code import repair_agent

CHILD = """
import os, signal, sys
from small_project import COMMAND, Told
from mainspring.code import repair_agent
asked = []
def say(prompt, begin):
    asked.append(begin)
    if len(asked) == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
    return f"return {len(asked)}"
repair_agent(Told(say), sys.argv[1], COMMAND, name="killed").run_sync("Mend it.", home=sys.argv[2], run_id="r1")
"""


@pytest.mark.parametrize("question", [1, 3])
def test_it_goes_on_after_kill_9(project: Path, tmp_path: Path, question: int) -> None:
    break_line(project, "    return width * height", "    return width + height")
    home = tmp_path / "home"
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(project), str(home), str(question)],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr

    def say(prompt: str, begin: str) -> str:
        before = begin.partition("<|fim_suffix|>")[0]
        return "return width * height" if before.endswith("height = clamp(height, 0, 1000)\n    ") else "return 77"

    repair_agent(Told(say), project, COMMAND, name="killed")
    run = Run.load("r1", home=home).resume_sync()
    assert run.status == "done", run.reason
    assert (project / "shapes.py").read_text() == SHAPES
    tests = [e for e in run.events() if e.kind == "effect.done" and e.payload["tool"] == "execute_tests"]
    assert sum("PASSED: 3 passed" in t.payload["content"][0]["text"] for t in tests) == 1
    edits = [
        (e.payload["arguments"]["old"], e.payload["arguments"]["new"])
        for e in run.events()
        if e.kind == "effect.intended" and e.payload["tool"] == "edit_file"
    ]
    assert len(edits) == len(set(edits))  # nothing was tried a second time
