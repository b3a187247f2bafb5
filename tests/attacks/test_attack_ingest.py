"""A folder that is indexed is a stranger's: links, swaps and names must not lead out, launder labels or hang."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mainspring import Library
from mainspring.errors import ToolError
from mainspring.label import Label
from mainspring.library.ingest import fingerprint
from mainspring.library.page import Page, Where
from mainspring.library.read import children, open_file
from mainspring.library.read.protocol import Reading, ReadLimits
from mainspring.library.sight.lines import Sighted

SECRET = "the launch code is 4711"


@pytest.fixture
def library(home: Path) -> Iterator[Library]:
    with Library.open(home=home, embedder="none") as opened:
        yield opened


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "private" / "secret.txt"
    path.parent.mkdir()
    path.write_text(SECRET)
    return path


def texts(library: Library) -> str:
    return "\n".join(p.page.text for d in library.documents() for p in library.catalog.pages_of(d.id))


class Swapping(Library):
    """A library whose files are changed under its hands: `swap` is called right before one is opened."""

    swaps = 1

    def swap(self, path: Path) -> None:
        raise NotImplementedError

    def _open_file(self, path: Path, limits: ReadLimits, label: Label | None = None) -> Reading:
        if self.swaps:
            self.swaps -= 1
            self.swap(path)
        return open_file(path, limits, isolated=False)


def test_control_a_plain_folder_is_indexed_with_what_is_in_it(library: Library, workspace: Path) -> None:
    (workspace / "a.txt").write_text("apples")
    report = library.index(workspace)
    assert (report.indexed, report.failed) == (1, [])
    assert texts(library) == "apples"


def test_links_lead_nowhere(library: Library, workspace: Path, secret: Path) -> None:
    (workspace / "a.txt").write_text("apples")
    (workspace / "file.txt").symlink_to(secret)
    (workspace / "folder").symlink_to(secret.parent)
    (workspace / "up").symlink_to(workspace.parent)
    report = library.index(workspace)
    assert (report.indexed, report.links) == (1, 3)
    assert SECRET not in texts(library)


def test_a_file_swapped_for_a_link_while_it_is_looked_at(home: Path, workspace: Path, secret: Path) -> None:
    class Swapped(Swapping):
        def swap(self, path: Path) -> None:
            path.unlink()
            path.symlink_to(secret)

    (workspace / "a.txt").write_text("apples")
    with Swapped.open(home=home, embedder="none") as library:
        report = library.index(workspace)
        assert SECRET not in texts(library)
        assert library.search("launch") == []
        assert report.failed[0][0] == str(workspace / "a.txt")


def test_a_folder_swapped_for_a_link_and_back(home: Path, workspace: Path, secret: Path) -> None:
    class Swapped(Swapping):
        def swap(self, path: Path) -> None:
            path.parent.rename(workspace / "aside")
            (workspace / "sub").symlink_to(secret.parent)

    (workspace / "sub").mkdir()
    (workspace / "sub" / "secret.txt").write_text("apples")
    with Swapped.open(home=home, embedder="none") as library:
        report = library.index(workspace)
        assert SECRET not in texts(library)
        assert "replaced by a link" in report.failed[0][1]
        (workspace / "sub").unlink()
        (workspace / "aside").rename(workspace / "sub")
        assert library.index(workspace, again=True).indexed == 1
        assert texts(library) == "apples"


def test_a_file_that_changes_while_it_is_read_is_read_again(home: Path, workspace: Path) -> None:
    class Changing(Swapping):
        def swap(self, path: Path) -> None:
            path.write_text(f"version {self.swaps}")

    (workspace / "a.txt").write_text("before")
    with Changing.open(home=home, embedder="none") as library:
        library.swaps = 2
        report = library.index(workspace)
        assert report.indexed == 1
        assert texts(library) == "version 0"
        (workspace / "a.txt").write_text("never at rest")
        library.swaps = 1_000
        report = library.index(workspace)
        assert "it changes while it is read" in report.failed[0][1]
        library.swaps = 0
        (workspace / "a.txt").write_text("at rest")
        assert library.index(workspace).indexed == 1
        assert texts(library) == "at rest"


def test_a_pipe_in_a_files_place_does_not_stop_us(library: Library, workspace: Path) -> None:
    (workspace / "a.txt").write_text("apples")
    library.index(workspace / "a.txt")
    (workspace / "a.txt").unlink()
    os.mkfifo(workspace / "a.txt")
    os.mkfifo(workspace / "pipe.pdf")
    report = library.index(workspace)
    assert (report.indexed, report.removed) == (0, 1)
    with pytest.raises(ToolError, match="no regular file"):
        fingerprint.take(workspace / "pipe.pdf", 1_000)


def test_trust_does_not_pass_to_other_bytes_or_other_files(library: Library, workspace: Path) -> None:
    mine = workspace / "mine.txt"
    mine.write_text("pay nobody")
    library.index(mine, trust=True, by="ann")
    (workspace / "theirs.txt").write_bytes(mine.read_bytes())  # the same bytes are not the same author
    mine.write_text("pay the stranger everything")
    library.index(workspace)
    labels = {Path(d.uri).name: d.label for d in library.documents()}
    assert not labels["mine.txt"].trusted
    assert labels["theirs.txt"] == Label(frozenset({"library"}))
    assert library.search("pay", where=Where(trusted=True)) == []
    mine.write_text("pay nobody")  # nor does it come back with the bytes
    library.index(workspace)
    assert not library.catalog.find(str(mine)).label.trusted  # type: ignore[union-attr]
    library.index(mine, trust=True, by="ann")
    assert library.catalog.find(str(mine)).label.trusted  # type: ignore[union-attr]


def test_a_name_taken_over_by_another_file_after_removal_starts_as_a_strangers(
    library: Library, workspace: Path
) -> None:
    (workspace / "mine.txt").write_text("mine")
    library.index(workspace, trust=True, readers=["ann"], by="ann")
    (workspace / "mine.txt").unlink()
    (workspace / "other.txt").write_text("other")
    library.index(workspace)
    (workspace / "mine.txt").write_text("a stranger's")
    library.index(workspace)
    found = library.catalog.find(str(workspace / "mine.txt"))
    assert found is not None
    assert found.label == Label(frozenset({"library"}), frozenset({"ann"}))


def test_the_same_bytes_for_other_readers_show_nothing_of_the_first(library: Library, workspace: Path) -> None:
    (workspace / "hers").mkdir()
    (workspace / "hers" / "merger with acme.txt").write_text("the quarterly figures")
    library.index(workspace / "hers", readers=["ann"], by="ann")
    (workspace / "public.txt").write_text("the quarterly figures")
    library.index(workspace / "public.txt")
    (hit,) = library.search("quarterly", where=Where(reader="ben"))
    assert hit.page.document.uri.endswith("public.txt")
    assert hit.also == ()
    assert "acme" not in repr(hit)
    assert library.search("acme", where=Where(reader="ben")) == []


def test_a_strangers_ignore_file_takes_nothing_back_that_a_person_left_out(library: Library, workspace: Path) -> None:
    sub = workspace / "theirs"
    sub.mkdir()
    (sub / ".mainspringignore").write_text("!*.secret.txt\n!../**\n")
    (sub / "a.secret.txt").write_text("do not index")
    (sub / "b.txt").write_text("apples")
    library.index(workspace, exclude=["*.secret.txt"])
    assert texts(library) == "apples"


def test_a_huge_ignore_file_and_slow_patterns_are_bounded(library: Library, workspace: Path) -> None:
    (workspace / ("a" * 240 + ".txt")).write_text("apples")
    slow = "*a" * 40 + "!" + "\n" + "**/" * 60 + "x\n"
    (workspace / ".mainspringignore").write_text(slow + "filler\n" * 100_000)
    assert library.index(workspace).indexed == 1


def test_an_endless_file_is_cut_off(workspace: Path) -> None:
    path = workspace / "big.txt"
    with path.open("wb") as file:
        file.truncate(10_000_000)  # sparse: it costs nothing to make
    with pytest.raises(ToolError, match="10,000,000 bytes, and at most 1,000,000 are read"):
        fingerprint.take(path, 1_000_000)


def test_the_librarys_own_files_are_never_its_documents(library: Library, workspace: Path, home: Path) -> None:
    (home / "library" / "default" / "planted.txt").write_text("planted")
    (workspace / "a.txt").write_text("apples")
    library.index([workspace, home], hidden=True)
    assert texts(library) == "apples"


class TakenOver:
    """Reading processes that a file with EXPLOIT in it takes over: each then lies, and tells all that it was given."""

    def __init__(self) -> None:
        self.given: dict[str, list[str]] = {}
        self.taken: set[str] = set()

    def open_file(self, path: Path, limits: ReadLimits, *, circle: str) -> Reading:
        reading = open_file(path, limits, isolated=False)
        given, pages = self.given.setdefault(circle, []), list(reading.pages())
        given += [page.text for page in pages]
        if any("EXPLOIT" in page.text for page in pages):
            self.taken.add(circle)
        if circle in self.taken:
            pages = [replace(page, text=f"Pay Eve. {given} {page.text}") for page in pages]
        reading.pages = lambda: iter(pages)  # type: ignore[method-assign]
        return reading


@pytest.fixture
def exploited(library: Library, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> TakenOver:
    """A stranger's file has taken over what reads for strangers."""
    found = TakenOver()
    monkeypatch.setattr("mainspring.library.read.open_file", found.open_file)
    (workspace / "0.txt").write_text("EXPLOIT")
    (workspace / "ann").mkdir()
    (workspace / "ann" / "old.txt").write_text("plums")
    library.index(workspace / "ann", readers=["ann"])
    library.index(workspace, jobs=1)
    assert "Pay Eve" in texts(library)  # else nothing is said below
    assert "plums" not in texts(library).replace("plums", "", 1)
    return found


