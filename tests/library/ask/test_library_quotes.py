"""What counts as the same words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.library.ask.quotes import place_of, plain, unsupported


@pytest.mark.parametrize(
    ("quote", "text"),
    [
        ("the ﬁrst “word”", 'see the first "word" here'),
        ("a – b  c - done", "a - b\u00a0c \u2014 done"),
        ("it's so far", "and it\u2019s so far."),
        ("cafe\u0301 society", "the caf\u00e9 society"),
        ("co-operate now", "co\u00ad-operate\u200b now"),
        ('"must be done."', "It must be done."),
    ],
)
def test_ways_of_writing_are_one(quote: str, text: str) -> None:
    assert place_of(quote, text) is not None


@pytest.mark.parametrize(
    ("quote", "text"),
    [
        ("paid 100 euros", "unpaid 100 euros"),
        ("costs 5 euros more", "costs 1.5 euros more"),
        ("must be paid 1", "must be paid 1,000"),
        ("5 degrees outside", "it was -5 degrees outside"),
        ("5 degrees outside", "\u22125 degrees outside"),
        ("it has grown by 5", "it has grown by 5% a year"),
        ("be paid 10\u00b2", "be paid 102"),
        ("P\u0430yPal account", "PayPal account"),
        ("MUST BE DONE", "must be done"),
        ("resume sent", "r\u00e9sum\u00e9 sent"),
    ],
)
def test_other_words_are_others(quote: str, text: str) -> None:
    assert place_of(quote, text) is None


@given(st.text(max_size=80))
def test_each_character_knows_its_place(text: str) -> None:
    written, at = plain(text)
    assert len(written) == len(at)
    assert at == sorted(at)
    assert all(0 <= n < len(text) for n in at)


@pytest.mark.parametrize(
    ("statement", "quote", "missing"),
    [
        ("It costs 1,000 euros", "it costs 1000 euros", ()),
        ("It was 5 degrees", "it was -5 degrees", ("5",)),
        ("It was \u22125 degrees", "it was -5 degrees", ()),
        ("In 2020-21 it was so", "it was so in 2020-21", ()),
        ("It costs 1,000 euros", "it costs 1,001 euros", ("1,000",)),
        ("It grew by 5%", "it grew by 5 percent", ("5%",)),
        ("The owner is Ann Lee.", "owned by Ann Lee", ()),
        ("The owner is Bob.", "owned by Ann Lee", ("Bob",)),
        ("NASA says so", "they say so", ("NASA",)),
        ("Ann's house", "the house of Ann", ()),
        ("费用是100元", "费用为一百元", ("100",)),
    ],
)
def test_numbers_and_names(statement: str, quote: str, missing: tuple[str, ...]) -> None:
    assert unsupported(statement, quote) == missing
