"""Single-vector encoders behind an OpenAI-compatible server, and Qwen3-VL-Embedding's conversations."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image
from speaking_server import Speaking, picture, problem, said, speaking, vector, words

from mainspring.errors import ModelError, ToolError
from mainspring.library.embed.engines import open_engine
from mainspring.library.embed.protocol import Embedder, Picture

QWEN = "Qwen/Qwen3-VL-Embedding-2B"


@pytest.fixture
def server() -> Iterator[Speaking]:
    with speaking(model="text-embedding-3-small") as state:
        yield state


def engine(server: Speaking, **options: Any) -> Embedder:
    return open_engine(f"openai:{server.url}/v1#{server.model}", sleep=lambda _: None, **options)


def png(image: Image.Image) -> bytes:
    packed = io.BytesIO()
    image.save(packed, "PNG")
    return packed.getvalue()


def direction(text: str, dim: int = 16) -> Any:
    total = np.sum([vector(w, 16) for w in words(text)], axis=0)[:dim]
    return total / np.linalg.norm(total)


def test_one_vector_an_item_in_the_items_order(server: Speaking) -> None:
    texts = [f"text number {n}" for n in range(7)]
    found = engine(server, batch=3).documents(texts)
    assert [one.vectors.shape for one in found] == [(1, 16)] * 7
    for text, one in zip(texts, found, strict=True):
        assert np.allclose(one.vectors[0], direction(text), atol=1e-6)
        assert one.spans == ((0, len(text)),)
    assert sorted(len(body["input"]) for body in server.bodies("/v1/embeddings")) == [1, 1, 3, 3]  # one is the probe


def test_dimensions_are_asked_for_and_checked(server: Speaking) -> None:
    embedder = engine(server, dimensions=8)
    assert embedder.space.dim == 8
    assert not embedder.space.multi
    found = embedder.queries(["a b c"])[0]
    assert np.allclose(found.vectors[0], direction("a b c", 8), atol=1e-6)
    assert server.bodies("/v1/embeddings")[-1]["dimensions"] == 8
    assert engine(server).space.id != embedder.space.id


def test_a_server_that_ignores_dimensions_is_found_out(server: Speaking) -> None:
    server.script["/v1/embeddings"] = [said({"data": [{"index": 0, "embedding": [1.0] * 16}]})]
    with pytest.raises(ModelError, match="vectors of 16 numbers, not 8"):
        engine(server, dimensions=8).documents(["x"])


def test_an_address_without_a_path_means_v1(server: Speaking) -> None:
    open_engine(f"openai:{server.url}#{server.model}").documents(["x"])
    assert server.bodies("/v1/embeddings")


def test_empty_and_overlong_texts(server: Speaking) -> None:
    found = engine(server, max_characters=10).documents(["", "   ", "a" * 100, "b\0c \ud800"])
    assert [len(one.vectors) for one in found] == [0, 0, 1, 1]
    assert found[2].spans == ((0, 10),)
    sent = [text for body in server.bodies("/v1/embeddings") for text in body["input"]]
    assert "a" * 10 in sent
    assert "b c \N{REPLACEMENT CHARACTER}" in sent


def test_multi_vector_answers_are_refused(server: Speaking) -> None:
    embedder = engine(server, revision="r", dimensions=16)
    server.script["/v1/embeddings"] = [said({"data": [{"index": 0, "embedding": [[1.0] * 16] * 3}]})]
    with pytest.raises(ModelError, match="multi-vector model: use 'vllm:'"):
        embedder.documents(["x"])


def test_text_models_take_no_pictures(server: Speaking) -> None:
    assert engine(server).space.documents == {"text"}
    with pytest.raises(ToolError, match="takes no pictures"):
        engine(server).documents([Picture(png(Image.new("RGB", (40, 40))))])


def test_the_instruction_of_qwen3_embedding_is_for_queries_only() -> None:
    with speaking(model="Qwen/Qwen3-Embedding-0.6B") as server:
        embedder = engine(server, query_instruction="Find the page")
        embedder.queries(["who {}?"])
        assert server.bodies("/v1/embeddings")[-1]["input"] == ["Instruct: Find the page\nQuery:who {}?"]
        embedder.documents(["a page"])
        assert server.bodies("/v1/embeddings")[-1]["input"] == ["a page"]


def test_qwen3_vl_takes_conversations_with_its_instruction() -> None:
    with speaking(model=QWEN) as server:
        embedder = engine(server, dimensions=12)
        assert embedder.space.documents == {"text", "image"}
        image = Image.new("RGB", (3000, 2000), (255, 0, 0))
        found = embedder.documents(["some text", Picture(png(image)), ""])
        assert [len(one.vectors) for one in found] == [1, 1, 0]
        assert found[0].vectors.shape == (1, 12)
        assert found[1].grid == (0, 0)
        bodies = {b["messages"][1]["content"][0]["type"]: b for b in server.bodies("/v1/embeddings")}
        for body in bodies.values():
            roles = [message["role"] for message in body["messages"]]
            assert roles == ["system", "user", "assistant"]
            assert body["messages"][0]["content"][0]["text"] == "Represent the user's input."
            assert (body["continue_final_message"], body["add_special_tokens"], body["dimensions"]) == (True, True, 12)
        sent = picture(bodies["image_url"]["messages"][1]["content"][0]["image_url"]["url"])
        assert sent.width % 32 == sent.height % 32 == 0
        assert sent.width * sent.height <= 1280 * 32 * 32
        assert sent.width / sent.height == pytest.approx(1.5, rel=0.05)
        embedder.queries(["who?"])
        told = server.bodies("/v1/embeddings")[-1]["messages"][0]["content"][0]["text"]
        assert told == "Retrieve images or text relevant to the user's query."


def test_another_instruction_is_another_space() -> None:
    with speaking(model=QWEN) as server:
        one = engine(server, revision="r", dimensions=16)
        two = engine(server, revision="r", dimensions=16, instruction="Find similar diagrams")
        assert one.space.id != two.space.id
        two.documents(["x"])
        assert server.bodies("/v1/embeddings")[-1]["messages"][0]["content"][0]["text"] == "Find similar diagrams"


def test_a_server_without_a_list_of_models_is_probed() -> None:
    with speaking(model="m", lists_models=False) as server:
        assert engine(server).space.revision.startswith("probe-")
    with speaking(model="m") as server:
        server.script["/v1/models"] = [problem(500, "boom")] * 4
        with pytest.raises(ModelError, match="boom"):
            _ = engine(server).space
        assert engine(server).space.dim == 16


def test_with_revision_and_dimensions_nothing_is_asked() -> None:
    space = open_engine("openai:http://127.0.0.1:9/v1#m", revision="r", dimensions=5).space
    assert space.dim == 5
    assert space.revision.startswith("r.")
