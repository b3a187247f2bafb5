"""Blobs in an S3-like store: written before the event that names them, checked when they are read."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from suite_common import add, begin, exported, imported

from mainspring.errors import LeaseLostError, StoreError
from mainspring.store import NewEvent
from mainspring.store.blobs import S3Blobs
from mainspring.store.postgres import PostgresStore

BIG = {"text": "漢" * 9000}


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty bucket of a server that speaks S3; returns its endpoint."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    endpoint = f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }.items():
        monkeypatch.setenv(name, value)
    import urllib.request

    request = urllib.request.Request(f"{endpoint}/blobs", method="PUT")
    urllib.request.urlopen(request, timeout=30).close()
    yield endpoint
    server.stop()


def put_object(url: str, digest: str, data: bytes) -> None:
    """Change a blob behind the store's back."""
    import obstore

    blobs = S3Blobs(url)
    obstore.put(blobs._store, blobs._path(digest), data)
    blobs.close()


def test_what_is_put_is_got_and_checked(bucket: str) -> None:
    blobs = S3Blobs("s3://blobs/some/prefix")
    data = [(hashlib.sha256(text).hexdigest(), text) for text in (b"one", b"two" * 100_000)]
    blobs.put(data)
    blobs.put(data)
    assert [blobs.get(digest) for digest, _ in data] == [b"one", b"two" * 100_000]
    assert blobs.get("0" * 64) is None
    digest = data[0][0]
    put_object("s3://blobs/some/prefix", digest, b"other")
    with pytest.raises(StoreError, match="was changed"):
        blobs.get(digest)
    blobs.close()


@pytest.mark.parametrize("url", ["http://blobs/x", "s3://", "blobs"])
def test_an_odd_url_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match="s3://bucket/prefix"):
        S3Blobs(url)


def test_a_run_with_its_blobs_in_a_bucket(bucket: str, database: str, tmp_path: Path) -> None:
    store = PostgresStore(tmp_path / "home", database, blobs_url="s3://blobs/p")
    lease = begin(store, "r")
    add(store, lease, BIG, {"n": 1}, BIG)
    assert store._ask("SELECT count(*) FROM blobs", ()) == [(0,)]
    assert [e.payload for e in store.events("r", after=1)] == [BIG, {"n": 1}, BIG]
    assert next(store.events_of("r", ["note"])).payload == store.event("r", 2).payload == BIG
    assert store.verify("r") == 4
    lines = exported(store, "r")
    plain = PostgresStore(tmp_path / "plain", database)  # does not know of the bucket
    with pytest.raises(StoreError, match=r"its blob .* is missing"):
        plain.event("r", 2)
    inside = {"text": "inside " * 2000}
    add(plain, begin(plain, "inside"), inside)
    assert store.event("inside", 2).payload == inside  # what lies in the database is still found
    plain.close()
    digest = store._ask("SELECT blob FROM events WHERE blob IS NOT NULL ORDER BY place LIMIT 1", ())[0][0]
    put_object("s3://blobs/p", digest, b"other")
    with pytest.raises(StoreError, match="was changed"):
        store.verify("r")
    store.close()
    assert len(lines) == 5


def test_an_import_brings_its_blobs_along(bucket: str, database: str, tmp_path: Path) -> None:
    from mainspring.store import SQLiteStore

    laptop = SQLiteStore(tmp_path / "laptop")
    add(laptop, begin(laptop, "r"), BIG)
    store = PostgresStore(tmp_path / "home", database, blobs_url="s3://blobs")
    imported(store, exported(laptop, "r"))
    assert store._ask("SELECT count(*) FROM blobs", ()) == [(0,)]
    assert store.verify("r") == 2
    assert store.event("r", 2).payload == BIG
    store.close()
    laptop.close()


def test_an_event_whose_blob_cannot_be_written_is_refused_alone(bucket: str, database: str, tmp_path: Path) -> None:
    store = PostgresStore(tmp_path / "home", database, blobs_url="s3://no-such-bucket")
    lease, other = begin(store), begin(store)
    big = store.append(lease, [NewEvent("note", BIG)])
    small = store.append(other, [NewEvent("note", {"n": 1})])
    assert small.done.exception() is None
    with pytest.raises(StoreError, match="cannot be written to s3://no-such-bucket"):
        big.done.result()
    assert store.row(lease.run_id).head_seq == 1
    with pytest.raises(LeaseLostError):
        add(store, lease, {"n": 1})
    store.close()
