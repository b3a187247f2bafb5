"""What a terminal shows as text: escapes are obeyed or dropped, lines are numbered, floods are bounded."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.errors import ToolError
from mainspring.tools.shells.escapes import Cleaner
from mainspring.tools.shells.keys import keystrokes
from mainspring.tools.shells.output import COLUMNS, ROWS, SHOWN_LINES, Output
from mainspring.tools.shells.pattern import Pattern

KEPT = 1000
_FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def shown(data: bytes) -> str:
    output = Output()
    output.feed(data)
    return output.read_new().text


def test_lines_are_new_once_and_numbered() -> None:
    output = Output()
    output.feed(b"one\r\ntwo\r\n")
    page = output.read_new()
    assert (page.first, page.last, page.text) == (1, 2, "one\ntwo")
    assert output.read_new().text == ""
    assert not output.has_new()
    output.feed(b"three")
    assert output.has_new()
    assert output.new_text() == "three"
    page = output.read_new()
    assert (page.first, page.last, page.text, page.screen) == (3, 3, "three", False)
    output.feed(b" and more\r\n")
    assert output.read_new().text == "three and more"


def test_many_lines_are_paged_and_the_oldest_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainspring.tools.shells.output.KEPT_LINES", KEPT)
    output = Output()
    for number in range(1, KEPT + 2001):
        output.feed(b"line %d\r\n" % number)
    last = KEPT + 2000
    page = output.read_new()
    assert page.text.splitlines()[-1] == f"line {last}"
    assert page.last == page.total == last
    assert page.last - page.first + 1 == SHOWN_LINES
    assert page.before == last - KEPT - ROWS + 2  # the screen's lines are kept beside the others
    again = output.read_from(page.before)
    assert again.first == page.before
    assert again.text.splitlines()[0] == f"line {page.before}"
    assert again.last == page.before + SHOWN_LINES - 1
    assert output.read_from(1).first == page.before


def test_long_lines_keep_the_answer_bounded() -> None:
    output = Output()
    output.feed(b"x" * COLUMNS * 290 + b"end")
    page = output.read_new()
    assert len(page.text) <= 24_000
    assert page.text.endswith("\nend")
    assert page.before == 1


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\x1b[1;31mred\x1b[0m", "red"),
        (b"\x1b]0;a title\x07text", "text"),
        (b"\x1b]52;c;c2VjcmV0\x1b\\text", "text"),
        (b"\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        (b"\x1bP1$r0m\x1b\\a\x1b_apc\x1b\\b\x1b^pm\x1b\\c", "abc"),
        ("\u009d0;title\u009ctext".encode(), "text"),
        ("\u009b31mtext".encode(), "text"),
        (b"10%\r20%\r30%", "30%"),
        (b"abc\b\b\x1b[KX", "aX"),
        (b"a\xff\xfeb", "a\ufffd\ufffdb"),
        (b"a\x00\x07\x0e\x0fb", "ab"),
        ("a\u202eb\u2066c\u200bd".encode(), "abcd"),
        (("e" + "\u0301" * 50).encode(), "\u00e9\u0301\u0301"),
        (b"\x1b[6n\x1b[c\x1b[>c\x1b[?1;2cx", "x"),
        (b"\x1b[?3h\x1b[8;99;999tx", "x"),
    ],
)
def test_sequences_are_obeyed_or_dropped(data: bytes, text: str) -> None:
    assert shown(data) == text


def test_a_sequence_longer_than_any_real_one_is_text() -> None:
    found = shown(b"a\x1b[" + b"9" * 5000 + b"mb").replace("\n", "")
    assert found.startswith("a9999")
    assert found.endswith("9mb")


def test_a_string_without_an_end_hides_nothing_for_ever() -> None:
    output = Output()
    for _ in range(20):
        output.feed(b"\x1b]" + b"a" * 8000)
    output.feed(b"a" * 70_000 + b"\r\nseen\r\n")
    assert output.read_new().text.splitlines()[-1] == "seen"


def test_a_program_that_draws_shows_its_screen_and_gives_the_old_one_back() -> None:
    output = Output()
    output.feed(b"$ edit\r\n")
    output.read_new()
    output.feed(b"\x1b[?1049h\x1b[2J\x1b[1;1Htop\x1b[30;1Hbottom")
    page = output.read_new()
    assert page.screen
    assert page.text.splitlines() == ["top", *[""] * 28, "bottom"]
    output.feed(b"\x1b[30;1Hstatus")
    assert output.read_new().text.splitlines()[0] == "top"
    output.feed(b"\x1b[?1049l$ ")
    page = output.read_new()
    assert not page.screen
    assert page.text == "$"
    assert output.read_from(1).text == "$ edit\n$"


def test_a_flood_keeps_its_beginning_and_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainspring.tools.shells.output._PER_S", 1000)
    output = Output()
    for number in range(100_000):
        output.feed(b"%06d %s\r\n" % (number, b"x" * 90))
    output.settle()
    page = output.read_new()
    assert page.text.splitlines()[-1].startswith("099999 ")
    assert page.total < 8_000
    text, line = "", 1
    while line <= page.total:
        part = output.read_from(line)
        text, line = f"{text}\n{part.text}", part.last + 1
    assert "000000 " in text
    assert re.search(r"\[\.\.\. [\d,]+ bytes of output left out here \.\.\.\]", text)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=12))
def test_any_bytes_give_clean_text(pieces: list[bytes]) -> None:
    output = Output()
    for piece in pieces:
        output.feed(piece)
    page = output.read_new()
    assert not _FORBIDDEN.search(page.text)
    assert all(len(line) <= 4 * COLUMNS for line in page.text.splitlines())


_ODD = st.text(st.sampled_from("\x1b[]P;?0179ABHJKhlrmnc\\\x07\x08\r\nab\u009b\u0301"), max_size=80)


@settings(deadline=None)
@given(_ODD, st.lists(st.integers(0, 80), max_size=6))
def test_where_a_stream_is_cut_makes_no_difference(text: str, cuts: list[int]) -> None:
    whole = Cleaner().feed(text + "\n\n")
    cleaner = Cleaner()
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[a:b] for a, b in itertools.pairwise(places)]
    assert "".join(cleaner.feed(piece) for piece in [*pieces, "\n\n"]) == whole
    output = Output()
    output.feed(text.encode())
    assert not _FORBIDDEN.search(output.read_new().text)


def test_keys_have_names_and_control_characters_are_refused() -> None:
    assert keystrokes("ls<enter>") == b"ls\r"
    assert keystrokes("a\nb") == b"a\rb"
    assert keystrokes("<CTRL-C><up><tab>\u00e4<lt>enter>") == b"\x03\x1b[A\t\xc3\xa4<enter>"
    assert keystrokes("if a <b> c<0") == b"if a <b> c<0"
    for text in ("\x1b[A", "a\x00", "\x9b31m", "\x7f"):
        with pytest.raises(ToolError, match="name the key"):
            keystrokes(text)
    for text in ("", "x" * 32_001):
        with pytest.raises(ToolError, match=r"1 to 32,000 characters"):
            keystrokes(text)


def test_patterns() -> None:
    with Pattern("Listening on") as pattern:
        assert not pattern.found("Starting")
        assert pattern.found("x\nListening on 8000")
    with Pattern(r"^\d+ passed$") as pattern:
        assert not pattern.found("3 passed, 1 failed", wait_s=5)
        assert pattern.found("x\n12 passed\ny", wait_s=5)
    with Pattern("(") as pattern, pytest.raises(ToolError, match="no regular expression"):
        pattern.found("x", wait_s=5)
    with pytest.raises(ToolError, match="at most 200"):
        Pattern("x" * 201)


def test_a_pattern_that_never_ends_holds_up_nobody() -> None:
    with Pattern(r"(a+)+$") as pattern:
        assert not pattern.found("a" * 60 + "!", wait_s=0.2)
        assert not pattern.found("other", wait_s=0.1)
