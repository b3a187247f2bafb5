"""Multi-vector encoders behind a server that speaks vLLM's pooling API."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from speaking_server import Speaking, said, speaking, vector, words

from mainspring.errors import ModelError, ToolError
from mainspring.library.embed.engines import open_engine
from mainspring.library.embed.engines.answers import sketch
from mainspring.library.embed.engines.vllm import VllmEmbedder, windows
from mainspring.library.embed.protocol import Picture


@pytest.fixture
def server() -> Iterator[Speaking]:
    with speaking() as state:
        yield state


def engine(server: Speaking, **options: Any) -> VllmEmbedder:
    found = open_engine(f"vllm:{server.url}#{server.model}", sleep=lambda _: None, **options)
    assert isinstance(found, VllmEmbedder)
    return found


def unit(rows: list[list[float]]) -> np.ndarray[Any, Any]:
    found: np.ndarray[Any, Any] = np.array(rows, dtype=np.float64)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def png(image: Image.Image, kind: str = "PNG") -> bytes:
    packed = io.BytesIO()
    image.save(packed, kind)
    return packed.getvalue()


def test_a_text_becomes_one_vector_a_token(server: Speaking) -> None:
    found = engine(server).documents(["a red page"])[0]
    expected = unit([vector(w, 16) for w in [*server.before, *words("passage: a red page")]])
    assert np.allclose(found.vectors, expected, atol=1e-6)
    assert found.vectors.dtype == np.float32
    assert found.spans == ((0, 10),) * len(expected)
    assert found.grid == (0, 0)


def test_queries_and_documents_are_written_as_the_model_was_trained(server: Speaking) -> None:
    embedder = engine(server)
    embedder.queries(["who {pays}?"])
    body = server.bodies("/pooling")[-1]
    assert body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Query: query: who {pays}?"}]}]
    assert body["add_generation_prompt"] is True
    assert body["task"] == "token_embed"
    assert body["encoding_format"] == "float"


def test_other_families_send_texts_together() -> None:
    with speaking(model="vidore/colqwen2-v1.0") as server:
        found = engine(server, batch=2).queries(["one", "two", "three"])
        inputs = [body["input"] for body in server.bodies("/pooling")[1:]]
        assert sorted(map(len, inputs)) == [1, 2]
        assert "Query: one" + "<|endoftext|>" * 10 + "\n" in [text for texts in inputs for text in texts]
        for text, one in zip(["one", "two", "three"], found, strict=True):
            written = f"Query: {text}" + "<|endoftext|>" * 10 + "\n"
            assert np.allclose(one.vectors, unit([vector(w, 16) for w in ["<s>", *words(written)]]), atol=1e-6)


def test_the_grid_of_a_picture_points_at_its_patches(server: Speaking) -> None:
    image = Image.new("RGB", (320, 256), "white")
    image.paste((255, 0, 0), (64, 32, 96, 64))  # row 1, column 2
    image.paste((0, 0, 255), (288, 224, 320, 256))  # the last patch
    found = engine(server).documents([Picture(png(image)), "text between", Picture(png(image))])
    one = found[0]
    assert one.grid == (8, 10)
    assert one.spans == ()
    colours = {name: unit([vector(name, 16)])[0] for name in ("white", "red", "blue")}
    patches = one.vectors[:80].reshape(8, 10, 16)
    assert np.allclose(patches[1, 2], colours["red"], atol=1e-6)
    assert np.allclose(patches[7, 9], colours["blue"], atol=1e-6)
    assert np.allclose(patches[0, 0], colours["white"], atol=1e-6)
    assert np.isclose(patches @ colours["white"], 1, atol=1e-5).sum() == 78
    assert np.allclose(one.vectors[80:84], unit([vector(w, 16) for w in server.before]), atol=1e-6)
    assert np.array_equal(one.vectors, found[2].vectors)
    assert found[1].grid == (0, 0)


def test_pictures_are_scaled_to_whole_patches_within_the_budget(server: Speaking) -> None:
    embedder = engine(server, max_pixels=100 * 32 * 32)
    image = Image.effect_noise((1000, 1400), 80).convert("RGB")
    found = embedder.documents(
        [Picture(png(image)), Picture(png(image, "JPEG")), Picture(png(Image.new("RGB", (1, 1))))]
    )
    rows, columns = found[0].grid
    assert 80 <= rows * columns <= 100
    assert rows / columns == pytest.approx(1.4, rel=0.12)
    assert found[1].grid == found[0].grid
    assert found[2].grid == (8, 8)  # the model's least, to which a server would scale it anyway


def test_without_tokenize_there_is_no_grid_rather_than_a_wrong_one() -> None:
    with speaking(tokenize=False) as server:
        image = Picture(png(Image.new("RGB", (320, 256), "white")))
        assert engine(server).documents([image])[0].grid == (0, 0)
        assert engine(server, picture_starts=4).documents([image])[0].grid == (8, 10)


def test_a_server_that_scales_by_its_own_rule_gives_no_grid() -> None:
    with speaking(patch=16) as server:
        found = engine(server).documents([Picture(png(Image.new("RGB", (320, 256), "white")))])[0]
        assert found.grid == (0, 0)
        assert len(found.vectors) > 80


def test_long_texts_go_in_windows_with_their_places(server: Speaking) -> None:
    text = " ".join(f"word{n}" for n in range(200))
    found = engine(server, window=300).documents([text])[0]
    spans = sorted(set(found.spans))
    assert len(spans) > 3
    assert spans[0][0] == 0
    assert spans[-1][1] == len(text)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(spans))
    assert len(found.spans) == len(found.vectors)


def test_windows_lose_nothing() -> None:
    for text in ("", "x" * 50, "水" * 1000, "a b " * 300, "\n" * 500):
        cut = windows(text, 100)
        assert "".join(text[a:b] for a, b in cut) == text
        assert all(0 < b - a <= 100 for a, b in cut)


def test_what_holds_nothing_becomes_no_vector(server: Speaking) -> None:
    found = engine(server).documents(["", "  \n", "x"])
    assert [len(one.vectors) > 0 for one in found] == [False, False, True]
    assert found[0].vectors.shape == (0, 16)


def test_the_space_names_model_weights_and_settings(server: Speaking) -> None:
    space = engine(server).space
    assert (space.encoder, space.dim, space.multi, space.centred) == (server.model, 16, True, False)
    assert space.documents == space.queries == {"text", "image"}
    assert space.revision.startswith("probe-")
    assert engine(server).space == space
    assert engine(server, window=500).space.id != space.id
    assert engine(server, max_pixels=200_000).space.id != space.id


def test_the_servers_own_word_on_its_revision_wins_over_a_probe() -> None:
    commit = "a" * 40
    with speaking(card={"root": f"/models/hub/x/snapshots/{commit}"}) as server:
        assert engine(server).space.revision.startswith(commit + ".")
    with speaking(card={"revision": "v2"}) as server:
        assert engine(server).space.revision.startswith("v2.")
        assert engine(server, revision="mine").space.revision.startswith("mine.")


def test_a_pinned_probe_bears_rounding_and_refuses_other_weights(server: Speaking) -> None:
    pinned = engine(server).space.revision
    noisy = np.random.default_rng(1)
    plain = server.pooled

    def rounded(body: dict[str, Any]) -> list[list[list[float]]]:
        return [[[x + float(noisy.normal()) * 1e-3 for x in row] for row in one] for one in plain(body)]

    server.pooled = rounded  # type: ignore[method-assign]
    assert engine(server, revision=pinned).space.revision == pinned

    def other(body: dict[str, Any]) -> list[list[list[float]]]:
        return [[[-x for x in row] for row in one] for one in plain(body)]

    server.pooled = other  # type: ignore[method-assign]
    with pytest.raises(ModelError, match="other weights than before"):
        _ = engine(server, revision=pinned).space


def test_a_sketch_changes_with_the_weights() -> None:
    drawn = np.random.default_rng(5)
    one, two = (drawn.normal(size=(9, 128)).astype(np.float32) for _ in range(2))
    assert sketch(one) == sketch(one + 1e-6)
    assert bin(int(sketch(one), 16) ^ int(sketch(two), 16)).count("1") > 10


def test_nothing_is_asked_before_the_first_use() -> None:
    embedder = open_engine("vllm:http://127.0.0.1:9#m", tries=1)
    with pytest.raises(ModelError, match="cannot be reached") as caught:
        _ = embedder.space
    assert caught.value.retryable


def test_pictures_of_a_text_model_are_refused() -> None:
    with speaking(model="colbert-ir/colbertv2.0") as server:
        embedder = engine(server)
        assert embedder.space.documents == {"text"}
        with pytest.raises(ToolError, match="takes no pictures"):
            embedder.documents([Picture(png(Image.new("RGB", (64, 64))))])


@pytest.mark.parametrize("data", [b"", b"no picture", png(Image.new("RGB", (64, 64)))[:60]])
def test_a_picture_that_cannot_be_read(server: Speaking, data: bytes) -> None:
    with pytest.raises(ToolError, match=r"cannot be read|no picture"):
        engine(server).documents([Picture(data)])


def test_a_picture_file_that_is_missing_is_named(server: Speaking, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"gone\.png"):
        engine(server).documents([Picture(tmp_path / "gone.png")])


def test_transparent_pictures_stand_on_white(server: Speaking) -> None:
    found = engine(server).documents([Picture(png(Image.new("RGBA", (256, 256), (0, 0, 255, 0))))])[0]
    assert np.allclose(found.vectors[:64], unit([vector("white", 16)]), atol=1e-6)


@pytest.mark.parametrize(
    ("body", "said_of_it"),
    [
        ({"data": []}, "0 results for 1 items"),
        ({"data": [{"index": 0, "data": [[1.0] * 16]}, {"index": 1, "data": [[1.0] * 16]}]}, "2 results for 1"),
        ({"data": [{"index": 3, "data": [[1.0] * 16]}]}, "not numbered"),
        ({"data": [{"index": True, "data": [[1.0] * 16]}]}, "not numbered"),
        ({"data": "x"}, "no list of results"),
        ([1], "no list of results"),
        (None, "no list of results"),
        ({"data": [{"index": 0, "data": [[1.0] * 7]}]}, "7 numbers, not 16"),
        ({"data": [{"index": 0, "data": [1.0] * 16}]}, "one vector a token"),
        ({"data": [{"index": 0, "data": [[1.0] * 16, [1.0]]}]}, "not rectangular"),
        ({"data": [{"index": 0, "data": [[[1.0]] * 16]}]}, "shape"),
        ({"data": [{"index": 0, "data": [["x"] * 16]}]}, "not rectangular"),
        ({"data": [{"index": 0, "data": [[None] * 16]}]}, "NaN"),
        ({"data": [{"index": 0, "data": None}]}, "not rectangular|shape"),
        ({"data": [{"index": 0, "data": [[float("nan")] * 16]}]}, "NaN"),
        ({"data": [{"index": 0, "data": [[1e300] * 16]}]}, "NaN or infinity"),
        ({"data": [{"index": 0, "data": [[0.0] * 16]}]}, "zeros"),
        ({"data": [{"index": 0, "data": "AACAPwAAgD8="}]}, "base64"),
    ],
)
def test_a_hostile_or_broken_answer(server: Speaking, body: Any, said_of_it: str) -> None:
    embedder = engine(server)
    assert embedder.space.dim == 16
    server.script["/pooling"] = [said(body)]
    with pytest.raises(ModelError, match=said_of_it) as caught:
        embedder.queries(["x"])
    assert server.model in str(caught.value)
    assert len(embedder.queries(["x"])) == 1  # and the next answer is good again


def test_results_out_of_order_are_put_in_order() -> None:
    with speaking(model="some/colbert") as server:
        embedder = engine(server)
        right = embedder.documents(["one", "two"])
        rows = server.pooled({"input": ["one", "two"]})
        server.script["/pooling"] = [said({"data": [{"index": 1, "data": rows[1]}, {"index": 0, "data": rows[0]}]})]
        assert all(
            np.array_equal(a.vectors, b.vectors) for a, b in zip(embedder.documents(["one", "two"]), right, strict=True)
        )


def test_a_model_that_is_not_served_is_named_with_those_that_are(server: Speaking) -> None:
    with pytest.raises(ModelError, match="but nvidia/nemotron-colembed-vl-4b-v2"):
        _ = open_engine(f"vllm:{server.url}#other").space


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        ("vllm:http://host:1", {}, "no model"),
        ("vllm:model", {}, "no address"),
        ("vllm:http://user:pw@host:1#m", {}, "must not hold a user"),
        ("vllm:", {}, "is no encoder"),
        ("other:x", {}, "is no encoder"),
        ("vllm:http://h:1#m", {"batch": 0}, "at least 1"),
        ("vllm:http://h:1#m", {"window": 3}, "at least 100"),
        ("vllm:http://h:1#m", {"colour": 1}, "has no option 'colour'"),
        ("vllm:http://h:1#m", {"family": "nonsense"}, "no family"),
    ],
)
def test_names_and_options_that_are_wrong(name: str, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ModelError, match=problem):
        open_engine(name, **options)
