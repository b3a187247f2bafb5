"""What a file is: by its first bytes, then by its name."""

from __future__ import annotations

import re
from pathlib import Path

from mainspring.library.page import Kind
from mainspring.library.read.charset import utf16_without_mark

#: How many first bytes `kind_of` wants to see.
HEAD_BYTES = 8192

_SUFFIXES: dict[Kind, str] = {
    "pdf": "pdf",
    "image": "png jpg jpeg jpe gif bmp webp tif tiff ppm pgm pbm ico avif heic svg",
    "slides": "pptx pptm ppsx odp",
    "office": "docx docm odt rtf",
    "sheet": "xlsx xlsm ods csv tsv",
    "html": "html htm xhtml",
    "markdown": "md markdown mdown mkd",
    "text": "txt text log json jsonl ndjson xml yaml yml toml ini cfg conf properties rst adoc tex srt vtt lrc org",
    "code": "py pyi js jsx mjs cjs ts mts cts tsx go rs java c h cc cpp cxx c++ hh hpp hxx h++ ipp tpp "
    "rb php cs kt kts swift scala pl pm lua r jl sh bash zsh fish ps1 sql proto cmake mk dart ex exs erl hs ml mli "
    "clj vue svelte css scss less zig nim tf gradle groovy",
    "mail": "eml mbox",
    "video": "mp4 m4v mkv webm mov avi mpg mpeg ts2 wmv flv ogv",
    "audio": "wav mp3 flac ogg oga opus m4a aac aiff aif wma",
    "book": "epub",
}
BY_SUFFIX: dict[str, Kind] = {suffix: kind for kind, names in _SUFFIXES.items() for suffix in names.split()}
_BY_NAME: dict[str, Kind] = {
    "makefile": "code",
    "dockerfile": "code",
    "cmakelists.txt": "code",
    "readme": "text",
    "license": "text",
    "changelog": "text",
    "authors": "text",
    "notice": "text",
}
#: First bytes of pictures, recordings and films (their formats' own documents).
_MAGIC: tuple[tuple[bytes, Kind], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image"),
    (b"\xff\xd8\xff", "image"),
    (b"GIF87a", "image"),
    (b"GIF89a", "image"),
    (b"II*\x00", "image"),
    (b"MM\x00*", "image"),
    (b"{\\rtf", "office"),
    (b"ID3", "audio"),
    (b"fLaC", "audio"),
    (b"\x1aE\xdf\xa3", "video"),
    (b"\x00\x00\x01\xba", "video"),
    (b"FLV\x01", "video"),
)
_TEXTUAL = frozenset({"text", "code", "markdown", "html", "mail", "sheet"})
#: Programs, libraries and packed data: never documents, whatever they are called.
_NEVER = (
    b"\x7fELF",
    b"MZ",
    b"\xca\xfe\xba\xbe",
    b"SQLite format 3\x00",
    b"\x00asm",
    b"\x1f\x8b",
    b"7z\xbc\xaf",
    b"Rar!",
)
_HTML = re.compile(rb"\s*(?:<!--.*?-->\s*)*<(?:!doctype html|html[\s>])", re.I | re.S)
_MAIL = re.compile(rb"(?:[A-Za-z][A-Za-z0-9-]*: ?[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*\r?\n){2,}")
_MAIL_HEADERS = re.compile(rb"^(?:from|to|subject|date|message-id|received|return-path):", re.I | re.M)


def kind_of(path: Path, head: bytes) -> Kind | None:
    """What kind of document a file is; None when it is none that can be read (a program, an unknown archive).

    Args:
        path: for its name only; nothing is opened.
        head: its first bytes (`HEAD_BYTES` of them, or all when there are fewer).
    """
    name = path.name.lower()
    suffix = BY_SUFFIX.get(name.rpartition(".")[2]) if "." in name else None
    if not head:
        return suffix or _BY_NAME.get(name)
    if any(head.startswith(magic) for magic in _NEVER):
        return None
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zipped(name, head)
    if head.startswith(b"\xd0\xcf\x11\xe0"):  # OLE: encrypted, or older than 2007; their reader says so
        old = {"doc": "office", "ppt": "slides", "xls": "sheet"}.get(name.rpartition(".")[2])
        return suffix if suffix in ("office", "slides", "sheet") else old  # type: ignore[return-value]
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    return _boxed(head) or _text_or_none(name, head, suffix)


def _zipped(name: str, head: bytes) -> Kind | None:
    """An Office file, an OpenDocument or a book: by its first member, else by its name."""
    declared = re.search(rb"mimetypeapplication/([a-z0-9.+-]+)", head[:200])
    if declared:
        said = declared[1]
        for mark, kind in ((b"epub", "book"), (b".text", "office"), (b"presentation", "slides"), (b"sheet", "sheet")):
            if mark in said:
                return kind  # type: ignore[return-value]
    suffix = BY_SUFFIX.get(name.rpartition(".")[2])
    if suffix in ("office", "slides", "sheet", "book"):
        return suffix
    for mark, kind in ((b"word/", "office"), (b"ppt/", "slides"), (b"xl/", "sheet")):
        if mark in head:
            return kind  # type: ignore[return-value]
    return None


def _boxed(head: bytes) -> Kind | None:
    if head[:4] == b"RIFF":
        return {b"WAVE": "audio", b"AVI ": "video", b"WEBP": "image"}.get(head[8:12])  # type: ignore[return-value]
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        if brand in (b"avif", b"heic", b"heix", b"mif1"):
            return "image"
        return "audio" if brand in (b"M4A ", b"M4B ") else "video"
    if head[:4] == b"OggS":
        return "video" if b"theora" in head[:512] else "audio"
    if head[:2] in (b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xf1", b"\xff\xf9"):
        return "audio"
    if head[:2] == b"BM" and len(head) > 18 and head[6:10] == b"\0\0\0\0":
        return "image"
    return None


def _text_or_none(name: str, head: bytes, suffix: Kind | None) -> Kind | None:
    if suffix is not None and suffix not in _TEXTUAL:
        return suffix  # a broken one: its reader says so
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")) and not utf16_without_mark(head):
        return None
    if _HTML.match(head.lstrip(b"\xef\xbb\xbf")):
        return "html"
    if suffix is not None:
        return suffix
    if name in _BY_NAME:
        return _BY_NAME[name]
    if head.startswith(b"#!"):
        return "code"
    if (head.startswith(b"From ") or _MAIL.match(head)) and len(_MAIL_HEADERS.findall(head)) >= 2:
        return "mail"
    return "text" if _looks_like_text(head) else None


def _looks_like_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    controls = sum(byte < 32 and byte not in (9, 10, 12, 13, 27) for byte in head)
    return controls * 100 <= len(head)
