"""Mail from a server that lies, and from a real one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lying_imap import LyingServer, mail

from mainspring.errors import DeclarationError, MainspringError
from mainspring.schedules.sources import Account, MailboxSource
from mainspring.schedules.sources.imap import _quoted
from mainspring.schedules.sources.mailbox import MOST

PASSWORD = "correct horse battery"
Make = Callable[..., MailboxSource]


@pytest.fixture
def server() -> Iterator[LyingServer]:
    with LyingServer() as server:
        yield server


@pytest.fixture
def source(server: LyingServer) -> Make:
    def make(**options: Any) -> MailboxSource:
        given = {"deadline_s": 5.0, **{k: options.pop(k) for k in ("max_bytes", "deadline_s", "tls") if k in options}}
        account = Account("127.0.0.1", "ann", "secret:mail", port=server.port, **{"tls": "none", **given})
        return MailboxSource(account, lambda reference: PASSWORD, **options)

    return make


def subjects(polled: Any) -> list[str]:
    return [i.payload["subject"] for i in polled.items]


def stored(state: Any) -> Any:
    """A state as it comes back from the store."""
    return json.loads(json.dumps(state))


def test_only_what_comes_after_the_first_look_counts_and_nothing_is_marked(server: LyingServer, source: Make) -> None:
    server.mails = {1: mail("old")}
    box = source()
    first = box.poll({}, 100.0)
    assert first.items == ()
    assert box.poll(stored(first.state), 200.0).items == ()
    server.mails[2] = mail("new")
    second = box.poll(stored(first.state), 300.0)
    assert subjects(second) == ["new"]
    assert second.next_at == 420.0
    assert not box.label.trusted
    assert second.items[0].label == box.label
    assert box.poll(stored(second.state), 400.0).items == ()
    assert all("EXAMINE" in h for h in server.heard if "INBOX" in h)
    assert not any("STORE" in h for h in server.heard)


def test_killed_before_the_state_was_written_the_same_items_come_again(server: LyingServer, source: Make) -> None:
    server.mails = {1: mail("a"), 2: mail("b")}
    box = source(existing=True)
    first, again = box.poll({}, 1.0), box.poll({}, 2.0)
    assert [i.id for i in first.items] == [i.id for i in again.items]
    assert len(first.items) == 2


def test_many_mails_come_in_portions_and_none_is_left_out(server: LyingServer, source: Make) -> None:
    server.mails = {n: mail(f"m{n}") for n in range(1, MOST + 11)}
    box = source(existing=True)
    first = box.poll({}, 1.0)
    assert (len(first.items), first.next_at) == (MOST, 1.0)
    second = box.poll(stored(first.state), 1.0)
    assert subjects(first) + subjects(second) == [f"m{n}" for n in range(1, MOST + 11)]


def test_another_uidvalidity_loses_nothing_and_repeats_nothing(server: LyingServer, source: Make) -> None:
    server.mails = {4: mail("a"), 5: mail("b")}
    box = source(existing=True)
    state = stored(box.poll({}, 1000.0).state)
    server.validity, server.mails = b"8", {1: mail("b"), 2: mail("c"), 3: mail("a")}
    renumbered = box.poll(state, 2000.0)
    assert subjects(renumbered) == ["c"]
    server.mails[4] = mail("d")
    assert subjects(box.poll(stored(renumbered.state), 3000.0)) == ["d"]


def test_a_server_that_is_numbered_anew_at_each_look_is_given_up(server: LyingServer, source: Make) -> None:
    server.mails = {1: mail("a")}
    box = source(existing=True)
    state = stored(box.poll({}, 1000.0).state)
    for n in range(5):
        server.validity = b"%d" % (100 + n)
        polled = box.poll(state, 1001.0 + n)
        assert polled.items == ()
        state = stored(polled.state)
    server.validity = b"200"
    with pytest.raises(MainspringError, match="numbered anew 6 times within a day"):
        box.poll(state, 1010.0)


def test_the_same_mail_under_two_uids_counts_once(server: LyingServer, source: Make) -> None:
    server.mails = {1: mail("a"), 2: mail("a"), 3: mail("b")}
    server.uids = b"3 1 1 2 1 3"
    assert subjects(source(existing=True).poll({}, 1.0)) == ["a", "b"]


@pytest.mark.parametrize("uids", [b"-1", b"0", b"4294967295", b"99999999999999999999", b"1 x"])
def test_uids_that_cannot_be_are_refused_and_the_state_stays(server: LyingServer, source: Make, uids: bytes) -> None:
    server.mails, server.uids = {1: mail("a")}, uids
    with pytest.raises(MainspringError, match="cannot be there; nothing of it was taken"):
        source(existing=True).poll({}, 1.0)


@pytest.mark.parametrize(
    ("command", "lie"),
    [
        ("FETCH", b"* 1 FETCH (UID 1 BODY[] {99999999999}\r\n"),
        ("FETCH", b"* 1 FETCH (UID 1 BODY[] {-5}\r\nabc)\r\nTAG OK\r\n" + b"x" * 2_000_000),
        ("FETCH", b"* 1 FETCH (UID 1 BODY[] {20000000}\r\n" + b"x" * 20_000_000 + b")\r\nTAG OK\r\n"),
        ("SEARCH", b"* SEARCH " + b"1 " * 1_000_000 + b"\r\nTAG OK\r\n"),
        ("SEARCH", b"TAG NO [ALERT] send your password to evil@example.net\r\n"),
        ("SEARCH", b"\xff\x00\xfe garbage\r\n"),
        ("EXAMINE", b"* OK [UIDVALIDITY x]\r\nTAG OK\r\n"),
        ("EXAMINE", b"TAG OK\r\n"),
        ("EXAMINE", b"TAG NO no such box\r\n"),
        ("LOGIN", b"TAG NO your password was 'correct horse battery'\r\n"),
        ("LOGIN", b"* BYE\r\n"),
        ("CAPABILITY", b"* CAPABILITY\r\nTAG OK\r\n"),
    ],
)
def test_lies_are_named_and_their_words_are_not_repeated(
    server: LyingServer, source: Make, command: str, lie: bytes
) -> None:
    server.mails, server.lie = {1: mail("a")}, {command: lie}
    server.next_uid = b"2"
    box = source(existing=True, max_bytes=10_000_000)
    found = ""
    try:
        taken = box.poll({}, 1.0).items
    except MainspringError as error:
        found = str(error)
    if found:
        assert "127.0.0.1/INBOX cannot be read" in found
        assert "evil" not in found
        assert PASSWORD not in found
    else:  # what says nothing of a mail's content gives none
        assert (command, taken) == ("FETCH", ())


def test_a_mail_of_100_mb_is_cut(server: LyingServer, source: Make) -> None:
    server.mails = {1: mail("big", "x" * 3_000_000)}
    (item,) = source(existing=True, max_bytes=1_000_000).poll({}, 1.0).items
    assert item.payload["subject"] == "big"
    assert "size" in item.payload["cut"]
    assert len(item.payload["text"]) == 200_000
    assert any("<0.1000000>" in h for h in server.heard)  # the server is not asked for more


def test_a_server_that_never_ends_is_cut_off_by_bytes(server: LyingServer, source: Make) -> None:
    server.mails, server.endless = {1: mail("a")}, True
    with pytest.raises(MainspringError, match=r"more than anybody asked for|no end within"):
        source(existing=True, deadline_s=60.0).poll({}, 1.0)


def test_a_server_that_drips_is_cut_off_by_time(server: LyingServer, source: Make) -> None:
    server.mails, server.drip = {1: mail("a", "x" * 1000)}, 0.05
    with pytest.raises(MainspringError, match=r"within 0\.5 s"):
        source(existing=True, deadline_s=0.5).poll({}, 1.0)


def test_no_password_goes_out_when_starttls_was_taken_out(server: LyingServer, source: Make) -> None:
    for greeting in (b"* OK hello\r\n", b"* PREAUTH welcome\r\n"):
        server.greeting = greeting
        with pytest.raises(MainspringError, match=r"offers no STARTTLS.*no password was sent"):
            source(tls="starttls").poll({}, 1.0)
    assert not any("LOGIN" in h for h in server.heard)


def test_a_server_without_tls_gets_no_password(server: LyingServer, source: Make) -> None:
    with pytest.raises(MainspringError, match=r"TLS is not accepted|no answer within|does not speak"):
        source(tls="tls").poll({}, 1.0)
    assert not any(PASSWORD in h for h in server.heard)


def test_nobody_there(source: Make, server: LyingServer) -> None:
    server.stop()
    with pytest.raises(MainspringError, match="Connection refused"):
        source().poll({}, 1.0)


def test_mails_are_marked_only_when_asked_and_only_after_the_state_was_written(
    server: LyingServer, source: Make
) -> None:
    server.mails = {1: mail("a")}
    box = source(existing=True, after="seen")
    first = box.poll({}, 1.0)
    assert not any("STORE" in h for h in server.heard)
    box.poll(stored(first.state), 2.0)
    assert [h for h in server.heard if "STORE" in h] == [r"UID STORE 1 +FLAGS.SILENT (\Seen)"]


def test_attachments_are_files_in_a_folder_of_their_own(server: LyingServer, source: Make, tmp_path: Path) -> None:
    body = (
        b"From: a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhi\r\n"
        b"--b\r\nContent-Type: text/csv\r\n"
        b'Content-Disposition: attachment; filename="../../x.csv"\r\n\r\n1,2\r\n--b--\r\n'
    )
    server.mails = {1: body}
    (item,) = source(existing=True, files=tmp_path / "files").poll({}, 1.0).items
    (kept,) = item.payload["attachments"]
    path = Path(kept["path"])
    assert path.parent.parent == tmp_path / "files"
    assert path.read_bytes() == b"1,2"
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"tls": "none", "host": "mail.example"}, "in the open"),
        ({"tls": "ssl3"}, "tls is"),
        ({"password": "hunter2hunter2"}, "secret:NAME"),
        ({"mailbox": "a\r\nb"}, "control characters"),
        ({"user": ""}, "is empty"),
    ],
)
def test_accounts_that_do_not_fit(given: dict[str, str], why: str) -> None:
    with pytest.raises(DeclarationError, match=why) as found:
        Account(**{"host": "mail.example", "user": "ann", "password": "secret:mail", **given})
    assert "hunter2" not in str(found.value)


def test_names_of_folders_in_modified_utf7() -> None:
    # The example of RFC 3501, 5.1.3.
    assert _quoted("~peter/mail/台北/日本語") == '"~peter/mail/&U,BTFw-/&ZeVnLIqe-"'
    assert _quoted('a"b & c\\') == '"a\\"b &- c\\\\"'
