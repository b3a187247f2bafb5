"""Blobs in the database itself: what holds when no ``MAINSPRING_BLOBS_URL`` is set."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import psycopg

from mainspring.errors import StoreError
from mainspring.store.postgres_connection import Connect, Link, explain, hopeless, lost

_WAIT_S = 30.0


class DatabaseBlobs:
    """The table ``blobs``. Only the writer's thread puts."""

    def __init__(self, connect: Connect, described: str, read: Callable[[str, Any], list[tuple[Any, ...]]]) -> None:
        self._connect, self._described, self._read = connect, described, read
        self._link: Link | None = None

    def put(self, blobs: Sequence[tuple[str, bytes]]) -> None:
        """See the port. In the order of their digests, so that two who write the same ones wait for each other."""
        deadline, pause = time.monotonic() + _WAIT_S, 0.05
        ordered = sorted(blobs)
        while True:
            try:
                if self._link is None or self._link.closed:
                    self._link = self._connect()
                with self._link.transaction(), self._link.cursor() as cursor:
                    cursor.executemany(
                        "INSERT INTO blobs (digest, data) VALUES (%s, %s) ON CONFLICT (digest) DO NOTHING", ordered
                    )
                return
            except psycopg.Error as error:
                if not lost(error) or hopeless(error) or time.monotonic() + pause > deadline:
                    raise explain(error, self._described) from error
                if self._link is not None:
                    self._link.close()
                time.sleep(pause)
                pause = min(pause * 2, 1.0)

    def get(self, digest: str) -> bytes | None:
        """See the port."""
        found = self._read("SELECT data FROM blobs WHERE digest = %s", (digest,))
        if not found:
            return None
        data = bytes(found[0][0])
        if hashlib.sha256(data).hexdigest() != digest:
            raise StoreError(f"the blob {digest} in {self._described} was changed: it does not have this SHA-256")
        return data

    def close(self) -> None:
        """See the port."""
        if self._link is not None:
            self._link.close()
