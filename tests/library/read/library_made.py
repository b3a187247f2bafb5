"""Files for the tests, made on the spot: a small writer of PDFs after ISO 32000-1, and others."""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class PdfPage:
    """What is drawn on one page. Coordinates are in points from the bottom left corner."""

    width: float = 595
    height: float = 842
    rotate: int = 0
    drawn: list[str] = field(default_factory=list)
    fonts: set[str] = field(default_factory=set)
    images: list[tuple[int, int, bytes]] = field(default_factory=list)
    packed: bytes = b""  # in place of what is drawn: content that is packed twice

    def text(self, x: float, y: float, text: str, size: float = 11, font: str = "latin", more: str = "") -> PdfPage:
        """A line of text; `more` are operators before it, such as ``3 Tr`` or ``1 1 1 rg``."""
        self.fonts.add(font)
        if font == "latin":
            shown = (
                "("
                + text.encode("cp1252").decode("latin-1").replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
                + ")"
            )
        else:
            shown = "<" + text.encode("utf-16-be").hex() + ">"
        self.drawn.append(f"q BT {more} /{font} {size} Tf 1 0 0 1 {x} {y} Tm {shown} Tj ET Q")
        return self

    def lines(self, x: float, y: float, lines: list[str], size: float = 11, font: str = "latin") -> PdfPage:
        for index, line in enumerate(lines):
            self.text(x, y - index * size * 1.25, line, size, font)
        return self

    def fill(self, x: float, y: float, wide: float, high: float, colour: str = "0 0 0") -> PdfPage:
        self.drawn.append(f"q {colour} rg {x} {y} {wide} {high} re f Q")
        return self

    def image(
        self, x: float, y: float, wide: float, high: float, rgb: bytes = b"", size: tuple[int, int] = (8, 8)
    ) -> PdfPage:
        """A picture; by default a chessboard."""
        if not rgb:
            rgb = b"".join(bytes([255 * ((a + b) % 2)] * 3) for a in range(size[1]) for b in range(size[0]))
        self.images.append((*size, rgb))
        self.drawn.append(f"q {wide} 0 0 {high} {x} {y} cm /I{len(self.images)} Do Q")
        return self


