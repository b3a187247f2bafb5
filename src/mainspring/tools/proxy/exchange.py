"""Carries bytes between a command and a host: a tunnel for TLS, or one plain request and its answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from mainspring.tools.proxy.hello import HelloError, read_hello
from mainspring.tools.proxy.hosts import literal
from mainspring.tools.proxy.request import Request

_HELLO_S = 30.0
_PIECE = 1 << 16

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter


class Exchange:
    """What goes between a command and a host, once they are connected.

    Args:
        near: the command's side.
        far: the host's side.
        spend: counts bytes, and says False when the limit is reached.

    Attributes:
        sent, received: bytes so far.
        reason: why it ended early, or empty.
    """

    def __init__(self, near: tuple[Reader, Writer], far: tuple[Reader, Writer], spend: Callable[[int], bool]) -> None:
        self._reader, self._writer = near
        self._far_reader, self._far_writer = far
        self._count = spend
        self.sent = self.received = 0
        self.reason = ""

    async def tunnel(self, host: str) -> None:
        """Let TLS through that asks for the name of the tunnel, and nothing else.

        Raises:
            HelloError: it is something else; nothing has reached the host. The client has had its answer already.
        """
        self._writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await self._writer.drain()
        await self._send(await self._hello(host))
        ways = [asyncio.ensure_future(self._forward()), asyncio.ensure_future(self._back())]
        try:
            await asyncio.gather(*ways)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _hello(self, host: str) -> bytes:
        data = b""
        wanted = None if literal(host) is not None else host
        try:
            async with asyncio.timeout(_HELLO_S):
                while (hello := read_hello(data)) is None:
                    more = await self._reader.read(_PIECE)
                    if not more:
                        raise HelloError("it ended before its ClientHello")
                    data += more
        except TimeoutError:
            raise HelloError("no ClientHello came") from None
        named = None if hello.name is None else hello.name.lower().removesuffix(".")
        if named != wanted:
            raise HelloError(f"TLS asks for {hello.name!r} in a tunnel for {host}")
        return data

    async def pass_on(self, request: Request) -> None:
        """Send one request and return its answer; the connection serves no other."""
        await self._send(request.head)
        body = asyncio.ensure_future(self._body(request.length))
        try:
            await self._back()
        finally:
            body.cancel()
            await asyncio.gather(body, return_exceptions=True)

    async def _body(self, length: int | None) -> None:
        if length is None:
            await self._chunks()
            return
        while length > 0:
            data = await self._reader.read(min(length, _PIECE))
            if not data:
                self._far_writer.close()  # half a body must not look like a whole one
                return
            length -= len(data)
            await self._send(data)

    async def _chunks(self) -> None:
        """Pass chunks on, each in the plainest form, up to the last; trailers are left out."""
        try:
            while True:
                line = await self._reader.readuntil(b"\r\n")
                digits = line[:-2].partition(b";")[0].strip(b" \t")
                if not 0 < len(digits) <= 8 or digits.strip(b"0123456789abcdefABCDEF"):
                    raise ValueError(f"{line[:40]!r} begins no chunk")
                size = int(digits, 16)
                if size == 0:
                    await self._send(b"0\r\n\r\n")
                    return
                await self._send(b"%x\r\n" % size)
                while size > 0:
                    data = await self._reader.readexactly(min(size, _PIECE))
                    size -= len(data)
                    await self._send(data)
                if await self._reader.readexactly(2) != b"\r\n":
                    raise ValueError("a chunk is longer than it says")
                await self._send(b"\r\n")
        except (ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            self.reason = f"the body was cut off: {error}"
            self._far_writer.close()

    async def _forward(self) -> None:
        await self._copy(self._reader, self._send)
        with contextlib.suppress(OSError, RuntimeError):
            self._far_writer.write_eof()

    async def _back(self) -> None:
        await self._copy(self._far_reader, self._receive)
        with contextlib.suppress(OSError, RuntimeError):
            self._writer.write_eof()

    async def _copy(self, source: Reader, put: Callable[[bytes], Awaitable[None]]) -> None:
        while data := await source.read(_PIECE):
            await put(data)

    async def _send(self, data: bytes) -> None:
        self._spend(len(data))
        self._far_writer.write(data)
        await self._far_writer.drain()
        self.sent += len(data)

    async def _receive(self, data: bytes) -> None:
        self._spend(len(data))
        self._writer.write(data)
        await self._writer.drain()
        self.received += len(data)

    def _spend(self, count: int) -> None:
        if not self._count(count):
            self.reason = "the limit on network traffic is used up"
            raise ConnectionAbortedError(self.reason)
