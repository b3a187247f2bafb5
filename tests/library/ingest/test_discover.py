"""Which files are found below a folder, and which never are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mainspring.errors import ToolError
from mainspring.library.ingest.discover import Walk, roots_of


def make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def found(root: Path, walk: Walk | None = None) -> list[str]:
    return [str(file.path.relative_to(root)) for file in (walk or Walk()).files(root)]


def test_files_come_folder_by_folder_and_hidden_or_usual_rubbish_does_not(tmp_path: Path) -> None:
    make(tmp_path, "b.txt", "a.txt", "sub/c.txt", ".secret", ".git/config", "node_modules/x.js", "sub/__pycache__/y.py")
    assert found(tmp_path) == ["a.txt", "b.txt", "sub/c.txt"]
    assert ".secret" in found(tmp_path, Walk(hidden=True))


def test_patterns_leave_out_and_take_back(tmp_path: Path) -> None:
    make(tmp_path, "a.log", "keep.log", "sub/b.log", "sub/deep/c.txt", "d.txt")
    assert found(tmp_path, Walk(exclude=("*.log", "!keep.log", "deep/"))) == ["d.txt", "keep.log"]


def test_an_ignore_file_holds_for_what_is_below_it(tmp_path: Path) -> None:
    make(tmp_path, "a.txt", "sub/a.txt", "sub/b.txt", "sub/deep/a.txt", "other/b.txt")
    (tmp_path / "sub" / ".mainspringignore").write_text("# mine\n/a.txt\n")
    assert found(tmp_path) == ["a.txt", "other/b.txt", "sub/b.txt", "sub/deep/a.txt"]
    (tmp_path / ".mainspringignore").write_text("b.txt\n")
    assert found(tmp_path) == ["a.txt", "sub/deep/a.txt"]


def test_patterns_of_a_stranger_that_match_slowly_are_passed_over(tmp_path: Path) -> None:
    make(tmp_path, "a" * 200, "b.txt")
    (tmp_path / ".mainspringignore").write_text("*a" * 20 + "b\nb.txt\n")
    assert found(tmp_path) == ["a" * 200]


def test_links_pipes_and_closed_folders(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    make(root, "a.txt", "sub/b.txt")
    make(outside, "secret.txt")
    (root / "link.txt").symlink_to(outside / "secret.txt")
    (root / "linked").symlink_to(outside)
    (root / "loop").symlink_to(root)
    os.mkfifo(root / "pipe")
    walk = Walk()
    assert found(root, walk) == ["a.txt", "sub/b.txt"]
    assert walk.links == 3


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a.txt", "closed/b.txt")
    real = os.scandir

    def scandir(path: Path) -> object:  # a superuser may read everything, so the refusal is made here
        if path.name == "closed":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    walk = Walk()
    assert found(tmp_path, walk) == ["a.txt"]
    assert walk.closed == [(str(tmp_path / "closed"), "Permission denied")]


def test_a_name_that_is_no_text_is_told_in_escapes(tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt"))).write_text("x")
    walk = Walk()
    assert found(tmp_path, walk) == []
    assert walk.badly_named == [f"{tmp_path}/caf\\xe9.txt"]


def test_roots_are_real_patterns_are_expanded_and_one_below_another_is_left_out(tmp_path: Path) -> None:
    make(tmp_path, "a/1.md", "a/2.md", "b/3.txt")
    (tmp_path / "link").symlink_to(tmp_path / "b")
    assert roots_of([tmp_path / "link"]) == [tmp_path / "b"]
    assert roots_of([str(tmp_path / "a" / "*.md")]) == [tmp_path / "a" / "1.md", tmp_path / "a" / "2.md"]
    assert roots_of([tmp_path / "a" / "1.md", tmp_path]) == [tmp_path]
    make(tmp_path, "what?[1].txt")
    assert roots_of([tmp_path / "what?[1].txt"]) == [tmp_path / "what?[1].txt"]


def test_what_cannot_be_indexed_says_so(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, complaint in [
        (tmp_path / "none", "No such file"),
        (tmp_path / "pipe", "neither a file nor a folder"),
        ("/dev/null", "neither a file nor a folder"),
        (f"{tmp_path}/*.nothing", "nothing matches"),
    ]:
        with pytest.raises(ToolError, match=complaint):
            roots_of([path])
