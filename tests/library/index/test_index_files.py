"""Damaged files, other versions, full disks: a clear error, and nothing is overwritten."""

from __future__ import annotations

import os
import resource
import sqlite3
from pathlib import Path

import pytest
from index_world import DIM, SPACE, vectors

from mainspring.errors import StoreError
from mainspring.library.embed.protocol import Space
from mainspring.library.index import manifest, open_index
from mainspring.library.index.segment import HEADER


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An index of one segment and three waiting pages."""
    index = open_index(tmp_path / "index", SPACE)
    index.add([(page, vectors(page, 40)) for page in range(1_000)])
    index.add([(page, vectors(page, 4)) for page in range(2_000, 2_003)])
    index.close()
    return tmp_path / "index"


def segment(folder: Path) -> Path:
    (path,) = folder.glob("segment-*.vec")
    return path


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 0x10]))


def everything(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("segment-*")}


def test_it_is_the_same_after_closing(folder: Path) -> None:
    index = open_index(folder, SPACE)
    assert index.stats()["pages"] == 1_003
    assert index.stats()["waiting"] == 3
    assert index.check() == []


@pytest.mark.parametrize("damage", ["short", "long", "header", "directory"])
def test_a_damaged_segment_is_named_at_opening(folder: Path, damage: str) -> None:
    path = segment(folder)
    if damage == "short":
        os.truncate(path, path.stat().st_size - 5_000)
    elif damage == "long":
        path.write_bytes(path.read_bytes() + b"more")
    else:
        flip(path, 40 if damage == "header" else HEADER + 17)
    before = everything(folder)
    with pytest.raises(StoreError) as raised:
        open_index(folder, SPACE)
    assert path.name in str(raised.value)
    assert "damaged" in str(raised.value)
    assert "index again" in str(raised.value)
    assert everything(folder) == before


def test_a_flipped_bit_among_the_vectors_is_found_by_check(folder: Path) -> None:
    path = segment(folder)
    flip(path, path.stat().st_size // 2)
    index = open_index(folder, SPACE)
    (said,) = index.check()
    assert path.name in said


def test_a_damaged_row_of_the_manifest_is_found(folder: Path) -> None:
    with sqlite3.connect(folder / manifest.NAME) as connection:
        connection.execute("UPDATE pending SET vectors = zeroblob(length(vectors)) WHERE page = 2001")
    connection.close()
    with pytest.raises(StoreError, match="row 2 of the index manifest"):
        open_index(folder, SPACE)


def test_a_missing_segment(folder: Path) -> None:
    name = segment(folder).name
    segment(folder).unlink()
    with pytest.raises(StoreError, match=f"{name} is missing"):
        open_index(folder, SPACE)


def test_a_missing_manifest_does_not_lead_to_an_empty_index(folder: Path) -> None:
    for path in folder.glob("manifest.sqlite*"):
        path.unlink()
    before = everything(folder)
    with pytest.raises(StoreError, match=r"has segments but no manifest\.sqlite"):
        open_index(folder, SPACE)
    assert everything(folder) == before


def test_a_manifest_that_is_no_database(folder: Path) -> None:
    (folder / manifest.NAME).write_bytes(b"something else entirely " * 400)
    before = everything(folder)
    with pytest.raises(StoreError, match=r"manifest\.sqlite is damaged"):
        open_index(folder, SPACE)
    assert everything(folder) == before


def test_a_database_of_something_else(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / manifest.NAME) as connection:
        connection.execute("CREATE TABLE songs (title)")
    connection.close()
    with pytest.raises(StoreError, match="something else"):
        open_index(tmp_path, SPACE)


def test_a_newer_version(folder: Path) -> None:
    with sqlite3.connect(folder / manifest.NAME) as connection:
        connection.execute("UPDATE meta SET value = 7 WHERE key = 'format'")
    connection.close()
    with pytest.raises(StoreError, match=r"has format 7, and this Mainspring knows format 2"):
        open_index(folder, SPACE)


@pytest.mark.parametrize(
    "space",
    [
        Space("other", "1", DIM),
        Space("test", "2", DIM),
        Space("test", "1", 32),
        Space("test", "1", DIM, multi=False),
    ],
)
def test_another_space_is_refused_with_both_names(folder: Path, space: Space) -> None:
    with pytest.raises(StoreError) as raised:
        open_index(folder, space)
    assert SPACE.id in str(raised.value)
    assert space.id in str(raised.value)
    assert open_index(folder, SPACE).stats()["pages"] == 1_003


def test_centred_or_not_is_part_of_the_space(folder: Path) -> None:
    with pytest.raises(StoreError, match="was made not centred"):
        open_index(folder, Space("test", "1", DIM, centred=True))


def test_what_a_killed_process_left_is_deleted_and_strange_files_stay(folder: Path) -> None:
    (folder / "segment-0123456789abcdef.vec").write_bytes(b"half of a segment")
    (folder / "notes.txt").write_text("mine")
    index = open_index(folder, SPACE)
    assert not (folder / "segment-0123456789abcdef.vec").exists()
    assert (folder / "notes.txt").read_text() == "mine"
    assert index.stats()["pages"] == 1_003


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "index").write_text("a file")
    with pytest.raises(StoreError, match="cannot be made"):
        open_index(tmp_path / "index", SPACE)


def test_a_closed_index_says_so(folder: Path) -> None:
    index = open_index(folder, SPACE)
    index.close()
    with pytest.raises(StoreError, match="is closed"):
        index.search(vectors(1, 2))
    with pytest.raises(StoreError, match="is closed"):
        index.add([(1, vectors(1, 2))])


@pytest.mark.parametrize("pages", [30, 2_000])
def test_a_full_disk_changes_nothing(folder: Path, pages: int) -> None:
    """The kernel refuses to let files grow in a child process, as it does when the disk is full."""
    before = open_index(folder, SPACE)
    ids = before.ids().tolist()
    before.close()
    child = os.fork()
    if not child:
        try:
            index = open_index(folder, SPACE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
            try:
                index.add([(page, vectors(page, 200)) for page in range(500, 500 + pages)])
            except StoreError as error:
                os._exit(0 if "free some space" in str(error) else 2)
            os._exit(3)
        finally:
            os._exit(4)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    index = open_index(folder, SPACE)
    assert index.ids().tolist() == ids
    assert index.check() == []
    assert index.vectors(600).shape == (40, DIM)
    assert len(list(folder.glob("segment-*"))) == 1
    index.add([(9_000, vectors(9_000, 3))])
    assert index.search(vectors(9_000, 3), 1)[0].page == 9_000


def test_what_is_removed_leaves_no_byte_in_the_manifest(tmp_path: Path) -> None:
    index = open_index(tmp_path, SPACE)
    index.add([(page, vectors(page, 4)) for page in range(6)])
    with sqlite3.connect(tmp_path / manifest.NAME) as connection:
        (kept,) = connection.execute("SELECT vectors FROM pending WHERE page = 2").fetchone()
    connection.close()
    pieces = [kept[at : at + 24] for at in range(0, len(kept) - 24, 24)]
    index.remove([2])
    index.compact()
    left = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert [piece for piece in pieces if piece in left] == []


def test_an_index_says_its_own_space(folder: Path, tmp_path: Path) -> None:
    found = manifest.space_of(folder)
    assert found is not None
    assert (found.id, found.multi, found.centred) == (SPACE.id, SPACE.multi, SPACE.centred)
    index = open_index(folder, found)
    assert index.remove([2_001]) == 1
    assert manifest.space_of(tmp_path) is None
