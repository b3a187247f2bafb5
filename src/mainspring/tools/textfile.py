"""Text as it lies on disk: its encoding and line ends, kept when it is written back."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from mainspring.errors import ToolError

_PROBE = 8192
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a file's bytes stand for text: `mark` is its byte order mark, `certain` whether it was told or proved."""

    name: str
    mark: bytes = b""
    certain: bool = True

    def encode(self, text: str, shown: str) -> bytes:
        """Text as the file's bytes. Raises ToolError for a character that this encoding lacks."""
        try:
            return self.mark + text.encode(self.name)
        except UnicodeEncodeError as error:
            bad = text[error.start]
            raise ToolError(f"{shown} is {self.name} text, which cannot hold {bad!r}; use other characters") from None

    def decode(self, data: bytes) -> str:
        """The file's bytes as text, without the mark."""
        return data[len(self.mark) :].decode(self.name, "replace")


def encoding_of(data: bytes, *, whole: bool) -> Encoding | None:
    """The encoding of a file's bytes, or of its beginning when not `whole`; None when they are no text."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return Encoding(name, mark)
    if b"\0" in data[:_PROBE]:
        return None
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data, final=whole)
    except UnicodeDecodeError:
        return Encoding("latin-1", certain=False)  # every byte is a character of it, so writing back loses nothing
    return Encoding("utf-8")


def decoded(data: bytes, encoding: Encoding, shown: str) -> str:
    """A file's text, to be changed and written back.

    Raises:
        ToolError: what would be written back is not what was read (a broken pair of UTF-16 units, for example).
    """
    text = encoding.decode(data)
    try:
        same = encoding.mark + text.encode(encoding.name) == data
    except UnicodeEncodeError:
        same = False
    if not same:
        raise ToolError(f"{shown} is no sound {encoding.name} text; an edit would change other parts of it too")
    return text


def uses_crlf(text: str) -> bool:
    """True when most lines end with carriage return and newline."""
    return text.count("\r\n") * 2 > text.count("\n")


def size(count: int) -> str:
    """A number of bytes for people."""
    for unit in ("bytes", "KB", "MB"):
        if count < 1000 or unit == "MB":
            break
        count = round(count / 1000)
    return f"{count:,} {unit}"
