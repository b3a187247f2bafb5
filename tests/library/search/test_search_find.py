"""Search over small catalogs: what is found, in which order, and what is shown of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from library_filled import FilledLibrary, WordsEmbedder
from mainspring.errors import ModelError, ToolError
from mainspring.label import USER, Label
from mainspring.library.catalog.writing import set_label
from mainspring.library.embed.protocol import Encoded, Item, Picture
from mainspring.library.index import open_index
from mainspring.library.page import Box, Hit, Region, Where
from mainspring.library.search import Side, find, neighbours

#: Words with one meaning in our little language.
SAME = {"autos": "car", "cars": "car", "vehicles": "car", "automobile": "car", "汽车": "car", "车辆": "car"}


def filled(home: Path) -> FilledLibrary:
    made = FilledLibrary.of_words(home, WordsEmbedder(SAME))
    made.add("/docs/manual.pdf", "Vehicles must be washed weekly", "The invoice INV-2024-0071 was paid", kind="pdf")
    made.add("/docs/tea.md", "Green tea is brewed at 70 degrees", kind="markdown")
    made.add("/notes/team.txt", "The team met on Monday", label=USER)
    made.add("/notes/error.log", "Error E1234: the disk is full")
    return made


@pytest.fixture
def library(home: Path) -> Iterator[FilledLibrary]:
    with filled(home) as made:
        yield made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FilledLibrary]:
    """One library for the tests that only search."""
    with filled(tmp_path_factory.mktemp("shared")) as made:
        yield made


@pytest.fixture
def empty(home: Path) -> Iterator[FilledLibrary]:
    with FilledLibrary.of_words(home, WordsEmbedder(SAME)) as made:
        yield made


def texts(hits: Sequence[Hit]) -> list[str]:
    return [hit.page.page.text for hit in hits]


def search(library: FilledLibrary, query: str | Picture, **more: object) -> list[Hit]:
    side = library.side
    return find(library.catalog, side.index, side.embedder, query, **more)  # type: ignore[arg-type]


def test_a_question_in_other_words_is_found_by_meaning(shared: FilledLibrary) -> None:
    assert texts(search(shared, "autos"))[0] == "Vehicles must be washed weekly"
    assert search(shared, "autos", mode="text") == []
    first = search(shared, "汽车")[0]
    assert first.page.page.text.startswith("Vehicles")
    assert first.ranks == {"meaning": 1}


@pytest.mark.parametrize("query", ["E1234", "INV-2024-0071", "error.log", "70 degrees", '"team met"', "Monday"])
@pytest.mark.parametrize("mode", ["text", "hybrid"])
def test_names_numbers_and_phrases_are_found_by_words(shared: FilledLibrary, query: str, mode: str) -> None:
    by_words = search(shared, query, mode="text")
    assert by_words
    hit = search(shared, query, mode=mode)[0]
    assert hit.page.id == by_words[0].page.id
    assert hit.ranks["text"] == 1


def test_a_phrase_must_occur_and_a_word_with_a_minus_must_not(library: FilledLibrary) -> None:
    library.add("/docs/b.md", "The disk of the team is not full")
    assert texts(search(library, '"disk is full"')) == ["Error E1234: the disk is full"]
    assert "Error E1234: the disk is full" not in texts(search(library, "disk full -error"))
    assert "The disk of the team is not full" in texts(search(library, "disk full -error"))
    assert "The disk of the team is not full" not in texts(search(library, 'disk full -"not full"'))
    assert search(library, '"full disk"') == []


def test_a_number_with_a_minus_is_looked_for(library: FilledLibrary) -> None:
    library.add("/docs/cold.md", "It froze at -5 degrees")
    assert texts(search(library, "froze -5", mode="text"))[0] == "It froze at -5 degrees"


@pytest.mark.parametrize(
    ("where", "found"),
    [
        (Where(kinds=("pdf",)), {"Vehicles must be washed weekly", "The invoice INV-2024-0071 was paid"}),
        (Where(paths=("/notes/",)), {"The team met on Monday", "Error E1234: the disk is full"}),
        (Where(trusted=True), {"The team met on Monday"}),
        (Where(paths=("/nowhere",)), set()),
        (Where(changed_after=5000.0), set()),
    ],
)
@pytest.mark.parametrize("mode", ["text", "meaning", "hybrid"])
def test_filters(shared: FilledLibrary, where: Where, found: set[str], mode: str) -> None:
    query = "vehicles invoice team disk tea"
    assert set(texts(search(shared, query, where=where, mode=mode))) == found
    assert len(search(shared, query, mode=mode)) == 5


@pytest.mark.parametrize("mode", ["text", "meaning", "hybrid"])
def test_what_a_reader_may_not_see_is_not_found(library: FilledLibrary, mode: str) -> None:
    library.add("/private/pay.txt", "Salaries of the team", label=Label(frozenset({"library"}), frozenset({"ann"})))
    assert "Salaries of the team" in texts(search(library, "salaries", mode=mode, where=Where(reader="ann")))
    assert "Salaries of the team" not in texts(search(library, "salaries", mode=mode, where=Where(reader="ben")))


@pytest.mark.parametrize("mode", ["meaning", "hybrid"])
def test_a_label_that_changes_between_the_question_and_the_answer_counts(library: FilledLibrary, mode: str) -> None:
    (secret,) = library.add("/private/pay.txt", "Salaries")
    ann = Label(frozenset({"library"}), frozenset({"ann"}))

    class Slow(WordsEmbedder):
        """While it thinks, the page becomes Ann's."""

        def queries(self, items: Sequence[Item]) -> list[Encoded]:
            with library.catalog.transaction() as db:
                set_label(db, secret.document.id, ann)
            return super().queries(items)

    def found(embedder: WordsEmbedder) -> list[int]:
        where = Where(reader="ben")
        hits = find(library.catalog, library.side.index, embedder, "salaries", where=where, mode=mode)  # type: ignore[arg-type]
        return [hit.page.id for hit in hits]

    assert secret.id in found(WordsEmbedder(SAME))
    assert secret.id not in found(Slow(SAME))


