"""Books (EPUB): chapters in the order of the spine, sections by heading."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from mainspring.errors import ToolError
from mainspring.library.read.archive import Archive, plain
from mainspring.library.read.base import FlowReading, Notes, title_of
from mainspring.library.read.blocks import Block
from mainspring.library.read.charset import declared_in, decode
from mainspring.library.read.protocol import About, ReadLimits
from mainspring.library.read.web import MOST_BYTES, html_blocks

_CONTAINER = "{urn:oasis:names:tc:opendocument:xmlns:container}"
_OPF = "{http://www.idpf.org/2007/opf}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_METHOD = "{http://www.w3.org/2001/04/xmlenc#}EncryptionMethod"
#: Scrambled fonts only (EPUB OCF 3.3, section 4.4); the text stays readable.
_FONTS_ONLY = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")


def open_epub(path: Path, limits: ReadLimits) -> FlowReading:
    archive = Archive(path, limits)
    if "META-INF/encryption.xml" in archive:
        methods = [node.get("Algorithm") for node in archive.xml("META-INF/encryption.xml").iter(_METHOD)]
        if any(method not in _FONTS_ONLY for method in methods):
            raise ToolError(f"{path.name} is encrypted (a book with rights management); its text cannot be read")
    root = archive.xml("META-INF/container.xml").find(f".//{_CONTAINER}rootfile")
    where = "" if root is None else str(root.get("full-path") or "")
    package = archive.xml(where)
    folder = posixpath.dirname(where)
    extra = {}
    for key, tag in (("author", "creator"), ("language", "language"), ("date", "date"), ("subject", "subject")):
        if said := plain(package.findtext(f".//{_DC}{tag}")):
            extra[key] = said
    items = {item.get("id"): item for item in package.iter(f"{_OPF}item")}
    chapters = []
    for reference in package.iter(f"{_OPF}itemref"):
        item = items.get(reference.get("idref"))
        if item is not None:
            chapters.append(posixpath.normpath(posixpath.join(folder, unquote(str(item.get("href") or "")))))
    notes = Notes()

    def blocks() -> Iterator[Block]:
        for chapter in chapters:
            if chapter not in archive:
                notes.add(f"chapter {chapter!r} is not in the book")
                continue
            data = archive.read(chapter)
            if len(data) > MOST_BYTES:
                notes.add(f"chapter {chapter!r} is larger than {MOST_BYTES:,} bytes and was left out")
                continue
            yield from html_blocks(decode(data, declared_in(data[:4096]))[0], notes)

    title = title_of(path, plain(package.findtext(f".//{_DC}title")))
    return FlowReading(path.name, About("book", title, extra), blocks, limits, notes)
