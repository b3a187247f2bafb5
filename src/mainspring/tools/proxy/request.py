"""Reads the head of a request to the proxy, strictly: what two readers could take differently is refused.

Where a request's body ends, and for whom it is, must not depend on who reads it (RFC 9112, sections 2.2, 3.2, 6.3).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mainspring.tools.proxy.hosts import canonical, literal, split_port

MAX_HEAD = 64 << 10
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*\Z")
_TARGET = re.compile(r"[\x21-\x7e]+\Z")
#: For the next hop only (RFC 9110, 7.6.1), or for us. `Upgrade` would turn a request into something else.
_OURS = {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "upgrade"}
#: What `Connection` may not take away, because it decides where the request goes or where it ends.
_KEPT = {"host", "content-length", "transfer-encoding"}


class RequestError(ValueError):
    """A request that is not passed on.

    Args:
        status: of the answer.
        reason: why, for the log and the client.
        host, port: whom it asked for, when that was understood.
    """

    def __init__(self, status: int, reason: str, host: str = "?", port: int = 0) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.host = host
        self.port = port


@dataclass(frozen=True, slots=True)
class Request:
    """A request that was understood.

    Args:
        connect: it asks for a tunnel.
        host, port: for whom it is; the host is canonical.
        head: what the host is sent in its place; empty for a tunnel.
        length: bytes of its body, or None when it comes in chunks.
    """

    connect: bool
    host: str
    port: int
    head: bytes = b""
    length: int | None = 0


def read_request(data: bytes) -> Request:
    """Read a head up to and with its empty line. Raises RequestError."""
    lines = data.removesuffix(b"\r\n\r\n").decode("latin-1").split("\r\n")
    if "\n" in "".join(lines) or "\r" in "".join(lines):
        raise RequestError(400, "the head has a lone carriage return or newline")
    path = ""
    method, _, rest = lines[0].partition(" ")
    target, _, version = rest.partition(" ")
    if not _TOKEN.match(method) or not _TARGET.match(target) or version not in ("HTTP/1.1", "HTTP/1.0"):
        raise RequestError(400, "the request line is not of HTTP/1.1")
    if method == "CONNECT":
        host, port = _authority(target, None)
    else:
        if not target.lower().startswith("http://"):
            raise RequestError(400, "ask a proxy with a whole http:// address, or with CONNECT for https")
        authority, path = re.fullmatch(r"([^/?#]*)(.*)", target[len("http://") :]).groups()  # type: ignore[union-attr]
        host, port = _authority(authority, 80)
        if "#" in path:
            raise RequestError(400, "the address has a fragment", host, port)
    try:
        fields = [_field(line) for line in lines[1:]]
        _check_host(fields, host, port, 443 if method == "CONNECT" else 80, version)
        length = _length(fields)
    except RequestError as error:
        raise RequestError(error.status, error.reason, host, port) from None
    if method == "CONNECT":
        return Request(True, host, port)
    named = {name.strip().lower() for key, value in fields if key == "connection" for name in value.split(",")}
    dropped = _OURS | (named - _KEPT) | {"host"}
    shown = f"[{host}]" if ":" in host else host
    head = [
        f"{method} {path if path.startswith('/') else '/' + path} HTTP/1.1",
        f"Host: {shown}{'' if port == 80 else f':{port}'}",
        *(f"{key}: {value}" for key, value in fields if key not in dropped),
        "Connection: close",
    ]
    return Request(False, host, port, "\r\n".join(head).encode("latin-1") + b"\r\n\r\n", length)


def _authority(text: str, default: int | None) -> tuple[str, int]:
    name, port = split_port(text)
    port = port if port is not None else default
    if name is None or port is None or not 1 <= port <= 65535:
        raise RequestError(400, "the address names no host and port")
    host = canonical(name)
    if host is None:
        raise RequestError(403, "the address is neither a name nor an address in its usual form", name[:100], port)
    if (literal(host) is not None and ":" in host) != text.startswith("["):
        raise RequestError(400, "the address names no host and port")
    return host, port


def _field(line: str) -> tuple[str, str]:
    key, colon, value = line.partition(":")
    if not colon or not _TOKEN.match(key) or not _VALUE.match(value):
        raise RequestError(400, "a header line is malformed")
    return key.lower(), value.strip(" \t")


def _check_host(fields: list[tuple[str, str]], host: str, port: int, default: int, version: str) -> None:
    given = [value for key, value in fields if key == "host"]
    if not given and (version == "HTTP/1.0" or default == 443):
        return
    if len(given) != 1:
        raise RequestError(400, "there must be one Host header")
    name, stated = split_port(given[0])
    same = name is not None and canonical(name) == host
    # Some clients leave the port out of a tunnel's Host; another one than the tunnel's is never right.
    if not same or (stated if stated is not None else (port if default == 443 else default)) != port:
        raise RequestError(400, "the Host header names another host than the address")


def _length(fields: list[tuple[str, str]]) -> int | None:
    lengths = [value for key, value in fields if key == "content-length"]
    codings = [value for key, value in fields if key == "transfer-encoding"]
    if codings and lengths:
        raise RequestError(400, "the body has both a length and a transfer coding")
    if codings:
        if [coding.lower() for coding in codings] != ["chunked"]:
            raise RequestError(400, "the only transfer coding that is passed on is chunked")
        return None
    if len(lengths) > 1 or not all(re.fullmatch(r"[0-9]{1,15}", value) for value in lengths):
        raise RequestError(400, "the body's length is not one number")
    return int(lengths[0]) if lengths else 0
