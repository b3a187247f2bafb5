"""Plans to write several files, all or none: on disk before the first file is written, and settled after a crash."""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mainspring.code.git.files import State, Tree
from mainspring.code.git.recorded import state_of, write_json
from mainspring.errors import ToolError
from mainspring.tools.editing import keep, temporary
from mainspring.tools.names import printable

_NAMED = 12


@dataclass(frozen=True, slots=True)
class Move:
    """One file: what has to be there before, and what is there afterwards."""

    path: str
    old: State | None
    new: State | None


def settle(home: Path, repository: Path) -> list[str]:
    """Finish what a crash interrupted in a repository's files, or take it back where a file was changed meanwhile.

    The caller holds the lock, so whoever began it is dead.

    Returns:
        What was done, for a person.

    Raises:
        ToolError: it cannot be done; the plan stays.
    """
    told = []
    for path in sorted(folder_of(home).glob("*.json")):
        plan = read_plan(path)
        if plan["state"] != "begun" or plan["repository"] != str(repository):
            continue
        files, moves = Tree(repository), moves_of(home, plan)
        for number, move in enumerate(moves):
            files.forget(move.path, temporary(f"{plan['id']}:{number}"))
        strange = [m.path for m in moves if not _fits(files, m)]
        if not strange:
            _write(home, plan, files, moves)
            told.append(f"finished a patch of {len(moves)} files that was interrupted")
        else:
            _take_back(plan, files, moves)
            write_json(path, {**plan, "state": "taken back"})
            told.append(f"took back an interrupted patch, as {_listed(strange)} was changed meanwhile")
    return told


def carry_out(home: Path, plan: dict[str, Any], files: Tree, moves: list[Move]) -> None:
    """Note a plan as begun, write its files, and note it as done. The caller holds the lock.

    Raises:
        ToolError: a file cannot be written; what was written is taken back.
    """
    write_json(folder_of(home) / f"{plan['id']}.json", plan)
    try:
        _write(home, plan, files, moves)
    except BaseException as error:
        if not isinstance(error, ToolError):
            raise  # we are being ended; the next call settles it
        _take_back(plan, files, moves)
        write_json(folder_of(home) / f"{plan['id']}.json", {**plan, "state": "taken back"})
        raise


def _write(home: Path, plan: Mapping[str, Any], files: Tree, moves: list[Move]) -> None:
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
        first = folder_of(home) / f"{plan['of']}.json"
        write_json(first, {**read_plan(first), "state": "undone"})
    write_json(folder_of(home) / f"{plan['id']}.json", {**plan, "state": "done"})


def turned(moves: list[Move]) -> list[Move]:
    """The moves that take others back; what goes makes room first, as a folder may be where a file was."""
    back = [Move(move.path, move.new, move.old) for move in moves]
    return sorted(back, key=lambda move: (move.new is not None, move.path))


def _take_back(plan: Mapping[str, Any], files: Tree, moves: list[Move]) -> None:
    """Undo the moves that were made, and leave the files that somebody else changed."""
    for number, move in enumerate(turned(moves)):
        if move.old != move.new and files.read(move.path) == move.old:
            files.put(move.path, move.new, temporary(f"{plan['id']}:{number}"))


def _fits(files: Tree, move: Move) -> bool:
    return files.read(move.path) in (move.old, move.new)


def noted(home: Path, move: Move) -> dict[str, Any]:
    """A move as JSON, its contents put aside. Raises ToolError."""
    try:
        sides = [None if s is None else [s.mode, keep(home, s.data)] for s in (move.old, move.new)]
    except OSError as error:
        raise ToolError(f"old contents cannot be kept in {home / 'undo'}: {error.strerror}; nothing changed") from None
    return {"path": move.path, "old": sides[0], "new": sides[1]}


def moves_of(home: Path, plan: Mapping[str, Any]) -> list[Move]:
    """Inverse of :func:`noted`, for a whole plan. Raises ToolError when a content is gone."""
    return [Move(m["path"], state_of(home, m["old"]), state_of(home, m["new"])) for m in plan["moves"]]


def _listed(paths: list[str]) -> str:
    return ", ".join(printable(p) for p in paths[:_NAMED]) + (" and more" if len(paths) > _NAMED else "")


def folder_of(home: Path) -> Path:
    """Where the plans of a home lie."""
    return home / "code" / "applied"


def read_plan(path: Path) -> dict[str, Any]:
    """A plan from disk. Raises ToolError when it is damaged."""
    try:
        plan: dict[str, Any] = json.loads(path.read_text("ascii"))
        if plan["format"] != 1 or not {"id", "kind", "state", "moves", "repository", "run_id", "merged"} <= plan.keys():
            raise ValueError("it was written by another version")
        return plan
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ToolError(f"{path} cannot be read ({error}); move it away to go on without it") from None


@contextlib.contextmanager
def locked(home: Path) -> Iterator[None]:
    """One at a time for a home: two patches side by side could each find the files as they want them."""
    try:
        folder_of(home).mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(folder_of(home) / "lock", "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise ToolError(f"{folder_of(home)} cannot be used: {error.strerror}") from None
