"""The index in Qdrant: the common suite in its local mode, and what only a server or a crash can do."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("qdrant_client", reason="needs the extra `qdrant`")

from qdrant_client import QdrantClient, models
from suite_vectors import CENTRED, DIM, SPACE, VectorIndexSuite, drawn, unit

from mainspring.errors import StoreError
from mainspring.library.embed.protocol import Space
from mainspring.library.index.protocol import VectorIndex
from mainspring.library.remote import open_remote, qdrant
from mainspring.library.remote.connection import Connection


class TestQdrantLocal(VectorIndexSuite):
    def open(self, folder: Path, space: Space = SPACE) -> VectorIndex:
        return open_remote(f"qdrant:{folder / 'q'}#pages", space)


def opened(folder: Path, space: Space = SPACE, **options: Any) -> VectorIndex:
    return open_remote(f"qdrant:{folder / 'q'}#pages", space, **options)


def test_a_long_filter_is_applied_to_what_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qdrant, "_FILTER", 3)
    index = opened(tmp_path)
    index.add([(number, drawn(number)) for number in range(80)])
    query = drawn(5)
    all_hits = [hit.page for hit in index.search(query, 80)]
    worst = np.array(sorted(all_hits[-6:]), dtype=np.int64)
    assert [hit.page for hit in index.search(query, 4, among=worst)] == all_hits[-6:-2]
    index.close()


def test_large_adds_go_in_bounded_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qdrant, "_NUMBERS", 100)
    sizes: list[int] = []
    plain = Connection.call

    def watching(self: Connection, method: str, /, *args: Any, **options: Any) -> Any:
        if method == "upsert":
            assert options["wait"] is True
            sizes.append(len(args[1]))
        return plain(self, method, *args, **options)

    index = opened(tmp_path)
    monkeypatch.setattr(Connection, "call", watching)
    index.add([(number, drawn(number)) for number in range(7)])
    assert sizes == [2, 2, 2, 1]
    assert len(index.ids()) == 7
    index.close()


def test_a_mean_that_was_cut_off_while_it_changed_is_finished_at_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = opened(tmp_path, CENTRED)
    pages = {number: drawn(number, 6, shift=2.0) for number in range(40)}
    index.add(list(pages.items()))
    kept = originals(index)
    writes = 0
    plain = qdrant.QdrantIndex._write

    def dies(self: qdrant.QdrantIndex, group: Any, mean: Any) -> None:
        nonlocal writes
        writes += 1
        if writes == 2:
            raise KeyboardInterrupt
        plain(self, group[:10], mean)

    monkeypatch.setattr(qdrant.QdrantIndex, "_write", dies)
    monkeypatch.setattr(qdrant, "_NUMBERS", 10 * 6 * DIM)
    with pytest.raises(KeyboardInterrupt):
        index.compact()
    index.close()
    monkeypatch.setattr(qdrant.QdrantIndex, "_write", plain)
    again = opened(tmp_path, CENTRED)
    meta = again._meta()  # type: ignore[attr-defined]
    assert "former" not in meta
    assert {record.payload["epoch"] for record in again._scroll(payload=["epoch"])} == {meta["mean"]["epoch"]}  # type: ignore[attr-defined]
    found = originals(again)
    assert found.keys() == kept.keys()
    assert all(np.allclose(found[number], pages[number], atol=1e-4) for number in pages)
    again.close()


def originals(index: Any) -> dict[int, Any]:
    mean = index._mean()
    return {r.id: index._original(r, {mean.epoch: mean}) for r in index._scroll(payload=True, vectors=True)}


def test_another_process_that_learnt_a_mean_meanwhile_is_followed(tmp_path: Path) -> None:
    """What was written under the former mean is written once more under the new one."""
    index: Any = opened(tmp_path, CENTRED)
    index.add([(number, drawn(number, 4, shift=1.0)) for number in range(10)])
    plain, once = index._write, []

    def slow(group: Any, mean: Any) -> None:
        plain(group, mean)
        if not once:
            once.append(True)
            index._learn(index._mean())  # as if by another process, after our write and before our look
            plain(group, mean)

    index._write = slow
    index.add([(77, drawn(77, 4, shift=1.0))])
    epochs = {record.id: record.payload["epoch"] for record in index._scroll(payload=["epoch"])}
    assert len(set(epochs.values())) == 1
    index.close()


def test_collections_of_others_are_left_alone(tmp_path: Path) -> None:
    client = QdrantClient(path=str(tmp_path / "q"))
    client.create_collection("pages", vectors_config=models.VectorParams(size=DIM, distance=models.Distance.DOT))
    client.close()
    with pytest.raises(StoreError, match="no library's"):
        opened(tmp_path)
    client = QdrantClient(path=str(tmp_path / "q"))
    client.delete_collection("pages")
    compare = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
    shape = models.VectorParams(size=DIM, distance=models.Distance.DOT, multivector_config=compare)
    client.create_collection("pages", vectors_config={"tokens": shape})
    client.upsert("pages", [models.PointStruct(id=1, vector={"tokens": unit(np.ones((2, DIM))).tolist()}, payload={})])
    client.close()
    with pytest.raises(StoreError, match="says no space"):
        opened(tmp_path)


def test_a_folder_that_is_in_use(tmp_path: Path) -> None:
    index = opened(tmp_path)
    with pytest.raises(StoreError, match="in another process"):
        opened(tmp_path)
    index.close()
    opened(tmp_path).close()


def test_the_space_is_named_in_the_refusal(tmp_path: Path) -> None:
    opened(tmp_path).close()
    with pytest.raises(StoreError, match=r"holds vectors of suite@1/8m, and these are of other@2/8m"):
        opened(tmp_path, Space("other", "2", DIM))
    with pytest.raises(StoreError, match="holds vectors of"):
        opened(tmp_path, CENTRED)


def test_a_dead_server() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    with pytest.raises(StoreError, match=r"cannot be reached.*check that the server runs"):
        open_remote(f"qdrant:http://127.0.0.1:{port}#pages", SPACE, timeout_s=2)


@pytest.fixture
def refusing() -> Iterator[tuple[str, list[str]]]:
    """A server that refuses whatever is asked, and repeats the key that it was given."""
    keys: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            keys.append(self.headers.get("api-key", ""))
            data = f"wrong key {keys[-1]}".encode()
            self.send_response(500 if keys[-1] == "five" else 403)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", keys
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.filterwarnings("ignore:Api key is used")
def test_keys_come_from_the_environment_and_stay_out_of_errors(
    refusing: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, keys = refusing
    monkeypatch.setenv("QDRANT_API_KEY", "sk-secret-99")
    with pytest.raises(StoreError, match="refused the key") as caught:
        open_remote(f"qdrant:{url}#pages", SPACE)
    assert keys == ["sk-secret-99"]
    assert "sk-secret" not in str(caught.value)
    monkeypatch.setenv("MINE", "five")
    with pytest.raises(StoreError, match=r"status 500\): wrong key \*\*\*"):
        open_remote(f"qdrant:{url}#pages", SPACE, key_name="MINE")


@pytest.mark.parametrize("name", ["", "qdrant", "qdrant:http://h:1", "milvus:http://h:1#x", "qdrant:#x"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(StoreError, match="is no remote index"):
        open_remote(name, SPACE)


def test_an_address_with_a_key_in_it() -> None:
    with pytest.raises(StoreError, match="must not hold a user or a key") as caught:
        open_remote("qdrant:http://me:hidden@127.0.0.1:1#x", SPACE)
    assert "hidden" not in str(caught.value)
