"""PDF: order, places, kinds of regions, what nobody sees, damaged and strange files."""

from __future__ import annotations

from pathlib import Path

import pytest
from library_made import PdfPage, pdf, write

from mainspring.errors import ToolError
from mainspring.library.page import Page, Region
from mainspring.library.read import ReadLimits, open_file
from mainspring.library.read.protocol import Reading

PROSE = "The quick brown fox jumps over the lazy dog"


def opened(tmp_path: Path, *pages: PdfPage, **more: object) -> Reading:
    return open_file(write(tmp_path, "a.pdf", pdf(list(pages), **more)), isolated=False)  # type: ignore[arg-type]


def only(tmp_path: Path, page: PdfPage) -> tuple[Page, Reading]:
    reading = opened(tmp_path, page)
    return next(iter(reading.pages())), reading


def region(page: Page, words: str) -> Region:
    at = page.text.index(words)
    return next(one for one in page.regions if one.start <= at < one.end)


def test_title_outline_and_boxes(tmp_path: Path) -> None:
    first = PdfPage().text(60, 780, "A big title", 22).lines(60, 740, [PROSE] * 5)
    reading = opened(
        tmp_path, first, PdfPage().text(60, 700, "more"), title="Named", outline=[("Intro", 0), ("Use", 1)]
    )
    pages = list(reading.pages())
    assert reading.about.title == "Named"
    assert [page.heading for page in pages] == ["Intro", "Use"]
    assert (pages[0].width, pages[0].height, pages[0].pictured) == (595, 842, True)
    title = region(pages[0], "A big title")
    assert title.kind == "title"
    assert title.box is not None
    assert title.box.left == pytest.approx(60 / 595, abs=0.01)
    assert title.box.bottom == pytest.approx((842 - 780) / 842, abs=0.01)
    assert region(pages[0], "quick").kind == "text"


def test_without_an_outline_large_words_are_the_headings(tmp_path: Path) -> None:
    one = PdfPage().text(60, 780, "Chapter", 24).lines(60, 740, [PROSE] * 5)
    two = PdfPage().text(60, 780, "Part", 16).lines(60, 740, [PROSE] * 5)
    assert [page.heading for page in opened(tmp_path, one, two).pages()] == ["Chapter", "Chapter > Part"]


def test_two_columns_are_read_one_after_the_other(tmp_path: Path) -> None:
    page = PdfPage().text(60, 790, "Over both columns", 20)
    for n in range(10):  # drawn row by row, as some programs do
        page.text(60, 740 - 14 * n, f"left {n} {PROSE[:30]}").text(320, 740 - 14 * n, f"right {n} {PROSE[:30]}")
    text = only(tmp_path, page)[0].text
    words = [word for word in text.split() if word in ("left", "right")]
    assert words == ["left"] * 10 + ["right"] * 10
    assert text.startswith("Over both columns")


def test_a_table_keeps_its_rows_and_has_its_caption(tmp_path: Path) -> None:
    page = PdfPage().text(60, 720, "Table 2 Prices of fruit").lines(60, 400, [PROSE] * 4)
    for n, row in enumerate(
        [["Name", "Qty", "Price"], ["Apple", "3", "1.20"], ["Pear", "14", "0.90"], ["Fig", "5", "2"]]
    ):
        for m, cell in enumerate(row):
            page.text(60 + 150 * m, 700 - 16 * n, cell)
    made = only(tmp_path, page)[0]
    table = region(made, "Apple")
    assert table.kind == "table"
    assert made.text[table.start : table.end].split("\n")[1] == "Apple | 3 | 1.20"
    assert region(made, "Table 2").kind == "caption"
    assert region(made, "quick").kind == "text"


def test_pictures_are_figures_and_count_as_unread(tmp_path: Path) -> None:
    page = PdfPage().image(0, 421, 595, 421).text(60, 400, "图 3 系统结构", font="song").text(60, 300, PROSE)
    made = only(tmp_path, page)[0]
    figure = next(one for one in made.regions if one.kind == "figure")
    assert figure.start == figure.end
    assert figure.box is not None
    assert figure.box.bottom == pytest.approx(0.5, abs=0.01)
    assert made.unread == pytest.approx(0.5, abs=0.03)
    assert region(made, "图 3").kind == "caption"
    assert only(tmp_path, PdfPage().text(60, 300, PROSE))[0].unread == 0


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_a_turned_page_is_read_as_it_is_written(tmp_path: Path, rotate: int) -> None:
    page = PdfPage(rotate=rotate).lines(60, 700, ["first line of words", "second line of words", "third one"])
    made, reading = only(tmp_path, page)
    assert made.text.split("\n") == ["first line of words", "second line of words", "third one"]
    assert (made.width, made.height) == ((842, 595) if rotate % 180 else (595, 842))
    box = made.regions[0].box
    assert box is not None
    image = reading.render(1, 400)
    dark = [
        (x / image.width, y / image.height)
        for x in range(image.width)
        for y in range(image.height)
        if image.getpixel((x, y))[0] < 128  # type: ignore[index]
    ]
    assert dark  # the box is where the words are on the picture
    assert all(box.left - 0.01 < x < box.right + 0.01 and box.top - 0.01 < y < box.bottom + 0.01 for x, y in dark)


