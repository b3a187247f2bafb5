"""Signatures of webhook deliveries: by whom, of when, and under which id.

Four schemes, each as its publisher describes it:

- ``"timestamp"``: ``X-Signature-Timestamp: UNIX``, ``X-Signature: sha256=HEX`` over ``UNIX.BODY``; also what Mainspring
  itself sends.
- ``"github"``: ``X-Hub-Signature-256: sha256=HEX`` over the body ("Validating webhook deliveries", docs.github.com).
- ``"stripe"``: ``Stripe-Signature: t=UNIX,v1=HEX[,v1=HEX]`` over ``UNIX.BODY`` ("Verify webhook signatures manually",
  docs.stripe.com).
- ``"standard"``: ``webhook-id``, ``webhook-timestamp``, ``webhook-signature: v1,BASE64 ...`` over ``ID.UNIX.BODY``
  (standardwebhooks.com, specification 1.0). Its keys are base64, with or without ``whsec_`` before them.

The id that tells a delivery from its repetition is made only of what the signature covers: a header that anybody can
change would let a recorded delivery be played again under a new name.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mainspring.errors import DeclarationError

_UNIX = re.compile(r"[0-9]{1,12}\Z")
_HEX = re.compile(r"[0-9a-fA-F]{64}\Z")
#: Most signatures that are looked at in one header, so that nobody can make us compare for long.
_MOST_SIGNATURES = 10


@dataclass(frozen=True, slots=True)
class Signed:
    """What a header claims.

    Args:
        content: the bytes that the signature is over.
        signatures: those claimed, raw.
        at: Unix time that is signed as well, or None where the scheme has none.
        id: of the delivery, out of what is signed.
    """

    content: bytes
    signatures: tuple[bytes, ...]
    at: float | None
    id: str


def _digest(*parts: bytes) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(len(part).to_bytes(8, "big") + part)
    return found.hexdigest()


def _unix(text: str) -> float | None:
    return float(text) if _UNIX.match(text) else None


def _timestamp(headers: Mapping[str, str], body: bytes) -> Signed | None:
    at = _unix(headers.get("x-signature-timestamp", ""))
    kind, _, value = headers.get("x-signature", "").partition("=")
    if at is None or kind != "sha256" or not _HEX.match(value):
        return None
    stamp = headers["x-signature-timestamp"].encode()
    return Signed(stamp + b"." + body, (bytes.fromhex(value),), at, _digest(stamp, body))


def _github(headers: Mapping[str, str], body: bytes) -> Signed | None:
    kind, _, value = headers.get("x-hub-signature-256", "").partition("=")
    if kind != "sha256" or not _HEX.match(value):
        return None
    return Signed(body, (bytes.fromhex(value),), None, _digest(body))


def _stripe(headers: Mapping[str, str], body: bytes) -> Signed | None:
    stamps, signatures = [], []
    for part in headers.get("stripe-signature", "").split(",")[: _MOST_SIGNATURES + 1]:
        key, _, value = part.strip().partition("=")
        if key == "t":
            stamps.append(value)
        elif key == "v1" and _HEX.match(value):
            signatures.append(bytes.fromhex(value))
    if len(stamps) != 1 or (at := _unix(stamps[0])) is None or not signatures:
        return None
    # Stripe signs a repetition anew, with a new time; the event's own id is the same, and is signed in the body.
    event = _member(body, "id")
    return Signed(stamps[0].encode() + b"." + body, tuple(signatures), at, _digest(event.encode() if event else body))


def _standard(headers: Mapping[str, str], body: bytes) -> Signed | None:
    name, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    at = _unix(stamp)
    # A dot in the id would let its parts be cut elsewhere, so that one signature fits two deliveries.
    if at is None or not 0 < len(name) <= 256 or "." in name:
        return None
    signatures = []
    for part in headers.get("webhook-signature", "").split(" ")[:_MOST_SIGNATURES]:
        version, _, value = part.partition(",")
        if version == "v1":
            try:
                signatures.append(base64.b64decode(value, validate=True))
            except (binascii.Error, ValueError):
                continue
    if not signatures:
        return None
    return Signed(name.encode() + b"." + stamp.encode() + b"." + body, tuple(signatures), at, _digest(name.encode()))


_SCHEMES: dict[str, Callable[[Mapping[str, str], bytes], Signed | None]] = {
    "timestamp": _timestamp,
    "github": _github,
    "stripe": _stripe,
    "standard": _standard,
}
#: Names of the schemes.
SCHEMES = tuple(_SCHEMES)


def key_of(scheme: str, secret: str) -> bytes:
    """The key of a secret's text. Raises DeclarationError, which does not quote it."""
    if scheme != "standard":
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        raise DeclarationError(
            "the key of a Standard Webhooks hook must be base64, with or without whsec_ before it; take it as the "
            "sender shows it"
        ) from None


def read(scheme: str, headers: Sequence[tuple[str, str]], body: bytes) -> Signed | None:
    """What the headers claim, or None when they claim nothing that can be checked.

    A header that stands there twice is refused: two readers may take it for two different things.
    """
    found: dict[str, str] = {}
    for name, value in headers:
        name = name.lower()
        if name in found and name.startswith(("x-signature", "x-hub-signature", "stripe-signature", "webhook-")):
            return None
        found[name] = value
    if not all(value.isascii() for name, value in found.items() if "signature" in name or name.startswith("webhook-")):
        return None
    return _SCHEMES[scheme](found, body)


def verified(signed: Signed, keys: Sequence[bytes]) -> bool:
    """True when a signature was made with one of the keys. Every pair is compared, in constant time."""
    good = False
    for key in keys:
        wanted = hmac.digest(key, signed.content, "sha256")
        for signature in signed.signatures:
            good |= hmac.compare_digest(wanted, signature)
    return good


def sign(secret: str, body: bytes, *, at: float, scheme: str = "timestamp", id: str = "") -> dict[str, str]:
    """The headers of a delivery, as its sender makes them.

    Args:
        at: Unix time in seconds.
        id: of the message, for ``"standard"``.
    """
    key, stamp = key_of(scheme, secret), str(int(at))
    if scheme == "github":
        return {"X-Hub-Signature-256": "sha256=" + hmac.new(key, body, "sha256").hexdigest()}
    if scheme == "standard":
        made = hmac.digest(key, f"{id}.{stamp}.".encode() + body, "sha256")
        signature = "v1," + base64.b64encode(made).decode()
        return {"webhook-id": id, "webhook-timestamp": stamp, "webhook-signature": signature}
    value = hmac.new(key, stamp.encode() + b"." + body, "sha256").hexdigest()
    if scheme == "stripe":
        return {"Stripe-Signature": f"t={stamp},v1={value}"}
    return {"X-Signature-Timestamp": stamp, "X-Signature": f"sha256={value}"}


def _member(body: bytes, name: str) -> str:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    value = found.get(name) if isinstance(found, dict) else None
    return value if isinstance(value, str) and len(value) <= 256 else ""
