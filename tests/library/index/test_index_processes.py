"""Several processes and threads on one index."""

from __future__ import annotations

import os
import sqlite3
import threading
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from index_world import SPACE, vectors

from mainspring.errors import StoreError
from mainspring.library.index import build, cascade, locks, maintain, manifest, open_index

GROUP = 12


def forked(work) -> int:
    """Run `work` in a child process, which fails when it raises."""
    child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(1)


def ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_readers_see_whole_changes_while_another_process_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer replaces a group of pages at a time, always by vectors of one version, and compacts between."""
    monkeypatch.setattr(cascade, "SEGMENT_TOKENS", 150)
    monkeypatch.setattr(maintain, "FEW", 10)
    folder = tmp_path / "index"
    first = open_index(folder, SPACE)
    first.add([(page, vectors(0, 4)) for page in range(GROUP)])
    first.close()

    def write() -> None:
        index = open_index(folder, SPACE)
        for version in range(1, 60):
            index.add([(page, vectors(version, 4)) for page in range(GROUP)])
            if version % 7 == 0:
                index.compact()

    writer = forked(write)
    index = open_index(folder, SPACE)
    seen = set()
    while not (done := os.waitpid(writer, os.WNOHANG))[0]:
        near = index.search(vectors(0, 4), GROUP + 1)
        assert sorted(hit.page for hit in near) == list(range(GROUP))
        scores = [round(hit.score, 1) for hit in near]
        assert len(set(scores)) <= 2, scores  # one version, up to rounding
        seen.add(scores[0])
    assert os.waitstatus_to_exitcode(done[1]) == 0
    assert len(seen) > 1
    assert np.abs(index.vectors(3) - vectors(59, 4)).max() < 0.01
    assert index.check() == []


def test_two_writing_processes_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cascade, "SEGMENT_TOKENS", 100)
    folder = tmp_path / "index"
    open_index(folder, SPACE).close()

    def write(base: int) -> None:
        index = open_index(folder, SPACE)
        for page in range(base, base + 60):
            index.add([(page, vectors(page, 5)), (5_000, vectors(base, 3))])
            if page % 3 == 0:
                index.remove([page])
            if page % 20 == 0:
                index.compact()

    children = [forked(lambda base=base: write(base)) for base in (1_000, 2_000, 3_000)]
    assert [ended(child) for child in children] == [0, 0, 0]
    index = open_index(folder, SPACE)
    expected = [page for base in (1_000, 2_000, 3_000) for page in range(base, base + 60) if page % 3]
    assert index.ids().tolist() == [*expected, 5_000]
    assert index.check() == []


def test_threads_share_one_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cascade, "SEGMENT_TOKENS", 200)
    index = open_index(tmp_path / "index", SPACE)
    failures: list[BaseException] = []

    def work(base: int) -> None:
        try:
            for page in range(base, base + 40):
                index.add([(page, vectors(page, 6))])
                assert index.search(vectors(page, 6), 1)[0].page == page
                if page % 4 == 0:
                    assert index.remove([page]) == 1
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(base,)) for base in (100, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(index.ids()) == 90


def test_a_writer_that_waits_too_long_says_so_and_readers_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    index = cascade.CascadeIndex(folder, SPACE, wait_s=0.05)
    index.add([(1, vectors(1, 3))])
    other = sqlite3.connect(folder / manifest.NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="another writer holds the index"):
        index.add([(2, vectors(2, 3))])
    with pytest.raises(StoreError, match="another writer holds the index"):
        index.remove([1])
    assert index.search(vectors(1, 3), 1)[0].page == 1
    other.execute("ROLLBACK")
    index.add([(2, vectors(2, 3))])
    assert index.ids().tolist() == [1, 2]


def test_compaction_waits_for_another_and_adds_do_not(tmp_path: Path) -> None:
    index = cascade.CascadeIndex(tmp_path / "index", SPACE, wait_s=0.05)
    with locks.held(tmp_path / "index" / "merge.lock", 0.0, "testing"):
        with pytest.raises(StoreError, match="another process is compacting"):
            index.compact()
        index.add([(page, vectors(page, 40)) for page in range(900)])
    assert index.stats()["pages"] == 900


def test_a_file_that_is_swept_before_it_is_locked_is_not_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process may open the index, and so delete leftovers, just between a file's creation and its lock."""
    index = open_index(tmp_path / "index", SPACE)
    other = open_index(tmp_path / "index", SPACE)
    real, swept = locks.lock, []

    def lock(fd: int) -> bool:
        if not swept:
            swept.append(0)  # before the sweep, which locks as well
            swept[0] = other.sweep()
        return real(fd)

    monkeypatch.setattr(locks, "lock", lock)
    index.add([(page, vectors(page, 40)) for page in range(900)])
    assert swept == [1]
    assert index.stats()["segments"] == 1
    index.close()
    assert open_index(tmp_path / "index", SPACE).check() == []


