"""A process that dies while a patch is written, at each of its file operations: afterwards all files or none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mainspring import Agent, Run, ScriptedModel, ToolCallPart
from mainspring.code.edit import edit_tools, plan_patch
from mainspring.messages import assistant
from mainspring.tool import DidNotHappen, Happened, Unknown
from mainspring.tools import together
from mainspring.tools.undo import list_edits, undo_run

BEFORE = {"a.txt": "one\n", "b.txt": "two\n", "gone.txt": "three\n", "old.txt": "four\n"}
AFTER = {"a.txt": "ONE\n", "b.txt": "TWO\n", "made/deep/new.txt": "five\n", "moved.txt": "FOUR\n"}
PATCH = (
    "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-one\n+ONE\n--- a/b.txt\n+++ b/b.txt\n@@ -1 +1 @@\n-two\n+TWO\n"
    "--- a/gone.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-three\n"
    "diff --git a/old.txt b/moved.txt\nrename from old.txt\nrename to moved.txt\n--- a/old.txt\n+++ b/moved.txt\n"
    "@@ -1 +1 @@\n-four\n+FOUR\n--- /dev/null\n+++ b/made/deep/new.txt\n@@ -0,0 +1 @@\n+five\n"
)

# Dies before the n-th operation that changes a folder or waits for the disk.
DIES = """
import json, os, signal, sys
from pathlib import Path
from mainspring.code.edit import plan_patch
from mainspring.tools import together
workspace, home, patch, number = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
changes = plan_patch(workspace, home, patch)
Path(home, "prepared").write_text(json.dumps(together.prepare(workspace, home, changes)))
count = 0
def counted(function):
    def call(*given, **named):
        global count
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*given, **named)
    return call
for name in ("rename", "unlink", "mkdir", "fsync", "fchmod"):
    setattr(os, name, counted(getattr(os, name)))
together.apply(workspace, home, changes, "key")
print(count)
"""


def fill(workspace: Path) -> None:
    for name, text in BEFORE.items():
        (workspace / name).write_text(text)


def files(workspace: Path) -> dict[str, str]:
    return {str(p.relative_to(workspace)): p.read_text() for p in sorted(workspace.rglob("*")) if p.is_file()}


def die(workspace: Path, home: Path, number: int) -> subprocess.CompletedProcess[str]:
    arguments = [str(workspace), str(home), PATCH, str(number)]
    return subprocess.run([sys.executable, "-c", DIES, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_killed_at_every_operation_all_or_none(tmp_path: Path) -> None:
    whole = tmp_path / "whole", tmp_path / "home"
    for folder in whole:
        folder.mkdir()
    fill(whole[0])
    operations = int(die(*whole, 0).stdout)
    assert files(whole[0]) == AFTER
    assert operations > 15
    found = set()
    for number in range(1, operations + 1):
        workspace, home = tmp_path / f"w{number}", tmp_path / f"h{number}"
        workspace.mkdir()
        home.mkdir()
        fill(workspace)
        assert die(workspace, home, number).returncode == -signal.SIGKILL
        prepared = json.loads((home / "prepared").read_text())
        half = files(workspace)
        settled = together.reconcile(workspace, home, prepared, "key")
        if isinstance(settled, Happened):
            assert files(workspace) == AFTER
        else:
            assert settled == DidNotHappen()
            assert files(workspace) == BEFORE
            assert not (workspace / "made").exists()
            together.apply(workspace, home, plan_patch(workspace, home, PATCH), "key")  # as the runtime does then
            assert files(workspace) == AFTER
        found.add((type(settled).__name__, half in (BEFORE, AFTER)))
    assert ("DidNotHappen", False) in found, "no death left the files half-way, so nothing was tested"


def test_half_written_it_is_taken_back(workspace: Path, home: Path) -> None:
    fill(workspace)
    changes = plan_patch(workspace, home, PATCH)
    prepared = together.prepare(workspace, home, changes)
    (workspace / "a.txt").write_text("ONE\n")
    (workspace / "gone.txt").unlink()
    assert together.reconcile(workspace, home, prepared, "k") == DidNotHappen()
    assert files(workspace) == BEFORE


def test_in_doubt_when_somebody_else_was_there_too(workspace: Path, home: Path) -> None:
    fill(workspace)
    prepared = together.prepare(workspace, home, plan_patch(workspace, home, PATCH))
    (workspace / "a.txt").write_text("ONE\n")
    (workspace / "b.txt").write_text("someone's\n")
    settled = together.reconcile(workspace, home, prepared, "k")
    assert isinstance(settled, Unknown)
    assert settled.reason == ("b.txt is neither as before the edit nor as after it; of the 6 files, 1 are changed")
    assert (workspace / "a.txt").read_text() == "ONE\n", "nothing is touched then"


def test_in_doubt_when_the_old_contents_are_gone(workspace: Path, home: Path) -> None:
    fill(workspace)
    prepared = together.prepare(workspace, home, plan_patch(workspace, home, PATCH))
    (workspace / "a.txt").write_text("ONE\n")
    for kept in (home / "undo").rglob("*"):
        if kept.is_file():
            kept.unlink()
    settled = together.reconcile(workspace, home, prepared, "k")
    assert isinstance(settled, Unknown)
    assert "reached 1 of 6 files and cannot be taken back: the old content of a.txt" in settled.reason


KILLED = """
import os, signal, sys
from mainspring import Agent, ScriptedModel, ToolCallPart, points
from mainspring.code.edit import edit_tools
from mainspring.messages import assistant
point, patch, workspace, home = sys.argv[1:]
def die(at):
    if at == point:
        os.kill(os.getpid(), signal.SIGKILL)
points.hook = die
if point == "half":
    rename, calls = os.rename, []
    def renamed(*given, **named):
        if str(given[0]).startswith(".mainspring-"):
            calls.append(given)
            if len(calls) == 3:
                os.kill(os.getpid(), signal.SIGKILL)
        return rename(*given, **named)
    os.rename = renamed
model = ScriptedModel([assistant("", ToolCallPart("c", "apply_patch", {"patch": patch})), assistant("done")])
Agent("coder", model=model, tools=edit_tools()).run_sync("go", workspace=workspace, home=home, run_id="r1")
"""


@pytest.mark.parametrize("point", ["intent.committed", "effect.before_act", "half", "effect.acted"])
def test_a_killed_run_goes_on_and_the_patch_happens_once(workspace: Path, home: Path, point: str) -> None:
    fill(workspace)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, point, PATCH, str(workspace), str(home)], capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    if point == "half":
        assert files(workspace) not in (BEFORE, AFTER)
    model = ScriptedModel([assistant("", ToolCallPart("c", "apply_patch", {"patch": PATCH})), assistant("done")])
    run = Run.load("r1", home=home)
    run.resume_sync(Agent("coder", model=model, tools=edit_tools()))
    assert run.status == "done", run.reason
    assert files(workspace) == AFTER
    (done,) = [e.payload for e in run.events() if e.kind == "effect.done"]
    assert done["settled"] == ("adopted" if point == "effect.acted" else "ran")
    assert done["content"][0]["text"].startswith("changed 6 files\n")
    (edit,) = list_edits(run.events())
    assert (edit.tool, len(edit.paths)) == ("apply_patch", 6)
    undone = undo_run(home, workspace, run.events())
    assert undone.refused == ()
    assert files(workspace) == BEFORE
    assert os.listdir(workspace) == [p for p in os.listdir(workspace) if p in BEFORE]
