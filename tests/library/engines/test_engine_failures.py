"""What an engine behind HTTP makes of a server that fails: retries, errors that say what to do and hold no key."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import pytest
from speaking_server import Speaking, problem, said, speaking

from mainspring.errors import ModelError
from mainspring.library.embed.engines import open_engine
from mainspring.library.embed.engines.http import Client, Server, server_from
from mainspring.library.embed.protocol import Embedder

MODEL = "text-embedding-test"
KEY = "sk-secret-4711"


@pytest.fixture
def server() -> Iterator[Speaking]:
    with speaking(model=MODEL) as state:
        yield state


class Asleep:
    """Counts how long it was asked to sleep."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)


def engine(server: Speaking, **options: Any) -> Embedder:
    return open_engine(f"openai:{server.url}/v1#{MODEL}", revision="r", dimensions=16, **options)


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 529])
def test_failures_that_may_pass_are_tried_again(server: Speaking, status: int) -> None:
    asleep = Asleep()
    server.script["/v1/embeddings"] = [problem(status, "later"), problem(status, "later")]
    assert len(engine(server, sleep=asleep).documents(["x"])) == 1
    assert len(asleep.waits) == 2
    assert 0.3 < asleep.waits[0] < asleep.waits[1] < 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_failures_that_will_not_pass_are_told_at_once(server: Speaking, status: int) -> None:
    asleep = Asleep()
    server.script["/v1/embeddings"] = [problem(status, "because of\nthis")]
    with pytest.raises(ModelError, match=rf"(?s)status {status}\).*\(because of this\)") as caught:
        engine(server, sleep=asleep).documents(["x"])
    assert caught.value.status == status
    assert not caught.value.retryable
    assert asleep.waits == []


def test_what_a_person_has_to_do_is_said(server: Speaking) -> None:
    for status, words in {401: "MAINSPRING_KEY_127_0_0_1", 404: "check the model's name", 413: "`batch`"}.items():
        server.script["/v1/embeddings"] = [problem(status, "no")]
        with pytest.raises(ModelError, match=words):
            engine(server).documents(["x"])


def test_retry_after_is_kept_in_seconds_and_as_a_date(server: Speaking) -> None:
    asleep = Asleep()
    server.script["/v1/embeddings"] = [
        problem(429, "slow", Retry_After="7"),
        problem(503, "slow", Retry_After=formatdate(time.time() + 20, usegmt=True)),
        problem(429, "slow", Retry_After="soon"),
    ]
    engine(server, sleep=asleep).documents(["x"])
    assert asleep.waits[0] == 7
    assert 15 < asleep.waits[1] <= 20
    assert asleep.waits[2] < 4


def test_a_server_that_asks_for_too_long_a_wait_is_given_up(server: Speaking) -> None:
    asleep = Asleep()
    server.script["/v1/embeddings"] = [problem(429, "come back tomorrow", Retry_After="86400")]
    with pytest.raises(ModelError, match="is busy") as caught:
        engine(server, sleep=asleep).documents(["x"])
    assert caught.value.retry_after_s == 86400
    assert asleep.waits == []


def test_attempts_end(server: Speaking) -> None:
    asleep = Asleep()
    server.script["/v1/embeddings"] = [problem(500, "boom")] * 9
    with pytest.raises(ModelError, match=r"failed \(status 500\)") as caught:
        engine(server, sleep=asleep, tries=3).documents(["x"])
    assert caught.value.retryable
    assert len(server.bodies("/v1/embeddings")) == 3


def test_an_answer_that_is_too_long_is_not_read(server: Speaking) -> None:
    server.script["/v1/embeddings"] = [(200, {}, b'{"data": "' + b"x" * 3_000_000 + b'"}')]
    with pytest.raises(ModelError, match=r"longer than 100,000 bytes.*`batch`"):
        engine(server, max_answer_bytes=100_000).documents(["x"])


def test_a_packed_answer_counts_unpacked(server: Speaking) -> None:
    packed = gzip.compress(b"[" + b"0," * 20_000_000 + b"0]")
    server.script["/v1/embeddings"] = [(200, {"Content-Encoding": "gzip"}, packed)]
    with pytest.raises(ModelError, match="longer than 1,000,000 bytes"):
        engine(server, max_answer_bytes=1_000_000).documents(["x"])
    assert "gzip" not in server.asked[0][2].get("Accept-Encoding", "")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<html>It works!</html>", "not JSON"),
        (b"", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 200_000, "nested too deeply|not JSON"),
        (b'{"data": [' + b"9" * 10_000 + b"]}", "not JSON"),
    ],
)
def test_an_answer_that_is_no_json(server: Speaking, data: bytes, words: str) -> None:
    server.script["/v1/embeddings"] = [(200, {}, data)]
    with pytest.raises(ModelError, match=words):
        engine(server, tries=1).documents(["x"])


