"""Pictures, films and recordings as pages: scenes, times, tags, transcripts, and files that are damaged."""

from __future__ import annotations

import json
import threading
import wave
from collections.abc import Callable, Iterator
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import av
import numpy as np
import pytest
from PIL import Image, ImageDraw
from sight_made import encoded, written

from mainspring.errors import ModelError, ToolError
from mainspring.lexical import words
from mainspring.library.page import Page
from mainspring.library.read.protocol import ReadLimits
from mainspring.library.sight.film import container
from mainspring.library.sight.media import open_audio, open_image, open_video
from mainspring.library.sight.tags import tags_of
from mainspring.library.sight.transcribers import FasterWhisper, HttpTranscriber, open_transcriber
from mainspring.library.sight.transcripts import Cue, beside, cues_in, heard, pages_of, placed, sidecar

LIMITS = ReadLimits()


def film(path: Path, scenes: list[tuple[float, Image.Image]], *, fps: int = 10, jitter: bool = False) -> Path:
    """A film that shows each picture for some seconds; with jitter, frames come at uneven times."""
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("mpeg4", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        stream.bit_rate = 800_000
        stream.codec_context.time_base = Fraction(1, 1000)
        at = 0.0
        for seconds, picture in scenes:
            until = at + seconds
            number = 0
            while at < until - 1e-6:
                frame: Any = av.VideoFrame.from_ndarray(np.asarray(picture.resize((320, 180))), format="rgb24")
                frame.pts, frame.time_base = round(at * 1000), Fraction(1, 1000)
                out.mux(stream.encode(frame))
                number += 1
                at = min(until, at + ((0.05 if number % 2 else 0.15) if jitter else 1 / fps))
        out.mux(stream.encode())
    return path


def slide(colour: str, text: str) -> Image.Image:
    image = Image.new("RGB", (320, 180), colour)
    ImageDraw.Draw(image).text((20, 60), text, fill="white", font_size=40)
    return image


SLIDES = [(3.0, slide("navy", "one")), (2.0, slide("darkred", "two")), (4.0, slide("darkgreen", "three"))]


@pytest.mark.parametrize("jitter", [False, True], ids=["even", "variable rate"])
def test_a_film_is_cut_where_its_picture_changes(tmp_path: Path, jitter: bool) -> None:
    reading = open_video(film(tmp_path / "talk.mp4", SLIDES, jitter=jitter), LIMITS)
    pages = list(reading.pages())
    assert [page.begins_s for page in pages] == pytest.approx([0, 3, 5], abs=0.35)
    assert [page.ends_s for page in pages] == pytest.approx([3, 5, 9], abs=0.35)
    assert [word for page in pages for word in page.heading.split() if word in ("blue", "red", "green")] == [
        "blue",
        "red",
        "green",
    ]
    assert all(page.pictured and page.unread == 1.0 for page in pages)
    picture = reading.render(2, 640)
    assert picture.size == (640, 360)
    red, green, blue = (int(v) for v in np.asarray(picture)[5, 5])
    assert red > 90 > max(green, blue)
    assert reading.problem == ""
    with pytest.raises(ToolError, match="no scene 4"):
        reading.render(4, 100)


def test_small_changes_and_short_flashes_are_no_scenes(tmp_path: Path) -> None:
    quiet = [(0.5, slide("navy", f"second {n}")) for n in range(12)]
    assert len(list(open_video(film(tmp_path / "a.mp4", quiet), LIMITS).pages())) == 1


def test_a_film_of_more_scenes_than_pages_keeps_the_clearest_cuts(tmp_path: Path) -> None:
    colours = ["navy", "darkred", "darkgreen", "black", "white", "orange"]
    path = film(tmp_path / "a.mp4", [(1.5, slide(colour, "x")) for colour in colours])
    reading = open_video(path, ReadLimits(pages=3))
    pages = list(reading.pages())
    assert len(pages) == 3
    assert pages[-1].ends_s == pytest.approx(9, abs=0.4)
    assert "were joined" in reading.problem


def test_words_beside_a_film_are_put_into_its_scenes(tmp_path: Path) -> None:
    path = film(tmp_path / "talk.mp4", SLIDES)
    (tmp_path / "talk.en.srt").write_text(
        "1\n00:00:00,500 --> 00:00:02,000\n<i>Welcome</i> to the talk.\n\n"
        "2\n00:00:03,600 --> 00:00:04,900\nThe red part\nhas two lines.\n\n",
    )
    pages = list(open_video(path, LIMITS).pages())
    assert [page.text for page in pages] == ["Welcome to the talk.", "The red part has two lines.", ""]
    assert [page.source for page in pages] == ["transcript", "transcript", "none"]


def test_a_cut_film_gives_what_can_be_read(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", SLIDES)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    reading = open_video(path, LIMITS)
    pages = list(reading.pages())
    assert 1 <= len(pages) <= 3
    assert pages[0].begins_s == 0
    assert reading.render(1, 100).width == 100


def test_corrupted_packets_do_not_end_a_film(tmp_path: Path) -> None:
    path = film(tmp_path / "a.avi", SLIDES)
    data = bytearray(path.read_bytes())
    spoilt = np.random.default_rng(1).integers(len(data) // 4, len(data) * 3 // 4, 300)
    for place in spoilt:
        data[place] ^= 0xFF
    path.write_bytes(data)
    try:
        pages = list(open_video(path, LIMITS).pages())
    except ToolError:
        pages = []  # too badly damaged, and said so
    assert len(pages) <= 30  # damage looks like cuts, but not without bounds


def no_frames(path: Path) -> Path:
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        out.start_encoding()
    return path


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(b"no film at all, only some words" * 40), "cannot be read"),
        (lambda path: path.write_bytes(encoded(written(["x"]))), "is a picture"),
        (lambda path: path.write_text("#EXTM3U\n#EXTINF:10,\n/etc/passwd\n#EXT-X-ENDLIST\n"), "cannot be read|list of"),
        (no_frames, "not one picture|cannot be read|holds no"),
    ],
    ids=["empty", "words", "picture", "playlist", "no frames"],
)
def test_what_is_no_film_is_refused_by_name(tmp_path: Path, make: Callable[[Path], object], says: str) -> None:
    path = tmp_path / "film.avi"
    make(path)
    with pytest.raises(ToolError, match=says) as told:
        list(open_video(path, LIMITS).pages())
    assert "film.avi" in str(told.value)


