"""Commands that were granted a host and want another: what the proxy lets through, and what it does not."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import socketserver
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mainspring.tools.addresses import Address
from mainspring.tools.proxy import server as module
from mainspring.tools.proxy.server import NetworkUse, Proxy
from mainspring.tools.sandbox import Sandbox, SandboxLimits


class Origin(socketserver.ThreadingTCPServer):
    """An HTTP server of the internet, played on the loopback; it keeps what it was sent, connection by connection."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(
        self, answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", tls: Path | None = None
    ) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.seen: list[bytes] = []
        self.context = None
        if tls is not None:
            self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self.context.load_cert_chain(tls)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __enter__(self) -> Origin:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass

    @property
    def where(self) -> tuple[str, int]:
        return ("127.0.0.1", self.server_address[1])


class Handler(socketserver.BaseRequestHandler):
    server: Origin

    def handle(self) -> None:
        connection = self.request
        number = len(self.server.seen)
        self.server.seen.append(b"")
        if self.server.context is not None:
            connection = self.server.context.wrap_socket(connection, server_side=True)
        connection.settimeout(5)
        while b"\r\n\r\n" not in self.server.seen[number]:
            data = connection.recv(65536)
            if not data:
                return
            self.server.seen[number] += data
        connection.settimeout(0.3)  # what else the client sends
        try:
            while data := connection.recv(65536):
                self.server.seen[number] += data
        except TimeoutError:
            pass
        connection.sendall(self.server.answer)


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin() as server:
        yield server


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "good.test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("good.test")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path


class Client:
    """Speaks to a proxy as a hostile program in the sandbox can: by any bytes."""

    def __init__(self, hosts: list[str], **options: Any) -> None:
        self.uses: list[NetworkUse] = []
        self.proxy = Proxy(hosts, told=self.uses.append, **options)

    def __enter__(self) -> Client:
        self.proxy.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.proxy.__exit__()

    def connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(10)
        connection.connect(str(self.proxy.socket))
        return connection

    def send(self, data: bytes) -> bytes:
        with self.connect() as connection:
            connection.sendall(data)
            answer = b""
            while more := connection.recv(65536):
                answer += more
            return answer

    def tls(self, authority: str, name: str | None) -> bytes:
        """Open a tunnel, shake hands for `name`, and ask for /."""
        with self.connect() as connection:
            connection.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
            answer = connection.recv(65536)
            if not answer.startswith(b"HTTP/1.1 200"):
                return answer
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            with context.wrap_socket(connection, server_hostname=name) as secure:
                secure.sendall(b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n")
                return secure.recv(65536)


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def get(host: str, path: str = "/") -> bytes:
    return f"GET http://{host}{path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def test_a_granted_host_is_reached_and_accounted_for(origin: Origin) -> None:
    with Client(["good.test"], resolver={"good.test": origin.where}) as client:
        answer = client.send(get("good.test", "/a?b"))
    assert answer.endswith(b"hello")
    assert origin.seen == [b"GET /a?b HTTP/1.1\r\nHost: good.test\r\nConnection: close\r\n\r\n"]
    (use,) = client.uses
    assert (use.host, use.port, use.allowed, use.reason) == ("good.test", 80, True, "")
    assert (use.sent, use.received) == (len(origin.seen[0]), len(answer))


def test_other_hosts_and_ports_are_refused(origin: Origin) -> None:
    grants = ["good.test", "*.wide.test", "port.test:8080"]
    names = ("evil.test", "good.test.evil.test", "xgood.test", "wide.test", "port.test", "good.test:22")
    resolver = {name.partition(":")[0]: origin.where for name in names}
    with Client(grants, resolver=resolver) as client:
        for name in names:
            answer = client.send(get(name))
            assert answer.startswith(b"HTTP/1.1 403"), name
            assert b"not granted" in answer
            authority = name if ":" in name else f"{name}:443"
            assert client.send(f"CONNECT {authority} HTTP/1.1\r\n\r\n".encode()).startswith(b"HTTP/1.1 403"), name
    assert origin.seen == []
    assert {(use.host, use.allowed) for use in client.uses} == {(name.partition(":")[0], False) for name in names}


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "169.254.169.254", "10.0.0.1", "100.100.100.200", "0.0.0.0", "168.63.129.16", "::1",
        "::ffff:169.254.169.254", "fd00:ec2::254", "64:ff9b::7f00:1",
    ],
)  # fmt: skip
def test_a_granted_name_that_leads_inside_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever owns a granted name also chooses its address: the metadata service, the router, this machine."""

    def lookup(host: str, port: int) -> list[Address]:
        return [ipaddress.ip_address("1.1.1.1"), ipaddress.ip_address(address)]

    async def dial(addresses: object) -> None:
        raise AssertionError(f"connected to {addresses}")

    monkeypatch.setattr(module, "dial", dial)
    with Client(["good.test"], lookup=lookup) as client:
        assert client.send(get("good.test")).startswith(b"HTTP/1.1 403")
    assert client.uses[0].reason.startswith("it leads to ")


def test_a_name_is_looked_up_once_and_cannot_change_its_mind(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: public when it is checked, private when it is connected to."""
    answers = iter(["1.1.1.1", "127.0.0.1", "127.0.0.1"])
    dialled: list[list[tuple[str, int]]] = []

    def lookup(host: str, port: int) -> list[Address]:
        return [ipaddress.ip_address(next(answers))]

    async def dial(addresses: list[tuple[str, int]]) -> None:
        dialled.append(addresses)
        raise OSError("no network in this test")

    monkeypatch.setattr(module, "dial", dial)
    with Client(["good.test"], lookup=lookup) as client:
        assert client.send(get("good.test")).startswith(b"HTTP/1.1 502")
        assert client.send(get("good.test")).startswith(b"HTTP/1.1 403")
    assert dialled == [[("1.1.1.1", 80)]], "what was checked, as an address, and nothing else"