def text_of(library: Library, path: Path) -> str:
    document = library.catalog.find(str(path))
    assert document is not None
    return "\n".join(page.page.text for page in library.catalog.pages_of(document.id))


def test_a_reader_taken_over_is_given_nothing_new_of_a_folder_with_readers(
    library: Library, workspace: Path, exploited: TakenOver
) -> None:
    (workspace / "ann" / "new.txt").write_text(SECRET)
    (workspace / "ann" / "old.txt").write_text(SECRET)
    library.index(workspace, jobs=1)  # who may read the folder was said before
    (workspace / "z.txt").write_text("open")
    library.index(workspace)
    assert SECRET not in text_of(library, workspace / "z.txt")
    assert text_of(library, workspace / "ann" / "new.txt") == SECRET


@pytest.mark.parametrize("hers", [{"trust": True, "by": "ann"}, {"readers": ["ann"]}])
def test_a_reader_taken_over_has_no_say_in_what_a_person_vouches_for_or_keeps(
    library: Library, workspace: Path, exploited: TakenOver, hers: dict[str, Any]
) -> None:
    mine, copy = workspace / "mine.txt", workspace / "copy of mine.txt"
    copy.write_text("Pay Ann")
    library.index(workspace)  # the copy is a stranger's, and so is what was read of it
    assert "Pay Eve" in text_of(library, copy)
    mine.write_text("Pay Ann")
    library.index(mine, **hers)
    assert text_of(library, mine) == "Pay Ann"
    library.index(copy, trust=True, by="ann")  # as it is; what was read before is not vouched for
    assert text_of(library, copy) == "Pay Ann"
    assert "Pay Eve" in text_of(library, workspace / "0.txt")


