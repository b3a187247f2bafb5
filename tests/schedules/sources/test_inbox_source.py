"""An inbox folder: each file once, whole, by one server, and put away with what became of it."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from mainspring.errors import DeclarationError, MainspringError
from mainspring.schedules.sources import InboxSource


class Server:
    """A server on an inbox, with a state that goes through JSON, and a clock."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.outcomes: dict[str, tuple[str, str]] = {}
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.source = InboxSource(str(folder), outcome=self.outcomes.get, **options)
        self.state: Any = {}
        self.now = 1000.0
        self.look()

    def look(self, after: float = 0.0, keep_state: bool = True) -> list[Any]:
        self.now += after
        polled = self.source.poll(self.state, self.now)
        if keep_state:
            self.state = json.loads(json.dumps(polled.state))
        return list(polled.items)

    def settled(self) -> list[Any]:
        """What a first look and, after the time to settle, a second one find."""
        return self.look() + self.look(3.0) + self.look()

    def there(self, where: str) -> list[str]:
        return sorted(n.partition("-")[2] for n in os.listdir(self.folder / where))

    def reasons(self, where: str) -> list[str]:
        return sorted(p.read_text().strip() for p in (self.folder / where).glob("*.reason.txt"))


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path / "inbox")


def test_a_file_is_an_item_once_and_is_put_away(server: Server) -> None:
    (server.folder / "order.txt").write_text("ten chairs")
    (item,) = server.settled()
    assert (item.payload["name"], item.payload["text"], item.payload["bytes"]) == ("order.txt", "ten chairs", 10)
    assert Path(item.payload["path"]).read_text() == "ten chairs"
    assert not item.label.trusted
    assert server.settled() == []
    server.outcomes[item.id] = ("done", "")
    assert server.settled() == []
    assert (server.there("done"), server.reasons("done")) == (["order.txt"], [])
    assert list((server.folder / "working").rglob("*order*")) == []


def test_a_failed_one_has_its_reason_beside_it(server: Server) -> None:
    (server.folder / "order.txt").write_text("ten chairs")
    (item,) = server.settled()
    server.outcomes[item.id] = ("failed", "the limit of 2 USD was reached")
    server.look()
    assert server.there("failed") == ["order.txt", "order.txt.reason.txt"]
    assert server.reasons("failed") == ["the limit of 2 USD was reached"]


def test_half_written_is_left_until_it_rests(server: Server) -> None:
    with open(server.folder / "slow", "w") as out:
        for _ in range(4):
            out.write("x")
            out.flush()
            assert server.look(1.9) == []
        assert os.path.exists(server.folder / "slow")
        server.look(2.0)  # claimed, and its writer goes on: it has been moved under its hands
        out.write("y")
        out.flush()
        server.state["handed"] = {}
        (server.folder / "other.part").write_text("z")
        (server.folder / ".hidden").write_text("z")
    assert [i.payload["name"] for i in server.settled()] in ([], ["slow"])
    assert {"other.part", ".hidden"} <= set(os.listdir(server.folder))


def test_a_writer_that_goes_on_after_the_claim_is_waited_for(server: Server) -> None:
    file = server.folder / "slow"
    file.write_text("half")
    server.look()
    with open(file, "a") as out:
        found = server.source.poll
        real = os.rename

        def renamed(*given: Any, **named: Any) -> None:
            real(*given, **named)
            out.write(" and the rest")
            out.flush()

        os.rename = renamed  # type: ignore[assignment]
        try:
            polled = found(server.state, server.now + 3)
        finally:
            os.rename = real
    assert polled.items == ()
    server.state, server.now = json.loads(json.dumps(polled.state)), server.now + 3
    (item,) = server.settled()
    assert item.payload["text"] == "half and the rest"


def test_killed_before_the_state_was_written_the_same_items_come_again(server: Server) -> None:
    for n in range(3):
        (server.folder / f"f{n}").write_text(str(n))
    server.look()
    first = server.look(3.0, keep_state=False)
    assert len(first) == 3
    again = server.look()
    assert sorted(i.id for i in again) == sorted(i.id for i in first)
    assert server.look() == []


def test_empty_and_huge_files_fail_with_a_reason(tmp_path: Path) -> None:
    server = Server(tmp_path / "inbox", max_bytes=1000)
    (server.folder / "empty").touch()
    with open(server.folder / "huge", "wb") as out:
        out.truncate(1 << 40)
    assert server.settled() == []
    assert server.reasons("failed") == ["1,099,511,627,776 bytes, and at most 1,000 are taken", "empty"]


def test_the_same_content_counts_once_unless_asked(tmp_path: Path) -> None:
    for again, count in ((False, 1), (True, 2)):
        server = Server(tmp_path / f"inbox-{again}", again=again)
        (server.folder / "a").write_text("same")
        found = server.settled()
        (server.folder / "b").write_text("same")
        found += server.settled()
        assert len(found) == count
        assert server.reasons("done") == ["the same content was here before; it did not count again"][: 2 - count]


def test_broken_names_and_no_text(server: Server) -> None:
    names = [b"\xff\xfe.bin", "ü\u202efdp.exe".encode(), b"a\nb", b"-rf", b"x" * 255]
    for number, name in enumerate(names):
        with open(os.fsencode(server.folder) + b"/" + name, "wb") as out:
            out.write(b"\0%d" % number)
    items = server.settled()
    assert len(items) == len(names)
    shown = {i.payload["name"] for i in items}
    assert "üfdp.exe" in shown
    assert "a_b" in shown
    assert not any("text" in i.payload for i in items)
    for item in items:
        json.dumps(item.payload, ensure_ascii=False).encode()
        server.outcomes[item.id] = ("failed", "no text \ud800")
    server.look()
    assert len(server.there("failed")) == 2 * len(names)


def test_two_servers_share_the_files(tmp_path: Path) -> None:
    one, other = Server(tmp_path / "inbox"), Server(tmp_path / "inbox")
    for n in range(60):
        (one.folder / f"f{n}").write_text(str(n))
    found: list[list[Any]] = [[], []]
    start = threading.Barrier(2)

    def work(server: Server, into: list[Any]) -> None:
        server.look()
        start.wait()
        into += server.look(3.0) + server.look()

    threads = [threading.Thread(target=work, args=given) for given in zip((one, other), found, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    texts = [i.payload["text"] for items in found for i in items]
    assert sorted(texts, key=int) == [str(n) for n in range(60)]


def test_a_folder_that_is_not_there_or_is_no_folder(tmp_path: Path) -> None:
    server = Server(tmp_path / "inbox")
    os.rename(server.folder, tmp_path / "away")
    with pytest.raises(MainspringError, match="cannot be used: No such file"):
        server.look()
    server.folder.touch()
    with pytest.raises(MainspringError, match="must be folders"):
        server.look()


@pytest.mark.parametrize(
    ("folder", "options"), [("inbox", {}), ("/a\0b", {}), ("/a", {"every_s": 0}), ("/a", {"max_bytes": 0})]
)
def test_inboxes_that_do_not_fit(folder: str, options: Any) -> None:
    with pytest.raises(DeclarationError):
        InboxSource(folder, **options)
