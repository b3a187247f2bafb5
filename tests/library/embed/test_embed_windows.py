"""Windows cover a text without gaps, and nothing twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mainspring.library.embed.windows import windows


@given(count=st.integers(0, 3000), size=st.integers(20, 300), overlap=st.integers(0, 16))
def test_what_is_kept_joins_up(count: int, size: int, overlap: int) -> None:
    found = windows(count, size, overlap)
    assert [n for one in found for n in range(one.first, one.last)] == list(range(count))
    for one in found:
        assert 0 <= one.start <= one.first < one.last <= one.end <= count
        assert one.end - one.start <= size


@given(count=st.integers(241, 5000))
def test_every_kept_token_has_seen_its_neighbours(count: int) -> None:
    for one in windows(count):
        assert one.first - one.start == (0 if one.start == 0 else 8)
        assert one.end - one.last == (0 if one.end == count else 8)


def test_as_few_as_are_needed_and_even() -> None:
    assert [one.end - one.start for one in windows(240)] == [240]
    assert [one.end - one.start for one in windows(241)] == [128, 129]
    assert len(windows(488)) == 3
