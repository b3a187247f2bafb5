"""`mainspring index` and `mainspring library`, as a shell runs them."""

from __future__ import annotations

import signal
import subprocess
import time
import wave
from pathlib import Path
from typing import Any

import pytest
from cli_program import COMMAND, environment, json_lines, mainspring


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "cars.md").write_text("# Cars\n\nShe bought a red car.\n")
    (folder / "notes.txt").write_text("Milk, bread and apples.\n")
    return folder


def index(*arguments: str | Path, home: Path, **more: Any) -> subprocess.CompletedProcess[str]:
    return mainspring("index", *arguments, "--embedder", "none", home=home, **more)


def started(*command: str, home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(home))


def listed(home: Path, *arguments: str) -> list[dict[str, Any]]:
    return json_lines(mainspring("library", "list", "--json", *arguments, home=home).stdout)


def test_index_search_and_list(docs: Path, home: Path) -> None:
    done = index(docs, home=home)
    assert "2 documents indexed (2 pages), 0 unchanged, in " in done.stdout
    assert done.stderr == ""
    again = json_lines(mainspring("index", "--json", home=home).stdout)
    assert [(r["type"], r["indexed"], r["unchanged"]) for r in again] == [("report", 0, 2)]
    (hit,) = json_lines(mainspring("search", "red car", "--json", home=home).stdout)
    assert hit["uri"] == str(docs / "cars.md")
    assert [d["uri"] for d in listed(home)] == [str(docs / "cars.md"), str(docs / "notes.txt")]
    assert [d["uri"] for d in listed(home, "*notes*")] == [str(docs / "notes.txt")]
    shown = mainspring("library", "show", docs / "notes.txt", "--text", home=home).stdout
    assert "maybe a stranger's" in shown
    assert "    | Milk, bread and apples." in shown
    assert "2 documents, 2 pages" in mainspring("library", "stats", home=home).stdout
    assert "default" in mainspring("library", "libraries", home=home).stdout
    assert mainspring("library", "check", home=home).stdout == "the library is whole\n"


def test_a_hit_names_its_title_once(docs: Path, home: Path) -> None:
    (docs / "care.md").write_text("# Care\n\nIn general.\n\n## Boilers\n\n" + "Vent them. " * 500)
    index(docs, home=home)
    assert mainspring("search", "bought red", home=home).stdout.splitlines()[0] == "1. Cars"
    assert mainspring("search", "vent", home=home).stdout.splitlines()[0] == "1. Care  Boilers"


def test_trust_and_readers_are_kept_with_who_said_so(docs: Path, home: Path) -> None:
    index(docs, "--trust", "--readers", "ann, ben", home=home)
    assert all(d["trusted"] for d in listed(home))
    shown = mainspring("library", "show", docs / "notes.txt", home=home).stdout
    assert "your own; readers: ann, ben" in shown
    assert " trust by " in shown
    assert mainspring("search", "apples", "--reader", "eve", "--json", home=home).stdout == ""


def test_a_file_that_fails_makes_exit_1_and_the_rest_is_there(docs: Path, home: Path) -> None:
    (docs / "broken.pdf").write_bytes(b"%PDF-1.7 nothing")
    done = index(docs, home=home, expect=1)
    assert "2 documents indexed" in done.stdout
    assert "failed: " in done.stderr
    assert "broken.pdf" in done.stderr
    assert [Path(d["uri"]).name for d in listed(home, "--problems")] == ["broken.pdf"]
    index(docs, home=home)  # known, and unchanged


def test_names_are_shown_harmless(docs: Path, home: Path) -> None:
    evil = docs / "a\x1b]0;owned\x07\nb\u202egnp.pdf"
    evil.write_bytes(b"%PDF-1.7 nothing")
    (docs / "c\x1b[2J\nd.txt").write_text("words in it\n")
    done = index(docs, home=home, expect=1)
    out = mainspring("library", "list", home=home).stdout + done.stdout + done.stderr
    out += mainspring("search", "words", home=home).stdout
    assert not {"\x1b", "\x07", "\u202e"} & set(out)
    assert len(mainspring("library", "list", home=home).stdout.splitlines()) == 5
    assert {d["uri"] for d in listed(home)} >= {str(evil)}


def test_remove_and_forget(docs: Path, home: Path) -> None:
    index(docs, home=home)
    assert mainspring("library", "forget", docs / "notes.txt", home=home).stdout == "1 document forgotten\n"
    assert json_lines(mainspring("index", "--json", home=home).stdout)[0]["indexed"] == 0
    (left,) = listed(home)
    assert mainspring("library", "remove", str(left["id"]), "--json", home=home).stdout == '{"removed": 1}\n'
    assert mainspring("library", "list", home=home).stdout == "no document\n"
    assert "bytes before" in mainspring("library", "compact", home=home).stdout


