"""What is said in a recording or a film, with its times: from files beside it, or from an engine."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from mainspring.errors import ModelError, ToolError
from mainspring.library.page import Page
from mainspring.library.sight.lines import clean

#: Files beside a recording that hold its words, in the order in which they are preferred.
SIDECARS = (".srt", ".vtt", ".lrc")
_MOST_BYTES = 8 << 20
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


def sidecar(path: Path) -> Path | None:
    """The file of words that lies beside a recording and is called like it (``talk.srt``, ``talk.en.vtt``)."""
    try:
        near = sorted(entry for entry in path.parent.iterdir() if entry.name.startswith(path.stem + "."))
    except OSError:
        return None
    for ending in SIDECARS:
        for entry in near:
            extra = entry.name[len(path.stem) : -len(ending)]
            if entry.suffix.lower() == ending and extra.count(".") <= 1 and len(extra) <= 10 and entry.is_file():
                return entry
    return None


def beside(path: Path) -> tuple[Cue, ...]:
    """The cues of the file beside a recording; none when there is no such file."""
    found = sidecar(path)
    if found is None:
        return ()
    with found.open("rb") as file:
        data = file.read(_MOST_BYTES)
    for encoding in ("utf-8-sig", "utf-16", "gb18030"):
        if encoding == "utf-16" and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
            continue
        try:
            return cues_in(data.decode(encoding))
        except UnicodeDecodeError:
            continue
    return cues_in(data.decode("utf-8", "replace"))


def pages_of(cues: Sequence[Cue], first: int = 1, heading: str = "") -> Iterator[Page]:
    """A recording's pages: some cues each, as far as they go in a minute and a half."""
    some: list[Cue] = []
    for cue in cues:
        size = sum(len(one.text) + 1 for one in some)
        if some and (cue.ends_s - some[0].begins_s > _PAGE_S or size + len(cue.text) > _PAGE_CHARS):
            yield _page(some, first, heading)
            some, first = [], first + 1
        some.append(cue)
    if some:
        yield _page(some, first, heading)


def _page(cues: Sequence[Cue], number: int, heading: str) -> Page:
    text = "\n".join(cue.text for cue in cues)[:20_000]
    ends = max(cue.ends_s for cue in cues)
    return Page(number, text, heading=heading, source="transcript", begins_s=cues[0].begins_s, ends_s=ends)


def placed(pages: Iterable[Page], cues: Sequence[Cue], most_chars: int = 20_000) -> Iterator[Page]:
    """The scenes of a film with the words that begin in each, before what else is on them."""
    scenes = list(pages)
    for n, page in enumerate(scenes):
        begins = page.begins_s if page.begins_s is not None and n else 0.0
        ends = scenes[n + 1].begins_s if n + 1 < len(scenes) else None
        said = [cue.text for cue in cues if begins <= cue.begins_s and (ends is None or cue.begins_s < ends)]
        if not said:
            yield page
            continue
        text = "\n".join([*said, *([page.text] if page.text else [])])[:most_chars]
        yield replace(page, text=text, regions=(), source="transcript")


@dataclass(frozen=True)
class HttpTranscriber:
    """An engine behind OpenAI's ``/v1/audio/transcriptions`` (vLLM, speaches, whisper.cpp's server, OpenAI).

    Args:
        url: up to and with ``/v1``.
        model: as the server calls it.
        key: sent as a bearer token; "" for none.
        seconds: time for one recording.
        bytes_: largest file that is sent.
    """

    url: str
    model: str
    key: str = ""
    seconds: float = 600.0
    bytes_: int = 512 << 20

    @property
    def name(self) -> str:
        return f"{self.model} at {self.url}"

    def transcribe(self, path: Path) -> tuple[Cue, ...]:
        """As `Transcriber.transcribe`."""
        import httpx2

        size = path.stat().st_size
        if size > self.bytes_:
            raise ToolError(
                f"{path.name} has {size:,} bytes, more than the {self.bytes_:,} that are sent to {self.name}"
            )
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        asked = {"model": self.model, "response_format": "verbose_json", "timestamp_granularities[]": "segment"}
        try:
            with path.open("rb") as file, httpx2.Client(timeout=self.seconds, headers=headers) as client:
                answer = client.post(
                    f"{self.url.rstrip('/')}/audio/transcriptions", data=asked, files={"file": (path.name, file)}
                )
        except httpx2.HTTPError as error:
            raise ModelError(f"{self.name} does not answer: {error}", retryable=True) from error
        if answer.status_code != 200:
            said = clean(answer.text)[:300]
            raise ModelError(
                f"{self.name} answers {answer.status_code}: {said}",
                retryable=answer.status_code in (408, 429) or answer.status_code >= 500,
                status=answer.status_code,
            )
        try:
            return _segments(answer.json())
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"{self.name} answers with something that is no transcript: {error!r}") from error


def _segments(answer: Any) -> tuple[Cue, ...]:
    """The cues of a ``verbose_json`` answer; one cue for all when the server gives no segments."""
    if answer.get("segments"):
        cues = [Cue(float(s["start"]), float(s["end"]), clean(str(s["text"]))) for s in answer["segments"]]
    else:
        cues = [Cue(0.0, float(answer.get("duration") or 0.0), clean(str(answer["text"])))]
    return tuple(sorted((cue for cue in cues if cue.text), key=lambda cue: cue.begins_s))


class FasterWhisper:
    """`faster-whisper`, where it is installed (it is not among Mainspring's extras).

    Args:
        model: a folder with its weights; names of models that would have to be fetched are refused.

    Raises:
        ModelError: it is not installed, or there is no such folder.
    """

    def __init__(self, model: Path) -> None:
        if find_spec("faster_whisper") is None:
            raise ModelError("faster-whisper is not installed: pip install faster-whisper, or use a server's URL")
        if not model.is_dir():
            raise ModelError(f"{model} is no folder with a model of faster-whisper; download one and name its folder")
        self._folder = model
        self._model: Any = None

    @property
    def name(self) -> str:
        return f"faster-whisper {self._folder.name}"

    def transcribe(self, path: Path) -> tuple[Cue, ...]:
        """As `Transcriber.transcribe`."""
        from faster_whisper import WhisperModel  # type: ignore[import-not-found, unused-ignore]

        self._model = self._model or WhisperModel(str(self._folder), device="cpu", local_files_only=True)
        segments, _ = self._model.transcribe(str(path))
        found = (Cue(float(s.start), float(s.end), clean(str(s.text))) for s in segments)
        return tuple(cue for cue in found if cue.text)


def heard(path: Path, pages: Iterable[Page], transcriber: Transcriber | None = None) -> Iterator[Page]:
    """The pages of a film or recording with what is said in it, for a reader that saw neither file nor engine.

    The file beside it comes first, then the engine; without words, and where there are some already, the pages stay.

    Raises:
        ModelError, ToolError: the engine failed.
    """
    known = list(pages)
    if any(page.source == "transcript" for page in known):
        yield from known
        return
    cues = beside(path)
    if not cues and transcriber is not None:
        cues = transcriber.transcribe(path)
    if not cues:
        yield from known
    elif any(page.pictured for page in known):
        yield from placed(known, cues)
    else:
        yield from pages_of(cues)
