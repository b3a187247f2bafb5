"""How an event becomes bytes, and how the bytes are chained.

`hash(n) = SHA-256(hash(n-1) || run || seq || at || kind || version || label || payload)`, fields separated by a
unit separator, in the manner of a transparency log's chain (RFC 9162 chains trees; a list needs no more than this).
A payload over `BLOB_BYTES` enters the hash as the digest of its blob.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mainspring.errors import StoreError

BLOB_BYTES = 8192
GENESIS = "0" * 64

_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True, slots=True)
class Stored:
    """An event's payload as it is stored: inline text, or a blob's digest with its bytes."""

    inline: str | None
    digest: str | None
    data: bytes | None


def encode_payload(payload: Mapping[str, Any]) -> Stored:
    """A payload as canonical JSON; over BLOB_BYTES it becomes a blob. Raises StoreError for what JSON cannot say."""
    try:
        text = _encoder.encode(payload)
        if len(text) <= BLOB_BYTES // 4:
            text.encode("utf-8")
            return Stored(text, None, None)
        data = text.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:  # UnicodeEncodeError is a ValueError
        raise StoreError(f"this payload cannot be journaled: {error}; it holds {sorted(payload)}") from None
    if len(data) <= BLOB_BYTES:
        return Stored(text, None, None)
    return Stored(None, hashlib.sha256(data).hexdigest(), data)


def decode_payload(text: str | bytes, where: str) -> dict[str, Any]:
    """Inverse of :func:`encode_payload`; `where` names the event in the error."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise StoreError(f"{where}: the payload is damaged ({error})") from None
    if not isinstance(value, dict):
        raise StoreError(f"{where}: the payload is no JSON object")
    return value


def link(previous: str, run_id: str, seq: int, at: float, kind: str, version: int, label: str, stored: Stored) -> str:
    """The hash of one event, given the hash of the one before it; StoreError for names that UTF-8 cannot hold."""
    body = stored.inline if stored.inline is not None else f"blob:{stored.digest}"
    text = f"{previous}\x1f{run_id}\x1f{seq}\x1f{at!r}\x1f{kind}\x1f{version}\x1f{label}\x1f{body}"
    try:
        return hashlib.sha256(text.encode("utf-8")).hexdigest()
    except UnicodeEncodeError as error:
        raise StoreError(f"run {run_id!r}, event {seq} ({kind!r}) cannot be journaled: {error}") from None
