"""Editing: exact replacement, helpful refusals, nothing half-written, everything undoable."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from mainspring.errors import ToolError
from mainspring.tool import DidNotHappen, Happened, Unknown
from mainspring.tools import editing
from mainspring.tools.undo import undo_edit


def edit(workspace: Path, path: str, old: str, new: str, every: bool = False, home: Path | None = None) -> str:
    return editing.apply(workspace, home, editing.plan(workspace, home, path, old, new, every))


def test_one_exact_replacement_returns_the_diff(workspace: Path) -> None:
    (workspace / "a.py").write_text("x = 1\ny = 2\nz = 3\n")
    assert edit(workspace, "a.py", "y = 2", "y = 5") == (
        "edited a.py\n--- a.py\n+++ a.py\n@@ -1,3 +1,3 @@\n x = 1\n-y = 2\n+y = 5\n z = 3"
    )
    assert (workspace / "a.py").read_text() == "x = 1\ny = 5\nz = 3\n"
    assert os.listdir(workspace) == ["a.py"]


def test_a_new_file_in_new_folders(workspace: Path) -> None:
    assert edit(workspace, "src/deep/new.py", "", "print('hi')\n").startswith("created src/deep/new.py, 1 lines")
    assert (workspace / "src/deep/new.py").read_text() == "print('hi')\n"


def test_an_existing_file_is_not_overwritten_by_creating_it(workspace: Path) -> None:
    (workspace / "a.py").write_text("x\n")
    with pytest.raises(ToolError, match="already has content"):
        edit(workspace, "a.py", "", "y\n")
    (workspace / "empty.py").write_text("")
    edit(workspace, "empty.py", "", "y\n")
    assert (workspace / "empty.py").read_text() == "y\n"


def test_a_near_miss_shows_the_nearest_lines(workspace: Path) -> None:
    (workspace / "a.py").write_text("def f():\n    return  1\n\ndef g():\n    return 2\n")
    with pytest.raises(ToolError, match=r"Only blank space differs. Nearest lines, as they are:\n    1\| def f"):
        edit(workspace, "a.py", "def f():\n    return 1\n", "x")
    with pytest.raises(ToolError, match="Only blank space differs"):
        edit(workspace, "a.py", "def g():\n  return 2\n", "x")
    with pytest.raises(ToolError, match="No line resembles it"):
        edit(workspace, "a.py", "@@@@@@@@@@@@", "x")


def test_several_matches_name_their_lines(workspace: Path) -> None:
    (workspace / "a.py").write_text("a\nb\na\n")
    with pytest.raises(ToolError, match=r"occurs 2 times in a\.py, at lines 1, 3"):
        edit(workspace, "a.py", "a", "c")
    edit(workspace, "a.py", "a", "c", every=True)
    assert (workspace / "a.py").read_text() == "c\nb\nc\n"


def test_the_line_numbers_of_read_file_may_be_copied_along(workspace: Path) -> None:
    (workspace / "a.py").write_text("def f():\n    return 1\n")
    edit(workspace, "a.py", "    1| def f():\n    2|     return 1", "    1| def f():\n    2|     return 2")
    assert (workspace / "a.py").read_text() == "def f():\n    return 2\n"


def test_line_ends_encoding_mark_and_mode_are_kept(workspace: Path) -> None:
    path = workspace / "a.txt"
    path.write_bytes("grün\r\nblau\r\n".encode("utf-8-sig"))
    path.chmod(0o750)
    edit(workspace, "a.txt", "grün\nblau", "rot\ngelb\nweiß")
    assert path.read_bytes() == "rot\r\ngelb\r\nweiß\r\n".encode("utf-8-sig")
    assert stat.S_IMODE(path.stat().st_mode) == 0o750
    path.write_bytes("grün\n".encode("latin-1"))
    edit(workspace, "a.txt", "grün", "süß")
    assert path.read_bytes() == "süß\n".encode("latin-1")
    with pytest.raises(ToolError, match="latin-1 text, which cannot hold '→'"):
        edit(workspace, "a.txt", "süß", "→")


def test_refusals(workspace: Path) -> None:
    (workspace / "a.bin").write_bytes(b"a\0b")
    (workspace / "folder").mkdir()
    os.mkfifo(workspace / "pipe")
    with open(workspace / "big", "wb") as file:
        file.truncate(2 << 30)
    (workspace / "near.py").write_text("x\n")
    for path, old, why in [
        ("a.bin", "a", "binary file"),
        ("folder", "a", "is a folder"),
        ("pipe", "a", "named pipe"),
        ("big", "a", "larger than"),
        ("naer.py", "a", "did you mean near.py"),
        ("nothing-like-it", "a", "leave `old` empty"),
        ("near.py/x", "", "passes through something that is no folder"),
    ]:
        with pytest.raises(ToolError, match=why):
            edit(workspace, path, old, "b")
    with pytest.raises(ToolError, match="the same"):
        edit(workspace, "near.py", "x", "x")


def test_a_change_by_someone_else_is_not_overwritten(workspace: Path) -> None:
    (workspace / "a.py").write_text("one\n")
    change = editing.plan(workspace, None, "a.py", "one", "two")
    (workspace / "a.py").write_text("one, changed\n")
    with pytest.raises(ToolError, match="changed by someone else"):
        editing.apply(workspace, None, change)
    assert (workspace / "a.py").read_text() == "one, changed\n"


def test_the_diff_is_bounded(workspace: Path) -> None:
    (workspace / "a.py").write_text("".join(f"{n}\n" for n in range(5000)))
    text = edit(workspace, "a.py", "1", "2", every=True)
    assert len(text) < 13_000
    assert "[... the diff has" in text


def test_reconcile_tells_what_happened(workspace: Path, home: Path) -> None:
    path = workspace / "a.py"
    path.write_text("one\n")
    change = editing.plan(workspace, home, "a.py", "one", "two")
    prepared = editing.prepare(home, change)
    assert editing.reconcile(workspace, home, prepared, "k") == DidNotHappen()
    result = editing.apply(workspace, home, change, "k")
    assert editing.reconcile(workspace, home, prepared, "k") == Happened(result)
    path.write_text("three\n")
    assert isinstance(editing.reconcile(workspace, home, prepared, "k"), Unknown)
    path.unlink()
    assert isinstance(editing.reconcile(workspace, home, prepared, "k"), Unknown)


def test_reconcile_of_a_new_file_and_of_what_a_crash_left(workspace: Path, home: Path) -> None:
    change = editing.plan(workspace, home, "sub/new.py", "", "x\n")
    prepared = editing.prepare(home, change)
    assert editing.reconcile(workspace, home, prepared, "k") == DidNotHappen()
    (workspace / "sub").mkdir()
    (workspace / "sub" / editing.temporary("k")).write_text("half")
    assert editing.reconcile(workspace, home, prepared, "k") == DidNotHappen()
    assert os.listdir(workspace / "sub") == []
    result = editing.apply(workspace, home, change, "k")
    assert editing.reconcile(workspace, home, prepared, "k") == Happened(result)


def test_undo_restores_and_refuses(workspace: Path, home: Path) -> None:
    path = workspace / "a.py"
    path.write_text("one\n")
    path.chmod(0o755)
    change = editing.plan(workspace, home, "a.py", "one", "two")
    payload = {"tool": "edit_file", "prepared": editing.prepare(home, change)}
    editing.apply(workspace, home, change)
    path.write_text("two, and more\n")
    with pytest.raises(ToolError, match="was changed after this edit"):
        undo_edit(home, workspace, payload)
    path.write_text("two\n")
    assert undo_edit(home, workspace, payload) == "restored a.py"
    assert path.read_text() == "one\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o755
    assert undo_edit(home, workspace, payload) == "a.py already is as it was before the edit"


def test_undo_of_a_new_file_removes_it(workspace: Path, home: Path) -> None:
    change = editing.plan(workspace, home, "new.py", "", "x\n")
    payload = {"tool": "edit_file", "prepared": editing.prepare(home, change)}
    editing.apply(workspace, home, change)
    assert undo_edit(home, workspace, payload) == "removed new.py, which the edit had made"
    assert not (workspace / "new.py").exists()


def test_undo_without_the_old_content_refuses(workspace: Path, home: Path) -> None:
    (workspace / "a.py").write_text("one\n")
    change = editing.plan(workspace, home, "a.py", "one", "two")
    prepared = editing.prepare(home, change)
    editing.apply(workspace, home, change)
    kept = home / "undo" / prepared["undo"][:2] / prepared["undo"]
    kept.write_text("damaged")
    with pytest.raises(ToolError, match="cannot be restored"):
        undo_edit(home, workspace, {"tool": "edit_file", "prepared": prepared})
    with pytest.raises(ToolError, match="no intent of apply_patch, edit_file or replace_symbol"):
        undo_edit(home, workspace, {"tool": "run_terminal_command", "prepared": {}})