def test_queries_are_kept_only_when_asked_for(docs: Path, home: Path) -> None:
    index(docs, home=home)
    mainspring("search", "apples", home=home)
    assert "no query is kept" in mainspring("library", "queries", home=home).stdout
    mainspring("library", "queries", "--on", home=home)
    assert "no query since" in mainspring("library", "queries", home=home).stdout
    mainspring("search", "apples", home=home)
    assert "apples" in mainspring("library", "queries", home=home).stdout
    mainspring("library", "queries", "--off", home=home)
    assert "no query is kept" in mainspring("library", "queries", home=home).stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["index", "/nowhere/at/all"], "'/nowhere/at/all' cannot be indexed: No such file"),
        (["index"], "nothing was indexed yet; name files or folders: mainspring index PATH..."),
        (["index", "/dev/null"], "neither a file nor a folder"),
        (["index", ".", "--library", "../x"], "no name for a library"),
        (["library", "show", "3"], "there is no library 'default'; `mainspring index PATH` makes one"),
        (["library", "stats", "--library", "nope"], "there is no library 'nope'"),
    ],
)
def test_what_cannot_be_done_says_what_to_do(home: Path, arguments: list[str], complaint: str) -> None:
    done = mainspring(*arguments, home=home, expect=1)
    assert complaint in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("command", ["remove", "forget", "show"])
def test_an_empty_name_is_not_the_present_folder(docs: Path, home: Path, command: str) -> None:
    index(docs, home=home)
    assert "an empty path was named" in mainspring("index", "", home=home, cwd=docs, expect=1).stderr
    done = mainspring("library", command, "", home=home, cwd=docs, expect=2)
    assert "the present folder is '.'" in done.stderr
    assert len(listed(home)) == 2


def test_a_file_of_another_kind_is_told_when_it_is_named_and_counted_in_a_folder(docs: Path, home: Path) -> None:
    (docs / "program.bin").write_bytes(b"\x7fELF" + bytes(range(256)) * 9)
    (docs / "link.md").symlink_to(docs / "cars.md")
    assert ", 1 file of other kinds left out, 1 link not followed, in" in index(docs, home=home).stdout
    for _ in range(2):
        done = index(docs / "program.bin", home=home, expect=1)
        assert done.stdout.startswith("0 documents indexed (0 pages), 0 unchanged, 1 failed, in")
        assert "program.bin: it is no document of a kind that can be read" in done.stderr
    mainspring("index", home=home)  # it is nothing to come back to


def test_a_library_of_an_unknown_embedder_is_not_made(docs: Path, home: Path) -> None:
    done = mainspring("index", docs, "--embedder", "e6", home=home, expect=1)
    assert "there is no embedder 'e6'; write 'default'" in done.stderr
    assert mainspring("library", "libraries", "--json", home=home).stdout == ""


def test_a_damaged_library_does_not_hide_the_others(docs: Path, home: Path) -> None:
    for name in ("a", "b", "c"):
        index(docs, "--library", name, home=home)
    (home / "library" / "b" / "catalog.sqlite").write_text("junk")
    done = mainspring("library", "libraries", home=home, expect=1)
    assert [row.split()[:2] for row in done.stdout.splitlines()[1:]] == [["a", "2"], ["b", "?"], ["c", "2"]]
    assert "the file is damaged" in done.stderr
    found = json_lines(mainspring("library", "libraries", "--json", home=home, expect=1).stdout)
    assert [(one["library"], "problem" in one) for one in found] == [("a", False), ("b", True), ("c", False)]


def test_what_is_not_there_is_called_no_folder(docs: Path, home: Path) -> None:
    index(docs, home=home)
    assert "has nothing of 'nope.txt'" in mainspring("library", "show", "nope.txt", home=home, expect=1).stderr
    assert "is a folder; name one" in mainspring("library", "show", docs, home=home, expect=1).stderr


