"""Searching: what is found, what is left out, and what no pattern can do."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainspring.errors import ToolError
from mainspring.tools.searching import search


@pytest.fixture
def project(workspace: Path) -> Path:
    (workspace / "src").mkdir()
    (workspace / "src" / "calc.py").write_text("import math\n\ndef Total(items):\n    return sum(items)\n")
    (workspace / "src" / "deep").mkdir()
    (workspace / "src" / "deep" / "more.py").write_text("total = 3\n")
    (workspace / "notes.md").write_text("The total is 3.\n")
    return workspace


def test_lower_case_finds_both_and_capitals_are_exact(project: Path) -> None:
    assert search(project, "total").splitlines() == [
        "3 matching lines in 3 of 3 files",
        "notes.md:1: The total is 3.",
        "src/calc.py:3: def Total(items):",
        "src/deep/more.py:1: total = 3",
    ]
    assert search(project, "Total").splitlines()[1:] == ["src/calc.py:3: def Total(items):"]


def test_path_glob_and_regex(project: Path) -> None:
    assert search(project, "total", path="src/deep").splitlines()[1:] == ["src/deep/more.py:1: total = 3"]
    assert search(project, "total", path="notes.md").splitlines()[1:] == ["notes.md:1: The total is 3."]
    assert "notes.md" not in search(project, "total", glob="*.py")
    assert search(project, r"^def \w+\(", regex=True).splitlines()[1:] == ["src/calc.py:3: def Total(items):"]
    assert search(project, "sum(items)").splitlines()[1:] == ["src/calc.py:4:     return sum(items)"]


def test_nothing_found_says_so_and_names_files(project: Path) -> None:
    assert search(project, "absent") == "no line matches 'absent' in 3 files"
    assert search(project, "more.py").splitlines()[-1] == "files with this name: src/deep/more.py"


def test_ignored_files_are_left_out(project: Path) -> None:
    (project / ".gitignore").write_text("*.log\n/build/\n!keep.log\n")
    (project / "src" / ".gitignore").write_text("local.py\n!important.log\n")
    (project / "build").mkdir()
    for name in ("a.log", "keep.log", "build/x.py", "src/local.py", "src/important.log", "src/other.log"):
        (project / name).write_text("needle\n")
    found = {line.split(":")[0] for line in search(project, "needle").splitlines()[1:]}
    assert found == {"keep.log", "src/important.log"}


def test_rules_above_the_searched_folder_hold(project: Path) -> None:
    (project / ".gitignore").write_text("more.py\n")
    assert search(project, "total", path="src/deep").startswith("no line matches")


def test_binary_and_huge_files_are_skipped(project: Path) -> None:
    (project / "a.bin").write_bytes(b"total\0\0")
    (project / "big.txt").write_text("total\n" * 1_000_000)
    head = search(project, "total").splitlines()[0]
    assert head == "3 matching lines in 3 of 3 files; 2 binary or large files skipped"


def test_many_matches_are_bounded(project: Path) -> None:
    for number in range(40):
        (project / f"f{number}.txt").write_text("needle\n" * 50)
    lines = search(project, "needle").splitlines()
    assert lines[0] == "2,000 matching lines in 40 of 43 files; 100 shown, narrow it with path or glob"
    assert len(lines) == 101


def test_a_long_line_shows_the_match(project: Path) -> None:
    (project / "min.js").write_text("x" * 10_000 + "needle" + "y" * 10_000)
    line = search(project, "needle").splitlines()[1]
    assert "needle" in line
    assert len(line) < 300


def test_wrong_patterns_and_paths(project: Path) -> None:
    with pytest.raises(ToolError, match="is no regular expression"):
        search(project, "a(b", regex=True)
    with pytest.raises(ToolError, match="query is empty"):
        search(project, "")
    with pytest.raises(ToolError, match="does not exist"):
        search(project, "x", path="nowhere")
    with pytest.raises(ToolError, match="outside the workspace"):
        search(project, "root", path="../..")


def test_a_pattern_that_explodes_is_ended(project: Path) -> None:
    (project / "a.txt").write_text("a" * 60 + "!")
    with pytest.raises(ToolError, match="took longer than 1 s and was ended"):
        search(project, "(a+)+$", regex=True, seconds=1)


def test_an_ignore_file_that_explodes_is_ended(project: Path) -> None:
    (project / ".gitignore").write_text("*a" * 40 + "b\n")
    (project / ("a" * 200)).write_text("needle")
    with pytest.raises(ToolError, match="took longer than 1 s"):
        search(project, "needle", seconds=1)


def test_links_and_pipes_are_not_followed(project: Path, tmp_path: Path) -> None:
    import os

    (tmp_path / "outside.txt").write_text("total secret\n")
    (project / "link.txt").symlink_to(tmp_path / "outside.txt")
    (project / "up").symlink_to("..")
    os.mkfifo(project / "pipe")
    assert "secret" not in search(project, "total")
    with pytest.raises(ToolError, match="outside the workspace"):
        search(project, "total", path="up")


def test_the_home_is_not_searched(project: Path) -> None:
    (project / ".mainspring").mkdir()
    (project / ".mainspring" / "journal.txt").write_text("total of a journal")
    assert "journal" not in search(project, "total", home=project / ".mainspring")
