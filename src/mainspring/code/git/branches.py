"""Commits a patch on a new branch of a repository, without touching its files, its index or what is checked out."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mainspring.code.git.applying import ConflictError
from mainspring.code.git.changes import states
from mainspring.code.git.command import Git
from mainspring.code.git.files import FILE, LINK, MODULE, State, parts_of
from mainspring.code.git.merging import Conflict, merge
from mainspring.code.git.repository import Repository
from mainspring.code.git.store import make_store
from mainspring.code.patch import FileChange, Patch
from mainspring.errors import ToolError
from mainspring.tools.names import printable
from mainspring.tools.protected import protected

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+/-]{0,199}\Z")


@dataclass(frozen=True, slots=True)
class Person:
    """Who a commit is by."""

    name: str
    email: str


def make_branch(
    repository: Repository,
    patch: Patch,
    name: str,
    message: str,
    *,
    include_uncommitted: bool = False,
    author: Person | None = None,
) -> str:
    """Commit a patch on top of what is checked out, as a new branch.

    A file that had uncommitted changes when the patch was begun is joined with the committed one where the patch
    changes other lines.

    Args:
        repository: where.
        patch: what to commit.
        name: of the branch, such as ``"fix-paging"``; must not exist.
        message: of the commit.
        include_uncommitted: where the patch builds on uncommitted changes of a file, commit these as well.
        author: default the repository's own user.

    Returns:
        The commit.

    Raises:
        ConflictError: the patch builds on uncommitted changes, with the files.
        ToolError: the name is unfit or taken, the patch is empty, or git cannot write.
    """
    check_branch(repository, name)
    head = repository.git.text("rev-parse", "--verify", "-q", "HEAD^{commit}", ok=(0, 1))
    commit = commit_patch(
        repository, patch, head, message, author or owner(repository), include_uncommitted=include_uncommitted
    )
    move_branch(repository, name, commit, "")
    return commit


def commit_patch(
    repository: Repository,
    patch: Patch,
    parent: str,
    message: str,
    author: Person,
    *,
    base: str | None = None,
    include_uncommitted: bool = False,
) -> str:
    """Write a commit that no branch names yet.

    Args:
        repository: where.
        patch: what it changes.
        parent: its parent, or "".
        message: its message.
        author: of the commit, and who makes it.
        base: the commit whose files the patch is put on; default the parent.
        include_uncommitted: see :func:`make_branch`.

    Raises:
        ConflictError, ToolError: as :func:`make_branch`.
    """
    if not patch:
        raise ToolError("there is nothing to commit: no file was changed")
    if not message.strip() or "\0" in message:
        raise ToolError("a commit needs a message")
    base = parent if base is None else base
    with tempfile.TemporaryDirectory(prefix="mainspring-commit-") as made:
        writer = _Writer(repository, Path(made), base)
        lines = writer.lines(patch, include_uncommitted)
        git = writer.git
        git.run("update-index", "-z", "--replace", "--index-info", given=b"\0".join(lines) + b"\0")
        tree = git.text("write-tree")
        identity = {
            f"GIT_{who}_{what}": value
            for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", author.name), ("EMAIL", author.email))
        }
        parents = ["-p", parent] if parent else []
        signed = replace(git, more=identity)
        return signed.text("commit-tree", tree, *parents, given=message.strip().encode("utf-8", "replace") + b"\n")


def check_branch(repository: Repository, name: str) -> None:
    """Whether a new branch may have this name. Raises ToolError."""
    check_name(repository, name)
    git = repository.git
    if git.result("rev-parse", "--verify", "-q", f"refs/heads/{name}").returncode == 0:
        raise ToolError(f"there is a branch {name} already; choose another name")
    if name in checked_out(repository):
        raise ToolError(f"branch {name} is checked out; choose another name")


def check_name(repository: Repository, name: str) -> None:
    """Whether this can name a branch at all. Raises ToolError."""
    fits = _NAME.match(name) and not name.startswith(("refs/", "HEAD")) and not name.endswith(("/", "."))
    if not fits or repository.git.result("check-ref-format", f"refs/heads/{name}").returncode:
        raise ToolError(f"{printable(name)!r} cannot name a branch; use letters, digits, '-', '_', '.' and '/'")


def checked_out(repository: Repository) -> set[str]:
    """The branches that are checked out in any work tree of a repository."""
    listed = repository.git.text("worktree", "list", "--porcelain").splitlines()
    found = {line.removeprefix("branch refs/heads/") for line in listed if line.startswith("branch ")}
    return found | {repository.git.text("symbolic-ref", "-q", "HEAD", ok=(0, 1)).removeprefix("refs/heads/")} - {""}


def move_branch(repository: Repository, name: str, commit: str, before: str) -> None:
    """Let a branch name a commit, if it is where it should be. Raises ToolError.

    Args:
        before: the commit that it must name now; "" when it must not exist.
    """
    zero = "0" * len(commit)
    repository.git.run("update-ref", "--no-deref", f"refs/heads/{name}", commit, before or zero)


def remove_branch(repository: Repository, name: str, commit: str) -> None:
    """Delete a branch that still is at a commit.

    Raises:
        ToolError: it is elsewhere, gone, or checked out.
    """
    if name in checked_out(repository):
        raise ToolError(f"branch {name} is checked out; it is not deleted")
    if repository.git.text("rev-parse", "--verify", "-q", f"refs/heads/{name}", ok=(0, 1)) != commit:
        raise ToolError(f"branch {name} is gone, or was moved since; it is not deleted")
    repository.git.run("update-ref", "--no-deref", "-d", f"refs/heads/{name}", commit)


def owner(repository: Repository) -> Person:
    """The user that the repository's settings name."""
    name, email = (repository.git.text("config", f"user.{what}", ok=(0, 1)) for what in ("name", "email"))
    return Person(name or "Mainspring", email or "mainspring@localhost")