def test_words_broken_at_line_ends_ligatures_and_ideographs(tmp_path: Path) -> None:
    page = PdfPage().lines(60, 700, ["this is an exam-", "ple of it"])
    page.text(60, 600, "\ufb01nd o\ufb03ce", font="any").text(60, 560, "中 文 检 索 test 词", font="song")
    text = only(tmp_path, page)[0].text
    assert "an example\nof it" in text
    assert "find office" in text
    assert "中文检索 test 词" in text


def test_right_to_left_text_is_in_the_order_of_reading(tmp_path: Path) -> None:
    words = "שלום עולם"
    page = PdfPage().text(60, 700, words[::-1], font="any")  # the first letter stands rightmost
    assert only(tmp_path, page)[0].text == words


def test_what_nobody_sees_is_left_out_and_said(tmp_path: Path) -> None:
    page = PdfPage().text(60, 700, "seen words")
    page.text(60, 680, "INVISIBLE", more="3 Tr").text(60, 660, "WHITE", more="1 1 1 rg").text(60, 640, "TINY", 1)
    page.text(-400, 620, "OUTSIDE").fill(60, 500, 200, 50).text(70, 510, "BLACKONBLACK")
    page.text(60, 400, "COVERED").fill(50, 390, 200, 50, "1 1 1")
    made, reading = only(tmp_path, page)
    assert made.text == "seen words"
    for how in (
        "9 characters in the invisible mode",
        "off the page",
        "smaller than 2 points",
        "24 characters in the colour",
    ):
        assert how in reading.problem


def test_white_words_on_a_dark_ground_are_seen(tmp_path: Path) -> None:
    page = PdfPage().fill(50, 490, 300, 60, "0 0 0.4").text(60, 510, "white heading", 14, more="1 1 1 rg")
    made, reading = only(tmp_path, page)
    assert made.text == "white heading"
    assert reading.problem == ""


def test_pictures_of_pages(tmp_path: Path) -> None:
    reading = opened(tmp_path, PdfPage().fill(0, 0, 595, 842, "1 0 0"))
    image = reading.render(1, 200)
    assert image.mode == "RGB"
    assert (image.width, round(image.height, -1)) == (200, 280)
    assert image.getpixel((100, 100)) == (255, 0, 0)
    with pytest.raises(ToolError, match="no page 2"):
        reading.render(2, 200)
    with pytest.raises(ToolError, match="pixels"):
        reading.render(1, 10**6)


def test_a_page_without_anything_and_a_file_without_pages(tmp_path: Path) -> None:
    page, _ = only(tmp_path, PdfPage())
    assert (page.text, page.source) == ("", "none")
    with pytest.raises(ToolError, match="has no pages"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"%PDF-1.7 and then only words", "no PDF"),
        (b"%PDF-1.7\n" + bytes(range(256)) * 40, "no PDF"),
    ],
)
def test_garbage_is_refused_with_its_name(tmp_path: Path, data: bytes, why: str) -> None:
    with pytest.raises(ToolError, match=rf"bad\.pdf.*{why}"):
        open_file(write(tmp_path, "bad.pdf", data), isolated=False)


def test_a_broken_table_of_places_is_repaired(tmp_path: Path) -> None:
    data = pdf([PdfPage().text(60, 700, "still here")])
    broken = data[: data.rindex(b"startxref")] + b"startxref\n7\n%%EOF"
    pages = list(open_file(write(tmp_path, "a.pdf", broken), isolated=False).pages())
    assert pages[0].text == "still here"


def test_a_cut_off_file_gives_an_error_or_what_is_left(tmp_path: Path) -> None:
    data = pdf([PdfPage().lines(60, 700, [PROSE] * 20) for _ in range(20)])
    for share in (0.1, 0.5, 0.9):
        path = write(tmp_path, "cut.pdf", data[: int(len(data) * share)])
        try:
            reading = open_file(path, isolated=False)
        except ToolError as error:
            assert "cut.pdf" in str(error)  # noqa: PT017
        else:
            assert sum(len(page.text) for page in reading.pages()) >= 0


def test_an_encrypted_file_says_so_and_one_without_a_password_opens(tmp_path: Path) -> None:
    page = PdfPage().text(60, 700, "secret words")
    with pytest.raises(ToolError, match=r"locked\.pdf cannot be read: it is encrypted; save a copy"):
        open_file(write(tmp_path, "locked.pdf", pdf([page], password="abc")), isolated=False)
    reading = open_file(write(tmp_path, "open.pdf", pdf([page], password="")), isolated=False)
    assert [page.text for page in reading.pages()] == ["secret words"]


@pytest.mark.slow
def test_five_thousand_pages_one_after_another(tmp_path: Path) -> None:
    path = write(tmp_path, "long.pdf", pdf([PdfPage().text(60, 700, f"page {n}") for n in range(1, 5001)]))
    reading = open_file(path)
    for number, page in enumerate(reading.pages(), 1):
        assert (page.number, page.text) == (number, f"page {number}")
    assert number == 5000
    assert reading.render(5000, 50).width == 50
    reading.close()


def test_limits_of_pages_and_characters(tmp_path: Path) -> None:
    path = write(tmp_path, "a.pdf", pdf([PdfPage().lines(60, 700, [PROSE] * 20) for _ in range(4)]))
    reading = open_file(path, ReadLimits(pages=2, page_chars=100), isolated=False)
    pages = list(reading.pages())
    assert len(pages) == 2
    assert all(len(page.text) <= 100 for page in pages)
    assert "first 2 pages" in reading.problem
    assert "page_chars" in reading.problem