def test_a_film_that_takes_too_long_is_read_as_far_as_time_goes(tmp_path: Path) -> None:
    reading = open_video(film(tmp_path / "a.mp4", SLIDES), ReadLimits(seconds=0.0))
    with pytest.raises(ToolError, match="not one picture"):
        list(reading.pages())
    assert "want of time" in reading.problem


def sound(path: Path, seconds: float = 2.0) -> Path:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(bytes(int(seconds * 8000) * 2))
    return path


def test_a_recording_without_words_is_a_page_of_what_it_says_of_itself(tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as out:
        out.metadata["title"] = "Rain in June"
        out.metadata["artist"] = "The Gutters"
        stream: Any = out.add_stream("mp3", rate=44100)
        frame: Any = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        out.mux(stream.encode(frame))
        out.mux(stream.encode())
    reading = open_audio(path, LIMITS)
    (page,) = reading.pages()
    assert reading.about.title == "Rain in June"
    assert page.text == "Rain in June\nThe Gutters"
    assert page.ends_s == pytest.approx(1.0, abs=0.2)
    assert "no transcriber" in reading.problem
    with pytest.raises(ToolError, match="no picture"):
        reading.render(1, 100)


class Speech(BaseHTTPRequestHandler):
    """Answers as OpenAI's transcription does."""

    asked: ClassVar[list[bytes]] = []
    keys: ClassVar[list[str]] = []
    status = 200
    answer: ClassVar[Any] = {}

    def do_POST(self) -> None:
        self.asked.append(self.path.encode() + b"\n" + self.rfile.read(int(self.headers["Content-Length"])))
        self.keys.append(self.headers.get("Authorization", ""))
        body = json.dumps(self.answer).encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def speech() -> Iterator[tuple[type[Speech], str]]:
    class Handler(Speech):
        asked: ClassVar[list[bytes]] = []
        keys: ClassVar[list[str]] = []

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Handler, f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def test_an_engine_writes_down_a_recording(tmp_path: Path, speech: tuple[type[Speech], str]) -> None:
    handler, url = speech
    handler.answer = {
        "text": "...",
        "segments": [
            {"start": 100.0, "end": 104.0, "text": " The second minute. "},
            {"start": 0.0, "end": 4.0, "text": " Hello there. "},
        ],
    }
    reading = open_audio(sound(tmp_path / "talk.wav"), LIMITS, transcriber=HttpTranscriber(url, "whisper-1"))
    pages = list(reading.pages())
    assert [(page.text, page.begins_s, page.ends_s) for page in pages] == [
        ("Hello there.", 0.0, 4.0),
        ("The second minute.", 100.0, 104.0),
    ]
    (asked,) = handler.asked
    assert asked.startswith(b"/v1/audio/transcriptions\n")
    for part in (b"verbose_json", b"whisper-1", b"RIFF"):
        assert part in asked


@pytest.mark.parametrize(
    ("status", "answer"), [(500, {"error": "busy"}), (200, {"segments": [{"start": "?"}]}), (200, [])]
)
def test_an_engine_that_fails_spoils_no_recording(
    tmp_path: Path, speech: tuple[type[Speech], str], status: int, answer: Any
) -> None:
    handler, url = speech
    handler.status, handler.answer = status, answer
    path = sound(tmp_path / "talk.wav")
    with pytest.raises(ModelError):
        HttpTranscriber(url, "m").transcribe(path)
    reading = open_audio(path, LIMITS, transcriber=HttpTranscriber(url, "m"))
    assert len(list(reading.pages())) == 1
    assert "not transcribed" in reading.problem


def test_an_engine_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not answer"):
        HttpTranscriber("http://127.0.0.1:9/v1", "m", seconds=2).transcribe(sound(tmp_path / "a.wav"))
    with pytest.raises(ModelError, match="faster-whisper"):
        FasterWhisper(tmp_path / "none")
    with pytest.raises(ModelError, match="write 'http"):
        open_transcriber("whisper-1")


def test_a_key_is_read_by_reference_and_is_in_no_error(
    tmp_path: Path, speech: tuple[type[Speech], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    handler, url = speech
    handler.status, handler.answer = 401, {"error": "wrong key sk-secret"}
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")  # goes to OpenAI only
    monkeypatch.setenv("MAINSPRING_KEY_127_0_0_1", "sk-secret")
    with pytest.raises(ModelError, match="401") as failed:
        open_transcriber(f"{url}#whisper-1").transcribe(sound(tmp_path / "a.wav"))
    assert "sk-secret" not in str(failed.value)
    assert handler.keys == ["Bearer sk-secret"]
    monkeypatch.delenv("MAINSPRING_KEY_127_0_0_1")
    with pytest.raises(ModelError):
        open_transcriber(f"{url}#whisper-1").transcribe(tmp_path / "a.wav")
    assert handler.keys == ["Bearer sk-secret", ""]


def test_words_are_put_to_pages_that_were_read_elsewhere(tmp_path: Path) -> None:
    scenes = [Page(1, "sign", pictured=True, begins_s=0, ends_s=3), Page(2, "", pictured=True, begins_s=3, ends_s=5)]
    path = tmp_path / "talk.mp4"
    assert heard(scenes, lambda: beside(path)) == scenes
    path.with_suffix(".lrc").write_text("[00:01.00]first\n[00:04.00]second")
    assert [page.text for page in heard(scenes, lambda: beside(path))] == ["first\nsign", "second"]
    assert [page.text for page in heard([Page(1, "Title")], lambda: beside(path))] == ["first\nsecond"]
    once = heard(scenes, lambda: beside(path))
    assert heard(once, lambda: [Cue(0, 1, "other")]) == once  # what has words keeps them


def test_formats_of_words_with_times() -> None:
    assert cues_in("WEBVTT\n\n00:01.000 --> 00:02.500 align:start\n<v Ann>Hi &amp; bye\n\nNOTE x\n") == (
        Cue(1.0, 2.5, "Hi & bye"),
    )
    assert cues_in("\ufeff1\r\n01:00:00,5 --> 01:00:01,000\r\n你好\r\n") == (Cue(3600.5, 3601.0, "你好"),)
    assert cues_in("[ti:Song]\n[00:10.50][00:30.00]Again\n[00:20.00]Once\n") == (
        Cue(10.5, 20.0, "Again"),
        Cue(20.0, 30.0, "Once"),
        Cue(30.0, 35.0, "Again"),
    )
    assert cues_in("nothing of the sort --> here") == ()


def test_pages_of_a_recording_end_after_a_minute_and_a_half() -> None:
    pages = list(pages_of([Cue(n * 10.0, n * 10.0 + 9, f"cue {n}") for n in range(20)]))
    assert [(page.number, page.begins_s, page.ends_s) for page in pages] == [
        (1, 0.0, 89.0),
        (2, 90.0, 179.0),
        (3, 180.0, 199.0),
    ]


def test_only_a_file_of_the_same_name_is_taken_for_the_words(tmp_path: Path) -> None:
    for name in ("talk.mp4", "talk2.srt", "talk.notes.of.the.year.srt"):
        (tmp_path / name).write_text("x")
    assert sidecar(tmp_path / "talk.mp4") is None
    (tmp_path / "talk.zh-CN.vtt").write_text("x")
    assert sidecar(tmp_path / "talk.mp4") == tmp_path / "talk.zh-CN.vtt"


def test_a_link_beside_a_recording_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "private").write_text("[00:01.00]private")
    (tmp_path / "talk.lrc").symlink_to(tmp_path / "private")
    assert sidecar(tmp_path / "talk.mp4") is None
    assert beside(tmp_path / "talk.mp4") == ()
    (tmp_path / "talk.lrc").unlink()
    (tmp_path / "private").rename(tmp_path / "talk.lrc")
    assert [cue.text for cue in beside(tmp_path / "talk.mp4")] == ["private"]


def test_a_picture_is_a_page_that_waits_for_ocr(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[0x0110] = "Box Brownie"
    exif.get_ifd(0x8769)[0x9003] = "2026:05:01 10:00:00"
    exif.get_ifd(0x8825).update({1: "S", 2: (10.0, 30.0, 0.0), 3: "E", 4: (20.0, 0.0, 0.0)})
    Image.new("RGB", (400, 200), "red").save(path, exif=exif)
    reading = open_image(path, LIMITS)
    (page,) = reading.pages()
    assert (page.pictured, page.unread, page.width, page.height) == (True, 1.0, 400, 200)
    assert {"red", "landscape", "红色", "横向"} <= set(page.heading.split())
    assert reading.about.extra["camera"] == "Box Brownie"
    assert reading.about.extra["date"] == "2026:05:01 10:00:00"
    assert "latitude" not in reading.about.extra
    assert open_image(path, LIMITS, places=True).about.extra["latitude"] == "-10.500000"
    assert reading.render(1, 100).size == (100, 50)


def test_an_animation_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    pictures = [Image.new("RGB", (40, 40), (n * 20, 0, 0)) for n in range(10)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:])
    reading = open_image(path, ReadLimits(pages=4))
    assert [page.number for page in reading.pages()] == [1, 2, 3, 4]
    assert "first 4 of its 10" in reading.problem
    red = np.asarray(reading.render(4, 40))[0, 0, 0]
    assert 50 <= int(red) <= 70
    with pytest.raises(ToolError, match="no picture 5"):
        reading.render(5, 40)


def test_a_cut_animation_gives_its_first_pictures(tmp_path: Path) -> None:
    path = tmp_path / "a.tiff"
    pictures = [written([f"page {n}"]) for n in range(4)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], compression="tiff_lzw")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.6)])
    reading = open_image(path, LIMITS)
    found = list(reading.pages())
    assert 1 <= len(found) < 4


