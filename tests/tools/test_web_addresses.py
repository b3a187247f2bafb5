"""Addresses that a tool must not reach, in every way of writing them."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.tools.addresses import forbidden_address, networks, odd_address


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("0.0.0.0", "this machine"),
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "carrier"),
        ("100.127.255.255", "carrier"),
        ("169.254.1.1", "local link"),
        ("169.254.169.254", "metadata"),
        ("100.100.100.200", "metadata"),
        ("168.63.129.16", "metadata"),
        ("192.0.0.192", "metadata"),
        ("198.18.0.1", "tests"),
        ("203.0.113.9", "documentation"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.250", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("::", "this machine"),
        ("::1", "loopback"),
        ("::127.0.0.1", "reserved"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:a9fe:a9fe", "metadata"),
        ("::ffff:0:10.0.0.1", "reserved"),
        ("64:ff9b::10.0.0.1", "private"),
        ("64:ff9b::a9fe:a9fe", "metadata"),
        ("64:ff9b:1::1", "translation"),
        ("2002:7f00:1::", "6to4"),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "protocols"),
        ("fe80::1", "local link"),
        ("2606:4700::1%eth0", "local link"),
        ("fc00::1", "private"),
        ("fd00:ec2::254", "metadata"),
        ("fd12:3456::1", "private"),
        ("fec0::1", "private"),
        ("ff02::1", "multicast"),
        ("4000::1", "reserved"),
        ("localhost", "no address"),
        ("2130706433", "no address"),
        ("0177.0.0.1", "no address"),
        ("", "no address"),
    ],
)
def test_forbidden(address: str, why: str) -> None:
    found = forbidden_address(address)
    assert found is not None
    assert why in found


@pytest.mark.parametrize(
    "address",
    [
        *("1.1.1.1", "8.8.8.8", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "169.253.0.1"),
        *("2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2a00:1450:4001::1"),
    ],
)
def test_public(address: str) -> None:
    assert forbidden_address(address) is None
    assert forbidden_address(ipaddress.ip_address(address)) is None


def test_what_a_person_allows() -> None:
    loopback = networks(["127.0.0.0/8", "::1/128"])
    assert forbidden_address("127.0.0.1", loopback) is None
    assert forbidden_address("::1", loopback) is None
    assert forbidden_address("::ffff:127.0.0.1", loopback) is None
    assert forbidden_address("10.0.0.1", loopback) is not None
    with pytest.raises(ValueError, match="nonsense"):
        networks(["nonsense"])


@given(st.ip_addresses())
def test_nothing_passes_that_the_standard_library_calls_private(address: ipaddress.IPv4Address) -> None:
    if forbidden_address(address) is None:
        assert not address.is_private
        assert not address.is_loopback
        assert not address.is_link_local
        assert not address.is_multicast
        assert not address.is_unspecified


@given(st.ip_addresses(v=4))
def test_a_mapped_address_is_as_forbidden_as_what_it_reaches(address: ipaddress.IPv4Address) -> None:
    assert forbidden_address(f"::ffff:{address}") == forbidden_address(address)
    assert forbidden_address(f"64:ff9b::{address}") == forbidden_address(address)


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1", "1.2.3.4.5", "127.1."])
def test_odd_addresses(host: str) -> None:
    assert odd_address(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "example.com", "1password.com", "web3", "a.0xg", "::1", "4chan.org"])
def test_ordinary_hosts(host: str) -> None:
    assert not odd_address(host)
