"""Files that run or instruct later: no tool writes them, and what a command makes of them is set aside."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from mainspring.errors import ToolError
from mainspring.tool import ToolContext, Unknown
from mainspring.tools import aside, editing, recovery
from mainspring.tools.protected import PROTECTED, protected
from mainspring.tools.sandbox import CommandResult, Sandbox


def sh(workspace: Path, command: str, **options: Path) -> CommandResult:
    return Sandbox(workspace, **options).run(["bash", "-c", command])


def edit(workspace: Path, path: str, old: str = "", new: str = "evil") -> None:
    change = editing.plan(workspace, None, path, old, new)
    editing.apply(workspace, None, change)


LATER = [
    ".git/hooks/pre-commit", ".git/config", ".gitmodules", ".githooks/pre-push", ".husky/pre-commit",
    ".pre-commit-config.yaml", ".envrc", "sub/.envrc", ".bashrc", ".profile", ".vimrc", ".gdbinit",
    ".vscode/tasks.json", ".vscode/settings.json", "a.code-workspace", ".idea/workspace.xml",
    ".devcontainer/devcontainer.json", ".config/systemd/user/x.service", ".config/autostart/x.desktop", "cron.d/x",
    ".ssh/authorized_keys", ".npmrc", ".netrc", ".mcp.json", ".mainspring/journal.db", ".mainspring.toml",
    "mainspring.toml", "AGENTS.md", "docs/AGENTS.md", "agents.md", "CLAUDE.md", "skills/x/SKILL.md",
    ".cursor/rules/a.mdc", ".claude/settings.json", ".github/copilot-instructions.md",
]  # fmt: skip


def test_names() -> None:
    here = Path("/project")
    for path in LATER:
        assert protected(path, here), path
        assert protected(here / path, here), path
        assert protected(path.upper(), here), path
        assert protected(f"x/../{path}", here), path
    for path in (
        "Makefile", "package.json", "pyproject.toml", "conftest.py", ".github/workflows/ci.yml", "README.md", "git/x",
        ".gitignore", "vscode/tasks.json", ".config/app.toml", "systemd/x", "agents.py", "my-mainspring.toml", ".",
        ".mainspring-0123456789abcdef.tmp",
    ):  # fmt: skip
        assert protected(path, here) is None, path
    assert protected("a.py", "/home/ann/.vscode/project") is None, "what lies above the workspace does not matter"
    assert all(PROTECTED.values())


@pytest.mark.parametrize("path", LATER)
def test_the_editing_tool_writes_none_of_them(workspace: Path, path: str) -> None:
    with pytest.raises(ToolError, match=r"is not writable|nothing below \.git"):
        edit(workspace, path)
    target = workspace / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("mine")
    with pytest.raises(ToolError, match=r"is not writable|nothing below \.git"):
        edit(workspace, path, "mine", "evil")
    assert target.read_text() == "mine"


def test_links_do_not_help_the_editing_tool(workspace: Path) -> None:
    (workspace / "AGENTS.md").write_text("mine")
    (workspace / "innocent.md").symlink_to("AGENTS.md")
    (workspace / ".vscode").mkdir()
    (workspace / "settings").symlink_to(".vscode")
    (workspace / "docs").mkdir()
    (workspace / "docs" / "rules.md").write_text("mine")
    (workspace / "CLAUDE.md").symlink_to("docs/rules.md")
    for path in ("innocent.md", "CLAUDE.md", "docs/rules.md", "docs/../docs/rules.md"):
        with pytest.raises(ToolError, match=r"is not writable|is not accessible: it is what a protected link leads to"):
            edit(workspace, path, "mine", "evil")
    with pytest.raises(ToolError, match="is not writable"):
        edit(workspace, "settings/tasks.json")
    assert (workspace / "docs" / "rules.md").read_text() == "mine"
    assert os.listdir(workspace / ".vscode") == []


def test_a_folder_that_git_takes_for_hooks_is_one(workspace: Path) -> None:
    subprocess.run(["git", "init", "-q", workspace], check=True)
    (workspace / "tools" / "hooks").mkdir(parents=True)
    subprocess.run(["git", "-C", workspace, "config", "core.hooksPath", "tools/hooks"], check=True)
    with pytest.raises(ToolError, match="is not writable"):
        edit(workspace, "tools/hooks/pre-commit")
    sh(workspace, "echo evil > tools/hooks/pre-commit; rm -r tools; mv tools/hooks x; mkdir -p tools/hooks")
    assert os.listdir(workspace / "tools" / "hooks") == []
    edit(workspace, "tools/other")


def test_no_command_changes_what_is_there(workspace: Path) -> None:
    for path in LATER:
        target = workspace / path
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text("mine")
    kept = {path: (workspace / path).read_text() for path in LATER}
    result = sh(
        workspace,
        "shopt -s globstar dotglob; for f in **; do [ -f $f ] && { echo evil > $f; sed -i s/mine/evil/ $f; rm -f $f; "
        "mv evil $f; ln -sf /tmp/x $f; chmod 777 $f; }; done; rm -rf .git .vscode .husky skills; echo through",
    )
    assert result.output.endswith("through\n")
    assert {path: (workspace / path).read_text() for path in LATER} == kept


def test_what_a_command_makes_is_set_aside_and_said(workspace: Path) -> None:
    made = [path for path in LATER if not path.startswith(".git/")]
    # Names that differ only in case are files of their own here.
    result = sh(workspace, "".join(f"mkdir -p $(dirname {p}); echo evil > {p}; " for p in made))
    assert result.exit_code == 0, result.output
    for path in made:
        assert not (workspace / path).exists(), path
    assert (workspace / "AGENTS.md-from-sandbox").read_text() == "evil\n"
    assert (workspace / ".vscode-from-sandbox" / "tasks.json").exists()
    assert len(result.notes) == 11
    assert "more such files were renamed" in result.notes[-1]
    (note,) = sh(workspace, "echo evil > AGENTS.md").notes
    assert note == (
        "AGENTS.md, made or replaced by the command, was renamed to AGENTS.md-from-sandbox-2: "
        "agents take it for instructions or settings; review it first"
    )


def test_moving_the_folder_of_a_protected_file_does_not_help(workspace: Path) -> None:
    (workspace / "pkg").mkdir()
    (workspace / "pkg" / "AGENTS.md").write_text("mine")
    result = sh(workspace, "mv pkg gone; mkdir pkg; echo evil > pkg/AGENTS.md")
    assert not (workspace / "pkg" / "AGENTS.md").exists()
    assert (workspace / "gone" / "AGENTS.md-from-sandbox").read_text() == "mine"
    assert len(result.notes) == 2


def test_a_second_name_made_beforehand_does_not_help(workspace: Path) -> None:
    """A person reviews and accepts a file; the command still holds its content under another name."""
    sh(workspace, "echo good > AGENTS.md; ln AGENTS.md second; mkdir .vscode; echo ok > .vscode/a; ln .vscode/a third")
    (workspace / "AGENTS.md-from-sandbox").rename(workspace / "AGENTS.md")
    (workspace / ".vscode-from-sandbox").rename(workspace / ".vscode")
    sh(workspace, "echo evil > second; echo evil > third")
    assert (workspace / "AGENTS.md").read_text() == "good\n"
    assert (workspace / ".vscode" / "a").read_text() == "ok\n"


def test_what_a_protected_link_leads_to_is_protected(workspace: Path) -> None:
    (workspace / "docs").mkdir()
    (workspace / "docs" / "rules.md").write_text("mine")
    (workspace / "AGENTS.md").symlink_to("docs/rules.md")
    assert sh(workspace, "echo evil > docs/rules.md").notes == ()
    assert (workspace / "AGENTS.md").read_text() == "mine"
    (note,) = sh(workspace, "mv docs x; mkdir docs; echo evil > docs/rules.md").notes
    assert "AGENTS.md" in note
    assert not os.path.lexists(workspace / "AGENTS.md")
    (note,) = sh(workspace, "echo evil > notes.md; ln -s notes.md CLAUDE.md").notes
    assert not os.path.lexists(workspace / "CLAUDE.md")


def trap(folder: str, tmp_path: Path) -> str:
    """Make a repository whose settings run a program as soon as anybody asks git anything there."""
    settings = {"core.bare": "false", "core.worktree": "..", "core.fsmonitor": f"'touch {tmp_path}/trapped;:'"}
    return f"git init -q --bare {folder}; " + "".join(
        f"git config --file {folder}/config {name} {value}; " for name, value in settings.items()
    )


def ask_git(folder: Path, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "status"], cwd=folder, env=environment, capture_output=True, check=False)


def test_a_link_named_git_is_a_repository_too(workspace: Path, tmp_path: Path) -> None:
    result = sh(workspace, trap("evil", tmp_path) + "ln -s evil .git")
    assert result.exit_code == 0, result.output
    ask_git(workspace, tmp_path)
    assert not (tmp_path / "trapped").exists()
    (workspace / ".git").symlink_to("evil")  # the same by the owner's hand: the trap is a real one
    (workspace / "evil" / "HEAD-from-sandbox").rename(workspace / "evil" / "HEAD")
    ask_git(workspace, tmp_path)
    assert (tmp_path / "trapped").exists()


def test_a_folder_laid_out_as_a_repository_is_disarmed(workspace: Path, tmp_path: Path) -> None:
    result = sh(workspace, trap("deep/evil", tmp_path))
    assert "HEAD of a git repository" in result.notes[0]
    ask_git(workspace / "deep" / "evil", tmp_path)
    assert not (tmp_path / "trapped").exists()
    head = workspace / "deep" / "evil" / "HEAD"
    head.with_name("HEAD-from-sandbox").rename(head)
    ask_git(workspace / "deep" / "evil", tmp_path)
    assert (tmp_path / "trapped").exists()


def test_an_owners_bare_repository_cannot_be_changed(workspace: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", workspace / "mine.git"], check=True)
    before = (workspace / "mine.git" / "config").read_text()
    sh(workspace, "echo evil >> mine.git/config; echo evil > mine.git/hooks/update; rm -rf mine.git")
    assert (workspace / "mine.git" / "config").read_text() == before
    assert not (workspace / "mine.git" / "hooks" / "update").exists()


def test_dependencies_keep_their_own_files(workspace: Path) -> None:
    result = sh(workspace, "mkdir -p node_modules/a; echo x > node_modules/a/.npmrc; echo x > node_modules/a/AGENTS.md")
    assert result.notes == ()
    assert sh(workspace, "git init -q node_modules/b").notes


def test_a_home_in_the_workspace_is_left_alone(workspace: Path) -> None:
    home = workspace / ".mainspring"
    home.mkdir()
    (home / "journal.db").write_text("journal")
    result = sh(workspace, "echo x > a.txt; ls -A .mainspring", home=home)
    assert (result.output, result.notes) == ("", ())
    assert (home / "journal.db").read_text() == "journal"


def test_what_a_killed_command_made_is_set_aside_on_recovery(workspace: Path, home: Path) -> None:
    (workspace / "CLAUDE.md").write_text("mine")
    prepared = recovery.prepare(workspace, home)
    (workspace / "AGENTS.md").write_text("evil")  # as the command did before its owner was killed
    settled = recovery.reconcile(workspace, ToolContext("r", "k", workspace, home, prepared))
    assert isinstance(settled, Unknown)
    assert not (workspace / "AGENTS.md").exists()
    assert (workspace / "CLAUDE.md").exists()


def test_intents_of_earlier_versions_are_still_settled(workspace: Path, home: Path) -> None:
    (workspace / ".git").mkdir()
    (workspace / "AGENTS.md").write_text("mine")
    prepared = recovery.prepare(workspace, home)
    earlier = {
        "workspace": prepared["workspace"],
        "complete": True,
        "git": {".git": os.stat(workspace / ".git").st_ino},
    }
    (workspace / "sub").mkdir()
    (workspace / "sub" / ".git").mkdir()
    recovery.reconcile(workspace, ToolContext("r", "k", workspace, home, earlier))
    assert (workspace / ".git").exists()
    assert (workspace / "AGENTS.md").exists(), "they did not record it, so nobody can say that it is new"
    assert (workspace / "sub" / ".git-from-sandbox").exists()


def test_a_pipe_for_settings_keeps_nobody_waiting(workspace: Path) -> None:
    (note,) = sh(workspace, "mkdir .git; mkfifo .git/config").notes
    assert ".git-from-sandbox" in note


def test_settings_that_git_includes_are_protected(workspace: Path) -> None:
    subprocess.run(["git", "init", "-q", workspace], check=True)
    (workspace / "shared.ini").write_text("[alias]\n")
    subprocess.run(["git", "-C", workspace, "config", "include.path", "../shared.ini"], check=True)
    with pytest.raises(ToolError, match="is not writable"):
        edit(workspace, "shared.ini", "[alias]", "[core]\n fsmonitor = evil")
    sh(workspace, "echo evil >> shared.ini; rm shared.ini")
    assert (workspace / "shared.ini").read_text() == "[alias]\n"


def test_setting_aside_follows_no_link(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between looking and renaming, another command in the same workspace swaps the folder for a link."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "AGENTS.md").write_text("theirs")
    (workspace / "d").mkdir()
    (workspace / "d" / "AGENTS.md").write_text("evil")
    found = aside.entries(workspace)
    (workspace / "d").rename(workspace / "e")
    (workspace / "d").symlink_to(outside)
    monkeypatch.setattr(aside, "entries", lambda *arguments, **options: found)
    (note,) = aside.set_aside(workspace, {})
    assert "could not be renamed" in note
    assert os.listdir(outside) == ["AGENTS.md"]
