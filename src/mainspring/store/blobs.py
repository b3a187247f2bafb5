"""Where payloads over 8 KiB go: one port, and an S3-like store behind it.

A blob's name is the SHA-256 of what it holds, so it is written once, never changed, and checked whenever it is read. It
is written before the event that names it: a process that dies in between leaves a blob that nobody names, and never an
event without its blob.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol
from urllib.parse import urlsplit

from mainspring.errors import StoreError

_AT_ONCE = 8  # uploads of one group


class BlobStore(Protocol):
    """Keeps bytes under their digest."""

    def put(self, blobs: Sequence[tuple[str, bytes]]) -> None:
        """Write blobs, `(digest, data)` each; done when it returns. One that is there already is fine."""
        ...

    def get(self, digest: str) -> bytes | None:
        """What a digest names, checked; None when there is none. Raises StoreError for a damaged one."""
        ...

    def close(self) -> None:
        """Let connections go."""
        ...


class S3Blobs:
    """Blobs as objects ``prefix/ab/abcdef...`` of a bucket; endpoint, region and keys come from the AWS variables."""

    def __init__(self, url: str) -> None:
        """Raises StoreError for a URL that is none."""
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc:
            raise StoreError(f"MAINSPRING_BLOBS_URL is {url!r}; write it as s3://bucket/prefix")
        from obstore.store import S3Store

        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        options: dict[str, Any] = {"client_options": {"allow_http": endpoint.startswith("http://"), "timeout": "60s"}}
        if endpoint:
            options["endpoint"] = endpoint
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        if region:
            options["region"] = region
        self.url = url
        self._prefix = parts.path.strip("/")
        self._known: dict[str, None] = {}  # digests written lately
        try:
            self._store = S3Store(parts.netloc, **options)
        except Exception as error:
            raise StoreError(f"the blob store {url} cannot be used: {error}") from error
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="mainspring-blobs")

    def put(self, blobs: Sequence[tuple[str, bytes]]) -> None:
        """See the port."""
        list(self._pool.map(self._put_one, [b for b in blobs if b[0] not in self._known]))

    def _put_one(self, blob: tuple[str, bytes]) -> None:
        import obstore

        digest, data = blob
        try:
            obstore.put(self._store, self._path(digest), data)
        except Exception as error:
            raise StoreError(
                f"the blob {digest} cannot be written to {self.url}: {error}; check the bucket and the AWS variables"
            ) from error
        self._known[digest] = None
        if len(self._known) > 10_000:
            self._known.pop(next(iter(self._known)))

    def get(self, digest: str) -> bytes | None:
        """See the port."""
        import obstore

        try:
            data = bytes(obstore.get(self._store, self._path(digest)).bytes())
        except FileNotFoundError:
            return None
        except Exception as error:
            raise StoreError(f"the blob {digest} cannot be read from {self.url}: {error}") from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise StoreError(f"the blob {digest} in {self.url} was changed: it does not have this SHA-256")
        return data

    def close(self) -> None:
        """See the port."""
        self._pool.shutdown(wait=True)

    def _path(self, digest: str) -> str:
        return "/".join(p for p in (self._prefix, digest[:2], digest) if p)
