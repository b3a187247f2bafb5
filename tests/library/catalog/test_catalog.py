"""The catalog: what is written is found, filtered, replaced and really gone."""

from __future__ import annotations

import multiprocessing
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.errors import StoreError
from mainspring.label import Label
from mainspring.library.catalog import Source, SQLiteCatalog, Vouched, open_catalog
from mainspring.library.catalog.rows import KINDS, decode_regions, encode_regions
from mainspring.library.page import Box, Document, Page, Region, RegionKind, Where


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[SQLiteCatalog]:
    with open_catalog(tmp_path / "library") as opened:
        yield opened


def put(
    catalog: SQLiteCatalog,
    uri: str,
    *texts: str,
    said: Vouched | None = None,
    language: str = "en",
    changed_at: float = 1.0,
    title: str = "",
) -> Document:
    """Index made pages under a name."""
    source = Source(uri, f"digest of {texts!a}", 10, changed_at, int(changed_at * 1e9))
    pages = [(Page(n + 1, text), language, "") for n, text in enumerate(texts)]
    return catalog.write(source, "text", title or uri.rpartition("/")[2], pages, said=said).finish()


def found(catalog: SQLiteCatalog, query: str, where: Where | None = None) -> list[str]:
    """Texts of the pages that have words of the query."""
    return [p.page.text for p in catalog.pages([n for n, _ in catalog.match(query, 10, where)])]


def test_pages_are_found_by_words_in_both_languages(catalog: SQLiteCatalog) -> None:
    put(catalog, "/a/en.txt", "The quick brown fox", "Nothing of the kind")
    put(catalog, "/a/zh.txt", "图书馆里有很多书", "没有别的", language="zh")
    assert found(catalog, "BROWN foxes fox") == ["The quick brown fox"]
    assert found(catalog, "图书") == ["图书馆里有很多书"]
    assert found(catalog, "书") == ["图书馆里有很多书"]
    assert found(catalog, "") == found(catalog, "?!") == []
    assert catalog.check() == []


def test_words_on_most_pages_are_left_out_of_a_query_that_has_others(catalog: SQLiteCatalog) -> None:
    put(catalog, "/a", *(f"the page about number{n}" for n in range(20)))
    assert found(catalog, "the page number7") == ["the page about number7"]
    assert len(catalog.match("the page", 100)) == 20
    assert found(catalog, "页 the number3") == ["the page about number3"]
    put(catalog, "/a", *(f"the page about number{n}" for n in range(3)), *["other words"] * 9)
    assert len(catalog.match("the number2", 100)) == 3  # it is no longer on most


def test_in_a_library_of_a_few_pages_every_word_counts(catalog: SQLiteCatalog) -> None:
    put(catalog, "/docs/boiler.md", "the boiler must be vented every May and costs 70 euros")
    put(catalog, "/docs/copy.md", "the boiler must be vented")
    put(catalog, "/docs/mine.md", "my own boiler")
    assert len(catalog.match("boiler vented", 10)) == 3


def test_of_too_many_words_the_rarest_are_looked_for(catalog: SQLiteCatalog) -> None:
    put(catalog, "/a", *(f"{' '.join(f'w{k}' for k in range(40))} rest" for _ in range(3)), *["other"] * 9, "needle")
    assert "needle" in found(catalog, " ".join(f"w{k}" for k in range(40)) + " needle")


def test_a_title_and_a_heading_count_more_than_the_text(catalog: SQLiteCatalog) -> None:
    put(catalog, "/a/1.txt", "some words on turbines and on other things")
    put(catalog, "/a/2.txt", "some words on engines and on other things", title="Turbines of the world")
    assert found(catalog, "turbines")[0].startswith("some words on engines")
    assert len(found(catalog, "turbines")) == 2


def test_a_page_comes_back_as_it_was_written(catalog: SQLiteCatalog) -> None:
    page = Page(
        3, "Grüße\n你好", (Region(0, 5, "title", Box(0.0, 0.25, 1.0, 0.5)), Region(6, 8, "table")), "A > B",
        "text", True, 0.1, 595.0, 842.0, 1.5, 2.5, 7,
    )  # fmt: skip
    source = Source("/a/b.pdf", "d", 5, 1.5, 1_500_000_000)
    document = catalog.write(source, "pdf", "T", [(page, "de", "")], extra={"author": "Ann"}).finish()
    (stored,) = catalog.pages_of(document.id)
    box = stored.page.regions[0].box
    assert box is not None
    assert abs(box.top - 0.25) < 1e-4
    assert stored.page == Page(
        **{f: getattr(page, f) for f in page.__slots__ if f != "regions"}, regions=stored.page.regions
    )  # type: ignore[arg-type]
    assert [(r.start, r.end, r.kind) for r in stored.page.regions] == [(0, 5, "title"), (6, 8, "table")]
    assert stored.page.regions[1].box is None
    assert stored.document == document == catalog.find("/a/b.pdf")
    assert (document.extra, document.pages, document.changed_at) == ({"author": "Ann"}, 1, 1.5)