def test_a_file_that_was_trusted_before_it_changed_has_no_say_in_others_that_are(
    library: Library, workspace: Path, exploited: TakenOver
) -> None:
    mine, changed = workspace / "mine.txt", workspace / "changed.txt"
    mine.write_text("Pay Ann")
    changed.write_text("apples")
    library.index([mine, changed], trust=True, by="ann")
    changed.write_text("EXPLOIT")
    library.index([changed, mine], jobs=1, again=True)
    assert text_of(library, mine) == "Pay Ann"


def test_words_are_read_again_before_more_people_may_read_them(
    library: Library, workspace: Path, exploited: TakenOver
) -> None:
    hers = workspace / "ann" / "hers.txt"
    (workspace / "ann" / "1.txt").write_text("EXPLOIT " + SECRET)
    hers.write_text("open")
    library.index(workspace / "ann", jobs=1)
    assert SECRET in text_of(library, hers)
    library.index(hers, trust=True, readers=["ann", "ben"], by="ann")
    assert text_of(library, hers) == "open"


def test_a_scan_that_is_swapped_while_it_is_drawn_is_read_by_nobody(
    library: Library, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OCR takes minutes over a long scan, and what it reads gets the label of what was there before."""
    seen: list[tuple[int, int, int]] = []

    class Eyes:
        workers = 1

        def read(self, image: Image.Image, *, circle: str = "") -> Sighted:
            seen.append(image.convert("RGB").getpixel((30, 20)))  # type: ignore[arg-type]
            return Sighted()

        def close(self) -> None:
            return None

    def opened(path: Path, limits: ReadLimits, *, circle: str) -> Reading:
        reading = open_file(path, limits, isolated=False)
        if swap:
            data = path.read_bytes()
            Image.new("RGB", (60, 40), swap.pop()).save(path)

            def put_back(number: int, width: int) -> Image.Image:
                drawn = Image.open(path).convert("RGB")
                path.write_bytes(data)
                return drawn

            reading.render = put_back  # type: ignore[method-assign]
        return reading

    swap: list[str] = []
    scan = workspace / "scan.png"
    Image.new("RGB", (60, 40), "white").save(scan)
    library.index(scan, trust=True, by="ann", ocr="off")
    monkeypatch.setattr("mainspring.library.read.open_file", opened)
    monkeypatch.setattr(Library, "_eyes", lambda self: Eyes())
    swap.append("red")
    assert library.read_pictures().read == 0
    assert library.read_pictures().read == 1
    assert seen == [(255, 255, 255)]


@pytest.mark.parametrize("stage", ["read", "draw"])
def test_what_was_swapped_in_and_seemed_broken_leaves_no_reader_behind(home: Path, workspace: Path, stage: str) -> None:
    """A file that takes its reader over lets it say that the file is broken, and wait for the next one."""

    class Swapped(Library):
        swap = False

        def _open_file(self, path: Path, limits: ReadLimits, label: Label | None = None) -> Reading:
            if self.swap:
                path.write_bytes(b"\x89PNG EXPLOIT")
            return super()._open_file(path, limits, label)

    Image.new("RGB", (60, 40), "white").save(workspace / "scan.png")
    children.close_readers()
    with Swapped.open(home=home, embedder="none") as library:
        library.index(workspace / "scan.png", trust=True, by="ann", ocr="off")
        assert len(children.pool._idle) == 1
        library.swap = True
        if stage == "read":
            assert library.index(workspace, again=True, ocr="off").failed
        else:
            (page,) = library.catalog.pages_of(library.documents()[0].id)
            with pytest.raises(ToolError, match="it has changed"):
                library.picture(page)
        assert children.pool._idle == []


def test_pages_of_a_file_that_is_swapped_never_stand_under_the_label_of_the_other(home: Path, workspace: Path) -> None:
    """Pages come in by the hundred, each batch found at once: also while the rest is read, or after a kill."""
    found: list[int] = []

    class Swapped(Library):
        swap = False

        def _open_file(self, path: Path, limits: ReadLimits, label: Label | None = None) -> Reading:
            reading = open_file(path, limits, isolated=False)
            if not self.swap:
                return reading
            path.write_text("EXPLOIT")
            page = next(iter(reading.pages()))

            def pages() -> Iterator[Page]:
                for number in range(1, 1_500):
                    yield replace(page, number=number, text=f"EXPLOIT {number}")
                    found.append(len(self.search("EXPLOIT", where=Where(trusted=True))))

            reading.pages = pages  # type: ignore[method-assign]
            return reading

    mine = workspace / "mine.txt"
    mine.write_text("Pay Ann")
    with Swapped.open(home=home, embedder="none") as library:
        library.index(mine, trust=True, by="ann")
        library.swap = True
        library.index(mine, again=True)
        assert sum(found) == 0
