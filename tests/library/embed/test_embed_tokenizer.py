"""Cutting text: the likeliest pieces, their places, and whatever a text may hold."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_encoder import PIECES, RULES, packed_bytes

from mainspring.errors import ModelError
from mainspring.library.embed.kept import kept, says_something
from mainspring.library.embed.normalise import Normaliser
from mainspring.library.embed.packed import Packed
from mainspring.library.embed.tokenizer import Tokenizer, pack_pieces

IDS = {text: number for number, (text, _) in enumerate(PIECES)}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("tokenizer")
    (folder / "tiny.bin").write_bytes(packed_bytes())
    (folder / "tiny.pieces").write_bytes(pack_pieces(Packed(folder / "tiny.bin").pieces()))
    return Tokenizer(folder / "tiny.pieces")


def cut(tokenizer: Tokenizer, text: str) -> list[tuple[str, str]]:
    """Each piece, and what it stands for in the text."""
    tokens = tokenizer(text)
    return [(PIECES[n][0], text[a:b]) for n, (a, b) in zip(tokens.ids, tokens.spans, strict=True)]


def test_the_likeliest_pieces_and_their_places(tokenizer: Tokenizer) -> None:
    assert cut(tokenizer, "hello  world") == [("▁hello", "hello"), ("▁world", "world")]
    assert cut(tokenizer, "hello\nhells") == [("▁hello", "hello"), ("▁hell", "hell"), ("s", "s")]
    assert cut(tokenizer, "你好世界") == [("▁", ""), ("你好", "你好"), ("世界", "世界")]


def test_what_is_not_in_the_vocabulary_is_unknown_and_keeps_its_place(tokenizer: Tokenizer) -> None:
    assert cut(tokenizer, "hello, ZZZ!") == [
        ("▁hello", "hello"),
        (",", ","),
        ("▁", ""),
        ("<unk>", "ZZZ"),
        ("!", "!"),
    ]


@pytest.mark.parametrize("text", ["<s>", "</s>", "<mask>", "<pad> <unk>", "hello</s>world"])
def test_a_text_cannot_say_special_tokens(tokenizer: Tokenizer, text: str) -> None:
    assert not {0, 1, 2, IDS["<mask>"]} & set(tokenizer(text).ids)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("e\u0301", [("▁", ""), ("é", "e\u0301")]),  # two characters that are one
        ("ﬁ", [("▁", ""), ("fi", "ﬁ")]),  # one that becomes two
        ("ｶﾞ", [("▁", ""), ("ガ", "ｶﾞ")]),
        ("hel\x00lo", [("▁hello", "hel\x00lo")]),  # one that goes
        ("\x00\x01", []),
        ("hello\u200bworld", [("▁hello", "hello"), ("▁world", "world")]),
        ("hello\ud800world", [("▁hello", "hello"), ("▁world", "world")]),  # half a pair
    ],
)
def test_places_are_those_of_the_original(tokenizer: Tokenizer, text: str, pieces: list[tuple[str, str]]) -> None:
    assert cut(tokenizer, text) == pieces


ANY = st.text(st.one_of(st.characters(), st.sampled_from("helowrd ,!你好世界\n\x00\u0301ﬁｶﾞ\ud800▁<s>")), max_size=60)


@given(text=ANY)
def test_any_text_has_places_within_it_in_order(tokenizer: Tokenizer, text: str) -> None:
    tokens = tokenizer(text)
    assert len(tokens.ids) == len(tokens.spans)
    assert all(0 <= start <= end <= len(text) for start, end in tokens.spans)
    assert all(a[0] <= b[0] and a[1] <= b[1] for a, b in itertools.pairwise(tokens.spans))
    assert {0, 1, 2, IDS["<mask>"]}.isdisjoint(tokens.ids)


@given(word=st.text("helowrds,你好世界Z", min_size=1, max_size=9))
def test_no_cut_is_likelier(tokenizer: Tokenizer, word: str) -> None:
    """Against all cuts there are."""
    score = {text: score for text, score in PIECES if text not in ("<s>", "</s>", "<pad>", "<unk>", "<mask>")}
    unknown = min(score.values()) - 10
    marked = "▁" + word

    def best(rest: str) -> float:
        options = [score[rest[:n]] + best(rest[n:]) for n in range(1, len(rest) + 1) if rest[:n] in score]
        return max([*options, unknown + best(rest[1:])]) if rest else 0.0

    found, at = 0.0, 0
    for number, length in tokenizer._search(marked):
        length += at == 0  # the space in front
        piece = marked[at : at + length]
        found += unknown * len(piece) if PIECES[number][0] == "<unk>" else score[piece]
        at += length
    assert at == len(marked)
    assert math.isclose(found, best(marked), rel_tol=1e-6)


def test_a_word_of_a_hundred_thousand_characters(tokenizer: Tokenizer) -> None:
    tokens = tokenizer("or" * 50_000)
    assert len(tokens.ids) == 50_001
    assert tokens.spans[-1] == (99_998, 100_000)


def test_a_heap_of_accents_takes_no_time(tokenizer: Tokenizer) -> None:
    """Sorting them all would take minutes; the test would run into its limit."""
    text = "e" + "\u0301\u0327" * 200_000
    assert tokenizer(text).spans[-1][1] == len(text)


def test_rules_that_are_not_needed_change_nothing() -> None:
    assert Normaliser(RULES)("plain text") == ("plain text", None)
    assert Normaliser({})("a\x00b\ud800c") == ("ab c", [(0, 1), (2, 3), (3, 4), (4, 5)])
    assert Normaliser(RULES)("zwei\nZeilen für éin Wort") == ("zwei Zeilen für éin Wort", None)


def test_only_what_says_something_gets_a_vector(tokenizer: Tokenizer) -> None:
    text = "hello, world!"
    assert [PIECES[tokenizer(text).ids[n]][0] for n in kept(text, tokenizer(text))] == ["▁hello", "▁world"]
    assert len(kept("!!,", tokenizer("!!,"))) == 3  # where nothing does, all of it
    assert says_something("+")
    assert says_something("😀")
    assert not says_something("」—")


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: b"x" + data[1:], lambda data: data[:10]])
def test_a_damaged_file_is_refused(tmp_path: Path, change: object) -> None:
    (tmp_path / "tiny.bin").write_bytes(packed_bytes())
    whole = pack_pieces(Packed(tmp_path / "tiny.bin").pieces())
    (tmp_path / "bad.pieces").write_bytes(change(whole))  # type: ignore[operator]
    with pytest.raises(ModelError, match="not a tokenizer's file"):
        Tokenizer(tmp_path / "bad.pieces")


def test_normalising_is_not_made_for_plain_words(tmp_path: Path) -> None:
    (tmp_path / "tiny.bin").write_bytes(packed_bytes())
    whole = pack_pieces(Packed(tmp_path / "tiny.bin").pieces())
    rules = b'"\\n": " "'
    assert whole.count(rules) == 1
    (tmp_path / "bad.pieces").write_bytes(whole.replace(rules, b"x" * len(rules)))
    tokenizer = Tokenizer(tmp_path / "bad.pieces")
    assert len(tokenizer("hello world").ids) == 2
    with pytest.raises(ModelError, match="not a tokenizer's file"):
        tokenizer("hell\u00f6")
