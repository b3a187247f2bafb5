"""Addresses that no grant reaches: this machine, its networks, and the services that hand out credentials."""

from __future__ import annotations

import ipaddress
import socket
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_PLAIN = ipaddress.IPv4Network
#: Beside what Python's `ipaddress` calls private: shared space (RFC 6598), protocol assignments (RFC 6890, of which
#: older Pythons know a part; Oracle's metadata service is there), relays of 6to4 (RFC 7526), and Azure's platform
#: address, which is public in form and answers every virtual machine with its settings.
_CLOSED_4 = tuple(map(_PLAIN, ("100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32")))
#: Addresses that carry an IPv4 address in their last 32 bits: compatible (RFC 4291), NAT64 (RFC 6052).
_EMBEDDED = (ipaddress.IPv6Network("::/96"), ipaddress.IPv6Network("64:ff9b::/96"))
#: All that is assigned for public use so far (IANA); in it, Teredo (RFC 4380) and documentation (RFC 9637).
_PUBLIC_6 = ipaddress.IPv6Network("2000::/3")
_CLOSED_6 = tuple(map(ipaddress.IPv6Network, ("2001::/32", "3fff::/20")))


def why_forbidden(address: Address) -> str | None:
    """Why an address is never reached, or None when it is one of the public internet."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and int(address) > 1 and any(address in network for network in _EMBEDDED):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            why = why_forbidden(inner)
            return why and f"{address} stands for {why}"
        if any(address in network for network in _CLOSED_6):
            return f"{address}, which is not a public address"
    elif any(address in network for network in _CLOSED_4):
        return f"{address}, which is not a public address"
    for holds, kind in (
        (address.is_loopback, "this machine"),
        (address.is_unspecified, "this machine"),
        (address.is_link_local, "a link-local address, as metadata services have"),
        (address.is_multicast, "a multicast address"),
        (address.is_private, "a private address"),
    ):
        if holds:
            return f"{address}, {kind}"
    return (
        None
        if address.is_global and (address.version == 4 or address in _PUBLIC_6)
        else f"{address}, which is not a public address"
    )


def is_own(address: Address) -> bool:
    """Whether a public address belongs to this machine, so that its own services would answer there."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(address), 9))  # sends nothing: it only asks the routing table
            return bool(probe.getsockname()[0] == str(address))
        except OSError:
            return False
