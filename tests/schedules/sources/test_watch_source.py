"""A watch: what is reported, when it has settled, and what a restart finds."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from mainspring.errors import DeclarationError, MainspringError
from mainspring.label import MODEL
from mainspring.schedules.sources import WatchSource
from mainspring.schedules.sources.scan import Pattern


class Watch:
    """A watch with a state that goes through JSON, as the store's does, and a clock."""

    def __init__(self, tmp_path: Path, *paths: str, **options: Any) -> None:
        self.folder = tmp_path / "watched"
        self.folder.mkdir(exist_ok=True)
        self.keep = tmp_path / "keep"
        self.options = options
        self.paths = paths or (str(self.folder),)
        self.state: Any = {}
        self.now = 1000.0
        self.source = self.fresh()

    def fresh(self) -> WatchSource:
        return WatchSource(self.paths, self.keep, **self.options)

    def look(self, after: float = 0.0, keep_state: bool = True) -> list[tuple[str, str]]:
        self.now += after
        polled = self.source.poll(self.state, self.now)
        if keep_state:
            self.state = json.loads(json.dumps(polled.state))
        self.ids = [i.id for i in polled.items]
        self.next_at = polled.next_at
        return sorted((i.payload["change"], os.path.relpath(i.payload["path"], self.folder)) for i in polled.items)

    def settled(self) -> list[tuple[str, str]]:
        """What a first and, after the time to settle, a second look find."""
        return self.look() + self.look(3.0)


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    return Watch(tmp_path)


def test_created_changed_removed_each_once(watch: Watch) -> None:
    (watch.folder / "old").write_text("x")
    assert watch.look() == []
    (watch.folder / "new").write_text("1")
    assert watch.settled() == [("created", "new")]
    (watch.folder / "new").write_text("22")
    assert watch.settled() == [("changed", "new")]
    (watch.folder / "old").unlink()
    assert watch.settled() == [("removed", "old")]
    assert watch.settled() == []
    (watch.folder / "old").write_text("x")
    assert watch.settled() == [("created", "old")]


def test_touched_or_written_again_as_it_was_is_no_change(watch: Watch) -> None:
    watch.look()
    (watch.folder / "a").write_text("1")
    watch.settled()
    os.utime(watch.folder / "a", (5, 5))
    assert watch.settled() == []
    (watch.folder / "b").write_text("1")
    os.replace(watch.folder / "b", watch.folder / "a")
    assert watch.settled() == []


def test_half_written_is_not_reported_until_it_rests(watch: Watch) -> None:
    watch.look()
    file = watch.folder / "slow"
    for n in range(5):
        file.write_text("x" * (n + 1))
        assert watch.look(1.9) == []
    assert watch.look(2.0) == [("created", "slow")]


def test_renamed_in_place_counts_as_one_change(watch: Watch) -> None:
    (watch.folder / "a").write_text("1")
    watch.look()
    (watch.folder / "a.new").write_text("2")
    os.replace(watch.folder / "a.new", watch.folder / "a")
    assert watch.settled() == [("changed", "a")]


def test_a_new_process_finds_what_changed_meanwhile(watch: Watch) -> None:
    (watch.folder / "a").write_text("1")
    (watch.folder / "b").write_text("1")
    watch.look()
    (watch.folder / "a").write_text("22")
    (watch.folder / "b").unlink()
    (watch.folder / "c").write_text("3")
    watch.source = watch.fresh()
    assert watch.settled() == [("changed", "a"), ("created", "c"), ("removed", "b")]


def test_killed_before_the_state_was_written_the_same_items_come_again(watch: Watch) -> None:
    watch.look()
    (watch.folder / "a").write_text("1")
    watch.look()
    found = watch.look(3.0, keep_state=False)
    ids = watch.ids
    watch.source = watch.fresh()
    assert watch.look() == found == [("created", "a")]
    assert watch.ids == ids


def test_existing_files_count_when_asked(tmp_path: Path) -> None:
    watch = Watch(tmp_path, existing=True)
    (watch.folder / "a").write_text("1")
    watch.look()
    assert watch.settled() == [("created", "a")]


def test_only_the_changes_that_are_asked_for(tmp_path: Path) -> None:
    watch = Watch(tmp_path, changes=("removed",))
    watch.look()
    (watch.folder / "a").write_text("1")
    assert watch.settled() == []
    (watch.folder / "a").unlink()
    assert watch.settled() == [("removed", "a")]


def test_a_folder_that_is_gone_is_an_error_and_no_removal_of_its_files(watch: Watch) -> None:
    (watch.folder / "a").write_text("1")
    watch.look()
    os.rename(watch.folder, str(watch.folder) + "-unmounted")
    for _ in range(2):
        with pytest.raises(MainspringError, match=r"cannot be watched.*mount it"):
            watch.look(10.0)
    os.rename(str(watch.folder) + "-unmounted", watch.folder)
    assert watch.settled() == []


def test_a_folder_that_cannot_be_read_is_no_removal(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = watch.folder / "closed"
    closed.mkdir()
    (closed / "a").write_text("1")
    (watch.folder / "b").write_text("1")
    watch.look()
    scandir = os.scandir

    def refused(path: Any) -> Any:  # root may read everything, so the mode alone would show nothing
        if str(path) == str(closed):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    (watch.folder / "b").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refused)
        assert watch.settled() == [("removed", "b")]
    assert watch.settled() == []


