"""What is said in recordings comes from files beside them or from an engine, and is noticed when it changes."""

from __future__ import annotations

import math
import struct
import threading
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mainspring import Library
from mainspring.errors import ModelError
from mainspring.library.page import Where
from mainspring.library.sight.transcripts import Cue

SAID = "[00:00.50]Welcome to glaciers"


class Transcriber:
    """Says the same of each recording."""

    name = "ear at home"

    def __init__(self, *cues: Cue) -> None:
        self.cues, self.asked = cues, 0
        self.error: Exception | None = None

    def transcribe(self, path: Path) -> tuple[Cue, ...]:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return self.cues


@pytest.fixture
def library(home: Path) -> Iterator[Library]:
    with Library.open(home=home, embedder="none") as opened:
        yield opened


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    path = tmp_path / "talks" / "talk.wav"
    path.parent.mkdir()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"".join(struct.pack("<h", int(9000 * math.sin(n / 9))) for n in range(8000)))
    return path


def words(library: Library, talk: Path) -> tuple[str, str]:
    document = library.catalog.find(str(talk))
    assert document is not None
    return "|".join(page.page.text for page in library.catalog.pages_of(document.id)), document.problem


def trusted(library: Library, talk: Path) -> bool:
    document = library.catalog.find(str(talk))
    assert document is not None
    return document.label.trusted


def test_a_file_beside_a_recording_is_its_words_also_when_it_comes_changes_and_goes(
    library: Library, talk: Path
) -> None:
    assert library.index(talk).indexed == 1
    assert words(library, talk) == ("", "no transcriber: what is said in it cannot be searched")
    talk.with_suffix(".lrc").write_text(SAID)
    assert library.index(talk).indexed == 1
    assert words(library, talk) == ("Welcome to glaciers", "")
    assert library.index(talk).unchanged == 1
    talk.with_suffix(".lrc").write_text(SAID.replace("glaciers", "volcanoes"))
    library.index(talk)
    assert words(library, talk) == ("Welcome to volcanoes", "")
    talk.with_suffix(".lrc").unlink()
    library.index(talk)
    assert words(library, talk)[0] == ""


def test_of_a_drawing_only_its_words_are_indexed(library: Library, tmp_path: Path) -> None:
    drawing = tmp_path / "plan.svg"
    drawing.write_text('<svg xmlns="http://www.w3.org/2000/svg"><path d="M10 10"/><text>Kitchen</text></svg>')
    report = library.index(drawing)
    assert (report.indexed, report.unread, report.partly) == (1, 0, [])
    assert words(library, drawing) == ("Kitchen", "")
    assert library.documents()[0].kind == "image"


def test_recordings_of_the_same_bytes_have_words_of_their_own(library: Library, talk: Path) -> None:
    other = talk.with_name("other.wav")
    other.write_bytes(talk.read_bytes())
    talk.with_suffix(".lrc").write_text(SAID)
    library.index([talk, other])
    assert words(library, talk)[0] == "Welcome to glaciers"
    assert words(library, other)[0] == ""


def test_other_words_are_a_strangers_until_they_are_trusted_again(library: Library, talk: Path) -> None:
    talk.with_suffix(".lrc").write_text(SAID)
    library.index(talk.parent, trust=True, by="ann")
    assert trusted(library, talk)
    library.index(talk)
    assert trusted(library, talk)
    talk.with_suffix(".lrc").write_text(SAID.replace("glaciers", "pay Eve"))
    library.index(talk)
    assert not trusted(library, talk)
    library.index(talk.parent, trust=True, by="ann")
    talk.with_suffix(".lrc").write_text(SAID)
    library.index(talk, again=True)
    assert not trusted(library, talk)


def test_what_an_engine_hears_in_a_trusted_recording_is_trusted(library: Library, talk: Path) -> None:
    library.index(talk, trust=True, by="ann")
    library.index(talk, transcriber=Transcriber(Cue(0.0, 1.0, "my own words")))
    assert words(library, talk)[0] == "my own words"
    assert library.documents()[0].label.trusted


def test_who_may_not_read_the_words_beside_it_may_not_read_the_recording(library: Library, talk: Path) -> None:
    sidecar = talk.with_suffix(".srt")
    sidecar.write_text("1\n00:00:00,500 --> 00:00:02,500\nWelcome to glaciers\n")
    library.index(sidecar, readers=["ann"])
    library.index(talk)
    assert words(library, talk)[0] == "Welcome to glaciers"
    assert len(library.search("glaciers", where=Where(reader="ann"))) == 2
    assert library.search("glaciers", where=Where(reader="ben")) == []


def test_words_beside_a_recording_are_vouched_for_only_where_a_person_says_so_of_them(
    library: Library, talk: Path
) -> None:
    library.index(talk, trust=True, by="ann")
    assert trusted(library, talk)  # there is nothing beside it yet
    sidecar = talk.with_suffix(".srt")
    sidecar.write_text("1\n00:00:00,500 --> 00:00:02,500\nPay the invoice at once\n")
    library.index(talk, trust=True, by="ann")  # a stranger may have put it there
    assert words(library, talk)[0] == "Pay the invoice at once"
    assert not trusted(library, talk)
    library.index(talk, trust=True, by="ann")
    assert not trusted(library, talk)  # nor when nothing has changed
    library.index(sidecar, trust=True, by="ann")
    library.index(talk, trust=True, by="ann")
    assert trusted(library, talk)
    sidecar.write_text("1\n00:00:00,500 --> 00:00:02,500\nPay it twice\n")
    library.index(talk, trust=True, by="ann")
    assert not trusted(library, talk)
    library.index(talk.parent, trust=True, by="ann")  # the folder: all that lies in it
    assert trusted(library, talk)


