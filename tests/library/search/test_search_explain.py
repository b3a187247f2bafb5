"""Why a page was found, as text and as a picture."""

from __future__ import annotations

import pytest
from PIL import Image

from library_fakes import FakeCatalog, FakeIndex, WordsEmbedder, indexed
from mainspring.errors import ToolError
from mainspring.library.embed.protocol import Picture
from mainspring.library.page import Box, Hit, Region
from mainspring.library.search import Side, explain, find

SAME = {"汽车": "car", "vehicles": "car"}
TEXT = "Nothing here.\nVehicles are washed in May.\nNothing there."
REGIONS = [
    Region(0, 13, box=Box(0, 0, 1, 0.3)),
    Region(14, 41, box=Box(0.1, 0.4, 0.9, 0.5)),
    Region(42, 56, box=Box(0, 0.7, 1, 1)),
]


class Blind(FakeIndex):
    match = None  # type: ignore[assignment]


def white(width: int) -> Image.Image:
    return Image.new("RGB", (width, width * 2), "white")


def setup(blind: bool = False, centred: bool = False) -> tuple[Hit, Side]:
    catalog, embedder = FakeCatalog(), WordsEmbedder(SAME, centred=centred)
    catalog.add("/a.pdf", TEXT, regions=REGIONS)
    index = indexed(catalog, embedder)
    if blind:
        held, index = index.held, Blind(embedder.space)
        index.held = held
    (hit,) = find(catalog, index, embedder, "汽车 washed")
    return hit, Side(index, embedder)


@pytest.mark.parametrize(("blind", "centred"), [(False, False), (True, False), (True, True)])
def test_each_word_says_what_it_met(blind: bool, centred: bool) -> None:
    hit, side = setup(blind, centred)
    before = side.embedder.encoded  # type: ignore[attr-defined]
    found = explain(hit, "汽车 washed", [side])
    by_word = {m.word: m for m in found.met}
    assert by_word["汽车"].found == "Vehicles"
    assert by_word["washed"].found == "washed"
    assert TEXT[by_word["washed"].start : by_word["washed"].end] == "washed"
    assert by_word["washed"].score > 0.9
    assert "[Vehicles] are [washed] in May" in found.text()
    assert (side.embedder.encoded - before > 1) is blind  # type: ignore[attr-defined]  # the query, and the page again


def test_without_vectors_words_explain() -> None:
    hit, _ = setup()
    found = explain(hit, "washed vehicles")
    assert {m.found for m in found.met} == {"washed", "Vehicles"}
    assert explain(hit, "elsewhere").met == ()
    assert explain(hit, "elsewhere").text() == ""


def test_the_region_with_the_words_is_hot_on_the_picture() -> None:
    hit, side = setup()
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


def test_the_patches_of_a_picture_are_hot_where_they_match() -> None:
    import numpy as np

    from mainspring.library.embed.protocol import Encoded

    class Patches(WordsEmbedder):
        def _encode(self, item: object) -> Encoded:
            if isinstance(item, str):
                return Encoded(np.stack([self._vector("car")]), ((0, len(item)),))
            return Encoded(np.stack([self._vector(w) for w in ("sky", "sky2", "road", "car")]), (), (2, 2))

    catalog, embedder = FakeCatalog(), Patches(images=True)
    (photo,) = catalog.add("/a.jpg", "", kind="image")
    index = FakeIndex(embedder.space)
    index.add([(photo.id, embedder.documents([Picture(b"x")])[0].vectors)])
    hit = Hit(photo, 1.0, {"picture": 1}, "", 0, 0)
    found = explain(hit, "car", [Side(index, embedder)], source=white, picture=Picture(b"x"))
    assert found.met[0].patch == (1, 1)
    assert "patch 2,2" in found.text()
    picture = found.picture(100)
    hot, cold = picture.getpixel((75, 150)), picture.getpixel((25, 50))
    assert isinstance(hot, tuple)
    assert isinstance(cold, tuple)
    assert hot[2] < cold[2]


def test_a_page_without_a_picture_says_so() -> None:
    hit, side = setup()
    with pytest.raises(ToolError, match=r"/a.pdf#1 has no picture"):
        explain(hit, "washed", [side]).picture()


def test_a_page_without_text_is_explained_by_nothing() -> None:
    catalog, embedder = FakeCatalog(), WordsEmbedder()
    (page,) = catalog.add("/a.png", "")
    found = explain(Hit(page, 1.0, {}, "", 0, 0), "car", [Side(indexed(catalog, embedder), embedder)])
    assert (found.met, found.text()) == ((), "")
