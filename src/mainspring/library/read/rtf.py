"""Rich Text Format: its words, without pictures, fonts and hidden text (RTF Specification 1.9.1)."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path

from mainspring.library.read.base import FlowReading, Notes, read_bytes, title_of
from mainspring.library.read.blocks import Block
from mainspring.library.read.protocol import About, ReadLimits

_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z])|([{}])|[\r\n]+|([^\\{}\r\n]+)"
)
#: Groups that hold no words of the text.
_SKIPPED = frozenset(
    b"fonttbl colortbl stylesheet info pict object themedata datastore listtable listoverridetable generator rsidtbl "
    b"xmlnstbl latentstyles fldinst filetbl revtbl bkmkstart bkmkend".split()
)
_MARKS = {b"par": "\n\n", b"sect": "\n\n", b"page": "\n\n", b"line": "\n", b"tab": "\t", b"cell": " | ", b"row": "\n\n",
          b"emdash": "—", b"endash": "–", b"lquote": "‘", b"rquote": "’", b"ldblquote": "“", b"rdblquote": "”",
          b"bullet": "•"}  # fmt: skip


def open_rtf(path: Path, limits: ReadLimits) -> FlowReading:
    data = read_bytes(path, limits)
    notes = Notes()
    text = rtf_text(data, notes)
    found = re.search(rb"\{\\title ([^{}\\]{1,300})\}", data[:100_000])
    title = title_of(path, found[1].decode("cp1252", "replace") if found else "")

    def blocks() -> Iterator[Block]:
        for paragraph in text.split("\n\n"):
            row = paragraph.strip().endswith("|")
            yield Block(paragraph.strip().rstrip("|").strip(), "table" if row else "text")

    return FlowReading(path.name, About("office", title), blocks, limits, notes)


def rtf_text(data: bytes, notes: Notes) -> str:
    """The words of RTF; paragraphs are divided by an empty line, cells by bars."""
    page = re.search(rb"\\ansicpg(\d{3,5})", data[:4096])
    encoding = "cp1252"
    if page:
        encoding = {b"936": "gbk", b"932": "cp932", b"949": "cp949", b"950": "big5"}.get(
            page[1], f"cp{page[1].decode()}"
        )
    try:
        codecs.lookup(encoding)
    except LookupError:
        encoding = "cp1252"
    out: list[str] = []
    raw = bytearray()
    # Of each open group: whether it is skipped, whether it is hidden, how many bytes follow a \u for old readers.
    groups = [(False, False, 1)]
    skipped, hidden, instead = groups[0]
    pending = 0

    def words() -> None:
        if raw:
            out.append(raw.decode(encoding, "replace"))
            raw.clear()

    for found in _TOKEN.finditer(data):
        word, number, byte, symbol, brace, text = found.groups()
        if brace == b"{":
            groups.append((skipped, hidden, instead))
        elif brace == b"}":
            if len(groups) > 1:
                skipped, hidden, instead = groups.pop()
        elif symbol == b"*" or (word and word in _SKIPPED):
            skipped = True
        elif word == b"v":
            hidden = number != b"0"
        elif word == b"uc":
            instead = int(number or b"1")
        elif skipped:
            continue
        elif word == b"u" and number:
            words()
            code = int(number) & 0xFFFF
            if not hidden:
                out.append(chr(code))
            pending = instead
        elif word in _MARKS:
            words()
            out.append(_MARKS[word])
        elif byte or text or symbol:
            piece = bytes.fromhex(byte.decode()) if byte else {b"~": b" ", b"_": b"-"}.get(symbol, symbol or b"")
            piece = text or (b"" if symbol in (b"-", b":") else piece)
            drop = min(pending, len(piece))
            pending -= drop
            piece = piece[drop:]
            if hidden:
                notes.hide("set to be hidden", len(piece))
            else:
                raw += piece
    words()
    # Characters beyond the first plane are written as two halves.
    return "".join(out).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
