"""Reads the name that a TLS client asks for, from the first bytes that it sends (RFC 8446, 4.1.2; RFC 6066, 3)."""

from __future__ import annotations

from dataclasses import dataclass

MAX_BYTES = 1 << 16
_HANDSHAKE, _CLIENT_HELLO, _SERVER_NAME = 22, 1, 0
#: Encrypted client hello (and its draft forerunner): the name in it cannot be seen.
_HIDING = (0xFE0D, 0xFFCE)


class HelloError(ValueError):
    """The bytes are no ClientHello that can be checked; the message says why."""


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What is known of a client: the `name` it asks for (None: it names none)."""

    name: str | None


def read_hello(data: bytes) -> ClientHello | None:
    """The ClientHello at the beginning of `data`, or None when more bytes are needed.

    Raises:
        HelloError: it is not TLS, is damaged, names several hosts, or hides the name.
    """
    message = bytearray()
    at = 0
    while True:
        if len(data) > at and data[at] != _HANDSHAKE:
            raise HelloError("it is not TLS")
        if len(data) < at + 5:
            break
        size = int.from_bytes(data[at + 3 : at + 5], "big")
        if data[at + 1] != 3 or not 0 < size <= 1 << 14:
            raise HelloError("it is not TLS")
        if len(data) < at + 5 + size:
            break
        message += data[at + 5 : at + 5 + size]
        at += 5 + size
        if message[0] != _CLIENT_HELLO:
            raise HelloError("it does not begin with a ClientHello")
        if len(message) >= 4 and len(message) >= 4 + int.from_bytes(message[1:4], "big"):
            # What follows in the same record would be another message, which nobody has looked at.
            if len(message) > 4 + int.from_bytes(message[1:4], "big"):
                raise HelloError("something follows its ClientHello")
            return ClientHello(_name(_Reader(bytes(message[4:]))))
    if len(data) > MAX_BYTES:
        raise HelloError("its ClientHello is too long")
    return None


def _name(body: _Reader) -> str | None:
    body.take(2 + 32)  # version, random
    body.vector(1)  # session
    body.vector(2)  # cipher suites
    body.vector(1)  # compression
    if body.at_end:
        return None
    extensions = _Reader(body.vector(2))
    if not body.at_end:
        raise HelloError("its ClientHello is damaged")
    names: list[str] = []
    seen: set[int] = set()
    while not extensions.at_end:
        kind = int.from_bytes(extensions.take(2), "big")
        content = extensions.vector(2)
        if kind in seen:
            raise HelloError("its ClientHello repeats an extension")
        seen.add(kind)
        if kind in _HIDING:
            raise HelloError("it hides the name (encrypted client hello)")
        if kind == _SERVER_NAME:
            entries = _Reader(_Reader(content).vector(2, whole=True))
            while not entries.at_end:
                of_host = entries.take(1) == b"\0"
                name = entries.vector(2)
                if not of_host or not name.isascii():
                    raise HelloError("it asks for something that is no host name")
                names.append(name.decode("ascii"))
    if len(names) > 1:
        raise HelloError("it asks for several names")
    return names[0] if names else None


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def at_end(self) -> bool:
        return self._at >= len(self._data)

    def take(self, count: int) -> bytes:
        if self._at + count > len(self._data):
            raise HelloError("its ClientHello is damaged")
        self._at += count
        return self._data[self._at - count : self._at]

    def vector(self, width: int, whole: bool = False) -> bytes:
        """Bytes behind their length, which is `width` bytes; with `whole`, nothing may follow."""
        found = self.take(int.from_bytes(self.take(width), "big"))
        if whole and not self.at_end:
            raise HelloError("its ClientHello is damaged")
        return found
