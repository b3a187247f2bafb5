"""A patch into a person's files: all or none, never over what was changed since, and back again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from git_project import fill, git, make, whole

from mainspring.code.git import (
    ConflictError,
    Person,
    Repository,
    WorkingCopy,
    apply_to,
    list_applied,
    make_branch,
    undo_applied,
)
from mainspring.code.git.merging import merge_lines
from mainspring.code.git.plans import settle
from mainspring.code.patch import FileChange, Patch
from mainspring.errors import ToolError

LINES = [f"line {n}\n" for n in range(1, 13)]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = make(
        tmp_path / "project",
        {"a.txt": "".join(LINES), "b.txt": "b\n", "gone/c.txt": "c\n", "run.sh": "#!/bin/sh\n", "bin": b"\0\1"},
    )
    fill(folder, {"b.txt": "b, not committed\n"})
    return folder


@pytest.fixture
def repository(project: Path) -> Repository:
    return Repository.find(project)


@pytest.fixture
def copy(repository: Repository, home: Path) -> WorkingCopy:
    """A copy with a change of every kind."""
    copy = WorkingCopy.make(repository, home)
    fill(copy.path, {"a.txt": "".join(["LINE 1\n", *LINES[1:]]), "new/deep/d.txt": "d\n", "bin": b"\0\2"})
    (copy.path / "gone/c.txt").unlink()
    (copy.path / "run.sh").chmod(0o755)
    os.symlink("a.txt", copy.path / "link")
    return copy


def content(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {n: (m, d) for n, (m, _, d) in whole(folder).items() if n != ".git" and not n.startswith(".git/")}


def test_a_patch_is_applied_whole_and_taken_back(
    project: Path, repository: Repository, copy: WorkingCopy, home: Path
) -> None:
    before, inside = content(project), whole(project / ".git")
    applied = apply_to(repository, copy.patch(), home=home, run_id="r1")
    assert content(project) == content(copy.path)
    assert not (project / "gone").exists()
    assert whole(project / ".git") == inside
    assert [a.id for a in list_applied(home, "r1")] == [applied.id]
    assert list_applied(home, "other") == []
    with pytest.raises(ToolError, match="nothing to apply"):
        apply_to(repository, copy.patch(), home=home)
    assert undo_applied(home, applied).state == "undone"
    assert content(project) == before
    assert not (project / "new").exists()
    with pytest.raises(ToolError, match="undone already"):
        undo_applied(home, applied)


def test_a_file_that_was_changed_since_is_never_overwritten(
    project: Path, repository: Repository, copy: WorkingCopy, home: Path
) -> None:
    fill(project, {"a.txt": "".join([*LINES[:9], "mine\n", *LINES[10:]])})
    before = content(project)
    with pytest.raises(ConflictError, match=r"a\.txt, lines 10: changed since") as refused:
        apply_to(repository, copy.patch(), home=home)
    assert [(c.path, c.lines) for c in refused.value.conflicts] == [("a.txt", ((10, 10),))]
    assert content(project) == before
    applied = apply_to(repository, copy.patch(), home=home, merge=True)
    assert applied.merged == ("a.txt",)
    assert (project / "a.txt").read_text() == "".join(["LINE 1\n", *LINES[1:9], "mine\n", *LINES[10:]])
    undo_applied(home, applied)
    assert content(project) == before


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("a.txt", lambda p: fill(p, {"a.txt": "".join(["mine\n", *LINES[1:]])}), "lines 1: the patch changes the same"),
        ("a.txt", lambda p: (p / "a.txt").unlink(), "it was removed since"),
        ("gone/c.txt", lambda p: fill(p, {"gone/c.txt": "more\n"}), "changed since, and the patch removes it"),
        ("new/deep/d.txt", lambda p: fill(p, {"new/deep/d.txt": "mine\n"}), "made by somebody else"),
        ("bin", lambda p: fill(p, {"bin": b"\0\3"}), "no text"),
        ("link", lambda p: fill(p, {"link": "mine\n"}), "made by somebody else"),
        ("new/deep/d.txt", lambda p: fill(p, {"new": "a file\n"}), "cannot be written"),
        ("link", lambda p: fill(p, {"link/inside.txt": "mine\n"}), ""),
    ],
)  # fmt: skip
def test_conflicts_are_reported_and_nothing_is_written(
    project: Path, repository: Repository, copy: WorkingCopy, home: Path, name: str, change: object, reason: str
) -> None:
    change(project)  # type: ignore[operator]
    before = content(project)
    with pytest.raises(ToolError) as refused:
        apply_to(repository, copy.patch(), home=home, merge=True)
    assert name in str(refused.value)
    assert reason in str(refused.value)
    assert content(project) == before


def test_the_places_of_a_conflict_are_lines_of_the_file_as_it_is() -> None:
    now = "".join(["0\n", *LINES[:3], "mine\n", *LINES[4:10], "mine too\n", LINES[11]])
    after = "".join([*LINES[:3], "theirs\n", *LINES[4:10], "theirs too\n", LINES[11]])
    _, places = merge_lines(now.encode(), "".join(LINES).encode(), after.encode())
    shown = [now.splitlines()[first - 1 : last] for first, last in places]
    assert shown == [["mine"], ["mine too"]]


def test_an_applied_patch_that_was_changed_since_is_not_taken_back(
    project: Path, repository: Repository, copy: WorkingCopy, home: Path
) -> None:
    applied = apply_to(repository, copy.patch(), home=home)
    fill(project, {"new/deep/d.txt": "d\nmine\n"})
    before = content(project)
    with pytest.raises(ConflictError, match=r"new/deep/d\.txt, lines 2"):
        undo_applied(home, applied)
    assert content(project) == before


def test_a_plain_patch_keeps_modes(project: Path, repository: Repository, home: Path) -> None:
    (project / "b.txt").chmod(0o755)
    apply_to(repository, Patch((FileChange("b.txt", b"b, not committed\n", b"B\n"),)), home=home)
    assert (project / "b.txt").read_text() == "B\n"
    assert (project / "b.txt").stat().st_mode & 0o777 == 0o755


def test_a_file_where_a_folder_was_and_a_folder_where_a_file_was(
    project: Path, repository: Repository, home: Path
) -> None:
    copy = WorkingCopy.make(repository, home)
    (copy.path / "gone/c.txt").unlink()
    (copy.path / "gone").rmdir()
    (copy.path / "a.txt").unlink()
    fill(copy.path, {"gone": "a file now\n", "a.txt/inner": "a folder now\n"})
    before, patch = content(project), copy.patch()
    with copy.fresh(home, patch) as fresh:
        assert fresh.patch() == patch
    applied = apply_to(repository, patch, home=home)
    assert content(project) == content(copy.path)
    undo_applied(home, applied)
    assert content(project) == before
    make_branch(repository, patch, "fix", "x")
    assert git(project, "ls-tree", "-r", "--name-only", "fix").split() == [
        "a.txt/inner",
        "b.txt",
        "bin",
        "gone",
        "run.sh",
    ]


@pytest.mark.parametrize("undo", [False, True])
@pytest.mark.parametrize("writes", [0, 1, 3, 5])
def test_a_kill_in_the_middle_is_settled_by_the_next_call(
    project: Path, repository: Repository, copy: WorkingCopy, home: Path, writes: int, undo: bool
) -> None:
    before = content(project)
    if undo:
        apply_to(repository, copy.patch(), home=home)
    program = f"""
