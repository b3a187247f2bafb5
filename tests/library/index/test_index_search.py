"""What the index finds, against exact MaxSim."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from index_world import DIM, SPACE, asks, best, maxsim, themed, unit, vectors

from mainspring.errors import StoreError, ToolError
from mainspring.library.embed.protocol import Space
from mainspring.library.index import cascade, open_index


def recall(index, pages, seeds, k=8, among=None):
    found = 0.0
    allowed = pages if among is None else {page: pages[page] for page in among.tolist()}
    for seed in seeds:
        query = asks(seed, allowed)
        near = index.search(query, k, among=among)
        assert [hit.score for hit in near] == sorted((hit.score for hit in near), reverse=True)
        found += len({hit.page for hit in near} & set(best(query, allowed, k))) / min(k, len(allowed))
    return found / len(seeds)


def test_a_few_pages_are_searched_exactly(tmp_path: Path) -> None:
    index = open_index(tmp_path / "index", SPACE)
    pages = {page: vectors(page, 1 + page * 7) for page in range(9)}
    index.add(list(pages.items()))
    kept = {page: index.vectors(page) for page in pages}
    for seed in range(20):
        query = vectors(1000 + seed, 5)
        near = index.search(query, 4)
        assert [hit.page for hit in near] == best(query, kept, 4)
        for hit in near:
            assert hit.score == pytest.approx(maxsim(query, kept[hit.page]), abs=1e-3)
            assert hit.score == pytest.approx(maxsim(query, pages[hit.page]), abs=0.02)


@pytest.mark.parametrize("compacted", [False, True])
def test_the_cascade_finds_what_exact_search_finds(tmp_path: Path, compacted: bool) -> None:
    pages = themed(1, 2_000, 48)
    index = open_index(tmp_path / "index", SPACE)
    given = list(pages.items())
    for begin in range(0, len(given), 700):
        index.add(given[begin : begin + 700])
    index.add(given[:5])
    if compacted:
        index.compact()
    stats = index.stats()
    assert stats["pages"] == 2_000
    assert stats["segments"] == 1 if compacted else stats["segments"] > 1
    assert stats["centroids"] > 0
    assert recall(index, pages, range(30)) > 0.95


def test_what_a_page_is_asked_by_comes_first_among_ten_thousand_unlike_ones(tmp_path: Path) -> None:
    index = open_index(tmp_path / "index", SPACE)
    given = [(page, vectors(page, 4)) for page in range(10_000)]
    index.add(given)
    assert [index.search(given[at][1], 1)[0].page for at in range(0, 10_000, 500)] == list(range(0, 10_000, 500))


@pytest.mark.parametrize("count", [1, 7, 60, 700])
def test_a_filter_still_returns_as_many_pages_as_there_are(tmp_path: Path, count: int) -> None:
    pages = themed(2, 2_000, 48)
    index = open_index(tmp_path / "index", SPACE)
    index.add(list(pages.items()))
    among = np.sort(np.random.default_rng(count).choice(2_000, count, replace=False))
    wanted = min(10, count)
    near = index.search(asks(1, pages), 10, among=among)
    assert len(near) == wanted
    assert {hit.page for hit in near} <= set(among.tolist())
    assert recall(index, pages, range(10), among=among) > 0.95


def test_a_filter_may_name_pages_that_are_not_there_or_none(tmp_path: Path) -> None:
    index = open_index(tmp_path / "index", SPACE)
    index.add([(3, vectors(3, 4)), (9, vectors(9, 4))])
    assert [hit.page for hit in index.search(vectors(9, 2), among=np.array([1, 9, 70]))] == [9]
    assert index.search(vectors(9, 2), among=np.array([], dtype=np.int64)) == []


def test_more_pages_than_there_are_and_none(tmp_path: Path) -> None:
    index = open_index(tmp_path / "index", SPACE)
    assert index.search(vectors(1, 3)) == []
    index.add([(page, vectors(page, 3)) for page in range(4)])
    assert len(index.search(vectors(1, 3), 100)) == 4
    assert index.search(vectors(1, 3), 0) == []
    assert index.search(vectors(1, 0), 5) == []


def test_all_pages_are_returned_when_so_many_are_wanted(tmp_path: Path) -> None:
    pages = themed(3, 1_500, 30)
    index = open_index(tmp_path / "index", SPACE)
    index.add(list(pages.items()))
    assert len({hit.page for hit in index.search(asks(1, pages), 1_500)}) == 1_500


def test_single_vectors(tmp_path: Path) -> None:
    index = open_index(tmp_path / "index", Space("test", "1", 300, multi=False))
    made = vectors(5, 6_000, 300)
    index.add([(page, made[page : page + 1]) for page in range(6_000)])
    index.compact()
    assert index.stats()["width"] == 300
    assert index.stats()["segments"] == 1
    near = index.search(unit(made[17:18] + 0.3 * vectors(6, 1, 300)), 3)
    assert near[0].page == 17


def test_a_small_corpus_keeps_all_numbers_and_is_projected_when_it_has_grown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A basis learnt from the first documents would lose what those of another kind have."""
    monkeypatch.setattr("mainspring.library.index.calibration.PROJECTED", 60_000)
    first, second = vectors(8, 20, 400), vectors(9, 20, 400)
    index = open_index(tmp_path / "index", Space("test", "1", 400))
    index.add([(page, unit(vectors(page, 50, 20) @ first)) for page in range(700)])
    assert index.stats()["width"] == 400
    others = {page: unit(vectors(page, 50, 20) @ second) for page in range(700, 1_400)}
    index.add(list(others.items()))
    index.compact()
    assert index.stats()["width"] == 128
    query = unit(others[900][:6] + 0.2 * vectors(1, 6, 400))
    near = index.search(query, 5)
    assert near[0].page == 900
    assert near[0].score == pytest.approx(maxsim(query, others[900]), abs=0.1)


