"""The library as its users see it: what is indexed is found, kept in step, and leaves when it is told to."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from library_filled import WordsEmbedder
from mainspring import Library
from mainspring.config import load_config
from mainspring.errors import ModelError, StoreError, ToolError
from mainspring.label import Label
from mainspring.library.embed.protocol import Space
from mainspring.library.index import open_index
from mainspring.library.ingest import Progress, Report
from mainspring.library.ingest.lock import indexing
from mainspring.library.ingest.report import Meter
from mainspring.library.page import Where
from mainspring.library.read import children

SAME = {"automobile": "car", "purchased": "bought"}


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "cars.md").write_text("# Cars\n\nShe bought a red car.\n\n# Boats\n\nA boat is not for roads.\n")
    (folder / "notes.txt").write_text("Milk, bread and apples.\n")
    (folder / "zh.txt").write_text("她买了一辆红色的汽车。\n")
    return folder


@pytest.fixture
def open_library(home: Path) -> Iterator[Callable[..., Library]]:
    opened: list[Library] = []

    def opener(embedder: Any = None, name: str = "default") -> Library:
        opened.append(Library.open(name, home=home, embedder=embedder))
        return opened[-1]

    yield opener
    for library in opened:
        library.close()


@pytest.fixture
def library(open_library: Callable[..., Library]) -> Library:
    return open_library(WordsEmbedder(SAME))


def uris(library: Library, query: str, **more: Any) -> list[str]:
    return [Path(hit.page.document.uri).name for hit in library.search(query, **more)]


def test_what_is_indexed_is_found_by_words_and_by_meaning(library: Library, docs: Path) -> None:
    report = library.index(docs)
    assert (report.indexed, report.unchanged, report.removed, report.failed) == (3, 0, 0, [])
    assert report.pages == report.encoded
    assert report.unencoded == 0
    assert uris(library, "red car")[0] == "cars.md"
    assert uris(library, "红色", mode="text") == ["zh.txt"]
    assert uris(library, "purchased automobile", mode="text") == []
    assert uris(library, "purchased automobile", mode="meaning")[0] == "cars.md"
    assert uris(library, "purchased automobile")[0] == "cars.md"
    assert library.problem == ""
    assert library.check() == []


def test_a_hit_knows_its_page_neighbours_and_reason(library: Library, docs: Path) -> None:
    library.index(docs)
    (hit, *_) = library.search("car")
    assert hit.snippet == hit.page.page.text[hit.start : hit.end]
    assert "car" in hit.snippet
    assert library.page(hit.page.id) == hit.page
    assert hit.page.document.label == Label(frozenset({"library"}))
    explained = library.explain(hit, "automobile")
    assert explained.met[0].found == "car"
    around = library.neighbours(hit)
    assert {p.page.heading for p in (around.before, around.after) if p} <= {"Boats", "Cars"}
    with pytest.raises(StoreError, match="no page 999"):
        library.page(999)


def test_a_second_run_does_only_what_changed(library: Library, docs: Path) -> None:
    library.index(docs)
    assert library.index(docs).unchanged == 3
    kept = {p.page.text: p.id for d in library.documents() for p in library.catalog.pages_of(d.id)}
    (docs / "notes.txt").write_text("Milk, bread and pears.\n")
    (docs / "new.txt").write_text("A new file about turbines.\n")
    (docs / "zh.txt").unlink()
    report = library.index()
    assert (report.indexed, report.unchanged, report.removed) == (2, 1, 1)
    assert report.encoded == 2
    assert uris(library, "pears", mode="text") == ["notes.txt"]
    assert uris(library, "apples", mode="text") == []
    assert uris(library, "turbines") == ["new.txt", *uris(library, "turbines")[1:]]
    after = {p.page.text: p.id for d in library.documents() for p in library.catalog.pages_of(d.id)}
    assert {text: id_ for text, id_ in kept.items() if "car" in text or "boat" in text.lower()}.items() <= after.items()
    assert library.check() == []
    assert set(library._meaning._opened().index.ids().tolist()) == set(after.values())


def test_a_file_that_was_only_touched_is_not_read_again(library: Library, docs: Path) -> None:
    library.index(docs)
    os.utime(docs / "notes.txt", (1, 1))
    report = library.index(docs)
    assert (report.indexed, report.unchanged) == (0, 3)
    assert library.catalog.find(str(docs / "notes.txt")).changed_at == 1  # type: ignore[union-attr]
    assert library.index(docs, again=True).indexed == 3


def test_a_change_that_keeps_size_and_time_within_the_clocks_tick_is_seen(library: Library, docs: Path) -> None:
    (docs / "notes.txt").write_text("before")
    status = (docs / "notes.txt").stat()
    library.index(docs)
    (docs / "notes.txt").write_text("after!")
    os.utime(docs / "notes.txt", ns=(status.st_atime_ns, status.st_mtime_ns))
    library.index(docs)
    assert uris(library, "after", mode="text") == ["notes.txt"]


def test_the_same_bytes_at_two_places_are_read_and_encoded_once_and_listed_twice(
    open_library: Callable[..., Library], docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = WordsEmbedder()
    library = open_library(embedder)
    opened: list[Path] = []
    real = Library._open_file

    def counted(self: Library, path: Path, *more: Any) -> Any:
        opened.append(path)
        return real(self, path, *more)

    monkeypatch.setattr(Library, "_open_file", counted)
    (docs / "copy of notes.txt").write_bytes((docs / "notes.txt").read_bytes())
    library.index(docs, jobs=4)
    assert len(opened) == len({p.read_bytes() for p in opened}) == 3
    assert embedder.encoded == library.catalog.counts()["pages"] - 1
    (hit, *_) = library.search("apples")
    assert [p.document.title for p in (hit.page, *hit.also)] == ["copy of notes.txt", "notes.txt"]
    assert len(library._meaning._opened().index.ids()) == library.catalog.counts()["pages"]


def test_a_broken_file_is_told_and_the_rest_goes_on(library: Library, docs: Path) -> None:
    (docs / "broken.pdf").write_bytes(b"%PDF-1.7\n" + b"garbage" * 100)
    (docs / "empty.txt").write_bytes(b"")
    (docs / "program").write_bytes(b"\x7fELF" + bytes(100))
    report = library.index(docs)
    assert (report.indexed, report.others) == (4, 1)
    ((uri, why),) = report.failed
    assert uri.endswith("broken.pdf")
    assert why
    assert [(Path(uri).name, why) for uri, why in report.partly] == [("empty.txt", "the file is empty")]
    assert library.catalog.find(str(docs / "broken.pdf")).problem == why  # type: ignore[union-attr]
    again = library.index(docs)
    assert (again.indexed, again.unchanged, again.failed) == (0, 5, [])  # it is not tried again as it is
    (docs / "broken.pdf").unlink()
    assert library.index(docs).removed == 1


def test_labels_by_the_one_who_indexes(library: Library, docs: Path) -> None:
    library.index(docs / "notes.txt", trust=True, readers=["ann"], by="ann")
    library.index(docs)
    labels = {Path(d.uri).name: d.label for d in library.documents()}
    assert labels["notes.txt"] == Label(frozenset({"user"}), frozenset({"ann"}))
    assert labels["cars.md"] == Label(frozenset({"library"}))
    assert uris(library, "apples", where=Where(reader="ben"), mode="text") == []
    assert uris(library, "apples", where=Where(reader="ann"), mode="text") == ["notes.txt"]
    (docs / "notes.txt").write_text("Apples, and what a stranger put there.\n")
    library.index()
    (changed,) = [d for d in library.documents() if d.uri.endswith("notes.txt")]
    assert not changed.label.trusted
    assert changed.label.readers == frozenset({"ann"})
    decisions = library.catalog.decisions(changed.id)
    assert decisions[0][1:3] == ("ann", "trust")


def test_new_files_of_a_folder_get_its_readers(library: Library, docs: Path) -> None:
    library.index(docs, readers=["ann"], by="ann")
    (docs / "later.txt").write_text("later\n")
    library.index(docs)
    assert {d.label.readers for d in library.documents()} == {frozenset({"ann"})}


def test_an_embedder_belongs_to_its_library(open_library: Callable[..., Library], docs: Path) -> None:
    open_library(WordsEmbedder()).index(docs)
    other = WordsEmbedder(images=True)
    other.space = type(other.space)("others", "2", 64)
    with pytest.raises(StoreError, match=r"words@1/64m.*others@2/64m.*mainspring library reembed"):
        open_library(other)
    with pytest.raises(StoreError, match="reembed 'none'"):
        open_library("none")
    words_only = open_library()
    assert uris(words_only, "car") == ["cars.md"]
    assert "an embedder of a program's own" in words_only.problem
    with pytest.raises(ModelError, match="cannot be searched by meaning"):
        words_only.search("car", mode="meaning")


def test_reembedding_with_none_deletes_the_vectors(open_library: Callable[..., Library], docs: Path) -> None:
    library = open_library(WordsEmbedder())
    library.index(docs, ocr="off")
    before = [hit.page.id for hit in library.search("red car", mode="text")]
    with pytest.raises(ModelError, match="there is no embedder 'e6'"):
        library.reembed("e6")
    assert library.stats()["space"]
    library.reembed("none")
    assert [folder.name for folder in (library.folder / "vectors").glob("*") if "look" not in folder.name] == []
    assert "has no embedder" in library.problem
    assert [hit.page.id for hit in library.search("red car")] == before
    assert library.check() == []
    library.close()
    again = open_library()
    assert (again.stats()["embedder"], again.stats()["unencoded"]) == ("none", 0)
    again.index(docs, ocr="off")
    assert again.reembed(WordsEmbedder()).encoded == again.stats()["pages"]
    assert again.search("red car", mode="meaning")


def test_reembedding_switches_when_all_is_there(open_library: Callable[..., Library], docs: Path) -> None:
    library = open_library(WordsEmbedder())
    library.index(docs)
    assert uris(library, "purchased automobile", mode="meaning")[0] != "never"
    better = WordsEmbedder(SAME)
    better.space = type(better.space)("better", "2", 64)
    failing = WordsEmbedder(SAME)
    failing.space = better.space

    def fails(_: Any) -> Any:
        raise ModelError("the server is down")

    failing.documents = fails  # type: ignore[method-assign]
    with pytest.raises(ModelError, match="server is down"):
        library.reembed(failing)
    assert library.stats()["space"] == "words@1/64m"
    report = library.reembed(better)
    assert report.encoded == library.catalog.counts()["pages"]
    assert library.stats()["space"] == "better@2/64m"
    assert uris(library, "purchased automobile", mode="meaning")[0] == "cars.md"
    assert len(list((library.folder / "vectors").iterdir())) == 1
    assert library.check() == []


def test_without_an_embedder_words_find_all(open_library: Callable[..., Library], docs: Path) -> None:
    library = open_library("none")
    report = library.index(docs)
    assert (report.encoded, report.unencoded, library.stats()["unencoded"]) == (0, 0, 0)
    assert uris(library, "car") == ["cars.md"]
    assert "searched by words only" in library.problem


def test_an_embedder_that_cannot_be_had_leaves_a_library_of_words(
    open_library: Callable[..., Library], docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mainspring.library import embed

    def no_network(_: str) -> Any:
        raise ModelError("the weights are not here and cannot be fetched")

    with monkeypatch.context() as patch:
        patch.setattr(embed, "open_embedder", no_network, raising=False)
        library = open_library()
        report = library.index(docs)
        assert report.indexed == 3
        assert "found by words only" in report.notes[0]
        assert "cannot be fetched" in report.notes[0]
        assert uris(library, "car") == ["cars.md"]
    patch.setattr(embed, "open_embedder", lambda _: WordsEmbedder(SAME), raising=False)
    report = library.index()
    patch.undo()
    assert (report.indexed, report.encoded, report.notes) == (0, library.catalog.counts()["pages"], [])
    assert uris(library, "purchased automobile")[0] == "cars.md"


def test_pages_that_only_the_index_knows_are_taken_out(library: Library, docs: Path) -> None:
    library.index(docs)
    index = library._meaning._opened().index
    vectors = WordsEmbedder().documents(["ghost"])[0].vectors
    index.add([(10_000, vectors)])
    assert library.check() == ["1 pages in the index are in the catalog no more; run: mainspring library compact"]
    assert all(hit.page.id != 10_000 for hit in library.search("ghost car", mode="meaning"))
    library.compact()
    assert 10_000 not in index.ids()
    index.remove([int(index.ids()[0])])
    assert library.check() == ["1 pages have no vectors; run: mainspring index"]
    assert library.index().encoded == 1
    assert library.check() == []


def test_removing_and_forgetting(library: Library, docs: Path) -> None:
    library.index(docs)
    assert library.remove(docs / "notes.txt") == 1
    assert library.index().indexed == 1  # its folder is still indexed
    assert library.forget(str(docs / "notes.txt"), by="ann") == 1
    assert library.index().indexed == 0
    assert b"bread" not in b"".join(p.read_bytes() for p in library.folder.rglob("*") if p.is_file())
    assert library.index(docs / "notes.txt").indexed == 1  # named by a person
    with pytest.raises(StoreError, match="nothing of"):
        library.remove("/nowhere")
    assert library.remove(docs) == 3
    assert library.documents() == []
    assert library.check() == []


@pytest.mark.parametrize("named", ["above", "below", "file", "all"])
def test_new_files_have_no_more_readers_than_any_folder_that_they_lie_below(
    library: Library, docs: Path, named: str
) -> None:
    private = docs / "private"
    (private / "letters").mkdir(parents=True)
    (private / "old.txt").write_text("old words\n")
    library.index(private, readers=["ann"])
    library.index(docs)
    new = private / "letters" / "new.txt"
    new.write_text("Dear Ann, the turbines are sold.\n")
    paths = {"above": [docs], "below": [private / "letters"], "file": [new], "all": []}[named]
    report = library.index(paths)
    assert report.indexed == 1  # also where it lies below two roots
    assert library.catalog.find(str(new)).label.readers == {"ann"}  # type: ignore[union-attr]
    assert uris(library, "turbines", where=Where(reader="ben"), mode="text") == []
    assert uris(library, "apples", where=Where(reader="ben"), mode="text") == ["notes.txt"]


def test_vouching_for_a_folder_gives_a_file_in_it_no_more_readers(library: Library, docs: Path) -> None:
    library.index(docs / "notes.txt", readers=["ann"])
    library.index(docs, readers=["ann", "ben"])
    library.index(docs, trust=True, by="ann")
    label = library.catalog.find(str(docs / "notes.txt")).label  # type: ignore[union-attr]
    assert label == Label(frozenset({"user"}), frozenset({"ann"}))


def test_a_copy_does_not_tell_what_the_other_file_is_called(library: Library, docs: Path) -> None:
    data = b"a, b\n1, 2\n"
    (docs / "dismissals  in  May.csv").write_bytes(data)
    library.index(docs / "dismissals  in  May.csv", readers=["ann"])
    (docs / "z.csv").write_bytes(data)
    library.index(docs / "z.csv")
    document = library.catalog.find(str(docs / "z.csv"))
    assert document is not None
    assert "May" not in document.title
    assert uris(library, "dismissals", where=Where(reader="ben"), mode="text") == []


def test_a_process_reads_for_one_circle_of_readers_and_one_trust(library: Library, docs: Path) -> None:
    def read(name: str, **said: Any) -> set[int]:
        """The processes that wait afterwards and did not before, or were used again."""
        before = {child.pid: child.files for child in children.pool._idle}
        library.index(docs / name, **said)
        return {child.pid for child in children.pool._idle if before.get(child.pid) != child.files}

    children.close_readers()
    strangers = read("cars.md")
    assert len(strangers) == 1
    assert read("zh.txt") == strangers  # else nothing is said below
    (docs / "of ann.txt").write_text("salaries")
    anns = read("of ann.txt", readers=["ann"])
    assert len(anns) == 1
    assert not anns & strangers
    (docs / "of ann.txt").write_text("salaries of May")
    assert read("of ann.txt") == anns  # it is hers still, though nobody says so again
    own = read("notes.txt", trust=True, by="ann")
    assert len(own) == 1
    assert not own & (anns | strangers)


def test_forgetting_needs_no_embedder_and_keeps_no_name(
    library: Library, docs: Path, open_library: Callable[..., Library]
) -> None:
    library.index([docs / "notes.txt", docs / "cars.md"])
    (kept,) = library.search("milk", mode="text")
    library.close()
    again = open_library()  # it does not know the embedder, and cannot make it
    assert again.problem
    assert again.forget(docs / "notes.txt", by="ann") == 1
    again.close()
    assert b"notes.txt" not in b"".join(p.read_bytes() for p in again.folder.rglob("*") if p.is_file())
    opened = open_library(WordsEmbedder(SAME))
    index = opened._meaning._opened().index
    assert kept.page.id not in index.ids()
    assert len(index.ids()) == opened.catalog.counts()["pages"] > 0


def test_forgetting_reaches_vectors_that_are_being_made_anew(library: Library, docs: Path) -> None:
    library.index(docs)
    other = WordsEmbedder(centred=True)
    other.space = Space("others", "2", 64, True)
    (hit,) = library.search("milk", mode="text")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        library._meaning.switch(other, lambda side: (library._encoding(side).run(Meter("encode", None)), killed()))
    library.forget(hit.page.document.id, by="ann")
    index = open_index(library._meaning.folder_of(other.space), other.space)
    assert len(index.ids())
    assert hit.page.id not in index.ids()
    index.close()


def test_a_folder_that_became_empty_keeps_its_documents(library: Library, docs: Path, tmp_path: Path) -> None:
    library.index(docs)
    docs.rename(tmp_path / "elsewhere")
    report = library.index()
    assert "is not there" in report.notes[0]
    docs.mkdir()
    report = library.index()
    assert report.removed == 0
    assert "perhaps because a disk is not mounted" in report.notes[0]
    assert uris(library, "car")[0] == "cars.md"


def test_an_explicitly_named_file_stays_when_its_folder_leaves_it_out(library: Library, docs: Path) -> None:
    (docs / ".hidden.txt").write_text("hidden apples\n")
    library.index(docs / ".hidden.txt")
    library.index(docs)
    assert ".hidden.txt" in uris(library, "hidden", mode="text")
    library.index(docs, exclude=["*.md"])
    assert uris(library, "car", mode="text") == []


def test_progress_tells_stages(library: Library, docs: Path) -> None:
    told: list[Progress] = []
    library.index(docs, progress=told.append)
    assert {"find", "read", "encode"} <= {p.stage for p in told}
    last = [p for p in told if p.stage == "encode"][-1]
    assert last.done == last.total > 0


def test_a_second_indexer_waits_or_is_told(library: Library, docs: Path) -> None:
    with indexing(library.folder):
        with pytest.raises(StoreError, match=rf"another process \(pid {os.getpid()}\) is indexing"):
            library.index(docs, wait=False)
        told = threading.Event()
        done: list[Report] = []

        def progress(at: Progress) -> None:
            if at.stage == "wait":
                told.set()

        thread = threading.Thread(target=lambda: done.append(library.index(docs, progress=progress)))
        thread.start()
        assert told.wait(20)
        assert done == []
    thread.join()
    assert done[0].indexed == 3


def test_the_folder_is_private_and_names_are_checked(library: Library, home: Path) -> None:
    assert stat.S_IMODE(library.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(library.catalog.path.stat().st_mode) == 0o600
    for name in ("", "..", "a/b", ".hidden", "x" * 65, "a b"):
        with pytest.raises(ToolError, match="no name for a library"):
            Library.open(name, home=home)


def test_nothing_indexed_yet_says_what_to_do(library: Library) -> None:
    with pytest.raises(ToolError, match="mainspring index PATH"):
        library.index()
    assert library.search("anything") == []


def test_a_library_never_indexes_itself(library: Library, home: Path) -> None:
    (home / "a.txt").write_text("apples\n")
    library.index(home)
    assert library.index(home).failed == []
    assert [Path(d.uri).name for d in library.documents()] == ["a.txt"]


def test_the_example_configuration_names_the_embedder_of_new_libraries(home: Path) -> None:
    example = Path(__file__).parents[2] / "examples" / "mainspring.toml"
    with Library.open(home=home) as opened:
        assert load_config(path=example).library.embedder == opened.stats()["embedder"] == "default"
