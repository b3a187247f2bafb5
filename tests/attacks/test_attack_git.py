"""A repository's hooks and settings run later, outside the sandbox: no command may write them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from mainspring.tool import ToolContext, Unknown
from mainspring.tools import recovery
from mainspring.tools.sandbox import CommandResult, Sandbox


def git(folder: Path, *arguments: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.fixture
def repository(workspace: Path) -> Path:
    git(workspace, "init", "-q")
    (workspace / "a.txt").write_text("one\n")
    git(workspace, "add", "a.txt")
    git(workspace, "commit", "-qm", "first")
    return workspace


def sh(workspace: Path, command: str) -> CommandResult:
    return Sandbox(workspace).run(["bash", "-c", command])


def test_looking_at_a_repository_works(repository: Path) -> None:
    (repository / "a.txt").write_text("two\n")
    result = sh(repository, "git log --oneline && git status --short && git diff && git blame a.txt")
    assert result.exit_code == 0, result.output
    assert " M a.txt" in result.output
    assert "+two" in result.output
    assert result.notes == ()


def test_no_command_writes_below_git(repository: Path) -> None:
    before = sorted((str(p), p.stat().st_mtime_ns) for p in (repository / ".git").rglob("*"))
    sh(
        repository,
        "echo evil > .git/hooks/pre-commit; echo evil >> .git/config; echo ../evil > .git/commondir; "
        "git config core.fsmonitor ./evil; git commit -qam x; rm -rf .git; mv .git .git2; "
        "mkdir -p evil/hooks; mount --bind evil .git; ln -sfn evil .git/hooks; chmod -R 777 .git",
    )
    assert sorted((str(p), p.stat().st_mtime_ns) for p in (repository / ".git").rglob("*")) == before
    assert git(repository, "log", "--format=%s") == "first\n"


def test_nested_repositories_and_git_files_are_protected_too(repository: Path) -> None:
    (repository / "sub").mkdir()
    git(repository / "sub", "init", "-q")
    (repository / "tree").mkdir()
    (repository / "tree" / ".git").write_text("gitdir: ../.git/worktrees/tree\n")
    sh(
        repository,
        "echo evil > sub/.git/hooks/pre-commit; echo 'gitdir: ../evil' > tree/.git; mv sub/.git x; rm tree/.git",
    )
    assert "pre-commit" not in os.listdir(repository / "sub" / ".git" / "hooks")
    assert (repository / "tree" / ".git").read_text() == "gitdir: ../.git/worktrees/tree\n"


def test_a_repository_made_by_a_command_is_set_aside(workspace: Path, tmp_path: Path) -> None:
    (workspace / "old").mkdir()
    trap = tmp_path / "trapped"
    result = sh(
        workspace,
        "git init -q . && git init -q old && git init -q deep/er && "
        f"for d in . old deep/er; do git -C $d config core.fsmonitor 'touch {trap};:'; done",
    )
    assert result.exit_code == 0, result.output
    assert len(result.notes) == 3
    assert "review its config and hooks first" in result.notes[0]
    assert not list(workspace.rglob(".git"))
    assert (workspace / ".git-from-sandbox" / "config").exists()
    sh(workspace, "git init -q .")
    assert (workspace / ".git-from-sandbox-2" / "config").exists()
    for folder in (".", "old", "deep/er"):
        with pytest.raises(subprocess.CalledProcessError):
            git(workspace / folder, "--git-dir", ".git", "status")
    assert not trap.exists()


def test_moving_a_repository_away_with_its_folder_does_not_help(workspace: Path) -> None:
    (workspace / "sub").mkdir()
    git(workspace / "sub", "init", "-q")
    sh(workspace, "mv sub gone; mkdir -p sub; git init -q sub; echo evil > sub/.git/hooks/pre-commit")
    for hooks in workspace.rglob(".git/hooks"):
        assert "pre-commit" not in os.listdir(hooks)


def test_a_repository_left_by_a_killed_command_is_set_aside_too(workspace: Path, home: Path) -> None:
    (workspace / "mine").mkdir()
    git(workspace / "mine", "init", "-q")
    prepared = recovery.prepare(workspace, home)
    git(workspace, "init", "-q")  # as the command did before its owner was killed
    settled = recovery.reconcile(workspace, ToolContext("r", "k", workspace, home, prepared))
    assert isinstance(settled, Unknown)
    assert "+.git-from-sandbox" in settled.reason
    assert (workspace / "mine" / ".git").exists()
    assert not (workspace / ".git").exists()
