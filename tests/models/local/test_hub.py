"""Files from a Hub repository, against a real server that speaks its protocol on this machine."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mainspring.errors import ModelError
from mainspring.models.local.hub import HubFile, fetch, parse_hub_name

DATA = b"GGUF" + os.urandom(900_000)
SHA = hashlib.sha256(DATA).hexdigest()
FILE = HubFile("org/repo", "m.gguf")


@dataclass
class Behaviour:
    """How the servers answer; tests change it."""

    sha: str = SHA
    size: int = len(DATA)
    says_size: bool = True
    data: bytes = DATA
    cut_after: list[int] = field(default_factory=list)  # answers that break off after so many bytes
    takes_ranges: bool = True
    status: int = 302
    renamed: bool = False
    large: bool = True  # stored apart, with its digest in the answer, or plainly in the repository
    seen: list[tuple[str, str, str, str | None, str | None]] = field(default_factory=list)


@dataclass
class Hub:
    behaviour: Behaviour
    address: str
    store: str


def server(handle: type[BaseHTTPRequestHandler]) -> tuple[ThreadingHTTPServer, str]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), handle)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    return made, f"http://127.0.0.1:{made.server_address[1]}"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """An endpoint and the store that it redirects to, and an empty cache."""
    do = Behaviour()

    class Quiet(BaseHTTPRequestHandler):
        where = ""

        def log_message(self, format: str, *args: object) -> None:
            pass

        def note(self) -> None:
            headers = self.headers
            do.seen.append((self.where, self.command, self.path, headers.get("Range"), headers.get("Authorization")))

        def send_file(self) -> None:
            start = 0
            if do.takes_ranges and (wanted := self.headers.get("Range")):
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(do.data) - 1}/{len(do.data)}")
            self.send_header("Content-Length", str(len(do.data) - start))
            self.end_headers()
            end = start + do.cut_after.pop(0) if do.cut_after else len(do.data)
            self.wfile.write(do.data[start:end])

    class Store(Quiet):
        where = "store"

        def do_GET(self) -> None:
            self.note()
            self.send_file()

    store, store_address = server(Store)

    class Endpoint(Quiet):
        where = "hub"

        def do_HEAD(self) -> None:
            self.note()
            if do.renamed and self.path.startswith("/org/repo/"):
                self.send_response(307)
                self.send_header("Location", self.path.replace("/org/repo/", "/org/new/"))
            elif do.status != 302:
                self.send_response(do.status)
                self.send_header("X-Error-Message", "as told")
                self.send_header("Retry-After", "7")
            elif do.large:
                self.send_response(302)
                self.send_header("Location", f"{store_address}/bytes")
                self.send_header("X-Linked-ETag", f'"{do.sha}"')
                if do.says_size:
                    self.send_header("X-Linked-Size", str(do.size))
            else:
                self.send_response(200)
                self.send_header("ETag", 'W/"0123456789abcdef0123456789abcdef01234567"')
                self.send_header("Content-Length", str(do.size))
            self.end_headers()

        def do_GET(self) -> None:
            self.note()
            self.send_file()

    endpoint, address = server(Endpoint)
    monkeypatch.setenv("HF_ENDPOINT", address + "/")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("MAINSPRING_CACHE", str(tmp_path))
    yield Hub(do, address, store_address)
    for one in (store, endpoint):
        one.shutdown()
        one.server_close()


def requests(hub: Hub) -> list[tuple[str, str]]:
    return [(where, method) for where, method, *_ in hub.behaviour.seen]


def test_a_large_file_comes_from_the_store_and_is_checked(hub: Hub, tmp_path: Path) -> None:
    seen: list[int] = []
    path = fetch(FILE, report=lambda done, total: seen.append(done))
    assert path == tmp_path / "models" / "hf" / "org" / "repo" / "main" / "m.gguf"
    assert path.read_bytes() == DATA
    assert seen[-1] == len(DATA)
    assert hub.behaviour.seen[0][2] == "/org/repo/resolve/main/m.gguf"
    assert requests(hub) == [("hub", "HEAD"), ("store", "GET")]
    assert [one.name for one in path.parent.iterdir() if "partial" in one.name] == []


def test_a_fetched_file_needs_no_network(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fetch(FILE)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert fetch(FILE) == path
    os.utime(path, (1, 1))
    assert fetch(FILE) == path


def test_a_broken_connection_goes_on_where_it_stopped(hub: Hub) -> None:
    hub.behaviour.cut_after = [300_000, 200_000]
    assert fetch(FILE).read_bytes() == DATA
    ranges = [wanted for where, method, _, wanted, _ in hub.behaviour.seen if (where, method) == ("store", "GET")]
    assert ranges == [None, "bytes=300000-", "bytes=500000-"]


def test_a_server_without_ranges_starts_over(hub: Hub) -> None:
    hub.behaviour.cut_after = [300_000]
    hub.behaviour.takes_ranges = False
    assert fetch(FILE).read_bytes() == DATA


def test_an_interrupted_process_goes_on_later(hub: Hub) -> None:
    stop = threading.Event()
    with pytest.raises(ModelError, match="stopped"):
        fetch(FILE, stop=stop, report=lambda done, _: stop.set())
    assert fetch(FILE).read_bytes() == DATA
    last = [wanted for where, _, _, wanted, _ in hub.behaviour.seen if where == "store"][-1]
    assert last is not None


def test_other_bytes_are_refused_and_deleted(hub: Hub, tmp_path: Path) -> None:
    hub.behaviour.sha = "0" * 64
    with pytest.raises(ModelError, match=f"SHA-256 {'0' * 64}, found {len(DATA)} with {SHA}"):
        fetch(FILE)
    assert not [one for one in tmp_path.rglob("m.gguf*") if one.suffix != ".lock"]


def test_more_bytes_than_announced_are_refused(hub: Hub) -> None:
    hub.behaviour.size = 1000
    with pytest.raises(ModelError, match="more than the 1000 bytes"):
        fetch(FILE)


def test_a_small_file_without_digest_is_checked_by_size(hub: Hub) -> None:
    hub.behaviour.large = False
    assert fetch(FILE).read_bytes() == DATA
    assert requests(hub) == [("hub", "HEAD"), ("hub", "GET")]


def test_a_renamed_repository_is_followed(hub: Hub) -> None:
    hub.behaviour.renamed = True
    assert fetch(FILE).read_bytes() == DATA


def test_the_token_stays_with_the_endpoint(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    fetch(FILE)
    tokens = {where: token for where, _, _, _, token in hub.behaviour.seen}
    assert tokens == {"hub": "Bearer secret", "store": None}


@pytest.mark.parametrize(
    ("status", "words", "retryable"),
    [
        (401, "set HF_TOKEN", False),
        (403, "accept the conditions", False),
        (404, "check the names", False),
        (429, "try again later", True),
        (503, "try again later", True),
    ],
)
def test_a_refusal_is_explained(hub: Hub, status: int, words: str, retryable: bool) -> None:
    hub.behaviour.status = status
    with pytest.raises(ModelError, match=words) as caught:
        fetch(FILE)
    assert f"answered {status} as told" in str(caught.value)
    assert (caught.value.retryable, caught.value.status, caught.value.retry_after_s) == (retryable, status, 7.0)


def test_an_answer_without_a_length_is_no_hub(hub: Hub) -> None:
    hub.behaviour.says_size = False
    with pytest.raises(ModelError, match="is HF_ENDPOINT right"):
        fetch(FILE)


def test_no_network_is_said_and_may_be_tried_again(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match="cannot reach") as caught:
        fetch(FILE)
    assert caught.value.retryable


def test_a_model_in_several_files_is_fetched_whole(hub: Hub) -> None:
    path = fetch(HubFile("org/repo", "q4/m-00001-of-00003.gguf"))
    assert sorted(one.name for one in path.parent.glob("*.gguf")) == [f"m-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    assert path.name == "m-00001-of-00003.gguf"


def test_names_of_files() -> None:
    assert parse_hub_name("Org/Re.po-1/sub/m.gguf") == HubFile("Org/Re.po-1", "sub/m.gguf")
    assert parse_hub_name("o/r@v1.0/m.gguf") == HubFile("o/r", "m.gguf", "v1.0")


@pytest.mark.parametrize(
    "name", ["o/m.gguf", "o/r/m.bin", "o/r/../m.gguf", "../r/m.gguf", "o/r//m.gguf", "o/r@../m.gguf"]
)
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(ModelError, match="write hf/ORG/REPO/FILE"):
        parse_hub_name(name)


def test_an_endpoint_that_is_no_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "file:///etc")
    with pytest.raises(ModelError, match="file:///etc"):
        fetch(FILE)