@given(
    st.lists(
        st.builds(
            Region,
            st.integers(0, 20_000),
            st.integers(0, 20_000),
            st.sampled_from(KINDS),
            st.none() | st.builds(Box, *[st.floats(0, 1)] * 4),
        )
    )
)
def test_regions_keep_their_places(regions: list[Region]) -> None:
    back = decode_regions(encode_regions(regions))
    assert [(r.start, r.end, r.kind, r.box is None) for r in back] == [
        (r.start, r.end, r.kind, r.box is None) for r in regions
    ]
    for one, other in zip(regions, back, strict=True):
        if one.box is not None and other.box is not None:
            sides = ("left", "top", "right", "bottom")
            assert all(abs(getattr(one.box, s) - getattr(other.box, s)) <= 1 / 65_535 for s in sides)


def test_every_kind_of_region_has_a_number_that_stays() -> None:
    from typing import get_args

    assert set(KINDS) == set(get_args(RegionKind))
    assert KINDS[:9] == ("text", "title", "list", "table", "figure", "caption", "code", "header", "footer")


def test_every_filter_holds_for_words_and_for_numbers(catalog: SQLiteCatalog) -> None:
    ann = Vouched(readers=frozenset({"ann"}), by="ann")
    mine = Vouched(trust=True, by="ann")
    a = put(catalog, "/home/ann/a.txt", "apple one", said=ann, changed_at=10)
    b = put(catalog, "/home/ann/b.md", "apple two", said=mine, changed_at=20)
    c = put(catalog, "/srv/[c].txt", "apple drei", language="de", changed_at=30)
    table = Page(1, "apple table", (Region(0, 5, "table"),))
    d = catalog.write(Source("/srv/d.pdf", "x", 1, 40.0, 4), "pdf", "d", [(table, "en", "")]).finish()

    for where, wanted in [
        (Where(), [a, b, c, d]),
        (Where(kinds=("pdf",)), [d]),
        (Where(languages=("de", "fr")), [c]),
        (Where(paths=("/home/",)), [a, b]),
        (Where(paths=("*.md", "*.pdf")), [b, d]),
        (Where(paths=("/srv/[c]*",)), [c]),
        (Where(paths=("/srv/?.pdf",)), [d]),
        (Where(documents=(a.id, d.id, 999)), [a, d]),
        (Where(regions=("table", "figure")), [d]),
        (Where(changed_after=20), [b, c, d]),
        (Where(changed_after=15, changed_before=30), [b, c]),
        (Where(reader="bob"), [b, c, d]),
        (Where(reader="ann"), [a, b, c, d]),
        (Where(trusted=True), [b]),
        (Where(trusted=True, kinds=("pdf",)), []),
        (Where(paths=("' OR 1 --",)), []),
    ]:
        names = {document.uri for document in wanted}
        assert {document.uri for document in catalog.documents(where)} == names, where
        pages = catalog.pages([int(n) for n in catalog.among(where)])
        assert {page.document.uri for page in pages} == names, where
        assert {p.document.uri for p in catalog.pages([n for n, _ in catalog.match("apple", 9, where)])} == names


def test_a_label_that_nobody_can_read_is_shown_to_nobody(catalog: SQLiteCatalog) -> None:
    document = put(catalog, "/a", "apple", said=Vouched(readers=frozenset(), by="ann"))
    assert document.label == Label(frozenset({"library"}), frozenset())
    assert found(catalog, "apple", Where(reader="ann")) == []
    assert found(catalog, "apple") == ["apple"]  # a person at the keyboard


def test_a_changed_page_gets_a_new_number_and_the_others_keep_theirs(catalog: SQLiteCatalog) -> None:
    document = put(catalog, "/a", "one", "two", "three")
    before = {p.page.text: p.id for p in catalog.pages_of(document.id)}
    again = put(catalog, "/a", "zero", "one", "TWO!", "three")
    after = {p.page.text: p.id for p in catalog.pages_of(document.id)}
    assert again.id == document.id
    assert again.pages == 4
    assert list(after) == ["zero", "one", "TWO!", "three"]
    assert (after["one"], after["three"]) == (before["one"], before["three"])
    assert min(after["zero"], after["TWO!"]) > max(before.values())
    assert catalog.pages([before["two"]]) == []
    assert [p.page.number for p in catalog.pages_of(document.id)] == [1, 2, 3, 4]
    assert catalog.check() == []


