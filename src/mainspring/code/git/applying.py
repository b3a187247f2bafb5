"""Puts a patch into a person's files, all or none, and takes it back.

Every content is put aside and the plan is on disk before the first file is written. A process that dies in between
leaves a plan that is begun: the next call finishes it, or takes it back where a file was changed in the meantime.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mainspring.code.git.changes import states
from mainspring.code.git.files import State, Tree, parts_of
from mainspring.code.git.merging import Conflict, changed_lines, merge
from mainspring.code.git.recorded import state_of, write_json
from mainspring.code.git.repository import Repository
from mainspring.code.patch import Patch
from mainspring.errors import ToolError
from mainspring.tools.editing import keep, temporary
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


@dataclass(frozen=True, slots=True)
class _Move:
    path: str
    old: State | None
    new: State | None


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
    with _lock(base):
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
            "moves": [_noted(base, move) for move in moves],
        }
        _carry_out(base, plan, files, moves)
        return _applied(plan)


def undo_applied(home: Path, applied: Applied) -> Applied:
    """Take an applied patch back, where the files still are as it left them.

    Raises:
        ConflictError: files were changed since, with the lines; nothing was written.
        ToolError: it was taken back already, or cannot be.
    """
    base = _home(home)
    with _lock(base):
        settle(base, applied.repository)
        path = _folder(base) / f"{applied.id}.json"
        plan = _read(path)
        if plan["state"] != "done":
            raise ToolError(f"this patch is {plan['state']} already")
        files = Tree(Path(plan["repository"]))
        moves = [_Move(m.path, m.new, m.old) for m in _moves(base, plan)]
        conflicts = [c for m in moves if (c := _changed(m.path, m.old, files.read(m.path))) is not None]
        if conflicts:
            raise _refused("these files were changed after the patch was applied, so it is not taken back", conflicts)
        back = {
            **plan,
            "id": f"{time.time_ns():020d}-{secrets.token_hex(4)}",
            "kind": "undo",
            "of": plan["id"],
            "state": "begun",
            "moves": [_noted(base, move) for move in moves],
        }
        _carry_out(base, back, files, moves)
        return _applied(_read(path))


def list_applied(home: Path, run_id: str | None = None) -> list[Applied]:
    """Patches that were applied, oldest first; of one run, or of all."""
    found = []
    for path in sorted(_folder(_home(home)).glob("*.json")):
        with contextlib.suppress(ToolError):
            plan = _read(path)
            if plan["kind"] == "apply" and plan["state"] != "begun" and run_id in (None, plan["run_id"]):
                found.append(_applied(plan))
    return found


def settle(home: Path, repository: Path) -> list[str]:
    """Finish what a crash interrupted in a repository's files, or take it back where a file was changed meanwhile.

    The caller holds the lock, so whoever began it is dead.

    Returns:
        What was done, for a person.

    Raises:
        ToolError: it cannot be done; the plan stays.
    """
    told = []
    for path in sorted(_folder(home).glob("*.json")):
        plan = _read(path)
        if plan["state"] != "begun" or plan["repository"] != str(repository):
            continue
        files, moves = Tree(repository), _moves(home, plan)
        for number, move in enumerate(moves):
            files.forget(move.path, temporary(f"{plan['id']}:{number}"))
        strange = [m.path for m in moves if not _fits(files, m)]
        if not strange:
            _write(home, plan, files, moves)
            told.append(f"finished a patch of {len(moves)} files that was interrupted")
        else:
            for number, move in enumerate(moves):
                if files.read(move.path) == move.new and move.new != move.old:
                    files.put(move.path, move.old, temporary(f"{plan['id']}:{number}"))
            write_json(path, {**plan, "state": "taken back"})
            told.append(f"took back an interrupted patch, as {_listed(strange)} was changed meanwhile")
    return told


def _plan(repository: Repository, files: Tree, patch: Patch, joined: bool) -> tuple[list[_Move], list[str]]:
    moves: list[_Move] = []
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
            moves.append(_Move(change.path, now, after))
            continue
        if now is None and before is None and _empties(repository.top / change.path, patch):
            moves.append(_Move(change.path, None, after))
            continue
        found = merge(change.path, before, after, now) if joined else _changed(change.path, before, now)
        if isinstance(found, State):
            moves.append(_Move(change.path, now, found))
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


def _carry_out(home: Path, plan: dict[str, Any], files: Tree, moves: list[_Move]) -> None:
    write_json(_folder(home) / f"{plan['id']}.json", plan)
    try:
        _write(home, plan, files, moves)
    except BaseException as error:
        if not isinstance(error, ToolError):
            raise  # we are being ended; the next call settles it
        for number, move in enumerate(moves):
            if move.old != move.new and files.read(move.path) == move.new:
                files.put(move.path, move.old, temporary(f"{plan['id']}:{number}"))
        write_json(_folder(home) / f"{plan['id']}.json", {**plan, "state": "taken back"})
        raise


def _write(home: Path, plan: Mapping[str, Any], files: Tree, moves: list[_Move]) -> None:
    """Write what is not written yet, then note that the plan is done."""
    for number, move in enumerate(moves):
        now = files.read(move.path)
        if now == move.new:
            continue
        if now != move.old:
            raise ToolError(f"{printable(move.path)} was changed while the patch was applied; nothing was kept of it")
        files.put(move.path, move.new, temporary(f"{plan['id']}:{number}"))
    # First the plan that this one undoes: done twice over, it is the same.
    if plan["kind"] == "undo":
        first = _folder(home) / f"{plan['of']}.json"
        write_json(first, {**_read(first), "state": "undone"})
    write_json(_folder(home) / f"{plan['id']}.json", {**plan, "state": "done"})


def _fits(files: Tree, move: _Move) -> bool:
    return files.read(move.path) in (move.old, move.new)


def _noted(home: Path, move: _Move) -> dict[str, Any]:
    try:
        sides = [None if s is None else [s.mode, keep(home, s.data)] for s in (move.old, move.new)]
    except OSError as error:
        raise ToolError(f"old contents cannot be kept in {home / 'undo'}: {error.strerror}; nothing changed") from None
    return {"path": move.path, "old": sides[0], "new": sides[1]}


def _moves(home: Path, plan: Mapping[str, Any]) -> list[_Move]:
    return [_Move(m["path"], state_of(home, m["old"]), state_of(home, m["new"])) for m in plan["moves"]]


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


def _listed(paths: list[str]) -> str:
    return ", ".join(printable(p) for p in paths[:_NAMED]) + (" and more" if len(paths) > _NAMED else "")


def _home(home: Path | None) -> Path:
    from mainspring.store import default_home

    return Path(os.path.realpath(home if home is not None else default_home()))


def _folder(home: Path) -> Path:
    return home / "code" / "applied"


def _read(path: Path) -> dict[str, Any]:
    try:
        plan: dict[str, Any] = json.loads(path.read_text("ascii"))
        if plan["format"] != 1 or not {"id", "kind", "state", "moves", "repository", "run_id", "merged"} <= plan.keys():
            raise ValueError("it was written by another version")
        return plan
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ToolError(f"{path} cannot be read ({error}); move it away to go on without it") from None


@contextlib.contextmanager
def _lock(home: Path) -> Iterator[None]:
    """One at a time for a home: two patches side by side could each find the files as they want them."""
    try:
        _folder(home).mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(_folder(home) / "lock", "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise ToolError(f"{_folder(home)} cannot be used: {error.strerror}") from None
