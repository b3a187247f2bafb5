"""Failing tests point to the right function and line."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from small_project import COMMAND, break_line

from mainspring import ToolContext, ToolError
from mainspring.code.repair import fault
from mainspring.code.repair.fault import FaultLocator, read_test_command
from mainspring.code.repair.tracing import is_test_file


def locate(project: Path, tests: list[str] | None = None, command: str | None = COMMAND) -> dict[str, Any]:
    tool = FaultLocator(project, command).tool()
    return json.loads(asyncio.run(tool.call({"tests": tests}, ToolContext(workspace=project))))


def test_the_broken_function_comes_first(project: Path) -> None:
    break_line(project, "    return width * height", "    return width + height")
    found = locate(project, ["tests/test_shapes.py::test_area"])
    assert (found["failed"], found["passed"]) == (1, 2)
    first = found["suspects"][0]
    assert (first["path"], first["function"]) == ("shapes.py", "area")
    assert first["call"] == "area(width=2, height=3) returned 5"
    lines = (project / "shapes.py").read_text().split("\n")
    blamed = {lines[number - 1].strip() for number, score in first["lines"] if score == 1.0}
    assert "return width + height" in blamed
    assert not any(s["function"].startswith("Counter") for s in found["suspects"])


def test_lines_that_passing_tests_run_too_are_less_suspicious(project: Path) -> None:
    break_line(project, "        return low\n", "        return high\n")
    found = locate(project)
    clamp = next(s for s in found["suspects"] if s["function"] == "clamp")
    scores = dict(clamp["lines"])
    lines = (project / "shapes.py").read_text().split("\n")
    assert scores[lines.index("        return high") + 1] >= max(scores.values())
    assert len(found["tests"]) == found["failed"]


def test_the_failing_statement_and_the_error_are_shown(project: Path) -> None:
    break_line(project, "self.seen.get(word, 0) + 1", "self.seen.get(word, 0) + 2")
    (test,) = locate(project)["tests"]
    assert test["id"] == "tests/test_shapes.py::test_counter"
    assert test["source"].endswith('    assert counter.add("a") == 1')
    assert "assert 2 == 1" in test["error"]


def test_an_exception_deep_inside_and_unittest_are_traced(project: Path) -> None:
    break_line(project, "    if value < low:", "    if value < lowest:")
    (project / "tests" / "test_unit.py").write_text(
        "import unittest\nfrom shapes import area\n\n\nclass Areas(unittest.TestCase):\n"
        "    def test_big(self):\n        self.assertEqual(area(3, 3), 9)\n"
    )
    found = locate(project)
    assert found["suspects"][0]["function"] == "clamp"
    assert "raised NameError" in found["suspects"][0]["call"]
    assert any(t["id"].endswith("Areas::test_big") for t in found["tests"])


def test_a_test_that_hangs_counts_as_failed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fault, "_PER_TEST_S", 0.5)
    break_line(project, "    if value > high:\n        return high\n", "    while value > high:\n        pass\n")
    found = locate(project)
    assert found["failed"] == 1
    assert "gave up after" in found["tests"][0]["error"]
    assert found["suspects"][0]["function"] == "clamp"


def test_a_passing_test_that_is_slow_under_watch_is_no_failure(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fault, "_PER_TEST_S", 0.3)
    break_line(project, "    return width * height", "    return width + height")
    (project / "tests" / "test_slow.py").write_text(
        "from shapes import clamp\n\n\ndef test_slow():\n    for number in range(10**7):\n        clamp(number, 0, 5)\n"
    )
    found = locate(project, ["tests/test_shapes.py::test_area"])
    assert (found["failed"], found["passed"]) == (1, 2)
    unknown = locate(project)  # nobody said which tests fail: a hanging one may be it
    assert unknown["failed"] == 2


def test_a_function_that_runs_only_on_import_is_a_suspect(project: Path) -> None:
    module = project / "shapes.py"
    module.write_text(module.read_text() + "\n\ndef _names():\n    return ['squre']\n\n\nNAMES = _names()\n")
    (project / "tests" / "test_names.py").write_text(
        "from shapes import NAMES, area\n\n\ndef test_names():\n    assert area(1, 1)\n    assert NAMES == ['square']\n"
    )
    names = [s["function"] for s in locate(project, ["tests/test_names.py::test_names"])["suspects"]]
    assert "_names" in names
    assert names[0] == "area"  # what the test itself executes comes first


def test_a_failing_test_that_reports_name_otherwise_is_found_by_its_name(project: Path) -> None:
    break_line(project, "self.seen.get(word, 0) + 1", "self.seen.get(word, 0) + 2")
    break_line(project, "    return width * height", "    return width + height")
    found = locate(project, ["elsewhere/test_other.py::test_counter"])
    # It ran first, and so it was watched wholly, although its file is not where the report says.
    assert any(s["function"] == "Counter.add" for s in found["suspects"])


def test_tests_that_cannot_run_give_a_clear_error(project: Path) -> None:
    with pytest.raises(ToolError, match=r"could not be traced [^$]*no-such-option"):
        locate(project, command="python -m pytest --no-such-option")


def test_what_a_test_command_says() -> None:
    assert read_test_command("A=1 B='x y' python -m pytest -q tests -k 'not slow'") == (
        {"A": "1", "B": "x y"},
        ["tests", "-k", "not slow"],
    )
    assert read_test_command("make check") == ({}, [])
    assert read_test_command(None) == ({}, [])


def test_files_of_tests() -> None:
    assert is_test_file("pkg/tests/helpers.py")
    assert is_test_file("test_a.py")
    assert is_test_file("tests.py")
    assert not is_test_file("pkg/latest.py")
    assert not is_test_file("pkg/contest/run.py")
