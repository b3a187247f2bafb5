"""Figures of rankings, against values worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.library.evaluate import bootstrap, mrr, ndcg, percentile, recall


def test_ndcg_by_hand() -> None:
    assert ndcg([1, 2, 3], {1: 1.0}) == 1.0
    assert ndcg([2, 1, 3], {1: 1.0}) == pytest.approx(1 / math.log2(3))
    # Grades 2 and 1, found in the wrong order: (1 + 2/log2(3)) / (2 + 1/log2(3)).
    assert ndcg([2, 1], {1: 2.0, 2: 1.0}) == pytest.approx((1 + 2 / math.log2(3)) / (2 + 1 / math.log2(3)))
    assert ndcg([], {1: 1.0}) == 0.0
    assert ndcg([1], {}) == 0.0
    assert ndcg([*range(10, 20), 1], {1: 1.0}) == 0.0  # the eleventh does not count
    assert ndcg([1, 1, 1], {1: 1.0, 2: 1.0}) < 1.0  # a page counts once


def test_recall_and_mrr() -> None:
    assert recall([1, 2, 3], {1: 1.0, 9: 1.0, 5: 0.0}) == 0.5
    assert recall([1], {}) == 0.0
    assert mrr([4, 1], {1: 1.0}) == 0.5
    assert mrr([4], {1: 1.0}) == 0.0


@given(st.lists(st.integers(0, 30), max_size=20), st.dictionaries(st.integers(0, 30), st.floats(0, 3), max_size=10))
def test_figures_lie_between_0_and_1(ranked: list[int], grades: dict[int, float]) -> None:
    for figure in (ndcg, recall, mrr):
        assert 0.0 <= figure(ranked, grades) <= 1.0 + 1e-9
    best = sorted(grades, key=lambda page: -grades[page])
    if any(grades.values()):
        assert ndcg(best, grades) == pytest.approx(1.0)


def test_the_interval_holds_the_mean_and_shrinks_with_more_values() -> None:
    few, many = [0.0, 1.0] * 5, [0.0, 1.0] * 200
    assert bootstrap(few).low < 0.5 < bootstrap(few).high
    assert bootstrap(many).high - bootstrap(many).low < bootstrap(few).high - bootstrap(few).low
    assert bootstrap(few) == bootstrap(few)  # it repeats
    assert bootstrap([0.3] * 4).low == pytest.approx(0.3)
    assert bootstrap([]).mean == 0.0


def test_percentiles_by_the_nearest_rank() -> None:
    values = [float(n) for n in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.95), percentile(values, 1.0)) == (50.0, 95.0, 100.0)
    assert percentile([], 0.5) == 0.0
    assert percentile([7.0], 0.0) == 7.0
