"""Tools of MCP servers, over standard input and output or streamable HTTP.

from mainspring import Agent
from mainspring.tools.mcp import mcp_tools

agent = Agent("clerk", model="local", tools=[*mcp_tools(name="files")])     # [mcp.files] of mainspring.toml
agent = Agent("clerk", model="local", tools=[*mcp_tools("npx some-server", name="some")])

Nothing that a server says of itself is believed: its tools are irreversible, every argument carries authority, and what
they return may have been written by anyone, until a person's configuration says otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainspring.tools.mcp.opened import McpTools, close_servers, mcp_tools
    from mainspring.tools.mcp.pins import Change, Pins
    from mainspring.tools.mcp.server import McpServer
    from mainspring.tools.mcp.tool import McpTool

_HOME = {
    "Change": "pins",
    "McpServer": "server",
    "McpTool": "tool",
    "McpTools": "opened",
    "Pins": "pins",
    "close_servers": "opened",
    "mcp_tools": "opened",
}
__all__ = ["Change", "McpServer", "McpTool", "McpTools", "Pins", "close_servers", "mcp_tools"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        import importlib

        return getattr(importlib.import_module(f"mainspring.tools.mcp.{_HOME[name]}"), name)
    raise AttributeError(f"module 'mainspring.tools.mcp' has no attribute {name!r}")
