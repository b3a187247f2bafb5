"""Scans and pictures are read after the text, and their words come in place of nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont

from library_filled import WordsEmbedder
from mainspring import Library
from mainspring.errors import ModelError, ToolError
from mainspring.label import Label
from mainspring.library.embed.protocol import Picture
from mainspring.library.ingest.report import Meter
from mainspring.library.ingest.seeing import merged
from mainspring.library.page import Box, Page, Region, Where
from mainspring.library.sight.lines import Line, Sighted


class Eyes:
    """Reads the same from each picture; dark ones cannot be read."""

    workers = 2

    def __init__(self) -> None:
        self.read_pictures = 0
        self.circles: list[str] = []

    def read(self, image: Image.Image, *, circle: str = "") -> Sighted:
        self.read_pictures += 1
        self.circles.append(circle)
        if image.convert("L").getextrema() == (0, 0):
            raise ToolError("the picture is black")
        return Sighted((Line("words on a picture", Box(0.1, 0.1, 0.9, 0.2), 0.9),), (0,))

    def close(self) -> None:
        return None


class Seeing(Library):
    """A library with made eyes."""

    eyes: Any = None

    def _eyes(self) -> Any:
        if self.eyes is None:
            raise ModelError("the models of OCR are not here")
        return self.eyes


@pytest.fixture
def library(home: Path) -> Iterator[Seeing]:
    with Seeing.open(home=home, embedder="none") as opened:
        opened.eyes = Eyes()
        yield opened


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("RGB", (200, 100), "white").save(folder / "white.png")
    Image.new("RGB", (300, 100), "white").save(folder / "scan.pdf")
    (folder / "notes.txt").write_text("apples")
    return folder


def words(library: Library) -> list[str]:
    return sorted(Path(hit.page.document.uri).name for hit in hits(library))


def hits(library: Library) -> list[Any]:
    found = library.search("picture words", mode="text")
    return [type("Hit", (), {"page": page}) for hit in found for page in (hit.page, *hit.also)]


def test_pictures_are_read_in_the_background(library: Seeing, pictures: Path) -> None:
    report = library.index(pictures)
    assert (report.indexed, report.unread) == (3, 2)
    library.wait()
    assert words(library) == ["scan.pdf", "white.png"]
    assert {hit.page.page.source for hit in hits(library)} == {"ocr"}
    assert library.stats()["ocr_wanted"] == 0
    assert library.check() == []


def test_pictures_are_read_at_once_or_not_at_all(library: Seeing, pictures: Path) -> None:
    assert library.index(pictures, ocr="off").unread == 2
    library.wait()
    assert words(library) == []
    report = library.index(pictures, ocr="now")
    assert (report.read, report.unread) == (2, 0)
    assert words(library) == ["scan.pdf", "white.png"]
    assert library.index(pictures, ocr="now").read == 0
    assert library.eyes.read_pictures == 2


def test_a_picture_that_cannot_be_read_is_tried_again_only_when_asked(library: Seeing, pictures: Path) -> None:
    Image.new("RGB", (50, 50), "black").save(pictures / "black.png")
    library.index(pictures, ocr="now")
    assert [problem for _, _, problem in library.catalog.problems()] == ["the picture is black"]
    before = library.eyes.read_pictures
    library.read_pictures()
    assert library.eyes.read_pictures == before
    library.read_pictures(again=True)
    assert library.eyes.read_pictures == before + 1
    assert library.stats()["ocr_failed"] == 1


def test_a_picture_that_changed_waits_for_the_next_run(library: Seeing, pictures: Path) -> None:
    library.index(pictures, ocr="off")
    Image.new("RGB", (200, 101), "white").save(pictures / "white.png")
    assert library.read_pictures().read == 1
    assert words(library) == ["scan.pdf"]
    library.index(pictures, ocr="now")
    assert words(library) == ["scan.pdf", "white.png"]


def test_without_models_texts_are_searchable_and_the_run_says_so(library: Seeing, pictures: Path) -> None:
    library.eyes = None
    report = library.index(pictures, ocr="now")
    assert report.indexed == 3
    assert report.notes == ["scans and pictures are not read: the models of OCR are not here"]
    assert library.search("apples")


def test_stopping_leaves_pages_waiting(library: Seeing, pictures: Path) -> None:
    library.index(pictures, ocr="off")
    library._stopped = threading.Event()
    library._stopped.set()
    report = library.read_pictures()
    assert (report.read, report.unread, report.interrupted) == (0, 2, True)


def test_a_picture_finds_what_looks_like_it(library: Seeing, pictures: Path) -> None:
    for name, shape in (("disc", (20, 20, 120, 120)), ("bar", (0, 60, 200, 80))):
        picture = Image.new("RGB", (200, 150), "orange")
        ImageDraw.Draw(picture).ellipse(shape, fill="navy")
        picture.save(pictures / f"{name}.png")
    library.index(pictures, ocr="off")
    copy = Image.open(pictures / "disc.png").resize((100, 75))
    copy.save(pictures.parent / "small.jpg", quality=70)
    for mode in ("meaning", "hybrid"):
        found = find(library, pictures.parent / "small.jpg", mode)
        assert found[0] == "disc.png"
    library.forget(pictures / "disc.png", by="ann")
    assert "disc.png" not in find(library, pictures.parent / "small.jpg", "meaning")


def find(library: Library, picture: Path, mode: Any) -> list[str]:
    return [Path(hit.page.document.uri).name for hit in library.search(Picture(picture), mode=mode)]


def test_words_of_a_picture_are_put_behind_the_text_of_its_page() -> None:
    page = Page(
        1, "A caption", (Region(0, 9, "caption", Box(0, 0.8, 1, 0.9)), Region(0, 0, "figure", Box(0, 0, 1, 0.7))),
        pictured=True, unread=0.7,
    )  # fmt: skip
    lines = (
        Line("axis", Box(0.1, 0.1, 0.3, 0.2), 0.9),
        Line("label", Box(0.5, 0.1, 0.7, 0.2), 0.9),
        Line("A caption", Box(0.1, 0.81, 0.9, 0.89), 0.9),
    )
    seen = merged(page, Sighted(lines, (0, 0, 1)), 1_000)
    assert seen.text == "A caption\naxis label"
    assert [seen.text[r.start : r.end] for r in seen.regions] == ["A caption", "", "axis", "label"]
    assert seen.unread == 0
    assert merged(page, Sighted(lines, (0, 0, 1)), 15).text == "A caption\naxis"


@pytest.mark.slow
def test_a_scan_is_found_by_what_it_says(home: Path, tmp_path: Path) -> None:
    picture = Image.new("RGB", (900, 200), "white")
    ImageDraw.Draw(picture).text((30, 60), "Invoice 4711 for the boiler", "black", ImageFont.load_default(48))
    picture.save(tmp_path / "scan.pdf")
    with Library.open(home=home, embedder="none") as library:
        library.index(tmp_path / "scan.pdf", ocr="now")
        (hit,) = library.search("boiler invoice")
        assert hit.snippet == "Invoice 4711 for the boiler"
        assert hit.box is not None
        assert library.picture(hit.page, 300).width == 300
        Path(hit.page.document.uri).write_bytes(b"another")
        with pytest.raises(ToolError, match=r"cannot be shown: it has changed since it was read; index it again"):
            library.picture(hit.page, 300)
        assert library.forget(hit.page.document.id, by="ann") == 1
        assert not (library.folder / "ocr").exists()


def test_only_a_few_pages_are_drawn_before_they_are_read(library: Seeing, tmp_path: Path) -> None:
    scan = tmp_path / "scan.pdf"
    pages = [Image.new("RGB", (60, 40), (255, 255, 200 + n)) for n in range(30)]
    pages[0].save(scan, save_all=True, append_images=pages[1:])
    drawn: list[int] = []
    ahead: list[int] = []
    library._open_file = _Counting(library._open_file, drawn)  # type: ignore[assignment, method-assign]
    read = library.eyes.read

    def counted(image: Image.Image, *, circle: str = "") -> Sighted:
        ahead.append(len(drawn) - len(ahead))
        return read(image, circle=circle)  # type: ignore[no-any-return]

    library.eyes.read = counted
    assert library.index(scan, ocr="now").read == len(drawn) == 30
    assert max(ahead) <= 2 * library.eyes.workers + 1  # else a long scan fills the memory with its pictures


def test_what_is_removed_leaves_the_index_of_looks_too(library: Seeing, pictures: Path) -> None:
    library.index(pictures, ocr="now")
    looks = library._meaning.kept_looks()
    assert looks is not None
    before = set(looks.index.ids())
    document = library.catalog.find(str(pictures / "white.png"))
    assert document is not None
    gone = {page.id for page in library.catalog.pages_of(document.id)} & before
    assert gone
    library.remove(document.id)
    library.compact()
    assert set(looks.index.ids()) == before - gone


def test_the_last_picture_that_goes_and_one_that_is_forgotten_leave_the_index_of_looks(
    library: Seeing, pictures: Path
) -> None:
    for other in pictures.iterdir():
        other.unlink()
    path = pictures / "red.png"
    Image.new("RGB", (80, 60), "red").save(path)
    (pictures / "a.txt").write_text("words")  # else the folder counts as one whose disk is missing
    library.index(pictures, ocr="off")
    looks = library._meaning.kept_looks()
    assert looks is not None
    assert len(looks.index.ids()) == 1
    library.forget(path, by="ann")
    assert len(looks.index.ids()) == 0
    library.index(path, ocr="off")
    assert len(looks.index.ids()) == 1
    path.unlink()
    library.index(pictures, ocr="off")
    assert len(looks.index.ids()) == 0


def test_forgetting_drops_what_was_read_beside_the_text_of_a_page(library: Seeing, pictures: Path) -> None:
    library.index(pictures, ocr="off")
    cache = library.folder / "ocr" / "read.sqlite"
    cache.parent.mkdir()
    cache.write_bytes(b"words on a picture, kept by its pixels")
    assert library.forget(pictures / "notes.txt", by="ann") == 1  # a page of text may have had pictures on it
    assert not cache.exists()


def test_a_file_that_has_changed_gives_no_vectors_to_the_page_that_was_read(home: Path, tmp_path: Path) -> None:
    scan = tmp_path / "scan.png"
    Image.new("RGB", (80, 60), "white").save(scan)
    with Library.open(home=home, embedder="none") as library:
        library.index(scan, ocr="off")
        pages = library.catalog.pages(library.catalog.among(Where()).tolist())
        side = library._meaning.looks()
        assert side is not None
        side.index.remove(page.id for page in pages)
        Image.new("RGB", (80, 60), "navy").save(scan)  # between reading and encoding
        library._encoding(side).run(Meter("encode", None))
        assert len(side.index.vectors(pages[0].id)) == 0
        ((page, stage, why),) = library.catalog.problems()
        assert (page, stage) == (pages[0].id, "encode")
        assert "has changed since it was read" in why


def test_pictures_are_read_by_processes_of_their_own_circle(library: Seeing, pictures: Path) -> None:
    library.index(pictures, ocr="now")
    assert set(library.eyes.circles) == {Label(frozenset({"library"})).encode()}
    (pictures / "hers.png").write_bytes((pictures / "white.png").read_bytes())
    library.index(pictures / "hers.png", readers=["ann"], ocr="now")
    assert library.eyes.circles[-1] == Label(frozenset({"library"}), frozenset({"ann"})).encode()


def test_what_ocr_reads_is_encoded_without_a_look_at_all_other_pages(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    for n in range(9):
        Image.new("RGB", (80, 60), (200 + n, 250, 250)).save(tmp_path / f"{n}.png")
    eyes = Eyes()
    monkeypatch.setattr(Library, "_eyes", lambda self: eyes)
    embedder, looked = WordsEmbedder(), 0
    library = Library.open(home=home, embedder=embedder)
    request.addfinalizer(library.close)
    library.index(tmp_path, ocr="off")
    real = library.catalog.among

    def counted(where: Where) -> Any:
        nonlocal looked
        looked += 1
        return real(where)

    monkeypatch.setattr(library.catalog, "among", counted)
    before = embedder.encoded
    report = library.read_pictures()
    looks_of_9 = looked
    assert (report.read, report.encoded, report.unencoded) == (9, 9, 0)
    assert embedder.encoded - before == 3  # in three batches, each of one text
    assert library.check() == []
    assert {len(library.search("words on a picture", k=20, mode=mode)) for mode in ("text", "meaning")} == {1}
    for n in range(9):
        Image.new("RGB", (80, 60), (250, 200 + n, 250)).save(tmp_path / f"{n}.png")
    library.index(tmp_path / "0.png", ocr="off")
    looked = 0
    assert library.read_pictures().read == 1
    assert looked == looks_of_9  # however many pages are read


class Captioned(Library):
    """A library whose pictures come with a text that is always the same."""

    def _open_file(self, path: Path, *more: Any) -> Any:
        reading = super()._open_file(path, *more)
        (page,) = reading.pages()
        reading.pages = lambda: iter([replace(page, text="A caption", unread=0.0)])  # type: ignore[method-assign]
        return reading


def test_a_page_whose_text_stays_and_whose_picture_changes_is_encoded_anew(home: Path, tmp_path: Path) -> None:
    for images, encoded in ((True, 2), (False, 1)):
        embedder, path = WordsEmbedder(images=images), tmp_path / "a.png"
        with Captioned.open(f"of {encoded}".replace(" ", "-"), home=home, embedder=embedder) as library:
            for colour in ("white", "navy"):
                Image.new("RGB", (80, 60), colour).save(path)
                library.index(path, ocr="off")
            assert embedder.encoded == encoded
            assert library.check() == []


class _Counting:
    """Opens files and notes which pages are drawn."""

    def __init__(self, opener: Any, drawn: list[int]) -> None:
        self.opener, self.drawn = opener, drawn

    def __call__(self, path: Path, *more: Any) -> Any:
        reading = self.opener(path, *more)
        render, drawn = reading.render, self.drawn

        def noted(number: int, width: int) -> Any:
            drawn.append(number)
            return render(number, width)

        reading.render = noted
        return reading
