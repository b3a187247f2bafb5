"""Reading and parsing files, in this process or, when there are many, in two others beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mainspring.code.index.extract import extract
from mainspring.code.index.facts import Facts
from mainspring.code.index.files import MAX_BYTES, read_plain, why_left_out
from mainspring.code.index.languages import language_of
from mainspring.code.index.words import cut, words_of

__all__ = ["Parsed", "parse", "parse_all"]

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Parsed:
    """A file that was read: what is kept of it, or why nothing is."""

    digest: bytes
    left_out: str = ""
    head: str = ""
    packed: bytes = b""
    words: tuple[str, str, str] = ("", "", "")
    facts: Facts | None = None


def parse(root: Path, path: str, known: bytes | None = None) -> Parsed | None:
    """Read and parse one file; None when its content still has the digest `known`."""
    try:
        data = read_plain(root, path)
    except (OSError, ValueError):
        return Parsed(b"", left_out="unreadable")
    digest = hashlib.blake2b(data, digest_size=16).digest()
    if digest == known:
        return None
    why = f"larger than {MAX_BYTES >> 20} MB" if len(data) > MAX_BYTES else why_left_out(path, data)
    language = language_of(path, data)
    if why or language is None:
        return Parsed(digest, left_out=why or "of no known language")
    facts = extract(path, data, language)
    head, packed = facts.encode()
    names = " ".join(dict.fromkeys(part for symbol in facts.symbols for part in cut(symbol.name)))
    folders = " ".join(part for piece in path.split("/") for part in cut(piece.rpartition(".")[0] or piece))
    folders = folders.encode("utf-8", "replace").decode()  # a name that is no UTF-8 cannot be stored as text
    return Parsed(digest, "", head, packed, (folders, names, words_of(data)), facts)


def parse_all(
    root: Path, paths: Sequence[str], known: Mapping[str, bytes], progress: Progress | None = None
) -> Iterator[tuple[str, Parsed | None]]:
    """Parse files in order; None for one whose content is as it was."""
    for count, path in enumerate(paths, 1):
        yield path, parse(root, path, known.get(path))
        if progress is not None:
            progress(count, len(paths))
