"""Finds the git repository of a folder, and refuses what cannot be worked on, with a clear reason."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mainspring.code.git.command import Git, said
from mainspring.errors import ToolError
from mainspring.tools.names import printable

_UNFINISHED = {
    "MERGE_HEAD": "merge",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
}
_NAMED = 10


@dataclass(frozen=True)
class Repository:
    """A git repository with a work tree; :meth:`find` makes it.

    Args:
        top: the uppermost folder of its files, links resolved.
        git_dir: its git folder; of a linked work tree, that tree's own.
        common: the git folder of all its work trees.
        algorithm: of its objects, ``"sha1"`` or ``"sha256"``.
        head: the commit that is checked out, or "" when there is none yet.
        branch: the branch that is checked out, or "".
        shallow: its history was cut off when it was cloned.
        submodules: paths of submodules, which are left as they are.
    """

    top: Path
    git_dir: Path
    common: Path
    algorithm: str = "sha1"
    head: str = ""
    branch: str = ""
    shallow: bool = False
    submodules: tuple[str, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        return str(self.top)

    @classmethod
    def find(cls, path: str | os.PathLike[str]) -> Repository:
        """The repository that a folder belongs to.

        Raises:
            ToolError: there is none, or it is bare, belongs to somebody else, has an unfinished merge, names another
                folder as its own; or git is not installed.
        """
        folder = Path(os.path.realpath(path))
        if not folder.is_dir():
            raise ToolError(f"{printable(str(folder))} is no folder; name a folder of a git repository")
        git = Git(None, folder)
        done = git.result("rev-parse", "--absolute-git-dir", "--git-common-dir", "--is-bare-repository")
        if done.returncode:
            raise ToolError(_why(folder, done.stderr))
        *folders, bare = done.stdout.decode("utf-8", "surrogateescape").rstrip("\n").split("\n")
        if bare == "true" or len(folders) != 2:
            raise ToolError(f"{printable(str(folder))} is a bare repository, without files; name a clone that has them")
        done = git.result("rev-parse", "--show-toplevel")
        if done.returncode:
            raise ToolError(f"{printable(str(folder))} is inside a repository's git folder; name the folder above it")
        top = Path(os.path.realpath(done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")))
        git_dir, common = (Path(os.path.realpath(folder / name)) for name in folders)
        _check_place(folder, top, git_dir, common)
        found = cls(top, git_dir, common)
        own = found.git
        algorithm = own.text("rev-parse", "--show-object-format")
        head = own.text("rev-parse", "--verify", "-q", "HEAD^{commit}", ok=(0, 1))
        branch = own.text("symbolic-ref", "-q", "HEAD", ok=(0, 1)).removeprefix("refs/heads/")
        staged = own.run("ls-files", "-s", "-z").split(b"\0")
        modules = tuple(os.fsdecode(line.partition(b"\t")[2]) for line in staged if line.startswith(b"160000 "))
        shallow = (common / "shallow").is_file()
        made = cls(top, git_dir, common, algorithm, head, branch, shallow, modules)
        made._check_finished()
        return made

    @property
    def git(self) -> Git:
        """For calls that look at the repository or write a reference; none of them runs what its settings name."""
        return Git(self.git_dir, self.top, self.top)

    @property
    def objects(self) -> Path:
        """The folder of its objects."""
        return self.common / "objects"

    @property
    def filemode(self) -> bool:
        """Whether the file system knows which files may be run."""
        return self.git.text("config", "--type=bool", "--default", "true", "core.filemode", ok=(0, 1)) != "false"

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of it."""
        found = []
        if self.shallow:
            found.append("its history is shallow: what lies before is not seen")
        if self.submodules:
            found.append(f"submodules are left as they are and are empty in the copy: {_listed(self.submodules)}")
        if (self.objects / "info" / "alternates").exists():
            found.append("some of its objects lie in another repository, which commands in the sandbox do not see")
        return tuple(found)

    def snapshot(self, folder: Path, progress: Callable[[str], None] = lambda line: None) -> Snapshot:
        """What is in the person's files now, as a commit in a store of our own.

        It holds what is checked out, uncommitted changes, and new files that are not ignored, byte for byte. Nothing
        of the repository is touched: no file, no index, no reference, no object.

        Args:
            folder: where the store is made; must not exist.
            progress: receives a line when it takes long.

        Raises:
            ToolError: it cannot be made.
        """
        from mainspring.code.git.snapshot import take

        return take(self, folder, progress)

    def _check_finished(self) -> None:
        unmerged = self.git.run("ls-files", "-u", "-z").split(b"\0")
        paths = dict.fromkeys(os.fsdecode(line.partition(b"\t")[2]) for line in unmerged if line)
        under_way = next((what for name, what in _UNFINISHED.items() if (self.git_dir / name).exists()), None)
        if not paths and under_way is None:
            return
        what = f"an unfinished {under_way}" if under_way else "unmerged files"
        files = f" with conflicts in {_listed(tuple(paths))}" if paths else ""
        raise ToolError(f"{printable(str(self.top))} has {what}{files}; finish it or abort it first, then try again")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state of a repository's files.

    Args:
        commit: its commit, whose parent is what was checked out.
        tree: that commit's tree.
        base: the commit that was checked out, or "".
        store: the git folder that holds it.
        left_out: what was not taken, and why.
    """

    commit: str
    tree: str
    base: str
    store: Path
    left_out: tuple[str, ...] = ()


def _check_place(folder: Path, top: Path, git_dir: Path, common: Path) -> None:
    """Refuse settings and links by which a folder from strangers could pass another one off as its own."""
    shown = printable(str(top))
    entry = top / ".git"
    if not folder.is_relative_to(top):
        raise ToolError(f"the repository of {printable(str(folder))} says that its files lie in {shown}; work there")
    if entry.is_symlink():
        raise ToolError(f"{shown}/.git is a link; make it a folder or a file (git worktree, --separate-git-dir)")
    if entry.is_dir():
        if entry != git_dir or common != git_dir:
            raise ToolError(f"{shown}/.git leads to another repository, {printable(str(common))}; work there")
    elif not entry.is_file():
        raise ToolError(f"{shown} has no .git, though a repository's settings name it (core.worktree); work elsewhere")
    elif common != git_dir:
        _check_linked(shown, entry, git_dir, common)
    elif not _names_tree(git_dir, top):
        raise ToolError(
            f"{shown}/.git leads to {printable(str(git_dir))}, which does not name {shown} as its files; if it is "
            f"yours, say so: git -C {shown} config core.worktree {shown}"
        )
    objects = common / "objects"
    if Path(os.path.realpath(objects)) != objects:
        raise ToolError(f"{printable(str(objects))} is a link; a repository's objects must lie in its own folder")


def _check_linked(shown: str, entry: Path, git_dir: Path, common: Path) -> None:
    """A work tree made by `git worktree add` is named in the repository that it belongs to."""
    try:
        back = os.path.realpath(git_dir / (git_dir / "gitdir").read_text("utf-8", "surrogateescape").strip())
    except OSError:
        back = ""
    if back != str(entry) or git_dir.parent != common / "worktrees":
        raise ToolError(
            f"{shown}/.git says that it is a work tree of {printable(str(common))}, which does not know it; "
            "if you moved it, run `git worktree repair` there"
        )


def _names_tree(git_dir: Path, top: Path) -> bool:
    named = Git(git_dir, git_dir).text("config", "--local", "core.worktree", ok=(0, 1))
    return bool(named) and Path(os.path.realpath(git_dir / named)) == top


def _why(folder: Path, stderr: bytes) -> str:
    text, shown = stderr.decode("utf-8", "replace"), printable(str(folder))
    if "dubious ownership" in text:
        return (
            f"the repository of {shown} belongs to another user, so git does not trust it; if you do, run: "
            f"git config --global --add safe.directory {shown}"
        )
    if "not a git repository" in text and "invalid gitfile" not in text:
        return f"{shown} is no git repository; run `git init` there first"
    return f"the repository of {shown} cannot be used: {said(stderr)}"


def _listed(paths: tuple[str, ...]) -> str:
    names = ", ".join(printable(path) for path in paths[:_NAMED])
    return names + (f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else "")
