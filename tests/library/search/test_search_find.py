"""Search over small catalogs: what is found, in which order, and what is shown of it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from library_fakes import FakeCatalog, WordsEmbedder, indexed
from mainspring.errors import ModelError, ToolError
from mainspring.label import USER, Label
from mainspring.library.embed.protocol import Picture
from mainspring.library.page import Box, Hit, Region, Where
from mainspring.library.search import Side, find, neighbours

#: Words with one meaning in our little language.
SAME = {"autos": "car", "cars": "car", "vehicles": "car", "automobile": "car", "汽车": "car", "车辆": "car"}


@pytest.fixture
def catalog() -> FakeCatalog:
    made = FakeCatalog()
    made.add("/docs/manual.pdf", "Vehicles must be washed weekly", "The invoice INV-2024-0071 was paid", kind="pdf")
    made.add("/docs/tea.md", "Green tea is brewed at 70 degrees", kind="markdown")
    made.add("/notes/team.txt", "The team met on Monday", label=USER)
    made.add("/notes/error.log", "Error E1234: the disk is full")
    return made


def texts(hits: Sequence[Hit]) -> list[str]:
    return [hit.page.page.text for hit in hits]


def search(catalog: FakeCatalog, query: str | Picture, **more: object) -> list[Hit]:
    embedder = WordsEmbedder(SAME)
    return find(catalog, indexed(catalog, embedder), embedder, query, **more)  # type: ignore[arg-type]


def test_a_question_in_other_words_is_found_by_meaning(catalog: FakeCatalog) -> None:
    assert texts(search(catalog, "autos"))[0] == "Vehicles must be washed weekly"
    assert search(catalog, "autos", mode="text") == []
    first = search(catalog, "汽车")[0]
    assert first.page.page.text.startswith("Vehicles")
    assert first.ranks == {"meaning": 1}


@pytest.mark.parametrize("query", ["E1234", "INV-2024-0071", "error.log", "70 degrees", '"team met"', "Monday"])
@pytest.mark.parametrize("mode", ["text", "hybrid"])
def test_names_numbers_and_phrases_are_found_by_words(catalog: FakeCatalog, query: str, mode: str) -> None:
    by_words = search(catalog, query, mode="text")
    assert by_words
    hit = search(catalog, query, mode=mode)[0]
    assert hit.page.id == by_words[0].page.id
    assert hit.ranks["text"] == 1


def test_a_phrase_must_occur_and_a_word_with_a_minus_must_not(catalog: FakeCatalog) -> None:
    catalog.add("/docs/b.md", "The disk of the team is not full")
    assert texts(search(catalog, '"disk is full"')) == ["Error E1234: the disk is full"]
    assert "Error E1234: the disk is full" not in texts(search(catalog, "disk full -error"))
    assert "The disk of the team is not full" in texts(search(catalog, "disk full -error"))
    assert "The disk of the team is not full" not in texts(search(catalog, 'disk full -"not full"'))
    assert search(catalog, '"full disk"') == []


def test_a_number_with_a_minus_is_looked_for(catalog: FakeCatalog) -> None:
    catalog.add("/docs/cold.md", "It froze at -5 degrees")
    assert texts(search(catalog, "froze -5", mode="text"))[0] == "It froze at -5 degrees"


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
def test_filters(catalog: FakeCatalog, where: Where, found: set[str], mode: str) -> None:
    query = "vehicles invoice team disk tea"
    assert set(texts(search(catalog, query, where=where, mode=mode))) == found
    assert len(search(catalog, query, mode=mode)) == 5


@pytest.mark.parametrize("mode", ["text", "meaning", "hybrid"])
def test_what_a_reader_may_not_see_is_not_found(catalog: FakeCatalog, mode: str) -> None:
    catalog.add("/private/pay.txt", "Salaries of the team", label=Label(frozenset({"library"}), frozenset({"ann"})))
    assert "Salaries of the team" in texts(search(catalog, "salaries", mode=mode, where=Where(reader="ann")))
    assert "Salaries of the team" not in texts(search(catalog, "salaries", mode=mode, where=Where(reader="ben")))


def test_a_catalog_that_lets_something_through_is_not_believed(catalog: FakeCatalog) -> None:
    """A label that changed between the question and the answer counts."""
    (secret,) = catalog.add("/private/pay.txt", "Salaries", label=Label(frozenset({"library"}), frozenset({"ann"})))

    class Late(FakeCatalog):
        def _within(self, where: Where | None) -> list:  # type: ignore[type-arg]
            return list(self.held.values())

    late = Late()
    late.held = catalog.held
    assert secret.id not in [h.page.id for h in search(late, "salaries", where=Where(reader="ben"))]


def test_a_page_that_is_gone_is_passed_over_and_the_others_move_up(catalog: FakeCatalog) -> None:
    embedder = WordsEmbedder(SAME)
    for n in range(200):
        catalog.add(f"/gone/{n}.txt", f"vehicles {'x' * (n + 1)}")
    index = indexed(catalog, embedder)
    for page in [p for p in catalog.held.values() if p.document.uri.startswith("/gone/")][:190]:
        del catalog.held[page.id]
    assert len(find(catalog, index, embedder, "vehicles", k=11)) == 11


def test_pages_with_one_text_are_one_hit_with_all_places(catalog: FakeCatalog) -> None:
    catalog.add("/copy/a.txt", "Vehicles must  be washed weekly\n")
    trusted = catalog.add("/copy/mine.txt", "Vehicles must be washed weekly", label=USER)
    hits = search(catalog, "washed vehicles")
    assert hits[0].page.document.uri == "/copy/mine.txt"  # nobody else wrote it
    assert [p.document.uri for p in hits[0].also] == ["/copy/a.txt", "/docs/manual.pdf"]  # by name
    assert trusted[0].id == hits[0].page.id
    assert sum("washed" in t for t in texts(hits)) == 1


def test_pages_without_text_that_differ_are_two_hits() -> None:
    catalog = FakeCatalog()
    catalog.add("/a.png", "", kind="image")
    catalog.add("/b.png", "\n", kind="image")
    embedder = WordsEmbedder(images=True)
    index = indexed(catalog, embedder)
    index.add([(n, embedder.documents([Picture(b"PNG")])[0].vectors) for n in catalog.held])
    hits = find(catalog, index, embedder, Picture(b"PNG"), words="")
    assert len(hits) == 2
    assert (hits[0].snippet, hits[0].start, hits[0].end, hits[0].box) == ("", 0, 0, None)


@pytest.mark.parametrize("query", ["", "   ", "?!…", '""', "-word", "\x00", "\ud800"])
def test_a_query_without_words_is_refused(catalog: FakeCatalog, query: str) -> None:
    with pytest.raises(ToolError, match=r"no words to search by|must not occur"):
        search(catalog, query)


@pytest.mark.parametrize("query", ["word " * 200_000, "x" * 1_000_000, "ꯃꯤꯇꯩ", "🜁 alchemy"])
def test_odd_queries_do_no_harm(catalog: FakeCatalog, query: str) -> None:
    assert len(search(catalog, query)) == 5  # whatever means most nearly this


@pytest.mark.parametrize(("k", "count"), [(0, 0), (1, 1), (10_000, 5)])
def test_how_many(catalog: FakeCatalog, k: int, count: int) -> None:
    assert len(search(catalog, "vehicles", k=k)) == count


@pytest.mark.parametrize("k", [-1, 10_001])
def test_how_many_is_bounded(catalog: FakeCatalog, k: int) -> None:
    with pytest.raises(ToolError, match="k must be from 0 to 10,000"):
        search(catalog, "vehicles", k=k)


def test_an_unknown_mode_is_refused(catalog: FakeCatalog) -> None:
    with pytest.raises(ToolError, match="there is no mode 'dense'; use one of hybrid, text, meaning"):
        search(catalog, "vehicles", mode="dense")


def test_a_picture_needs_a_space_that_takes_it(catalog: FakeCatalog) -> None:
    with pytest.raises(ToolError, match="no space of this library takes a picture"):
        search(catalog, Picture(b"x"), words="")
    assert texts(search(catalog, Picture(b"x"), words="green tea"))[0].startswith("Green tea")
    with pytest.raises(ToolError, match="cannot be searched for by words"):
        search(catalog, Picture(b"x"), mode="text", words="")


def test_a_second_space_finds_pictures(catalog: FakeCatalog) -> None:
    (photo,) = catalog.add("/photos/a.jpg", "", kind="image")
    embedder, images = WordsEmbedder(SAME), WordsEmbedder(images=True)
    index, pictures = indexed(catalog, embedder), indexed(FakeCatalog(), images)
    pictures.add([(photo.id, images.documents([Picture(b"a red car")])[0].vectors)])
    hits = find(catalog, index, embedder, Picture(b"a red car"), pictures=[Side(pictures, images)], words="")
    assert hits[0].page.id == photo.id


def test_without_an_index_words_are_searched(catalog: FakeCatalog) -> None:
    assert texts(find(catalog, None, None, "green tea"))[0].startswith("Green tea")


class Backwards:
    name = "backwards"

    def __init__(self) -> None:
        self.read: list[str] = []

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        self.read = list(texts)
        return [float(n) for n in range(len(texts))]


def test_a_reranker_has_the_last_word_on_the_first_pages(catalog: FakeCatalog) -> None:
    for n in range(60):
        catalog.add(f"/many/{n}.txt", f"vehicles number{n} " + "x " * n)
    plain = search(catalog, "vehicles", k=30)
    reader = Backwards()
    hits = search(catalog, "vehicles", k=30, reranker=reader)
    assert len(reader.read) == 50
    assert hits[0].page.id not in [h.page.id for h in plain]  # the 50th came first
    assert hits[0].ranks["rerank"] == 1
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)
    assert all(len(text) < 2_500 for text in reader.read)


def test_a_reranker_that_answers_too_little_is_an_error(catalog: FakeCatalog) -> None:
    class Lazy(Backwards):
        def scores(self, query: str, texts: Sequence[str]) -> list[float]:
            return [1.0]

    with pytest.raises(ModelError, match="gave 1 scores for 5 pages"):
        search(catalog, "vehicles", reranker=Lazy())


def test_the_snippet_is_where_the_words_are_and_has_a_box() -> None:
    catalog = FakeCatalog()
    text = "Nothing here. " * 60 + "The boiler must be vented in May. " + "Nothing there. " * 60
    at = text.index("The boiler")
    box = Box(0.1, 0.5, 0.9, 0.6)
    regions = [Region(0, at, box=Box(0, 0, 1, 0.5)), Region(at, at + 34, box=box), Region(at + 34, len(text))]
    catalog.add("/a.pdf", text, regions=regions)
    (hit,) = search(catalog, "boiler vented")
    assert "The boiler must be vented in May." in hit.snippet
    assert hit.snippet == text[hit.start : hit.end]
    assert len(hit.snippet) <= 300
    assert hit.box is not None
    assert hit.box.bottom == 0.6


def test_without_the_words_the_snippet_is_where_the_meaning_is() -> None:
    catalog = FakeCatalog()
    catalog.add("/a.pdf", "Nothing here at all. " * 60 + "Vehicles are washed. " + "Nothing there at all. " * 60)
    (hit,) = search(catalog, "汽车")
    assert "Vehicles are washed." in hit.snippet


def test_neighbours(catalog: FakeCatalog) -> None:
    one, two, three = catalog.add("/book.pdf", "one", "two", "three", heading="Numbers")
    around = neighbours(catalog, two)
    assert (around.before, around.after) == (one, three)
    assert around.section == (one, three)
    assert neighbours(catalog, one).before is None
    del catalog.held[one.id]
    assert neighbours(catalog, one).section == ()


def test_a_picture_that_is_none_is_refused(catalog: FakeCatalog) -> None:
    with pytest.raises(ToolError, match="picture"):
        search(catalog, Picture(b"no picture"))


@pytest.mark.slow
def test_the_words_on_a_picture_are_searched_for(catalog: FakeCatalog) -> None:
    from io import BytesIO

    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (700, 120), "white")
    ImageDraw.Draw(image).text((20, 20), "green tea is brewed", "black", ImageFont.load_default(48))
    image.save(data := BytesIO(), "PNG")
    assert texts(search(catalog, Picture(data.getvalue())))[0].startswith("Green tea")


def test_a_name_as_it_is_written_goes_before_its_words(catalog: FakeCatalog) -> None:
    catalog.add("/a.md", "output output max max tokens tokens max output tokens of many")
    catalog.add(
        "/b.md", "the setting max_output_tokens, said once in a page with many more words than the other one has"
    )
    catalog.add("/c.md", "max tokens output max tokens output max tokens output")
    for mode in ("text", "hybrid"):
        assert {h.page.document.uri for h in search(catalog, "max_output_tokens", mode=mode)[:2]} == {"/a.md", "/b.md"}
        long = "what does the setting max_output_tokens do when it is zero"
        assert {h.page.document.uri for h in search(catalog, long, mode=mode)[:2]} == {"/a.md", "/b.md"}


def test_the_name_of_a_file_means_its_own_pages_first(catalog: FakeCatalog) -> None:
    catalog.add("/x.md", "see error.log, then error.log again")
    catalog.add("/errors.txt", "the log of errors")
    hits = search(catalog, "error.log")
    assert hits[0].page.document.uri == "/notes/error.log"
    assert hits[1].page.document.uri == "/x.md"
