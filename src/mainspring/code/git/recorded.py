"""What is known of a run on code: its repository, its working copy, and the patch that it left.

It lies in ``home/code/RUN.json``, which no sandbox shows. The contents of the kept patch lie in ``home/undo`` by their
digest, so that the patch outlives the working copy.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mainspring.code.git.changes import TreeChange, TreePatch, tree_change
from mainspring.code.git.files import State
from mainspring.code.git.repository import Repository, Snapshot
from mainspring.code.git.working import WorkingCopy
from mainspring.code.patch import Patch
from mainspring.errors import ToolError
from mainspring.tools.editing import keep, kept

FORMAT = 1


@dataclass(frozen=True)
class CodeRecord:
    """One run's working copy.

    Args:
        run_id: which run.
        home: Mainspring's folder.
        copy: the working copy; its files may be gone.
        saved: the patch that was kept last, as paths, modes and digests; None when none was.
        branches: branches that the run made, with the commit that each was left at.
    """

    run_id: str
    home: Path
    copy: WorkingCopy
    saved: tuple[Mapping[str, Any], ...] | None = None
    branches: Mapping[str, str] = field(default_factory=dict)

    @property
    def repository(self) -> Repository:
        """The repository as it was when the snapshot was taken."""
        return self.copy.repository

    @property
    def path(self) -> Path:
        """The folder to work in."""
        return self.copy.path

    @property
    def base(self) -> str:
        """The snapshot's commit."""
        return self.copy.snapshot.commit

    @property
    def exists(self) -> bool:
        """Whether the working copy is still there."""
        return self.copy.store.is_dir() and self.path.is_dir()

    @property
    def read_only(self) -> tuple[Path, ...]:
        """See :attr:`WorkingCopy.read_only`."""
        return self.copy.read_only

    @property
    def python(self) -> Path | None:
        """See :attr:`WorkingCopy.python`."""
        return self.copy.python

    def patch(self) -> TreePatch:
        """What the run changed: as the working copy is now, or as it was kept when the copy is gone.

        Raises:
            ToolError: neither can be read.
        """
        return self.copy.patch() if self.exists else self.kept_patch()

    def kept_patch(self) -> TreePatch:
        """The patch that was kept last. Raises ToolError when there is none, or its contents are gone."""
        if self.saved is None:
            raise ToolError(f"the working copy of run {self.run_id} is gone, and no patch of it was kept")
        return TreePatch(tuple(unpacked(self.home, self.saved)))

    def keep(self, patch: Patch | None = None) -> CodeRecord:
        """Keep a patch (default: as it is now), so that it outlives the working copy. Raises ToolError."""
        made = replace(self, saved=packed(self.home, self.patch() if patch is None else patch))
        made._write()
        return made

    def with_branch(self, name: str, commit: str) -> CodeRecord:
        """Note a branch that the run made. Raises ToolError."""
        made = replace(self, branches={**self.branches, name: commit})
        made._write()
        return made

    def without_branch(self, name: str) -> CodeRecord:
        """Note that a branch is gone. Raises ToolError."""
        made = replace(self, branches={n: c for n, c in self.branches.items() if n != name})
        made._write()
        return made

    def fresh(self, patch: Patch) -> AbstractContextManager[WorkingCopy]:
        """See :meth:`WorkingCopy.fresh`."""
        return self.copy.fresh(self.home, patch)

    def remove(self) -> None:
        """Delete the working copy; what it left is kept as the run's patch. Raises ToolError."""
        if self.exists:
            self.keep()
        self.copy.remove()

    def _write(self) -> None:
        repository, snapshot = self.repository, self.copy.snapshot
        write_json(
            _file(self.home, self.run_id),
            {
                "format": FORMAT,
                "run_id": self.run_id,
                "repository": str(repository.top),
                "git_dir": str(repository.git_dir),
                "common": str(repository.common),
                "algorithm": repository.algorithm,
                "head": repository.head,
                "branch": repository.branch,
                "snapshot": snapshot.commit,
                "tree": snapshot.tree,
                "left_out": list(snapshot.left_out),
                "folder": str(self.copy.folder),
                "path": str(self.path),
                "patch": None if self.saved is None else list(self.saved),
                "branches": dict(self.branches),
            },
        )