def test_a_dead_server_and_a_server_that_hangs_up() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        free = listening.getsockname()[1]
    asleep = Asleep()
    with pytest.raises(ModelError, match=r"cannot be reached.*check that the server runs") as caught:
        open_engine(f"openai:http://127.0.0.1:{free}/v1#m", sleep=asleep).documents(["x"])
    assert caught.value.retryable
    assert len(asleep.waits) == 3

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def hang_up() -> None:
            for _ in range(2):
                connection, _ = listening.accept()
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
                connection.close()

        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        address = f"openai:http://127.0.0.1:{listening.getsockname()[1]}/v1#m"
        with pytest.raises(ModelError, match="broke") as caught:
            open_engine(address, sleep=Asleep(), tries=2, revision="r", dimensions=4).documents(["x"])
        assert caught.value.retryable
        thread.join()


@pytest.mark.parametrize("drip", [False, True])
def test_a_server_that_says_nothing_or_a_byte_now_and_then(drip: bool) -> None:
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def dawdle() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(100)
                if drip:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n")
                while not done.wait(0.05):
                    if drip:
                        try:
                            connection.sendall(b" ")
                        except OSError:
                            return

        thread = threading.Thread(target=dawdle, daemon=True)
        thread.start()
        address = f"openai:http://127.0.0.1:{listening.getsockname()[1]}/v1#m"
        with pytest.raises(ModelError, match=r"did not answer within 0.3 s.*timeout_s") as caught:
            open_engine(address, tries=1, revision="r", dimensions=4, timeout_s=0.3).documents(["x"])
        assert caught.value.retryable
        done.set()
        thread.join()


def test_redirects_are_not_followed(server: Speaking) -> None:
    server.script["/v1/embeddings"] = [(307, {"Location": server.url + "/elsewhere"}, b"")]
    with pytest.raises(ModelError, match=r"has moved \(status 307\)"):
        engine(server).documents(["x"])
    assert [path for path, _, _ in server.asked] == ["/v1/embeddings"]


def test_keys_come_from_the_environment_and_stay_out_of_errors(
    server: Speaking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAINSPRING_KEY_127_0_0_1", KEY)
    server.script["/v1/embeddings"] = [problem(401, f"Incorrect API key provided: {KEY}")]
    with pytest.raises(ModelError, match=r"\*\*\*") as caught:
        engine(server).documents(["x"])
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None
    assert server.asked[0][2]["Authorization"] == f"Bearer {KEY}"
    monkeypatch.setenv("OTHER", "named")
    engine(server, key_name="OTHER").documents(["x"])
    assert server.asked[-1][2]["Authorization"] == "Bearer named"
    monkeypatch.delenv("OTHER")
    engine(server, key_name="OTHER").documents(["x"])  # the named one or none, never another
    assert "Authorization" not in server.asked[-1][2]


def test_a_key_that_is_no_header_is_not_repeated(server: Speaking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAINSPRING_KEY_127_0_0_1", KEY + "\nX: y")
    with pytest.raises(ModelError) as caught:
        engine(server, tries=1).documents(["x"])
    assert KEY not in str(caught.value)


def test_the_usual_key_never_goes_in_clear_over_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert server_from("https://api.example.com/v1#m", provider="openai").key() == KEY
    assert server_from("http://127.0.0.1:1/v1#m", provider="openai").key() == KEY
    assert server_from("http://api.example.com/v1#m", provider="openai").key() is None
    assert server_from("https://api.example.com#m").key() is None
    assert KEY not in repr(server_from("https://api.example.com/v1#m", provider="openai"))
    assert server_from("text-embedding-3-small", usual="https://api.openai.com/v1").url == "https://api.openai.com/v1"


def test_refusals_in_any_form_are_read(server: Speaking) -> None:
    for body in ({"detail": [{"msg": "bad field"}]}, {"message": "bad field"}, {"error": "bad field"}, "bad field"):
        server.script["/v1/embeddings"] = [said(body, 400)]
        with pytest.raises(ModelError, match=r"\(bad field\)"):
            engine(server).documents(["x"])
    server.script["/v1/embeddings"] = [(400, {}, b"x" * 5000)]
    with pytest.raises(ModelError) as caught:
        engine(server).documents(["x"])
    assert len(str(caught.value)) < 500


def test_a_closed_engine_says_so(server: Speaking) -> None:
    embedder = engine(server)
    embedder.close()
    embedder.close()
    with pytest.raises(ModelError, match="was closed"):
        embedder.documents(["x"])


def test_the_first_failure_of_many_requests_is_raised(server: Speaking) -> None:
    def one_bad(body: dict[str, Any]) -> Any:
        if "7" in body["input"]:
            return problem(400, "not this one")
        return server.answer("/v1/embeddings", body)

    server.script["/v1/embeddings"] = [one_bad] * 40
    with pytest.raises(ModelError, match="not this one"):
        engine(server, batch=1, parallel=4).documents([str(n) for n in range(20)])


def test_a_client_says_what_it_asks_as_utf8(server: Speaking) -> None:
    client = Client(Server(server.url, MODEL), "test")
    server.script["/x"] = [said({"ok": 1})]
    assert client.post(f"{server.url}/x", {"text": "水"}) == {"ok": 1}
    assert server.asked[-1][1] == {"text": "水"}
    json.dumps(server.asked[-1][1])
