"""A process that is killed while its sub-agents work: finished ones are never paid twice, unfinished ones go on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("swarm_kills.py")
#: Points, and at which passing of them the process dies; the first passing is the creator's own.
KILLS = [
    ("run.created", 3),
    ("model.before_call", 2),
    ("model.before_call", 4),
    ("model.answered", 3),
    ("store.before_commit", 6),
    ("store.committed", 6),
    ("store.before_commit", 12),
    ("store.committed", 14),
    ("run.before_end", 1),
    ("run.before_end", 4),
    ("run.ended", 1),
    ("run.ended", 3),
    ("run.ended", 6),
    ("effect.before_act", 1),
    ("effect.acted", 1),
    ("outcome.before_commit", 1),
    ("intent.committed", 1),
]


def go(home: Path, point: str, number: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), str(home), point, str(number)], capture_output=True, text=True, timeout=120
    )


@pytest.mark.slow
@pytest.mark.parametrize(("point", "number"), KILLS)
def test_a_killed_swarm_goes_on_with_what_had_not_ended(home: Path, point: str, number: int) -> None:
    killed = go(home, point, number)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    ended = _ended(home)
    paid_before = Counter((home.parent / "paid").read_text().split()) if (home.parent / "paid").exists() else Counter()
    again = go(home, "", 0)
    assert again.returncode == 0, again.stderr
    seen = json.loads(again.stdout)
    assert seen["status"] == "done"
    assert seen["answers"] == [f"T{n}" for n in range(6)]
    assert set(seen["children"].values()) == {"done"}
    assert len(seen["children"]) == 6
    paid = Counter((home.parent / "paid").read_text().split())
    for task in ended:  # its answer was on disk: it is used, and not asked for again
        assert paid[task] == paid_before[task] == 1
    assert all(n <= 2 for n in paid.values())  # a call under way when the process died may have to be repeated
    assert seen["usd"] == 6.0


def _ended(home: Path) -> list[str]:
    """Tasks of the children that had ended when the process died, read by a process of its own."""
    program = (
        "import sys, json; from mainspring.store import open_store\n"
        "s = open_store(sys.argv[1]); rows = s.children('r')\n"
        "print(json.dumps([r.task for r in rows if r.status == 'done']))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(home)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_a_process_that_dies_again_and_again_still_comes_to_an_end(home: Path) -> None:
    for number in (2, 1, 1):  # each time it gets one or two answers further
        assert go(home, "run.ended", number).returncode == -signal.SIGKILL
    seen = json.loads(go(home, "", 0).stdout)
    assert seen["answers"] == [f"T{n}" for n in range(6)]
    assert Counter((home.parent / "paid").read_text().split()).total() <= 6 + 3 * 2
