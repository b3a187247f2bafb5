"""An MCP server that lists whatever a JSON file says, read anew each time.

Usage: listing.py FILE [--http PORT]
FILE holds a list of tools, or {"pages": [...], "endless": true, "result": {...}}. A call
answers with `result`, or with its own arguments.

Over standard input and output it speaks the protocol by itself: most tests start it several times, and the SDK takes a
second to load; over HTTP the SDK does it.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def told() -> dict[str, Any]:
    with open(sys.argv[1]) as file:
        value = json.load(file)
    return value if isinstance(value, dict) else {"pages": [value]}


def listed(cursor: str | None) -> dict[str, Any]:
    value = told()
    page = int(cursor or 0)
    tools = value["pages"][page % len(value["pages"])]
    more = page + 1 < len(value["pages"]) or value.get("endless")
    full = [{"inputSchema": {"type": "object", "properties": {}}, **t} for t in tools]
    return {"tools": full} | ({"nextCursor": str(page + 1)} if more else {})


def called(name: str, arguments: Any) -> Any:
    result = told().get("result")
    return {"content": [{"type": "text", "text": json.dumps({name: arguments})}]} if result is None else result


def answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
    try:
        if method == "initialize":
            about = {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}}
            return {"result": about | {"serverInfo": {"name": "listing", "version": "1"}}}
        if method == "tools/list":
            return {"result": listed(params.get("cursor"))}
        if method == "tools/call":
            return {"result": called(params["name"], params.get("arguments"))}
    except Exception as error:
        return {"error": {"code": -32603, "message": f"{type(error).__name__}: {error}"}}
    return {"error": {"code": -32601, "message": "no such method"}}


def over_http(port: int) -> None:
    import uvicorn
    from mcp.server.lowlevel import Server
    from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, PaginatedRequestParams

    async def list_tools(ctx: Any, params: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult.model_validate(listed(None if params is None else params.cursor))

    async def call_tool(ctx: Any, params: CallToolRequestParams) -> CallToolResult:
        return CallToolResult.model_validate(called(params.name, params.arguments))

    server: Server[Any] = Server("listing", on_list_tools=list_tools, on_call_tool=call_tool)
    uvicorn.run(server.streamable_http_app(), port=port, log_level="error")


if __name__ == "__main__":
    if "--http" in sys.argv:
        over_http(int(sys.argv[-1]))
    else:
        for line in sys.stdin:
            request = json.loads(line)
            if request.get("id") is not None:
                reply = answer(request.get("method", ""), request.get("params") or {})
                print(json.dumps({"jsonrpc": "2.0", "id": request["id"], **reply}), flush=True)
