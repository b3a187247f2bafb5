"""What every vector index does, whatever it is made of. A test class inherits it and says how an index is opened."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mainspring.errors import StoreError, ToolError
from mainspring.library.embed.protocol import Space
from mainspring.library.index.protocol import VectorIndex

DIM = 8
SPACE = Space("suite", "1", DIM)
CENTRED = Space("suite", "1", DIM, centred=True)


def unit(rows: Any) -> Any:
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1), dtype=np.float32)


def drawn(seed: int, count: int = 5, shift: float = 0.0) -> Any:
    return unit(np.random.default_rng(seed).standard_normal((count, DIM)) + shift)


def maxsim(query: Any, page: Any) -> float:
    return float((query @ page.T).max(axis=1).sum())


def best(query: Any, pages: dict[int, Any], k: int) -> list[int]:
    return [page for _, page in sorted((-maxsim(query, rows), page) for page, rows in pages.items() if len(rows))][:k]


class VectorIndexSuite:
    """Inherit it and give `open`."""

    #: Share of the exact answer that it finds at the least; an index that quantises finds less than all.
    recall = 1.0

    def open(self, folder: Path, space: Space = SPACE) -> VectorIndex:
        raise NotImplementedError

    def test_what_is_added_is_found(self, tmp_path: Path) -> None:
        index = self.open(tmp_path)
        pages = {number: drawn(number, 1 + number % 7) for number in range(1, 40)}
        index.add(list(pages.items()))
        agreed = 0
        for seed in range(100, 120):
            query = drawn(seed, 3)
            near = index.search(query, 5)
            assert len(near) == 5
            assert [hit.score for hit in near] == sorted((hit.score for hit in near), reverse=True)
            assert near[0].score == pytest.approx(maxsim(query, pages[near[0].page]), abs=0.03)
            agreed += len({hit.page for hit in near} & set(best(query, pages, 5)))
        assert agreed >= self.recall * 20 * 5
        index.close()

    def test_it_is_there_after_closing(self, tmp_path: Path) -> None:
        index = self.open(tmp_path)
        index.add([(3, drawn(3)), (1, drawn(1))])
        index.close()
        again = self.open(tmp_path)
        assert again.ids().tolist() == [1, 3]
        assert again.search(drawn(3), 1)[0].page == 3
        assert again.space == SPACE
        again.close()

    def test_adding_again_replaces(self, tmp_path: Path) -> None:
        index = self.open(tmp_path)
        index.add([(1, drawn(1, 9)), (2, drawn(2))])
        index.add([(1, drawn(50, 2))])
        assert index.ids().tolist() == [1, 2]
        assert index.search(drawn(50, 2), 1)[0].page == 1
        assert index.search(drawn(50, 2), 1)[0].score == pytest.approx(2, abs=0.03)
        assert index.stats()["vectors"] == 7
        index.add([(1, drawn(60)), (1, drawn(61))])  # the last of one call counts
        assert index.search(drawn(61), 1)[0].score == pytest.approx(5, abs=0.05)
        index.close()

    def test_removing(self, tmp_path: Path) -> None:
        index = self.open(tmp_path)
        index.add([(number, drawn(number)) for number in range(6)])
        assert index.remove([1, 4, 99, 4]) == 2
        assert index.remove([1]) == 0
        assert index.remove([]) == 0
        assert index.ids().tolist() == [0, 2, 3, 5]
        assert {hit.page for hit in index.search(drawn(4), 10)} == {0, 2, 3, 5}
        index.close()

    def test_among(self, tmp_path: Path) -> None:
        index = self.open(tmp_path)
        pages = {number: drawn(number) for number in range(30)}
        index.add(list(pages.items()))
        some = np.array([2, 7, 11, 400], dtype=np.int64)
        query = drawn(0)
        found = index.search(query, 10, among=some)
        assert [hit.page for hit in found] == best(query, {n: pages[n] for n in (2, 7, 11)}, 10)
        assert index.search(query, 10, among=np.array([], dtype=np.int64)) == []
        assert index.search(query, 10, among=np.array([999], dtype=np.int64)) == []
        index.close()

    def test_pages_without_vectors_are_kept_and_never_found(self, tmp_path: Path) -> None:
        index = self.open(tmp_path)
        index.add([(1, np.zeros((0, DIM), np.float32)), (2, drawn(2))])
        assert index.ids().tolist() == [1, 2]
        assert [hit.page for hit in index.search(drawn(2), 10)] == [2]
        assert index.stats()["pages"] == 2
        assert index.remove([1]) == 1
        index.close()

    def test_empty_index_and_empty_questions(self, tmp_path: Path) -> None:
        index = self.open(tmp_path)
        assert index.search(drawn(1), 5) == []
        assert index.ids().tolist() == []
        index.add([])
        index.add([(1, drawn(1))])
        assert index.search(np.zeros((0, DIM), np.float32), 5) == []
        assert len(index.search(drawn(1), 500)) == 1
        index.close()

    @pytest.mark.parametrize(
        "rows", [np.ones((2, DIM + 1)), np.ones(DIM), np.full((1, DIM), np.nan), np.full((1, DIM), np.inf)]
    )
    def test_wrong_vectors_are_refused_and_nothing_is_added(self, tmp_path: Path, rows: Any) -> None:
        index = self.open(tmp_path)
        with pytest.raises(ToolError):
            index.add([(1, drawn(1)), (2, rows.astype(np.float32))])
        assert index.ids().tolist() == []
        index.close()

    def test_another_space_is_refused(self, tmp_path: Path) -> None:
        self.open(tmp_path).close()
        for other in (Space("suite", "2", DIM), Space("other", "1", DIM), Space("suite", "1", DIM + 1)):
            with pytest.raises(StoreError):
                self.open(tmp_path, other)
        self.open(tmp_path).close()

    def test_compacting_changes_nothing_that_is_found(self, tmp_path: Path) -> None:
        index = self.open(tmp_path)
        pages = {number: drawn(number) for number in range(25)}
        index.add(list(pages.items()))
        index.remove(range(10))
        before = index.search(drawn(12), 5)
        index.compact()
        after = index.search(drawn(12), 5)
        assert [hit.page for hit in before] == [hit.page for hit in after]
        assert index.ids().tolist() == list(range(10, 25))
        index.close()

    def test_threads(self, tmp_path: Path) -> None:
        index = self.open(tmp_path)
        failed: list[BaseException] = []

        def work(first: int) -> None:
            try:
                for number in range(first, first + 5):
                    index.add([(number, drawn(number))])
                    assert index.search(drawn(number), 1)[0].page == number
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=work, args=(first,)) for first in (0, 100, 200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        assert len(index.ids()) == 15
        index.close()

    def test_a_centred_space_takes_the_mean_away(self, tmp_path: Path) -> None:
        """Vectors that all point one way are told apart by how they differ from their mean."""
        index = self.open(tmp_path, CENTRED)
        pages = {number: drawn(number, 6, shift=2.0) for number in range(60)}
        for start in range(0, 60, 7):
            index.add([(number, pages[number]) for number in range(start, min(60, start + 7))])
        mean = np.concatenate(list(pages.values())).mean(axis=0)
        centred = {number: unit(rows - mean) for number, rows in pages.items()}
        index.compact()
        hits = 0
        for number in range(0, 60, 3):
            query = unit(pages[number][:3] - mean)
            found = [hit.page for hit in index.search(query, 5)]
            hits += len(set(found) & set(best(query, centred, 5)))
            assert found[0] == number
        assert hits >= min(self.recall, 0.9) * 20 * 5
        index.close()
        again = self.open(tmp_path, CENTRED)
        assert len(again.ids()) == 60
        again.close()
