"""The repair benchmark keeps its book, and counts only what it saw itself."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
from small_project import make_project

from benchmarks.repair import Book, _test_digest, print_report, summary

BUG = {"id": "a-0", "package": "toolz", "path": "a.py", "function": "f", "kind": "operator"}


def row(arm: str, *, solved: bool, done: bool) -> dict[str, object]:
    return {
        "model": "m",
        "arm": arm,
        "bug": "a-0",
        "solved": solved,
        "false_done": done and not solved,
        "tries": 2,
        "seconds": 1.5,
        "tokens": 10,
    }


def test_an_interrupted_benchmark_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    book = Book(path)
    book.bugs["1/7"] = [BUG]
    book.add(row("bare", solved=False, done=True))
    again = Book(path)
    assert again.bugs == book.bugs
    assert again.find("m", "bare", BUG) == row("bare", solved=False, done=True)
    assert again.find("m", "harness", BUG) is None


def test_the_object_on_the_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    book = Book(None)
    book.add(row("bare", solved=False, done=True))
    book.add(row("harness", solved=True, done=True))
    options = argparse.Namespace(seed=7, seconds_per_bug=1.0, tokens_per_bug=1)
    print_report(("m",), [BUG], book, options)
    answer = json.loads(capsys.readouterr().out.strip().split("\n")[-1])
    assert (answer["bugs"], answer["bare_solved"], answer["harness_solved"]) == (1, 0, 1)
    assert (answer["false_done"], answer["bare_false_done"]) == (0, 1)
    assert answer["swarm_solved"] is None
    assert "swarm_solved" in answer["skipped"]
    assert answer["sources"] == {"toolz": "1.2.0"}
    assert summary(book.results)["tries"] == 4


def test_a_touched_test_file_is_seen(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    before = _test_digest(project)
    (project / "shapes.py").write_text("changed = True\n")
    assert _test_digest(project) == before
    (project / "tests" / "test_shapes.py").write_text("def test_all():\n    pass\n")
    assert _test_digest(project) != before
