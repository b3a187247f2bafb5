"""Adds, removals, compaction and reopening in any order, against a dict."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from index_world import DIM, best, vectors

from mainspring.library.embed.protocol import Space
from mainspring.library.index import cascade, maintain, open_index

NUMBERS = st.integers(0, 60)


class IndexMachine(RuleBasedStateMachine):
    """A second handle stands for another process: it must see every change at once."""

    def __init__(self) -> None:
        super().__init__()
        self.was = cascade.SEGMENT_TOKENS, maintain.FEW
        cascade.SEGMENT_TOKENS, maintain.FEW = 60, 5
        self.folder = Path(tempfile.mkdtemp(prefix="mainspring-index-"))
        self.truth: dict[int, tuple[int, int]] = {}
        self.version = 0

    @initialize(centred=st.booleans())
    def opened(self, centred: bool) -> None:
        self.space = Space("test", "1", DIM, centred=centred)
        self.index = open_index(self.folder / "index", self.space)
        self.other = open_index(self.folder / "index", self.space)

    @rule(pages=st.lists(st.tuples(NUMBERS, st.sampled_from([0, 1, 3, 9, 40])), max_size=8))
    def add(self, pages: list[tuple[int, int]]) -> None:
        given = []
        for page, count in pages:
            self.version += 1
            given.append((page, vectors(self.version, count)))
            self.truth[page] = (self.version, count)
        self.index.add(given)

    @rule(pages=st.lists(NUMBERS, max_size=6))
    def remove(self, pages: list[int]) -> None:
        assert self.other.remove(pages) == len(set(pages) & self.truth.keys())
        for page in pages:
            self.truth.pop(page, None)

    @rule()
    def compact(self) -> None:
        self.index.compact()
        assert len(list((self.folder / "index").glob("segment-*.vec"))) == self.index.stats()["segments"]

    @rule()
    def reopen(self) -> None:
        self.index.close()
        self.index = open_index(self.folder / "index", self.space)

    @rule(seed=st.integers(0, 1_000), among=st.none() | st.sets(NUMBERS))
    def search(self, seed: int, among: set[int] | None) -> None:
        query = vectors(5_000 + seed, 4)
        allowed = {
            page: vectors(version, count)
            for page, (version, count) in self.truth.items()
            if count and (among is None or page in among)
        }
        chosen = None if among is None else np.array(sorted(among), dtype=np.int64)
        near = self.other.search(query, 5, among=chosen)
        assert len(near) == min(5, len(allowed))
        assert {hit.page for hit in near} <= allowed.keys()
        if not self.space.centred and allowed:
            right = best(query, allowed, 5)
            worst = min(hit.score for hit in near)
            assert len(set(right) & {hit.page for hit in near}) >= len(near) - 1, (worst, right)

    @invariant()
    def same(self) -> None:
        if not hasattr(self, "index"):
            return
        assert self.index.ids().tolist() == sorted(self.truth)
        assert self.other.ids().tolist() == sorted(self.truth)
        for page, (version, count) in list(self.truth.items())[:5]:
            kept = self.other.vectors(page)
            assert kept.shape == (count, DIM)
            if count and not self.space.centred:
                assert np.abs(kept - vectors(version, count)).max() < 0.01

    def teardown(self) -> None:
        cascade.SEGMENT_TOKENS, maintain.FEW = self.was
        if hasattr(self, "index"):
            assert self.index.check() == []
            self.index.close()
            self.other.close()
        shutil.rmtree(self.folder)


TestIndexMachine = IndexMachine.TestCase
TestIndexMachine.settings = settings(max_examples=8, stateful_step_count=20, deadline=None)
