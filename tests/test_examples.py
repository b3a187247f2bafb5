"""Every example runs as it is, in a home of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
WITH_MODEL = {"01_hello.py", "11_pictures_and_files.py"}
#: What each must print, so that an example that runs and shows something wrong is noticed.
SAYS = {
    "01_hello.py": "done - ",
    "02_tools.py": "after a crash: keyed",
    "03_approval.py": "done - Ann has been asked.",
    "04_crash.py": "payments under this key: 1",
    "05_typed_output.py": "Invoice(number='17', total=119.0)",
    "06_stream.py": "run.ended",
    "07_limits_and_fallback.py": "limit steps reached",
    "08_coding.py": "undone: True",
    "09_langchain.py": "42",
    "10_fork_replay_export.py": "identical: True",
    "11_pictures_and_files.py": "done - ",
    "12_steering.py": "1 inch",
    "13_policy.py": "waiting: press@example.net",
    "14_approvals_of_two.py": "done - Muller is paid.",
    "15_audit.py": "found: event 5: the hash does not fit",
    "16_mcp.py": "remove_note is withheld: it changed its description",
    "17_secrets.py": "the journal holds the name: True - the key: False",
    "18_memory.py": "after Ann has vouched for it: done",
    "19_skill.py": "done - Your notes are tidy.",
    "20_clean.py": "the planner saw the attack: False",
    "21_code_mode.py": "deleted b2",
    "22_repository.py": "now called in: pay, refund",
    "23_repository_map.py": "for the failing test",
    "24_editing.py": "as before: True",
    "25_processes.py": "done - The server answers, within this run only.",
    "26_flaky_tests.py": "test_b_is_empty: fails only in the suite",
    "27_scan.py": "deserialisation: the word of model is not enough",
    "28_engineer.py": "a model that only says so: failed",
    "29_swarm.py": "model calls the second time: 0",
    "30_map_reduce.py": "failed on days 17, 34, 51",
    "31_tree.py": "critical path 1 step /",
    "32_schedule.py": "a letter and two schedulers, runs: 1",
    "33_inbox.py": "done: rent.txt",
    "34_worker.py": "done: 21 - It is on its way.",
    "35_long_task.py": "a later run recalls the open work: True",
    "36_library.py": "a byte of what Ann had forgotten is left: False",
    "37_engines.py": "......##..",
    "38_find_a_picture.py": "the small copy looks like IMG_0002.jpg",
    "39_library.py": ">>> to ann@corp.example: It is vented every May. [1]",
}


def test_every_example_is_listed_here_and_in_the_readme() -> None:
    files = {p.name for p in EXAMPLES.glob("*.py")}
    assert files == set(SAYS)
    readme = (EXAMPLES / "README.md").read_text()
    assert all(name in readme for name in files)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in WITH_MODEL else n for n in sorted(SAYS)]
)
def test_example(name: str, tmp_path: Path) -> None:
    env = dict(os.environ, MAINSPRING_HOME=str(tmp_path / "home"), MAINSPRING_MODEL="local:0.5b")
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name)], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    assert SAYS[name] in done.stdout, done.stdout + done.stderr