@pytest.mark.parametrize("mode", ["meaning", "hybrid"])
def test_a_page_that_is_gone_is_passed_over_and_the_others_move_up(library: FilledLibrary, mode: str) -> None:
    gone = library.add("/gone/many.txt", *(f"vehicles {'x' * (n + 1)}" for n in range(190)))
    library.add("/here/some.txt", *(f"vehicles {'x' * (n + 191)}" for n in range(10)))
    library.catalog.remove([gone[0].document.id])  # the index does not know yet
    assert len(library.side.index.ids()) == 5 + 190 + 10
    found = search(library, "vehicles", k=11, mode=mode)
    assert len(found) == 11
    assert all("vehicles" in text.lower() for text in texts(found))


def test_pages_with_one_text_are_one_hit_with_all_places(library: FilledLibrary) -> None:
    library.add("/copy/a.txt", "Vehicles must  be washed weekly\n")
    trusted = library.add("/copy/mine.txt", "Vehicles must be washed weekly", label=USER)
    hits = search(library, "washed vehicles")
    assert hits[0].page.document.uri == "/copy/mine.txt"  # nobody else wrote it
    assert [p.document.uri for p in hits[0].also] == ["/copy/a.txt", "/docs/manual.pdf"]  # by name
    assert trusted[0].id == hits[0].page.id
    assert sum("washed" in t for t in texts(hits)) == 1


def test_pages_without_text_that_differ_are_two_hits(home: Path) -> None:
    embedder = WordsEmbedder(images=True)
    with FilledLibrary.of_words(home, embedder) as library:
        (one,) = library.add("/a.png", "", kind="image")
        (two,) = library.add("/b.png", "\n", kind="image")
        vectors = embedder.documents([Picture(b"PNG")])[0].vectors
        library.side.index.add([(one.id, vectors), (two.id, vectors)])
        hits = search(library, Picture(b"PNG"), words="")
    assert len(hits) == 2
    assert (hits[0].snippet, hits[0].start, hits[0].end, hits[0].box) == ("", 0, 0, None)


@pytest.mark.parametrize("query", ["", "   ", "?!…", '""', "-word", "\x00", "\ud800"])
def test_a_query_without_words_is_refused(shared: FilledLibrary, query: str) -> None:
    with pytest.raises(ToolError, match=r"no words to search by|must not occur"):
        search(shared, query)


@pytest.mark.parametrize("query", ["word " * 200_000, "x" * 1_000_000, "ꯃꯤꯇꯩ", "🜁 alchemy"])
def test_odd_queries_do_no_harm(shared: FilledLibrary, query: str) -> None:
    assert len(search(shared, query)) == 5  # whatever means most nearly this


@pytest.mark.parametrize(("k", "count"), [(0, 0), (1, 1), (10_000, 5)])
def test_how_many(shared: FilledLibrary, k: int, count: int) -> None:
    assert len(search(shared, "vehicles", k=k)) == count


@pytest.mark.parametrize("k", [-1, 10_001])
def test_how_many_is_bounded(shared: FilledLibrary, k: int) -> None:
    with pytest.raises(ToolError, match="k must be from 0 to 10,000"):
        search(shared, "vehicles", k=k)


def test_an_unknown_mode_is_refused(shared: FilledLibrary) -> None:
    with pytest.raises(ToolError, match="there is no mode 'dense'; use one of hybrid, text, meaning"):
        search(shared, "vehicles", mode="dense")


def test_a_picture_needs_a_space_that_takes_it(shared: FilledLibrary) -> None:
    with pytest.raises(ToolError, match="no space of this library takes a picture"):
        search(shared, Picture(b"x"), words="")
    assert texts(search(shared, Picture(b"x"), words="green tea"))[0].startswith("Green tea")
    with pytest.raises(ToolError, match="cannot be searched for by words"):
        search(shared, Picture(b"x"), mode="text", words="")


