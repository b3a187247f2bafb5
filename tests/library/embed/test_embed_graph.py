"""The packed file and the graph: what is read is what was written, and the arithmetic is BERT's."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_encoder import HIDDEN, PIECES, RULES, expected, packed_bytes

from mainspring.errors import ModelError
from mainspring.library.embed import graph
from mainspring.library.embed.encoder import Encoder
from mainspring.library.embed.packed import Packed, weights


@pytest.fixture
def packed(tmp_path: Path) -> Packed:
    path = tmp_path / "tiny.bin"
    path.write_bytes(packed_bytes())
    return Packed(path)


def in_order(hidden: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows as they stand in the text: the encoder gives <s> and </s> first."""
    return np.concatenate((hidden[:1], hidden[2:], hidden[1:2]))


def test_a_block_of_four_bits() -> None:
    block = np.frombuffer(struct.pack("<e16B", 0.5, *range(0x10, 0x20)), np.uint8)
    found = weights(block[None])[0]
    assert found[:16].tolist() == [0.5 * (n - 8) for n in range(16)]  # the low halves: 0 to 15
    assert found[16:].tolist() == [0.5 * (1 - 8)] * 16  # the high halves: all 1


def test_the_vocabulary_is_read_back(packed: Packed) -> None:
    pieces = packed.pieces()
    assert list(zip(pieces.texts, pieces.scores, strict=True)) == PIECES
    assert (pieces.begin, pieces.end, pieces.pad, pieces.unknown) == (0, 2, 1, 3)
    assert pieces.rules == RULES


@pytest.mark.parametrize("ids", [[], [7], [7, 8, 4, 10], list(range(3, 24)) * 2])
def test_the_float_graph_is_berts_arithmetic(packed: Packed, ids: list[int]) -> None:
    encoder = Encoder(packed, graph.build(packed, quantised=False), 0, 2)
    assert np.abs(in_order(encoder(ids)) - expected(packed, ids)).max() < 1e-4


@pytest.mark.parametrize("ids", [[7], [7, 8, 4, 10], list(range(3, 24)) * 2])
def test_eight_bits_stay_close(packed: Packed, ids: list[int]) -> None:
    found = in_order(Encoder(packed, graph.build(packed), 0, 2)(ids))
    wanted = expected(packed, ids)
    cosines = (found * wanted).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(wanted, axis=1)
    assert cosines.min() > 0.99
    assert np.abs(found - wanted).max() > 1e-4  # it is quantised


def test_the_first_calls_give_what_the_later_ones_give(packed: Packed, tmp_path: Path) -> None:
    """The first ones read the weights as they lie in the file beside the graph, the later ones in another order."""
    model, constants = graph.build_apart(packed, "tiny.constants")
    assert len(constants) > len(model) / 4
    (tmp_path / "tiny.onnx").write_bytes(model)
    (tmp_path / "tiny.constants").write_bytes(constants)
    encoder = Encoder(packed, tmp_path / "tiny.onnx", 0, 2)
    ids = [7, 8, 4, 10]
    first = encoder._session
    found = [encoder(ids) for _ in range(8)]
    assert encoder._session is not first
    assert all(np.array_equal(one, found[0]) for one in found)
    assert np.array_equal(found[0], Encoder(packed, graph.build(packed), 0, 2)(ids))


def test_a_cache_that_is_cleared_ends_no_encoder_at_work(packed: Packed, tmp_path: Path) -> None:
    model, constants = graph.build_apart(packed, "tiny.constants")
    (tmp_path / "tiny.onnx").write_bytes(model)
    (tmp_path / "tiny.constants").write_bytes(constants)
    encoder = Encoder(packed, tmp_path / "tiny.onnx", 0, 2)
    for path in tmp_path.glob("tiny.*"):
        path.unlink()
    found = [encoder([7, 8]) for _ in range(8)]
    assert all(np.array_equal(one, found[0]) for one in found)


def test_nothing_is_told_to_the_makers_of_the_runtime(packed: Packed, tmp_path: Path) -> None:
    """onnxruntime 1.32 leaves a device's identifier and a queue of events in the cache, which it sends when it can."""
    (tmp_path / "tiny.onnx").write_bytes(graph.build(packed))
    code = (
        "import sys, pathlib\n"
        "from mainspring.library.embed.encoder import Encoder\n"
        "from mainspring.library.embed.packed import Packed\n"
        "here = pathlib.Path(sys.argv[1])\n"
        "Encoder(Packed(here / 'tiny.bin'), here / 'tiny.onnx', 0, 2)([7, 8])\n"
    )
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment = kept | {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache")}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=environment, check=True, timeout=60)
    assert list(home.rglob("*")) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: b"E5S2" + data[4:], "begins with b'E5S2'"),
        (lambda data: data[:2000], "is not a packed encoder"),
        (lambda data: data[:100], "is not a packed encoder"),
        (lambda data: b"", "is not a packed encoder"),
        (lambda data: data[:8] + struct.pack("<i", 31) + data[12:], "impossible sizes"),
        (lambda data: data[:40] + struct.pack("<i", 64) + data[44:], "blocks hold 64"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, change: object, said: str) -> None:
    path = tmp_path / "other.bin"
    path.write_bytes(change(packed_bytes()))  # type: ignore[operator]
    with pytest.raises(ModelError, match=said):
        Packed(path)


def test_a_missing_tensor_is_named(packed: Packed) -> None:
    with pytest.raises(ModelError, match=r"no tensor 'l9\.q\.w'"):
        packed.matrix("l9.q.w", HIDDEN)


def test_a_damaged_graph_is_named(packed: Packed, tmp_path: Path) -> None:
    path = tmp_path / "graph.onnx"
    path.write_bytes(b"nonsense" * 10)
    with pytest.raises(ModelError, match=r"cannot load .*graph\.onnx"):
        Encoder(packed, path, 0, 2)
