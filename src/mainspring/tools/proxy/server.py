"""The proxy: one for each sandbox that was granted hosts, on a Unix socket that only this sandbox can see.

For each connection it reads the name that is asked for, compares it with the grants, looks the name up itself, refuses
addresses that are not of the public internet, and connects to the very addresses that it checked. In a tunnel it
compares the name that TLS asks for with the tunnel's. A redirect is a new request, so it is checked like any other.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mainspring.errors import SandboxError
from mainspring.tools.addresses import Address
from mainspring.tools.proxy.addresses import is_own, why_forbidden
from mainspring.tools.proxy.exchange import Exchange, Reader, Writer
from mainspring.tools.proxy.hello import HelloError
from mainspring.tools.proxy.hosts import literal, parse_hosts
from mainspring.tools.proxy.request import MAX_HEAD, RequestError, read_request

_HEAD_S = 30.0
_LOOK_UP_S = 15.0
_CONNECT_S = 15.0
_LINGER_S = 2.0
_PIECE = 1 << 16
_BACKLOG = 64
_PREFIX = "mainspring-net-"
_WORDS = {400: "Bad Request", 403: "Forbidden", 431: "Request Header Fields Too Large", 502: "Bad Gateway"}
_WORDS[503] = "Service Unavailable"


@dataclass(frozen=True, slots=True)
class NetworkUse:
    """One decision of the proxy, for the audit.

    Args:
        host, port: whom the command asked for.
        allowed: it was let through.
        reason: why not, or why it ended early; empty when nothing went wrong.
        sent, received: bytes that went to and came from the host.
    """

    host: str
    port: int
    allowed: bool
    reason: str = ""
    sent: int = 0
    received: int = 0

    def text(self) -> str:
        """One line for people."""
        where = f"{self.host}:{self.port}" if self.port else "an unreadable request"
        if not self.allowed:
            return f"network: refused {where}: {self.reason}"
        ending = f"; {self.reason}" if self.reason else ""
        return f"network: {where}, {self.sent:,} bytes sent, {self.received:,} received{ending}"


def look_up(host: str, port: int) -> list[Address]:
    """The addresses of a name, in the order in which the system prefers them. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found))


async def dial(addresses: Iterable[tuple[str, int]]) -> tuple[Reader, Writer]:
    """A connection to the first address that answers. Raises OSError."""
    error: OSError = OSError("it has no address")
    for address, port in addresses:
        try:
            return await asyncio.wait_for(asyncio.open_connection(address, port), _CONNECT_S)
        except TimeoutError:
            error = OSError("it does not answer")
        except OSError as failed:
            error = failed
    raise error


