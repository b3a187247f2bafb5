"""The repository map's benchmark: what it takes for a change, what may be known, and how maps are read."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks.repo_map.changes import Case, cases, changelog, is_source, is_test, new_tests
from benchmarks.repo_map.imports import reach
from benchmarks.repo_map.measure import BUDGETS, Scores, headings, ours, recall
from benchmarks.repo_map.packages import PACKAGES, QUICK, Package
from benchmarks.repo_map.worktree import Worktree
from mainspring.code.index import CodeIndex

BEFORE = {
    "CHANGES.rst": b"1.0\n===\n",
    "shop/__init__.py": b"VERSION = '1.0'\n",
    "shop/basket.py": b"from shop.money import add\n\n\ndef total(items):\n    return add(items)\n",
    "shop/money.py": b"def add(items):\n    return sum(items)\n",
    "shop/far.py": b"def paint():\n    return 1\n",
    "tests/test_basket.py": b"from shop.basket import total\n\n\ndef test_one():\n    assert total([1]) == 1\n",
}
AFTER = BEFORE | {
    "CHANGES.rst": b"1.1\n===\nTotals of nothing are zero.\n1.0\n===\n",
    "shop/__init__.py": b"VERSION = '1.1'\n",
    "shop/money.py": b'"""Sums."""\n\n\ndef add(items):\n    return sum(items or [])\n',
    "shop/far.py": b"def paint():\n    return 'red'\n",
    "tests/test_basket.py": BEFORE["tests/test_basket.py"] + b"\n\ndef test_nothing():\n    assert total(None) == 0\n",
}
PACKAGE = Package("shop", "MIT", "held_out", (("1.0", ""), ("1.1", "")))


def test_a_step_gives_a_case_of_each_kind() -> None:
    release, test = cases(PACKAGE, "1.0", "1.1", BEFORE, AFTER)
    assert release.truth == {"shop/money.py", "shop/far.py"}
    assert release.tests == test.tests == ("tests/test_basket.py",)
    assert "nothing are zero" in release.text
    assert "1.0" not in release.text
    assert (test.text, test.truth) == ("test_nothing", {"shop/money.py"})


def test_a_version_a_comment_or_a_docstring_is_no_change() -> None:
    after = BEFORE | {
        "shop/__init__.py": b"VERSION = '1.1'  # 2026\n",
        "shop/money.py": b'def add(items):\n    """Sum."""\n    return sum(items)\n',
    }
    assert cases(PACKAGE, "1.0", "1.1", BEFORE, after) == []


def test_no_file_to_be_found_is_given_and_a_large_change_is_no_case() -> None:
    for case in cases(PACKAGE, "1.0", "1.1", BEFORE, AFTER):
        assert case.truth.isdisjoint(case.tests)
    many = {f"shop/m{number}.py": b"x = 'a'\n" for number in range(9)}
    changed = dict.fromkeys(many, b"x = 'b'\n")
    assert cases(PACKAGE, "1.0", "1.1", BEFORE | many, AFTER | changed)[0].kind == "test"


def test_the_reach_of_a_test_stops_after_two_steps() -> None:
    tree = {
        "a/test_x.py": b"from . import one\n",
        "a/__init__.py": b"",
        "a/one.py": b"import a.two\n",
        "a/two.py": b"from .three import f\n",
        "a/three.py": b"def f(): ...\n",
    }
    assert reach(tree, "a/test_x.py", 1) == {"a/one.py", "a/__init__.py"}
    assert "a/two.py" in reach(tree, "a/test_x.py", 2)
    assert "a/three.py" not in reach(tree, "a/test_x.py", 2)


def test_what_counts_as_a_test_and_as_source() -> None:
    assert is_test("tests/helpers.py")
    assert is_test("pkg/test_a.py")
    assert not is_test("pkg/latest.py")
    assert is_source("pkg/a.py")
    assert not is_source("docs/conf.py")
    assert not is_source("pkg/a.pyi")


def test_a_changelog_tells_its_new_lines_only() -> None:
    before = {"docs/changelog.rst": b"old\n", "a.py": b""}
    after = {"docs/changelog.rst": b"new\nold\n", "docs/usage.rst": b"usage\n", "a.py": b"x"}
    assert changelog(before, after) == "new"


def test_new_and_changed_tests_are_named() -> None:
    before = b"def test_a(): assert 1\ndef test_b(): assert 1\n"
    assert new_tests(before, b"def test_a(): assert 1\ndef test_b(): assert 2\ndef test_c(): pass\n") == [
        "test_b",
        "test_c",
    ]


def test_headings_of_both_systems_maps_are_read() -> None:
    text = "a.py\nb/c.py:\n 3 def f(x)\n⋮\n│b/d.py:\n"
    assert headings(text, {"a.py", "b/c.py", "b/d.py"}) == ["a.py", "b/c.py"]
    assert recall(["a.py"], {"a.py", "x.py"}) == 0.5


def test_a_map_above_its_budget_ends_the_run() -> None:
    case = Case("p", "1", "2", "release", "", (), frozenset({"a.py"}))
    with pytest.raises(SystemExit, match="above 2000"):
        Scores().add(case, "held_out", [("a.py", BUDGETS[0] + 1), ("a.py", 1)], {"a.py"}, 0.1)


def test_the_tree_moves_from_release_to_release_and_the_map_finds_the_change(tmp_path: Path) -> None:
    tree = Worktree(tmp_path / "tree")
    assert tree.move(AFTER | {"gone.py": b""}, "0.9") == sorted([*AFTER, "gone.py"])
    assert tree.move(BEFORE, "1.0") == sorted(BEFORE)
    assert not (tree.root / "gone.py").exists()
    log = subprocess.run(["git", "log", "--format=%s"], cwd=tree.root, capture_output=True, text=True, check=True)
    assert log.stdout.split() == ["1.0", "0.9"]
    index = CodeIndex.open(tree.root)
    index.refresh()
    case = cases(PACKAGE, "1.0", "1.1", BEFORE, AFTER)[1]
    maps, _, files = ours(index, case, lambda text: len(text.split()))
    assert recall(headings(maps[0][0], set(BEFORE)), case.truth) == 1.0
    assert headings(maps[-1][0], set(BEFORE)) == files


def test_the_list_of_packages_is_sound() -> None:
    assert {package.half for package in PACKAGES} == {"development", "held_out"}
    assert {package.name for package in PACKAGES} >= set(QUICK)
    digests = [digest for package in PACKAGES for _, digest in package.releases]
    assert len(digests) == len(set(digests))
    assert all(len(digest) == 64 for digest in digests)
    assert all(len(package.steps()) == len(package.releases) - 1 for package in PACKAGES)


def test_a_package_without_cases_has_no_recall_and_no_ratio() -> None:
    from benchmarks.repo_map.__main__ import Run, recalls

    run = Run.__new__(Run)
    run.peers, run.ours, run.aider, run.aider_mentioned = True, Scores(), Scores(), Scores()
    assert recalls(run, package="none")["recall_ratio"] is None