def test_an_svg_is_its_words_only(tmp_path: Path) -> None:
    path = tmp_path / "a.svg"
    path.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg"><title>Flow</title><script>alert("run")</script>'
        '<style>.a{content:"css"}</style><image href="http://127.0.0.1:9/x.png"/>'
        "<text>Start here</text><text>结束</text></svg>"
    )
    reading = open_image(path, LIMITS)
    (page,) = reading.pages()
    assert page.text == "Flow\nStart here\n结束"
    assert not page.pictured
    with pytest.raises(ToolError, match="not drawn"):
        reading.render(1, 10)


@pytest.mark.parametrize("size", [(11_000, 10_000), (20_000, 10_000)])
def test_a_picture_with_too_many_pixels_is_refused_with_their_number(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "huge.png"
    Image.new("1", size).save(path, compress_level=1)
    with pytest.raises(ToolError, match=r"^huge\.png (has 11,000 x 10,000|declares 200,000,000) pixels.*100,000,000"):
        open_image(path, ReadLimits())


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    path.write_bytes(encoded(written(["x"]), "JPEG")[:1500])
    with pytest.raises(ToolError, match=r"cut\.jpg"):
        list(open_image(path, LIMITS).pages())
    path.write_bytes(b"")
    with pytest.raises(ToolError, match=r"cut\.jpg"):
        open_image(path, LIMITS)


def chart() -> Image.Image:
    image = Image.new("RGB", (640, 400), "white")
    draw = ImageDraw.Draw(image)
    draw.line([(60, 20), (60, 350), (620, 350)], fill="black", width=2)
    for n, height in enumerate((120, 240, 180, 300, 90)):
        draw.rectangle([90 + n * 105, 350 - height, 150 + n * 105, 350], fill="red")
    return image


def photo() -> Image.Image:
    import cv2

    rng = np.random.default_rng(3)
    rough = rng.integers(20, 200, (6, 8, 3)).astype(np.uint8)
    smooth = cv2.resize(rough, (640, 480), interpolation=cv2.INTER_CUBIC).astype(int)
    return Image.fromarray((smooth + rng.normal(0, 4, smooth.shape)).clip(0, 255).astype(np.uint8))


def scan() -> Image.Image:
    page = written([f"A line of a letter, number {n}" for n in range(20)], size=(620, 877), height=20)
    noise = np.random.default_rng(1).normal(0, 5, (877, 620, 1))
    return Image.fromarray((np.asarray(page).astype(int) - 6 + noise).clip(0, 255).astype(np.uint8))


def diagram() -> Image.Image:
    image = Image.new("RGB", (640, 400), "white")
    draw = ImageDraw.Draw(image)
    for n in range(3):
        draw.rectangle([40 + n * 200, 120, 180 + n * 200, 260], outline="black", width=2)
        draw.line([180 + n * 200, 190, 240 + n * 200, 190], fill="black", width=2)
    return image


@pytest.mark.parametrize("make", [chart, photo, scan, diagram], ids=lambda make: make.__name__)
def test_sorts_are_guessed_from_what_can_be_measured(make: Callable[[], Image.Image]) -> None:
    found = {tag.word for tag in tags_of(make())}
    sorts = {"chart", "photo", "scan", "diagram", "screenshot", "drawing"}
    assert found & sorts == {make.__name__}


def test_a_red_chart_is_found_by_words_of_both_languages() -> None:
    text = set(words(" ".join(f"{tag.word} {tag.chinese}" for tag in tags_of(chart()))))
    assert set(words("red chart")) <= text
    assert {"红色", "图表"} <= text
    assert "blue" not in text


def test_a_tiny_picture_has_tags() -> None:
    assert {tag.word for tag in tags_of(Image.new("RGB", (1, 1), "blue"))} >= {"blue", "square"}


def test_a_recording_is_opened_and_closed(tmp_path: Path) -> None:
    with container(sound(tmp_path / "a.wav")) as found:
        assert found.streams.audio


class Looked(list[Cue]):
    """Cues that count how often all of them are gone through."""

    times = 0

    def __iter__(self) -> Iterator[Cue]:
        self.times += 1
        return super().__iter__()


def test_words_are_placed_in_the_scenes_that_they_begin_in_without_going_through_all_for_each() -> None:
    cues = Looked(Cue(float(n), n + 1.0, f"cue {n}") for n in range(50))
    scenes = [Page(n + 1, "", begins_s=n * 7.0 + 3) for n in range(6)]
    pages = list(placed(scenes, cues))
    assert [page.text.split("\n")[0] for page in pages] == [f"cue {n}" for n in (0, 10, 17, 24, 31, 38)]
    assert "\n".join(page.text for page in pages).split("\n") == [f"cue {n}" for n in range(50)]
    assert cues.times <= 2
