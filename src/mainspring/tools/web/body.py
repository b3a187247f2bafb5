"""The body of an answer: decompressed within a limit, and decoded to text whatever the server says of it."""

from __future__ import annotations

import codecs
import re
import zlib

from mainspring.errors import ToolError

#: Encodings that pages come in. Python has more, some of them slow or no encodings of text at all.
_CHARSETS = re.compile(
    r"utf-8|utf-8-sig|utf-16(-[bl]e)?|utf-32(-[bl]e)?|ascii|iso8859-\d+|cp(12\d\d|437|850|866|874|932|949|950)|"
    r"koi8-[ru]|mac-roman|gbk|gb2312|gb18030|hz|big5|big5hkscs|shift_jis|shift_jis_2004|euc_jp|euc_kr|iso2022_jp|tis-620\Z"
)
_META = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class Unpacker:
    """Takes a body piece by piece and stops at `limit` bytes, however little was sent for them.

    Args:
        encoding: the Content-Encoding header.
        limit: most bytes kept, packed and unpacked.

    Raises:
        ToolError: an encoding that was not asked for.
    """

    def __init__(self, encoding: str, limit: int) -> None:
        encoding = encoding.strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise ToolError("the server packed its answer in a way that was not asked for")
        self._packed = encoding not in ("", "identity")
        self._zlib: zlib._Decompress | None = None
        self._deflate = encoding == "deflate"
        self._limit = limit
        self._taken = 0
        self.data = bytearray()
        self.cut = False

    def feed(self, piece: bytes) -> bool:
        """Add a piece; False when the limit is reached and no more is wanted. Raises ToolError."""
        self._taken += len(piece)
        room = self._limit - len(self.data)
        if self._packed and piece:
            if self._zlib is None:
                # Some servers send "deflate" without its two-byte header.
                raw = self._deflate and (piece[0] & 0x0F) != 8
                self._zlib = zlib.decompressobj(-15 if raw else 47)
            try:
                piece = self._zlib.decompress(piece, room + 1)
            except zlib.error:
                raise ToolError("the answer is damaged: it cannot be unpacked") from None
        self.data += piece[:room]
        self.cut = len(piece) > room or self._taken > self._limit
        return not self.cut


def decode(data: bytes, charset: str, *, html: bool, cut: bool = False) -> str:
    """The text of a body. What cannot be decoded becomes U+FFFD; an unknown charset counts as none.

    Args:
        charset: as the Content-Type header names it, or "".
        html: look for the charset that the page itself names.
        cut: the data ends where a limit was, perhaps within a letter.
    """
    for mark, name in _BOMS:
        if data.startswith(mark):
            return data.decode(name, "replace")
    meta = _META.search(data[:2048]) if html and not charset else None
    found = _known(charset or (meta.group(1).decode("ascii", "replace") if meta else ""))
    if found:
        return data.decode(found, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        # Old pages without a charset are in Windows' Western one, as browsers take them.
        whole = not (cut and error.start >= len(data) - 3)
        return data.decode("cp1252" if whole else "utf-8", "replace")


def _known(charset: str) -> str:
    try:
        name = codecs.lookup(charset).name if charset.isascii() and "\0" not in charset else ""
    except LookupError:
        return ""
    return name if _CHARSETS.fullmatch(name) else ""