def test_a_second_space_finds_pictures(library: FilledLibrary, tmp_path: Path) -> None:
    (photo,) = library.add("/photos/a.jpg", "", kind="image")
    images = WordsEmbedder(images=True)
    (tmp_path / "pictures").mkdir()
    pictures = open_index(tmp_path / "pictures", images.space)
    try:
        pictures.add([(photo.id, images.documents([Picture(b"a red car")])[0].vectors)])
        hits = search(library, Picture(b"a red car"), pictures=[Side(pictures, images)], words="")
    finally:
        pictures.close()
    assert hits[0].page.id == photo.id


def test_without_an_index_words_are_searched(shared: FilledLibrary) -> None:
    assert texts(find(shared.catalog, None, None, "green tea"))[0].startswith("Green tea")


class Backwards:
    name = "backwards"

    def __init__(self) -> None:
        self.read: list[str] = []

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        self.read = list(texts)
        return [float(n) for n in range(len(texts))]


def test_a_reranker_has_the_last_word_on_the_first_pages(library: FilledLibrary) -> None:
    library.add("/many.txt", *(f"vehicles number{n} " + "x " * n for n in range(60)))
    plain = search(library, "vehicles", k=30)
    reader = Backwards()
    hits = search(library, "vehicles", k=30, reranker=reader)
    assert len(reader.read) == 50
    assert hits[0].page.id not in [h.page.id for h in plain]  # the 50th came first
    assert hits[0].ranks["rerank"] == 1
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)
    assert all(len(text) < 2_500 for text in reader.read)


def test_a_reranker_that_answers_too_little_is_an_error(shared: FilledLibrary) -> None:
    class Lazy(Backwards):
        def scores(self, query: str, texts: Sequence[str]) -> list[float]:
            return [1.0]

    with pytest.raises(ModelError, match="gave 1 scores for 5 pages"):
        search(shared, "vehicles", reranker=Lazy())


def test_the_snippet_is_where_the_words_are_and_has_a_box(empty: FilledLibrary) -> None:
    text = "Nothing here. " * 60 + "The boiler must be vented in May. " + "Nothing there. " * 60
    at = text.index("The boiler")
    box = Box(0.1, 0.5, 0.9, 0.6)
    regions = [Region(0, at, box=Box(0, 0, 1, 0.5)), Region(at, at + 34, box=box), Region(at + 34, len(text))]
    empty.add("/a.pdf", text, regions=regions)
    (hit,) = search(empty, "boiler vented")
    assert "The boiler must be vented in May." in hit.snippet
    assert hit.snippet == text[hit.start : hit.end]
    assert len(hit.snippet) <= 300
    assert hit.box is not None
    assert hit.box.bottom == 0.6


def test_without_the_words_the_snippet_is_where_the_meaning_is(empty: FilledLibrary) -> None:
    empty.add("/a.pdf", "Nothing here at all. " * 60 + "Vehicles are washed. " + "Nothing there at all. " * 60)
    (hit,) = search(empty, "汽车")
    assert "Vehicles are washed." in hit.snippet


def test_neighbours(library: FilledLibrary) -> None:
    one, two, three = library.add("/book.pdf", "one", "two", "three", heading="Numbers")
    around = neighbours(library.catalog, two)
    assert (around.before, around.after) == (one, three)
    assert around.section == (one, three)
    assert neighbours(library.catalog, one).before is None
    library.add("/book.pdf", heading="Numbers")  # read again, and now without pages
    assert neighbours(library.catalog, one).section == ()


def test_a_picture_that_is_none_is_refused(shared: FilledLibrary) -> None:
    with pytest.raises(ToolError, match="picture"):
        search(shared, Picture(b"no picture"))


@pytest.mark.slow
def test_the_words_on_a_picture_are_searched_for(shared: FilledLibrary) -> None:
    from io import BytesIO

    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (700, 120), "white")
    ImageDraw.Draw(image).text((20, 20), "green tea is brewed", "black", ImageFont.load_default(48))
    image.save(data := BytesIO(), "PNG")
    assert texts(search(shared, Picture(data.getvalue())))[0].startswith("Green tea")


def test_a_name_as_it_is_written_goes_before_its_words(library: FilledLibrary) -> None:
    library.add("/a.md", "output output max max tokens tokens max output tokens of many")
    library.add(
        "/b.md", "the setting max_output_tokens, said once in a page with many more words than the other one has"
    )
    library.add("/c.md", "max tokens output max tokens output max tokens output")
    for mode in ("text", "hybrid"):
        assert {h.page.document.uri for h in search(library, "max_output_tokens", mode=mode)[:2]} == {"/a.md", "/b.md"}
        long = "what does the setting max_output_tokens do when it is zero"
        assert {h.page.document.uri for h in search(library, long, mode=mode)[:2]} == {"/a.md", "/b.md"}


def test_the_name_of_a_file_means_its_own_pages_first(library: FilledLibrary) -> None:
    library.add("/x.md", "see error.log, then error.log again")
    library.add("/errors.txt", "the log of errors")
    hits = search(library, "error.log")
    assert hits[0].page.document.uri == "/notes/error.log"
    assert hits[1].page.document.uri == "/x.md"
