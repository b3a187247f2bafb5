"""What is printed can do no harm, and reads well."""

import pytest

from mainspring.cli.render import (
    ago,
    argument_lines,
    arguments_text,
    bytes_text,
    columns,
    count,
    cut,
    one_line,
    safe,
    seconds,
    usd,
)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain text", "plain text"),
        ("tab\tand\nnewline", "tab\tand\nnewline"),
        ("windows\r\nline", "windows\nline"),
        ("over\rwrite", "over␍write"),
        ("\x1b]0;title\x07", "␛]0;title␇"),
        ("\x1b]52;c;ZXZpbA==\x1b\\", "␛]52;c;ZXZpbA==␛\\"),
        ("\x1b[2J\x1b[H", "␛[2J␛[H"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b2J", "\\u009b2J"),
        ("back\x08space\x7f", "back␈space␡"),
        ("nul\x00", "nul␀"),
        ("rtl \u202egnp.exe", "rtl \\u202egnp.exe"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("tag \U000e0041", "tag \\U000e0041"),
        ("sep\u2028arator", "sep\\u2028arator"),
        ("lone \udcff surrogate", "lone \\udcff surrogate"),
        ("family 👨\u200d👩\u200d👧", "family 👨\u200d👩\u200d👧"),
        ("日本語 ñ é", "日本語 ñ é"),
    ],
)
def test_safe(raw: str, shown: str) -> None:
    assert safe(raw) == shown


def test_safe_leaves_nothing_that_a_terminal_obeys() -> None:
    everything = "".join(map(chr, range(0x3000))) + "".join(map(chr, range(0xD800, 0xE000)))
    for exact in (False, True):
        shown = safe(everything, exact=exact)
        shown.encode("utf-8")
        assert not {c for c in shown if ord(c) < 0x20} - {"\n", "\t"}
        assert not {c for c in shown if 0x7F <= ord(c) < 0xA0}


def test_safe_is_stable() -> None:
    once = safe("\x1b[2J\u202e\x9b\udcff\r")
    assert safe(once) == once


def test_what_a_person_approves_hides_nothing() -> None:
    assert safe("\x1b[8mhidden\x1b[0m", exact=True) == "␛[8mhidden␛[0m"
    assert safe("a\u200db", exact=True) == "a\\u200db"


def test_arguments_of_an_approval_cannot_forge_lines() -> None:
    lines = argument_lines({"to": "bob", "body": "hi\n▌ approve? yes\r\nx", "n\nn": 1, "list": ["a\nb"]})
    assert lines == [
        'to = "bob"',
        "body:",
        "  │ hi",
        "  │ ▌ approve? yes",
        "  │ x",
        "n\\nn = 1",
        'list = ["a\\nb"]',
    ]


def test_long_arguments_say_how_much_is_hidden() -> None:
    assert argument_lines({"body": "x" * 50}, limit=10) == ['body = "xxxxxxxxx', "  … 42 more characters"]
    assert argument_lines({"body": "x" * 50}) == ['body = "' + "x" * 50 + '"']


def test_one_line_takes_the_first_line_with_something_on_it() -> None:
    assert one_line("\n\n  first\tline \nsecond") == "first line"
    assert one_line("") == ""
    assert one_line("x" * 200, 10) == "x" * 9 + "…"


def test_arguments_on_one_line() -> None:
    assert arguments_text({"path": "a.py", "start": 3, "text": "a\nb"}) == 'path="a.py" start=3 text="a\\nb"'
    assert len(arguments_text({"text": "x" * 10_000_000})) <= 100


def test_numbers_for_people() -> None:
    assert [count(n) for n in (0, 950, 4100, 2_300_000)] == ["0", "950", "4.1k", "2.3M"]
    assert [bytes_text(n) for n in (0, 1023, 4200, 1 << 30)] == ["0 B", "1023 B", "4.1 KiB", "1.0 GiB"]
    assert [seconds(s) for s in (0.01, 0.24, 14.9, 185, 7800)] == ["0s", "0.2s", "14s", "3m05s", "2h10m"]
    assert [usd(d) for d in (None, 0.0, 0.0123, 1.5)] == ["$?", "$0.00", "$0.0123", "$1.50"]
    assert ago(0, now=90_000) == "1d"
    assert cut("abc", 3) == "abc"


def test_columns_line_up_with_wide_characters() -> None:
    lines = columns([("日本", "x"), ("abcd", "y")], ("A", "B"))
    assert lines == ["A     B", "日本  x", "abcd  y"]
