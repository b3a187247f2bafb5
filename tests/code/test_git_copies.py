"""Snapshots and working copies: exact, apart from the person's files, and gone when they should be."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from git_project import fill, git, make, whole

from mainspring.code.git import Repository, WorkingCopy, load, record
from mainspring.errors import ToolError
from mainspring.tools.sandbox import Sandbox


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with uncommitted work of every kind."""
    folder = make(
        tmp_path / "project",
        {
            "a.txt": "one\ntwo\n",
            "crlf.txt": b"one\r\ntwo\r\n",
            "bin": b"\0\1\2",
            "tool.sh": "#!/bin/sh\n",
            "old.txt": "old\n",
            "sub/deep.txt": "deep\n",
            ".gitignore": "ignored\n*.log\n",
        },
    )
    os.symlink("a.txt", folder / "link")
    (folder / "tool.sh").chmod(0o755)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "second")
    fill(folder, {"a.txt": "one\nTWO\n", "staged.txt": "staged\n", "new file.txt": "new\n", "ignored": "x"})
    git(folder, "add", "staged.txt")
    (folder / "old.txt").unlink()
    return folder


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content of everything but git's own and what is ignored."""
    return {
        name: (mode, data)
        for name, (mode, _, data) in whole(folder).items()
        if not name.startswith(".git/") and name not in (".git", "ignored")
    }


def test_a_copy_has_exactly_what_the_person_has(project: Path, home: Path) -> None:
    before = whole(project)
    copy = WorkingCopy.make(Repository.find(project / "sub"), home)
    assert files(copy.path) == files(project)
    assert not copy.patch()
    assert whole(project) == before  # no file, no index, no reference and no object was touched
    assert git(copy.path, "log", "--format=%s").split("\n")[:2] == ["Snapshot of the files as they were", "second"]
    assert git(copy.path, "status", "--porcelain") == ""
    assert git(copy.path, "branch", "--list").split() == ["*", "(no", "branch)", "main"]


def test_the_patch_has_every_kind_of_change(project: Path, home: Path) -> None:
    copy = WorkingCopy.make(Repository.find(project), home)
    fill(copy.path, {"a.txt": "ONE\nTWO\n", "made/here.txt": b"x\xff\n", "bin": b"\0\2", "x.log": "ignored"})
    (copy.path / "sub/deep.txt").unlink()
    (copy.path / "tool.sh").chmod(0o644)
    (copy.path / "link").unlink()
    os.symlink("bin", copy.path / "link")
    os.symlink("nowhere", copy.path / "dangling")
    patch = copy.patch()
    assert {c.path: c.kind for c in patch.changes} == {
        "a.txt": "changed",
        "bin": "changed",
        "dangling": "added",
        "link": "changed",
        "made/here.txt": "added",
        "sub/deep.txt": "removed",
        "tool.sh": "changed",
    }
    again = copy.patch()
    assert again == patch
    assert again.digest == patch.digest
    copy.reset()
    assert files(copy.path) == files(project)
    assert not copy.patch()


def test_git_takes_the_diff_of_a_patch(project: Path, home: Path, tmp_path: Path) -> None:
    copy = WorkingCopy.make(Repository.find(project), home)
    odd = 'na "me\n\twith\x01 é'
    fill(
        copy.path,
        {"a.txt": "ONE\nTWO", "made/here.txt": b"x\xff\n", "bin": bytes(range(256)) * 40, odd: "odd\n", "empty": ""},
    )
    fill(copy.path, {"with space.txt": "s\n"})
    (copy.path / "sub/deep.txt").unlink()
    (copy.path / "tool.sh").chmod(0o644)
    (copy.path / "crlf.txt").unlink()
    os.symlink("a.txt", copy.path / "crlf.txt")
    text = copy.patch().diff().encode("utf-8", "surrogateescape")
    git(project, "apply", "--whitespace=nowarn", given=text)
    assert files(project) == files(copy.path)


