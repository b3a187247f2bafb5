"""What the proxy reads: grants, addresses, the beginning of TLS, heads of requests."""

from __future__ import annotations

import ipaddress
import socket
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.errors import DeclarationError
from mainspring.tools.proxy.addresses import is_own, why_forbidden
from mainspring.tools.proxy.hello import HelloError, read_hello
from mainspring.tools.proxy.hosts import canonical, parse_host
from mainspring.tools.proxy.request import RequestError, read_request


def hello(name: str | None) -> bytes:
    """What OpenSSL sends first."""
    context = ssl.create_default_context()
    context.check_hostname = False
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(received, sent, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return sent.read()


@pytest.mark.parametrize(
    ("text", "covered", "others"),
    [
        ("Example.com", [("example.com", 443), ("example.com", 80)], [("example.com", 22), ("a.example.com", 443)]),
        ("*.example.com", [("a.example.com", 443), ("a.b.example.com", 80)], [("example.com", 443)]),
        ("example.com:8443", [("example.com", 8443)], [("example.com", 443)]),
        ("bücher.example", [("xn--bcher-kva.example", 443)], [("bucher.example", 443)]),
        ("1.1.1.1", [("1.1.1.1", 443)], [("1.1.1.2", 443)]),
        ("[2606:4700::1111]:443", [("2606:4700::1111", 443)], [("2606:4700::1111", 80)]),
    ],
)
def test_grants(text: str, covered: list[tuple[str, int]], others: list[tuple[str, int]]) -> None:
    grant = parse_host(text)
    assert all(grant.covers(*one) for one in covered)
    assert not any(grant.covers(*one) for one in others)
    assert not grant.covers("example.com.evil.net", 443)
    assert not grant.covers("notexample.com", 443)


@pytest.mark.parametrize(
    "text",
    [
        "", "*", "*.com", "localhost", "intranet", "https://example.com", "example.com/x", "user@example.com",
        "example.com:0", "example.com:99999", "example.com:", "exa mple.com", "a..example.com", "10.0.0.5",
        "169.254.169.254", "[::1]", "[::ffff:10.0.0.1]:443", "127.1", "0x7f.0.0.1", "2130706433", "example.0x1",
        "*.1.1.1.1", "-a.example.com", "a" * 64 + ".com", "example.com\n", "example.com#x",
    ],
)  # fmt: skip
def test_what_is_no_grant(text: str) -> None:
    if text == "example.com\n":
        assert parse_host(text) == parse_host("example.com"), "space around a name is no part of it"
        return
    with pytest.raises(DeclarationError, match=r"names no host|cannot be granted"):
        parse_host(text)


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0", "0.1.2.3", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.9.9.9", "168.63.129.16",
        "169.254.169.254", "172.16.0.1", "192.0.0.192", "192.0.2.1", "192.168.1.1", "192.88.99.1", "198.18.0.1",
        "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1",
        "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::",
        "2002:0a00:0001::1", "2001:0:4136:e378::1", "2001:db8::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1",
        "ff02::1", "ff0e::1", "3fff::1", "5f00::1", "100::1",
    ],
)  # fmt: skip
def test_addresses_that_are_never_reached(text: str) -> None:
    assert why_forbidden(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_public_addresses(text: str) -> None:
    assert why_forbidden(ipaddress.ip_address(text)) is None


def test_addresses_of_this_machine_are_known() -> None:
    assert is_own(ipaddress.ip_address("127.0.0.1"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("10.255.255.255", 1))
        except OSError:
            pytest.skip("this machine has no network")
        assert is_own(ipaddress.ip_address(probe.getsockname()[0]))
    assert not is_own(ipaddress.ip_address("198.41.0.4"))


def test_addresses_in_disguise_are_no_names() -> None:
    for text in ("127.1", "0177.0.0.1", "0x7f000001", "2130706433", "1.2.3.4.5", "0x7f.1", "a.b.1", "fe80::1%eth0"):
        assert canonical(text) is None, text
    assert canonical("EXAMPLE.com.") == "example.com"
    assert canonical("::FFFF:1.1.1.1") == str(ipaddress.ip_address("::ffff:1.1.1.1"))


def test_the_name_in_a_hello() -> None:
    data = hello("good.test")
    found = read_hello(data)
    assert found is not None
    assert found.name == "good.test"
    for end in range(len(data)):
        assert read_hello(data[:end]) is None
    nameless = read_hello(hello(None))
    assert nameless is not None
    assert nameless.name is None


def test_a_hello_in_pieces_is_put_together() -> None:
    data = hello("good.test")
    body = data[5:]
    pieces = [body[i : i + 7] for i in range(0, len(body), 7)]
    split = b"".join(b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece for piece in pieces)
    found = read_hello(split)
    assert found is not None
    assert found.name == "good.test"


def extended(extensions: bytes) -> bytes:
    body = (
        b"\x03\x03"
        + bytes(32)
        + b"\0"
        + b"\0\x02\x13\x01"
        + b"\x01\0"
        + len(extensions).to_bytes(2, "big")
        + extensions
    )
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message


def named(*names: bytes) -> bytes:
    entries = b"".join(b"\0" + len(name).to_bytes(2, "big") + name for name in names)
    content = len(entries).to_bytes(2, "big") + entries
    return b"\0\0" + len(content).to_bytes(2, "big") + content


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"GET / HTTP/1.1\r\n", "not TLS"),
        (b"\x16\x02\x00\x00\x05hello", "not TLS"),
        (b"\x16\x03\x01\x00\x04\x02\0\0\0", "does not begin with a ClientHello"),
        (extended(named(b"good.test", b"evil.test")), "several names"),
        (extended(named(b"good.test") + named(b"evil.test")), "repeats an extension"),
        (extended(named(b"good.test") + b"\xfe\x0d\0\x01x"), "hides the name"),
        (extended(b"\0\0\0\x09\0\x07\x01\0\x04evil"), "no host name"),
        (extended(named("bücher.test".encode())), "no host name"),
        (extended(b"\0\0\0\x09\0\x02\0\0evil!"), "damaged"),
        (extended(b"\0\0\xff\xff"), "damaged"),
    ],
)
def test_hellos_that_cannot_be_checked(data: bytes, why: str) -> None:
    with pytest.raises(HelloError, match=why):
        read_hello(data)