def test_numbers_are_never_used_again(catalog: SQLiteCatalog) -> None:
    first = put(catalog, "/a", "one", "two")
    used = {p.id for p in catalog.pages_of(first.id)}
    catalog.remove([first.id])
    second = put(catalog, "/a", "one", "two")
    assert second.id > first.id
    assert not used & {p.id for p in catalog.pages_of(second.id)}


def test_a_new_title_finds_pages_that_stayed(catalog: SQLiteCatalog) -> None:
    put(catalog, "/a", "words", title="Old name")
    put(catalog, "/a", "words", title="Fresh name")
    assert found(catalog, "fresh") == ["words"]
    assert found(catalog, "old") == []
    assert catalog.check() == []


def test_many_pages_come_in_batches_and_take_the_old_ones_out_at_the_end(catalog: SQLiteCatalog) -> None:
    put(catalog, "/a", *(f"old {n}" for n in range(300)))
    document = put(catalog, "/a", *(f"new {n}" for n in range(600)))
    assert document.pages == len(catalog.pages_of(document.id)) == 600
    assert found(catalog, "old") == []
    assert catalog.check() == []


def test_a_reading_that_was_cut_off_is_known_as_such_and_done_again(catalog: SQLiteCatalog) -> None:
    document = put(catalog, "/a", "page 0", "old")

    def pages() -> Iterator[tuple[Page, str, str]]:
        for n in range(600):
            yield Page(n + 1, f"page {n}"), "en", ""
        raise KeyboardInterrupt

    source = Source("/a", "new digest", 10, 2.0, 2)
    with pytest.raises(KeyboardInterrupt):
        catalog.write(source, "text", "a", pages())
    known = catalog.known("/a")
    assert known is not None
    assert (known.state, known.digest) == ("reading", "")
    assert found(catalog, "old") == ["old"]  # until the new reading is whole
    partly = {p.page.text: p.id for p in catalog.pages_of(document.id) if p.page.text != "old"}
    assert 200 < len(partly) < 600
    whole = catalog.write(source, "text", "a", ((Page(n + 1, f"page {n}"), "en", "") for n in range(600))).finish()
    after = {p.page.text: p.id for p in catalog.pages_of(whole.id)}
    assert len(after) == whole.pages == 600
    assert partly.items() <= after.items()
    assert catalog.check() == []


def test_ocr_puts_a_new_page_in_place_of_an_unread_one(catalog: SQLiteCatalog) -> None:
    scan = Page(1, "", pictured=True, unread=1.0, source="none")
    part = Page(2, "caption", pictured=True, unread=0.9)
    full = Page(3, "full of text", pictured=True, unread=0.1)
    pages = [(page, "", "") for page in (scan, part, full)]
    document = catalog.write(Source("/a.pdf", "d", 1, 1.0, 1), "pdf", "A", pages).finish()
    first, second, third = [p.id for p in catalog.pages_of(document.id)]
    assert catalog.waiting() == [first, second]
    new = catalog.read_again(first, Page(1, "what the scan says", source="ocr", pictured=True), "en")
    assert new is not None
    assert new > third
    assert found(catalog, "scan") == ["what the scan says"]
    assert catalog.read_again(second, Page(2, "caption", pictured=True), "en") == second  # nothing more was found
    assert catalog.waiting() == []
    assert catalog.read_again(first, Page(1, "late", pictured=True), "en") is None
    assert [p.id for p in catalog.pages_of(document.id)] == [new, second, third]
    assert catalog.check() == []


def test_a_page_on_which_ocr_failed_can_be_tried_again(catalog: SQLiteCatalog) -> None:
    pages = [(Page(1, "", pictured=True), "", "")]
    catalog.write(Source("/a.png", "d", 1, 1.0, 1), "image", "A", pages).finish()
    (page,) = catalog.waiting()
    catalog.give_up_reading(page, "too dark")
    assert catalog.waiting() == []
    assert catalog.problems() == [(page, "ocr", "too dark")]
    assert catalog.retry_reading() == 1
    assert catalog.waiting() == [page]


