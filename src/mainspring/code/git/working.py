"""Working copies: a folder with a snapshot of a repository, in which an agent works instead of in a person's files."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from mainspring.code.git.changes import TreePatch, states
from mainspring.code.git.command import Git
from mainspring.code.git.files import Tree
from mainspring.code.git.repository import Repository, Snapshot
from mainspring.code.git.snapshot import state_patch, telling
from mainspring.code.git.store import make_store
from mainspring.code.patch import Patch
from mainspring.errors import ToolError

Progress = Callable[[str], None]


def _quiet(line: str) -> None:
    """Progress that nobody reads."""


@dataclass(frozen=True)
class WorkingCopy:
    """A snapshot of a repository with a work tree of its own, or (in place) the person's own files.

    Args:
        repository: where it comes from.
        snapshot: the state that it began with.
        folder: what belongs to it: ``git`` (its store) and ``tree`` (its files).
        path: the files to work on.
    """

    repository: Repository
    snapshot: Snapshot
    folder: Path
    path: Path
    _lock: IO[bytes] | None = field(default=None, repr=False, compare=False)

    @classmethod
    def make(
        cls, repository: Repository, home: Path, run: str = "", progress: Progress = _quiet, *, tree: bool = True
    ) -> WorkingCopy:
        """A working copy with what is in the person's files now, uncommitted changes included.

        Several may be made of one repository, for attempts side by side. It lies in ``home/worktrees``, and nothing of
        the repository is changed by making it or by anything that is done in it.

        Args:
            repository: where it comes from.
            home: Mainspring's folder; must lie outside the repository.
            run: the run that it is for, which names it.
            progress: receives a line when it takes long.
            tree: False makes only the snapshot, and the person's own files are the ones to work on.

        Raises:
            ToolError: it cannot be made (a full disk, a name that is taken); nothing is left behind.
        """
        home = Path(os.path.realpath(home))
        if home.is_relative_to(repository.top):
            raise ToolError(
                f"Mainspring's folder {home} lies inside the repository {repository.top}; a copy there would be part "
                "of what it copies; set MAINSPRING_HOME to a folder elsewhere"
            )
        with _made(home, run or f"copy-{secrets.token_hex(6)}") as (folder, lock):
            snapshot = repository.snapshot(folder / "git", progress)
            path = repository.top
            if tree:
                path = folder / "tree"
                _check_out(folder / "git", path, snapshot.tree, progress)
            return cls(repository, snapshot, folder, path, lock)

    @classmethod
    def in_place(cls, repository: Repository, home: Path, run: str = "", progress: Progress = _quiet) -> WorkingCopy:
        """No copy: the person's own files are worked on. A snapshot of them is kept, so that there is a patch.

        Raises:
            ToolError: as :meth:`make`.
        """
        return cls.make(repository, home, run, progress, tree=False)

    @property
    def is_in_place(self) -> bool:
        """Whether it is the person's own files."""
        return self.path == self.repository.top

    @property
    def store(self) -> Path:
        """Its git folder."""
        return self.folder / "git"

    @property
    def read_only(self) -> tuple[Path, ...]:
        """Folders that a sandbox has to show, read-only, for `git status`, `diff` and `log` to work in the copy."""
        return () if self.is_in_place else (self.store, self.repository.objects)

    @property
    def python(self) -> Path | None:
        """The interpreter of the repository's own ``.venv``, which is ignored and so not in the copy; or None."""
        found = self.repository.top / ".venv" / "bin" / "python"
        return found if found.exists() else None

    def patch(self) -> TreePatch:
        """Everything that differs from the snapshot: changed, new, removed, links, modes.

        New files that are ignored, nested repositories, submodules and files over 64 MiB are not in it.

        Raises:
            ToolError: the files or the snapshot cannot be read.
        """
        return self.look()[0]

    def look(self) -> tuple[TreePatch, tuple[str, ...]]:
        """The patch, and what was left out of it and why. Raises ToolError."""
        if not self.path.is_dir() or not self.store.is_dir():
            raise ToolError(f"the working copy {self.path} is gone")
        index = self.folder / f"index-{secrets.token_hex(6)}"
        try:
            shutil.copy2(self.store / "index", index)
            git = Git(self.store, self.path, self.path, index)
            return state_patch(git, self.repository, self.store, self.snapshot.tree)
        except OSError as error:
            raise ToolError(f"the working copy {self.path} cannot be looked at: {error.strerror}") from None
        finally:
            index.unlink(missing_ok=True)

    def reset(self) -> None:
        """Make the files what they were in the snapshot; everything else goes, ignored files too.

        Raises:
            ToolError: it is the person's own files, or they cannot be written.
        """
        if self.is_in_place:
            raise ToolError("these are your own files; take changes back with `mainspring code undo`")
        _delete(self.path)
        (self.store / "index").unlink(missing_ok=True)
        _check_out(self.store, self.path, self.snapshot.tree, _quiet)

    def remove(self) -> None:
        """Delete it. The person's files and repository are not touched."""
        _delete(self.folder)

    @contextlib.contextmanager
    def fresh(self, home: Path, patch: Patch) -> Iterator[WorkingCopy]:
        """A new copy of the snapshot with a patch applied, gone at the end of the block.

        Raises:
            ToolError: it cannot be made.
        """
        name = f"{self.folder.name}~{secrets.token_hex(4)}"
        with _made(Path(os.path.realpath(home)), name) as (folder, lock):
            source = Git(self.store, self.store)
            make_store(
                folder / "git",
                source,
                self.store,
                algorithm=self.repository.algorithm,
                objects=[self.store / "objects"],
            )
            (folder / "git" / "HEAD").write_text(self.snapshot.commit + "\n")
            copy = WorkingCopy(self.repository, self.snapshot, folder, folder / "tree", lock)
            _check_out(copy.store, copy.path, self.snapshot.tree, _quiet)
            files = Tree(copy.path)
            for change in sorted(patch.changes, key=lambda c: c.after is not None):  # what goes makes room first
                _, after = states(change, files.read(change.path))
                files.put(change.path, after, f".mainspring-{secrets.token_hex(8)}.tmp")
        try:
            yield copy
        finally:
            copy.remove()

    @staticmethod
    def sweep(home: Path) -> list[str]:
        """Delete what crashes left: copies half made, and those that no run's record names.

        Returns:
            The names of what was deleted.
        """
        removed = []
        for folder in sorted(_root(Path(os.path.realpath(home))).glob("*")):
            if not folder.is_dir() or folder.is_symlink():
                continue
            lock = _locked(folder)
            if lock is None:
                continue  # a living process works with it
            with lock:
                recorded = (home / "code" / f"{folder.name}.json").exists()
                if not (folder / "ready").exists() or not recorded:
                    _delete(folder)
                    removed.append(folder.name)
        return removed


