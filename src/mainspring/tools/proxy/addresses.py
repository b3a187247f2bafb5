"""Addresses that no grant reaches: those in `mainspring.tools.addresses`, and this machine's own public ones."""

from __future__ import annotations

import socket

from mainspring.tools.addresses import Address, forbidden_address


def why_forbidden(address: Address) -> str | None:
    """The address and why it is never reached, or None when it is one of the public internet."""
    why = forbidden_address(address)
    return None if why is None else f"{address}, {why}"


def is_own(address: Address) -> bool:
    """Whether a public address belongs to this machine, so that its own services would answer there."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(address), 9))  # sends nothing: it only asks the routing table
            return bool(probe.getsockname()[0] == str(address))
        except OSError:
            return False
