"""Output is bounded, counted and free of terminal escapes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mainspring.tools.capture import HeadTail, plain_text, shorten


@given(st.lists(st.binary(max_size=50), max_size=30), st.integers(3, 60))
def test_head_and_tail_are_kept_and_the_rest_is_counted(pieces: list[bytes], limit: int) -> None:
    kept = HeadTail(limit)
    for piece in pieces:
        kept.feed(piece)
    whole = b"".join(pieces)
    assert kept.total == len(whole)
    assert kept.dropped == max(0, len(whole) - limit)


def test_what_is_kept_is_the_beginning_and_the_end() -> None:
    kept = HeadTail(30)
    for number in range(1000):
        kept.feed(f"{number:03} ".encode())
    text = kept.text()
    assert text.startswith("000 001 00\n[... 3,970 of 4,000 bytes left out here ...]\n")
    assert text.endswith("996 997 998 999 ")


def test_short_output_is_whole() -> None:
    kept = HeadTail(100)
    kept.feed("grün".encode()[:3])
    kept.feed("grün".encode()[3:])
    assert kept.text() == "grün"


def test_escapes_of_every_kind_are_removed() -> None:
    dirty = (
        "\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\ "
        "\x1bP1$r\x1b\\\x1b(B\x1b7\x9b2Jx\x1b[?25l\x08\x00\u202eend\ufeff"
    )
    assert plain_text(dirty) == "red link xend"


def test_an_unfinished_escape_is_removed_too() -> None:
    assert plain_text("a\x1b") == "a"
    assert plain_text("a\x1b[12") == "a"
    assert plain_text("a\x1b]0;never ends") == "a"


def test_a_progress_bar_keeps_its_last_state() -> None:
    assert plain_text("10%\r20%\r100%\nnext\r\n") == "100%\nnext\n"


@given(st.text())
def test_nothing_that_moves_a_cursor_survives(text: str) -> None:
    assert not set(plain_text(text)) & {chr(c) for c in (*range(9), *range(11, 32), *range(127, 160))}


def test_shorten_keeps_both_ends() -> None:
    text = "\n".join(f"line {n}" for n in range(1000))
    short = shorten(text, 300)
    assert short.startswith("line 0\n")
    assert short.endswith("line 999")
    assert len(short) < 400
    assert shorten("abc", 300) == "abc"
    assert len(shorten("x" * 1000, 300)) < 400
