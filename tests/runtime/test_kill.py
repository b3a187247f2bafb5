"""Processes that are killed: what each class of tool does again, adopts or parks, and nothing twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
POINTS = ("intent.before_commit", "intent.committed", "witness.after", "outcome.before_commit", "outcome.committed")


def _python(*arguments: str, timeout_s: float) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    assert done.stdout, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One kill for each class of tool and each point, each followed by one resume."""
    script = Path(__file__).with_name("kill_matrix.py")
    return _python(str(script), str(tmp_path_factory.mktemp("kills")), timeout_s=120)


@pytest.mark.parametrize("point", POINTS)
def test_a_read_is_repeated(matrix: dict[str, Any], point: str) -> None:
    seen = matrix[f"look at {point}"]
    assert seen["status"] == "done"
    assert seen["reads"] == (2 if point in ("witness.after", "outcome.before_commit") else 1)


@pytest.mark.parametrize("point", POINTS)
def test_a_keyed_call_is_repeated_under_its_key(matrix: dict[str, Any], point: str) -> None:
    seen = matrix[f"charge at {point}"]
    assert seen["status"] == "done"
    assert seen["acts"] == 1
    assert seen["keys"] == 1
    assert seen["attempts"] == (2 if point in ("witness.after", "outcome.before_commit") else 1)


@pytest.mark.parametrize("point", POINTS)
def test_a_reconciled_call_is_adopted_or_run(matrix: dict[str, Any], point: str) -> None:
    seen = matrix[f"book at {point}"]
    assert seen["status"] == "done"
    assert seen["acts"] == 1
    adopted = point in ("witness.after", "outcome.before_commit")
    assert seen["settled"] == ["adopted" if adopted else "ran"]


@pytest.mark.parametrize("point", POINTS)
def test_an_opaque_call_is_parked(matrix: dict[str, Any], point: str) -> None:
    seen = matrix[f"publish at {point}"]
    if point in ("intent.before_commit", "outcome.committed"):
        assert seen["status"] == "done"
        assert seen["acts"] == 1
        assert seen["pending"] == []
    else:
        assert seen["status"] == "in_doubt"
        assert seen["acts"] == (0 if point == "intent.committed" else 1)
        assert seen["pending"] == ["doubt"]


def _crash(kills: int, seed: int, timeout_s: float) -> dict[str, Any]:
    return _python(
        *("-m", "benchmarks.crash", "--json", "--kills", str(kills), "--seed", str(seed)), timeout_s=timeout_s
    )


def _clean(result: dict[str, Any], kills: int) -> None:
    assert result["findings"] == []
    assert result["kills"] >= kills
    assert result["acknowledged_events"] > kills
    for name in (
        *("duplicates", "lost", "unsettled", "approvals_used_twice", "parked_without_intent"),
        *("parked_needlessly", "acted_without_approval", "broken_chains", "errors"),
    ):
        assert result[name] == 0, name


def test_kills_at_random(matrix: dict[str, Any]) -> None:
    _clean(_crash(20, seed=5, timeout_s=200), 20)


@pytest.mark.slow
def test_many_kills() -> None:
    result = _crash(120, seed=6, timeout_s=290)
    _clean(result, 120)
    assert result["parked"] > 0
    assert result["approvals"] > 0
    assert result["second_kills"] > 0
    assert result["per_class"]["keyed"]["repeated"] > 0
    assert result["per_class"]["reconcile"]["adopted"] > 0


#: Ways to break the protocol, what the benchmark must then see, and kills after which it has seen much of it.
SABOTAGE = {
    "repeats what it should park": (
        "async def bad(self, call, tool, arguments): return 'again'\nEffects._settle = bad",
        "duplicates",
        60,
    ),
    "adopts without asking": (
        "async def bad(self, call, tool, arguments):\n"
        "    self._done(call, tool, to_content('fine'), False, 0.0, 'adopted')\n"
        "Effects._settle = bad",
        "lost",
        20,
    ),
    "draws a new key for each attempt": (
        "right = Effects.context\nEffects.context = lambda self, call, key: right(self, call, os.urandom(8).hex())",
        "duplicates",
        60,
    ),
    "parks everything": (
        "async def bad(self, call, tool, arguments): self.park(call, 'lazy')\nEffects._settle = bad",
        "parked_needlessly",
        5,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("how", SABOTAGE)
def test_the_benchmark_sees_a_broken_protocol(how: str) -> None:
    source, counter, kills = SABOTAGE[how]
    program = (
        "import os, sys\n"
        "from mainspring.content import to_content\n"
        "from mainspring.runtime.effects import Effects\n"
        f"{source}\n"
        "from benchmarks.crash.__main__ import main\n"
        f"sys.argv[1:] = ['--json', '--kills', '{kills}', '--seed', '7']\n"
        "sys.exit(main())\n"
    )
    assert _python("-c", program, timeout_s=280)[counter] > 0