def record(home: Path, run_id: str, copy: WorkingCopy) -> CodeRecord:
    """Note a run's working copy. Raises ToolError."""
    made = CodeRecord(run_id, Path(os.path.realpath(home)), copy)
    made._write()
    return made


def load(home: Path, run_id: str) -> CodeRecord:
    """The record of a run. Raises ToolError when it has none, or it is damaged."""
    path = _file(home, run_id)
    try:
        data = json.loads(path.read_text("utf-8"))
        if data["format"] > FORMAT:
            raise ToolError(f"{path} was written by a newer Mainspring; update Mainspring")
        repository = Repository(
            Path(data["repository"]),
            Path(data["git_dir"]),
            Path(data["common"]),
            data["algorithm"],
            data["head"],
            data["branch"],
        )
        folder = Path(data["folder"])
        snapshot = Snapshot(data["snapshot"], data["tree"], data["head"], folder / "git", tuple(data["left_out"]))
        copy = WorkingCopy(repository, snapshot, folder, Path(data["path"]))
        saved = None if data["patch"] is None else tuple(data["patch"])
        return CodeRecord(data["run_id"], Path(os.path.realpath(home)), copy, saved, data["branches"])
    except FileNotFoundError:
        raise ToolError(f"run {run_id} has no working copy; it was not started by `mainspring code`") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ToolError(f"{path} cannot be read ({error}); the run's working copy is not known any more") from None


def records(home: Path) -> Iterator[CodeRecord]:
    """Every run's record, the newest run first; a damaged one is left out."""
    for path in sorted((home / "code").glob("*.json"), reverse=True):
        if "." not in path.name.removesuffix(".json"):
            with contextlib.suppress(ToolError):
                yield load(home, path.name.removesuffix(".json"))


def packed(home: Path, patch: Patch) -> tuple[dict[str, Any], ...]:
    """A patch as JSON, its contents put aside by their digest. Raises ToolError."""
    try:
        rows = []
        for change in patch.changes:
            found = tree_change(change)
            row: dict[str, Any] = {"path": found.path}
            for side, data, mode in (
                ("before", found.before, found.before_mode),
                ("after", found.after, found.after_mode),
            ):
                row[side] = None if data is None else [mode, keep(home, data)]
            rows.append(row)
        return tuple(rows)
    except OSError as error:
        raise ToolError(f"the patch cannot be kept in {home / 'undo'}: {error.strerror}") from None


def unpacked(home: Path, rows: Iterable[Mapping[str, Any]]) -> Iterator[TreeChange]:
    """Inverse of :func:`packed`. Raises ToolError when a content is gone."""
    for row in rows:
        yield TreeChange.of(row["path"], state_of(home, row["before"]), state_of(home, row["after"]))


def state_of(home: Path, noted: list[str] | None) -> State | None:
    """A state from its mode and digest. Raises ToolError when the content is gone."""
    if noted is None:
        return None
    data = kept(home, noted[1])
    if data is None:
        raise ToolError(f"a content of the patch is not in {home / 'undo'} any more; it cannot be restored")
    return State(noted[0], data)


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Replace a file in one step, flushed to disk. Raises ToolError."""
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(partial, "w", encoding="ascii") as file:
            json.dump(data, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise ToolError(f"{path} cannot be written: {error.strerror}") from None


def _file(home: Path, run_id: str) -> Path:
    if not run_id or "/" in run_id or run_id.startswith("."):
        raise ToolError(f"{run_id!r} is no run's id")
    return home / "code" / f"{run_id}.json"