def test_subtitles_are_found_with_their_film(home: Path, tmp_path: Path) -> None:
    pytest.importorskip("av")
    talks = tmp_path / "talks"
    talks.mkdir()
    with wave.open(str(talks / "talk.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(2 * 8000 * 3))
    words = talks / "talk.srt"
    words.write_text("1\n00:00:00,500 --> 00:00:02,500\nVolcanoes\n")
    index(talks, home=home)
    assert [Path(d["uri"]).name for d in listed(home)] == ["talk.wav"]
    for command in ("forget", "remove", "show"):
        told = mainspring("library", command, words, home=home, expect=1).stderr
        assert f"its words are kept with '{talks / 'talk.wav'}'; forget that one" in told
    index(words, home=home)  # named, so that it is a document of its own
    assert f"{talks / 'talk.wav'} holds these words as well" in mainspring("library", "forget", words, home=home).stderr
    mainspring("library", "forget", talks, home=home)
    assert not any(b"olcano" in file.read_bytes() for file in home.rglob("*") if file.is_file())


def test_another_embedder_is_refused(docs: Path, home: Path) -> None:
    index(docs, home=home)
    done = mainspring("index", docs, "--embedder", "default", home=home, expect=1)
    assert "has the embedder 'none', not 'default'" in done.stderr
    assert "mainspring library reembed" in done.stderr


def hears_interrupts() -> None:
    """A process that is started in the background of a script ignores them, and so do its children."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_watching_indexes_what_changes_until_it_is_interrupted(docs: Path, home: Path) -> None:
    command = [*COMMAND, "index", str(docs), "--watch", "--json", "--embedder", "none"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdout=pipe, stderr=pipe, text=True, env=environment(home), preexec_fn=hears_interrupts
    ) as run:
        try:
            assert run.stdout is not None
            assert '"indexed": 2' in run.stdout.readline()
            (docs / "later.txt").write_text("pears\n")
            assert '"indexed": 1' in run.stdout.readline()
            (docs / "later.txt").unlink()
            assert '"removed": 1' in run.stdout.readline()
            run.send_signal(signal.SIGINT)
            assert run.wait(30) == 0
            assert run.stderr is not None
            assert "no longer watching" in run.stderr.read()
        finally:
            run.kill()  # else leaving the block would wait for it


def test_an_interrupt_stops_cleanly_and_the_same_command_goes_on(docs: Path, home: Path) -> None:
    for n in range(600):
        (docs / f"{n}.txt").write_text(f"number {n}\n")
    command = [*COMMAND, "index", str(docs), "--embedder", "none", "--jobs", "2"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdout=pipe, stderr=pipe, text=True, env=environment(home), preexec_fn=hears_interrupts
    ) as run:
        catalog = home / "library" / "default" / "catalog.sqlite"
        until = time.monotonic() + 60
        while not (catalog.exists() and listed(home, "--limit", "1")) and time.monotonic() < until:
            time.sleep(0.05)
        run.send_signal(signal.SIGINT)
        _, err = run.communicate(timeout=60)
    assert "Traceback" not in err
    if run.returncode != 0:  # it was not faster than the signal
        assert run.returncode == 130
        assert "the same command goes on" in err
    done = json_lines(index(docs, "--json", home=home).stdout)[0]
    assert done["indexed"] + done["unchanged"] == 602
    assert mainspring("library", "check", home=home).stdout == "the library is whole\n"


def test_settings_choose_what_is_not_said(docs: Path, home: Path) -> None:
    home.mkdir(exist_ok=True)
    settings = home / "mainspring.toml"
    settings.write_text('[library]\nembedder = "none"\ntranscriber = "whisper"\nreranker = "best"\n')
    assert "'whisper' is no transcriber" in mainspring("index", docs, home=home, expect=1).stderr
    settings.write_text('[library]\nembedder = "none"\nreranker = "best"\n')
    mainspring("index", docs, home=home)
    (stats,) = json_lines(mainspring("library", "stats", "--json", home=home).stdout)
    assert stats["embedder"] == "none"
    assert "'best' is no reranker" in mainspring("search", "clause", home=home, expect=1).stderr
    mainspring("search", "clause", "--rerank", "none", home=home)
    settings.write_text('[library]\nembedder = "e5"\n')  # of new libraries: this one has another
    mainspring("index", docs, home=home)


def test_paths_are_those_of_the_folder_that_a_person_stands_in(docs: Path, home: Path) -> None:
    mainspring("index", docs, "--embedder", "none", home=home)
    every = [entry["uri"] for entry in listed(home)]
    for said in (docs.name, f"./{docs.name}", f"{docs.name}/*", str(docs), "*"):
        done = mainspring("library", "list", said, "--json", home=home, cwd=docs.parent)
        assert [entry["uri"] for entry in json_lines(done.stdout)] == every, said
    assert json_lines(mainspring("library", "list", "other/*", "--json", home=home, cwd=docs.parent).stdout) == []
