"""Patches over several files: read as they are written, placed exactly, applied all or none."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mainspring import ToolContext
from mainspring.code.edit import edit_tools, plan_patch
from mainspring.code.edit.parsing import read_patch
from mainspring.errors import ToolError
from mainspring.tools import together

A = "import os\n\n\ndef f(a):\n    return a\n\n\ndef g(a):\n    return a\n"


def apply(workspace: Path, patch: str) -> str:
    return together.apply(workspace, None, plan_patch(workspace, None, patch))


def refused(workspace: Path, patch: str) -> str:
    with pytest.raises(ToolError) as caught:
        plan_patch(workspace, None, patch)
    return str(caught.value)


def test_change_make_remove_move_in_one_patch(workspace: Path) -> None:
    (workspace / "a.py").write_text(A)
    (workspace / "old.txt").write_text("gone\n")
    (workspace / "from.sh").write_text("echo 1\necho 2\n")
    (workspace / "from.sh").chmod(0o755)
    said = apply(
        workspace,
        "diff --git a/a.py b/a.py\nindex 1..2 100644\n--- a/a.py\n+++ b/a.py\n@@ -4,2 +4,2 @@ import os\n def f(a):\n"
        "-    return a\n+    return -a\n"
        "diff --git a/new/n.txt b/new/n.txt\nnew file mode 100755\n--- /dev/null\n+++ b/new/n.txt\n@@ -0,0 +1 @@\n+hi\n"
        "diff --git a/old.txt b/old.txt\ndeleted file mode 100644\n--- a/old.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-gone\n"
        "diff --git a/from.sh b/to.sh\nsimilarity index 50%\nrename from from.sh\nrename to to.sh\n"
        "--- a/from.sh\n+++ b/to.sh\n@@ -1,2 +1,2 @@\n echo 1\n-echo 2\n+echo 3\n",
    )
    assert said.startswith("changed 5 files\nedited a.py\n")
    assert (workspace / "a.py").read_text() == A.replace("return a", "return -a", 1)
    assert (workspace / "new/n.txt").read_text() == "hi\n"
    assert (workspace / "new/n.txt").stat().st_mode & 0o111
    assert not (workspace / "old.txt").exists()
    assert not (workspace / "from.sh").exists()
    assert (workspace / "to.sh").read_text() == "echo 1\necho 3\n"
    assert (workspace / "to.sh").stat().st_mode & 0o100


def test_a_mode_alone_and_an_empty_file(workspace: Path) -> None:
    (workspace / "run.sh").write_text("x\n")
    (workspace / "run.sh").chmod(0o640)
    apply(
        workspace,
        "diff --git a/run.sh b/run.sh\nold mode 100644\nnew mode 100755\n"
        "diff --git a/pkg/__init__.py b/pkg/__init__.py\nnew file mode 100644\nindex 0000000..e69de29\n",
    )
    assert stat.S_IMODE((workspace / "run.sh").stat().st_mode) == 0o750
    assert (workspace / "pkg/__init__.py").read_bytes() == b""


@pytest.mark.parametrize(
    "head", ["@@ -40,3 +40,3 @@", "@@ -4,9 +4,1 @@", "@@", "@@ ... @@", "@@ def g(a): @@"], ids=str
)
def test_wrong_and_missing_numbers_are_taken_when_the_lines_are_there_once(workspace: Path, head: str) -> None:
    (workspace / "a.py").write_text(A)
    apply(workspace, f"--- a/a.py\n+++ b/a.py\n{head}\n def g(a):\n-    return a\n+    return 2\n")
    assert (workspace / "a.py").read_text() == A.replace("g(a):\n    return a", "g(a):\n    return 2")


def test_lines_that_are_there_twice_need_a_right_number(workspace: Path) -> None:
    (workspace / "a.py").write_text(A)
    patch = "--- a/a.py\n+++ b/a.py\n@@ -%d,1 +%d,1 @@\n-    return a\n+    return 2\n"
    assert "its lines occur 2 times, at lines 5, 9" in refused(workspace, patch % (7, 7))
    apply(workspace, patch % (9, 9))
    assert (workspace / "a.py").read_text() == A[:-13] + "    return 2\n"


def test_a_hunk_that_does_not_fit_is_named_with_what_is_there(workspace: Path) -> None:
    (workspace / "a.py").write_text(A)
    (workspace / "b.py").write_text("x = 1\n")
    said = refused(
        workspace,
        "--- a/b.py\n+++ b/b.py\n@@ -1 +1 @@\n-x = 1\n+x = 2\n"
        "--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-import os\n+import io\n"
        "@@ -4,2 +4,2 @@\n def f(a):\n-  return a\n+  return 1\n",
    )
    assert "a.py, hunk 2 (@@ -4,2 +4,2 @@): Only blank space differs" in said
    assert "-··return a\n+····return a" in said
    assert (workspace / "b.py").read_text() == "x = 1\n", "all or none"
    assert "applied already" in refused(
        workspace, "--- a/a.py\n+++ b/a.py\n@@ -4,2 +4,2 @@\n-def h(a):\n+def f(a):\n     return a\n"
    )
    assert "did you mean a.py" in refused(workspace, "--- a/aa.py\n+++ b/aa.py\n@@ -1 +1 @@\n-x\n+y\n")


def test_line_ends_marks_and_encodings_stay(workspace: Path) -> None:
    patch = "--- a/a.txt\n+++ b/a.txt\n@@ -1,2 +1,3 @@\n eins\n-zwei grün\n+zwei blau\n+drei weiß\n"
    for data in (
        "eins\r\nzwei grün\r\n".encode("utf-8-sig"),
        "eins\nzwei grün\n".encode("latin-1"),
        "eins\r\nzwei grün\r\n".encode("utf-16"),
        "eins\nzwei grün".encode(),
    ):
        (workspace / "a.txt").write_bytes(data)
        apply(workspace, patch)
        expected = {
            b"\xef": "eins\r\nzwei blau\r\ndrei weiß\r\n".encode("utf-8-sig"),
            b"\xff": "eins\r\nzwei blau\r\ndrei weiß\r\n".encode("utf-16"),
        }.get(data[:1], "eins\nzwei blau\ndrei weiß\n".encode("latin-1"))
        if data.endswith("grün".encode()):
            expected = "eins\nzwei blau\ndrei weiß".encode()
        assert (workspace / "a.txt").read_bytes() == expected
    (workspace / "a.txt").write_bytes(b"a\nb\n")
    apply(workspace, "--- a/a.txt\r\n+++ b/a.txt\r\n@@ -1,2 +1,2 @@\r\n a\r\n-b\r\n+c\r\n")
    assert (workspace / "a.txt").read_bytes() == b"a\nc\n"


def test_the_newline_at_the_end_follows_the_marker(workspace: Path) -> None:
    (workspace / "a.txt").write_bytes(b"a\nb")
    apply(workspace, "--- a/a.txt\n+++ b/a.txt\n@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+b\n")
    assert (workspace / "a.txt").read_bytes() == b"a\nb\n"
    assert "newline at the file's end" in refused(
        workspace, "--- a/a.txt\n+++ b/a.txt\n@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+c\n"
    )


def test_other_forms(workspace: Path) -> None:
    (workspace / "a.py").write_text(A)
    apply(workspace, "```diff\n--- a.py\n+++ a.py\n@@ -1 +1 @@\n-import os\n+import io\n```\n")
    assert (workspace / "a.py").read_text().startswith("import io\n")
    apply(
        workspace,
        "*** Begin Patch\n*** Update File: a.py\n@@ def g(a):\n-    return a\n+    return 5\n"
        "*** Add File: b.py\n+y = 1\n*** End Patch\n",
    )
    assert (workspace / "a.py").read_text().endswith("def g(a):\n    return 5\n")
    assert (workspace / "b.py").read_text() == "y = 1\n"
    apply(
        workspace,
        "a.py\n<<<<<<< SEARCH\nimport io\n=======\nimport sys\n>>>>>>> REPLACE\n"
        "<<<<<<< SEARCH\n    return 5\n=======\n    return 6\n>>>>>>> REPLACE\n\n"
        "c.py\n```python\n<<<<<<< SEARCH\n=======\nz = 1\n>>>>>>> REPLACE\n```\n",
    )
    assert (workspace / "a.py").read_text() == A.replace("os", "sys")[:-13] + "    return 6\n"
    assert (workspace / "c.py").read_text() == "z = 1\n"
    assert "a.py, block 1: `old` occurs 2 times" in refused(
        workspace, "a.py\n<<<<<<< SEARCH\n(a):\n=======\n(b):\n>>>>>>> REPLACE\n"
    )


def test_a_mail_with_signature_and_names_that_git_quotes(workspace: Path) -> None:
    (workspace / "grün x.txt").write_text("a\n")
    apply(
        workspace,
        "From 1 Mon Sep 17 00:00:00 2001\nFrom: a <a@example.net>\nSubject: [PATCH] x\n---\n file | 2 +-\n\n"
        'diff --git "a/gr\\303\\274n x.txt" "b/gr\\303\\274n x.txt"\n--- "a/gr\\303\\274n x.txt"\n'
        '+++ "b/gr\\303\\274n x.txt"\n@@ -1 +1 @@\n-a\n+b\n-- \n2.39.5\n\n',
    )
    assert (workspace / "grün x.txt").read_text() == "b\n"


@pytest.mark.parametrize(
    ("patch", "why"),
    [
        ("", "this is no patch"),
        ("just some words\n", "this is no patch"),
        ("--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-import os\nimport io\n", "belongs to no hunk: 'import io'"),
        ("diff --git a/p.png b/p.png\nGIT binary patch\nliteral 0\n", "binary file"),
        ("diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc\n", "is a link"),
        ("--- /dev/null\n+++ b/a.py\n@@ -0,0 +1 @@\n+x\n", "exists already"),
        ("--- a/a.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-import os\n", "bytes would be left"),
        ("--- a/a.py\n+++ b/a.py\n@@ -1,0 +2 @@\n+x\n", "no lines to find its place by"),
        ("diff --git a/a.py b/b.py\nrename from a.py\nrename to b.py\n", "b.py: exists already"),
        ("--- a/bin\n+++ b/bin\n@@ -1 +1 @@\n-x\n+y\n", "binary file"),
        ("--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-import os\n+import (\n", "would not parse any more: line 1"),
        ("--- a/b.py\n+++ b/b.py\n@@ -1 +1 @@\n-x = 1\n+x = 1\n", "would change nothing"),
        ("--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-\0\n+x\n", "NUL byte"),
        ("a.py\n<<<<<<< SEARCH\nimport os\n", "no ======= line"),
        ("<<<<<<< SEARCH\nimport os\n=======\n>>>>>>> REPLACE\n", "names no file"),
    ],
)
def test_refusals(workspace: Path, patch: str, why: str) -> None:
    (workspace / "a.py").write_text(A)
    (workspace / "b.py").write_text("x = 1\n")
    (workspace / "bin").write_bytes(b"a\0b\n")
    assert why in refused(workspace, patch)


def test_a_change_by_someone_else_undoes_all(workspace: Path) -> None:
    (workspace / "a.py").write_text(A)
    (workspace / "b.py").write_text("x = 1\n")
    patch = (
        "--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-import os\n+import io\n"
        "--- /dev/null\n+++ b/d/n.py\n@@ -0,0 +1 @@\n+q = 1\n"
        "--- a/b.py\n+++ b/b.py\n@@ -1 +1 @@\n-x = 1\n+x = 2\n"
    )
    changes = plan_patch(workspace, None, patch)
    (workspace / "b.py").write_text("x = 3\n")
    with pytest.raises(ToolError, match=r"nothing was changed: b\.py was changed by someone else"):
        together.apply(workspace, None, changes)
    assert (workspace / "a.py").read_text() == A
    assert sorted(os.listdir(workspace)) == ["a.py", "b.py"]


def test_a_full_disk_in_the_middle_undoes_all(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        (workspace / name).write_text("x\n")
    patch = "".join(f"--- a/{name}\n+++ b/{name}\n@@ -1 +1 @@\n-x\n+y\n" for name in "abc")
    changes = plan_patch(workspace, None, patch)
    rename, calls = os.rename, []

    def failing(*given: Any, **named: Any) -> None:
        calls.append(given)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        rename(*given, **named)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(ToolError, match=r"nothing was changed: b cannot be written: No space left"):
        together.apply(workspace, None, changes)
    assert [(workspace / name).read_text() for name in "abc"] == ["x\n"] * 3
    assert sorted(os.listdir(workspace)) == ["a", "b", "c"]


def test_a_thousand_files(workspace: Path, home: Path) -> None:
    before = {f"d{n % 9}/f{n}.txt": f"{n}\nsame\n" for n in range(1000)}
    for name, text in before.items():
        (workspace / name).parent.mkdir(exist_ok=True)
        (workspace / name).write_text(text)
    patch = "".join(f"--- a/{n}\n+++ b/{n}\n@@ -1,2 +1,2 @@\n-{t[:-5]}+new\n same\n" for n, t in before.items())
    changes = plan_patch(workspace, home, patch)
    prepared = together.prepare(workspace, home, changes)
    said = together.apply(workspace, home, changes, "k")
    assert said.startswith("changed 1,000 files\n")
    assert len(said) < 20_000
    assert all((workspace / name).read_text() == "new\nsame\n" for name in before)
    assert len(together.take_back(workspace, home, prepared)) == 1000
    assert all((workspace / name).read_text() == text for name, text in before.items())


def test_a_file_of_ten_megabytes(workspace: Path) -> None:
    lines = [f"line {n} of many, some words to fill it\n" for n in range(250_000)]
    (workspace / "big.txt").write_text("".join(lines))
    apply(workspace, f"--- a/big.txt\n+++ b/big.txt\n@@ -7,2 +7,2 @@\n {lines[200_000]}-{lines[200_001]}+changed\n")
    lines[200_001] = "changed\n"
    assert (workspace / "big.txt").read_text() == "".join(lines)


def test_what_git_writes_is_read(workspace: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    for folder in (workspace, other):
        folder.mkdir(exist_ok=True)
        (folder / "a.py").write_text(A)
        (folder / "b c.txt").write_text("".join(f"{n}\n" for n in range(60)))
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.net", "-C", str(other)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "x"], check=True)
    (other / "b c.txt").rename(other / "d.txt")
    (other / "d.txt").write_text((other / "d.txt").read_text().replace("7\n", "seven\n", 1).replace("50\n", ""))
    (other / "a.py").write_text(A.replace("import os\n", "").rstrip("\n"))
    subprocess.run([*git, "add", "-A"], check=True)
    patch = subprocess.run([*git, "diff", "--cached", "-M"], check=True, capture_output=True, text=True).stdout
    assert "rename from" in patch
    apply(workspace, patch)
    files = {p.name: p.read_text() for p in other.iterdir() if p.is_file()}
    assert {p.name: p.read_text() for p in workspace.iterdir()} == files


def test_a_hunk_of_removed_dashes_is_no_headline() -> None:
    (file,) = read_patch("--- a/q.sql\n+++ b/q.sql\n@@ -1,2 +1,1 @@\n--- a comment\n-++ b\n+x\n")
    assert file.hunks[0].old == ("-- a comment\n", "++ b\n")
    assert file.hunks[0].new == ("x\n",)


def test_the_tool_says_what_it_may() -> None:
    symbol, patch = edit_tools()
    assert (symbol.name, symbol.effect, symbol.authority, symbol.undoable, symbol.settlement) == (
        "replace_symbol",
        "write",
        ("path",),
        True,
        "reconcile",
    )
    assert (patch.name, patch.effect, patch.authority, patch.undoable, patch.settlement) == (
        "apply_patch",
        "write",
        ("patch",),
        True,
        "reconcile",
    )
    assert not symbol.consequential
    assert not patch.consequential
    with pytest.raises(ToolError, match="no workspace"):
        asyncio.run(patch.call({"patch": "x"}, ToolContext()))
