"""MCP servers as an agent holds them: which tools are offered, which are withheld and why, and how calls get there."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mainspring.config import ServerSettings, configured
from mainspring.errors import DeclarationError, ToolError
from mainspring.tools.mcp import background
from mainspring.tools.mcp.connection import Connection, LostError, NotSentError
from mainspring.tools.mcp.pins import FIRST_USE, Change, Listed, Pins, compare
from mainspring.tools.mcp.result import to_value
from mainspring.tools.mcp.schema import SchemaError
from mainspring.tools.mcp.tool import McpTool
from mainspring.tools.mcp.words import tool_name

#: Most tools of one server that are offered at once; a planner that reads hundreds plans badly and costs much.
MAX_OFFERED = 128
#: Seconds between two looks at a list that the server says has changed.
_RECHECK_S = 1.0
#: Names of our own tools, which no server's tool may take.
_OURS = frozenset(
    ("read_file", "search_codebase", "edit_file", "run_terminal_command", "execute_tests", "read_value", "read_result")
)
_log = logging.getLogger("mainspring.mcp")

Resolve = Callable[[str], str]


class McpServer:
    """A server and the state of its tools.

    Args:
        settings: what a person says of it.
        home: Mainspring's home; what was approved is kept in its ``pins`` folder.
        resolve: gives the value of a reference such as ``secret:NAME``.

    Attributes:
        tools: the tools that are offered, in the order of their names.
        withheld: a tool's name (the server's own) -> why it is not offered.
        notes: what a person should know, without any of the server's words.
        instructions: what the server would like a model to be told. No model is told.
    """

    def __init__(self, settings: ServerSettings, home: Path, resolve: Resolve | None = None) -> None:
        self.settings = settings
        self.tools: list[McpTool] = []
        self.withheld: dict[str, str] = {}
        self.notes: list[str] = []
        self.instructions = ""
        self._pins = Pins(home / "pins", settings.name)
        self._resolve = resolve
        self._connection: Connection | None = None
        self._listed: dict[str, Listed] = {}
        self._twice: list[str] = []
        self._pin = True
        self._opening: asyncio.Lock | None = None
        self._looked_at = 0.0
        self._recheck: asyncio.Task[None] | None = None

    def open(self, *, pin: bool = True) -> None:
        """Connect, list and compare with what was approved. When the server is away, offer what was approved.

        Args:
            pin: accept what a server lists at first use, where its settings allow that; otherwise only look.

        Raises:
            ToolError: the server cannot be reached and nothing was approved yet.
            DeclarationError: the pins are damaged, or too many tools are offered.
        """
        self._pin = pin
        try:
            background.wait(self._connected())
        except ToolError as error:
            pinned = self._pins.read()
            if pinned is None:
                raise
            self._listed, self._twice = pinned, []
            self._offer(pinned, {})
            self.notes.append(f"the server is away, its tools are offered as they were approved: {error}")

    def look(self) -> None:
        """List the tools again and compare them with what was approved. Raises as :meth:`open`."""
        background.wait(self._looked_again())

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of everything that the server lists: what an approval is bound to."""
        text = "".join(f"{name!a} {one.digest}\n" for name, one in sorted(self._listed.items()))
        return hashlib.sha256(text.encode()).hexdigest()

    def approve(self, by: str) -> None:
        """Accept the tools as they were last listed; a session sees that when it looks again.

        Only a person's command may call this: no tool and no run can.
        """
        self._pins.accept(self._listed, by=by)

    def changes(self) -> list[Change]:
        """What is new, changed or gone against what was approved; everything is new where nothing (readable) was."""
        try:
            pinned = self._pins.read() or {}
        except DeclarationError:
            pinned = {}
        return compare(pinned, self._listed)

    def review(self) -> list[Change]:
        """Connect, list, and return :meth:`changes`, without accepting anything. Raises as :meth:`open`."""
        with contextlib.suppress(DeclarationError):  # damaged pins, or too many tools: the list is there all the same
            background.wait(self._connected())
        return self.changes()

    def close(self) -> None:
        """End the session and the server's process; a later call opens a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            background.wait(connection.close())

    # What follows runs in the background loop.

    async def _connected(self) -> Connection:
        """The open session, opened when there is none, with its tools compared."""
        self._opening = self._opening or asyncio.Lock()
        async with self._opening:
            connection = self._connection
            if connection is not None and connection.alive:
                return connection
            if connection is not None:
                await connection.close()
            connection = Connection(self.settings, self._resolve, self._changed)
            await connection.open()
            self._connection, self.instructions = connection, connection.instructions
            try:
                await self._list(connection)
            except BaseException:
                await connection.close()
                raise
            return connection

    async def _list(self, connection: Connection) -> None:
        self._listed, self._twice = await connection.list()
        self._looked_at = time.monotonic()
        self._compare()

    async def _looked_again(self) -> None:
        connection = await self._connected()
        await self._list(connection)

    def _changed(self) -> None:
        """The server says that its tools changed: look, but not more often than once a second."""
        if self._recheck is None or self._recheck.done():
            self._recheck = asyncio.get_running_loop().create_task(self._look_soon())

    async def _look_soon(self) -> None:
        await asyncio.sleep(max(0.0, self._looked_at + _RECHECK_S - time.monotonic()))
        connection = self._connection
        if connection is None or not connection.alive:
            return
        try:
            await self._list(connection)
        except (ToolError, DeclarationError) as error:
            _log.warning("MCP server %s: %s", self.settings.name, error)
            await connection.close()  # what it offers now is not known; the next call looks again, or fails

    def _compare(self) -> None:
        """Work out what is offered; nothing is, when that cannot be done."""
        try:
            self._compared()
        except BaseException:
            self.tools = []
            raise

    def _compared(self) -> None:
        self.notes = []
        pinned = self._pins.read()
        if pinned is None and self.settings.pinning == "first-use" and not self._pin:
            pinned = self._listed
            self.notes.append("nothing was accepted yet; its tools will be pinned as they are at first use")
        elif pinned is None and self.settings.pinning == "first-use":
            pinned = self._pins.accept(self._listed, by=FIRST_USE, first=True)
            self.notes.append(
                f"its {len(pinned)} tools were pinned as they are at first use; "
                "look at them: mainspring tools audit --mcp " + self.settings.name
            )
        reasons: dict[str, str] = {}
        if pinned is None:
            reasons = dict.fromkeys(self._listed, "waits for a person")
        else:
            reasons = {c.name: c.reason for c in compare(pinned, self._listed) if c.kind != "gone"}
        self._offer(self._listed, reasons)

    def _offer(self, listed: Mapping[str, Listed], reasons: Mapping[str, str]) -> None:
        """Make the tools that are neither withheld nor unusable."""
        only = self.settings.only
        wanted = {n: one for n, one in sorted(listed.items()) if only is None or n in only}
        if len(wanted) > MAX_OFFERED:
            raise DeclarationError(
                f"MCP server {self.settings.name!r} offers {len(wanted)} tools; at most {MAX_OFFERED} are used: "
                f"name those that are needed under only = [...]"
            )
        approve = f"; see: mainspring tools approve {self.settings.name}"
        withheld = {ascii(n)[1:-1]: why + approve for n, why in reasons.items() if n in wanted}
        withheld |= {ascii(n)[1:-1]: "is listed twice" for n in self._twice if n in wanted}
        made: dict[str, McpTool] = {}
        taken: dict[str, list[str]] = {}
        for name in wanted:
            if (ours := tool_name(self.settings.name, name)) is not None:
                taken.setdefault(ours, []).append(name)
        for name, one in wanted.items():
            if ascii(name)[1:-1] in withheld:
                continue
            ours = tool_name(self.settings.name, name)
            if ours is None:
                withheld[ascii(name)[1:-1][:80]] = "has a name that cannot be used"
            elif ours in _OURS:
                withheld[name] = f"would be called {ours!r} like one of Mainspring's own tools"
            elif len(taken[ours]) > 1:
                withheld[name] = f"would be called {ours!r} like another tool of the server"
            else:
                try:
                    made[name] = self._made(ours, one)
                except SchemaError as error:
                    withheld[name] = f"cannot be used: {error}"
        missing = [n for n in (*(only or ()), *self.settings.tools) if n not in listed]
        self.notes += [f"the configuration speaks of {n!r}, which the server does not list" for n in missing]
        self.tools, self.withheld = list(made.values()), withheld
        for tool in self.tools:
            tool.unseen = not self._pins.seen

    def _made(self, name: str, listed: Listed) -> McpTool:
        made = McpTool(self._call, name, self.settings, listed)
        if made.hidden:
            self.notes.append(f"{made.hidden} invisible characters were taken out of what it says of {name}")
        settings = self.settings.tools.get(listed.name)
        if settings is None:
            return made
        changed = configured(made, settings)
        assert isinstance(changed, McpTool)
        return changed

    async def _call(self, tool: McpTool, arguments: Mapping[str, Any]) -> Any:
        return await background.there(self._called(tool, arguments))

    async def _called(self, tool: McpTool, arguments: Mapping[str, Any]) -> Any:
        limit = tool.timeout_s or self.settings.timeout_s
        attempts = 2
        for attempt in range(1, attempts + 1):
            connection = await self._connected()
            self._check_offered(tool)
            try:
                result = await connection.call(tool.remote, arguments, limit)
            except NotSentError:
                if attempt == attempts:
                    raise ToolError(f"MCP server {self.settings.name!r} cannot be reached") from None
            except LostError as error:
                if tool.repeatable and attempt < attempts and not connection.alive:
                    continue
                if tool.effect == "read":
                    raise ToolError(f"MCP server {self.settings.name!r}: {error}") from None
                raise TimeoutError(str(error)) from None  # the runtime parks it: it may have taken effect
            else:
                return to_value(result, tool.output_schema, parse=bool(tool.fields))
        raise AssertionError("unreachable")

    def _check_offered(self, tool: McpTool) -> None:
        """Refuse a tool that is not (any more) as a person accepted it."""
        if any(one.remote == tool.remote for one in self.tools):
            return
        reason = self.withheld.get(tool.remote, "is no longer offered by the server")
        raise ToolError(f"{tool.name} was not called: the tool {reason}")
