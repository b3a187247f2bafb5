"""Bounds a sandbox's processes and memory by control groups, where they can be had.

They hold the superuser too, count memory of all processes together, and act at once. Groups are made below our own
group (version 1) or beside it, where a group above us may be written and gives its children these controllers
(version 2). Elsewhere the watchdog counts by itself, which ends a flood after it began instead of preventing it.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_PREFIX = "mainspring-"


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups of one sandbox: in version 1 each controller has its own.

    Args:
        folders: all of them.
        processes, memory: the one that bounds processes or memory, or None.
    """

    folders: tuple[Path, ...] = ()
    processes: Path | None = None
    memory: Path | None = None

    def pids(self) -> list[int] | None:
        """Every process in the sandbox, or None when there is no group."""
        if not self.folders:
            return None
        try:
            return [int(pid) for pid in (self.folders[0] / "cgroup.procs").read_text().split()]
        except (OSError, ValueError):
            return None

    def memory_ran_out(self) -> bool:
        """Whether the kernel has ended a process because the group's memory was used up."""
        if self.memory is None:
            return False
        for name in ("memory.events", "memory.oom_control"):
            with contextlib.suppress(OSError):
                found = re.search(r"^oom_kill (\d+)$", (self.memory / name).read_text(), re.MULTILINE)
                return found is not None and found[1] != "0"
        return False

    def remove(self) -> None:
        """Remove the groups, whose processes are gone; the kernel takes a moment to notice that they are."""
        for folder in self.folders:
            for _ in range(20):
                try:
                    folder.rmdir()
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.005)
                else:
                    break


def available() -> list[str]:
    """What can be bounded by control groups here: ``"processes"``, ``"memory"``, both or neither."""
    names = {"pids": "processes", "memory": "memory"}
    return [name for controller, name in names.items() if _parent(controller) is not None]


def bound(pids: Sequence[int], processes: int, memory_bytes: int) -> Groups:
    """Move processes into new groups with these limits; what cannot be had is left out."""
    made: dict[str, Path] = {}
    folders: dict[Path, Path] = {}
    settings = {
        "pids": {"pids.max": processes},
        "memory": {
            "memory.max": memory_bytes,
            "memory.swap.max": 0,
            "memory.limit_in_bytes": memory_bytes,
            "memory.memsw.limit_in_bytes": memory_bytes,
        },
    }
    name = f"{_PREFIX}{secrets.token_hex(6)}"
    for controller, values in settings.items():
        parent = _parent(controller)
        if parent is None:
            continue
        group = folders.get(parent)
        try:
            if group is None:
                _sweep(parent)
                group = parent / name
                group.mkdir()
                folders[parent] = group
            for setting, value in values.items():
                if (group / setting).exists():
                    with contextlib.suppress(PermissionError, FileNotFoundError):
                        (group / setting).write_text(str(value))
            for pid in pids:
                (group / "cgroup.procs").write_text(str(pid))
            made[controller] = group
        except OSError:
            continue
    groups = Groups(tuple(folders.values()), made.get("pids"), made.get("memory"))
    if not made:
        groups.remove()
        return Groups()
    return groups


def _parent(controller: str) -> Path | None:
    """A group whose children this controller can limit, and in which we may make some."""
    with contextlib.suppress(OSError, ValueError):
        own = {}
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            own.update(dict.fromkeys(controllers.split(","), path))
        for line in Path("/proc/self/mounts").read_text().splitlines():
            _, folder, kind, options, *_ = line.split()
            if kind == "cgroup" and controller in options.split(",") and controller in own:
                group = Path(folder, own[controller].lstrip("/"))
                return group if os.access(group, os.W_OK) else None
            if kind == "cgroup2" and "" in own:
                found = _above(Path(folder), Path(folder, own[""].lstrip("/")), controller)
                if found is not None:
                    return found
    return None


def _above(top: Path, group: Path, controller: str) -> Path | None:
    """The nearest group above us that gives its children this controller; one with processes of its own cannot."""
    while group.is_relative_to(top):
        with contextlib.suppress(OSError):
            given = (group / "cgroup.subtree_control").read_text().split()
            if controller in given and os.access(group, os.W_OK) and os.access(group / "cgroup.procs", os.W_OK):
                return group
        if group == top:
            break
        group = group.parent
    return None


def _sweep(parent: Path) -> None:
    """Remove empty groups that a killed process left behind."""
    for group in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - group.stat().st_mtime > 60:  # a younger one may be about to receive its processes
                group.rmdir()
