"""What is said in a recording or a film, with its times: from files beside it, or from an engine."""

from __future__ import annotations

import hashlib
import html
import os
import re
import stat
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, Protocol

from mainspring.errors import ToolError
from mainspring.library.page import Page
from mainspring.library.sight.lines import clean

#: Files beside a recording that hold its words, in the order in which they are preferred.
SIDECARS = (".srt", ".vtt", ".lrc")
_MOST_BYTES = 8 << 20
_FRESH_NS = 2_000_000_000
#: A page of a recording ends after so many seconds, or characters.
_PAGE_S, _PAGE_CHARS = 90.0, 2_000
_TIMES = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})\s*-->\s*(?:(\d+):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})")
_LYRIC = re.compile(r"\[(\d+):(\d{1,2}(?:\.\d{1,3})?)\]")
_MARKUP = re.compile(r"<[^>\n]{0,200}>|\{\\[^}\n]{0,200}\}")


@dataclass(frozen=True, slots=True)
class Cue:
    """Words that are said between two moments, in seconds from the beginning."""

    begins_s: float
    ends_s: float
    text: str


class Transcriber(Protocol):
    """What writes down speech."""

    @property
    def name(self) -> str:
        """Which one, for people."""
        ...

    def transcribe(self, path: Path) -> tuple[Cue, ...]:
        """The words of a recording, in order. Raises ModelError; ToolError when the recording is at fault."""
        ...


def cues_in(text: str) -> tuple[Cue, ...]:
    """The cues of a SubRip, WebVTT or LRC file, by their beginning. What fits no format is passed over."""
    text = text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    found = list(_lyrics(text)) if "-->" not in text else list(_subtitles(text))
    return tuple(sorted(found, key=lambda cue: (cue.begins_s, cue.ends_s)))


def _subtitles(text: str) -> Iterator[Cue]:
    marks = list(_TIMES.finditer(text))
    for n, mark in enumerate(marks):
        h, m, s, f, h2, m2, s2, f2 = (part or "0" for part in mark.groups())
        body = text[mark.end() : marks[n + 1].start() if n + 1 < len(marks) else len(text)]
        # Behind the times stand settings; the words end at the first empty line.
        body = body.partition("\n")[2].partition("\n\n")[0]
        said = clean(html.unescape(_MARKUP.sub("", body)))
        begins = int(h) * 3600 + int(m) * 60 + int(s) + int(f.ljust(3, "0")) / 1000
        ends = int(h2) * 3600 + int(m2) * 60 + int(s2) + int(f2.ljust(3, "0")) / 1000
        if said:
            yield Cue(begins, max(begins, ends), said)


def _lyrics(text: str) -> Iterator[Cue]:
    times: list[tuple[float, str]] = []
    for line in text.split("\n"):
        marks = _LYRIC.findall(line)
        said = clean(_LYRIC.sub("", line))
        times += [(int(minutes) * 60 + float(seconds), said) for minutes, seconds in marks]
    times.sort()
    for n, (begins, said) in enumerate(times):
        if said:
            yield Cue(begins, times[n + 1][0] if n + 1 < len(times) else begins + 5.0, said)


@dataclass(frozen=True, slots=True)
class Beside:
    """A file of words that lies beside a recording.

    Args:
        path: where it is.
        digest: SHA-256 of its bytes, hex.
        cues: the words, with their times.
    """

    path: Path
    digest: str
    cues: tuple[Cue, ...]


def sidecar(path: Path) -> Path | None:
    """The file of words that lies beside a recording and is called like it (``talk.srt``, ``talk.en.vtt``).

    Links are not followed, as the folder may be a stranger's.
    """
    try:
        names = _sidecars(path.parent).get(path.stem, ())
    except OSError:
        return None
    for ending in SIDECARS:
        for name in names:
            entry = path.parent / name
            if entry.suffix.lower() == ending and entry.is_file() and not entry.is_symlink():
                return entry
    return None


def _sidecars(folder: Path) -> dict[str, list[str]]:
    """The files of words of a folder, by what recordings are called that they may belong to."""
    status = folder.stat()
    if time.time_ns() - status.st_mtime_ns < _FRESH_NS:  # it may change again within the clock's tick
        return _listed(str(folder))
    return _kept(str(folder), status.st_ino, status.st_mtime_ns)