class _Writer:
    """Turns files as they lie on disk into what git stores of them, as the user's settings and the attributes say.

    Programs that attributes ask for run only when the user's global settings name them.
    """

    def __init__(self, repository: Repository, folder: Path, base: str) -> None:
        store = folder / "git"
        make_store(
            store,
            repository.git,
            repository.common,
            algorithm=repository.algorithm,
            objects=[],
            converting=True,
        )
        self.repository = repository
        self.bits = repository.filemode
        self.git = Git(store, repository.top, repository.top, folder / "index", repository.objects)
        self.git.run("read-tree", *([base] if base else ["--empty"]))
        self.zero = "0" * (40 if repository.algorithm == "sha1" else 64)

    def lines(self, patch: Patch, include_uncommitted: bool) -> list[bytes]:
        """For `git update-index --index-info`. Raises ConflictError, ToolError."""
        self._check_filters(patch.paths)
        there = self._entries()
        gone, come, conflicts = [], [], []
        for change in patch.changes:
            parts_of(change.path)
            if (why := protected(change.path, self.repository.top)) is not None:
                raise ToolError(f"{printable(change.path)} is not committed: {why}; change it by hand")
            found = self._after(change, there.get(change.path), include_uncommitted)
            if isinstance(found, Conflict):
                conflicts.append(found)
            elif found is None:
                gone.append(f"0 {self.zero}\t".encode() + os.fsencode(change.path))
            else:
                name = self._stored(change.path, found, write=True)
                come.append(f"{found.mode} {name}\t".encode() + os.fsencode(change.path))
        if conflicts:
            shown = "\n".join(f"  {conflict.text()}" for conflict in conflicts[:12])
            raise ConflictError(
                "the patch builds on changes that are not committed; commit them first, or include them "
                f"(include_uncommitted=True, --include-uncommitted):\n{shown}",
                tuple(conflicts),
            )
        return gone + come

    def _after(
        self, change: FileChange, entry: tuple[str, str] | None, include_uncommitted: bool
    ) -> State | Conflict | None:
        before, after = states(change)
        if self._matches(change.path, before, entry) or include_uncommitted:
            return self._moded(after, entry)
        now = None if entry is None else self._on_disk(change.path, *entry)
        if now is None and before is not None:
            return Conflict(change.path, (), "it is not committed")
        found = merge(change.path, before, after, now)
        if isinstance(found, Conflict):
            return Conflict(change.path, (), "it had uncommitted changes in the same lines, or was committed since")
        return self._moded(found, entry)

    def _moded(self, state: State | None, entry: tuple[str, str] | None) -> State | None:
        if state is None or self.bits or state.mode == LINK:
            return state
        return State(entry[0] if entry is not None and entry[0] != LINK else FILE, state.data)

    def _matches(self, path: str, state: State | None, entry: tuple[str, str] | None) -> bool:
        if state is None or entry is None:
            return state is None and entry is None
        same = entry[0] == state.mode or (not self.bits and LINK not in (entry[0], state.mode))
        return same and self._stored(path, state) == entry[1]

    def _stored(self, path: str, state: State, write: bool = False) -> str:
        how = "--no-filters" if state.mode == LINK else f"--path={path}"
        return self.git.text("hash-object", *(["-w"] if write else []), "--stdin", how, given=state.data)

    def _on_disk(self, path: str, mode: str, name: str) -> State:
        if mode == MODULE:
            raise ToolError(f"{printable(path)} is a submodule; no patch can change it")
        if mode == LINK:
            return State(mode, self.git.run("cat-file", "blob", name))
        return State(mode, self.git.run("cat-file", "--filters", f"--path={path}", name))

    def _entries(self) -> dict[str, tuple[str, str]]:
        found = {}
        for line in self.git.run("ls-files", "-s", "-z").split(b"\0"):
            head, _, path = line.partition(b"\t")
            if path:
                mode, name, _ = head.decode().split(" ")
                found[os.fsdecode(path)] = (mode, name)
        return found

    def _check_filters(self, paths: Sequence[str]) -> None:
        """Refuse what only a program could store rightly that the user's global settings do not name."""
        given = b"".join(os.fsencode(path) + b"\0" for path in paths)
        fields = self.git.run("check-attr", "-z", "--stdin", "filter", given=given).split(b"\0")
        wanted: Mapping[str, str] = {
            os.fsdecode(fields[at + 2]): os.fsdecode(fields[at]) for at in range(0, len(fields) - 2, 3)
        }
        for driver, path in wanted.items():
            if driver in ("unspecified", "unset", "set"):
                continue
            named = [self.git.result("config", f"filter.{driver}.{what}").returncode for what in ("clean", "process")]
            if all(named):
                raise ToolError(
                    f"{printable(path)} is stored through the filter {printable(driver)!r}, which your global git "
                    "settings do not name (a program that only the repository names is never run); set it up with "
                    "git config --global, or apply the patch to your files and commit it yourself"
                )
