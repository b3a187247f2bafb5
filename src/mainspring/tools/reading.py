"""The `read_file` tool: numbered lines of a text file, or the entries of a folder."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mainspring.errors import ToolError
from mainspring.tools.paths import MissingError, Place, locate, printable, suggest
from mainspring.tools.textfile import Encoding, encoding_of, size, uses_crlf

_CHUNK = 1 << 20
_SCAN_BYTES = 512 << 20
_WHOLE_BYTES = 8 << 20
_LINE_CHARACTERS = 2_000
_PAGE_CHARACTERS = 40_000
_ENTRIES = 300


@dataclass(frozen=True, slots=True)
class Page:
    """What was read.

    Args:
        text: numbered lines under a headline, or a folder's entries.
        path: the file or folder, from the workspace.
        digest: SHA-256 (hex) of the whole content that the lines are of; None for a folder, or when it was not taken.
    """

    text: str
    path: str
    digest: str | None = None


def read(
    workspace: Path,
    path: str,
    start_line: int = 1,
    lines: int = 250,
    home: Path | None = None,
    hash_bytes: int = 0,
) -> Page:
    """Part of a text file, as numbered lines under a headline that says where to go on; or a folder's entries.

    At most about 40,000 characters come back and at most 512 MB are read, whatever the file's size.

    Args:
        hash_bytes: take the digest of a file of up to this many bytes.

    Raises:
        ToolError: the path is missing, outside the workspace, no plain file, or not text.
    """
    if start_line < 1 or lines < 1:
        raise ToolError(f"start_line and lines count from 1; got start_line={start_line}, lines={lines}")
    try:
        with locate(workspace, path, home=home) as place:
            fd = place.open()
            try:
                if stat.S_ISDIR(os.fstat(fd).st_mode):
                    return Page(_entries(fd, place), place.path)
                data = _whole(fd, hash_bytes)
                if data is None:
                    with open(fd, "rb", buffering=0, closefd=False) as file:
                        return Page(_page(file, os.fstat(fd).st_size, place, start_line, lines), place.path)
                # The lines come from the bytes that were hashed: the file may be written to meanwhile.
                text = _page(io.BytesIO(data), len(data), place, start_line, lines)
                return Page(text, place.path, hashlib.sha256(data).hexdigest())
            finally:
                os.close(fd)
    except MissingError as error:
        near = suggest(workspace, path)
        raise MissingError(f"{error}" + (f"; did you mean {', '.join(near)}?" if near else "")) from None


def _whole(fd: int, most: int) -> bytes | None:
    """A file's content, or None (and its position as it was) when it has more than `most` bytes."""
    if not most or os.fstat(fd).st_size > most:
        return None
    data = bytearray()
    while piece := os.read(fd, min(_CHUNK, most + 1 - len(data))):
        data += piece
    if len(data) <= most:
        return bytes(data)
    os.lseek(fd, 0, os.SEEK_SET)
    return None


def _page(file: BinaryIO | io.RawIOBase, total: int, place: Place, start_line: int, lines: int) -> str:
    first = file.read(_CHUNK) or b""
    encoding = encoding_of(first, whole=total <= len(first))
    if encoding is None:
        raise ToolError(f"{place.path} is a binary file ({size(total)}), not text; inspect it with a command")
    shown: list[str] = []
    characters = 0
    number = 0
    more = False
    for text in _lines(file, first, encoding):
        number += 1
        if number < start_line or more:
            if more and total > _WHOLE_BYTES:
                break  # only a small file is read to its end to count its lines
            continue
        if len(shown) >= lines or characters > _PAGE_CHARACTERS:
            more = True
            continue
        text = text if len(text) <= _LINE_CHARACTERS else f"{text[:_LINE_CHARACTERS]} [... line cut]"
        shown.append(f"{number:>5}| {text}")
        characters += len(text) + 7
    if not shown:
        if number == 0 and start_line == 1:
            return f"{place.path} is empty"
        raise ToolError(f"{place.path} has {number:,} lines; start_line {start_line:,} is past its end")
    last = start_line + len(shown) - 1
    counted = f"{number:,}" if not more or total <= _WHOLE_BYTES else f"many ({size(total)})"
    head = f"{place.path}, lines {start_line:,}-{last:,} of {counted}"
    if more:
        head += f"; go on with start_line={last + 1}"
    if not encoding.certain:
        head += "; not valid UTF-8, shown as Latin-1"
    elif encoding.name != "utf-8":
        head += f"; {encoding.name}"
    if uses_crlf(encoding.decode(first[: _CHUNK // 4])):
        head += "; lines end with CRLF"
    return "\n".join([head, *shown])


def _lines(file: BinaryIO | io.RawIOBase, data: bytes, encoding: Encoding) -> Iterator[str]:
    """Lines without their ends, read piece by piece; a line longer than a piece comes out cut."""
    newline = "\n".encode(encoding.name)
    data = data[len(encoding.mark) :]
    done = len(data)
    rest = b""
    skipping = False
    while data:
        *whole, rest = _split(rest + data, newline, len(newline))
        for line in whole:
            if not skipping:
                yield line.decode(encoding.name, "replace").removesuffix("\r")
            skipping = False
        if len(rest) > _CHUNK:
            if not skipping:
                yield rest[:_CHUNK].decode(encoding.name, "replace")
            rest, skipping = b"", True
        if done >= _SCAN_BYTES:
            raise ToolError(f"these lines are more than {size(_SCAN_BYTES)} into the file; use a command such as sed")
        data = file.read(_CHUNK) or b""
        done += len(data)
    if rest and not skipping:
        yield rest.decode(encoding.name, "replace").removesuffix("\r")


def _split(data: bytes, newline: bytes, width: int) -> list[bytes]:
    if width == 1:
        return data.split(newline)
    pieces, start, at = [], 0, data.find(newline)
    while at >= 0:
        if (at - start) % width == 0:  # else the bytes straddle two characters
            pieces.append(data[start:at])
            start = at + width
            at = data.find(newline, start)
        else:
            at = data.find(newline, at + 1)
    return [*pieces, data[start:]]


def _entries(fd: int, place: Place) -> str:
    rows = []
    with os.scandir(fd) as entries:
        for entry in entries:
            name = printable(entry.name)
            if entry.is_symlink():
                rows.append(f"{name} -> {printable(os.readlink(entry.name, dir_fd=fd))}")
            elif entry.is_dir(follow_symlinks=False):
                rows.append(f"{name}/")
            else:
                rows.append(f"{name}  ({size(entry.stat(follow_symlinks=False).st_size)})")
    rows.sort()
    head = f"{place.path} is a folder with {len(rows):,} entries"
    if len(rows) > _ENTRIES:
        head += f"; the first {_ENTRIES}"
    return "\n".join([head, *rows[:_ENTRIES]])