def pdf(
    pages: list[PdfPage],
    *,
    title: str = "",
    outline: list[tuple[str, int]] | None = None,
    extra_catalog: str = "",
    password: str | None = None,
) -> bytes:
    """The bytes of a PDF. `outline`: (title, 0-based page). Fonts: latin (Helvetica), any (whatever Unicode holds)."""
    objects: list[bytes] = []

    def add(body: str | bytes) -> int:
        objects.append(body.encode("latin-1") if isinstance(body, str) else body)
        return len(objects)

    def stream(data: bytes, more: str = "") -> int:
        packed = zlib.compress(data)
        head = f"<< /Length {len(packed)} /Filter /FlateDecode {more} >>\nstream\n".encode()
        return add(head + packed + b"\nendstream")

    add("")  # 1: catalog
    add("")  # 2: pages
    fonts: dict[str, int] = {}
    if any("latin" in page.fonts for page in pages):
        fonts["latin"] = add("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>")
    if any("any" in page.fonts for page in pages):
        ranges = "".join(f"<{a:02x}00> <{a:02x}ff> <{a:02x}00>\n" for a in range(256))
        parts = [ranges.splitlines()[i : i + 100] for i in range(0, 256, 100)]
        body = "".join(f"{len(part)} beginbfrange\n" + "\n".join(part) + "\nendbfrange\n" for part in parts)
        unicode = stream(
            f"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /U def /CMapType 2 def\n"
            f"1 begincodespacerange <0000> <ffff> endcodespacerange\n{body}endcmap end end".encode()
        )
        descriptor = add(
            "<< /Type /FontDescriptor /FontName /Any /Flags 4 /FontBBox [0 -200 1000 900] /ItalicAngle 0 /Ascent 880 "
            "/Descent -120 /CapHeight 700 /StemV 80 >>"
        )
        below = add(
            "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Any /DW 1000 /W [32 255 500 1424 1791 500] "
            "/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> "
            f"/FontDescriptor {descriptor} 0 R >>"
        )
        fonts["any"] = add(
            f"<< /Type /Font /Subtype /Type0 /BaseFont /Any /Encoding /Identity-H /DescendantFonts [{below} 0 R] "
            f"/ToUnicode {unicode} 0 R >>"
        )
    if any("song" in page.fonts for page in pages):
        below = add(
            "<< /Type /Font /Subtype /CIDFontType0 /BaseFont /STSong-Light /CIDSystemInfo << /Registry (Adobe) "
            "/Ordering (GB1) /Supplement 4 >> /DW 1000 /W [1 95 500] >>"
        )
        fonts["song"] = add(
            "<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light /Encoding /UniGB-UCS2-H "
            f"/DescendantFonts [{below} 0 R] >>"
        )
    numbers = []
    for page in pages:
        pictures = [
            stream(
                rgb, f"/Type /XObject /Subtype /Image /Width {w} /Height {h} /ColorSpace /DeviceRGB /BitsPerComponent 8"
            )
            for w, h, rgb in page.images
        ]
        content = stream("\n".join(page.drawn).encode("latin-1"))
        if page.packed:
            head = f"<< /Length {len(page.packed)} /Filter [/FlateDecode /FlateDecode] >>\nstream\n".encode()
            content = add(head + page.packed + b"\nendstream")
        used = " ".join(f"/{name} {number} 0 R" for name, number in fonts.items())
        shown = " ".join(f"/I{i} {number} 0 R" for i, number in enumerate(pictures, 1))
        numbers.append(
            add(
                f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {page.width} {page.height}] /Rotate {page.rotate} "
                f"/Contents {content} 0 R /Resources << /Font << {used} >> /XObject << {shown} >> >> >>"
            )
        )
    catalog = f"<< /Type /Catalog /Pages 2 0 R {extra_catalog}"
    if outline:
        first = len(objects) + 2
        root = add(
            f"<< /Type /Outlines /First {first} 0 R /Last {first + len(outline) - 1} 0 R /Count {len(outline)} >>"
        )
        for index, (name, page_index) in enumerate(outline):
            near = f"/Prev {first + index - 1} 0 R " if index else ""
            near += f"/Next {first + index + 1} 0 R " if index + 1 < len(outline) else ""
            add(f"<< /Title ({name}) /Parent {root} 0 R {near}/Dest [{numbers[page_index]} 0 R /Fit] >>")
        catalog += f" /Outlines {root} 0 R"
    objects[0] = (catalog + " >>").encode("latin-1")
    kids = " ".join(f"{number} 0 R" for number in numbers)
    objects[1] = f"<< /Type /Pages /Kids [{kids}] /Count {len(numbers)} >>".encode()
    info = add(f"<< /Title ({title}) >>") if title else 0
    out = bytearray(b"%PDF-1.7\n")
    places = []
    security = 0
    if password is not None:
        key, entry = _security(password)
        objects = [_encrypted(body, number, key) for number, body in enumerate(objects, 1)]
        objects.append(entry)
        security = len(objects)
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    more = f"/Info {info} 0 R " if info else ""
    more += f"/Encrypt {security} 0 R /ID [<{_ID.hex()}> <{_ID.hex()}>] " if security else ""
    out += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R {more}>>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(out)


_ID = b"0123456789abcdef"
_PAD = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")


def _security(password: str) -> tuple[bytes, bytes]:
    """The key and the encryption dictionary for a user's password (ISO 32000-1, 7.6.3, revision 2)."""
    user = (password.encode() + _PAD)[:32]
    owner = _rc4(hashlib.md5((b"owner" + _PAD)[:32]).digest()[:5], user)
    key = hashlib.md5(user + owner + struct.pack("<i", -4) + _ID).digest()[:5]
    entry = f"<< /Filter /Standard /V 1 /R 2 /P -4 /O <{owner.hex()}> /U <{_rc4(key, _PAD).hex()}> >>"
    return key, entry.encode()


