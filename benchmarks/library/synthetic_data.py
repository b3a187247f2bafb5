"""Synthetic multivector pages, seeded: the same numbers give the same vectors on every machine.

How it is made: there are 256 topics (random directions) and 16,384 words, each near one topic (0.55 of the topic's
direction to 1 of its own). Pages come in documents of 16. A document has two topics, 64 of their words, 24 terms of
its own near the topics, and a direction of its own. A page uses about 60% of its document's terms, 24 of its words and
16 of 512 words that all pages share, with frequencies that fall like a power of the rank. A vector is 0.75 of its
word, 0.35 of a context (document's and page's own direction in equal parts) and 0.55 of noise, made length 1: the same
word has a cosine of about 0.57 in two documents and 0.7 on one page, as token vectors of text encoders do.

A query of 20 vectors has 14 vectors of one page with noise (0.7 to 1, so the cosine to their origin is 0.8) and 6 words
that have nothing to do with it. Pages of the same document are what it should find besides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DIM = 128
TOPICS = 256
WORDS = 16_384
COMMON = 512
TOGETHER = 16
QUERY = 20
DISTRACTORS = 6
#: Bytes up to which a collection is written to a file; a larger one is made anew whenever it is read.
WRITTEN = 32 << 30
_BLOCK = 512

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Size:
    """A collection: pages, vectors a page, and the seed."""

    pages: int
    vectors: int
    seed: int = 6

    @property
    def name(self) -> str:
        """Such as ``10000x128``."""
        return f"{self.pages}x{self.vectors}"

    @property
    def bytes(self) -> int:
        """As float32."""
        return self.pages * self.vectors * DIM * 4


class World:
    """What all pages of one seed have in common."""

    def __init__(self, size: Size) -> None:
        self.size = size
        chance = np.random.default_rng([size.seed, 0])
        self.topics = _unit(chance.standard_normal((TOPICS, DIM), dtype=np.float32))
        topic = chance.integers(0, TOPICS, WORDS)
        own = _unit(chance.standard_normal((WORDS, DIM), dtype=np.float32))
        self.words = _unit(0.55 * self.topics[topic] + own)
        self.of_topic = [np.flatnonzero(topic == number) for number in range(TOPICS)]

    def document(self, number: int) -> Array:
        """The pages of a document, shape (16, vectors, 128)."""
        chance = np.random.default_rng([self.size.seed, 1, number])
        topics = chance.choice(TOPICS, 2, replace=False)
        words = np.concatenate([chance.choice(self.of_topic[t], 32) for t in topics])
        terms = _unit(
            0.55 * self.topics[chance.choice(topics, 24)] + _unit(chance.standard_normal((24, DIM), dtype=np.float32))
        )
        direction = _unit(chance.standard_normal(DIM, dtype=np.float32))
        pages = np.empty((TOGETHER, self.size.vectors, DIM), dtype=np.float32)
        for page in pages:
            used = np.concatenate(
                [
                    terms[chance.random(24) < 0.6],
                    self.words[chance.choice(words, 24, replace=False)],
                    self.words[chance.integers(0, COMMON, 16)],
                ]
            )
            weight = chance.permutation(1 / np.arange(1, len(used) + 1) ** 0.7)
            chosen = chance.choice(len(used), self.size.vectors, p=weight / weight.sum())
            context = _unit(direction + _unit(chance.standard_normal(DIM, dtype=np.float32)))
            noise = _unit(chance.standard_normal(page.shape, dtype=np.float32))
            page[:] = _unit(0.75 * used[chosen] + 0.35 * context + 0.55 * noise)
        return pages

    def page(self, number: int) -> Array:
        """One page, shape (vectors, 128)."""
        pages: Array = self.document(number // TOGETHER)[number % TOGETHER]
        return pages

    def query(self, number: int) -> Array:
        """A query, shape (20, 128)."""
        chance = np.random.default_rng([self.size.seed, 2, number])
        page = self.page(int(chance.integers(0, self.size.pages)))
        found = page[chance.choice(len(page), QUERY - DISTRACTORS, replace=False)]
        other = self.words[chance.integers(0, WORDS, DISTRACTORS)]
        plain = np.concatenate([found, other])
        return _unit(plain + 0.7 * _unit(chance.standard_normal(plain.shape, dtype=np.float32)))

    def queries(self, count: int) -> Array:
        """The first `count` queries, shape (count, 20, 128)."""
        return np.stack([self.query(number) for number in range(count)])


class Made:
    """A collection that is too large for a file: pages are made as they are read, in slices like an array's."""

    def __init__(self, size: Size) -> None:
        self.shape = (size.pages, size.vectors, DIM)
        self._world = World(size)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, wanted: slice) -> Array:
        begin, end, _ = wanted.indices(len(self))
        first, last = begin // TOGETHER, -(-end // TOGETHER)
        pages = np.concatenate([self._world.document(number) for number in range(first, last)])
        return pages[begin - first * TOGETHER : end - first * TOGETHER]


def write(size: Size, path: Path) -> None:
    """Write all vectors of a collection to a file of float32, document by document, unless it is too large for one."""
    if size.bytes > WRITTEN:
        return
    world = World(size)
    with path.open("wb") as file:
        for number in range(-(-size.pages // TOGETHER)):
            pages = world.document(number)[: size.pages - number * TOGETHER]
            file.write(pages.tobytes())


def opened(size: Size, path: Path) -> Any:
    """What `write` wrote, mapped, or what makes it anew: shape (pages, vectors, 128)."""
    if size.bytes > WRITTEN:
        return Made(size)
    return np.memmap(path, np.float32, "r", shape=(size.pages, size.vectors, DIM))


def blocks(vectors: Any) -> Iterator[tuple[int, Array]]:
    """The pages a few at a time."""
    step = max(1, _BLOCK * 128 // vectors.shape[1])
    for begin in range(0, len(vectors), step):
        yield begin, np.ascontiguousarray(vectors[begin : begin + step])


def exact(vectors: Any, queries: Array) -> Array:
    """MaxSim of every query with every page, shape (queries, pages); reads the pages once, in blocks."""
    scores = np.empty((len(queries), len(vectors)), dtype=np.float32)
    for begin, block in blocks(vectors):
        flat = block.reshape(-1, DIM)
        for at, query in enumerate(queries):
            near = (flat @ query.T).reshape(len(block), -1, len(query))
            scores[at, begin : begin + len(block)] = near.max(axis=1).sum(axis=1)
    return scores


def _unit(vectors: Any) -> Array:
    long = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / long, dtype=np.float32)
