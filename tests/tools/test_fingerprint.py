"""A fingerprint changes with every change that a command can make, and with nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mainspring.tools.fingerprint import Fingerprint, take


def _forge_times(folder: Path) -> None:
    status = (folder / "a.txt").stat()
    (folder / "a.txt").write_text("two")
    os.utime(folder / "a.txt", ns=(status.st_atime_ns, status.st_mtime_ns))


CHANGES: dict[str, Callable[[Path], object]] = {
    "~a.txt (same size)": lambda f: (f / "a.txt").write_text("two"),
    "~a.txt (mode)": lambda f: (f / "a.txt").chmod(0o700),
    "~a.txt (times forged)": _forge_times,
    "+b.txt": lambda f: (f / "b.txt").write_text(""),
    "+new": lambda f: (f / "new").mkdir(),
    "+link": lambda f: (f / "link").symlink_to("a.txt"),
    "-a.txt": lambda f: (f / "a.txt").unlink(),
    "~sub/c.txt": lambda f: (f / "sub" / "c.txt").write_text("more"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_is_seen_and_named(workspace: Path, home: Path, name: str) -> None:
    (workspace / "a.txt").write_text("one")
    (workspace / "sub").mkdir()
    (workspace / "sub" / "c.txt").write_text("c")
    before = take(workspace)
    before.save(home)
    CHANGES[name](workspace)
    after = take(workspace)
    assert after.digest != before.digest
    kept = Fingerprint.load(home, before.digest)
    assert kept is not None
    assert kept.changes(after) == [name.split(" ")[0]]


def test_reading_and_caches_change_nothing(workspace: Path) -> None:
    (workspace / "a.txt").write_text("one")
    (workspace / "__pycache__").mkdir()
    before = take(workspace)
    (workspace / "a.txt").read_text()
    (workspace / "__pycache__" / "a.pyc").write_text("x")
    (workspace / "gone").write_text("x")
    (workspace / "gone").unlink()
    assert take(workspace).digest == before.digest


def test_the_home_is_left_out_and_the_number_of_files_is_bounded(workspace: Path) -> None:
    (workspace / ".mainspring").mkdir()
    before = take(workspace, workspace / ".mainspring")
    (workspace / ".mainspring" / "journal.db").write_text("x")
    assert take(workspace, workspace / ".mainspring") == before
    for number in range(20):
        (workspace / str(number)).write_text("")
    assert take(workspace, limit=10).complete is False
    assert take(workspace, limit=30).complete is True


def test_only_the_newest_are_kept(workspace: Path, home: Path) -> None:
    for number in range(70):
        (workspace / "a.txt").write_text(str(number))
        take(workspace).save(home)
    assert len(os.listdir(home / "fingerprints")) == 64
    assert Fingerprint.load(home, take(workspace).digest) is not None
    assert Fingerprint.load(home, "0" * 64) is None
