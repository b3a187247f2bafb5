"""Any change, written as a diff and applied, gives exactly its bytes, as git does; taken back, the old ones."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.code.edit import plan_patch
from mainspring.code.patch import FileChange, Patch
from mainspring.tools import together
from mainspring.tools.undo import undo_edit

# Lines that look like parts of a patch, bytes that are no UTF-8, and characters that other tools take for line ends.
LINES = st.sampled_from(
    [
        b"a", b"b", b"", b"x = 1", b"-- q", b"++ r", b"--- a/x", b"+++ b/x", b"@@ -1 +1 @@", b"diff --git a/x b/x",
        b"\\ No newline at end of file", b"\xff\xfe", b"\xc3\xa9", b"\xe9", b"t\x0cu", b"u\xc2\x85", "v\u2028".encode(),
        b"*** End Patch", b" <<<<<<< SEARCH", b"-", b"+",
    ]
)  # fmt: skip
ENDS = st.sampled_from([b"\n", b"\n", b"\n", b"\r\n"])
BLOCKS = st.lists(st.tuples(LINES, ENDS).map(b"".join), max_size=12)
MARKS = st.sampled_from([b"", b"", b"", b"\xef\xbb\xbf", b"\xff\xfe"])


@st.composite
def contents(draw: st.DrawFn) -> tuple[bytes | None, bytes | None]:
    """A file before and after, which share much."""
    head, tail, old, new = (draw(BLOCKS) for _ in range(4))
    mark = draw(MARKS)
    sides = []
    for middle in (old, new):
        data = mark + b"".join([*head, *middle, *tail])
        sides.append(data.removesuffix(b"\n") if draw(st.booleans()) else data)
    gone = draw(st.integers(0, 9))
    return (None if gone == 0 else sides[0]), (None if gone == 1 else sides[1])


def write(folder: Path, files: dict[str, bytes | None]) -> None:
    for name, data in files.items():
        if data is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)


def read(folder: Path, names: list[str]) -> dict[str, bytes | None]:
    return {n: (folder / n).read_bytes() if (folder / n).exists() else None for n in names}


NAMES = ["a.txt", "d/b c.txt", "é.txt"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(contents(), min_size=1, max_size=3))
def test_a_diff_applied_gives_the_bytes_after_and_taken_back_those_before(
    pairs: list[tuple[bytes | None, bytes | None]],
) -> None:
    before = {name: pair[0] for name, pair in zip(NAMES, pairs, strict=False)}
    after = {name: pair[1] for name, pair in zip(NAMES, pairs, strict=False)}
    patch = Patch.of(FileChange(name, before[name], after[name]) for name in before)
    if not patch:
        return
    with tempfile.TemporaryDirectory() as folder:
        workspace, home = Path(folder, "workspace"), Path(folder, "home")
        write(workspace, before)
        workspace.mkdir(exist_ok=True)
        home.mkdir()
        changes = plan_patch(workspace, home, patch.diff())
        prepared = together.prepare(workspace, home, changes)
        together.apply(workspace, home, changes)
        assert read(workspace, list(before)) == after
        undo_edit(home, workspace, {"tool": "apply_patch", "prepared": prepared})
        assert read(workspace, list(before)) == before


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(contents(), min_size=1, max_size=3))
def test_git_applies_it_to_the_same_bytes(pairs: list[tuple[bytes | None, bytes | None]]) -> None:
    files = [(b, a) for b, a in pairs if b is not None and a is not None]
    before = {name: pair[0] for name, pair in zip(NAMES, files, strict=False)}
    after = {name: pair[1] for name, pair in zip(NAMES, files, strict=False)}
    patch = Patch.of(FileChange(name, before[name], after[name]) for name in before)
    if not patch:
        return
    with tempfile.TemporaryDirectory() as folder:
        ours, gits = Path(folder, "ours"), Path(folder, "gits")
        for side in (ours, gits):
            side.mkdir()
            write(side, before)
        text = patch.diff()
        together.apply(ours, None, plan_patch(ours, None, text))
        done = subprocess.run(
            ["git", "apply", "--whitespace=nowarn", "-"],
            cwd=gits, input=text.encode("utf-8", "surrogateescape"), capture_output=True,
            env={"PATH": "/usr/bin:/bin", "GIT_CEILING_DIRECTORIES": folder},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert read(ours, list(before)) == read(gits, list(before)) == after


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_moved_hunks_find_their_place(workspace: Path, end: str) -> None:
    lines = [f"line {n}{end}" for n in range(50)]
    (workspace / "a.txt").write_bytes("".join(["new\n", *lines]).encode())
    changed = [*lines[:10], f"changed{end}", *lines[11:40], *lines[42:]]
    patch = Patch.of([FileChange("a.txt", "".join(lines).encode(), "".join(changed).encode())])
    together.apply(workspace, None, plan_patch(workspace, None, patch.diff()))
    assert (workspace / "a.txt").read_bytes() == "".join(["new\n", *changed]).encode()