import os
from pathlib import Path
from mainspring.code.git import Repository, apply_to, list_applied, undo_applied, files
from mainspring.code.git.working import WorkingCopy
from mainspring.code.git.recorded import load
put, left = files.Tree.put, {writes}
def dying(self, path, state, temporary):
    global left
    if left == 0:
        folder = os.path.dirname(self.top / path)
        os.makedirs(folder, exist_ok=True)
        open(os.path.join(folder, temporary), "w").write("half")
        os.kill(os.getpid(), 9)
    left -= 1
    put(self, path, state, temporary)
home = Path({str(home)!r})
patch = load(home, "run").patch()
files.Tree.put = dying
if {undo}:
    undo_applied(home, list_applied(home)[0])
else:
    apply_to(Repository.find({str(project)!r}), patch, home=home)
"""
    from mainspring.code.git import record

    record(home, "run", copy)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    after = content(copy.path)
    assert content(project) not in (before, after) or writes == 0
    [told] = settle(home, project)
    assert told == "finished a patch of 6 files that was interrupted"
    assert content(project) == (before if undo else after)
    assert [a.state for a in list_applied(home)] == ["undone" if undo else "done"]
    assert settle(home, project) == []


def test_an_interrupted_patch_is_taken_back_where_a_file_was_changed_meanwhile(
    project: Path, repository: Repository, copy: WorkingCopy, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mainspring.code.git import plans

    before = content(project)
    put, left = plans.Tree.put, [3]

    def dying(*given: object) -> None:
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        put(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(plans.Tree, "put", dying)
    with pytest.raises(KeyboardInterrupt):
        apply_to(repository, copy.patch(), home=home)
    monkeypatch.undo()
    assert content(project) != before
    fill(project, {"run.sh": "mine\n"})
    with pytest.raises(ConflictError, match=r"run\.sh"):
        apply_to(repository, copy.patch(), home=home)
    assert content(project) == {**before, "run.sh": (before["run.sh"][0], b"mine\n")}
    assert [a.state for a in list_applied(home)] == ["taken back"]


def test_a_branch_leaves_everything_else_alone(project: Path, repository: Repository, copy: WorkingCopy) -> None:
    before = content(project)
    index = (project / ".git/index").read_bytes()
    commit = make_branch(repository, copy.patch(), "fix/one", "Mend it\n\nWell.")
    assert content(project) == before
    assert (project / ".git/index").read_bytes() == index
    assert git(project, "symbolic-ref", "HEAD") == "refs/heads/main\n"
    assert git(project, "log", "--format=%s %P", "fix/one", "-1").split() == [
        "Mend", "it", git(project, "rev-parse", "main").strip()
    ]  # fmt: skip
    assert git(project, "rev-parse", "fix/one").strip() == commit
    assert git(project, "diff", "--name-status", "--no-renames", "main", "fix/one").splitlines() == [
        "M\ta.txt", "M\tbin", "D\tgone/c.txt", "A\tlink", "A\tnew/deep/d.txt", "M\trun.sh"
    ]  # fmt: skip
    assert git(project, "show", "fix/one:b.txt") == "b\n"  # the person's uncommitted change is not in it
    with pytest.raises(ToolError, match="already"):
        make_branch(repository, copy.patch(), "fix/one", "again")
    git(project, "fsck", "--strict")


def test_a_patch_that_builds_on_uncommitted_changes(project: Path, repository: Repository, home: Path) -> None:
    fill(project, {"a.txt": "".join([*LINES[:11], "mine\n"]), "u.txt": "untracked\n"})
    copy = WorkingCopy.make(repository, home)
    fill(copy.path, {"a.txt": "".join(["LINE 1\n", *LINES[1:11], "mine\n"])})
    make_branch(repository, copy.patch(), "apart", "only line 1")  # another line than the uncommitted one
    assert git(project, "show", "apart:a.txt") == "".join(["LINE 1\n", *LINES[1:]])
    fill(copy.path, {"b.txt": "b, on top\n", "u.txt": "more\n"})
    with pytest.raises(ConflictError, match=r"not committed.*\n.*b\.txt.*\n.*u\.txt") as refused:
        make_branch(repository, copy.patch(), "builds", "x")
    assert [c.path for c in refused.value.conflicts] == ["b.txt", "u.txt"]
    assert git(project, "branch", "--list", "builds") == ""
    make_branch(
        repository, copy.patch(), "builds", "x", include_uncommitted=True, author=Person("Bo", "bo@example.com")
    )
    assert git(project, "show", "builds:b.txt") == "b, on top\n"
    assert git(project, "show", "builds:u.txt") == "more\n"
    assert git(project, "log", "-1", "--format=%an <%ae> %cn", "builds") == "Bo <bo@example.com> Bo\n"


def test_a_branch_is_stored_as_git_stores_it(tmp_path: Path, home: Path) -> None:
    folder = make(tmp_path / "p", {".gitattributes": "*.txt text eol=crlf\n", "a.txt": b"one\r\ntwo\r\n"})
    repository = Repository.find(folder)
    copy = WorkingCopy.make(repository, home)
    fill(copy.path, {"a.txt": b"one\r\n2\r\n"})
    make_branch(repository, copy.patch(), "b", "x")
    assert git(folder, "cat-file", "blob", "b:a.txt") == "one\n2\n"
    assert git(folder, "diff", "--stat", "main", "b").splitlines()[0].split() == ["a.txt", "|", "2", "+-"]


def test_the_first_commit_of_a_repository(tmp_path: Path, home: Path) -> None:
    folder = make(tmp_path / "p", {"a.txt": "one\n"}, commit=False)
    repository = Repository.find(folder)
    copy = WorkingCopy.make(repository, home)
    fill(copy.path, {"b.txt": "b\n"})
    with pytest.raises(ToolError, match="checked out"):
        make_branch(repository, copy.patch(), "main", "x")
    make_branch(repository, copy.patch(), "first", "x")
    assert git(folder, "ls-tree", "--name-only", "first") == "b.txt\n"


@pytest.mark.parametrize(
    "name", ["-f", "--force", "a..b", "refs/heads/x", "../x", "a b", "x.lock", "HEAD", "a//b", "", "a~1", "@{u}", "x/"]
)  # fmt: skip
def test_names_that_are_none(project: Path, repository: Repository, copy: WorkingCopy, name: str) -> None:
    before = git(project, "for-each-ref")
    with pytest.raises(ToolError, match="cannot name a branch"):
        make_branch(repository, copy.patch(), name, "x")
    assert git(project, "for-each-ref") == before
