"""An MCP server made with the SDK that lists whatever a JSON file says, read anew each time.

Usage: listing.py FILE [--http PORT]
FILE holds a list of tools, or {"pages": [...], "endless": true, "result": {...}}. A call
answers with `result`, or with its own arguments.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import anyio
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, PaginatedRequestParams, TextContent


def told() -> dict[str, Any]:
    with open(sys.argv[1]) as file:
        value = json.load(file)
    return value if isinstance(value, dict) else {"pages": [value]}


async def list_tools(ctx: Any, params: PaginatedRequestParams | None) -> ListToolsResult:
    value = told()
    page = int(params.cursor or 0) if params is not None else 0
    tools = value["pages"][page % len(value["pages"])]
    more = page + 1 < len(value["pages"]) or value.get("endless")
    full = [{"inputSchema": {"type": "object", "properties": {}}, **t} for t in tools]
    return ListToolsResult.model_validate({"tools": full, "nextCursor": str(page + 1) if more else None})


async def call_tool(ctx: Any, params: CallToolRequestParams) -> CallToolResult:
    result = told().get("result")
    if result is not None:
        return CallToolResult.model_validate(result)
    return CallToolResult(content=[TextContent(text=json.dumps({params.name: params.arguments}))])


server: Server[Any] = Server("listing", on_list_tools=list_tools, on_call_tool=call_tool)


async def main() -> None:
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


if __name__ == "__main__":
    if "--http" in sys.argv:
        import uvicorn

        uvicorn.run(server.streamable_http_app(), port=int(sys.argv[-1]), log_level="error")
    else:
        anyio.run(main)
