"""HTTP towards an MCP server: bounded answers, no redirects to elsewhere, no compression that could unfold.

The SDK follows a redirect only within the server's own origin; what it sends (arguments, tokens) was meant for that.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

_ANSWERS = ("application/json", "text/event-stream")


def client(headers: Mapping[str, str], *, max_bytes: int, connect_s: float, read_s: float) -> Any:
    """An `httpx2.AsyncClient` for one server.

    Args:
        max_bytes: most bytes of one answer; a stream of events may have four times as many.
        connect_s, read_s: seconds until a connection is given up, and between two pieces of an answer.
    """
    import httpx2

    class Body(httpx2.AsyncByteStream):
        def __init__(self, inner: Any, limit: int) -> None:
            self._inner = inner
            self._left = limit

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for piece in self._inner:
                self._left -= len(piece)
                if self._left < 0:
                    raise httpx2.StreamError(f"the answer has more than {max_bytes:,} bytes")
                yield piece

        async def aclose(self) -> None:
            await self._inner.aclose()

    class Bounded(httpx2.AsyncHTTPTransport):
        async def handle_async_request(self, request: Any) -> Any:
            response = await super().handle_async_request(request)
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            problem = ""
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                problem = "the answer is compressed, which was not asked for"
            elif response.status_code >= 500 and kind != "application/json":
                # Whoever answered may stand before the server, which may have acted all the same.
                problem = f"the server answered with HTTP status {response.status_code}"
            elif response.is_success and kind not in _ANSWERS and b'"tools/call"' in request.content:
                problem = "the server took the call and gave no answer that can be read"
            if problem:
                await response.aclose()
                raise httpx2.RemoteProtocolError(problem, request=request)
            if not (request.method == "GET" and kind == "text/event-stream"):  # an open channel has no end
                limit = 4 * max_bytes if kind == "text/event-stream" else max_bytes
                response.stream = Body(response.stream, limit)
            return response

    return httpx2.AsyncClient(
        headers={"accept-encoding": "identity", **headers},
        timeout=httpx2.Timeout(connect_s, read=read_s),
        follow_redirects=False,
        transport=Bounded(),
    )
