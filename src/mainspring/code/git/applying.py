"""Puts a patch into a person's files, all or none, and takes it back.

Every content is put aside and the plan is on disk before the first file is written. A process that dies in between
leaves a plan that is begun: the next call finishes it, or takes it back where a file was changed in the meantime.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mainspring.code.git.changes import states
from mainspring.code.git.files import State, Tree, parts_of
from mainspring.code.git.merging import Conflict, changed_lines, merge
from mainspring.code.git.plans import Move, carry_out, folder_of, locked, moves_of, noted, read_plan, settle, turned
from mainspring.code.git.repository import Repository
from mainspring.code.patch import Patch
from mainspring.errors import ToolError
from mainspring.tools.names import printable
from mainspring.tools.protected import protected

_NAMED = 12


class ConflictError(ToolError):
    """A patch does not fit the files; nothing was written.

    Args:
        conflicts: the files and lines.
    """

    def __init__(self, message: str, conflicts: tuple[Conflict, ...]) -> None:
        super().__init__(message)
        self.conflicts = conflicts


@dataclass(frozen=True, slots=True)
class Applied:
    """A patch that was put into a person's files.

    Args:
        id: its name; names of later ones sort after it.
        run_id: the run that it came from, or "".
        repository: the uppermost folder.
        paths: the files.
        merged: those of them that were joined with what the person had changed since.
        state: ``"done"``, ``"undone"``, or ``"taken back"`` after a crash.
        at: when, Unix time.
    """

    id: str
    run_id: str
    repository: Path
    paths: tuple[str, ...]
    merged: tuple[str, ...] = ()
    state: str = "done"
    at: float = 0.0


def apply_to(
    repository: Repository, patch: Patch, *, home: Path | None = None, run_id: str = "", merge: bool = False
) -> Applied:
    """Put a patch into a repository's files: all of it or nothing.

    A file that is no longer what the patch begins with is never overwritten. The index and the branches stay as they
    are.

    Args:
        repository: whose files.
        patch: what to change.
        home: Mainspring's folder, where the old contents are kept; default ``~/.mainspring``.
        run_id: the run that it came from.
        merge: join with what was changed since, where the patch changes other lines.

    Raises:
        ConflictError: files were changed since, with the lines; nothing was written.
        ToolError: it cannot be written; nothing was.
    """
    base = _home(home)
    with locked(base):
        settle(base, repository.top)
        files = Tree(repository.top)
        moves, merged = _plan(repository, files, patch, merge)
        if not moves:
            raise ToolError("there is nothing to apply: the files are as the patch leaves them")
        name = f"{time.time_ns():020d}-{secrets.token_hex(4)}"
        plan = {
            "format": 1,
            "id": name,
            "kind": "apply",
            "run_id": run_id,
            "repository": str(repository.top),
            "at": round(time.time(), 3),
            "state": "begun",
            "merged": merged,
            "moves": [noted(base, move) for move in moves],
        }
        carry_out(base, plan, files, moves)
        return _applied(plan)


def undo_applied(home: Path, applied: Applied) -> Applied:
    """Take an applied patch back, where the files still are as it left them.

    Raises:
        ConflictError: files were changed since, with the lines; nothing was written.
        ToolError: it was taken back already, or cannot be.
    """
    base = _home(home)
    with locked(base):
        settle(base, applied.repository)
        path = folder_of(base) / f"{applied.id}.json"
        plan = read_plan(path)
        if plan["state"] != "done":
            raise ToolError(f"this patch is {plan['state']} already")
        files = Tree(Path(plan["repository"]))
        moves = turned(moves_of(base, plan))
        conflicts = [c for m in moves if (c := _changed(m.path, m.old, files.read(m.path))) is not None]
        if conflicts:
            raise _refused("these files were changed after the patch was applied, so it is not taken back", conflicts)
        back = {
            **plan,
            "id": f"{time.time_ns():020d}-{secrets.token_hex(4)}",
            "kind": "undo",
            "of": plan["id"],
            "state": "begun",
            "moves": [noted(base, move) for move in moves],
        }
        carry_out(base, back, files, moves)
        return _applied(read_plan(path))


def list_applied(home: Path, run_id: str | None = None) -> list[Applied]:
    """Patches that were applied, oldest first; of one run, or of all."""
    found = []
    for path in sorted(folder_of(_home(home)).glob("*.json")):
        with contextlib.suppress(ToolError):
            plan = read_plan(path)
            if plan["kind"] == "apply" and plan["state"] != "begun" and run_id in (None, plan["run_id"]):
                found.append(_applied(plan))
    return found


def _plan(repository: Repository, files: Tree, patch: Patch, joined: bool) -> tuple[list[Move], list[str]]:
    moves: list[Move] = []
    merged: list[str] = []
    conflicts: list[Conflict] = []
    bits = repository.filemode
    for change in sorted(patch.changes, key=lambda c: (c.after is not None, c.path)):  # what goes makes room first
        parts_of(change.path)
        why = protected(change.path, repository.top)
        if why is not None:
            raise ToolError(f"{printable(change.path)} is not applied: {why}; change it by hand, if you want it so")
        now = files.read(change.path)
        before, after = states(change, now)
        if _same(now, after, bits):
            continue
        if _same(now, before, bits) and (now is not None or not os.path.lexists(repository.top / change.path)):
            moves.append(Move(change.path, now, after))
            continue
        if now is None and before is None and _empties(repository.top / change.path, patch):
            moves.append(Move(change.path, None, after))
            continue
        found = merge(change.path, before, after, now) if joined else _changed(change.path, before, now)
        if isinstance(found, State):
            moves.append(Move(change.path, now, found))
            merged.append(change.path)
        else:
            conflicts.append(found or Conflict(change.path, (), "something else is at its place"))
    if conflicts:
        hint = "" if joined else "; --merge (merge=True) joins changes of different lines"
        raise _refused(f"these files were changed since the snapshot{hint}", conflicts)
    return moves, merged


def _empties(folder: Path, patch: Patch) -> bool:
    """Whether a folder that is in a new file's way holds only what the patch removes."""
    if not folder.is_dir() or folder.is_symlink():
        return False
    gone = {change.path for change in patch.changes if change.after is None}
    top = next(parent for parent in folder.parents if (parent / ".git").exists())
    inside = [os.path.join(base, name) for base, _, names in os.walk(folder) for name in names]
    return all(os.path.relpath(path, top) in gone for path in inside)


