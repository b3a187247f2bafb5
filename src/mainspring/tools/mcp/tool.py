"""A server's tool as a `Tool`: nothing that the server says of itself is believed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from mainspring.config import ServerSettings
from mainspring.errors import ToolError
from mainspring.label import Label
from mainspring.tool import Tool, ToolContext
from mainspring.tools.mcp.pins import Listed
from mainspring.tools.mcp.schema import complaints, usable
from mainspring.tools.mcp.words import clean

#: ``call(tool, arguments)``, given by the server that the tool belongs to.
Caller: TypeAlias = Callable[["McpTool", Mapping[str, Any]], Awaitable[Any]]

#: What a server may say about what its tool does, in its own words and in ours.
_HINTS = {
    "readOnlyHint": "reads only",
    "destructiveHint": "destroys",
    "idempotentHint": "may be repeated",
    "openWorldHint": "reaches the outside",
}


class McpTool(Tool):
    """A tool that an MCP server offers. Made by :class:`mainspring.tools.mcp.McpServer`.

    Attributes:
        server: the server's name in our configuration.
        remote: the tool's name as the server knows it.
        digest: SHA-256 (hex) of what the server says of it.
        claims: what the server says about its effects; shown to people, never believed.
        output_schema: what a structured answer must look like, or None.
        hidden: invisible characters that its description and schema had; they are taken out.
    """

    def __init__(self, call: Caller, name: str, server: ServerSettings, listed: Listed) -> None:
        said = listed.said
        schema, hidden = usable(said.get("inputSchema"))
        description, more = clean(str(said.get("description") or ""))
        output = said.get("outputSchema")

        async def function(**arguments: Any) -> Any:
            return await call(self, arguments)

        super().__init__(
            function,
            name=name,
            description=description,
            schema=schema,
            timeout_s=server.timeout_s,
            label=Label(frozenset({f"mcp:{server.name}"})),
            server=server.name,
        )
        self.declares_label = False  # it is ours, and not a person's
        self._call = call
        self.remote = listed.name
        self.digest = listed.digest
        self.hidden = hidden + more
        self.output_schema = usable(output)[0] if isinstance(output, dict) else None
        self.claims = _claims(said.get("annotations"))

    def validate(self, arguments: Mapping[str, Any], *, quote: bool = True) -> dict[str, Any]:
        """Check what a model sent against the server's schema: names, required arguments, kinds, allowed values.

        Args:
            quote: as for any tool; a complaint of this one quotes no values.

        Raises:
            ToolError: with a message meant for the model.
        """
        wrong = complaints(self.schema, arguments)
        if wrong:
            wanted = ", ".join(
                f"{k}{'' if k in (self.schema.get('required') or ()) else '?'}" for k in self.schema["properties"]
            )
            raise ToolError(f"wrong arguments for {self.name}({wanted}):\n- " + "\n- ".join(wrong[:8]))
        return dict(arguments)

    async def call(self, arguments: Mapping[str, Any], context: ToolContext) -> Any:
        """Send the call to the server, with our key where a person has named an argument for it.

        Raises:
            ToolError: the tool is withheld, or the server cannot be reached, refuses the call or says that it failed.
            TimeoutError: nobody knows whether the call took effect.
        """
        key = {} if self.key_argument is None else {self.key_argument: context.key}
        return await self._call(self, {**arguments, **key})

    @property
    def repeatable(self) -> bool:
        """True when a call whose fate is unknown may be sent again: it only reads, or it carries a key."""
        return self.effect == "read" or self.key_argument is not None


def _claims(hints: Any) -> dict[str, bool]:
    if not isinstance(hints, Mapping):
        return {}
    return {words: hints[name] for name, words in _HINTS.items() if isinstance(hints.get(name), bool)}