class Proxy:
    """A filtering proxy, running between `with` and its end.

    Args:
        hosts: what is granted, as :func:`mainspring.tools.proxy.hosts.parse_host` reads it.
        told: called with each decision, from the proxy's thread; when a connection was allowed, at its end.
        resolver: granted name -> (address, port) to use instead of looking the name up. Such an address is not
            checked: this is how a program reaches a server of its own network, or a test one of its own machine.
        connections: at once.
        max_bytes: sent and received by all connections together.
        lookup: gives a name's addresses.

    Raises:
        DeclarationError: a host is not understood.
    """

    def __init__(
        self,
        hosts: Iterable[str],
        *,
        told: Callable[[NetworkUse], None] | None = None,
        resolver: Mapping[str, tuple[str, int]] | None = None,
        connections: int = 32,
        max_bytes: int = 2 << 30,
        lookup: Callable[[str, int], list[Address]] = look_up,
    ) -> None:
        self.hosts = tuple(hosts)
        self._grants = parse_hosts(self.hosts)
        self._told = told or (lambda use: None)
        self._resolver = dict(resolver or {})
        self._connections = connections
        self._left = max_bytes
        self._lookup = lookup
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mainspring-proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self.folder = Path()

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.folder / "proxy"

    def __enter__(self) -> Proxy:
        _sweep()
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX))  # readable by nobody else
        if len(os.fsencode(self.socket)) > 100:  # a Unix socket's path has at most 107 bytes
            self.folder.rmdir()
            self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir="/tmp"))
        self._thread.start()
        listening = asyncio.run_coroutine_threadsafe(self._listen(), self._loop)
        try:
            listening.result(10)
        except (OSError, TimeoutError) as error:
            self.__exit__()
            raise SandboxError(f"the network proxy cannot be started: {error}; no command ran") from None
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _listen(self) -> None:
        self._server = await asyncio.start_unix_server(self._accept, self.socket, limit=MAX_HEAD, backlog=_BACKLOG)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: Reader, writer: Writer) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            try:
                await self._serve(reader, writer)
            except RequestError as error:
                self._told(NetworkUse(error.host, error.port, False, error.reason))
                await _answer(reader, writer, error)
        except (OSError, asyncio.CancelledError, asyncio.IncompleteReadError):
            pass  # the command went away, or its sandbox ended
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, reader: Reader, writer: Writer) -> None:
        if len(self._tasks) > self._connections:
            raise RequestError(503, f"more than {self._connections} connections at once")
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _HEAD_S)
        except asyncio.LimitOverrunError:
            raise RequestError(431, "the head is too long") from None
        except TimeoutError:
            raise RequestError(400, "no request came") from None
        request = read_request(head)
        host, port = request.host, request.port
        if not any(grant.covers(host, port) for grant in self._grants):
            raise RequestError(403, f"not granted (granted: {', '.join(self.hosts)})", host, port)
        if self._left <= 0:
            raise RequestError(403, "the limit on network traffic is used up", host, port)
        try:
            upstream = await dial(await self._addresses(host, port))
        except OSError as error:
            raise RequestError(502, f"cannot be reached: {error.strerror or error}", host, port) from None
        exchange = Exchange((reader, writer), upstream, self._spend)
        refused = ""
        try:
            await (exchange.tunnel(host) if request.connect else exchange.pass_on(request))
        except HelloError as error:
            refused = str(error)  # the tunnel stands, so there is no way left to tell the client
        except OSError as error:
            exchange.reason = exchange.reason or f"the connection broke: {error.strerror or error}"
        finally:
            upstream[1].close()
            self._told(
                NetworkUse(host, port, not refused, refused or exchange.reason, exchange.sent, exchange.received)
            )

    async def _addresses(self, host: str, port: int) -> list[tuple[str, int]]:
        """Where to connect; every address of the name has been checked, and no other will be used."""
        if host in self._resolver:
            return [self._resolver[host]]
        address = literal(host)
        found = [address] if address is not None else await self._look_up(host, port)
        for address in found:
            why = why_forbidden(address) or (f"{address}, this machine" if is_own(address) else None)
            if why is not None:
                raise RequestError(403, f"it leads to {why}", host, port)
        return [(str(address), port) for address in found]

    async def _look_up(self, host: str, port: int) -> list[Address]:
        try:
            return await asyncio.wait_for(asyncio.to_thread(self._lookup, host, port), _LOOK_UP_S)
        except TimeoutError:
            raise RequestError(502, "its name could not be looked up in time", host, port) from None
        except (OSError, UnicodeError) as error:
            raise RequestError(502, f"its name could not be looked up: {error}", host, port) from None

    def _spend(self, count: int) -> bool:
        """Count traffic; False when the limit is reached."""
        self._left -= count
        return self._left > 0


async def _answer(reader: Reader, writer: Writer, error: RequestError) -> None:
    """Tell the client why, and read what it is still sending, since closing earlier would lose the answer."""
    where = f"{error.host}:{error.port}: " if error.port else ""
    text = f"refused by the sandbox: {where}{error.reason}\n".encode("ascii", "replace")
    head = f"HTTP/1.1 {error.status} {_WORDS[error.status]}\r\nContent-Type: text/plain\r\n"
    writer.write(f"{head}Content-Length: {len(text)}\r\nConnection: close\r\n\r\n".encode() + text)
    await writer.drain()
    writer.write_eof()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_S):
            while await reader.read(_PIECE):
                pass


def _sweep() -> None:
    """Remove the folders of proxies that were killed: nobody listens on their sockets any more."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            status = folder.lstat()
            if status.st_uid != os.getuid() or time.time() - status.st_mtime < 60:
                continue  # of another user, or only just being made
            try:
                probe.connect(str(folder / "proxy"))
            except (ConnectionRefusedError, FileNotFoundError):
                shutil.rmtree(folder, ignore_errors=True)
