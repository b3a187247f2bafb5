"""The proof that an owner lives or is dead."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

from mainspring.store.owner import SWEEP, Owner


def _dead(folder: Path, count: int) -> list[str]:
    """Names of owners whose process was killed."""
    pipe, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        owners = [Owner(folder) for _ in range(count)]
        os.write(write, " ".join(o.name for o in owners).encode())
        signal.pause()
    os.close(write)
    names = os.read(pipe, 1 << 16).decode().split()
    os.close(pipe)
    assert len(names) == count
    owner = Owner(folder)
    assert not any(owner.is_dead(name) for name in names)
    owner.close()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return names


def test_a_killed_owner_is_dead_and_a_living_one_is_not(tmp_path: Path) -> None:
    owner = Owner(tmp_path)
    (name,) = _dead(tmp_path, 1)
    assert owner.is_dead(name)
    assert owner.is_dead(name)  # still, now that its file is gone
    other = Owner(tmp_path)
    assert not owner.is_dead(other.name)
    assert not owner.is_dead(owner.name)
    other.close()
    assert owner.is_dead(other.name)
    assert not other.alive()
    owner.close()


def test_a_forked_child_does_not_keep_its_parents_lock(tmp_path: Path) -> None:
    parent = os.fork()
    if parent == 0:
        owner = Owner(tmp_path)
        (tmp_path / "name").write_text(owner.name)
        child = os.fork()
        if child == 0:
            (tmp_path / "child").write_text(str(os.getpid()))
            signal.pause()
        while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text():
            pass
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(parent, 0)
    try:
        assert Owner(tmp_path).is_dead((tmp_path / "name").read_text())
    finally:
        os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)


def test_files_of_the_dead_do_not_pile_up(tmp_path: Path) -> None:
    _dead(tmp_path, SWEEP - 2)
    living = Owner(tmp_path)
    another = Owner(tmp_path)
    assert {file.stem for file in tmp_path.iterdir()} == {living.name, another.name}
    assert not living.is_dead(another.name)
    living.close()
    another.close()


def test_owners_that_begin_at_once_do_not_sweep_each_other(tmp_path: Path) -> None:
    made: list[Owner] = []

    def make() -> None:
        made.extend(Owner(tmp_path) for _ in range(20))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 160
    assert not any(made[0].is_dead(owner.name) for owner in made)
    for owner in made:
        owner.close()
    assert list(tmp_path.iterdir()) == []