def test_what_is_forgotten_is_in_no_file_any_more(catalog: SQLiteCatalog) -> None:
    folder = catalog.path.parent
    secret = "xylophonist"

    def holds() -> bool:
        return any(secret.encode() in file.read_bytes() for file in folder.rglob("*") if file.is_file())

    for n in range(50):
        put(catalog, f"/other/{n}", *(f"page {k} of {n}" for k in range(20)))
    document = put(catalog, f"/a/{secret}.txt", f"the {secret} plays", *["more text"] * 20, title=secret)
    catalog.log_queries(True)
    catalog.asked(f"where is the {secret}", [1])
    assert holds()
    assert catalog.forget([document.id, 999], by="ann") == 1
    assert not holds()
    assert found(catalog, secret) == []
    assert catalog.is_forgotten(f"/a/{secret}.txt")
    assert not catalog.is_forgotten("/other/1")
    catalog.remember_again(f"/a/{secret}.txt")
    assert not catalog.is_forgotten(f"/a/{secret}.txt")
    ((_, by, what, before, after),) = catalog.decisions(document.id)
    assert (by, what, before, after) == ("ann", "forget", "", "")
    assert catalog.check() == []


def test_forgetting_says_so_when_another_process_still_sees_it(catalog: SQLiteCatalog) -> None:
    document = put(catalog, "/a", "secret")
    other = sqlite3.connect(catalog.path, isolation_level=None)
    other.execute("BEGIN")
    other.execute("SELECT * FROM texts").fetchall()
    with catalog.transaction() as db:
        db.execute("DELETE FROM texts WHERE page = -1")
    catalog.remove([document.id])
    with pytest.raises(StoreError, match="mainspring library compact"):
        catalog.compact(wait_s=0.1)
    other.close()
    catalog.compact()


def test_queries_are_logged_only_when_that_was_turned_on(catalog: SQLiteCatalog) -> None:
    catalog.asked("private", [1])
    assert catalog.queries() == []
    catalog.log_queries(True)
    catalog.asked("one", [1, 2])
    assert [(q, p) for _, q, p in catalog.queries()] == [("one", [1, 2])]
    catalog.log_queries(False)
    assert catalog.queries() == []


def test_labels_only_get_dirtier_by_themselves(catalog: SQLiteCatalog) -> None:
    stranger, user = frozenset({"library"}), frozenset({"user"})
    assert put(catalog, "/a", "1").label == Label(stranger)
    assert put(catalog, "/a", "1", said=Vouched(trust=True, by="ann")).label == Label(user)
    assert put(catalog, "/a", "1").label == Label(user)  # the same bytes
    assert put(catalog, "/a", "2").label == Label(user | stranger)  # others than she vouched for
    assert not put(catalog, "/a", "1").label.trusted
    two = Vouched(readers=frozenset({"ann", "ben"}), by="ann")
    assert put(catalog, "/a", "1", said=two).label.readers == {"ann", "ben"}
    more = Vouched(readers=frozenset({"ben", "eve"}), by="eve")
    assert put(catalog, "/a", "1", said=more).label.readers == {"ben"}
    assert put(catalog, "/a", "1", said=Vouched(trust=True, by="ann")).label == Label(user, frozenset({"ben"}))
    wider = Vouched(trust=True, readers=frozenset({"ben", "eve"}), by="ann")
    document = put(catalog, "/a", "1", said=wider)
    assert document.label == Label(user, frozenset({"ben", "eve"}))
    said = [(by, what) for _, by, what, _, _ in catalog.decisions(document.id)]
    assert said == [("ann", "trust"), ("ann", "readers"), ("eve", "readers"), ("ann", "trust"), ("ann", "trust")]


def test_a_decision_cannot_be_rewritten(catalog: SQLiteCatalog) -> None:
    put(catalog, "/a", "1", said=Vouched(trust=True, by="ann"))
    for statement in ("UPDATE decisions SET by = 'eve'", "DELETE FROM decisions"):
        with pytest.raises(StoreError, match="decisions stay"), catalog.transaction() as db:
            db.execute(statement)


def test_a_damaged_label_is_everybodys_stranger_and_nobodys_to_read(catalog: SQLiteCatalog) -> None:
    document = put(catalog, "/a", "1")
    with catalog.transaction() as db:
        db.execute("""UPDATE documents SET label = '{"sources":[],"owners":[]}'""")
    assert catalog.document(document.id).label == Label(frozenset({"unreadable"}), frozenset())


def test_text_that_sqlite_cannot_hold_is_cleaned(catalog: SQLiteCatalog) -> None:
    document = put(catalog, "/a", "nul \0 and half \ud800 a character")
    assert catalog.pages_of(document.id)[0].page.text == "nul  and half ? a character"


