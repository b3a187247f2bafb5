"""Notices when a running command has used more than it may, where the kernel itself does not bound it.

It looks a few times a second, so a command can exceed a limit for a moment: by what it uses between two looks.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from pathlib import Path

from mainspring.tools.cgroup import Groups
from mainspring.tools.limits import SandboxLimits

_EVERY_S = 0.25
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
_ENTRIES = 200_000


class Watchdog:
    """Watches one sandbox.

    Args:
        first: its first process.
        groups: its control groups.
        workspace: the folder whose growth is bounded.
    """

    def __init__(self, first: int, groups: Groups, workspace: Path, limits: SandboxLimits) -> None:
        self._first = first
        self._groups = groups
        self._workspace = workspace
        self._limits = limits
        self._next = 0.0
        self._began = time.time()
        self._free = _free(workspace)
        self._alarm = limits.disk_bytes

    def look(self) -> str:
        """The limit that was exceeded (``"processes"``, ``"memory"``, ``"cpu"``, ``"disk"``), or empty."""
        now = time.monotonic()
        if now < self._next:
            return ""
        self._next = now + _EVERY_S
        return self.measure()

    def measure(self) -> str:
        """Like :meth:`look`, at once."""
        if self._groups.memory_ran_out():
            return "memory"
        pids = self._pids()
        if self._groups.processes is None and len(pids) > self._limits.processes:
            return "processes"
        if sum(map(_cpu_s, pids)) > self._limits.cpu_s:
            return "cpu"
        if self._groups.memory is None and self._too_much_memory(pids):
            return "memory"
        return "disk" if self._too_much_disk(pids) else ""

    def _pids(self) -> list[int]:
        grouped = self._groups.pids()
        if grouped is not None:
            return grouped
        found = [self._first]
        for pid in found:
            found += children(pid)
            if len(found) > 4 * self._limits.processes:
                break
        return found

    def _too_much_memory(self, pids: list[int]) -> bool:
        limit = self._limits.total_memory_bytes
        # What processes share is counted for each of them here, and only once in the slower, second look.
        return sum(map(_resident, pids)) > limit and sum(map(_proportional, pids)) > limit

    def _too_much_disk(self, pids: list[int]) -> bool:
        """The file system's free space says when it is worth looking; others may be writing to it as well."""
        if self._free - _free(self._workspace) < self._alarm:
            return False
        if _written(self._workspace, self._began) + _unlinked(pids, self._workspace) > self._limits.disk_bytes:
            return True
        self._alarm += max(self._limits.disk_bytes // 4, 1 << 20)
        return False


def children(pid: int) -> list[int]:
    """The children of a process, of all its threads; empty on a kernel that does not list them."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                found += map(int, file.read().split())
    return found


def _cpu_s(pid: int) -> float:
    """CPU seconds of a process and of its children that have ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            numbers = file.read().rpartition(")")[2].split()
        return sum(map(int, numbers[11:15])) / _TICKS
    except (OSError, ValueError, IndexError):
        return 0.0


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0


def _proportional(pid: int) -> int:
    with contextlib.suppress(OSError, ValueError), open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return _resident(pid)  # not ours to read


def _free(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bfree * status.f_frsize


def _written(folder: Path, since: float) -> int:
    """Bytes of the files below a folder that were changed since then."""
    total = seen = 0
    folders = [os.fspath(folder)]
    for inner in folders:
        with contextlib.suppress(OSError), os.scandir(inner) as listing:
            for entry in listing:
                seen += 1
                with contextlib.suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    if status.st_ctime >= since - 1:
                        total += status.st_blocks * 512
                    if stat.S_ISDIR(status.st_mode):
                        folders.append(entry.path)
        if seen > _ENTRIES:
            break
    return total


def _unlinked(pids: list[int], workspace: Path) -> int:
    """Bytes of files that have no name any more and are still open."""
    device = os.stat(workspace).st_dev
    found: dict[int, int] = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            for name in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    status = os.stat(f"/proc/{pid}/fd/{name}")
                    if status.st_nlink == 0 and status.st_dev == device and stat.S_ISREG(status.st_mode):
                        found[status.st_ino] = status.st_blocks * 512
    return sum(found.values())