def test_links_are_not_followed(watch: Watch, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    watch.look()
    (outside / "secret").write_text("1")
    (watch.folder / "folder").symlink_to(outside)
    (watch.folder / "file").symlink_to(outside / "secret")
    (watch.folder / "loop").symlink_to(watch.folder)
    os.mkfifo(watch.folder / "pipe")
    assert watch.settled() == []


def test_names_of_any_bytes(watch: Watch) -> None:
    watch.look()
    for name in ("ünïcödé €.txt".encode(), b"\xff\xfe", b"a\nb", b" "):
        (Path(os.fsdecode(os.fsencode(watch.folder) + b"/" + name))).write_text("1")
    found = watch.settled()
    assert len(found) == 4
    assert ("created", "ünïcödé €.txt") in found
    assert ("created", "\\xff\\xfe") in found
    assert watch.settled() == []


def test_a_clock_that_is_put_back_holds_nothing_up(watch: Watch) -> None:
    watch.look()
    (watch.folder / "a").write_text("1")
    watch.look()
    watch.now -= 1_000_000
    assert watch.look() == []
    assert watch.look(3.0) == [("created", "a")]


def test_what_a_run_wrote_with_its_tools_does_not_count_when_asked(tmp_path: Path, home: Path) -> None:
    from mainspring.tools.provenance import digest_of, provenance

    watch = Watch(tmp_path, not_by_runs=home)
    other = Watch(tmp_path)
    watch.look()
    other.look()
    for name in ("by-run", "by-hand"):
        (watch.folder / name).write_text(name)
    (watch.folder / "copied").write_text("by-run")
    provenance(home).record(watch.folder / "by-run", digest_of(b"by-run"), MODEL, "run-1")
    assert watch.settled() == [("created", "by-hand"), ("created", "copied")]
    assert len(other.settled()) == 3


def test_many_changes_come_in_portions_over_new_snapshots(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    from mainspring.schedules.sources import watch as module

    monkeypatch.setattr(module, "MOST", 7)
    monkeypatch.setattr(module, "_MOST_CHANGES", 10)
    watch.look()
    for n in range(50):
        (watch.folder / f"f{n}").write_text(str(n))
    found = watch.look()
    for _ in range(12):
        found += watch.look(3.0)
        watch.source = watch.fresh()
    assert sorted(found) == sorted(("created", f"f{n}") for n in range(50))
    assert len(list(watch.keep.iterdir())) > 1
    for path in watch.keep.iterdir():
        os.utime(path, (0, 0))
    watch.now = 2e9
    watch.look()
    assert [p.name for p in watch.keep.iterdir()] == [watch.state["snapshot"]]


def test_a_lost_snapshot_is_said(watch: Watch) -> None:
    watch.look()
    shutil.rmtree(watch.keep)
    watch.source = watch.fresh()
    with pytest.raises(MainspringError, match="cannot be read from"):
        watch.look()


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("*.pdf", "a.pdf", True),
        ("*.pdf", "b/a.pdf", False),
        ("**/*.pdf", "a.pdf", True),
        ("**/*.pdf", "b/c/a.pdf", True),
        ("b/**", "b/c/a.pdf", True),
        ("*/a.pdf", "b/a.pdf", True),
        ("?[a-c].txt", "xb.txt", True),
        ("?[!a-c].txt", "xb.txt", False),
        ("[!a]x", "/x", False),
        ("a.b*", "aXb", False),
    ],
)
def test_patterns(pattern: str, path: str, fits: bool) -> None:
    found = Pattern.of(f"/none/*/{pattern}")
    assert found.matches is not None
    assert (found.matches.match(f"x/{path}") is not None) is fits


@pytest.mark.parametrize(
    ("paths", "options", "why"),
    [
        (("relative",), {}, "absolute"),
        (("/a/../b",), {}, "not followed"),
        ((), {}, "at least one"),
        (("/a",), {"changes": ("moved",)}, "moved"),
        (("/a",), {"every_s": 0}, "above 0"),
    ],
)
def test_watches_that_do_not_fit(tmp_path: Path, paths: Any, options: Any, why: str) -> None:
    with pytest.raises(DeclarationError, match=why):
        WatchSource(paths, tmp_path, **options)


def test_inotify_wakes(watch: Watch) -> None:
    async def wait() -> int:
        stop = asyncio.Event()
        woken = 0

        async def write() -> None:
            for n in range(200):  # until somebody has noticed
                (watch.folder / "a").write_text(str(n))
                await asyncio.sleep(0.05)

        writing = asyncio.create_task(write())
        async for _ in watch.source.wakes(stop):
            woken += 1
            break
        writing.cancel()
        return woken

    assert asyncio.run(wait()) == 1


@pytest.mark.slow
def test_a_hundred_thousand_files(watch: Watch) -> None:
    for n in range(100):
        (watch.folder / f"d{n}").mkdir()
        for m in range(1000):
            (watch.folder / f"d{n}" / f"f{m}").touch()
    assert watch.look() == []
    (watch.folder / "d50" / "f500").write_text("x")
    (watch.folder / "d50" / "f501").unlink()
    assert watch.settled() == [("changed", "d50/f500"), ("removed", "d50/f501")]
    assert watch.look(1.0) == []
    assert len(json.dumps(watch.state)) < 2000
