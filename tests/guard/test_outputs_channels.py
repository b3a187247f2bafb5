"""Who may read what is shown, and what a URL would tell to whom."""

from __future__ import annotations

import pytest

from mainspring.guard.outputs import PUBLIC, Channel, check_url, may_show
from mainspring.label import MODEL, USER, Label

ANN = Label(frozenset({"made:bank"}), frozenset({"ann"}))
MAIL = Label(frozenset({"tool:mail"}))
WEB = Label(frozenset({"tool:web"}))


@pytest.mark.parametrize(
    ("readers", "channel", "refused"),
    [
        (None, PUBLIC, False),
        (None, Channel("terminal", frozenset({"ann"})), False),
        ({"ann"}, PUBLIC, True),
        ({"ann"}, Channel("terminal", frozenset({"ann"})), False),
        ({"ann", "ben"}, Channel("terminal", frozenset({"ann"})), False),
        ({"ann"}, Channel("slack #all", frozenset({"ann", "ben"})), True),
        (set(), Channel("terminal", frozenset({"ann"})), True),
        (set(), Channel("nowhere", frozenset()), False),
    ],
)
def test_may_show(readers: set[str] | None, channel: Channel, refused: bool) -> None:
    label = Label(frozenset(), None if readers is None else frozenset(readers))
    assert (may_show(label, channel) is not None) == refused


def test_the_reason_names_who_would_read_it() -> None:
    reason = may_show(Label(frozenset(), frozenset({"ann"})), Channel("slack #all", frozenset({"ann", "ben"})))
    assert reason == "slack #all is read by ben too, and this may be read only by ann"


def test_a_joined_label_is_as_closed_as_its_parts() -> None:
    both = Label(frozenset(), frozenset({"ann", "ben"})).join(Label(frozenset(), frozenset({"ben", "eve"})))
    assert may_show(both, Channel("ben's mail", frozenset({"ben"}))) is None
    assert may_show(both, Channel("ann's mail", frozenset({"ann"}))) is not None


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ([("https://good.com/a?b=c#d", USER)], None),
        ([("https://evil.example/a?b=c", WEB)], None),  # whole from one stranger: tells it nothing new
        ([("https://api.example/v1/", USER), ("42", ANN)], "read only by ann"),
        ([("https://evil.example/?d=", WEB), ("balance", ANN)], "read only by ann"),
        ([("https://evil.example/#", WEB), ("balance", ANN)], "read only by ann"),
        ([("https://", USER), ("balance", ANN), (".evil.example/", WEB)], "put together"),
        ([("https://balance.", WEB), ("evil.example/", USER)], "put together"),
        ([("https://evil.example/?d=", WEB), ("subject", MAIL)], "named by tool:web"),
        ([("https://", USER), ("evil.example", WEB), ("/robots.txt", MODEL)], None),
        ([("https://", MODEL), ("evil.example", WEB), ("/?m=", MODEL), ("subject", MAIL)], "named by tool:web"),
        ([("https://good.com/?q=", USER), ("a-word_1.2~%20x", WEB)], None),
        ([("https://good.com/", USER), ("../redirect", WEB)], "more than data"),
        ([("https://good.com/", USER), ("a?to=x", WEB)], "more than data"),
        ([("https://good.com", USER), ("@evil.example/", WEB)], "not plainly written"),
        ([("https://good.com", USER), (".evil.example/", WEB)], "put together"),
        ([("https://good.com", USER), (":99/", WEB)], "put together"),
        ([("https://user:pw@good.com/", USER)], "not plainly written"),
        ([("https://good.com\\@evil.example/", USER)], "not plainly written"),
        ([("https:/good.com/", USER)], "not plainly written"),
        ([("https://2130706433/", USER)], "not plainly written"),
        ([("https://good.com/a b", USER)], "blanks"),
        ([("java\tscript:alert(1)", USER)], "blanks"),
        ([("javascript:alert(1)", USER)], "javascript scheme"),
        ([("file:///etc/passwd", USER)], "file scheme"),
        ([("/relative", USER)], "no scheme"),
        ([("", USER)], "no scheme"),
        ([("https://", USER)], "no readable host"),
    ],
)
def test_check_url(parts: list[tuple[str, Label]], why: str | None) -> None:
    found = check_url(parts)
    assert (found is None) if why is None else (found is not None and why in found), found


def test_private_data_goes_where_its_readers_are() -> None:
    parts = [("https://wiki.corp.example/?q=", USER), ("secret", ANN)]
    assert check_url(parts) is not None
    assert check_url(parts, known_hosts={"wiki.corp.example"}) is not None  # known is not the same as ours
    assert check_url(parts, inside={"*.corp.example"}) is None
    label = Label(frozenset(), frozenset({"ann", "host:wiki.corp.example"}))
    assert check_url([("https://wiki.corp.example/?q=", USER), ("secret", label)]) is None


def test_a_known_host_may_be_told_public_data_by_whoever_named_it() -> None:
    parts = [("https://good.com/?q=", WEB), ("subject", MAIL)]
    assert check_url(parts) is not None
    assert check_url(parts, known_hosts={"good.com"}) is None


def test_a_reason_quotes_no_value() -> None:
    reason = check_url([("https://evil.example/?d=", WEB), ("hunter2-balance", ANN)])
    assert reason is not None
    assert "hunter2" not in reason
