"""A repository from strangers: its settings, attributes, hooks, remotes and links run nothing and reach nothing.

Each trap touches a file. Controls show that plain git, called as one is used to, springs it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "code"))
from git_project import fill, git, make

from mainspring.code.git import CodeRecord, Repository, WorkingCopy, apply_to, git_tools, make_branch, record
from mainspring.code.patch import FileChange, Patch
from mainspring.errors import ToolError
from mainspring.tool import ToolContext
from mainspring.tools.sandbox import Sandbox

COMMIT, PUSH = git_tools()


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A program that touches a file beside it; `trap.with_suffix(".sprung")` is there when it ran."""
    program = tmp_path / "trap"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/trap.sprung\ncat\n")
    program.chmod(0o755)
    return program


def hostile(folder: Path, trap: Path) -> Path:
    """A repository whose settings, attributes and hooks all name the trap."""
    make(folder, {"a.txt": "one\n", "b.c": "int x;\n", "sub/c.txt": "c\n"})
    settings = {
        "core.fsmonitor": trap,
        "core.hooksPath": folder / "hooks",
        "core.sshCommand": trap,
        "core.pager": trap,
        "core.editor": trap,
        "core.askPass": trap,
        "core.gitProxy": trap,
        "core.alternateRefsCommand": trap,
        "diff.external": trap,
        "diff.evil.command": trap,
        "diff.evil.textconv": trap,
        "merge.evil.driver": trap,
        "filter.evil.clean": trap,
        "filter.evil.smudge": trap,
        "filter.evil.required": "true",
        "filter.long.process": trap,
        "gpg.program": trap,
        "commit.gpgSign": "true",
        "credential.helper": f"!{trap}",
        "protocol.ext.allow": "always",
        "uploadpack.packObjectsHook": trap,
        "sequence.editor": trap,
        "interactive.diffFilter": trap,
        "alias.diff-tree": f"!{trap}",
        "alias.write-tree": f"!{trap}",
        "receive.procReceiveRefs": "refs",
        "remote.origin.receivepack": trap,
        "remote.origin.uploadpack": trap,
    }
    names = ["pre-commit", "post-checkout", "post-index-change", "reference-transaction", "pre-push", "post-commit"]
    for name in names:
        for place in (folder / "hooks", folder / ".git" / "hooks"):
            place.mkdir(exist_ok=True)
            (place / name).write_text(f"#!/bin/sh\n{trap} < /dev/null\n")
            (place / name).chmod(0o755)
    fill(folder, {".gitattributes": "*.txt filter=evil diff=evil merge=evil\n*.c filter=long diff=evil\n"})
    fill(folder, {"a.txt": "one\ntwo\n", "b.c": "int y;\n", "untracked.txt": "u\n"})
    with open(folder / ".git" / "config", "a") as file:
        for name, value in settings.items():
            section, _, key = name.rpartition(".")
            head, _, inner = section.partition(".")
            file.write(f'[{head}{f" {chr(34)}{inner}{chr(34)}" if inner else ""}]\n\t{key} = "{value}"\n')
    return folder


def look(folder: Path, home: Path) -> WorkingCopy:
    copy = WorkingCopy.make(Repository.find(folder), home, "20260101-run")
    fill(copy.path, {"d.py": "x = 1\n", "sub/c.txt": "changed\n"})
    copy.patch()
    return copy


@pytest.mark.parametrize("command", [("status",), ("add", "-A"), ("diff",), ("commit", "-m", "x")])
def test_control_plain_git_springs_the_trap(tmp_path: Path, trap: Path, command: tuple[str, ...]) -> None:
    folder = hostile(tmp_path / "p", trap)
    git(folder, *command, check=False)
    assert trap.with_suffix(".sprung").exists()


def test_settings_attributes_and_hooks_run_nothing(tmp_path: Path, home: Path, trap: Path) -> None:
    folder = hostile(tmp_path / "p", trap)
    trap.with_suffix(".sprung").unlink(missing_ok=True)
    copy = look(folder, home)
    made = record(home, "20260101-run", copy)
    repository = Repository.find(folder)
    with made.fresh(copy.patch()) as fresh:
        fresh.patch()
    make_branch(repository, Patch.of([copy.patch().changes[0]]), "fix", "x")
    with pytest.raises(ToolError, match="filter 'evil', which your global git settings do not name"):
        make_branch(repository, copy.patch(), "filtered", "x")
    copy.reset()
    fill(copy.path, {"d.py": "x = 1\n"})
    git(tmp_path, "init", "-q", "--bare", "remote.git")
    with open(folder / ".git" / "config", "a") as file:
        file.write(f'[remote "origin"]\n\turl = {tmp_path}/remote.git\n')
    context = ToolContext("20260101-run", "k", copy.path, home)
    done = COMMIT.function("x", context)
    PUSH.function("origin", done["branch"], str(tmp_path / "remote.git"), done["commit"], context)
    apply_to(repository, copy.patch(), home=home)
    assert git(tmp_path / "remote.git", "for-each-ref", "--format=%(refname:short)") == f"{done['branch']}\n"
    assert (folder / "d.py").exists()
    assert not trap.with_suffix(".sprung").exists()


