"""A function of a release put back to how the release before had it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainspring.code.breaking.releases import REVERTED, reversals

OLD = '''"""Old."""
import math


def area(r):
    """Of a circle."""
    return 3 * r


def same(x):
    """Old words."""
    return x   # an old remark


def grown(x):
    return x


class Box:
    @property
    def size(self):
        if self.w:
            return self.w
        return 0

    def gone(self):
        return gone_helper(self)

    def huge(self):
        return 1
'''
NEW = '''"""New."""
import math


def area(r):
    """Of a circle, mended."""
    return math.pi * r * r


def same(x):
    """New words."""
    return x


def grown(x, more=1):
    return x * more


class Box:
    @property
    def size(self):
        if self.w and self.h:
            return self.w * self.h
        return 0

    def gone(self):
        return len(self)

    def huge(self):
        a = 1
        b = 2
        c = 3
        d = 4
        e = 5
        f = 6
        g = 7
        h = 8
        i = 9
        j = 10
        return a + b + c + d + e + f + g + h + i + j

    def only_new(self):
        return 1
'''


@pytest.fixture
def releases(tmp_path: Path) -> tuple[Path, Path]:
    old, new = tmp_path / "old", tmp_path / "new"
    for folder, text in ((old, OLD), (new, NEW)):
        folder.mkdir()
        (folder / "m.py").write_text(text)
    return old, new


def test_small_changes_of_a_functions_inside_are_found(releases: tuple[Path, Path]) -> None:
    old, new = releases
    found = {m.function: m for m in reversals(new, ["m.py"], old, 1)}
    # Not: `same` (words only), `grown` (signature), `gone` (a name that is gone), `huge` (too many lines).
    assert set(found) == {"area", "Box.size"}
    assert {m.kind for m in found.values()} == {REVERTED}


def test_one_is_applied_and_taken_back(releases: tuple[Path, Path]) -> None:
    old, new = releases
    (mutation,) = (m for m in reversals(new, ["m.py"], old, 1) if m.function == "Box.size")
    mutation.apply(new)
    text = (new / "m.py").read_text()
    assert "return self.w\n" in text
    assert "math.pi" in text
    with pytest.raises(ValueError, match="expected"):
        mutation.apply(new)
    mutation.revert(new)
    assert (new / "m.py").read_text() == NEW


def test_the_order_follows_the_seed(releases: tuple[Path, Path]) -> None:
    old, new = releases
    orders = {tuple(m.function for m in reversals(new, ["m.py"], old, seed)) for seed in range(8)}
    assert len(orders) == 2
    assert reversals(new, ["m.py"], old, 3) == reversals(new, ["m.py"], old, 3)


def test_line_ends_stay(releases: tuple[Path, Path]) -> None:
    old, new = releases
    (new / "m.py").write_bytes(NEW.replace("\n", "\r\n").encode())
    (mutation,) = (m for m in reversals(new, ["m.py"], old, 1) if m.function == "area")
    mutation.apply(new)
    data = (new / "m.py").read_bytes()
    assert b"return 3 * r\r\n" in data
    assert data.count(b"\n") == data.count(b"\r\n")
    mutation.revert(new)
    assert (new / "m.py").read_bytes() == NEW.replace("\n", "\r\n").encode()


def test_files_that_cannot_be_compared_are_left_out(releases: tuple[Path, Path]) -> None:
    old, new = releases
    (new / "only_new.py").write_text("def f():\n    return 1\n")
    (new / "broken.py").write_text("def f(:\n")
    (old / "broken.py").write_text("def f():\n    return 1\n")
    (new / "bytes.py").write_bytes(b"\xff\xfe")
    paths = ["m.py", "only_new.py", "broken.py", "bytes.py", "missing.py"]
    assert {m.path for m in reversals(new, paths, old, 1)} == {"m.py"}


def test_a_name_that_is_there_twice_is_left_out(releases: tuple[Path, Path]) -> None:
    old, new = releases
    (new / "m.py").write_text(NEW + "\n\ndef area(r):\n    return 0\n")
    assert {m.function for m in reversals(new, ["m.py"], old, 1)} == {"Box.size"}
