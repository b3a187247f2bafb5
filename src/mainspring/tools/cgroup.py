"""Bounds the number of a sandbox's processes where the kernel's per-user limit does not: for the superuser.

Works where the `pids` controller can be used, in either version of control groups. Elsewhere the supervisor
counts the processes itself, which ends a flood after it began instead of preventing it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterable
from pathlib import Path

_PREFIX = "mainspring-"


def bound_processes(pids: Iterable[int], limit: int) -> Path | None:
    """Move processes into a new group that holds at most `limit`; None when there is no such group to be had."""
    if os.geteuid() != 0:
        return None  # RLIMIT_NPROC holds everyone else
    root = _pids_root()
    if root is None:
        return None
    _sweep(root)
    group = root / f"{_PREFIX}{secrets.token_hex(6)}"
    try:
        group.mkdir()
        (group / "pids.max").write_text(str(limit))
        for pid in pids:
            (group / "cgroup.procs").write_text(str(pid))
    except OSError:
        remove(group)
        return None
    return group


def remove(group: Path) -> None:
    """Remove a group whose processes are gone; the kernel takes a moment to notice that they are."""
    for _ in range(20):
        try:
            group.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.005)


def _pids_root() -> Path | None:
    """The top of the control groups, if children of it can limit processes."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/mounts").read_text().splitlines():
            _, folder, kind, options, *_ = line.split()
            if kind == "cgroup" and "pids" in options.split(","):
                return Path(folder)
            if kind == "cgroup2" and "pids" in Path(folder, "cgroup.subtree_control").read_text().split():
                return Path(folder)
    return None


def _sweep(root: Path) -> None:
    """Remove empty groups that a killed process left behind."""
    for group in root.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - group.stat().st_mtime > 60:  # a younger one may be about to receive its processes
                group.rmdir()
