"""Word, PowerPoint, Excel, OpenDocument, RTF and books."""

from __future__ import annotations

import datetime
import io
import zipfile
from pathlib import Path

import docx
import openpyxl
import pptx
import pytest
from docx.shared import Pt, RGBColor
from library_made import OPENDOCUMENT, epub, opendocument, write
from PIL import Image
from pptx.util import Emu

from mainspring.errors import ToolError
from mainspring.library.page import Page
from mainspring.library.read import ReadLimits, open_file


def read(path: Path) -> tuple[list[Page], str]:
    reading = open_file(path, isolated=False)
    return list(reading.pages()), reading.problem


def test_a_word_file(tmp_path: Path) -> None:
    document = docx.Document()
    document.core_properties.title, document.core_properties.author = "Report", "Ann"
    document.add_heading("Plan", 1)
    document.add_paragraph("words " * 100)
    document.add_heading("Costs", 2)
    table = document.add_table(2, 2)
    for n, text in enumerate(("A", "B", "1", "2")):
        table.cell(n // 2, n % 2).text = text
    document.add_paragraph("item", style="List Bullet")
    document.sections[0].header.paragraphs[0].text = "Running head"
    document.save(str(tmp_path / "a.docx"))
    reading = open_file(tmp_path / "a.docx", isolated=False)
    pages = list(reading.pages())
    assert (reading.about.kind, reading.about.title, reading.about.extra["author"]) == ("office", "Report", "Ann")
    assert [page.heading for page in pages] == ["Plan", "Plan > Costs"]
    found = {page.text[r.start : r.end]: r.kind for page in pages for r in page.regions}
    assert found["A | B\n1 | 2"] == "table"
    assert found["- item"] == "list"
    assert found["Running head"] == "header"
    assert reading.problem == ""


def test_hidden_words_of_a_word_file(tmp_path: Path) -> None:
    document = docx.Document()
    paragraph = document.add_paragraph("seen ")
    paragraph.add_run("VANISH").font.hidden = True
    paragraph.add_run("WHITE").font.color.rgb = RGBColor(255, 255, 255)
    paragraph.add_run("TINY").font.size = Pt(1)
    style = document.styles.add_style("Sly", 1)
    style.font.hidden = True
    document.add_paragraph("BYSTYLE", style=style)
    cell = document.add_table(1, 1, style="Light Grid Accent 1").cell(0, 0)
    cell.paragraphs[0].add_run("white on a coloured table").font.color.rgb = RGBColor(255, 255, 255)
    document.save(str(tmp_path / "a.docx"))
    pages, problem = read(tmp_path / "a.docx")
    assert pages[0].text.split("\n\n") == ["seen", "white on a coloured table"]
    assert "13 characters set to be hidden" in problem
    assert "5 characters in white on white" in problem
    assert "4 characters smaller" in problem


def test_text_boxes_in_text_boxes_are_read_once(tmp_path: Path) -> None:
    from docx.oxml import parse_xml

    names = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    inner = "<w:p><w:r><w:t>deepest</w:t></w:r></w:p>"
    for n in range(30):
        box = f"<w:pict><w:txbxContent>{inner}</w:txbxContent></w:pict>"
        inner = f"<w:p><w:r><w:t>box {n}</w:t></w:r><w:r>{box}</w:r></w:p>"
    document = docx.Document()
    document.element.body.insert(0, parse_xml(inner.replace("<w:p>", f"<w:p {names}>", 1)))
    document.save(str(tmp_path / "a.docx"))
    pages, _ = read(tmp_path / "a.docx")
    assert pages[0].text.split("\n\n") == [*(f"box {n}" for n in range(29, -1, -1)), "deepest"]


def picture(colour: str = "red") -> io.BytesIO:
    data = io.BytesIO()
    Image.new("RGB", (30, 20), colour).save(data, "PNG")
    data.seek(0)
    return data


def test_a_deck(tmp_path: Path) -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.title.text = "The title"
    slide.shapes.add_textbox(914400, 2000000, 3000000, 500000).text_frame.text = "Body"
    slide.shapes.add_textbox(-9000000, 0, 3000000, 500000).text_frame.text = "OUTSIDE"
    slide.notes_slide.notes_text_frame.text = "what to say"
    table = slide.shapes.add_table(1, 2, 0, 4000000, 3000000, 500000).table
    table.cell(0, 0).text, table.cell(0, 1).text = "a", "b"
    second = deck.slides.add_slide(deck.slide_layouts[6])
    second.shapes.add_picture(picture(), Emu(0), Emu(0), deck.slide_width // 2, deck.slide_height)
    deck.save(str(tmp_path / "a.pptx"))
    reading = open_file(tmp_path / "a.pptx", isolated=False)
    one, two = reading.pages()
    assert one.text == "The title\n\nBody\n\na | b\n\nwhat to say"
    assert one.heading == reading.about.title == "The title"
    assert (one.width, one.height, one.pictured) == (720, 540, False)
    body = next(r for r in one.regions if one.text[r.start : r.end] == "Body")
    assert body.box is not None
    assert body.box.left == pytest.approx(0.1)
    assert "off the slide" in reading.problem
    assert (two.text, two.unread, two.pictured) == ("", pytest.approx(0.5), True)
    image = reading.render(2, 200)
    assert (image.getpixel((50, 50)), image.getpixel((150, 50))) == ((255, 0, 0), (255, 255, 255))
    with pytest.raises(ToolError, match="no picture"):
        reading.render(1, 200)


def test_a_workbook(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Fruit"
    sheet.append(["Name", "Qty", "Day"])
    for n in range(300):
        sheet.append([f"Item {n}", n * 1.5, datetime.date(2024, 1, 1 + n % 28)])
    sheet["D2"] = "=SUM(B2:B9)"
    hidden = book.create_sheet("Secret")
    hidden["A1"] = "HIDDEN"
    hidden.sheet_state = "hidden"
    book.save(tmp_path / "a.xlsx")
    pages, problem = read(tmp_path / "a.xlsx")
    assert len(pages) > 2
    assert all(page.text.startswith("Name | Qty | Day\nItem ") for page in pages)
    assert {page.heading for page in pages} == {"Fruit"}
    assert pages[0].text.split("\n")[1] == "Item 0 | 0 | 2024-01-01 | =SUM(B2:B9)"
    assert [page.text.count("Item") for page in pages] == [page.text.count("\n") for page in pages]
    assert sum(page.text.count("Item") for page in pages) == 300
    assert pages[1].text.split("\n")[1].startswith(f"Item {pages[1].line - 2} ")  # type: ignore[operator]
    assert "6 characters in hidden sheets" in problem


def test_macros_are_neither_read_nor_run(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_paragraph("words")
    document.save(str(tmp_path / "plain.docx"))
    with zipfile.ZipFile(tmp_path / "plain.docx") as old, zipfile.ZipFile(tmp_path / "a.docm", "w") as new:
        for info in old.infolist():
            data = old.read(info)
            if info.filename == "[Content_Types].xml":
                data = data.replace(
                    b"</Types>", b'<Override PartName="/word/vbaProject.bin" ContentType="a/b"/></Types>'
                )
            if info.filename == "word/_rels/document.xml.rels":
                data = data.replace(
                    b"</Relationships>",
                    b'<Relationship Id="rId99" Type="http://x/vba" Target="vbaProject.bin"/></Relationships>',
                )
            new.writestr(info, data)
        new.writestr("word/vbaProject.bin", b"Sub AutoOpen()")
    pages, problem = read(tmp_path / "a.docm")
    assert pages[0].text == "words"
    assert "macros" in problem


@pytest.mark.parametrize("ending", ["odt", "odp", "ods"])
def test_opendocument(tmp_path: Path, ending: str) -> None:
    pages, problem = read(write(tmp_path, f"a.{ending}", opendocument(ending, OPENDOCUMENT[ending])))
    expected = {
        "odt": "Head\n\nSome  words\n\n- one\n- two\n\na | b",
        "odp": "Slide words",
        "ods": "a | b\n1 | 2",
    }
    assert [page.text for page in pages] == [expected[ending]]
    if ending == "odt":
        assert "set to be hidden" in problem
        assert pages[0].heading == "Head"
    if ending == "odp":
        assert pages[0].regions[0].box is not None
        assert pages[0].regions[0].box.top == pytest.approx(0.25)


def test_rich_text(tmp_path: Path) -> None:
    data = (
        rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}{\info{\title The title}}Hello \b bold\b0  w\'f6rld\par "
        rb"{\v HID}\u20013?\u-10179?\u-8704?{\*\secret HID}\par{\pict 89504e47}a\cell b\cell\row}"
    )
    reading = open_file(write(tmp_path, "a.rtf", data), isolated=False)
    assert reading.about.title == "The title"
    assert [page.text for page in reading.pages()] == ["Hello bold wörld\n\n中😀\n\na | b"]
    assert "3 characters set to be hidden" in reading.problem


def test_a_book(tmp_path: Path) -> None:
    chapters = {"c 1.xhtml": "<h1>One</h1><p>once</p>" + "<p>more</p>" * 300, "d.xhtml": "<h1>Two</h1><p>twice</p>"}
    reading = open_file(write(tmp_path, "a.epub", epub(chapters)), isolated=False)
    pages = list(reading.pages())
    assert (reading.about.kind, reading.about.title, reading.about.extra["author"]) == ("book", "The book", "Bo")
    assert pages[0].heading == "One"
    assert (pages[-1].heading, pages[-1].text) == ("Two", "Two\n\ntwice")
    locked = "<encryption><EncryptionMethod xmlns='http://www.w3.org/2001/04/xmlenc#' Algorithm='aes'/></encryption>"
    with pytest.raises(ToolError, match="encrypted"):
        open_file(write(tmp_path, "b.epub", epub(chapters, {"META-INF/encryption.xml": locked})), isolated=False)


@pytest.mark.parametrize("name", ["a.docx", "a.pptx", "a.xlsx", "a.odt", "a.epub"])
@pytest.mark.parametrize(
    "data", [b"PK\x03\x04" + b"x" * 100, b"just words", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)]
)
def test_broken_and_encrypted_files_are_named(tmp_path: Path, name: str, data: bytes) -> None:
    with pytest.raises(ToolError, match=name.replace(".", r"\.")):
        open_file(write(tmp_path, name, data), isolated=False)


def test_half_an_archive_is_refused(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_paragraph("words " * 2000)
    document.save(str(tmp_path / "whole.docx"))
    data = (tmp_path / "whole.docx").read_bytes()
    with pytest.raises(ToolError, match="damaged archive"):
        open_file(write(tmp_path, "a.docx", data[: len(data) // 2]), isolated=False)
    with pytest.raises(ToolError, match="unpacked_bytes"):
        open_file(tmp_path / "whole.docx", ReadLimits(unpacked_bytes=1000), isolated=False)