def test_attempts_side_by_side_do_not_meet(project: Path, home: Path) -> None:
    repository = Repository.find(project)
    one, other = WorkingCopy.make(repository, home, "one"), WorkingCopy.make(repository, home, "other")
    (one.path / "a.txt").write_text("first\n")
    (other.path / "a.txt").write_text("second\n")
    assert [c.after for c in one.patch().changes] == [b"first\n"]
    assert [c.after for c in other.patch().changes] == [b"second\n"]
    with pytest.raises(ToolError, match="already"):
        WorkingCopy.make(repository, home, "one")
    one.remove()
    assert [c.after for c in other.patch().changes] == [b"second\n"]


def test_line_ends_and_filters_are_not_touched(tmp_path: Path, home: Path) -> None:
    """With line ends converted on check-out, git stores other bytes than the person has; the copy has the person's."""
    folder = make(tmp_path / "p", {".gitattributes": "*.txt text\n*.up filter=up\n", "plain.py": "x\n"})
    git(folder, "config", "core.autocrlf", "true")
    git(folder, "config", "filter.up.clean", "tr a-z A-Z; echo cleaned")
    git(folder, "config", "filter.up.smudge", "tr A-Z a-z | grep -v cleaned")
    fill(folder, {"a.txt": b"one\r\ntwo\r\n", "b.up": "words\n"})
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "second")
    assert git(folder, "cat-file", "blob", "HEAD:a.txt") == "one\ntwo\n"
    copy = WorkingCopy.make(Repository.find(folder), home)
    assert files(copy.path) == files(folder)
    (copy.path / "a.txt").write_bytes(b"one\r\n2\r\n")
    [change] = copy.patch().changes
    assert (change.before, change.after) == (b"one\r\ntwo\r\n", b"one\r\n2\r\n")


def test_a_repository_without_a_commit(tmp_path: Path, home: Path) -> None:
    folder = make(tmp_path / "p", {"a.txt": "one\n"}, commit=False)
    repository = Repository.find(folder)
    assert (repository.head, repository.branch) == ("", "main")
    copy = WorkingCopy.make(repository, home)
    assert (copy.path / "a.txt").read_text() == "one\n"
    (copy.path / "a.txt").write_text("two\n")
    assert copy.patch().paths == ("a.txt",)


def test_submodules_and_nested_repositories_are_left_as_they_are(project: Path, tmp_path: Path, home: Path) -> None:
    other = make(tmp_path / "other", {"x": "x\n"})
    git(project, "-c", "protocol.file.allow=always", "submodule", "add", "-q", other, "module")
    git(project, "commit", "-qm", "module", "module", ".gitmodules")
    make(project / "nested", {"y": "y\n"})
    fill(project, {"module/x": "changed\n"})
    repository = Repository.find(project)
    assert repository.submodules == ("module",)
    assert "module" in repository.notes[0]
    copy = WorkingCopy.make(repository, home)
    assert os.listdir(copy.path / "module") == []
    assert not (copy.path / "nested").exists()
    assert copy.snapshot.left_out == ("nested/ is a repository of its own",)
    fill(copy.path, {"module/z": "in the way\n", "a.txt": "1\n"})
    assert copy.patch().paths == ("a.txt",)


def test_a_shallow_clone_and_a_linked_work_tree(project: Path, tmp_path: Path, home: Path) -> None:
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{project}", "shallow")
    shallow = Repository.find(tmp_path / "shallow")
    assert shallow.shallow
    copy = WorkingCopy.make(shallow, home, "s")
    assert len(git(copy.path, "log", "--format=%s").splitlines()) == 2
    git(project, "worktree", "add", "-q", tmp_path / "linked", "-b", "side")
    linked = Repository.find(tmp_path / "linked")
    assert linked.branch == "side"
    assert linked.common == project / ".git"
    fill(tmp_path / "linked", {"a.txt": "linked\n"})
    assert (WorkingCopy.make(linked, home, "l").path / "a.txt").read_text() == "linked\n"