def test_a_file_that_another_holds_for_sweeping_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep has the lock, and has asked the manifest, but has not yet deleted the file."""
    index = open_index(tmp_path / "index", SPACE)
    held: list[int] = []
    condemned: list[Path] = []
    real = locks.lock

    def lock(fd: int) -> bool:
        if not held:
            (path,) = (tmp_path / "index").glob("segment-*.vec")
            held.append(os.open(path, os.O_RDONLY))
            condemned.append(path)
            assert real(held[0])
        return real(fd)

    monkeypatch.setattr(locks, "lock", lock)
    index.add([(page, vectors(page, 40)) for page in range(900)])
    condemned[0].unlink()
    os.close(held[0])
    index.close()
    assert open_index(tmp_path / "index", SPACE).check() == []


def test_a_forked_child_opens_its_own_connections(tmp_path: Path) -> None:
    index = open_index(tmp_path / "index", SPACE)
    index.add([(1, vectors(1, 3))])
    child = forked(lambda: index.add([(2, vectors(2, 3))]))
    assert ended(child) == 0
    assert index.ids().tolist() == [1, 2]
    index.add([(3, vectors(3, 3))])
    assert index.ids().tolist() == [1, 2, 3]


def test_a_state_that_is_being_read_outlives_the_files_of_its_segments(tmp_path: Path) -> None:
    index = open_index(tmp_path / "index", SPACE)
    index.add([(page, vectors(page, 40)) for page in range(900)])
    old = index.state()
    index.remove(range(0, 900, 2))
    other = open_index(tmp_path / "index", SPACE)
    other.compact()
    other.add([(5, vectors(1, 1))])
    assert old.live[0].segment.page(4).shape == (40, 16)
    assert len(old.ids) == 900
    assert index.ids().tolist() == list(range(1, 900, 2))


def test_a_calibration_that_is_dropped_while_a_segment_is_written_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process joins everything by what it learns anew, between the writing of a segment and its naming."""
    index = open_index(tmp_path / "index", SPACE)
    index.add([(page, vectors(page, 40)) for page in range(900)])
    other = open_index(tmp_path / "index", SPACE)
    other.add([(page, vectors(page, 40)) for page in range(1_000, 1_900)])
    real = build.from_pages

    def made(*arguments: Any) -> Any:
        monkeypatch.setattr(cascade, "from_pages", real)
        found = real(*arguments)
        other.compact()
        return found

    monkeypatch.setattr(cascade, "from_pages", made)
    index.add([(page, vectors(page, 40)) for page in range(2_000, 2_900)])
    assert len({live.calibration.id for live in index.state().live}) == 2
    for each in (index, other, open_index(tmp_path / "index", SPACE)):
        assert len(each.ids()) == 2_700
        assert [each.search(vectors(page, 5), 1)[0].page for page in (7, 1_007, 2_007)] == [7, 1_007, 2_007]
    other.compact()
    assert len({live.calibration.id for live in other.state().live}) == 1
    assert other.check() == []
