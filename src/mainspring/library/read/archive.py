"""Archives of Office files and books: what they hold is measured before anything is unpacked into memory."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

from mainspring.errors import ToolError
from mainspring.library.read.protocol import ReadLimits

_MOST_MEMBERS = 50_000
#: Packed more tightly than this and larger than `_SMALL` is a bomb: XML packs some 10 to 30 times, a blank sheet 100.
_MOST_RATIO = 250
_SMALL = 50_000_000
_XML = (".xml", ".rels", ".opf", ".ncx", ".xhtml", ".html", ".htm", ".svg", ".vml")
#: A document type that declares entities, in the encodings that an XML parser takes without being told.
_ENTITY = ("<!ENTITY".encode("ascii"), "<!ENTITY".encode("utf-16-le"), "<!ENTITY".encode("utf-16-be"))
_STEP = 1 << 20


class Archive:
    """A ZIP file that was found harmless. Its names are only keys: nothing is ever written under them.

    Raises:
        ToolError: it is damaged, encrypted, unpacks to too much (by what it says or by what it does), or declares
            XML entities.
    """

    def __init__(self, path: Path, limits: ReadLimits) -> None:
        self.name = path.name
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise ToolError(f"{path.name} is a damaged archive ({error}); save it again") from None
        self._infos = {info.filename: info for info in self._zip.infolist()}
        if len(self._zip.infolist()) > _MOST_MEMBERS:
            raise ToolError(f"{path.name} holds {len(self._infos):,} files; more than {_MOST_MEMBERS:,} are not read")
        self._measure(limits.unpacked_bytes)

    def __contains__(self, name: str) -> bool:
        return name in self._infos

    def names(self) -> list[str]:
        return list(self._infos)

    def read(self, name: str) -> bytes:
        """A member's bytes. Raises ToolError when there is none."""
        info = self._infos.get(name)
        if info is None:
            raise ToolError(f"{self.name} is incomplete: {name!r} is not in it; save it again")
        try:
            return self._zip.read(info)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise ToolError(f"{self.name} is damaged at {name!r} ({error}); save it again") from None

    def xml(self, name: str) -> Any:
        """A member as XML: no entities, no document types from elsewhere, nothing fetched. Raises ToolError."""
        from lxml import etree  # type: ignore[import-untyped]

        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
        try:
            root: Any = etree.fromstring(self.read(name), parser)
        except (etree.XMLSyntaxError, ValueError) as error:
            raise ToolError(f"{self.name} is damaged at {name!r} ({error}); save it again") from None
        if root is None:
            raise ToolError(f"{self.name} is damaged at {name!r}; save it again")
        return root

    def close(self) -> None:
        self._zip.close()

    def _measure(self, most: int) -> None:
        packed = said = 0
        for info in self._zip.infolist():
            if info.flag_bits & 1:
                raise ToolError(f"{self.name} is encrypted; save a copy without a password")
            packed += info.compress_size
            said += info.file_size
        self._judge(said, packed, most, "says that it unpacks")
        found = 0
        for info in self._zip.infolist():
            if not info.is_dir():
                found += self._count(info, most - found)
        self._judge(found, packed, most, "unpacks")

    def _judge(self, size: int, packed: int, most: int, does: str) -> None:
        if size > most:
            raise ToolError(
                f"{self.name} {does} to {size:,} bytes, more than {most:,} (the limit `unpacked_bytes`): not read"
            )
        if size > _SMALL and size > _MOST_RATIO * max(packed, 1):
            raise ToolError(f"{self.name} {does} to {size:,} bytes from {packed:,}: a bomb, not read")

    def _count(self, info: zipfile.ZipInfo, room: int) -> int:
        """How many bytes a member really unpacks to, a piece at a time; stops when it is more than it says."""
        total = 0
        tail = b""
        is_xml = info.filename.lower().endswith(_XML)
        try:
            raw = self._raw(info)
            for piece in raw:
                total += len(piece)
                if total > info.file_size or total > room:
                    raise ToolError(
                        f"{self.name} holds {info.filename!r}, which unpacks to more than the {info.file_size:,} bytes "
                        "that it says: not read"
                    )
                if is_xml and any(mark in tail + piece for mark in _ENTITY):
                    raise ToolError(f"{self.name} declares XML entities in {info.filename!r}, as bombs do: not read")
                tail = piece[-16:]
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
            raise ToolError(f"{self.name} is damaged at {info.filename!r} ({error}); save it again") from None
        return total

    def _raw(self, info: zipfile.ZipInfo) -> Any:
        """Unpacked pieces of a member, however many there are: the archive's own reader stops where it says."""
        file = self._zip.fp
        assert file is not None
        file.seek(info.header_offset)
        head = file.read(30)
        if len(head) < 30 or head[:4] != b"PK\x03\x04":
            raise zipfile.BadZipFile("no member where one should be")
        file.seek(int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little"), 1)
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise zipfile.BadZipFile(f"packing method {info.compress_type} is not used by documents")
        unpack = zlib.decompressobj(-15) if info.compress_type == zipfile.ZIP_DEFLATED else None
        left = info.compress_size
        while left > 0:
            data = file.read(min(left, _STEP))
            if not data:
                raise EOFError("it ends too early")
            left -= len(data)
            if unpack is None:
                yield data
                continue
            while data:
                yield unpack.decompress(data, _STEP)
                data = unpack.unconsumed_tail
                if unpack.eof:
                    return


def plain(value: object) -> str:
    """A property of a document as a line."""
    return " ".join(str(value or "").split())
