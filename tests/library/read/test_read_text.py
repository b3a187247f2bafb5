"""Plain text, source code, mail and comma-separated files; what kind a file is."""

from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from library_made import PdfPage, pdf, write

from mainspring.errors import ToolError
from mainspring.library.page import Page
from mainspring.library.read import ReadLimits, kind_of, open_file
from mainspring.library.read.charset import decode


def read(path: Path, limits: ReadLimits | None = None) -> list[Page]:
    return list(open_file(path, limits, isolated=False).pages())


def test_paragraphs_with_their_lines(tmp_path: Path) -> None:
    text = "The title\n\n" + "\n\n".join(f"paragraph {n} " + "words " * 60 for n in range(40))
    reading = open_file(write(tmp_path, "a.txt", text), isolated=False)
    pages = list(reading.pages())
    assert reading.about.title == "The title"
    assert len(pages) > 3
    lines = text.split("\n")
    for page in pages:
        assert page.line is not None
        assert page.text.startswith(lines[page.line - 1].strip())
    assert sum(page.text.count("paragraph") for page in pages) == 40


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("中文检索与文件，这是一个例子。文件的内容。", "gb18030"),
        ("日本語の文書をよむためのものです。", "cp932"),
        ("한국어 문서를 읽는 예제입니다", "cp949"),
        ("Größe, naïve café – “quoted” déjà vu, Übergrößenträger", "cp1252"),
        ("words and 中文", "utf-16-le"),
        ("words and 中文", "utf-8"),
    ],
)
def test_encodings_without_a_declaration(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding))[0] == text
    assert decode(b"\xff\xfe" + text.encode("utf-16-le"))[0] == text
    assert decode(text.encode(encoding), encoding)[0] == text


@given(st.binary(max_size=300), st.sampled_from(["", "utf-8", "gbk", "nonsense", "hex", "utf-16"]))
def test_any_bytes_decode(data: bytes, declared: str) -> None:
    assert isinstance(decode(data, declared)[0], str)


def test_one_line_without_an_end(tmp_path: Path) -> None:
    path = write(tmp_path, "a.json", "[" + ",".join(f'"word{n}"' for n in range(100_000)) + "]")
    pages = read(path)
    assert len(pages) > 100
    assert all(0 < len(page.text) <= 3_000 for page in pages)
    assert "".join(page.text for page in pages) == path.read_text()


@pytest.mark.slow
def test_one_line_of_a_hundred_megabytes(tmp_path: Path) -> None:
    reading = open_file(write(tmp_path, "a.log", b"0123456789 " * 9_100_000), ReadLimits(pages=200))
    assert len(list(reading.pages())) == 200
    assert "first 200 pages" in reading.problem
    reading.close()


CODE = '''"""A module."""

import os

LIMIT = 3


def first(a: int) -> int:
    """Say."""
    return a


# About the class.
class Thing:
    """A thing."""

    def method(self) -> None:
        return None
'''


def test_code_by_its_symbols(tmp_path: Path) -> None:
    long = "".join(f"    def m{n}(self):\n" + "        x = 1  # words\n" * 12 for n in range(40))
    path = write(tmp_path, "a.py", CODE + "\n\nclass Long:\n" + long)
    pages = read(path)
    lines = path.read_text().split("\n")
    assert pages[0].heading.startswith("first, Thing, Long")
    assert any("Long.m39" in page.heading for page in pages)
    assert all(page.regions[0].kind == "code" for page in pages)
    for page in pages:
        assert page.line is not None
        assert page.text.split("\n")[0] == lines[page.line - 1]
    assert "".join("".join(page.text.split()) for page in pages) == "".join("".join(path.read_text().split()))
    for page in pages[1:]:  # cut where something begins, not in the middle of it
        assert page.text.lstrip().startswith(("def ", "class "))


@pytest.mark.parametrize(
    ("name", "source", "symbol"),
    [
        ("a.go", "package a\n\nfunc Hello(x int) int {\n\treturn x\n}\n", "Hello"),
        ("a.ts", "export class Foo {\n  bar(): void {}\n}\n", "Foo"),
        ("a.rs", "pub fn hello() -> i32 { 3 }\n", "hello"),
        ("A.java", "class A { void m() {} }\n", "A"),
        ("a.c", "int main(void) { return 0; }\n", "main"),
        ("a.cpp", "namespace n { }\nint f(int a) { return a; }\n", "f"),
        ("a.js", "function go() {}\n", "go"),
        ("a.rb", "def go\nend\n", ""),
    ],
)
def test_languages(tmp_path: Path, name: str, source: str, symbol: str) -> None:
    (page,) = read(write(tmp_path, name, source))
    assert page.text == source.strip()
    assert page.heading.split(", ")[-1] == symbol


def message() -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Ann <a@example.com>", "b@example.com", "Grüße 中文"
    mail.set_content("plain words")
    mail.add_alternative("<p>html words</p>", subtype="html")
    mail.add_attachment(
        pdf([PdfPage().text(60, 700, "in the file")]), maintype="application", subtype="pdf", filename="f.pdf"
    )
    mail.add_attachment(b"\x00\x01", maintype="application", subtype="octet-stream", filename="../x.bin")
    return mail