def test_addresses_instead_of_names_are_refused(origin: Origin) -> None:
    port = origin.where[1]
    with Client(["good.test", "*.good.test"], resolver={"good.test": origin.where}) as client:
        for host in (
            "127.0.0.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "127.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "1.1.1.1",
        ):
            answer = client.send(f"GET http://{host}:{port}/ HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
            assert answer.startswith(b"HTTP/1.1 403"), host
            answer = client.send(f"CONNECT {host}:{port} HTTP/1.1\r\n\r\n".encode())
            assert answer.startswith(b"HTTP/1.1 403"), host
    assert origin.seen == []


def test_a_redirect_is_checked_like_any_request(origin: Origin, workspace: Path) -> None:
    origin.answer = b"HTTP/1.1 302 Found\r\nLocation: http://evil.test/loot\r\nContent-Length: 0\r\n\r\n"
    box = Sandbox(workspace, hosts=["good.test"], resolver={"good.test": origin.where, "evil.test": origin.where})
    fetch = "import urllib.request as u\ntry: u.urlopen('http://good.test/')\nexcept Exception as e: print(e)\n"
    result = box.run([str(box.python), "-c", fetch])
    assert "403" in result.output
    assert len(origin.seen) == 1
    assert [(use.host, use.allowed) for use in result.network] == [("good.test", True), ("evil.test", False)]
    assert any("refused evil.test:80" in note for note in result.notes)


def test_tls_reaches_the_name_of_its_tunnel_only(certificate: Path) -> None:
    with Origin(tls=certificate) as origin, Client(["good.test"], resolver={"good.test": origin.where}) as client:
        assert client.tls("good.test:443", "good.test").endswith(b"hello")
        assert client.tls("good.test:443", "GOOD.test").endswith(b"hello")
        for name in ("evil.test", "www.good.test", None):
            with pytest.raises((OSError, ssl.SSLError)):
                client.tls("good.test:443", name)
        assert len([seen for seen in origin.seen if seen]) == 2
    reasons = [use.reason for use in client.uses if not use.allowed]
    assert len(reasons) == 3
    assert all("in a tunnel for good.test" in reason for reason in reasons)
    assert all(use.sent == 0 for use in client.uses if not use.allowed), "nothing of a refused hello went out"


def test_a_tunnel_carries_nothing_but_tls(origin: Origin) -> None:
    with Client(["good.test"], resolver={"good.test": origin.where}) as client:
        for data in (b"GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n", b"SSH-2.0-x\r\n", b"\x16\x03\x01\x00\x02hi"):
            with client.connect() as connection:
                connection.sendall(b"CONNECT good.test:443 HTTP/1.1\r\n\r\n")
                assert connection.recv(65536).startswith(b"HTTP/1.1 200")
                connection.sendall(data)
                with contextlib.suppress(ConnectionResetError):  # closed with our bytes unread
                    assert connection.recv(65536) == b""
    assert all(seen == b"" for seen in origin.seen)
    assert [use.allowed for use in client.uses] == [False] * 3


def test_a_second_request_cannot_hide_behind_the_first(origin: Origin) -> None:
    """A shared front serves many names: what follows the one request that was checked must not reach it."""
    smuggled = b"GET /admin HTTP/1.1\r\nHost: evil.test\r\n\r\n"
    with Client(["good.test"], resolver={"good.test": origin.where}) as client:
        client.send(get("good.test") + smuggled)
        head = b"POST http://good.test/ HTTP/1.1\r\nHost: good.test\r\n"
        client.send(head + b"Content-Length: 3\r\n\r\nabc" + smuggled)
        client.send(head + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + smuggled)
        client.send(head + b"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n" + smuggled)
    assert len(origin.seen) == 4
    assert not any(b"evil" in seen or b"/admin" in seen for seen in origin.seen)
    assert origin.seen[1].endswith(b"\r\n\r\nabc")
    assert origin.seen[2].endswith(b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    assert origin.seen[3].endswith(b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), "in the plainest form"


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: 3\r\nContent-Length: 30\r\n\r\nabc",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: 0x3\r\n\r\nabc",
        b"X: y\r\nHost: evil.test\r\n\r\n",
        b"X: y\r\n Transfer-Encoding: chunked\r\n\r\n",
        b"X: y\nTransfer-Encoding: chunked\r\n\r\n",
        b"Transfer-Encoding : chunked\r\n\r\n",
    ],
)
def test_a_request_that_two_readers_take_differently_is_refused(origin: Origin, body: bytes) -> None:
    with Client(["good.test"], resolver={"good.test": origin.where}) as client:
        answer = client.send(b"POST http://good.test/ HTTP/1.1\r\nHost: good.test\r\n" + body)
    assert answer.startswith(b"HTTP/1.1 400")
    assert origin.seen == []


