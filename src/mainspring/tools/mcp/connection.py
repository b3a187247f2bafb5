"""One session with one server, in the background loop: opened, listed, called, and opened again when it has died."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from mainspring.config import ServerSettings
from mainspring.config.checks import references
from mainspring.errors import ToolError
from mainspring.tools.mcp.pins import Listed
from mainspring.tools.mcp.stdio import Errors, environment, stdio
from mainspring.tools.mcp.words import clean

if TYPE_CHECKING:
    from mcp import Client

#: Most tools and pages that a server may list.
MAX_LISTED = 1_000
_MAX_PAGES = 100


class LostError(Exception):
    """The connection ended, or the time was up, after a request had been sent: nobody knows what became of it."""


class Connection:
    """A session with a server. All methods run in the background loop.

    Args:
        settings: the server.
        resolve: gives the value of a reference such as ``secret:NAME``.
        on_change: called when the server says that its tools changed.
    """

    def __init__(
        self, settings: ServerSettings, resolve: Callable[[str], str] | None, on_change: Callable[[], None]
    ) -> None:
        self.settings = settings
        self.instructions = ""
        self._resolve = resolve
        self._on_change = on_change
        self._errors = Errors()
        self._secrets: set[str] = set()
        self._client: Client | None = None
        self._task: asyncio.Task[None] | None = None
        self._ended: BaseException | None = None
        self._stop = asyncio.Event()

    @property
    def alive(self) -> bool:
        """True while the session is open, as far as we know."""
        return self._client is not None and self._task is not None and not self._task.done()

    async def open(self) -> None:
        """Open the session.

        Raises:
            ToolError: the server cannot be started or reached, or does not speak the protocol; with what it printed.
        """
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._serve(ready))
        try:
            async with asyncio.timeout(self.settings.connect_s):
                await asyncio.shield(ready)
        except TimeoutError:
            await self.close()
            raise self._failed(f"it gave no answer within {self.settings.connect_s:g} s") from None
        except asyncio.CancelledError:
            await self.close()
            raise
        except Exception as error:
            await self.close()
            raise self._failed(_cause(error)) from None

    async def close(self) -> None:
        """End the session and the server's process."""
        self._stop.set()
        task, self._client = self._task, None
        if task is None:
            return
        done, _ = await asyncio.wait({task}, timeout=0.5)
        if not done:
            task.cancel()
            await asyncio.wait({task}, timeout=10)

    async def list(self) -> tuple[dict[str, Listed], list[str]]:
        """Every tool by the server's name, as the server describes it, and names that it lists twice.

        Raises:
            ToolError: it lists too many, or not by the protocol.
        """
        from mcp_types import PaginatedRequestParams

        found: dict[str, Listed] = {}
        twice: list[str] = []
        cursor: str | None = None
        seen: set[str | None] = set()
        for _ in range(_MAX_PAGES):
            seen.add(cursor)
            try:
                async with asyncio.timeout(self.settings.connect_s):
                    page = await self._session.list_tools(params=PaginatedRequestParams(cursor=cursor))
            except Exception as error:
                raise self._failed(f"its tools cannot be listed: {_cause(error)}") from None
            for tool in page.tools:
                said = tool.model_dump(by_alias=True, mode="json", exclude_none=True)
                for key in ("name", "icons", "_meta", "execution"):
                    said.pop(key, None)
                twice.extend([tool.name] if tool.name in found else [])
                found[tool.name] = Listed(tool.name, said)
            if len(found) > MAX_LISTED:
                raise self._failed(f"it lists more than {MAX_LISTED:,} tools")
            cursor = page.next_cursor
            if cursor is None:
                return found, twice
            if cursor in seen:
                break
        raise self._failed("its list of tools has no end")

    async def call(self, name: str, arguments: Mapping[str, Any], timeout_s: float) -> Any:
        """Call a tool and return the SDK's result.

        Raises:
            LostError: it may have taken effect, and nobody knows.
            NotSentError: it certainly has not, and may be sent again in a new session.
            ToolError: the server refused the call, or asks for something that it does not get.
        """
        from mcp import MCPError
        from mcp_types import CallToolRequest, CallToolRequestParams, CallToolResult, InputRequiredResult
        from pydantic import TypeAdapter

        request = CallToolRequest(params=CallToolRequestParams(name=name, arguments=dict(arguments)))
        kind: TypeAdapter[CallToolResult | InputRequiredResult] = TypeAdapter(CallToolResult | InputRequiredResult)
        try:
            # Not `call_tool`: it would check the answer by the server's own schema, which may never end.
            result = await self._session.send_request(request, kind, request_read_timeout_seconds=timeout_s)
        except MCPError as error:
            raise await self._from_server(error) from None
        except asyncio.CancelledError:
            raise
        except Exception as error:
            raise LostError(f"its answer is no answer to a tool call: {_cause(error)}") from None
        if isinstance(result, InputRequiredResult):
            asked = ", ".join(sorted({r.method for r in (result.input_requests or {}).values()})) or "another try"
            raise ToolError(f"the server asks for {asked}, which no server gets")
        return result

    async def _from_server(self, error: Any) -> Exception:
        from mcp_types import CONNECTION_CLOSED, INVALID_REQUEST, PARSE_ERROR, REQUEST_TIMEOUT

        if error.code == REQUEST_TIMEOUT:
            return LostError("it gave no answer in time")
        if error.code in (CONNECTION_CLOSED, PARSE_ERROR) or not self.alive:
            self._client = None
            if self._task is not None:  # why it ended is known a moment after our request has learnt that it did
                await asyncio.wait({self._task}, timeout=1)
            if self._ended is not None and _never_sent(self._ended):
                return NotSentError()
            why = f" ({self._errors.ended})" if self._errors.ended else ""
            return LostError(f"the connection ended before its answer came{why}")
        if error.code == INVALID_REQUEST and error.message == "Session terminated":
            self._client = None
            return NotSentError()
        return ToolError(self._scrubbed(str(error.message))[:4000])

    @property
    def _session(self) -> Any:
        if self._client is None:
            raise ToolError(f"MCP server {self.settings.name!r} is not connected")
        return self._client.session

    async def _serve(self, ready: asyncio.Future[None]) -> None:
        """Hold the session open in a task of its own, as its cancel scopes need."""
        from mcp import Client
        from mcp_types import Implementation

        import mainspring

        try:
            async with contextlib.AsyncExitStack() as stack:
                transport = await self._transport(stack)
                client = Client(
                    transport,
                    message_handler=self._heard,
                    client_info=Implementation(name="mainspring", version=mainspring.__version__),
                    cache=None,
                )
                await stack.enter_async_context(client)
                self._client = client
                self.instructions = client.instructions or ""
                if not ready.done():
                    ready.set_result(None)
                async with asyncio.TaskGroup() as tasks:
                    listening = tasks.create_task(self._listen(client))
                    await self._stop.wait()
                    listening.cancel()
        except BaseException as error:
            self._ended = error
            if not ready.done():
                ready.set_exception(error if isinstance(error, Exception) else ToolError("it was ended"))
            if not isinstance(error, Exception):
                raise
        finally:
            self._client = None

    async def _transport(self, stack: contextlib.AsyncExitStack) -> Any:
        settings = self.settings
        if settings.command:
            return stdio(
                settings.command,
                env=environment({k: self._filled(v) for k, v in settings.env.items()}),
                cwd=settings.cwd or None,
                max_line=settings.max_result_bytes,
                errors=self._errors,
                on_end=self._gone,
            )
        from mcp.client.streamable_http import streamable_http_client

        from mainspring.tools.mcp.web import client

        headers = {k: self._filled(v) for k, v in settings.headers.items()}
        if settings.bearer:
            headers["Authorization"] = f"Bearer {self._filled(settings.bearer)}"
        http = client(
            headers,
            max_bytes=settings.max_result_bytes,
            connect_s=settings.connect_s,
            read_s=max(settings.timeout_s, 300),
        )
        await stack.enter_async_context(http)
        return streamable_http_client(settings.url, http_client=http, max_sse_event_size=settings.max_result_bytes)

    def _gone(self) -> None:
        """The server's process ended or went silent for good: the next call opens a new session."""
        self._client = None
        self._stop.set()

    def _filled(self, value: str) -> str:
        if not references(value):
            return value
        if self._resolve is None:
            raise ToolError(f"{value} cannot be filled in: no secrets are configured")
        filled = self._resolve(value)
        self._secrets.add(filled)
        return filled

    def _scrubbed(self, text: str) -> str:
        """A server's words without what we gave it in confidence."""
        for value in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(value, "[secret]")
        return text

    async def _heard(self, message: Any) -> None:
        from mcp_types import ToolListChangedNotification

        if isinstance(message, ToolListChangedNotification):
            self._on_change()

    async def _listen(self, client: Client) -> None:
        """Hear of changed tools on protocol versions where one has to ask for that."""
        from mcp_types.version import MODERN_PROTOCOL_VERSIONS

        if client.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            return
        capability = client.server_capabilities.tools
        if capability is None or not capability.list_changed:
            return
        with contextlib.suppress(Exception):  # without it, changes are found when the session is next opened
            async with client.listen(tools_list_changed=True) as changes:
                async for _ in changes:
                    self._on_change()

    def _failed(self, why: str) -> ToolError:
        tail = clean(self._scrubbed(self._errors.tail))[0]
        printed = "\nit printed:\n" + "\n".join(f"  {line}" for line in tail.splitlines()[-12:]) if tail else ""
        return ToolError(f"MCP server {self.settings.name!r} ({self.settings.address}): {why}{printed}")


class NotSentError(Exception):
    """Nothing was done: no connection came about, or the server does not know the session any more."""


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for one in error.exceptions for leaf in _leaves(one)]
    return [error]


def _cause(error: BaseException) -> str:
    """The first real cause of an error, in a line."""
    leaf = _leaves(error)[0]
    text = str(leaf).strip().splitlines()
    first = text[0][:300] if text else type(leaf).__name__
    return first if isinstance(leaf, ToolError) else f"{type(leaf).__name__}: {first}" if text else first


def _never_sent(error: BaseException) -> bool:
    """True when no connection came about, so that nothing can have been done."""
    return any(type(leaf).__name__ in ("ConnectError", "ConnectTimeout") for leaf in _leaves(error))
