"""Hosts are read as a browser reads them, and nothing invisible stays invisible."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.cli.render import safe
from mainspring.guard.outputs import plain_hosts, visible
from mainspring.guard.outputs.hosts import ascii_host, is_known, read_address


@pytest.mark.parametrize(
    ("url", "host", "wrong"),
    [
        ("https://good.com/x", "good.com", ""),
        ("HTTPS://GOOD.COM:443/x", "good.com", ""),
        ("https://good.com.", "good.com", ""),
        (" \x00https://good.com", "good.com", ""),
        ("ht\ntps://go\tod.com", "good.com", ""),
        ("https:good.com", "good.com", "slashes"),
        ("https:\\\\good.com", "good.com", ""),
        ("https:////good.com", "good.com", "slashes"),
        ("https://good.com@evil.com/", "evil.com", "login"),
        ("https://good.com\\@evil.com/", "good.com", ""),
        ("https://a@b@evil.com", "evil.com", "login"),
        ("https://good.com#@evil.com", "good.com", ""),
        ("https://good.com?@evil.com", "good.com", ""),
        ("//evil.com/x", "evil.com", ""),
        ("\\\\evil.com/x", "evil.com", ""),
        ("/\\evil.com/x", "evil.com", ""),
        ("https://ｅｖｉｌ．ｃｏｍ/", "evil.com", ""),
        ("https://evil。com/", "evil.com", ""),
        ("https://%65vil.com/", "evil.com", ""),
        ("https://аpple.com", "xn--pple-43d.com", ""),
        ("https://127.0.0.1/", "127.0.0.1", ""),
        ("https://2130706433/", "2130706433", "number"),
        ("https://0x7f.1/", "0x7f.1", "number"),
        ("https://127.1/", "127.1", "number"),
        ("https://[::1]:80/", "[::1]", ""),
        ("https://[::ffff:127.0.0.1]/", "[::ffff:7f00:1]", ""),
        ("https://[nonsense]/", "", "host"),
        ("https://good.com:port/", "", "port"),
        ("https://a b/", "", "host"),
        ("https://", "", "host"),
        ("javascript:alert(1)", "", ""),
        ("/path", "", ""),
    ],
)
def test_read_address(url: str, host: str, wrong: str) -> None:
    address = read_address(url)
    assert address.host == host
    assert wrong in address.wrong
    assert bool(address.wrong) == bool(wrong)


@given(st.text())
def test_reading_an_address_never_fails(text: str) -> None:
    read_address(text)
    read_address("https://" + text)
    assert ascii_host(text).isascii()


@pytest.mark.parametrize(
    ("host", "known", "expected"),
    [
        ("good.com", ["good.com"], True),
        ("good.com", ["GOOD.com."], True),
        ("sub.good.com", ["good.com"], False),
        ("sub.good.com", ["*.good.com"], True),
        ("good.com", ["*.good.com"], False),
        ("evilgood.com", ["*.good.com"], False),
        ("[::1]", ["[::1]"], True),
        ("", [""], False),
        ("xn--bcher-kva.example", ["bücher.example"], True),
    ],
)
def test_is_known(host: str, known: list[str], expected: bool) -> None:
    assert is_known(host, known) is expected


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://аpple.com/ä", "https://xn--pple-43d.com/ä"),
        ("see раypal.com!", "see xn--ypal-43d9g.com!"),
        ("see bücher.de and 日本語.jp", "see bücher.de and 日本語.jp"),
        ("https://bücher.de:80/", "https://xn--bcher-kva.de:80/"),
        ("https://ann@аpple.com", "https://ann@xn--pple-43d.com"),
        ("Конец. Start", "Конец. Start"),
        ("plain", "plain"),
    ],
)
def test_plain_hosts(text: str, shown: str) -> None:
    assert plain_hosts(text) == shown
    assert plain_hosts(shown) == shown
    assert safe(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("goo\u200dgle", "goo\\u200dgle"),  # a joiner joins letters of its own script only
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("🎉\u200c\u200d\u200c\u200c", "🎉\\u200c\\u200d\\u200c\\u200c"),
        ("a\U000e0100\U000e01efb", "a\\U000e0100\\U000e01efb"),  # bytes smuggled in variation selectors
        ("\u3164name", "\\u3164name"),
        ("a\u2800b", "a\\u2800b"),
        ("❤\ufe0f", "❤\ufe0f"),
    ],
)
def test_visible(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert visible(shown) == shown


@given(st.text())
def test_visible_is_stable(text: str) -> None:
    for exact in (False, True):
        once = safe(text, exact=exact)
        assert safe(once, exact=exact) == once
