"""What of a turn is the user's own, whatever a paste looks like."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.guard.words import has_paste, own_words, segments
from mainspring.messages import user

SECRET = "ZQX"
ENDS = ["\n", "\r\n", "\r", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
MARKS = [
    "`",
    "``",
    "```",
    "````",
    "~~~",
    "~~~~",
    ">",
    "> ",
    " ",
    "   ",
    "\t",
    "- ",
    "* ",
    "12. ",
    "word",
    "a@b.example",
]
bits = st.sampled_from([*MARKS, *ENDS])
indents = st.sampled_from(["", " ", "    ", "\t", "- ", "* ", "+ ", "  1. ", "2) ", " - - ", "\u00a0", "\u3000"])
marks = st.sampled_from(["```", "````", "~~~", "~~~~~"])
ends = st.sampled_from(ENDS)
# A line of a paste: not one that closes it, and nothing that is a line end of its own.
lines = st.text(st.characters(exclude_characters="".join(ENDS) + "`~", exclude_categories=["Cs"]), max_size=12)


@given(st.lists(bits, max_size=40).map("".join) | st.text(max_size=60))
def test_the_segments_are_the_turn(text: str) -> None:
    found = segments(text)
    assert "".join(s.text for s in found) == text
    assert all(s.text for s in found)
    assert has_paste(user(text)) == any(s.pasted for s in found)


@given(indents, marks, st.sampled_from(["", "text", " python"]), st.lists(lines, max_size=4), ends, st.booleans())
def test_nothing_within_a_fence_is_the_users(
    indent: str, mark: str, info: str, body: list[str], end: str, closed: bool
) -> None:
    inside = "".join(f"{indent}{line}{SECRET}{end}" for line in [*body, ""])
    text = f"mine{end}{indent}{mark}{info}{end}{inside}"
    if closed:
        text += f"{mark}{end}yours"
    own = own_words(user(text))
    assert SECRET not in own
    assert own.startswith("mine")
    assert ("yours" in own) == closed


@given(st.text(st.characters(exclude_characters="`~" + "".join(ENDS), exclude_categories=["Cs"]), max_size=20), marks)
def test_a_fence_that_opens_within_a_line_is_one(before: str, mark: str) -> None:
    assert SECRET not in own_words(user(f"{before}{mark}\n{SECRET}\n{mark}\nyours"))


@given(indents, st.lists(lines, min_size=1, max_size=4), ends, ends)
def test_nothing_quoted_is_the_users(indent: str, body: list[str], before: str, end: str) -> None:
    quoted = "".join(f"{indent}>{line}{SECRET}{end}" for line in body)
    own = own_words(user(f"mine{before}{quoted}yours"))
    assert SECRET not in own
    assert own.startswith("mine")
    assert own.endswith("yours")


@pytest.mark.parametrize("text", ["a < b and c > d", "use `code` here", "~ about ~~ ten", "1. first\n2. second", ""])
def test_ordinary_words_are_the_users_own(text: str) -> None:
    assert own_words(user(text)) == text
    assert not has_paste(user(text))


def test_a_fence_of_other_marks_does_not_close_it() -> None:
    assert SECRET not in own_words(user(f"```\na\n~~~\n{SECRET}\n```"))
    assert SECRET not in own_words(user(f"````\na\n```\n{SECRET}\n````"))


@pytest.mark.parametrize("bit", ["`", "~~~", "```\n", "> ", "- ", "- - >", " ", "1. ", "\r"])
@pytest.mark.timeout(60)
def test_no_turn_takes_for_ever(bit: str) -> None:
    text = bit * (40_000 // len(bit))
    assert "".join(s.text for s in segments(text)) == text