@lru_cache(maxsize=8)
def _kept(folder: str, inode: int, stamp: int) -> dict[str, list[str]]:
    """A folder of thousands of recordings is not listed for each of them."""
    return _listed(folder)


def _listed(folder: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in sorted(os.listdir(folder)):
        stem, _, ending = name.rpartition(".")
        if f".{ending.lower()}" in SIDECARS:
            found.setdefault(stem, []).append(name)
            before, dot, language = stem.rpartition(".")
            if dot and len(language) < 10:
                found.setdefault(before, []).append(name)
    return found


def read_beside(path: Path) -> Beside | None:
    """The file beside a recording; None when there is none, or it cannot be read."""
    found = sidecar(path)
    if found is None:
        return None
    try:
        with regular(found) as file:
            data = file.read(_MOST_BYTES)
    except (OSError, ToolError):
        return None
    return Beside(found, hashlib.sha256(data).hexdigest(), cues_in(_decoded(data)))


def beside(path: Path) -> tuple[Cue, ...]:
    """The cues of the file beside a recording; none when there is no such file."""
    found = read_beside(path)
    return found.cues if found is not None else ()


def _decoded(data: bytes) -> str:
    for encoding in ("utf-8-sig", "utf-16", "gb18030"):
        if encoding == "utf-16" and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
            continue
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("utf-8", "replace")


def regular(path: Path) -> BinaryIO:
    """A regular file, opened without following a link or waiting for a pipe. Raises OSError, ToolError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    file = open(descriptor, "rb")  # noqa: SIM115 - the caller closes it
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise ToolError(f"{path.name} is no regular file")


def pages_of(cues: Sequence[Cue], first: int = 1, heading: str = "") -> Iterator[Page]:
    """A recording's pages: some cues each, as far as they go in a minute and a half."""
    some: list[Cue] = []
    size = 0
    for cue in cues:
        if some and (cue.ends_s - some[0].begins_s > _PAGE_S or size + len(cue.text) > _PAGE_CHARS):
            yield _page(some, first, heading)
            some, first, size = [], first + 1, 0
        some.append(cue)
        size += len(cue.text) + 1
    if some:
        yield _page(some, first, heading)


def _page(cues: Sequence[Cue], number: int, heading: str) -> Page:
    text = "\n".join(cue.text for cue in cues)[:20_000]
    ends = max(cue.ends_s for cue in cues)
    return Page(number, text, heading=heading, source="transcript", begins_s=cues[0].begins_s, ends_s=ends)


def _begins(cue: Cue) -> float:
    return cue.begins_s


def placed(pages: Iterable[Page], cues: Sequence[Cue], most_chars: int = 20_000) -> Iterator[Page]:
    """The scenes of a film with the words that begin in each, before what else is on them."""
    scenes = list(pages)
    ordered = sorted(cues, key=_begins)
    for n, page in enumerate(scenes):
        begins = page.begins_s if page.begins_s is not None and n else 0.0
        ends = scenes[n + 1].begins_s if n + 1 < len(scenes) else None
        low = bisect_left(ordered, begins, key=_begins)
        high = len(ordered) if ends is None else bisect_left(ordered, ends, key=_begins)
        said = [cue.text for cue in ordered[low:high]]
        if not said:
            yield page
            continue
        text = "\n".join([*said, *([page.text] if page.text else [])])[:most_chars]
        yield replace(page, text=text, regions=(), source="transcript")


def with_words(pages: Sequence[Page], cues: Sequence[Cue]) -> list[Page]:
    """The pages of a film or recording with what is said in it; without words they stay as they are."""
    if not cues:
        return list(pages)
    return list(placed(pages, cues) if any(page.pictured for page in pages) else pages_of(cues))


def heard(pages: Iterable[Page], words: Callable[[], Sequence[Cue]]) -> list[Page]:
    """The pages of a film or recording with what is said in it, for a reader that saw neither folder nor engine.

    Args:
        words: finds the words; not asked where there are some already, such as those of a film's own text track.

    Raises: what `words` raises.
    """
    known = list(pages)
    if any(page.source == "transcript" for page in known):
        return known
    return with_words(known, words())