def test_a_filter_of_the_users_own_settings_does_run(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What git-lfs needs: the driver is the user's, only the attribute is the repository's."""
    settings = tmp_path / "gitconfig"
    settings.write_text('[filter "up"]\n\tclean = tr a-z A-Z\n\tsmudge = tr A-Z a-z\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    folder = make(tmp_path / "p", {".gitattributes": "*.txt filter=up\n"})
    repository = Repository.find(folder)
    make_branch(repository, Patch((FileChange("a.txt", None, b"words\n"),)), "b", "x")
    assert git(folder, "cat-file", "blob", "b:a.txt") == "WORDS\n"


def test_submodules_run_nothing(tmp_path: Path, home: Path, trap: Path) -> None:
    folder = make(tmp_path / "p", {"a.txt": "one\n"})
    inner = make(folder / "inner", {"x.txt": "x\n"})
    git(folder, "add", "inner", check=False)
    git(folder, "commit", "-qm", "module")
    git(inner, "config", "core.fsmonitor", str(trap))
    fill(inner, {"x.txt": "changed\n"})
    git(folder, "-c", "submodule.recurse=true", "status", check=False)
    assert trap.with_suffix(".sprung").exists()  # the control
    trap.with_suffix(".sprung").unlink()
    copy = look(folder, home)
    git_dir = copy.path / "inner" / ".git"
    fill(copy.path, {"inner/.git/HEAD": "ref: refs/heads/x\n", "inner/.git/config": f"[core]\n\tfsmonitor = {trap}\n"})
    (git_dir / "objects").mkdir()
    (git_dir / "refs").mkdir()
    assert copy.patch().paths == ("d.py", "sub/c.txt")
    assert not trap.with_suffix(".sprung").exists()


def secret(tmp_path: Path) -> Path:
    return make(tmp_path / "secret", {"key.txt": "the secret\n"})


def by_settings(folder: Path, other: Path) -> None:
    git(folder, "config", "core.worktree", str(other))


def by_file(folder: Path, other: Path) -> None:
    (folder / ".git").rename(folder / "git")
    (folder / ".git").write_text(f"gitdir: {other}/.git\n")


def by_link(folder: Path, other: Path) -> None:
    (folder / ".git").rename(folder / "git")
    (folder / ".git").symlink_to(other / ".git")


def by_common_folder(folder: Path, other: Path) -> None:
    (folder / ".git" / "commondir").write_text(f"{other}/.git\n")


def by_forged_work_tree(folder: Path, other: Path) -> None:
    (folder / ".git").rename(folder / "git")
    forged = folder / "git" / "worktrees" / "x"
    forged.mkdir(parents=True)
    fill(forged, {"HEAD": "ref: refs/heads/main\n", "commondir": f"{other}/.git\n", "gitdir": f"{folder}/.git\n"})
    (folder / ".git").write_text(f"gitdir: {forged}\n")


def by_objects(folder: Path, other: Path) -> None:
    (folder / ".git" / "objects").rename(folder / ".git" / "own")
    (folder / ".git" / "objects").symlink_to(other / ".git" / "objects")


@pytest.mark.parametrize("way", [by_settings, by_file, by_link, by_common_folder, by_forged_work_tree, by_objects])
def test_a_folder_cannot_pass_another_repository_off_as_its_own(
    tmp_path: Path, home: Path, way: Callable[[Path, Path], None]
) -> None:
    other = secret(tmp_path)
    folder = make(tmp_path / "p", {"a.txt": "one\n"})
    Repository.find(folder)  # the control
    way(folder, other)
    with pytest.raises(ToolError):
        Repository.find(folder)


def test_borrowed_objects_are_not_shown_in_the_sandbox(tmp_path: Path, home: Path) -> None:
    other = secret(tmp_path)
    blob = git(other, "rev-parse", "HEAD:key.txt").strip()
    folder = make(tmp_path / "p", {"a.txt": "one\n"})
    fill(folder, {".git/objects/info/alternates": f"{other}/.git/objects\n"})
    assert git(folder, "cat-file", "blob", blob) == "the secret\n"  # the control
    copy = look(folder, home)
    said = Sandbox(copy.path, home=home, read_only=copy.read_only).run(
        ["bash", "-c", f"git cat-file blob {blob}; git log --format=%s; cat {other}/key.txt"]
    )
    assert "the secret" not in said.output
    assert "first" in said.output


def test_passwords_in_a_repositorys_settings_are_not_shown_in_the_sandbox(tmp_path: Path, home: Path) -> None:
    folder = make(tmp_path / "p", {"a.txt": "one\n"})
    git(folder, "remote", "add", "origin", "https://ann:hunter2@example.com/x.git")
    copy = look(folder, home)
    said = Sandbox(copy.path, home=home, read_only=copy.read_only).run(
        ["bash", "-c", f"git config -l; git remote -v; cat {folder}/.git/config; grep -r hunter2 {copy.store} . "]
    )
    assert "hunter2" not in said.output
    assert "core.bare=false" in said.output


@pytest.mark.parametrize(
    "url",
    [
        "--upload-pack=touch {trap}",
        "ext::sh -c touch% {trap}",
        "{inside}",
        "./evil.git",
        "file://{inside}",
        "http://example.com/x",
        "git://example.com/x",
        "ssh://-oProxyCommand=touch/x",
        "-oProxyCommand=x:y",
        "https://-x/y",
        "fd::17",
    ],
)
def test_remotes_that_run_something_are_not_pushed_to(tmp_path: Path, home: Path, trap: Path, url: str) -> None:
    folder = make(tmp_path / "p", {"a.txt": "one\n"})
    inside = folder / "evil.git"
    git(tmp_path, "init", "-q", "--bare", inside)
    (inside / "hooks" / "pre-receive").write_text(f"#!/bin/sh\n{trap}\n")
    (inside / "hooks" / "pre-receive").chmod(0o755)
    fill(folder, {".git/info/exclude": "evil.git\n"})
    with open(folder / ".git" / "config", "a") as file:
        file.write(f'[remote "origin"]\n\turl = "{url.format(trap=trap, inside=inside)}"\n')
    record(home, "20260101-run", look(folder, home))
    context = ToolContext("20260101-run", "k", None, home)
    done = COMMIT.function("x", context)
    assert done["remotes"] == {}
    with pytest.raises(ToolError):
        PUSH.function("origin", done["branch"], url.format(trap=trap, inside=inside), done["commit"], context)
    assert not trap.with_suffix(".sprung").exists()
    assert git(inside, "for-each-ref") == ""


def test_an_address_that_the_repository_rewrites_is_shown_as_it_is_used(tmp_path: Path, home: Path) -> None:
    folder = make(tmp_path / "p", {"a.txt": "one\n"})
    git(folder, "remote", "add", "origin", "https://example.com/x.git")
    git(folder, "config", "url.https://evil.example/.pushInsteadOf", "https://example.com/")
    record(home, "20260101-run", look(folder, home))
    done = COMMIT.function("x", ToolContext("20260101-run", "k", None, home))
    assert done["remotes"] == {"origin": "https://evil.example/x.git"}


@pytest.mark.parametrize("how", ["insteadOf", "pushInsteadOf"])
def test_an_address_that_would_be_rewritten_again_is_not_used(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The repository leads to an address that the person's own settings lead on to a third one."""
    folder = make(tmp_path / "p", {"a.txt": "one\n"})
    git(tmp_path, "init", "-q", "--bare", "third.git")
    git(folder, "remote", "add", "origin", "https://first.example/x.git")
    git(folder, "config", "url.https://second.example/.insteadOf", "https://first.example/")
    settings = tmp_path / "gitconfig"
    settings.write_text(f'[url "{tmp_path}/third.git"]\n\t{how} = https://second.example/x.git\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    record(home, "20260101-run", look(folder, home))
    context = ToolContext("20260101-run", "k", None, home)
    done = COMMIT.function("x", context)
    assert done["remotes"] == {"origin": "https://second.example/x.git"}
    with pytest.raises(ToolError, match="which nobody was shown"):
        PUSH.function("origin", done["branch"], done["remotes"]["origin"], done["commit"], context)
    assert git(tmp_path / "third.git", "for-each-ref") == ""


@pytest.fixture
def made(tmp_path: Path, home: Path) -> CodeRecord:
    folder = make(tmp_path / "p", {"a.txt": "one\n", "sub/c.txt": "c\n"})
    return record(home, "20260101-run", look(folder, home))


def test_a_replaced_git_file_leads_nobody_astray(tmp_path: Path, home: Path, made: CodeRecord, trap: Path) -> None:
    evil = hostile(tmp_path / "evil", trap)
    trap.with_suffix(".sprung").unlink(missing_ok=True)
    before = made.patch()
    (made.path / ".git").unlink()
    (made.path / ".git").write_text(f"gitdir: {evil}/.git\n")
    assert made.patch() == before
    (made.path / ".git").unlink()
    (made.path / ".git").symlink_to(evil / ".git")
    assert made.patch() == before
    made.copy.reset()
    assert (made.path / ".git").read_text() == f"gitdir: {made.copy.store}\n"
    assert not trap.with_suffix(".sprung").exists()


def test_links_lead_no_content_into_a_patch(tmp_path: Path, made: CodeRecord) -> None:
    outside = tmp_path / "outside"
    fill(outside, {"c.txt": "the secret\n"})
    (made.path / "sub" / "c.txt").unlink()
    (made.path / "sub").rmdir()
    (made.path / "sub").symlink_to(outside)
    (made.path / "straight").symlink_to(outside / "c.txt")
    changes = {c.path: c.after for c in made.patch().changes}
    assert changes == {
        "d.py": b"x = 1\n",
        "straight": str(outside / "c.txt").encode(),
        "sub": str(outside).encode(),
        "sub/c.txt": None,
    }


@pytest.mark.parametrize(
    "path",
    ["../out.txt", "/etc/out.txt", ".git/config", "sub/.GIT/hooks/x", "a/../../out", "", "a//b", ".gitmodules"],
)  # fmt: skip
def test_paths_that_no_patch_may_have(home: Path, made: CodeRecord, path: str) -> None:
    repository = made.repository
    evil = Patch((FileChange("fine.txt", None, b"fine\n"), FileChange(path, None, b"evil\n")))
    for refused in (lambda: apply_to(repository, evil, home=home), lambda: make_branch(repository, evil, "b", "x")):
        with pytest.raises(ToolError):
            refused()
    assert not (repository.top / "fine.txt").exists()
    assert git(repository.top, "branch", "--list", "b") == ""


def test_a_patch_does_not_pass_through_a_link(tmp_path: Path, home: Path, made: CodeRecord) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (made.repository.top / "out").symlink_to(outside)
    with pytest.raises(ToolError):
        apply_to(made.repository, Patch((FileChange("out/x.txt", None, b"x\n"),)), home=home)
    assert os.listdir(outside) == []


def test_names_with_line_ends_and_escapes(home: Path, made: CodeRecord) -> None:
    odd = {"a\nb\x1b[2J.txt": "odd\n", "-f": "option\n", ":(exclude)*": "magic\n", 'q"uo\\te': "quote\n"}
    fill(made.path, odd)
    patch = made.patch()
    assert set(patch.paths) == {*odd, "d.py", "sub/c.txt"}
    assert "\x1b" not in patch.diff()
    assert "\n+++ b/../" not in patch.diff()
    make_branch(made.repository, patch, "b", "x")
    assert set(git(made.repository.top, "ls-tree", "-z", "--name-only", "b").split("\0")) >= set(odd)
    apply_to(made.repository, patch, home=home)
    assert all((made.repository.top / name).read_text() == text for name, text in odd.items())


def test_variables_of_the_caller_lead_git_nowhere(
    tmp_path: Path, home: Path, trap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started from a hook or a hostile shell, git's own variables would name another repository or a program."""
    other = secret(tmp_path)
    folder = make(tmp_path / "p", {"a.txt": "one\n"})
    for name, value in {
        "GIT_DIR": f"{other}/.git",
        "GIT_WORK_TREE": str(other),
        "GIT_INDEX_FILE": f"{other}/.git/index",
        "GIT_EXTERNAL_DIFF": str(trap),
        "GIT_EXEC_PATH": str(tmp_path),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.fsmonitor",
        "GIT_CONFIG_VALUE_0": str(trap),
    }.items():
        monkeypatch.setenv(name, value)
    assert (look(folder, home).path / "a.txt").read_text() == "one\n"
    assert Repository.find(folder).top == folder
    assert not trap.with_suffix(".sprung").exists()
    done = subprocess.run(["git", "rev-parse", "--git-dir"], cwd=folder, capture_output=True, text=True, check=False)
    assert "secret" in done.stdout or done.returncode != 0  # the control: plain git is led astray