def test_a_file_of_a_newer_version_is_refused_unchanged(tmp_path: Path) -> None:
    open_catalog(tmp_path).close()
    with sqlite3.connect(tmp_path / "catalog.sqlite") as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(StoreError, match=r"format 99.*update Mainspring"):
        open_catalog(tmp_path)


def test_a_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError, match=r"damaged; move catalog.sqlite .* index the folders again"):
        open_catalog(tmp_path)


def test_a_file_with_a_hole_in_it_is_noticed(tmp_path: Path) -> None:
    with open_catalog(tmp_path) as catalog:
        for n in range(100):
            put(catalog, f"/{n}", "some text " * 300)
        catalog.compact()
    path = tmp_path / "catalog.sqlite"
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xa5" * 40_000)
    with open_catalog(tmp_path) as catalog:
        assert catalog.check()


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "catalog.sqlite") as db:
        db.execute("CREATE TABLE theirs (a)")
    db.close()
    with pytest.raises(StoreError, match="another program"):
        open_catalog(tmp_path)


def test_a_closed_catalog_says_so(tmp_path: Path) -> None:
    catalog = open_catalog(tmp_path)
    catalog.close()
    catalog.close()
    with pytest.raises(StoreError, match="closed"):
        catalog.match("x", 1)


def test_a_full_disk_loses_nothing_that_was_written(catalog: SQLiteCatalog) -> None:
    put(catalog, "/a", "kept")
    with catalog.alone() as db:
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StoreError, match="disk is full; free some space"):
        put(catalog, "/b", *(f"text {n} " * 500 for n in range(100)))
    assert found(catalog, "kept") == ["kept"]
    assert catalog.find("/b") is None
    with catalog.alone() as db:
        db.execute("PRAGMA max_page_count=1000000")
    assert put(catalog, "/b", *(f"text {n} " * 500 for n in range(100))).pages == 100
    assert catalog.check() == []


def test_threads_read_while_one_writes(catalog: SQLiteCatalog) -> None:
    problems: list[BaseException] = []
    done = threading.Event()

    def search() -> None:
        try:
            while not done.is_set():
                for page, _ in catalog.match("word", 5):
                    for stored in catalog.pages([page]):
                        assert stored.page.text.startswith("word")
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=search) for _ in range(4)]
    for thread in threads:
        thread.start()
    for n in range(60):
        put(catalog, f"/{n % 7}", *(f"word {n} {k}" for k in range(5)))
    done.set()
    for thread in threads:
        thread.join()
    assert problems == []
    assert catalog.check() == []


def _write_some(folder: Path, name: str) -> None:
    with open_catalog(folder) as catalog:
        for n in range(20):
            put(catalog, f"/{name}/{n}", f"{name} {n}")


def test_processes_write_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_write_some, args=(tmp_path, name)) for name in ("ann", "ben")]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    with open_catalog(tmp_path) as catalog:
        assert catalog.counts()["documents"] == 40
        assert len(catalog.match("ann", 100)) == 20
        assert catalog.check() == []


@pytest.mark.parametrize("ask", ["number", "path", "reader", "uri"])
def test_what_sqlite_cannot_hold_is_nothing_that_the_library_has(catalog: SQLiteCatalog, ask: str) -> None:
    put(catalog, "/a", "words")
    with pytest.raises(StoreError, match="cannot be looked up"):  # noqa: PT012 - one of three
        if ask == "number":
            catalog.document(10**30)
        elif ask == "uri":
            catalog.find("/a/\ud800")
        else:
            catalog.among(Where(paths=("\ud800",)) if ask == "path" else Where(reader="\ud800"))


def test_old_pages_do_not_gain_by_what_is_said_of_the_new_ones(catalog: SQLiteCatalog) -> None:
    stranger = put(catalog, "/a", "a stranger's words", said=Vouched(readers=frozenset({"ann"})))
    source = Source("/a", "another digest", 10, 2.0, 2)
    said = Vouched(trust=True, readers=frozenset({"ann", "ben"}), by="ann")
    pages = [(Page(n + 1, f"own words {n}"), "en", "") for n in range(300)]
    writing = catalog.write(source, "text", "a", pages, said=said)
    assert found(catalog, "stranger") == ["a stranger's words"]  # a part of the new pages is there, and the old one
    meanwhile = catalog.document(stranger.id).label
    assert not meanwhile.trusted
    assert meanwhile.readers == {"ann"}
    assert writing.finish().label == Label(frozenset({"user"}), frozenset({"ann", "ben"}))
    assert found(catalog, "stranger") == []
    assert ("trust", "ann") in [(what, who) for _, who, what, _, _ in catalog.decisions(stranger.id)]