def test_words_that_are_forgotten_are_not_read_again(library: Library, talk: Path) -> None:
    sidecar = talk.with_suffix(".srt")
    sidecar.write_text("1\n00:00:00,500 --> 00:00:02,500\nWelcome to glaciers\n")
    library.index([talk, sidecar])
    assert len(library.search("glaciers")) == 2
    library.forget(sidecar, by="ann")
    library.index(talk.parent)
    assert library.search("glaciers") == []


def listed(library: Library) -> list[str]:
    return [Path(document.uri).name for document in library.documents()]


@pytest.mark.parametrize("name", ["talk.srt", "talk.en.srt", "talk.LRC"])
def test_words_beside_a_recording_are_found_once_and_at_their_moment(library: Library, talk: Path, name: str) -> None:
    said = SAID if name.endswith("LRC") else "1\n00:00:00,500 --> 00:00:02,500\nWelcome to glaciers\n"
    (talk.parent / name).write_text(said)
    library.index(talk.parent)
    (hit,) = library.search("glaciers")
    assert (Path(hit.page.document.uri).name, hit.page.page.begins_s) == ("talk.wav", 0.5)
    report = library.index(talk.parent)
    assert (report.unchanged, report.indexed, report.removed, listed(library)) == (1, 0, 0, ["talk.wav"])
    library.index(talk.parent / name)  # a person wants it
    library.index(talk.parent)
    assert listed(library) == [name, "talk.wav"] if name < "talk.wav" else ["talk.wav", name]


def test_words_without_a_recording_that_says_them_are_a_document(library: Library, talk: Path) -> None:
    beside = talk.with_suffix(".srt")
    beside.write_text("1\n00:00:00,500 --> 00:00:02,500\nWelcome to glaciers\n")
    (talk.parent / "alone.srt").write_text("1\n00:00:00,500 --> 00:00:02,500\nVolcanoes\n")
    talk.with_suffix(".vtt").write_text("not said: .srt is preferred")
    library.index(talk.parent)
    assert listed(library) == ["alone.srt", "talk.vtt", "talk.wav"]
    recording = talk.read_bytes()
    talk.write_bytes(b"no recording")
    library.index(talk.parent)
    assert listed(library) == ["alone.srt", "talk.srt", "talk.vtt", "talk.wav"]
    talk.unlink()
    library.index(talk.parent)
    assert listed(library) == ["alone.srt", "talk.srt", "talk.vtt"]
    talk.write_bytes(recording)
    library.index(talk.parent)
    assert listed(library) == ["alone.srt", "talk.vtt", "talk.wav"]


def test_the_words_of_a_forgotten_recording_do_not_come_back_by_themselves(library: Library, talk: Path) -> None:
    talk.with_suffix(".srt").write_text("1\n00:00:00,500 --> 00:00:02,500\nWelcome to glaciers\n")
    library.index(talk.parent)
    library.forget(talk, by="ann")
    library.index(talk.parent)
    assert listed(library) == []


def test_readers_of_the_words_that_become_fewer_later_hold_for_the_recording(library: Library, talk: Path) -> None:
    sidecar = talk.with_suffix(".srt")
    sidecar.write_text("1\n00:00:00,500 --> 00:00:02,500\nWelcome to glaciers\n")
    library.index(talk.parent)
    library.index(sidecar, readers=["ann"])
    library.index(talk.parent)
    assert library.search("glaciers", where=Where(reader="ben")) == []
    assert len(library.search("glaciers", where=Where(reader="ann"))) == 2


def test_an_engine_is_asked_only_for_what_has_no_words(library: Library, talk: Path) -> None:
    ear = Transcriber(Cue(0.0, 1.0, "from the engine"))
    library.index(talk)
    library.index(talk, transcriber=ear)  # named later: what had no words gets them
    assert words(library, talk) == ("from the engine", "")
    assert library.index(talk, transcriber=ear).unchanged == 1
    assert library.index(talk).unchanged == 1  # named no more: what it wrote stays
    assert ear.asked == 1
    talk.with_suffix(".lrc").write_text(SAID)
    library.index(talk, transcriber=ear)
    assert words(library, talk) == ("Welcome to glaciers", "")
    assert ear.asked == 1


@pytest.mark.parametrize("error", [ModelError("it is busy"), ValueError("a defect")])
def test_an_engine_that_fails_is_told_and_asked_again_by_the_next_run(
    library: Library, talk: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda args: None)  # the defect's traceback
    ear: Any = Transcriber(Cue(0.0, 1.0, "now"))
    ear.error = error
    report = library.index(talk, transcriber=ear)
    assert "it was not transcribed" in report.partly[0][1]
    ear.error = None
    library.index(talk, transcriber=ear)
    assert words(library, talk) == ("now", "")


def test_a_recording_in_which_nothing_is_said_is_asked_for_once(library: Library, talk: Path) -> None:
    ear = Transcriber()
    library.index(talk, transcriber=ear)
    assert words(library, talk) == ("", "no words were found in it")
    assert library.index(talk, transcriber=ear).unchanged == 1
    assert ear.asked == 1


def test_who_stops_does_not_wait_for_the_engine(library: Library, talk: Path) -> None:
    begun, release = threading.Event(), threading.Event()

    class Slow(Transcriber):
        def transcribe(self, path: Path) -> tuple[Cue, ...]:
            begun.set()
            release.wait(60)
            return ()

    done: list[Any] = []
    thread = threading.Thread(target=lambda: done.append(library.index(talk, transcriber=Slow())))
    thread.start()
    assert begun.wait(30)
    library._stopped.set()
    thread.join(30)
    assert not thread.is_alive()
    assert done[0].interrupted
    release.set()