def test_a_broken_body_is_cut_off_and_not_made_whole(origin: Origin) -> None:
    head = b"POST http://good.test/ HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Client(["good.test"], resolver={"good.test": origin.where}) as client:
        client.send(head + b"3\r\nabcGET /admin HTTP/1.1\r\n\r\n")
        client.send(head + b"-3\r\nabc\r\n")
        client.send(head + b"ffffffffff\r\nabc\r\n")
    assert not any(b"admin" in seen or b"0\r\n\r\n" in seen for seen in origin.seen)
    assert all("cut off" in use.reason for use in client.uses)


def test_a_host_header_cannot_name_another_host(origin: Origin) -> None:
    with Client(["good.test"], resolver={"good.test": origin.where}) as client:
        for host in (b"evil.test", b"good.test:8080", b"good.test, evil.test", b""):
            answer = client.send(b"GET http://good.test/ HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 400"), host
    assert origin.seen == []


def test_connections_and_bytes_are_bounded(origin: Origin) -> None:
    origin.answer = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5_000_000
    options: dict[str, Any] = {"resolver": {"good.test": origin.where}, "connections": 2, "max_bytes": 1_000_000}
    with Client(["good.test"], **options) as client:
        waiting = [client.connect(), client.connect()]
        for connection in waiting:
            connection.sendall(b"GET ")  # and no more
        wait_for(lambda: len(client.proxy._tasks) == 2)
        assert client.send(get("good.test")).startswith(b"HTTP/1.1 503")
        for connection in waiting:
            connection.close()
        wait_for(lambda: not client.proxy._tasks)
        assert len(client.send(get("good.test"))) < 1_100_000
        assert client.send(get("good.test")).startswith(b"HTTP/1.1 403")
    assert "limit on network traffic" in client.uses[-1].reason


def test_a_head_without_end_is_refused(origin: Origin) -> None:
    with Client(["good.test"], resolver={"good.test": origin.where}) as client:
        answer = client.send(b"GET http://good.test/ HTTP/1.1\r\nX: " + b"y" * 200_000)
    assert answer.startswith(b"HTTP/1.1 431")
    assert origin.seen == []


def test_programs_in_the_sandbox_use_the_proxy_and_have_no_other_way(origin: Origin, workspace: Path) -> None:
    box = Sandbox(workspace, hosts=["good.test"], resolver={"good.test": origin.where})
    script = f"""
import socket, urllib.request
print(urllib.request.urlopen('http://good.test/').read())
for where in (('127.0.0.1', {origin.where[1]}), ('1.1.1.1', 53), ('169.254.169.254', 80)):
    try: socket.create_connection(where, 2); print('REACHED', where)
    except OSError as error: print('refused')
try: print(socket.getaddrinfo('good.test', 80))
except OSError: print('no names')
opener = urllib.request.build_opener(urllib.request.ProxyHandler({{}}))
try: opener.open('http://good.test/'); print('REACHED')
except OSError: print('refused')
"""
    result = box.run([str(box.python), "-c", script])
    assert result.output == "b'hello'\nrefused\nrefused\nrefused\nno names\nrefused\n", result.output
    assert [use.allowed for use in result.network] == [True]
    (use,) = result.network
    assert result.notes == (f"network: good.test:80 reached once, {use.sent} bytes sent, {use.received} received",)


