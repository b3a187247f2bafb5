"""Films as scenes and recordings as stretches, by PyAV (FFmpeg), decoded in software."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.errors import ModelError, ToolError
from mainspring.library.page import Page
from mainspring.library.read.protocol import About, ReadLimits
from mainspring.library.sight.lines import clean
from mainspring.library.sight.scenes import Cutter, Scene
from mainspring.library.sight.tags import tag_words, tags_of
from mainspring.library.sight.transcripts import Cue, Transcriber, beside, pages_of, placed

if TYPE_CHECKING:
    from PIL.Image import Image

#: Frames a second that are looked at; of films longer than `_LONG_S` only key frames are decoded.
_RATE, _LONG_S = 4.0, 1_200.0
_EXTRA = ("title", "artist", "album", "date", "genre", "comment", "language", "copyright")
#: The problem of a recording of whose words nothing is known.
NOT_HEARD = "no transcriber: what is said in it cannot be searched"
#: Protocols and containers that would open other files are not followed.
_OPTIONS = {"protocol_whitelist": "file,pipe,fd", "enable_drefs": "0", "use_absolute_path": "0"}
_LISTS = frozenset({"hls", "dash", "concat", "concatf", "sdp", "rtsp", "image2", "imf", "lavfi"})


@contextmanager
def container(path: Path) -> Iterator[Any]:
    """A film or recording that is open. Raises ToolError with what is wrong."""
    try:
        import av
        from av.error import FFmpegError
    except ImportError as error:
        raise ModelError('films and recordings need PyAV: pip install "mainspring[library]"') from error
    if path.stat().st_size == 0:
        raise ToolError(f"{path.name} is empty")
    try:
        with path.open("rb") as file, av.open(file, "r", metadata_errors="replace", options=_OPTIONS) as found:
            if set(str(found.format.name).split(",")) & _LISTS:
                raise ToolError(f"{path.name} is a list of other files, which is not followed; index those files")
            if str(found.format.name).endswith("_pipe"):
                raise ToolError(f"{path.name} is a picture, no film or recording; call it by its own ending")
            yield found
    except FFmpegError as error:
        raise ToolError(f"{path.name} cannot be read as a film or recording: {error.strerror}") from error


class Film:
    """A film. Raises ToolError: no film, larger than the limits, or broken from the start."""

    def __init__(self, path: Path, limits: ReadLimits) -> None:
        self._path, self._limits = path, limits
        self._scenes: list[Scene] | None = None
        self._cues: tuple[Cue, ...] = ()
        self.problem = ""
        with container(path) as film:
            if not film.streams.video:
                raise ToolError(f"{path.name} holds no pictures; it may be a recording (audio)")
            video = film.streams.video[0]
            if video.width * video.height > limits.pixels:
                raise ToolError(f"{path.name} has frames of {video.width} x {video.height} pixels, more than the limit")
            self._duration = duration(film)
            extra = _extra(film) | {"size": f"{video.width} x {video.height}", "codec": str(video.codec.name)}
            self.about = About("video", extra.get("title", "") or path.name, extra)

    def pages(self) -> Iterator[Page]:
        scenes = self.scenes()
        base = [self._page(number, scene) for number, scene in enumerate(scenes, 1)]
        yield from placed(base, self._cues or beside(self._path), self._limits.page_chars)

    def _page(self, number: int, scene: Scene) -> Page:
        wide, high = scene.size
        return Page(
            number,
            "",
            heading=tag_words(tags_of(scene.small())),
            source="none",
            pictured=True,
            unread=1.0,
            width=float(wide),
            height=float(high),
            begins_s=round(scene.begins_s, 3),
            ends_s=round(scene.ends_s, 3),
        )

    def scenes(self) -> list[Scene]:
        """The scenes, found by decoding it once. Raises ToolError when not one picture can be decoded."""
        if self._scenes is not None:
            return self._scenes
        from av.error import FFmpegError

        until = time.monotonic() + self._limits.seconds / 2
        cutter = Cutter(min(self._limits.pages, 300))
        cues: list[Cue] = []
        with container(self._path) as film:
            video = film.streams.video[0]
            video.thread_count = 1
            if self._duration > _LONG_S:
                video.codec_context.skip_frame = "NONKEY"
            step, last, broken = 1 / _RATE, -1e9, 0
            texts = [stream for stream in film.streams.subtitles if stream.codec_context.name != "dvd_subtitle"][:1]
            packets = film.demux(video, *texts)
            while True:
                if time.monotonic() > until:
                    self.problem = f"only its first {max(0.0, last):.0f} s were looked at, for want of time"
                    break
                try:
                    packet = next(packets)
                    if packet.stream.type == "subtitle":
                        cues += _said(packet)
                        continue
                    decoded = packet.decode()
                except StopIteration:
                    break
                except FFmpegError:
                    broken += 1
                    if broken > 200:
                        break
                    continue
                for image in decoded:
                    at = image.time if image.time is not None else last + step
                    if at >= last + step or at < last - 1:
                        cutter.add(float(at), image)
                        last = float(at)
            if broken:
                self.problem = f"{broken} of its packets are damaged; the rest was read"
        self._scenes, self._cues = cutter.scenes(self._duration), tuple(cues)
        if not self._scenes:
            raise ToolError(f"{self._path.name}: not one picture of this film can be decoded")
        if self._duration and not self.problem and last < self._duration - max(5.0, 0.1 * self._duration):
            self.problem = f"it says that it lasts {self._duration:.0f} s, but ends at {last:.0f} s"
        if cutter.merged:
            self.problem = self.problem or f"it has more than {len(self._scenes)} scenes; the shortest were joined"
        return self._scenes

    def render(self, number: int, width: int) -> Image:
        from av.error import FFmpegError

        from mainspring.library.sight.media import scaled

        scenes = self.scenes()
        if not 1 <= number <= len(scenes):
            raise ToolError(f"{self._path.name} has no scene {number}; it has {len(scenes)}")
        at = scenes[number - 1].key_s
        until = time.monotonic() + min(60.0, self._limits.seconds)
        with container(self._path) as film:
            video = film.streams.video[0]
            video.thread_count = 1
            best: Any = None
            try:
                film.seek(max(0, int(at / video.time_base)), stream=video)
                for image in film.decode(video):
                    best = image
                    if (image.time is not None and image.time >= at - 0.001) or time.monotonic() > until:
                        break
            except FFmpegError:
                pass  # a damaged packet before the moment: what was decoded last stands near it
            if best is None:
                raise ToolError(f"the picture of scene {number} of {self._path.name} cannot be decoded")
            return scaled(best.to_image(), width)

    def close(self) -> None:
        self._scenes = None


class Recording:
    """A recording. Raises ToolError: no recording, or broken from the start."""

    def __init__(self, path: Path, limits: ReadLimits, transcriber: Transcriber | None) -> None:
        self._path, self._limits, self._transcriber = path, limits, transcriber
        self.problem = ""
        with container(path) as sound:
            if not sound.streams.audio:
                raise ToolError(f"{path.name} holds no sound")
            self._duration = duration(sound)
            extra = _extra(sound) | {"codec": str(sound.streams.audio[0].codec_context.name)}
            self._chapters = [clean(str(one.get("metadata", {}).get("title", ""))) for one in sound.chapters()[:500]]
        self.about = About("audio", extra.get("title", "") or path.name, extra)

    def pages(self) -> Iterator[Page]:
        cues = beside(self._path)
        if not cues and self._transcriber is not None:
            try:
                cues = self._transcriber.transcribe(self._path)
            except (ModelError, ToolError) as error:
                self.problem = f"it was not transcribed: {error}"
        if cues:
            yield from (replace(page, text=page.text[: self._limits.page_chars]) for page in pages_of(cues))
            return
        self.problem = self.problem or NOT_HEARD
        said = [self.about.extra.get(name, "") for name in ("title", "artist", "album", "comment")]
        text = "\n".join(part for part in (*said, *self._chapters) if part)[: self._limits.page_chars]
        yield Page(1, text, source="text" if text else "none", begins_s=0.0, ends_s=round(self._duration, 3))

    def render(self, number: int, width: int) -> Image:
        raise ToolError(f"{self._path.name} is a recording: there is no picture of it")

    def close(self) -> None:
        return None


def duration(found: Any) -> float:
    """Seconds that a film or recording says that it lasts; 0 when it does not say, or nonsense."""
    value = found.duration / 1_000_000 if found.duration else 0.0
    return value if 0 < value < 1_000_000 else 0.0


def _extra(found: Any) -> dict[str, str]:
    said = {key.lower(): clean(str(value))[:500] for key, value in found.metadata.items()}
    extra = {name: said[name] for name in _EXTRA if said.get(name)}
    length = duration(found)
    return extra | {"format": str(found.format.name)} | ({"duration_s": f"{length:.1f}"} if length else {})


def _said(packet: Any) -> Iterator[Cue]:
    """The words of a packet of an embedded text track."""
    if packet.pts is None:
        return
    begins = float(packet.pts * packet.time_base)
    ends = begins + float((packet.duration or 0) * packet.time_base)
    for one in packet.decode():
        said = getattr(one, "dialogue", None) or getattr(one, "text", None) or b""
        text = clean(said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said))
        if text:
            yield Cue(max(0.0, begins), max(begins, ends), text)
