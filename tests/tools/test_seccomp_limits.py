"""Control groups: which group may hold a sandbox, and what is read from it."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

from mainspring.tools.cgroup import Groups, _above
from mainspring.tools.watchdog import _written, children


def group(path: Path, given: str) -> Path:
    path.mkdir(parents=True)
    (path / "cgroup.procs").write_text("")
    (path / "cgroup.subtree_control").write_text(given)
    return path


def test_the_nearest_group_that_gives_a_controller_is_used(tmp_path: Path) -> None:
    """Version 2: a group with processes gives its children nothing, so the new one lies beside ours."""
    top = group(tmp_path / "cgroup", "cpu memory pids")
    user = group(top / "user", "pids")
    own = group(user / "session", "")
    assert _above(top, own, "pids") == user
    assert _above(top, own, "memory") == top
    assert _above(top, own, "io") is None
    assert _above(top, top, "memory") == top


def test_what_the_kernel_says_of_memory(tmp_path: Path) -> None:
    assert not Groups().memory_ran_out()
    (tmp_path / "memory.events").write_text("low 0\noom 3\noom_kill 0\n")
    assert not Groups(memory=tmp_path).memory_ran_out()
    (tmp_path / "memory.events").write_text("low 0\noom 3\noom_kill 2\n")
    assert Groups(memory=tmp_path).memory_ran_out()
    (tmp_path / "memory.events").unlink()
    (tmp_path / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
    assert Groups(memory=tmp_path).memory_ran_out()


def test_only_files_changed_since_then_count(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a").write_bytes(b"x" * 100_000)
    changed = (tmp_path / "deep" / "a").stat().st_ctime
    assert _written(tmp_path, changed - 5) >= 100_000
    assert _written(tmp_path, changed + 5) == 0


def test_children_of_every_thread_are_found() -> None:
    made: list[subprocess.Popen[bytes]] = []
    stay = threading.Event()

    def start() -> None:
        made.append(subprocess.Popen(["sleep", "30"]))
        begun.set()
        stay.wait()

    begun = threading.Event()
    thread = threading.Thread(target=start)
    thread.start()
    begun.wait()
    try:
        assert made[0].pid in children(os.getpid())
    finally:
        stay.set()
        thread.join()
        made[0].kill()
        made[0].wait()
    assert children(2**22 + 5) == []