def test_git_and_pip_find_the_proxy(origin: Origin, workspace: Path) -> None:
    box = Sandbox(workspace, hosts=["good.test"], resolver={"good.test": origin.where})
    pip = f"{box.python} -m pip download --retries 0 --trusted-host good.test -i http://good.test/i x"
    result = box.run(["bash", "-c", f"git ls-remote http://good.test/a; {pip}"])
    paths = [seen.split(b" ")[1] for seen in origin.seen]
    assert any(path.startswith(b"/a/info/refs") for path in paths), result.output
    assert b"/i/x/" in paths, result.output


def test_a_sandbox_without_the_grant_cannot_use_the_proxy_of_another(
    origin: Origin, workspace: Path, tmp_path: Path
) -> None:
    """The proxy of one sandbox is a socket that only this one sees, and it is gone when the command is."""
    other = tmp_path / "other"
    other.mkdir()
    with Client(["good.test"], resolver={"good.test": origin.where}) as client:
        knock = (
            "import socket, sys\n"
            "for path in sys.argv[1:]:\n"
            "    try: socket.socket(socket.AF_UNIX).connect(path); print('REACHED', path)\n"
            "    except OSError as error: print('refused')\n"
            "try: socket.create_connection(('127.0.0.1', 3128), 2); print('REACHED')\n"
            "except OSError: print('refused')\n"
        )
        paths = [str(client.proxy.socket), "/run/network/proxy", f"/proc/1/root{client.proxy.socket}"]
        box = Sandbox(other)
        assert box.run([str(box.python), "-c", knock, *paths]).output == "refused\n" * 4
        assert client.proxy.folder.stat().st_mode & 0o077 == 0, "and no other user of the machine"
    assert not client.proxy.folder.exists()


def test_the_forwarder_ends_with_the_command(origin: Origin, workspace: Path) -> None:
    box = Sandbox(workspace, hosts=["good.test"], resolver={"good.test": origin.where})
    assert box.run(["true"], timeout_s=20).ended == "exit"
    assert box.run(["sleep", "100"], timeout_s=1).ended == "timeout"
    assert not [t for t in threading.enumerate() if t.name == "mainspring-proxy"]


def test_killing_the_forwarder_opens_nothing(origin: Origin, workspace: Path) -> None:
    box = Sandbox(workspace, hosts=["good.test"], resolver={"good.test": origin.where})
    result = box.run(
        ["bash", "-c", f"pkill -f /run/networ[k]/proxy; sleep 0.2; {box.python} -c 'import urllib.request as u; "
         "u.urlopen(\"http://good.test/\")' 2>&1 | tail -1"]
    )  # fmt: skip
    assert "refused" in result.output
    assert origin.seen == []


def test_the_limit_on_traffic_is_the_sandboxes(origin: Origin, workspace: Path) -> None:
    origin.answer = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 3_000_000
    limits = SandboxLimits(network_bytes=1_000_000)
    box = Sandbox(workspace, hosts=["good.test"], resolver={"good.test": origin.where}, limits=limits)
    fetch = "import urllib.request as u; print(len(u.urlopen('http://good.test/').read()))"
    result = box.run([str(box.python), "-c", fetch])
    assert int(result.output) < 1_100_000
    assert any("limit on network traffic" in note for note in result.notes)


def test_https_from_the_sandbox_is_end_to_end(certificate: Path, workspace: Path) -> None:
    """The proxy opens no TLS: the command checks the host's own certificate."""
    public = certificate.read_text()
    (workspace / "ca.pem").write_text(public[public.index("-----BEGIN CERTIFICATE") :])
    with Origin(tls=certificate) as origin:
        box = Sandbox(
            workspace,
            hosts=["good.test", "other.test"],
            resolver=dict.fromkeys(["good.test", "other.test"], origin.where),
        )
        fetch = (
            "import ssl, urllib.request as u\ncontext = ssl.create_default_context(cafile='ca.pem')\n"
            "for name in ('good.test', 'other.test', 'evil.test'):\n"
            "    try: print(u.urlopen(f'https://{name}/', context=context).read())\n"
            "    except OSError as error: print(error)\n"
        )
        result = box.run([str(box.python), "-c", fetch])
    good, other, evil = result.output.splitlines()
    assert good == "b'hello'"
    assert "certificate is not valid for 'other.test'" in other
    assert "403" in evil
    decided = {(use.host, use.allowed) for use in result.network}
    assert decided == {("good.test", True), ("other.test", True), ("evil.test", False)}


def test_what_a_killed_proxy_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = tmp_path / "mainspring-net-left"
    left.mkdir()
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(left / "proxy"))
    with Client(["good.test"]) as running:
        for folder in (left, running.proxy.folder):
            os.utime(folder, (0, 0))
        with Client(["good.test"]):
            assert not left.exists()
            assert running.proxy.socket.exists()
            assert running.send(get("evil.test")).startswith(b"HTTP/1.1 403")
