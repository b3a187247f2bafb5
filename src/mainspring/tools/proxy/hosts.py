"""Grants of hosts: which names a command may reach, on which ports."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from mainspring.errors import DeclarationError
from mainspring.tools.proxy.addresses import why_forbidden

DEFAULT_PORTS = frozenset({443, 80})
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z")
#: What resolvers of addresses read as a number, so that `0x7f.1` or `2130706433` is an address and no name.
_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\Z")


@dataclass(frozen=True, slots=True)
class HostGrant:
    """One granted host.

    Args:
        name: the name in lower case, or an address in its usual form.
        ports: TCP ports.
        below: names below `name` are meant, and not itself (``*.example.com``).
    """

    name: str
    ports: frozenset[int] = DEFAULT_PORTS
    below: bool = False

    def covers(self, host: str, port: int) -> bool:
        """Whether a canonical host and a port are granted."""
        if port not in self.ports:
            return False
        return host.endswith(f".{self.name}") if self.below else host == self.name


def parse_hosts(texts: Iterable[str]) -> tuple[HostGrant, ...]:
    """Grants from their text forms. Raises DeclarationError for one that is not understood."""
    return tuple(map(parse_host, texts))


def parse_host(text: str) -> HostGrant:
    """A grant from ``example.com``, ``*.example.com``, ``example.com:8443`` or a public address.

    Raises:
        DeclarationError: it is no such thing, is too wide, or is an address that is never reached.
    """
    asked = text.strip()
    below = asked.startswith("*.")
    name, port = split_port(asked[2:] if below else asked)
    host = None if name is None else canonical(name)
    if host is None or (port is not None and not 1 <= port <= 65535):
        raise DeclarationError(
            f"{text!r} names no host; write example.com, *.example.com or example.com:8443, without https:// or a path"
        )
    address = literal(host)
    if address is not None:
        why = why_forbidden(address)
        if below or why is not None:
            raise DeclarationError(
                f"{text!r} cannot be granted: {f'it is {why}' if why else 'an address has no names below it'}"
            )
    elif "." not in host:
        raise DeclarationError(f"{text!r} cannot be granted: give the full name, with its domain")
    return HostGrant(host, DEFAULT_PORTS if port is None else frozenset({port}), below)


def split_port(authority: str) -> tuple[str | None, int | None]:
    """``(host, port)`` of ``host:port`` or ``[address]:port``; the host is None when it is neither."""
    if authority.startswith("["):
        host, bracket, rest = authority[1:].partition("]")
        if not bracket or ":" not in host or (rest and not re.fullmatch(r":[0-9]{1,5}", rest)):
            return None, None
        return host, int(rest[1:]) if rest else None
    host, colon, port = authority.partition(":")
    if colon and not re.fullmatch(r"[0-9]{1,5}", port):
        return None, None
    return host, int(port) if colon else None


def canonical(host: str) -> str | None:
    """A host as it is compared: lower case, ASCII, no final dot; an address in its usual form. None when it is neither.

    Forms of addresses that some resolvers accept (``127.1``, ``0x7f000001``, ``017700000001``) are no hosts.
    """
    if not host or len(host) > 253 or "%" in host:
        return None
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        name = host.encode("ascii" if host.isascii() else "idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError:
        return None
    labels = name.split(".")
    if not all(map(_LABEL.match, labels)) or _NUMBER.match(labels[-1]):
        return None
    return name


def literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a canonical host is, or None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
