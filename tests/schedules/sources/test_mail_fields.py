"""Mails as fields: what is broken in them is named, and never ends the reading."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.schedules.sources.mail import MAX_FILES, MAX_TEXT, file_name, parse


def multipart(*parts: bytes) -> bytes:
    body = b"".join(b"--b\r\n" + p + b"\r\n" for p in parts)
    return b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + body + b"--b--\r\n"


def test_the_fields_of_a_usual_mail() -> None:
    mail = parse(
        b"From: =?utf-8?q?J=C3=BCrgen?= <j@corp.example>\r\nTo: ann@corp.example\r\nSubject: =?utf-8?b?4oKsIDE3?=\r\n"
        b"Date: Tue, 03 Mar 2026 10:00:00 +0100\r\nMessage-ID: <1@corp.example>\r\n"
        b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\nGr\xfc\xdfe\r\n"
    )
    assert mail.sender == "Jürgen <j@corp.example>"
    assert (mail.subject, mail.text.strip(), mail.date) == ("€ 17", "Grüße", "2026-03-03T10:00:00+01:00")
    assert (mail.message_id, mail.cut) == ("<1@corp.example>", ())


def test_html_alone_becomes_words_without_its_scripts() -> None:
    mail = parse(b"Content-Type: text/html\r\n\r\n<style>x{}</style><p>Hello <b>you</b></p><script>evil()</script>")
    assert mail.text.strip() == "Hello you"


@pytest.mark.parametrize(
    ("data", "cut"),
    [
        (b"Content-Type: text/plain; charset=klingon-8\r\n\r\nhello", "charset"),
        (b"Content-Type: text/plain; charset=base64_codec\r\n\r\nhello", "charset"),
        (b"From: a\r\nFrom: boss@corp.example\r\n\r\nhello", "from (stands there 2 times)"),
        (b"Subject: " + b"x" * 5000 + b"\r\n\r\nhello", "subject"),
        (b"\r\nhello" + b"y" * (MAX_TEXT + 1), "text"),
    ],
)
def test_what_is_broken_is_named_and_the_rest_is_read(data: bytes, cut: str) -> None:
    mail = parse(data)
    assert cut in mail.cut
    assert mail.text.startswith("hello")


def test_nul_bytes_and_control_characters_do_not_get_through() -> None:
    mail = parse(b"Subject: a\x00b\x1b[31m\r\n\r\nx\x00y\x1b]0;z\x07")
    assert not {c for c in mail.subject + mail.text if ord(c) < 32 and c != "\n"}


def test_a_header_that_holds_a_line_end_stays_one_line() -> None:
    mail = parse(b"Subject: =?utf-8?q?hi=0D=0ABcc:_evil@example.net?=\r\nFrom: a\r\n\r\nx")
    assert "\n" not in mail.subject
    assert "\r" not in mail.subject


def test_a_mail_within_a_mail_is_a_file_and_not_looked_into() -> None:
    inner = b"Content-Type: message/rfc822\r\n\r\nFrom: boss@corp.example\r\nSubject: orders\r\n\r\npay"
    mail = parse(multipart(b"Content-Type: text/plain\r\n\r\nouter", inner))
    assert mail.text.strip() == "outer"
    assert mail.sender == "a@b.example"
    assert [a.media_type for a in mail.attachments] == ["message/rfc822"]
    assert b"orders" in mail.attachments[0].data


def test_deep_nesting_many_parts_and_many_files_end() -> None:
    nested = b"x"
    for n in range(60):
        nested = b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n%s\r\n--b%d--\r\n" % (n, n, nested, n)
    assert "parts" in parse(nested).cut
    rfc = b"Content-Type: message/rfc822\r\n\r\n" * 3000 + b"x"
    assert parse(rfc).cut in (("structure",), ("a part (broken)",))
    part = b'Content-Disposition: attachment; filename="a.txt"\r\n\r\nx'
    many = parse(multipart(*[part] * 100))
    assert len(many.attachments) == MAX_FILES
    assert "attachments" in many.cut
    assert len({a.name for a in many.attachments}) == MAX_FILES
    assert "parts" in parse(multipart(*[b"Content-Type: text/plain\r\n\r\nx"] * 20_000)).cut


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "_.._etc_passwd"),
        ("/etc/passwd", "_etc_passwd"),
        ("C:\\x\\y.exe", "C__x_y.exe"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("a\0b\nc", "a_b_c"),
        ("..", "file-3"),
        ("", "file-3"),
        ("\udcff.txt", "?.txt".replace("?", "_")),
        ("x" * 300 + ".pdf", "x" * 96 + ".pdf"),
    ],
)
def test_names_of_files(name: str, safe: str) -> None:
    assert file_name(name, 3) == safe


@given(st.binary(max_size=400))
def test_no_bytes_end_the_reading(data: bytes) -> None:
    json.dumps(parse(data).payload(), ensure_ascii=False).encode()


HEADERS = st.sampled_from(
    [b"From: ", b"Date: ", b"Content-Type: ", b"Content-Transfer-Encoding: ", b"Content-Disposition: ", b"Subject: "]
)
WORDS = st.sampled_from(
    [b"multipart/mixed; boundary=b", b"message/rfc822", b"text/plain; charset=", b"base64", b"attachment; filename=",
     b"=?utf-8?b?/w==?=", b"=?x?q?", b'"', b"\xff", b"(", b"<>", b"filename*=utf-8''%ff", b"filename*0*=a", b"@,;:"]
)  # fmt: skip


@given(st.lists(st.tuples(HEADERS, st.lists(WORDS, max_size=4).map(b" ".join)), max_size=6), st.binary(max_size=80))
def test_no_headers_end_the_reading(headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    data = b"".join(n + v + b"\r\n" for n, v in headers) + b"\r\n--b\r\n" + body + b"\r\n--b--\r\n"
    json.dumps(parse(data).payload(), ensure_ascii=False).encode()