@given(st.binary(max_size=200), st.integers(0, 300), st.integers(0, 255))
def test_damaged_hellos_are_refused_and_never_break_the_reader(tail: bytes, at: int, byte: int) -> None:
    data = bytearray(extended(named(b"good.test")) + tail)
    data[at % len(data)] = byte
    try:
        found = read_hello(bytes(data))
    except HelloError:
        return
    assert found is None or found.name is None or isinstance(found.name, str)


def test_a_request_is_rewritten_for_its_host() -> None:
    found = read_request(
        b"POST http://Good.Test:8080/a?b=1 HTTP/1.1\r\nHost: good.test:8080\r\nProxy-Authorization: secret\r\n"
        b"Connection: keep-alive, X-Hop, Content-Length\r\nX-Hop: 1\r\nX-Kept: 2\r\nContent-Length: 3\r\n"
        b"Upgrade: h2c\r\n\r\n"
    )
    assert (found.connect, found.host, found.port, found.length) == (False, "good.test", 8080, 3)
    assert found.head == (
        b"POST /a?b=1 HTTP/1.1\r\nHost: good.test:8080\r\nx-kept: 2\r\ncontent-length: 3\r\nConnection: close\r\n\r\n"
    )
    assert read_request(b"GET http://good.test?q HTTP/1.0\r\n\r\n").head.startswith(
        b"GET /?q HTTP/1.1\r\nHost: good.test\r\n"
    )
    tunnel = read_request(b"CONNECT [2606:4700::1111]:443 HTTP/1.1\r\nHost: [2606:4700::1111]:443\r\n\r\n")
    assert (tunnel.connect, tunnel.host, tunnel.port) == (True, "2606:4700::1111", 443)


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"GET / HTTP/1.1\r\nHost: good.test", "ask a proxy with a whole"),
        (b"GET https://good.test/ HTTP/1.1\r\nHost: good.test", "ask a proxy with a whole"),
        (b"GET http://good.test/ HTTP/1.1", "one Host header"),
        (b"GET http://good.test/ HTTP/1.1\r\nHost: good.test\r\nHost: evil.test", "one Host header"),
        (b"GET http://good.test/ HTTP/1.1\r\nHost: evil.test", "another host than the address"),
        (b"GET http://good.test/ HTTP/1.1\r\nHost: good.test:81", "another host than the address"),
        (b"GET http://good.test@evil.test/ HTTP/1.1\r\nHost: evil.test", "neither a name"),
        (b"GET http://good.test%2eevil.test/ HTTP/1.1\r\nHost: x", "neither a name"),
        (b"GET http://0x7f000001/ HTTP/1.1\r\nHost: x", "neither a name"),
        (b"GET http://2130706433/ HTTP/1.1\r\nHost: x", "neither a name"),
        (b"GET http://good.test/#x HTTP/1.1\r\nHost: good.test", "fragment"),
        (b"GET http://good.test/ HTTP/2\r\nHost: good.test", "request line"),
        (b"GET  http://good.test/ HTTP/1.1\r\nHost: good.test", "request line"),
        (b"GET http://good.test/ x HTTP/1.1\r\nHost: good.test", "request line"),
        (b"GET http://good.test/\x01 HTTP/1.1\r\nHost: good.test", "request line"),
        (b"GET http://good.test/ HTTP/1.1\nHost: good.test", "lone"),
        (b"GET http://good.test/ HTTP/1.1\r\nHost: good.test\rX: y", "lone"),
        (b"GET http://good.test/ HTTP/1.1\r\nHost: good.test\r\n folded", "malformed"),
        (b"GET http://good.test/ HTTP/1.1\r\nHost : good.test", "malformed"),
        (b"GET http://good.test/ HTTP/1.1\r\nHost: good.test\r\nX: \0", "malformed"),
        (b"PUT http://a.test/ HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\nTransfer-Encoding: chunked", "both"),
        (b"POST http://good.test/ HTTP/1.1\r\nHost: good.test\r\nContent-Length: 1\r\nContent-Length: 2", "one number"),
        (b"POST http://good.test/ HTTP/1.1\r\nHost: good.test\r\nContent-Length: +1", "one number"),
        (b"POST http://good.test/ HTTP/1.1\r\nHost: good.test\r\nContent-Length: 1, 1", "one number"),
        (b"POST http://good.test/ HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: xchunked", "only transfer coding"),
        (b"POST http://good.test/ HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: gzip, chunked", "only transfer"),
        (b"CONNECT good.test HTTP/1.1\r\nHost: good.test", "host and port"),
        (b"CONNECT good.test:443 HTTP/1.1\r\nHost: evil.test:443", "another host"),
        (b"CONNECT http://good.test:443 HTTP/1.1", "host and port"),
    ],
)  # fmt: skip
def test_requests_that_are_not_passed_on(head: bytes, why: str) -> None:
    with pytest.raises(RequestError, match=why):
        read_request(head + b"\r\n\r\n")


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for prefix in (b"", b"GET http://good.test/ HTTP/1.1\r\nHost: good.test\r\n", b"CONNECT "):
        try:
            found = read_request(prefix + data + b"\r\n\r\n")
        except RequestError:
            continue
        assert found.head.count(b"\r\n\r\n") <= 1