def _encrypted(body: bytes, number: int, key: bytes) -> bytes:
    """An object with its stream encrypted."""
    head, mark, rest = body.partition(b"\nstream\n")
    if not mark:
        return body
    own = hashlib.md5(key + struct.pack("<I", number)[:3] + b"\0\0").digest()[:10]
    data, end, _ = rest.rpartition(b"\nendstream")
    return head + mark + _rc4(own, data) + end


def _rc4(key: bytes, data: bytes) -> bytes:
    state = list(range(256))
    j = 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    out = bytearray()
    i = j = 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)


def write(folder: Path, name: str, data: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


_NAMES = " ".join(
    f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{long}:1.0"'
    for short, long in {
        "office": "office",
        "text": "text",
        "table": "table",
        "draw": "drawing",
        "style": "style",
        "fo": "xsl-fo-compatible",
        "svg": "svg-compatible",
    }.items()
)
_ROW = "<table:table-row>{}</table:table-row>"
_CELL = "<table:table-cell><text:p>{}</text:p></table:table-cell>"

#: Contents for `opendocument`.
OPENDOCUMENT = {
    "odt": "<text:h text:outline-level='1'>Head</text:h><text:p>Some <text:span text:style-name='T1'>HID</text:span>"
    " words</text:p><text:list><text:list-item><text:p>one</text:p></text:list-item>"
    "<text:list-item><text:p>two</text:p></text:list-item></text:list><table:table>"
    + _ROW.format(_CELL.format("a") + _CELL.format("b"))
    + "</table:table>",
    "odp": "<draw:page><draw:frame svg:x='1in' svg:y='2in' svg:width='4in' svg:height='1in'><draw:text-box>"
    "<text:p>Slide words</text:p></draw:text-box></draw:frame></draw:page>",
    "ods": "<table:table table:name='S'>"
    + _ROW.format(_CELL.format("a") + _CELL.format("b") + "<table:table-cell table:number-columns-repeated='16000'/>")
    + _ROW.format(_CELL.format("1") + _CELL.format("2"))
    + "<table:table-row table:number-rows-repeated='1000000'><table:table-cell/></table:table-row></table:table>",
}


def opendocument(ending: str, body: str, doctype: str = "") -> bytes:
    """An OpenDocument file whose style T1 is hidden; pages of presentations have 10 by 8 inches."""
    part = {"odt": "text", "odp": "presentation", "ods": "spreadsheet"}[ending]
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("mimetype", f"application/vnd.oasis.opendocument.{part}")
        archive.writestr(
            "content.xml",
            f"{doctype}<office:document-content {_NAMES}><office:automatic-styles><style:style style:name='T1' "
            "style:family='text'><style:text-properties text:display='none'/></style:style></office:automatic-styles>"
            f"<office:body><office:{part}>{body}</office:{part}></office:body></office:document-content>",
        )
        archive.writestr(
            "styles.xml",
            f"<office:document-styles {_NAMES}><style:page-layout-properties fo:page-width='10in' "
            "fo:page-height='8in'/></office:document-styles>",
        )
    return data.getvalue()


def epub(chapters: dict[str, str], more: dict[str, str] | None = None) -> bytes:
    """A book of these chapters (file name -> body)."""
    items = "".join(f"<item id='i{n}' href='{name.replace(' ', '%20')}'/>" for n, name in enumerate(chapters))
    spine = "".join(f"<itemref idref='i{n}'/>" for n in range(len(chapters)))
    files = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": "<container xmlns='urn:oasis:names:tc:opendocument:xmlns:container'><rootfiles>"
        "<rootfile full-path='O/p.opf'/></rootfiles></container>",
        "O/p.opf": "<package xmlns='http://www.idpf.org/2007/opf'><metadata xmlns:dc='http://purl.org/dc/elements/1.1/'>"
        f"<dc:title>The book</dc:title><dc:creator>Bo</dc:creator></metadata><manifest>{items}</manifest>"
        f"<spine>{spine}</spine></package>",
    }
    for name, body in chapters.items():
        files[f"O/{name}"] = (
            "<?xml version='1.0'?><!DOCTYPE html><html xmlns='http://www.w3.org/1999/xhtml'><head><title/></head>"
            f"<body>{body}</body></html>"
        )
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in (files | (more or {})).items():
            archive.writestr(name, text)
    return data.getvalue()
