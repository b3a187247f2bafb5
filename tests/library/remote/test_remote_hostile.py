"""A Qdrant server that is broken, lies, or is none: a StoreError that says so, and no page that was not asked for."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("qdrant_client", reason="needs the extra `qdrant`")

from suite_vectors import CENTRED, SPACE, drawn

from mainspring.errors import StoreError
from mainspring.library.embed.protocol import Space
from mainspring.library.remote import open_remote
from mainspring.library.remote.connection import Connection

Change = Callable[[Any], Any]


@pytest.fixture
def lie(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Change], None]:
    """Change what a method of the server answers from now on."""
    changes: dict[str, Change] = {}
    plain = Connection.call

    def call(self: Connection, method: str, /, *args: Any, **options: Any) -> Any:
        answer = plain(self, method, *args, **options)
        return changes[method](answer) if method in changes else answer

    monkeypatch.setattr(Connection, "call", call)
    return changes.__setitem__


def filled(folder: Path, space: Space = SPACE) -> Any:
    index = open_remote(f"qdrant:{folder / 'q'}#pages", space)
    index.add([(number, drawn(number)) for number in range(6)])
    return index


def changed(record: Any, **values: Any) -> Any:
    return SimpleNamespace(
        **{name: getattr(record, name, None) for name in ("id", "payload", "vector", "score")} | values
    )


def of_points(**values: Any) -> Change:
    return lambda answer: SimpleNamespace(points=[changed(point, **values) for point in answer.points])


@pytest.mark.parametrize(
    "change",
    [
        of_points(score=float("nan")),
        of_points(score=None),
        of_points(score="9"),
        of_points(score=True),
        of_points(id=-1),
        of_points(id=1 << 70),
        of_points(id=True),
        of_points(id=2.0),
        of_points(id=3),  # all the same page
        lambda answer: SimpleNamespace(
            points=[*answer.points, *(changed(answer.points[0], id=n) for n in range(90, 99))]
        ),
    ],
)
def test_what_a_search_finds_is_looked_at(tmp_path: Path, lie: Callable[[str, Change], None], change: Change) -> None:
    index = filled(tmp_path)
    assert len(index.search(drawn(1), 3)) == 3
    lie("query_points", change)
    with pytest.raises(StoreError, match="Qdrant answered"):
        index.search(drawn(1), 3)
    index.close()


def test_a_page_that_may_not_be_found_is_not(tmp_path: Path, lie: Callable[[str, Change], None]) -> None:
    index = filled(tmp_path)
    lie("query_points", lambda answer: SimpleNamespace(points=[changed(answer.points[0], id=n) for n in (5, 4, 1)]))
    assert [hit.page for hit in index.search(drawn(1), 3, among=np.array([1, 2, 3]))] == [1]
    index.close()


@pytest.mark.parametrize(
    "change",
    [
        lambda answer: ([changed(record, id="x") for record in answer[0]], None),
        lambda answer: ([changed(record, id=-3) for record in answer[0]], None),
        lambda answer: (list(reversed(answer[0])), None),
        lambda answer: (answer[0], 7),  # never ends
        lambda answer: ([], 7),
    ],
)
def test_a_list_of_pages_is_looked_at(tmp_path: Path, lie: Callable[[str, Change], None], change: Change) -> None:
    index = filled(tmp_path)
    assert list(index.ids()) == list(range(6))
    lie("scroll", change)
    with pytest.raises(StoreError, match="Qdrant answered"):
        index.ids()
    index.close()


@pytest.mark.parametrize("payload", [None, {}, {"n": "many"}, {"n": -1}, {"n": True}, {"n": 1 << 80}, {"n": [1]}])
def test_what_was_kept_with_a_page_is_looked_at(
    tmp_path: Path, lie: Callable[[str, Change], None], payload: Any
) -> None:
    index = filled(tmp_path)
    assert index.stats()["vectors"] == 30
    lie("scroll", lambda answer: ([changed(record, payload=payload) for record in answer[0]], answer[1]))
    with pytest.raises(StoreError, match=r"Qdrant answered .* as 'n' of page 0"):
        index.stats()
    index.close()


@pytest.mark.parametrize(
    "values",
    [
        {"vector": {"tokens": [[1.0, 2.0]]}},
        {"vector": {"tokens": [[1.0] * 8, [1.0]]}},
        {"vector": {"tokens": "vectors"}},
        {"vector": {"tokens": [[float("nan")] * 8] * 5}},
        {"vector": {"tokens": [[1e300] * 8] * 5}},
        {"vector": [1.0]},
        {"payload": {"n": 5, "epoch": 1}},
        {"payload": {"n": 5, "epoch": "1", "norms": [1.0] * 5}},
        {"payload": {"n": 5, "epoch": 1, "norms": [1.0] * 4}},
        {"payload": {"n": 5, "epoch": 1, "norms": ["x"] * 5}},
        {"payload": None},
    ],
)
def test_vectors_that_come_back_are_looked_at(
    tmp_path: Path, lie: Callable[[str, Change], None], values: dict[str, Any]
) -> None:
    index = filled(tmp_path, CENTRED)
    assert index._mean().epoch == 1
    lie("scroll", lambda answer: ([changed(record, **values) for record in answer[0]], answer[1]))
    with pytest.raises(StoreError, match="Qdrant"):
        index.compact()
    index.close()


@pytest.mark.parametrize(
    "mean",
    [
        None,
        7,
        {},
        {"epoch": "1", "values": None, "tokens": 0},
        {"epoch": 1, "values": [0.0], "tokens": 3},
        {"epoch": 1, "values": [float("nan")] * 8, "tokens": 3},
        {"epoch": 1, "values": [1e300] * 8, "tokens": 3},
        {"epoch": 1, "values": {"a": 1}, "tokens": 3},
        {"epoch": -1, "values": None, "tokens": 0},
    ],
)
def test_the_collections_own_record_is_looked_at(tmp_path: Path, lie: Callable[[str, Change], None], mean: Any) -> None:
    index = filled(tmp_path, CENTRED)
    payload = {"space": CENTRED.id, "centred": True, "mean": mean}
    lie("retrieve", lambda answer: [changed(record, payload=payload) for record in answer])
    with pytest.raises(StoreError, match="no mean of vectors"):
        index.add([(9, drawn(9))])
    lie("retrieve", lambda answer: [])
    with pytest.raises(StoreError, match="nothing of the collection's own record"):
        index.add([(9, drawn(9))])
    index.close()


def test_a_mean_that_is_another_each_time_ends(tmp_path: Path, lie: Callable[[str, Change], None]) -> None:
    index = filled(tmp_path, CENTRED)
    count = iter(range(2, 10_000))

    def other(answer: Any) -> Any:
        mean = answer[0].payload["mean"] | {"epoch": next(count)}
        return [changed(answer[0], payload=answer[0].payload | {"mean": mean})]

    lie("retrieve", other)
    with pytest.raises(StoreError, match="another mean each time"):
        index.add([(9, drawn(9))])
    index.close()


def test_pages_that_were_not_asked_for_are_not_removed(tmp_path: Path, lie: Callable[[str, Change], None]) -> None:
    index = filled(tmp_path)
    lie("retrieve", lambda answer: [changed(record, id=4) for record in answer])
    with pytest.raises(StoreError, match="where others were asked for"):
        index.remove([1])
    lie("retrieve", lambda answer: answer)
    assert 4 in index.ids()
    index.close()


@pytest.fixture
def speaking() -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers everything with the same bytes."""
    said = [b""]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said[0])))
            self.end_headers()
            self.wfile.write(said[0])

        do_POST = do_PUT = do_GET

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", said
    server.shutdown()
    server.server_close()
    thread.join()


RESULTS: list[Any] = [
    None,
    True,
    7,
    "x",
    [],
    {},
    {"exists": True},
    {"exists": "?"},
    {"exists": False},
    {"config": None},
]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>hello</html>",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"[" * 100_000,
        b"{}",
        *(json.dumps({"result": result, "status": "ok", "time": 0.1}).encode() for result in RESULTS),
    ],
)
def test_a_server_that_is_no_qdrant(speaking: tuple[str, list[bytes]], answer: bytes) -> None:
    url, said = speaking
    said[0] = answer
    with pytest.raises(StoreError, match="Qdrant at 127"):
        open_remote(f"qdrant:{url}#pages", SPACE, timeout_s=5)