def test_a_sparse_check_out_and_a_split_index(project: Path, home: Path) -> None:
    git(project, "stash", "-q")
    git(project, "sparse-checkout", "set", "--cone", "nothing")
    copy = WorkingCopy.make(Repository.find(project), home, "sparse")
    assert not (copy.path / "sub").exists()
    assert not copy.patch()
    fill(copy.path, {"sub/deep.txt": "there all the same\n"})
    [change] = copy.patch().changes
    assert (change.path, change.before) == ("sub/deep.txt", b"deep\n")
    git(project, "sparse-checkout", "disable")
    git(project, "update-index", "--split-index")
    fill(project, {"a.txt": "split\n"})
    copy = WorkingCopy.make(Repository.find(project), home, "split")
    assert files(copy.path) == files(project)


def test_objects_named_by_sha256(tmp_path: Path, home: Path) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    git(folder, "init", "-q", "--object-format=sha256")
    make(folder, {"a.txt": "one\n"})
    fill(folder, {"a.txt": "two\n"})
    copy = WorkingCopy.make(Repository.find(folder), home)
    assert (copy.path / "a.txt").read_text() == "two\n"
    fill(copy.path, {"b.txt": "b\n"})
    assert copy.patch().paths == ("b.txt",)


def test_what_cannot_be_worked_on_is_refused_with_a_reason(project: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(ToolError, match="no git repository; run `git init`"):
        Repository.find(tmp_path / "plain")
    with pytest.raises(ToolError, match="no folder"):
        Repository.find(tmp_path / "missing")
    git(tmp_path, "init", "-q", "--bare", "bare")
    with pytest.raises(ToolError, match="bare repository"):
        Repository.find(tmp_path / "bare")
    with pytest.raises(ToolError, match="git folder"):
        Repository.find(project / ".git" / "refs")
    git(project, "stash", "-q")
    git(project, "checkout", "-qb", "side")
    git(project, "commit", "-qam", "side", "--allow-empty")
    fill(project, {"a.txt": "side\n"})
    git(project, "commit", "-qam", "side")
    git(project, "checkout", "-q", "main")
    fill(project, {"a.txt": "main\n"})
    git(project, "commit", "-qam", "main")
    git(project, "merge", "side", check=False)
    with pytest.raises(ToolError, match=r"unfinished merge with conflicts in a\.txt"):
        Repository.find(project)


def test_a_repository_of_another_user(project: Path, tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only the superuser can give a folder to another user")
    for path in [project, project / ".git"]:
        os.chown(path, 4321, 4321)
    with pytest.raises(ToolError, match=r"belongs to another user.*safe\.directory"):
        Repository.find(project)


def test_git_is_not_installed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "relative:/nonexistent")
    with pytest.raises(ToolError, match="git is not installed"):
        Repository.find(project)


def test_a_large_file_is_left_out_and_named(project: Path, home: Path) -> None:
    with open(project / "huge.bin", "wb") as file:
        file.truncate((64 << 20) + 1)
    copy = WorkingCopy.make(Repository.find(project), home)
    assert not (copy.path / "huge.bin").exists()
    assert "huge.bin has 67,108,865 bytes" in copy.snapshot.left_out[0]


def test_a_home_inside_the_repository_is_refused(project: Path) -> None:
    with pytest.raises(ToolError, match="MAINSPRING_HOME"):
        WorkingCopy.make(Repository.find(project), project / ".mainspring")


def test_nothing_is_left_of_a_copy_that_cannot_be_made(project: Path, home: Path) -> None:
    """The limit on file size stands for a full disk: git and we can write no more than so many bytes."""
    fill(project, {"large.bin": os.urandom(300_000)})
    program = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from pathlib import Path
from mainspring.code.git import Repository, WorkingCopy
from mainspring.errors import ToolError
repository = Repository.find({str(project)!r})
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    WorkingCopy.make(repository, Path({str(home)!r}), "full")
except ToolError as error:
    print("refused:", error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("refused:"), done.stderr
    assert os.listdir(home / "worktrees") == []


def test_what_a_crash_left_is_swept(project: Path, home: Path) -> None:
    repository = Repository.find(project)
    kept = WorkingCopy.make(repository, home, "kept")
    record(home, "kept", kept)
    working = WorkingCopy.make(repository, home, "working")
    program = f"""
import os
from pathlib import Path
from mainspring.code.git import Repository, WorkingCopy
WorkingCopy.make(Repository.find({str(project)!r}), Path({str(home)!r}), "crashed")
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", program], check=False)
    assert (home / "worktrees" / "crashed" / "tree" / "a.txt").exists()
    assert WorkingCopy.sweep(home) == ["crashed"]
    assert sorted(os.listdir(home / "worktrees")) == ["kept", "working"]
    working.remove()


def test_a_fresh_copy_has_the_snapshot_and_the_patch(project: Path, home: Path) -> None:
    copy = record(home, "run", WorkingCopy.make(Repository.find(project), home, "run"))
    fill(copy.path, {"a.txt": "patched\n", "junk.log": "ignored\n", "dir/new.txt": "n\n"})
    (copy.path / "sub/deep.txt").unlink()
    patch = copy.patch()
    with copy.fresh(patch) as fresh:
        assert {n: d for n, (_, d) in files(fresh.path).items()} == {
            n: d for n, (_, d) in files(copy.path).items() if n != "junk.log"
        }
        assert fresh.patch() == patch
        place = fresh.folder
    assert not place.exists()
    with copy.fresh(type(patch)()) as fresh:
        assert files(fresh.path) == files(project)


def test_a_record_outlives_the_copy(project: Path, home: Path) -> None:
    made = record(home, "run", WorkingCopy.make(Repository.find(project), home, "run"))
    fill(made.path, {"a.txt": b"patched \xff\n", "n\udcff.txt": b"\0"})
    (made.path / "tool.sh").chmod(0o644)
    patch = made.patch()
    loaded = load(home, "run")
    assert loaded.patch() == patch
    assert (loaded.base, str(loaded.repository)) == (made.base, str(project))
    loaded.remove()
    assert not loaded.exists
    assert load(home, "run").patch() == patch
    with pytest.raises(ToolError, match="was not started by"):
        load(home, "other")


def test_in_place_the_patch_is_against_what_was_there(project: Path, home: Path) -> None:
    before = files(project)
    copy = WorkingCopy.in_place(Repository.find(project), home, "run")
    assert copy.path == project
    assert not copy.patch()
    fill(project, {"a.txt": "patched\n"})
    [change] = record(home, "run", copy).patch().changes
    assert (change.before, change.after) == (before["a.txt"][1], b"patched\n")
    with pytest.raises(ToolError, match="your own files"):
        copy.reset()
    copy.remove()
    assert (project / "a.txt").read_text() == "patched\n"


def test_git_works_in_the_sandbox_and_changes_nothing(project: Path, home: Path) -> None:
    copy = WorkingCopy.make(Repository.find(project), home)
    fill(copy.path, {"a.txt": "ONE\nTWO\n", "fresh.txt": "f\n"})
    before, store = whole(project), whole(copy.store)
    sandbox = Sandbox(copy.path, home=home, read_only=copy.read_only)
    said = sandbox.run(
        ["bash", "-c", "git status --short && git log --format=%s main && git diff && git blame sub/deep.txt"]
    )
    assert said.exit_code == 0, said.output
    for text in (" M a.txt", "?? fresh.txt", "second", "-one\n+ONE", "deep"):
        assert text in said.output
    sandbox.run(
        [
            "bash",
            "-c",
            "git commit -qam x; git branch evil; git config core.fsmonitor ./evil; "
            f"rm -rf {copy.store} {project}/.git; "
            f"echo evil > {copy.store}/HEAD; echo 'gitdir: /tmp' > .git; git gc; git update-ref HEAD main",
        ]
    )
    assert whole(project) == before
    assert whole(copy.store) == store
    assert copy.patch().paths == ("a.txt", "fresh.txt")