def test_a_message_with_its_attachments(tmp_path: Path) -> None:
    mail = message()
    inner = EmailMessage()
    inner["Subject"] = "inner"
    inner.set_content("inner words")
    mail.add_attachment(inner)
    reading = open_file(write(tmp_path, "a.eml", mail.as_bytes()), isolated=False)
    first, second, third = reading.pages()
    assert (reading.about.kind, reading.about.title) == ("mail", "Grüße 中文")
    assert "From: Ann <a@example.com>" in first.text
    assert "plain words" in first.text
    assert "html words" not in first.text
    assert "f.pdf, ../x.bin" in first.text
    assert (second.text, second.heading, second.number) == ("in the file", "Grüße 中文 > f.pdf", 2)
    assert "inner words" in third.text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.eml"]


def test_a_message_of_html_alone(tmp_path: Path) -> None:
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "a@example.com", "s"
    mail.set_content("<p>seen</p><p hidden>HID</p>", subtype="html")
    reading = open_file(write(tmp_path, "a.eml", mail.as_bytes()), isolated=False)
    (page,) = reading.pages()
    assert page.text.endswith("seen")
    assert "hidden elements" in reading.problem


def test_a_mailbox(tmp_path: Path) -> None:
    one = b"From a@b Mon Jan  1 00:00:00 2024\nFrom: a\nSubject: one\n\nfirst\n>From me\n\n"
    two = b"From c@d Mon Jan  1 00:00:00 2024\nFrom: c\nSubject: two\n\nsecond\n"
    pages = read(write(tmp_path, "a.mbox", one + two))
    assert [page.heading for page in pages] == ["one", "two"]
    assert "From me" in pages[0].text
    assert [page.number for page in pages] == [1, 2]


@pytest.mark.parametrize(("name", "mark"), [("a.csv", ","), ("a.csv", ";"), ("a.tsv", "\t")])
def test_comma_separated_rows_under_their_header(tmp_path: Path, name: str, mark: str) -> None:
    rows = [["name", "text"], *([f"n{n}", f'"with{mark} a mark"'] for n in range(400))]
    pages = read(write(tmp_path, name, "\n".join(mark.join(row) for row in rows)))
    assert len(pages) > 2
    assert all(page.text.startswith("name | text\n") for page in pages)
    kept = mark if mark != "\t" else ""
    assert sum(page.text.count(f"with{kept} a mark") for page in pages) == 400


@pytest.mark.parametrize(
    ("name", "head", "kind"),
    [
        ("a.txt", b"%PDF-1.7\n", "pdf"),
        ("a", b"\x89PNG\r\n\x1a\n", "image"),
        ("a.pdf", b"words", "pdf"),
        ("a.exe", b"MZ\x90\0", None),
        ("lib.so", b"\x7fELF", None),
        ("a.pdf.gz", b"\x1f\x8b\x08", None),
        ("a.zip", b"PK\x03\x04 anything", None),
        ("a", b"<!DOCTYPE html><html>", "html"),
        ("a.txt", b"\xef\xbb\xbf<html><p>", "html"),
        ("a.dat", b"\x00\x01\x02\x03", None),
        ("Makefile", b"all:\n", "code"),
        ("run", b"#!/bin/sh\n", "code"),
        ("a.xyz", b"only words here\n", "text"),
        ("a.md", b"# Title", "markdown"),
        ("a.ts", b"export const a = 1", "code"),
        ("a.csv", b"a,b\n", "sheet"),
        ("mail", b"From: a\nTo: b\nSubject: c\n\nwords", "mail"),
        ("a.mp4", b"\0\0\0\x18ftypmp42", "video"),
        ("a.m4a", b"\0\0\0\x18ftypM4A ", "audio"),
        ("a.wav", b"RIFF\0\0\0\0WAVE", "audio"),
        ("a.svg", b"<?xml version='1.0'?><svg>", "image"),
        ("a.webp", b"RIFF\0\0\0\0WEBP", "image"),
        ("a.epub", b"PK\x03\x04" + b"\0" * 26 + b"mimetypeapplication/epub+zip", "book"),
        ("a", b"PK\x03\x04" + b"\0" * 26 + b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet", "sheet"),
        ("a.docx", b"PK\x03\x04....[Content_Types].xml", "office"),
        ("a.doc", b"\xd0\xcf\x11\xe0", "office"),
        ("a.msi", b"\xd0\xcf\x11\xe0", None),
        ("a.rtf", b"{\\rtf1", "office"),
    ],
)
def test_kinds(name: str, head: bytes, kind: str | None) -> None:
    assert kind_of(Path(name), head) == kind


def test_what_is_no_document_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"a\.exe is no document"):
        open_file(write(tmp_path, "a.exe", b"MZ\x90\0"))
    with pytest.raises(ToolError, match=r"a\.txt is empty"):
        open_file(write(tmp_path, "a.txt", b""))
    with pytest.raises(ToolError, match="the limit `bytes`"):
        open_file(write(tmp_path, "b.txt", b"words" * 10), ReadLimits(bytes=20))
    with pytest.raises(ToolError, match="no such file"):
        open_file(tmp_path / "missing.pdf")
    with pytest.raises(ToolError, match="folder"):
        open_file(tmp_path)