def test_long_vectors_are_projected_and_still_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainspring.library.index.calibration.PROJECTED", 40_000)
    basis = vectors(8, 40, 400)
    pages = {page: unit(vectors(page, 50, 40) @ basis) for page in range(900)}
    index = open_index(tmp_path / "index", Space("test", "1", 400))
    index.add(list(pages.items()))
    assert index.stats()["width"] == 128
    assert index.vectors(5).shape == (50, 128)
    query = unit(pages[77][:6] + 0.2 * vectors(1, 6, 400))
    near = index.search(query, 5)
    assert near[0].page == 77
    assert near[0].score == pytest.approx(maxsim(query, pages[77]), abs=0.1)


@pytest.mark.parametrize("pages", [12, 1_600])
def test_a_centred_space_takes_the_mean_away(tmp_path: Path, pages: int) -> None:
    """All vectors lean the same way, as those of contrastive encoders do; queries come without that lean."""
    lean = unit(np.ones((1, DIM)))
    plain = themed(4, pages, 30)
    leaning = {page: unit(3.0 * lean + kept - (kept @ lean.T) * lean) for page, kept in plain.items()}
    mean = np.concatenate(list(leaning.values())).mean(axis=0)
    centred = {page: unit(kept - mean) for page, kept in leaning.items()}
    index = open_index(tmp_path / "index", Space("test", "1", DIM, centred=True))
    for begin in range(0, pages, 400):
        index.add([(page, leaning[page]) for page in range(begin, min(pages, begin + 400))])
    index.compact()
    found = 0
    for seed in range(20):
        query = asks(seed, centred)
        found += index.search(query, 1)[0].page == best(query, centred, 1)[0]
    assert found >= 18
    assert np.abs(index.vectors(3) - centred[3]).max() < 0.1


def test_pages_of_none_one_and_five_thousand_vectors(tmp_path: Path) -> None:
    index = open_index(tmp_path / "index", SPACE)
    pages = {1: vectors(1, 0), 2: vectors(2, 1), 3: vectors(3, 5_000), 4: vectors(4, 0)}
    index.add(list(pages.items()))
    index.add([(page, vectors(page, 40)) for page in range(10, 1_000)])
    index.compact()
    assert index.stats()["waiting"] == 0
    assert index.ids().tolist() == [1, 2, 3, 4, *range(10, 1_000)]
    assert index.vectors(1).shape == (0, DIM)
    assert index.vectors(3).shape == (5_000, DIM)
    assert index.search(pages[2], 1)[0].page in {2, 3}
    assert index.search(pages[3][100:108], 1)[0].page == 3
    assert all(hit.page not in {1, 4} for hit in index.search(pages[2], 1_000))
    assert index.search(pages[2], 5, among=np.array([1, 4])) == []
    assert index.remove([1]) == 1


def test_a_query_of_many_vectors(tmp_path: Path) -> None:
    pages = themed(5, 2_000, 48)
    index = open_index(tmp_path / "index", SPACE)
    index.add(list(pages.items()))
    query = np.concatenate([pages[700], pages[701], vectors(1, 200)])
    assert {hit.page for hit in index.search(query, 2)} == {700, 701}


