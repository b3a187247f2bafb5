"""Flaky tests, and what to run first."""

from __future__ import annotations

from pathlib import Path

from mainspring.tools.runners import History, find_flaky, order, run_tests

QUICK = "[pytest]\naddopts = -p no:langsmith_plugin -p no:hypothesispytest -p no:anyio -p no:timeout\n"
TESTS = """
import os
seen = []

def test_first():
    seen.append(1)

def test_after():
    assert not seen

def test_always():
    assert 0

def test_hash():
    assert int(os.environ.get("PYTHONHASHSEED", "1")) % 2 == 0
"""


def test_failures_are_told_apart(workspace: Path, home: Path) -> None:
    (workspace / "pytest.ini").write_text(QUICK)
    (workspace / "test_it.py").write_text(TESTS)
    report = run_tests(workspace, home, env={"PYTHONHASHSEED": "1"})
    assert report.failed == 3
    told = {v.id.partition("::")[2]: v.kind for v in find_flaky(workspace, report, 2, home=home).verdicts}
    assert told == {
        "test_after": "fails only in the suite",
        "test_always": "always fails",
        "test_hash": "flaky",
    }
    history = History.load(home, workspace)
    assert {"test_it.py::test_always", "test_it.py::test_hash"} <= set(history.failed), "a rerun mends nothing"
    early = run_tests(workspace, home, first=["test_it.py::test_always"])
    assert list(early.outcomes) == ["test_it.py::test_always"]
    assert "matter first" in early.text()


def test_order() -> None:
    tests = ["tests/test_b.py::b", "tests/test_calc.py::slow", "tests/test_calc.py::quick", "tests/test_z.py::z"]
    seconds = {"tests/test_calc.py::slow": 9.0, "tests/test_calc.py::quick": 0.1}
    first, rest = order(tests, ["pkg/calc.py"], ["tests/test_z.py::z"], seconds=seconds)
    assert first == ["tests/test_z.py::z", "tests/test_calc.py::quick", "tests/test_calc.py::slow"]
    assert rest == ["tests/test_b.py::b"]
    assert order(tests, ["x.py"], index=lambda path: ["tests/test_b.py"])[0] == ["tests/test_b.py::b"]


def test_a_broken_history_counts_as_none(workspace: Path, home: Path) -> None:
    History({"a": "failed"}).save(home, workspace)
    assert History.load(home, workspace).failed == ["a"]
    next((home / "tests").iterdir()).write_text("{")
    assert History.load(home, workspace).failed == []
