"""One line is broken, repeatably, and nothing else."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from mainspring.code.breaking.mutate import KINDS, Mutation, mutations

SOURCE = '''"""Docstring with 1 < 2."""


def find(items, wanted, start=0):
    """Index of wanted, or -1. Not 5."""
    index = start
    while index < len(items):
        if not items[index] != wanted and True:
            return max(index, start)
        index += 1
    return -1
'''


@pytest.fixture
def module(tmp_path: Path) -> Path:
    (tmp_path / "find.py").write_text(SOURCE)
    return tmp_path


def test_each_changes_one_line_of_a_function_and_still_parses(module: Path) -> None:
    found = mutations(module, ["find.py"], 1)
    assert len(found) > 15
    for mutation in found:
        mutation.apply(module)
        changed = (module / "find.py").read_text()
        pairs = zip(SOURCE.split("\n"), changed.split("\n"), strict=True)
        differing = [number for number, (a, b) in enumerate(pairs, 1) if a != b]
        assert differing == [mutation.line]
        assert mutation.line >= 6  # neither the signature nor a docstring
        assert mutation.function == "find"
        assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(SOURCE))
        mutation.revert(module)
        assert (module / "find.py").read_text() == SOURCE


def test_every_kind_that_fits_is_made(module: Path) -> None:
    kinds = {mutation.kind for mutation in mutations(module, ["find.py"], 1)}
    assert kinds == set(KINDS) - {"negated_condition"}  # its conditions are comparisons


def test_the_seed_decides(module: Path) -> None:
    once, again, other = (mutations(module, ["find.py"], seed) for seed in (3, 3, 4))
    assert once == again
    assert once != other
    assert {m.line for m in once} == {m.line for m in other}


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("    return a < b", "    return a <= b"),
        ("    return a not in b", "    return a in b"),
        ("    return a // b", "    return a * b"),
        ("    return a and b", "    return a or b"),
        ("    return f(a, 'é', b)", "    return f('é', a, b)"),
        ("    a += 1", "    a -= 1"),
        ("    return not a", "    return a"),
        ("    return a", "    a"),
        ("    return b if f(a) else a", "    return b if not f(a) else a"),
    ],
)
def test_slips_that_people_make(tmp_path: Path, line: str, wanted: str) -> None:
    (tmp_path / "m.py").write_text(f"def g(a, b):\n{line}\n", encoding="utf-8")
    assert wanted in [m.after for m in mutations(tmp_path, ["m.py"], 0)]


def test_the_first_ones_are_spread_over_functions(tmp_path: Path) -> None:
    body = "".join(f"def f{n}(a, b):\n    c = a + b * 2\n    return c - a < b\n\n\n" for n in range(6))
    (tmp_path / "m.py").write_text(body)
    first = mutations(tmp_path, ["m.py"], 5)[:6]
    assert len({m.function for m in first}) == 6
    assert len({m.kind for m in first}) >= 4


def test_it_refuses_a_file_that_is_another_one(module: Path) -> None:
    mutation = Mutation("find.py", "find", 7, "    while True:", "    while False:", "wrong_constant")
    with pytest.raises(ValueError, match=r"find\.py:7"):
        mutation.apply(module)
    assert (module / "find.py").read_text() == SOURCE


def test_windows_line_ends_stay(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_bytes(b"def g(a, b):\r\n    return a < b\r\n")
    mutation = next(m for m in mutations(tmp_path, ["m.py"], 0) if m.kind == "comparison")
    mutation.apply(tmp_path)
    assert (tmp_path / "m.py").read_bytes() == b"def g(a, b):\r\n    return a <= b\r\n"


def test_an_unparsable_file_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("def f(:\n")
    assert mutations(tmp_path, ["bad.py"], 0) == []
