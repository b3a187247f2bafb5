"""`git_commit` and `git_push`: branches of the run only, once only, and where a person was shown that it goes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from git_project import fill, git, make

from mainspring.code.git import CodeRecord, Repository, WorkingCopy, git_tools, load, record
from mainspring.errors import ToolError
from mainspring.tool import DidNotHappen, Happened, ToolContext, Unknown

COMMIT, PUSH = git_tools()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = make(tmp_path / "project", {"a.txt": "one\n", "b.txt": "b\n"})
    git(tmp_path, "init", "-q", "--bare", "remote.git")
    git(folder, "remote", "add", "origin", tmp_path / "remote.git")
    fill(folder, {"b.txt": "not committed\n"})
    return folder


@pytest.fixture
def made(project: Path, home: Path) -> CodeRecord:
    made = record(home, "20260101-run", WorkingCopy.make(Repository.find(project), home, "20260101-run"))
    fill(made.path, {"a.txt": "two\n"})
    return made


@pytest.fixture
def context(home: Path, made: CodeRecord) -> ToolContext:
    return ToolContext("20260101-run", "key-1", made.path, home, principal=("ann", "code"))


def test_what_they_declare() -> None:
    assert (COMMIT.effect, COMMIT.undoable, COMMIT.consequential, COMMIT.authority) == (
        "write",
        True,
        False,
        ("branch",),
    )
    assert (PUSH.effect, PUSH.outside, PUSH.consequential, PUSH.authority) == (
        "irreversible", True, True, ("remote", "branch")
    )  # fmt: skip
    assert (COMMIT.settlement, PUSH.settlement) == ("reconcile", "reconcile")


def test_a_commit_is_a_new_branch_by_whom_it_is_for(project: Path, context: ToolContext) -> None:
    done = COMMIT.function("Mend it", context)
    assert done["branch"] == "mainspring/20260101-run"
    shown = git(project, "log", "-1", "--format=%an <%ae>%n%B", done["branch"])
    assert shown.startswith("Mainspring on behalf of ann <mainspring@localhost>\nMend it\n")
    assert "Mainspring-Key: key-1\n" in shown
    assert git(project, "diff", "--name-only", "main", done["branch"]) == "a.txt\n"
    assert git(project, "status", "--porcelain") == " M b.txt\n"
    assert git(project, "symbolic-ref", "HEAD") == "refs/heads/main\n"


def test_a_second_commit_follows_the_first(project: Path, context: ToolContext, made: CodeRecord) -> None:
    first = COMMIT.function("One", context)
    fill(made.path, {"c.txt": "c\n"})
    second = COMMIT.function("Two", replace(context, key="key-2"))
    assert second["branch"] == first["branch"]
    assert git(project, "log", "--format=%s", f"main..{first['branch']}") == "Two\nOne\n"
    assert git(project, "diff", "--name-only", "main", first["branch"]) == "a.txt\nc.txt\n"


def test_a_branch_of_somebody_else_is_refused(project: Path, context: ToolContext) -> None:
    git(project, "branch", "mainspring/taken")
    with pytest.raises(ToolError, match="did not make"):
        COMMIT.function("x", context, "taken")
    COMMIT.function("x", context, "mine")
    git(project, "branch", "-f", "mainspring/mine", "main")
    with pytest.raises(ToolError, match="did not make"):
        COMMIT.function("y", replace(context, key="key-2"), "mine")
    COMMIT.function("x", context, "out")
    git(project, "stash", "-q")
    git(project, "checkout", "-q", "mainspring/out")
    with pytest.raises(ToolError, match="checked out"):
        COMMIT.function("y", replace(context, key="key-2"), "out")


def test_nothing_to_commit(context: ToolContext, made: CodeRecord) -> None:
    made.copy.reset()
    with pytest.raises(ToolError, match="nothing to commit"):
        COMMIT.function("x", context)


@pytest.mark.parametrize("point", ["before the branch moved", "after the branch moved"])
def test_a_commit_after_a_crash(
    project: Path, context: ToolContext, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mainspring.code.git import tools

    context = replace(context, prepared=asyncio.run(COMMIT.run_prepare({"message": "x"}, context)))
    move = tools.move_branch

    def dying(*given: str) -> None:
        if point == "after the branch moved":
            move(*given)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(tools, "move_branch", dying)
    with pytest.raises(KeyboardInterrupt):
        COMMIT.function("x", context)
    monkeypatch.undo()
    settled = asyncio.run(COMMIT.run_reconcile({"message": "x"}, context))
    if point == "after the branch moved":
        assert isinstance(settled, Happened)
        assert git(project, "rev-parse", settled.value["branch"]).startswith(settled.value["commit"])
    else:
        assert settled == DidNotHappen()
        COMMIT.function("x", context)
    assert git(project, "rev-list", "--count", "main..mainspring/20260101-run") == "1\n"


def test_a_push_goes_where_it_was_said_and_only_there(project: Path, context: ToolContext, tmp_path: Path) -> None:
    done = COMMIT.function("Mend it", context)
    url = str(tmp_path / "remote.git")
    assert done["remotes"] == {"origin": url}
    call = {"remote": "origin", "branch": done["branch"], "url": url, "commit": done["commit"]}
    context = replace(context, prepared=asyncio.run(PUSH.run_prepare(call, context)))
    assert asyncio.run(PUSH.run_reconcile(call, context)) == DidNotHappen()
    assert PUSH.function(**call, context=context) == f"pushed {done['branch']} at {done['commit']} to {url}"
    assert git(tmp_path / "remote.git", "for-each-ref", "--format=%(refname)") == f"refs/heads/{done['branch']}\n"
    assert isinstance(asyncio.run(PUSH.run_reconcile(call, context)), Happened)
    assert "not committed" not in git(tmp_path / "remote.git", "show", f"{done['branch']}:b.txt")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"remote": "upstream"}, "no remote"),
        ({"remote": "--upload-pack=touch trap"}, "no remote"),
        ({"url": "https://evil.example/x"}, "leads to"),
        ({"branch": "main"}, "only branches that git_commit made"),
        ({"branch": "mainspring/other"}, "only branches that git_commit made"),
        ({"branch": "-f"}, "cannot name a branch"),
        ({"branch": "+mainspring/20260101-run"}, "cannot name a branch"),
        ({"branch": "mainspring/20260101-run:refs/heads/main"}, "cannot name a branch"),
        ({"commit": "0" * 12}, "is at commit"),
        ({"commit": ""}, "is at commit"),
    ],
)
def test_pushes_that_are_refused(
    project: Path, context: ToolContext, tmp_path: Path, wrong: dict[str, str], reason: str
) -> None:
    git(project, "branch", "mainspring/other")
    done = COMMIT.function("Mend it", context)
    url = str(tmp_path / "remote.git")
    call = {"remote": "origin", "branch": done["branch"], "url": url, "commit": done["commit"]} | wrong
    with pytest.raises(ToolError, match=reason):
        PUSH.function(**call, context=context)
    assert git(tmp_path / "remote.git", "for-each-ref") == ""


def test_a_push_never_forces(project: Path, context: ToolContext, tmp_path: Path) -> None:
    done = COMMIT.function("Mend it", context)
    other = make(tmp_path / "other", {"x": "x\n"})
    git(other, "push", "-q", tmp_path / "remote.git", f"main:refs/heads/{done['branch']}")
    theirs = git(tmp_path / "remote.git", "rev-parse", done["branch"])
    url = str(tmp_path / "remote.git")
    with pytest.raises(ToolError, match="did not take"):
        PUSH.function("origin", done["branch"], url, done["commit"], context)
    assert git(tmp_path / "remote.git", "rev-parse", done["branch"]) == theirs


def test_a_remote_that_cannot_be_asked_leaves_it_unknown(project: Path, context: ToolContext, tmp_path: Path) -> None:
    done = COMMIT.function("Mend it", context)
    (tmp_path / "remote.git").rename(tmp_path / "away.git")
    call = {"remote": "origin", "branch": done["branch"], "url": str(tmp_path / "remote.git"), "commit": done["commit"]}
    assert isinstance(asyncio.run(PUSH.run_reconcile(call, context)), Unknown)


def test_a_password_in_an_address_is_not_shown(project: Path, context: ToolContext) -> None:
    git(project, "remote", "set-url", "origin", "https://ann:hunter2@example.com/x.git")
    done = COMMIT.function("Mend it", context)
    assert done["remotes"] == {"origin": "https://example.com/x.git"}
    prepared = asyncio.run(
        PUSH.run_prepare(
            {
                "remote": "origin",
                "branch": done["branch"],
                "url": "https://example.com/x.git",
                "commit": done["commit"],
            },
            context,
        )
    )
    assert prepared is not None
    assert "hunter2" not in str(prepared)
    with pytest.raises(ToolError) as refused:
        PUSH.function("origin", done["branch"], "https://evil.example", done["commit"], context)
    assert "hunter2" not in str(refused.value)


def test_branches_are_noted_in_the_record(context: ToolContext, home: Path) -> None:
    done = COMMIT.function("Mend it", context)
    [(name, commit)] = load(home, "20260101-run").branches.items()
    assert (name, commit[:12]) == (done["branch"], done["commit"])
