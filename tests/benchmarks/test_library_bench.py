"""The library's benchmark: what answers a query by the structure of a document, what is derived, what is frozen."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.library import derive, frozen, measure, scoring, systems
from benchmarks.library.asked import FOLDER, LibraryPage, Query, SetError, Target, grades, language, section_pages
from benchmarks.library.build import Entry, Made, digest_of, normalised
from benchmarks.library.documents import PACKAGES, PIECES, Piece
from benchmarks.library.scans import rescan

BOOK = Made(
    Piece("book.pdf", "tune", "book", "en", "p", "book.pdf", ((11, 16),)),
    Path("tune/book.pdf"),
    tuple("abcdef"),
    ("One", "still one", "Two begins low", "two goes on. Table 3: Weights of the four kinds. And more", "Three", "  "),
    (
        Entry(0, "One", 1, 0.0),
        Entry(0, "Two", 3, 0.5),
        Entry(1, "Two and a half", 4, 0.2),
        Entry(0, "Three", 5, 0.05),
    ),
)
PAGES = [LibraryPage(100 + n, "book.pdf", n, "", text) for n, text in enumerate(BOOK.texts, 1)]


def target(section: str, page: int, document: str = "book.pdf", grade: float = 2.0) -> Query:
    return Query("?", "paraphrase_en", "en", (Target(document, section, page, grade),))


def test_a_section_ends_where_the_next_of_its_level_begins() -> None:
    assert list(section_pages(BOOK, "One", 1)) == [1, 2, 3]  # Two begins in the middle of page 3
    assert list(section_pages(BOOK, "Two", 4)) == [3, 4]  # Three begins at the top of page 5
    assert list(section_pages(BOOK, "Two and a half", 4)) == [4]
    assert list(section_pages(BOOK, "Nowhere", 4)) == []


def test_the_named_page_is_worth_more_than_the_rest_of_its_section() -> None:
    found = grades(target("Two", 4), {"book.pdf": BOOK}, {"book.pdf": PAGES})
    assert found == {103: 1.0, 104: 2.0}
    assert grades(replace(target("Two", 4), kind="table"), {"book.pdf": BOOK}, {"book.pdf": PAGES}) == {104: 2.0}


def test_of_a_long_section_only_the_neighbours_count_and_blank_pages_never() -> None:
    whole = replace(BOOK, outline=(Entry(0, "One", 1, 0.0),))
    assert grades(target("One", 2), {"book.pdf": whole}, {"book.pdf": PAGES}) == {101: 1.0, 102: 2.0, 103: 1.0}
    assert grades(target("One", 6), {"book.pdf": whole}, {"book.pdf": PAGES}) == {105: 1.0}


def test_pages_of_a_web_site_are_found_by_their_heading_else_by_their_words() -> None:
    piece = Piece("a.html", "tune", "site", "en", "p", "a.html")
    made = Made(piece, Path("a.html"), ("x",), ("...",), ())
    held = [
        LibraryPage(1, "a.html", 1, "", "Next | Previous"),
        LibraryPage(2, "a.html", 2, "Top > 2.1. Disks", "about disks"),
        LibraryPage(3, "a.html", 3, "Top > 2.1. Disks", "more of disks"),
        LibraryPage(4, "a.html", 4, "Top", "2.2. Tapes are short. 2.3. So are cards"),
    ]
    known, pages = {"a.html": made}, {"a.html": held}
    assert grades(target("2.1. Disks", 0, "a.html"), known, pages) == {2: 2.0, 3: 1.0}
    assert grades(target("2.3. So are cards", 0, "a.html"), known, pages) == {4: 2.0}
    assert grades(target("", 0, "a.html"), known, pages) == {1: 2.0, 2: 1.0, 3: 1.0, 4: 1.0}
    with pytest.raises(SetError, match=r"no page for '9\.9\. Nothing'"):
        grades(target("9.9. Nothing", 0, "a.html"), known, pages)


def test_titles_names_and_captions_become_queries() -> None:
    text = "set `max_page_size`\nTable 3: Weights of the four kinds. And more\nFigure 1. is only named here"
    made = replace(BOOK, texts=("One", "two", text, "max_page_size", "cat_dog in scans", ""))
    found = derive.derived("tune", [made])
    by_kind = {kind: [q for q in found if q.kind == kind] for kind in ("keyword", "identifier", "table", "figure")}
    assert [q.text for q in by_kind["keyword"]] == ["two and a half"]  # the others have one word
    assert {q.text for q in by_kind["identifier"]} == {"max_page_size", "cat_dog"}
    assert [q.text for q in by_kind["table"]] == ["Weights of the four kinds"]
    assert by_kind["figure"] == []
    assert derive.derived("tune", [made]) == found, "the same documents give the same queries"


def test_no_document_stands_beside_its_translation_and_no_family_on_both_sides() -> None:
    sides: dict[str, set[str]] = {}
    languages: dict[str, set[str]] = {}
    for piece in PIECES:
        sides.setdefault(piece.family, set()).add(piece.side)
        languages.setdefault(piece.family, set()).add(piece.language)
        assert piece.package in {package.name for package in PACKAGES}
    assert all(len(found) == 1 for found in sides.values())
    assert all(len(found) == 1 for found in languages.values())
    assert len({piece.name for piece in PIECES}) == len(PIECES)


def test_the_written_queries_are_as_many_as_promised_and_on_the_side_of_their_document() -> None:
    counts: dict[str, dict[str, int]] = {}
    side_of = {piece.name: piece.side for piece in PIECES}
    for side in ("tune", "test"):
        asked = [json.loads(line) for line in (FOLDER / f"{side}.jsonl").read_text(encoding="utf-8").splitlines()]
        assert len({value["query"] for value in asked}) == len(asked)
        counts[side] = {}
        for value in asked:
            assert side_of[value["document"]] == side
            counts[side][value["kind"]] = counts[side].get(value["kind"], 0) + 1
            if value["kind"] == "cross_zh_en":
                assert language(value["query"]) == "zh"
            if value["kind"] == "paraphrase_en":
                assert language(value["query"]) == "en"
    assert counts["test"]["paraphrase_en"] + counts["test"]["paraphrase_zh"] >= 60
    assert sum(counts["test"].values()) >= 100


def test_a_changed_set_is_refused() -> None:
    now = json.loads(frozen.FILE.read_text())["test"]
    frozen.check("test", now)
    with pytest.raises(SetError, match="its pages changed"):
        frozen.check("test", {**now, "pages": "0"})


def test_digests_are_of_words_only() -> None:
    assert digest_of("Ｏne  two-\nthree") == digest_of("one two three") != digest_of("one two four")
    assert normalised("表 3.1：字体") == "表31字体"


def test_ratios_are_paired() -> None:
    same = scoring.compared([0.5, 1.0, 0.0], [0.5, 1.0, 0.0])
    assert same["ratio"] == same["ratio_low"] == same["ratio_high"] == 1.0
    twice = scoring.compared([1.0, 0.4, 0.6], [0.5, 0.2, 0.3])
    assert twice["ratio"] == pytest.approx(2.0)
    assert twice["ratio_low"] == pytest.approx(2.0)
    assert twice["difference"] == pytest.approx(1.0 / 3)
    assert scoring.compared([1.0], [0.0])["ratio"] is None


def test_pages_of_one_text_are_one_hit() -> None:
    corpus = systems.Corpus.__new__(systems.Corpus)
    corpus.pages, corpus.titles = PAGES, [""] * len(PAGES)
    corpus.group = {101: 101, 102: 101, 103: 103}
    assert corpus.groups([[102, 101, 103]]) == [[101, 103]]
    (judged,) = measure.judged([target("Two", 4)], [BOOK], _grouped(104, 101))
    assert judged.grades == {103: 1.0, 101: 2.0}


def _grouped(page: int, group: int) -> systems.Corpus:
    corpus = systems.Corpus.__new__(systems.Corpus)
    corpus.pages = PAGES
    corpus.group = {one.id: one.id for one in PAGES} | {page: group}
    return corpus


def test_a_scan_has_pictures_only_and_is_the_same_again(tmp_path: Path) -> None:
    import pypdfium2
    from PIL import Image, ImageDraw

    page = Image.new("L", (850, 1100), 255)
    ImageDraw.Draw(page).text((100, 100), "words on a page", fill=0)
    page.save(tmp_path / "clean.pdf", "PDF", resolution=100)
    for name in ("one.pdf", "two.pdf"):
        rescan(tmp_path / "clean.pdf", [1], tmp_path / name, "seed")
    assert (tmp_path / "one.pdf").read_bytes() == (tmp_path / "two.pdf").read_bytes()
    rescan(tmp_path / "clean.pdf", [1], tmp_path / "other.pdf", "another seed")
    assert (tmp_path / "other.pdf").read_bytes() != (tmp_path / "one.pdf").read_bytes()
    with pypdfium2.PdfDocument(tmp_path / "one.pdf") as scan:
        assert scan[0].get_textpage().get_text_range() == ""
        assert scan[0].get_width() == pytest.approx(850 * 72 / 100, abs=1)


@pytest.mark.slow
def test_a_quick_run(benchmark_object: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    from mainspring.models.local.folders import cache_folder

    monkeypatch.setenv("MAINSPRING_CACHE", str(cache_folder()))  # the encoder's weights are not fetched again
    found = benchmark_object("library", "--only", "real")
    assert found["pages"] > 20
    assert found["queries"] > 0
    assert 0 <= found["bm25_ndcg10"] <= 1
    assert 0 < found["ndcg10"] <= 1
    assert set(found["all"]["ndcg10"]) >= {"text", "meaning", "hybrid", "fts5", "dense", "dense_centred"}
    assert found["kb_per_page"] > 0
    assert found["skipped"] == ["synthetic", "peers"]
    assert not found["set_is_frozen"]
