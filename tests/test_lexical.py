"""Words to search by, and where in a text they stand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring import lexical

MIXED = "Hello Wörld, ﬁne ½ 机器学习 abc中文 한국어 สวัสดี Straße İstanbul e\u0301t"


def test_each_word_has_the_characters_that_it_was_made_from() -> None:
    found = lexical.places(MIXED)
    assert [word for word, _, _ in found] == lexical.words(MIXED)
    at = {word: MIXED[start:end] for word, start, end in found}
    assert at["world"] == "Wörld"
    assert at["fine"] == "ﬁne"
    assert at["strasse"] == "Straße"
    assert at["器学"] == "器学"
    assert at["et"] == "e\u0301t"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_places_lie_in_the_text(text: str) -> None:
    for word, start, end in lexical.places(text):
        assert 0 <= start < end <= len(text)
        assert word


def test_a_query_looks_for_the_words_that_it_says() -> None:
    assert lexical.terms("Crème brûlée 机器学习 中") == {
        "creme": False, "brulee": False, "机器": False, "器学": False, "学习": False, "中": True,
    }  # fmt: skip
    assert lexical.match("Crème 中 机器") == '"creme" OR "中"* OR "机器"'
    assert lexical.match("?!") == ""


@pytest.mark.parametrize(
    ("text", "phrase", "there"),
    [
        ("the quick, brown\nfox", "Quick brown", True),
        ("the quick brown foxes", "brown fox", False),
        ("机器\n学习的", "机器学习", True),
        ("使用Python开发", "python", True),
        ("使用Python3开发", "python", False),
        ("anything", "?!", False),
    ],
)
def test_a_phrase_stands_in_a_text(text: str, phrase: str, there: bool) -> None:
    assert lexical.holds(lexical.line(text), phrase) is there


def test_phrases_for_the_index() -> None:
    assert lexical.phrase("Max_output tokens!") == '"max output tokens"'
    assert lexical.phrase("机器学习") == '"机器 器学 学习"'
    assert lexical.phrase("机器 python") == '"机器 器 python"'
    assert lexical.phrase("python 中") == '"python 中"*'
    assert lexical.phrase("?!") == ""


@pytest.mark.parametrize(
    ("text", "phrase", "there"),
    [
        ("see max_output_tokens.", "max output tokens", True),
        ("max tokens output", "max output tokens", False),
        ("深度机器学习的", "机器学习", True),
        ("使用机器 python 开发", "机器 python", True),
        ("python 中文", "python 中", True),
    ],
)
def test_phrases_are_found_by_the_index(text: str, phrase: str, there: bool) -> None:
    import sqlite3

    db = sqlite3.connect(":memory:")
    db.execute("CREATE VIRTUAL TABLE words USING fts5 (body, tokenize = 'ascii')")
    db.execute("INSERT INTO words VALUES (?)", (" ".join(lexical.words(text)),))
    found = db.execute("SELECT count(*) FROM words WHERE words MATCH ?", (lexical.phrase(phrase),)).fetchone()[0]
    assert bool(found) is there
