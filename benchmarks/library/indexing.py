"""The set indexed by the real library, and what that took. A library is kept, and made again when the set changes."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from mainspring.library.ingest.report import Progress
from mainspring.library.library import Library

#: The cache of OCR, kept over libraries: reading a page takes seconds.
OCR_CACHE = "ocr.sqlite"


@dataclass(frozen=True, slots=True)
class Indexed:
    """What indexing took.

    Args:
        pages, scanned: how many, and how many of them OCR read.
        read_s, ocr_s, encode_s: seconds of each stage; `ocr_s` tells nothing where answers were kept.
        bytes: of the library's folder, without what OCR keeps.
        kept: True when the library was made by an earlier run, whose times these are.
        ocr_kept: True when answers of OCR were kept from before.
    """

    pages: int
    scanned: int
    read_s: float
    ocr_s: float
    encode_s: float
    bytes: int
    kept: bool
    ocr_kept: bool


def indexed(
    name: str, folder: Path, home: Path, note: Callable[[str], None], *, key: str, fresh: bool = False
) -> tuple[Library, Indexed]:
    """A library of the documents in `folder`, and what making it took.

    Args:
        name: of the library. home: where libraries are kept.
        key: says what the library is made of; another one makes it again.
        fresh: make it again in any case.
    """
    from mainspring.library.embed import open_embedder

    embedder = open_embedder()
    made_of = hashlib.sha256(f"{key} {embedder.space.id} {folder}".encode()).hexdigest()[:16]
    embedder.close()
    place = home / "library" / name
    said = place.with_suffix(".json")
    kept = json.loads(said.read_text()) if said.is_file() else {}
    if not fresh and kept.get("made_of") == made_of and place.is_dir():
        return Library.open(name, home), Indexed(**{**kept["took"], "kept": True})
    shutil.rmtree(place, ignore_errors=True)
    said.unlink(missing_ok=True)
    cache, answers = home / OCR_CACHE, place / "ocr" / "read.sqlite"
    if cache.is_file():
        answers.parent.mkdir(parents=True)
        shutil.copy(cache, answers)
    library = Library.open(name, home)
    try:
        took = _index(library, folder, place, note, cache.is_file())
    except BaseException:
        library.close()
        raise
    if answers.is_file():
        shutil.copy(answers, cache)
    said.write_text(json.dumps({"made_of": made_of, "took": asdict(took)}))
    return library, took


def _index(library: Library, folder: Path, place: Path, note: Callable[[str], None], ocr_kept: bool) -> Indexed:
    told = read_until = 0.0

    def tell(at: Progress) -> None:
        nonlocal told, read_until
        if at.stage == "read":
            read_until = time.perf_counter()
        if time.monotonic() - told > 10 and at.total:
            told = time.monotonic()
            note(f"  {at.stage}: {at.done} of {at.total}, {at.rate:.2g} a second")

    began = time.perf_counter()
    first = library.index([folder], ocr="off", progress=tell)
    read_s, encode_s = read_until - began, time.perf_counter() - read_until
    began = time.perf_counter()
    second = library.read_pictures(progress=tell)
    ocr_s = time.perf_counter() - began
    if first.failed or second.unread:
        raise RuntimeError(f"the library did not read all of the set: {first.failed} {second.notes}")
    library.compact()  # what is measured is a library at rest, as it is some time after indexing
    size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file() and "ocr" not in path.parts)
    return Indexed(first.pages, second.read, read_s, ocr_s, encode_s, size, False, ocr_kept)
