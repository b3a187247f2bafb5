"""Which network addresses a tool must not reach on somebody's behalf.

A fetch from inside reaches what no outsider can: the machine itself, the office network, the cloud's metadata service
with its credentials. Whether an address is one of these is asked of the address that is really connected to, after
resolution and after unwrapping what carries an IPv4 address inside an IPv6 one.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import TypeAlias

Address: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"
Network: TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"

#: Metadata and host services of clouds. Most lie in a range below as well; Azure's is an ordinary public address.
_METADATA = {
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Google, Azure, Oracle, DigitalOcean, OpenStack
        "169.254.170.2",  # AWS containers
        "169.254.170.23",  # AWS pods
        "168.63.129.16",  # Azure's host
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle, older
        "fd00:ec2::254",  # AWS
        "fd00:ec2::23",
        "fd20:ce::254",  # Google
        "fe80::a9fe:a9fe",  # OpenStack
    )
}

# IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and what updated it), without the ranges
# that are reachable from anywhere.
_FORBIDDEN: tuple[tuple[str, str], ...] = (
    ("0.0.0.0/8", "this machine"),
    ("10.0.0.0/8", "a private network"),
    ("100.64.0.0/10", "a carrier's shared network"),
    ("127.0.0.0/8", "this machine (loopback)"),
    ("169.254.0.0/16", "the local link"),
    ("172.16.0.0/12", "a private network"),
    ("192.0.0.0/24", "reserved for protocols"),
    ("192.0.2.0/24", "reserved for documentation"),
    ("192.31.196.0/24", "reserved for protocols"),
    ("192.52.193.0/24", "reserved for protocols"),
    ("192.88.99.0/24", "an old IPv6 relay"),
    ("192.168.0.0/16", "a private network"),
    ("192.175.48.0/24", "reserved for protocols"),
    ("198.18.0.0/15", "reserved for tests of networks"),
    ("198.51.100.0/24", "reserved for documentation"),
    ("203.0.113.0/24", "reserved for documentation"),
    ("224.0.0.0/4", "a multicast group"),
    ("240.0.0.0/4", "reserved"),
    ("::/128", "this machine"),
    ("::1/128", "this machine (loopback)"),
    ("64:ff9b:1::/48", "a private translation of IPv4"),
    ("100::/64", "a range that discards"),
    ("2001::/23", "reserved for protocols"),  # with Teredo, which hides an IPv4 address
    ("2001:db8::/32", "reserved for documentation"),
    ("2002::/16", "an old translation of IPv4 (6to4)"),
    ("3fff::/20", "reserved for documentation"),
    ("fc00::/7", "a private network"),
    ("fe80::/10", "the local link"),
    ("fec0::/10", "a private network (site-local)"),
    ("ff00::/8", "a multicast group"),
)
_V4 = tuple((ipaddress.IPv4Network(net), why) for net, why in _FORBIDDEN if ":" not in net)
_V6 = tuple((ipaddress.IPv6Network(net), why) for net, why in _FORBIDDEN if ":" in net)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")  # all that has been given out for use by anyone

_NUMBER = re.compile(r"(?:0[xX][0-9a-fA-F]*|[0-9]+)")


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks from their texts, such as ``"127.0.0.0/8"``; raises ValueError for what is none."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def forbidden_address(address: str | Address, allowed: Iterable[Network] = ()) -> str | None:
    """Why nothing outside may send us to this address, or None when it is an ordinary public one.

    Args:
        address: an IPv4 or IPv6 address, not a name; a text that is no address is forbidden.
        allowed: networks that a person has allowed in so many words; an address written inside another one
            (IPv4-mapped, NAT64) is looked up as what it reaches.
    """
    if isinstance(address, str):
        try:
            address = ipaddress.ip_address(address)
        except ValueError:
            return "no address"
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return "the local link"  # only such an address needs the name of a network card
        inner = _inside(address)
        if inner is not None:
            return forbidden_address(inner, allowed)
    for network in allowed:
        if address.version == network.version and address in network:
            return None
    if address in _METADATA:
        return "a cloud's metadata service"
    if isinstance(address, ipaddress.IPv4Address):
        return next((why for net, why in _V4 if address in net), None)
    found = next((why for net, why in _V6 if address in net), None)
    return found or (None if address in _PUBLIC_V6 else "reserved")


def _inside(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that a connection to this IPv6 address really reaches."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def odd_address(host: str) -> bool:
    """True for a host that a resolver may read as an IPv4 address although it is not written as one.

    ``2130706433``, ``0x7f.1`` and ``0177.0.0.1`` all mean this machine to some libraries and a name to others, so
    that a check and a connection may disagree on them (WHATWG URL, "ends in a number").
    """
    parts = host.rstrip(".").split(".")
    if not _NUMBER.fullmatch(parts[-1]):
        return False
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return True
    return False