def _same(one: State | None, other: State | None, bits: bool) -> bool:
    if one is None or other is None:
        return one is other
    modes = (
        (one.mode, other.mode) if bits else tuple("file" if m.startswith("100") else m for m in (one.mode, other.mode))
    )
    return one.data == other.data and modes[0] == modes[1]


def _changed(path: str, wanted: State | None, now: State | None) -> Conflict | None:
    """What is wrong with a file that should have one state and has another."""
    if wanted == now:
        return None
    if now is None:
        return Conflict(path, (), "it is gone, or something else is at its place")
    if wanted is None:
        return Conflict(path, (), "there is a file now")
    if wanted.data == now.data:
        return Conflict(path, (), f"its mode is {now.mode} instead of {wanted.mode}")
    return Conflict(path, changed_lines(wanted.data, now.data), "changed since")


def _applied(plan: Mapping[str, Any]) -> Applied:
    state = "done" if plan["state"] == "begun" else plan["state"]
    paths = tuple(move["path"] for move in plan["moves"])
    return Applied(
        plan["id"], plan["run_id"], Path(plan["repository"]), paths, tuple(plan["merged"]), state, plan["at"]
    )


def _refused(message: str, conflicts: list[Conflict]) -> ConflictError:
    lines = [f"  {conflict.text()}" for conflict in conflicts[:_NAMED]]
    if len(conflicts) > _NAMED:
        lines.append(f"  and {len(conflicts) - _NAMED} more files")
    return ConflictError("\n".join([f"{message}; nothing was written:", *lines]), tuple(conflicts))


def _home(home: Path | None) -> Path:
    from mainspring.store import default_home

    return Path(os.path.realpath(home if home is not None else default_home()))
