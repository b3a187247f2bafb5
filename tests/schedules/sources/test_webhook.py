"""Webhooks: on disk before yes, once, and nothing told to who cannot sign."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mainspring.errors import DeclarationError, StoreError, ToolError
from mainspring.schedules.sources import SCHEMES, Hook, WebhookSource, sign, webhook_app
from mainspring.schedules.sources.signatures import key_of, read, verified
from mainspring.store import Store, open_store

KEYS = {"secret:new": base64.b64encode(b"k" * 24).decode(), "secret:old": base64.b64encode(b"o" * 24).decode()}
BODY = b'{"id": "evt_1", "text": "hello"}'
JSON = {"Content-Type": "application/json; charset=utf-8"}


class Door:
    """The app, a client for it, and a clock."""

    def __init__(self, store: Store, *hooks: Hook, **options: Any) -> None:
        self.now = 1_000_000.0
        self.woken: list[str] = []
        self.keys = dict(KEYS)
        self.app = webhook_app(
            store, hooks, self.resolve, clock=lambda: self.now, wake=self.woken.append, **options
        )  # fmt: skip

    def resolve(self, reference: str) -> str:
        if reference not in self.keys:
            raise ToolError(f"{reference} is not set")
        return self.keys[reference]

    def post(self, path: str, body: bytes | AsyncIterator[bytes], headers: dict[str, str]) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://local") as client:
                return await client.post(path, content=body, headers=headers)

        return asyncio.run(send())

    def signed(self, body: bytes = BODY, *, key: str = "secret:new", path: str = "/hooks/orders", **said: Any) -> int:
        scheme = said.pop("scheme", "timestamp")
        headers = sign(KEYS[key], body, at=said.pop("at", self.now), scheme=scheme, id=said.pop("id", "msg_1"))
        return self.post(path, body, JSON | headers | said.pop("headers", {})).status_code


@pytest.fixture
def store(home: Path) -> Store:
    return open_store(home)


def hook(**options: Any) -> Hook:
    return Hook("orders", options.pop("secrets", ("secret:new", "secret:old")), **options)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_signed_delivery_is_on_disk_when_it_is_acknowledged_and_comes_once(store: Store, scheme: str) -> None:
    door = Door(store, hook(scheme=scheme))
    assert door.signed(scheme=scheme) == 202
    assert door.woken == ["orders"]
    assert door.signed(scheme=scheme) == 200
    source = WebhookSource(store, "orders")
    first = source.poll({}, door.now)
    (item,) = first.items
    assert json.loads(item.payload["body"])["text"] == "hello"
    assert not item.label.trusted
    # Killed before the state was written: the same again.
    assert [i.id for i in source.poll({}, door.now).items] == [item.id]
    second = source.poll(json.loads(json.dumps(first.state)), door.now)
    assert second.items == ()
    assert store.all_kept("delivery_body") == []
    assert door.signed(scheme=scheme) == 200  # known also when it was taken
    assert source.poll(second.state, door.now).items == ()
    assert source.poll({}, door.now + 31 * 86_400).items == ()
    assert store.all_kept("delivery") == []


def test_the_schemes_as_their_publishers_describe_them() -> None:
    def good(scheme: str, headers: dict[str, str], body: bytes, secret: str) -> bool:
        signed = read(scheme, list(headers.items()), body)
        return signed is not None and verified(signed, [key_of(scheme, secret)])

    # The example of "Validating webhook deliveries" at docs.github.com.
    value = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    body = b"Hello, World!"
    assert good("github", {"X-Hub-Signature-256": value}, body, "It's a Secret to Everybody")
    assert not good("github", {"X-Hub-Signature-256": value}, body + b"!", "It's a Secret to Everybody")
    # The example of the Standard Webhooks reference libraries.
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    headers = {"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330"}
    right = {"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}
    assert good("standard", headers | right, body, secret)
    many = {"webhook-signature": "v1a,xx v1,AAAA " + right["webhook-signature"]}
    assert good("standard", headers | many, body, secret)
    # Stripe's, made by hand: t and every v1, others ignored.
    made = hmac.new(b"whsec_test", b"1492774577." + body, hashlib.sha256).hexdigest()
    assert good("stripe", {"Stripe-Signature": f"t=1492774577,v0=00,v1={'0' * 64},v1={made}"}, body, "whsec_test")
    assert not good("stripe", {"Stripe-Signature": f"t=1492774578,v1={made}"}, body, "whsec_test")


def test_a_key_is_changed_without_losing_a_delivery(store: Store) -> None:
    door = Door(store, hook())
    assert [door.signed(b"1", key="secret:old"), door.signed(b"2", key="secret:new")] == [202, 202]
    del door.keys["secret:old"]  # taken out, and the other one goes on
    assert [door.signed(b"3", key="secret:old"), door.signed(b"4", key="secret:new")] == [401, 202]
    door.keys.clear()
    assert door.signed(b"5") == 401


def test_what_cannot_sign_is_told_the_same_whatever_is_wrong(store: Store) -> None:
    door = Door(store, hook())
    wrong = JSON | sign("another key that nobody has", BODY, at=door.now)
    answers = [
        door.post("/hooks/orders", BODY, wrong),
        door.post("/hooks/orders", BODY, JSON),
        door.post("/hooks/nothing", BODY, wrong),
        door.post("/hooks/nothing", BODY, JSON | sign(KEYS["secret:new"], BODY, at=door.now)),
        door.post("/hooks/orders", BODY, JSON | sign(KEYS["secret:new"], BODY, at=door.now - 301)),
        door.post("/hooks/orders", BODY, JSON | sign(KEYS["secret:new"], BODY, at=door.now + 301)),
        door.post("/hooks/orders", BODY, wrong | {"Content-Type": "video/mp4"}),
    ]
    assert {(a.status_code, a.content, tuple(a.headers.items())) for a in answers} == {
        (401, b"", (("content-length", "0"),))
    }
    assert store.all_kept("delivery") == []


def test_too_large_by_what_it_says_or_by_what_it_sends(store: Store) -> None:
    door = Door(store, hook(), max_bytes=1000)
    sent: list[int] = []

    async def endless() -> AsyncIterator[bytes]:
        for n in range(100_000):
            sent.append(n)
            yield b"x" * 100

    assert door.signed(b"x" * 1001) == 413
    assert door.post("/hooks/orders", endless(), JSON).status_code == 413
    assert door.post("/hooks/nothing", b"x" * 1001, JSON).status_code == 413
    assert door.signed(b"x" * 1000) == 202


def test_a_sender_that_does_not_go_on_is_let_go(store: Store) -> None:
    door = Door(store, hook(), read_s=0.05)

    async def exchange() -> list[dict[str, Any]]:
        never = asyncio.Event()
        told: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            await never.wait()
            raise AssertionError

        async def send(message: Any) -> None:
            told.append(message)

        scope = {"type": "http", "method": "POST", "path": "/hooks/orders", "headers": [], "query_string": b"", "root_path": ""}  # noqa: E501  # fmt: skip
        await door.app(scope, receive, send)
        return told

    assert asyncio.run(exchange())[0]["status"] == 408


def test_types_that_are_not_taken(store: Store) -> None:
    door = Door(store, hook())
    for headers in ({"Content-Type": "text/html"}, {"Content-Type": ""}, {"Content-Encoding": "gzip"}):
        assert door.signed(headers=headers) == 415
    assert door.signed(headers={"Content-Type": "Application/JSON"}) == 202


def test_too_many_waiting_or_too_fast(store: Store) -> None:
    door = Door(store, hook(max_pending=2))
    assert [door.signed(b"%d" % n) for n in range(3)] == [202, 202, 503]
    assert door.signed(b"0") == 200  # one that is known needs no place
    first = WebhookSource(store, "orders").poll({}, door.now)
    WebhookSource(store, "orders").poll(first.state, door.now)
    assert door.signed(b"2") == 202
    fast = Door(store, Hook("fast", ("secret:new",), per_minute=2))
    assert [fast.signed(b"%d" % n, path="/hooks/fast") for n in range(3)] == [202, 202, 429]
    fast.now += 30
    assert fast.signed(b"2", path="/hooks/fast") == 202


def test_what_cannot_be_written_is_not_acknowledged(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(store, hook())

    def full(*given: Any, **named: Any) -> Any:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(type(store), "keep", full)
        assert door.signed() == 503
    assert door.woken == []
    assert door.signed() == 202


def test_many_at_once_each_once(store: Store) -> None:
    door = Door(store, hook(max_pending=60))

    async def send() -> list[int]:
        transport = httpx.ASGITransport(app=door.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://local") as client:

            async def one(n: int) -> int:
                body = b"%d" % (n % 50)
                headers = JSON | sign(KEYS["secret:new"], body, at=door.now)
                for _ in range(100):
                    status = (await client.post("/hooks/orders", content=body, headers=headers)).status_code
                    if status != 503:  # too many at once: a sender comes again
                        break
                return status

            return await asyncio.gather(*(one(n) for n in range(150)))

    answers = asyncio.run(send())
    assert sorted(set(answers)) == [200, 202]
    assert answers.count(202) == 50
    assert len(WebhookSource(store, "orders").poll({}, door.now).items) == 50


def test_only_posts_and_binary_bodies(store: Store) -> None:
    door = Door(store, hook(content_types=("application/octet-stream",)))
    assert door.signed(b"\xff\x00", headers={"Content-Type": "application/octet-stream", "Authorization": "x"}) == 202
    (item,) = WebhookSource(store, "orders").poll({}, door.now).items
    assert base64.b64decode(item.payload["base64"]) == b"\xff\x00"
    assert "authorization" not in item.payload["headers"]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"name": "a/b"}, "a name is"),
        ({"name": ""}, "a name is"),
        ({"scheme": "md5"}, "is unknown"),
        ({"secrets": ()}, "one to four"),
        ({"secrets": ("hunter2hunter2",)}, "secret:NAME"),
        ({"max_pending": 0}, "above 0"),
    ],
)
def test_hooks_that_do_not_fit(given: dict[str, Any], why: str) -> None:
    with pytest.raises(DeclarationError, match=why) as found:
        Hook(**{"name": "orders", "secrets": ("secret:x",), **given})
    assert "hunter2" not in str(found.value)


def test_two_hooks_of_one_name(store: Store) -> None:
    with pytest.raises(DeclarationError, match="same name"):
        Door(store, hook(), hook())


def test_alone_under_uvicorn_over_a_real_socket(store: Store) -> None:
    import http.client
    import threading
    import time

    import uvicorn

    app = webhook_app(store, [hook()], KEYS.__getitem__, max_bytes=100_000)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]

        def send(body: bytes, *, pieces: bool) -> int:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            headers = JSON | sign(KEYS["secret:new"], body, at=time.time())
            parts = (body[n : n + 1000] for n in range(0, len(body), 1000)) if pieces else body
            connection.request("POST", "/hooks/orders", parts, headers, encode_chunked=pieces)
            status = connection.getresponse().status
            connection.close()
            return status

        large = b"[" + b"1," * 40_000 + b"1]"
        assert [send(BODY, pieces=False), send(large, pieces=True), send(large, pieces=False)] == [202, 202, 200]
        assert send(large * 2, pieces=False) == 413
    finally:
        server.should_exit = True
        thread.join(20)
    assert {len(i.payload["body"]) for i in WebhookSource(store, "orders").poll({}, 1.0).items} == {
        len(BODY),
        len(large),
    }