def test_the_last_of_a_number_given_twice_stays_and_replaces(tmp_path: Path) -> None:
    index = open_index(tmp_path / "index", SPACE)
    index.add([(1, vectors(1, 3)), (1, vectors(2, 4))])
    assert index.vectors(1).shape == (4, DIM)
    index.add([(1, vectors(3, 5))])
    assert index.ids().tolist() == [1]
    assert np.abs(index.vectors(1) - vectors(3, 5)).max() < 0.01


def test_long_and_short_vectors_keep_their_length(tmp_path: Path) -> None:
    """A space that is not centred is searched by dot product, as it stands."""
    index = open_index(tmp_path / "index", SPACE)
    index.add([(1, vectors(1, 3) * 1e-3), (2, vectors(1, 3) * 1e9), (3, np.zeros((2, DIM), np.float32))])
    near = index.search(vectors(1, 3) * 1e8, 3)
    assert [hit.page for hit in near] == [2, 1, 3]
    assert near[0].score == pytest.approx(3e17, rel=0.02)


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (np.full((2, DIM), np.nan, np.float32), "not finite"),
        (np.full((2, DIM), np.inf, np.float32), "not finite"),
        (np.full((2, DIM), 1e30, np.float32), "larger than"),
        (vectors(1, 2, DIM + 1), "needs (n, 16)"),
        (vectors(1, 2)[0], "needs (n, 16)"),
        ("words", "no array of numbers"),
    ],
)
def test_wrong_vectors_are_refused_and_nothing_of_the_add_is_kept(tmp_path: Path, made: object, says: str) -> None:
    index = open_index(tmp_path / "index", SPACE)
    with pytest.raises(ToolError) as raised:
        index.add([(1, vectors(1, 2)), (2, made)])  # type: ignore[list-item]
    assert says in str(raised.value)
    assert index.ids().tolist() == []
    with pytest.raises(ToolError):
        index.search(made)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [-1, 2**63])
def test_wrong_page_numbers_are_refused(tmp_path: Path, number: int) -> None:
    index = open_index(tmp_path / "index", SPACE)
    with pytest.raises(ToolError, match="no page number"):
        index.add([(number, vectors(1, 2))])


def test_match_shows_which_vector_met_which(tmp_path: Path) -> None:
    pages = themed(6, 1_200, 40)
    index = open_index(tmp_path / "index", SPACE)
    index.add(list(pages.items()))
    index.add([(5_000, vectors(1, 3))])
    query = pages[33][[4, 20]]
    near = index.match(query, 33)
    assert near.shape == (2, 40)
    assert near.argmax(axis=1).tolist() == [4, 20]
    hit = index.search(query, 1)[0]
    assert hit.score == pytest.approx(float(index.match(query, hit.page).max(axis=1).sum()), rel=1e-4)
    assert index.match(vectors(1, 3), 5_000).argmax(axis=1).tolist() == [0, 1, 2]
    with pytest.raises(StoreError, match="page 7777 is not in the index"):
        index.match(query, 7777)


def test_small_adds_become_segments_by_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cascade, "SEGMENT_TOKENS", 300)
    pages = {page: vectors(page, 10) for page in range(400)}
    index = open_index(tmp_path / "index", SPACE)
    for page, kept in pages.items():
        index.add([(page, kept)])
    stats = index.stats()
    assert stats["waiting"] < 30
    assert 1 <= stats["segments"] <= 9  # joined by fours, not one for each thirty adds
    assert index.ids().tolist() == list(pages)
    assert index.check() == []


def test_large_adds_are_joined_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cascade, "SEGMENT_TOKENS", 300)
    index = open_index(tmp_path / "index", SPACE)
    for begin in range(0, 400, 40):
        index.add([(page, vectors(page, 10)) for page in range(begin, begin + 40)])
    assert index.stats()["waiting"] == 0
    assert index.stats()["segments"] <= 5
    assert index.ids().tolist() == list(range(400))


def test_what_was_learnt_is_learnt_again_when_the_corpus_has_grown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = themed(7, 1_600, 40)
    monkeypatch.setattr(cascade, "SEGMENT_TOKENS", 8_000)
    index = open_index(tmp_path / "index", Space("test", "1", DIM, centred=True))
    index.add([(page, pages[page]) for page in range(400)])
    first = index.stats()
    index.add([(page, pages[page]) for page in range(400, 1_600)])
    index.compact()
    second = index.stats()
    assert second["centroids"] > first["centroids"]
    assert second["calibrated"] == second["vectors"] == 1_600 * 40
    mean = np.concatenate(list(pages.values())).mean(axis=0)
    assert np.abs(index.vectors(2) - unit(pages[2] - mean)).max() < 0.03
    assert index.check() == []
    index.compact()
    assert index.stats()["generation"] == second["generation"]