def _root(home: Path) -> Path:
    return home / "worktrees"


@contextlib.contextmanager
def _made(home: Path, name: str) -> Iterator[tuple[Path, IO[bytes]]]:
    """A new folder for a copy, marked ready at the end of the block; deleted when the block fails."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,150}", name):
        raise ToolError(f"{name!r} cannot name a working copy; use letters, digits, '.', '_' and '-'")
    folder = _root(home) / name
    try:
        _root(home).mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
    except FileExistsError:
        raise ToolError(f"there is a working copy {name!r} already; remove it first, or use another name") from None
    except OSError as error:
        raise ToolError(f"a working copy cannot be made in {_root(home)}: {error.strerror}") from None
    lock = _locked(folder)
    try:
        if lock is None:
            raise ToolError(f"the working copy {name!r} is being cleared away; try again")
        yield folder, lock
        (folder / "ready").touch()
    except BaseException as error:
        _delete(folder)
        if lock is not None:
            lock.close()
        if isinstance(error, OSError):
            raise ToolError(f"a working copy cannot be made in {_root(home)}: {error.strerror}") from None
        raise


def _locked(folder: Path) -> IO[bytes] | None:
    """The folder's lock, held until it is closed; None when another process holds it."""
    file: Any = None
    try:
        file = open(folder / "lock", "ab")  # noqa: SIM115 - lives as long as the copy
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        if file is not None:
            file.close()
        return None
    locked: IO[bytes] = file
    return locked


def _check_out(store: Path, path: Path, tree: str, progress: Progress) -> None:
    """Write a tree's files, and a ``.git`` file that leads to the store."""
    try:
        path.mkdir()
        (path / ".git").write_text(f"gitdir: {store}\n")
    except OSError as error:
        raise ToolError(f"{path} cannot be written: {error.strerror}") from None
    Git(store, store).run("config", "core.worktree", path)
    with telling(progress, "copying your files"):
        Git(store, path, path, store / "index").run("read-tree", "--reset", "-u", tree)


def _delete(folder: Path) -> None:
    """Delete a folder, whatever a command made unreadable in it. Raises ToolError when something stays."""

    def retry(function: Callable[..., Any], path: str, _: object) -> None:
        with contextlib.suppress(OSError):
            for place in (os.path.dirname(path), path):
                status = os.lstat(place)
                if stat.S_ISDIR(status.st_mode):
                    os.chmod(place, stat.S_IMODE(status.st_mode) | 0o700)
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                function(path)

    shutil.rmtree(folder, onerror=retry)
    if folder.exists():
        raise ToolError(f"{folder} cannot be deleted whole; delete it by hand")
