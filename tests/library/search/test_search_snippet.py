"""Pieces of a page: where they begin and end."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.library.page import Box, Page, Region
from mainspring.library.search.snippet import Meeting, box_of, covered, of_words, snippet, whole


def shown(text: str, query: str, width: int = 0) -> str:
    start, end = snippet(Page(1, text), of_words(text, query), width)
    return text[start:end]


def test_words_that_stand_together_win_over_words_apart() -> None:
    text = "alpha " + "x " * 300 + "beta " + "x " * 300 + "here alpha meets beta at last " + "x " * 300
    assert "alpha meets beta" in shown(text, "alpha beta")


def test_without_any_word_it_is_the_beginning() -> None:
    assert shown("\n\n  The first words. " + "x " * 500, "nothing").startswith("The first words.")
    assert shown("", "x") == ""
    assert shown(" \n ", "x") == ""


def test_a_short_page_is_shown_whole() -> None:
    assert shown("Tea is brewed.", "tea") == "Tea is brewed."


def test_it_begins_with_a_sentence_where_one_is_near() -> None:
    text = "x " * 300 + "Long talk. The kettle was full of water. " + "y " * 300
    assert shown(text, "kettle").startswith(("The kettle", "Long talk"))


def test_chinese_snippets_are_shorter() -> None:
    text = "天气很好。" * 100 + "机器学习是人工智能的一个分支。" + "今天下雨。" * 100
    assert "机器学习是人工智能的一个分支。" in shown(text, "机器学习")
    assert len(shown(text, "机器学习")) <= 160


@pytest.mark.parametrize(
    ("text", "at", "cut"),
    [
        ("ae\u0301b", 2, 1),  # a letter and its accent
        ("a👍🏽b", 2, 1),  # an emoji and its colour
        ("👩\u200d🔬b", 2, 0),  # two emoji that are one
        ("🇩🇪🇫🇷", 1, 0),  # half a flag
        ("🇩🇪🇫🇷", 2, 2),
        ("🇩🇪🇫🇷", 3, 2),
        ("\r\n", 1, 0),
        ("\u1100\u1161\u11a8", 1, 0),  # Hangul taken apart
        ("ab", 1, 1),
        ("ab", 9, 2),
        ("\u0301a", 0, 0),
    ],
)
def test_no_character_is_cut_in_two(text: str, at: int, cut: int) -> None:
    assert whole(text, at) == cut


@given(st.text(st.sampled_from("ab \n.。中é\u0301\u200d👩🔬🇩🇪\u1161"), max_size=400), st.integers(5, 60))
def test_a_snippet_is_a_piece_of_the_text_and_cuts_no_mark_off(text: str, width: int) -> None:
    start, end = snippet(Page(1, text), of_words(text, "a b 中"), width)
    assert 0 <= start <= end <= len(text)
    assert whole(text, start) == start or not text[start:end].strip()
    if end < len(text) and end > start:
        assert not unicodedata.combining(text[end])


def test_how_much_of_a_query_a_text_has() -> None:
    assert covered(of_words("the kettle", "kettle"), "kettle") == 1.0
    assert covered(of_words("the kettle", "water"), "water") == 0.0
    assert 0 < covered(of_words("the kettle", "kettle water"), "kettle water") < 1
    assert covered([Meeting(0, 1, "x", 1.0)], "?") == 0.0


def test_the_box_is_around_all_regions_that_are_met() -> None:
    regions = (Region(0, 5, box=Box(0.1, 0.1, 0.5, 0.2)), Region(5, 9, box=Box(0.2, 0.2, 0.9, 0.3)), Region(9, 12))
    page = Page(1, "aaaaabbbbccc", regions)
    assert box_of(page, 3, 7) == Box(0.1, 0.1, 0.9, 0.3)
    assert box_of(page, 5, 7) == Box(0.2, 0.2, 0.9, 0.3)
    assert box_of(page, 9, 12) is None
