"""Why a page was found, as text and as a picture."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import pytest
from PIL import Image

from library_filled import FilledLibrary, WordsEmbedder
from mainspring.errors import ToolError
from mainspring.library.embed.protocol import Picture
from mainspring.library.page import Box, Hit, Region
from mainspring.library.remote import open_remote
from mainspring.library.search import Side, explain

SAME = {"汽车": "car", "vehicles": "car"}
TEXT = "Nothing here.\nVehicles are washed in May.\nNothing there."
REGIONS = [
    Region(0, 13, box=Box(0, 0, 1, 0.3)),
    Region(14, 41, box=Box(0.1, 0.4, 0.9, 0.5)),
    Region(42, 56, box=Box(0, 0.7, 1, 1)),
]


#: Whose vectors explain a page: the index's; nobody's, for it was taken out since; or an index's that shows none.
Kept = Literal["kept", "gone", "elsewhere"]


@pytest.fixture
def library(home: Path) -> Iterator[FilledLibrary]:
    with FilledLibrary.of_words(home, WordsEmbedder(SAME)) as made:
        made.add("/a.pdf", TEXT, regions=REGIONS)
        yield made


def found_in(library: FilledLibrary) -> tuple[Hit, Side]:
    (hit,) = library.search("汽车 washed")
    return hit, library.side


def white(width: int) -> Image.Image:
    return Image.new("RGB", (width, width * 2), "white")


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("where", ["kept", "gone", "elsewhere"])
def test_each_word_says_what_it_met(home: Path, tmp_path: Path, where: Kept, centred: bool) -> None:
    embedder = WordsEmbedder(SAME, centred=centred)
    with ExitStack() as opened:
        library = opened.enter_context(FilledLibrary.of_words(home, embedder))
        library.add("/a.pdf", TEXT, regions=REGIONS)
        hit, side = found_in(library)
        if where == "gone":
            side.index.remove([hit.page.id])
        elif where == "elsewhere":
            pytest.importorskip("qdrant_client", reason="needs the extra `qdrant`")
            elsewhere = open_remote(f"qdrant:{tmp_path / 'q'}#pages", embedder.space)
            opened.callback(elsewhere.close)
            elsewhere.add([(hit.page.id, embedder.documents([TEXT])[0].vectors)])
            side = Side(elsewhere, embedder)
        before = embedder.encoded
        found = explain(hit, "汽车 washed", [side])
        assert (embedder.encoded - before > 1) is (where != "kept")  # the query, and the page again
    by_word = {m.word: m for m in found.met}
    assert by_word["汽车"].found == "Vehicles"
    assert by_word["washed"].found == "washed"
    assert TEXT[by_word["washed"].start : by_word["washed"].end] == "washed"
    assert by_word["washed"].score > 0.9
    assert "[Vehicles] are [washed] in May" in found.text()


def test_without_vectors_words_explain(library: FilledLibrary) -> None:
    hit, _ = found_in(library)
    found = explain(hit, "washed vehicles")
    assert {m.found for m in found.met} == {"washed", "Vehicles"}
    assert explain(hit, "elsewhere").met == ()
    assert explain(hit, "elsewhere").text() == ""


def test_the_region_with_the_words_is_hot_on_the_picture(library: FilledLibrary) -> None:
    hit, side = found_in(library)
    picture = explain(hit, "汽车 washed", [side], source=white).picture(400)
    assert picture.size == (400, 800)

    def blue(x: float, y: float) -> int:
        pixel = picture.getpixel((round(x * 400), round(y * 800)))
        assert isinstance(pixel, tuple)
        return pixel[2]

    assert blue(0.5, 0.45) < 160  # coloured: white loses its blue
    assert blue(0.5, 0.15) > 240
    assert blue(0.5, 0.85) > 240
    assert blue(0.5, 0.6) == 255


def test_the_patches_of_a_picture_are_hot_where_they_match(home: Path) -> None:
    import numpy as np

    from mainspring.library.embed.protocol import Encoded

    class Patches(WordsEmbedder):
        def _encode(self, item: object) -> Encoded:
            if isinstance(item, str):
                return Encoded(np.stack([self._vector("car")]), ((0, len(item)),))
            return Encoded(np.stack([self._vector(w) for w in ("sky", "sky2", "road", "car")]), (), (2, 2))

    embedder = Patches(images=True)
    with FilledLibrary.of_words(home, embedder) as library:
        (photo,) = library.add("/a.jpg", "", kind="image")
        library.side.index.add([(photo.id, embedder.documents([Picture(b"x")])[0].vectors)])
        hit = Hit(photo, 1.0, {"picture": 1}, "", 0, 0)
        found = explain(hit, "car", [library.side], source=white, picture=Picture(b"x"))
    assert found.met[0].patch == (1, 1)
    assert "patch 2,2" in found.text()
    picture = found.picture(100)
    hot, cold = picture.getpixel((75, 150)), picture.getpixel((25, 50))
    assert isinstance(hot, tuple)
    assert isinstance(cold, tuple)
    assert hot[2] < cold[2]


def test_a_page_without_a_picture_says_so(library: FilledLibrary) -> None:
    hit, side = found_in(library)
    with pytest.raises(ToolError, match=r"/a.pdf#1 has no picture"):
        explain(hit, "washed", [side]).picture()


def test_a_page_without_text_is_explained_by_nothing(library: FilledLibrary) -> None:
    (page,) = library.add("/a.png", "")
    found = explain(Hit(page, 1.0, {}, "", 0, 0), "car", [library.side])
    assert (found.met, found.text()) == ((), "")
