"""Headers of GGUF files, whole and damaged."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from mainspring.errors import ModelError
from mainspring.models.local.gguf import read_header


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def gguf(*entries: bytes, version: int = 3, count: int | None = None) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, 0, len(entries) if count is None else count) + b"".join(entries)


ARCHITECTURE = text("general.architecture") + struct.pack("<I", 8) + text("tiny")
LENGTH = text("tiny.context_length") + struct.pack("<II", 4, 4096)
TOKENS = text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 3) + text("a") + text("<|end|>") + text("b")
KINDS = text("tokenizer.ggml.token_type") + struct.pack("<IIQ", 9, 5, 3) + struct.pack("<3i", 1, 3, 1)
OTHER = [
    text("a.flag") + struct.pack("<IB", 7, 1),
    text("a.double") + struct.pack("<Id", 12, 0.5),
    text("a.flags") + struct.pack("<IIQ", 9, 7, 2) + b"\x01\x00",
    text("a.nested") + struct.pack("<IIQ", 9, 9, 1) + struct.pack("<IQ", 0, 2) + b"\x01\x02",
]


def test_a_header_says_limits_and_control_tokens(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf(ARCHITECTURE, *OTHER, LENGTH, TOKENS, KINDS) + b"tensors")
    header = read_header(path)
    assert header.architecture == "tiny"
    assert header.context_length == 4096
    assert header.control_tokens == ("<|end|>",)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is not a GGUF file"),
        (b"PK\x03\x04 something else", "is not a GGUF file"),
        (b"GGUF", "damaged or cut short"),
        (gguf(ARCHITECTURE, version=9), "GGUF version 9"),
        (gguf(ARCHITECTURE, count=2), "damaged or cut short"),
        (gguf(ARCHITECTURE, count=10**12), "damaged or cut short"),
        (gguf(text("k") + struct.pack("<IQ", 8, 2**60)), "damaged or cut short"),
        (gguf(text("k") + struct.pack("<IIQ", 9, 4, 2**61)), "damaged or cut short"),
        (gguf(text("k") + struct.pack("<I", 77)), "damaged or cut short"),
        (gguf(text("k") + struct.pack("<IIQ", 9, 8, 2**40)), "damaged or cut short"),
        (gguf(text("k") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 5000), "damaged or cut short"),
    ],
)
def test_a_bad_file_is_refused_with_its_name(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=words) as caught:
        read_header(path)
    assert str(path) in str(caught.value)


def test_a_folder_and_nothing_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is a folder"):
        read_header(tmp_path)
    with pytest.raises(ModelError, match="there is no file"):
        read_header(tmp_path / "none.gguf")
