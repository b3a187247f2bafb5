"""Editing: exact replacement, helpful refusals, nothing half-written, everything undoable."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from mainspring.code.edit import plan_patch
from mainspring.errors import ToolError
from mainspring.tool import DidNotHappen, Happened, Unknown
from mainspring.tools import editing, together
from mainspring.tools.undo import Undone, list_edits, undo_edit, undo_run


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


NEAR = (
    "def f(a, b):\n    x = 'one'\n\treturn a - b\n\nclass K:\n    def g(self):\n        return “hi”\n\n"
    "    def h(self):   \n        pass\n"
)


@pytest.mark.parametrize(
    ("old", "why", "where"),
    [
        ('x = "one"', "Only quotes differ.", "    2|     x = 'one'"),
        ("x = 'one'\n    return a - b\n", "the file is indented with tabs, `old` with spaces", "    3| \treturn a - b"),
        (
            "class K:\n  def g(self):\n",
            "Only blank space differs: the indentation",
            "-··def g(self):\n+····def g(self):",
        ),
        ("    def h(self):\n        pass\n", "Only blank space differs: at the end of lines", "+····def h(self):···"),
        ("class K:\n\n    def g(self):\n", "Only blank lines differ.", "    5| class K:"),
        ("def f(a, b):\n    ...\n    return a - b", "leaves lines out with an ellipsis", "    1| def f(a, b):"),
        ('        return "hi"\n', "the file has U+201C LEFT DOUBLE QUOTATION MARK", "    7|         return “hi”"),
        ("def\xa0f(a, b):", "`old` has U+00A0 NO-BREAK SPACE", "    1| def f(a, b):"),
        ("class k:\n    def g(self):", "Only capital letters differ.", "-class k:\n+class K:"),
        ("  6: def g(self):\n  7:     return", "carries line numbers", "    6|     def g(self):"),
        ("def f(a, b):\\n    x = 'one'", "is escaped", "stand at line 1"),
        ("    def g(self, z):\n        return 2\n", "Nearest lines", "-    def g(self, z):"),
        ("@@@@@@@@\n", "No line resembles it", ""),
    ],
)
def test_a_near_miss_says_what_differs(workspace: Path, old: str, why: str, where: str) -> None:
    (workspace / "a.txt").write_text(NEAR)
    with pytest.raises(ToolError) as caught:
        edit(workspace, "a.txt", old, "new")
    assert why in str(caught.value)
    assert where in str(caught.value)
    assert (workspace / "a.txt").read_text() == NEAR, "nothing that only resembles it is replaced"


def test_several_places_are_shown_with_the_line_before_them(workspace: Path) -> None:
    (workspace / "a.py").write_text("def f():\n    return 1\n\n\ndef g():\n    return 1\n")
    with pytest.raises(ToolError) as caught:
        edit(workspace, "a.py", "return 1", "return 2")
    assert str(caught.value).endswith("    1| def f():\n    2>     return 1\n    5| def g():\n    6>     return 1")
    (workspace / "a.txt").write_text("a\na\na\n")
    with pytest.raises(ToolError, match=r"occurs 2 times in a\.txt, at lines 1, 2"):
        edit(workspace, "a.txt", "a\na", "b")  # places that overlap: nobody knows which was meant


def test_line_ends_follow_the_place_in_a_file_that_mixes_them(workspace: Path) -> None:
    path = workspace / "a.txt"
    path.write_bytes(b"a\r\nb\r\nc\nd\n")
    edit(workspace, "a.txt", "b\nc", "x\ny\nz")
    assert path.read_bytes() == b"a\r\nx\r\ny\r\nz\nd\n"
    edit(workspace, "a.txt", "z\nd", "p\r\nq")
    assert path.read_bytes() == b"a\r\nx\r\ny\r\np\nq\n"


def test_looking_for_the_nearest_place_is_quick(workspace: Path) -> None:
    lines = [f"    value_{n * 7919 % 99991} = compute_{n * 31}(argument, {n})\n" for n in range(45_000)]
    (workspace / "a.txt").write_text("".join(lines))
    for old in (lines[30_000].replace("compute", "compote"), "no such line at all\n" * 50, "@@@@", "e" * 5_000):
        began = time.perf_counter()
        with pytest.raises(ToolError) as caught:
            edit(workspace, "a.txt", old, "x")
        assert time.perf_counter() - began < 3
        assert len(str(caught.value)) < 3_000 + len(old)
        assert ("30001|" in str(caught.value)) == ("compote" in old)


def test_an_edit_that_breaks_a_file_is_refused(workspace: Path) -> None:
    (workspace / "a.py").write_text("def f():\n    return 1\n")
    with pytest.raises(
        ToolError, match=r"not written, since a\.py would not parse any more: line 3: unexpected indent"
    ):
        edit(workspace, "a.py", "    return 1", "    return 1\n      x")
    assert (workspace / "a.py").read_text() == "def f():\n    return 1\n"
    said = edit(workspace, "new.py", "", "def f(:\n")
    assert "warning: this file does not parse: line 1" in said
    assert edit(workspace, "new.py", "f(", "f()").endswith("+def f():") is False, "and it may be mended step by step"


def test_text_that_cannot_be_written_back_is_refused(workspace: Path) -> None:
    (workspace / "a.txt").write_bytes(b"\xff\xfea\x00\x00\xd8b\x00")  # half a pair of UTF-16
    with pytest.raises(ToolError, match="no sound utf-16-le text"):
        edit(workspace, "a.txt", "a", "b")


def patched(workspace: Path, home: Path, patch: str) -> dict[str, object]:
    changes = plan_patch(workspace, home, patch)
    prepared = together.prepare(workspace, home, changes)
    together.apply(workspace, home, changes)
    return {"tool": "apply_patch", "prepared": prepared}


def event(seq: int, kind: str, payload: dict[str, object]) -> SimpleNamespace:
    return SimpleNamespace(seq=seq, kind=kind, payload=payload)


def journal(*payloads: dict[str, object]) -> list[SimpleNamespace]:
    found = []
    for number, payload in enumerate(payloads):
        found.append(event(2 * number + 1, "effect.intended", payload))
        found.append(event(2 * number + 2, "effect.done", {"intent": 2 * number + 1}))
    return found


TWO = (
    "--- a/a\n+++ b/a\n@@ -1 +1 @@\n-1\n+2\n"
    "--- a/b\n+++ b/b\n@@ -1 +1 @@\n-1\n+2\n--- /dev/null\n+++ b/d/c\n@@ -0,0 +1 @@\n+1\n"
)


def test_a_patch_is_taken_back_whole_or_not_at_all(workspace: Path, home: Path) -> None:
    for name in "ab":
        (workspace / name).write_text("1\n")
    (workspace / "a").chmod(0o755)
    payload = patched(workspace, home, TWO)
    (workspace / "b").write_text("someone's\n")
    with pytest.raises(ToolError, match="b changed after this edit"):
        undo_edit(home, workspace, payload)
    assert (workspace / "a").read_text() == "2\n"
    (workspace / "b").write_text("2\n")
    assert undo_edit(home, workspace, payload) == "restored a, b, removed d/c, which the edit had made"
    assert (workspace / "a").read_text() == "1\n"
    assert stat.S_IMODE((workspace / "a").stat().st_mode) == 0o755
    assert sorted(os.listdir(workspace)) == ["a", "b"], "the folder that it had made is gone too"
    assert "already is as it was" in undo_edit(home, workspace, payload)


def test_undo_names_the_later_edit_that_is_in_the_way(workspace: Path, home: Path) -> None:
    for name in "ab":
        (workspace / name).write_text("1\n")
    first = patched(workspace, home, TWO)
    second = patched(workspace, home, "--- a/b\n+++ b/b\n@@ -1 +1 @@\n-2\n+3\n")
    edits = list_edits(journal(first, second))
    assert [(e.seq, e.tool, e.paths) for e in edits] == [
        (1, "apply_patch", ("a", "b", "d/c")),
        (3, "apply_patch", ("b",)),
    ]
    with pytest.raises(ToolError, match=r"b changed after this edit; .* \(later: apply_patch at event 3 \(b\)\)"):
        undo_edit(home, workspace, first, edits[1:])


def test_a_run_is_taken_back_newest_first(workspace: Path, home: Path) -> None:
    for name in "ab":
        (workspace / name).write_text("1\n")
    events = journal(patched(workspace, home, TWO), patched(workspace, home, "--- a/b\n+++ b/b\n@@ -1 +1 @@\n-2\n+3\n"))
    assert undo_run(home, workspace, events, last=1).done == ("restored b",)
    assert (workspace / "b").read_text() == "2\n"
    assert undo_run(home, workspace, events).done == ("restored a, b, removed d/c, which the edit had made",)
    assert [(workspace / name).read_text() for name in "ab"] == ["1\n", "1\n"]
    assert undo_run(home, workspace, events) == Undone((), ())
    (workspace / "a").write_text("someone's\n")
    undone = undo_run(home, workspace, events)
    assert undone.done == ()
    assert undone.refused == ("event 1: a changed after this edit; take that back first",)
