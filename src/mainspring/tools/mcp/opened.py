"""`mcp_tools`: the tools of a server for an agent's declaration; sessions are shared by the whole process."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mainspring.config import Config, ServerSettings, load_config, read_server
from mainspring.config.checks import At
from mainspring.errors import DeclarationError
from mainspring.tools.mcp.server import McpServer, Resolve
from mainspring.tools.mcp.tool import McpTool

_log = logging.getLogger("mainspring.mcp")


class McpTools(list[McpTool]):
    """The tools of a server, as a list for ``Agent(tools=[*...])``.

    Attributes:
        server: the server, with what is withheld and why.
    """

    def __init__(self, server: McpServer) -> None:
        super().__init__(server.tools)
        self.server = server


_servers: dict[tuple[int, Path, str], McpServer] = {}
_lock = threading.Lock()


def mcp_tools(
    server: str | ServerSettings | None = None,
    *,
    name: str = "",
    tools: Mapping[str, Mapping[str, Any]] | None = None,
    env: Mapping[str, str] | None = None,
    only: Iterable[str] | None = None,
    home: str | Path | None = None,
    config: Config | None = None,
    resolve: Resolve | None = None,
) -> McpTools:
    """The tools of an MCP server. Its session is opened now, and kept for the process.

    Args:
        server: a command line, the URL of a server over streamable HTTP, or settings; None takes ``[mcp.NAME]`` of
            the configuration.
        name: what its tools' names begin with, and what their results are labelled with.
        tools: what you say of its tools, as under ``[mcp.NAME.tools]``: ``{"find": {"effect": "read"}}``.
        env: variables for the command; ``secret:NAME`` is filled in.
        only: the only tools that are offered, by the server's own names.
        home: Mainspring's home, where approved descriptions are kept.
        config: instead of the one that :func:`mainspring.config.load_config` finds.
        resolve: gives the value of ``secret:NAME``, instead of the configuration's ``[secrets]``.

    Raises:
        DeclarationError: the settings do not fit, or there are none of this name.
        ToolError: the server cannot be reached, and its tools were never approved.
    """
    folder = Path(home if home is not None else os.environ.get("MAINSPRING_HOME") or "~/.mainspring")
    folder = folder.expanduser().absolute()
    config = config if config is not None else load_config(folder)
    settings = _settings(server, name, tools, env, only, config)
    found = open_server(settings, folder, resolve or resolver(config))
    for note in found.notes:
        _log.warning("MCP server %s: %s", settings.name, note)
    for tool, why in found.withheld.items():
        _log.warning("MCP server %s: tool %s is withheld: it %s", settings.name, tool, why)
    return McpTools(found)


def resolver(config: Config) -> Resolve | None:
    """What fills in the secrets that a configuration names; None when it names none."""
    if not config.secrets:
        return None
    from mainspring.secrets import Secrets

    return Secrets(config.secrets, folder=config.path.parent if config.path is not None else None).resolve


def open_server(settings: ServerSettings, home: Path, resolve: Resolve | None = None) -> McpServer:
    """The server's session in this process, opened when there is none. Raises as :meth:`McpServer.open`."""
    key = (os.getpid(), home, repr(settings))
    with _lock:
        found = _servers.get(key)
        if found is None:
            found = McpServer(settings, home, resolve)
            if not _servers:
                atexit.register(close_servers)
            _servers[key] = found
        try:
            found.open()
        except BaseException:
            _servers.pop(key, None)
            raise
        return found


def open_servers() -> list[McpServer]:
    """The servers that this process has opened, by their names."""
    with _lock:
        found = [server for (pid, *_), server in _servers.items() if pid == os.getpid()]
    return sorted(found, key=lambda server: server.settings.name)


def close_servers() -> None:
    """End every session of this process. Happens by itself when the process ends."""
    with _lock:
        found = [server for (pid, *_), server in _servers.items() if pid == os.getpid()]
        _servers.clear()
    for server in found:
        server.close()


def _settings(
    server: str | ServerSettings | None,
    name: str,
    tools: Mapping[str, Mapping[str, Any]] | None,
    env: Mapping[str, str] | None,
    only: Iterable[str] | None,
    config: Config,
) -> ServerSettings:
    given = {
        "tools": {k: {n: list(v) if isinstance(v, tuple) else v for n, v in one.items()} for k, one in tools.items()}
        if tools is not None
        else None,
        "env": dict(env) if env is not None else None,
        "only": list(only) if only is not None else None,
    }
    said = {key: value for key, value in given.items() if value is not None}
    if not isinstance(server, str):
        if said:
            raise DeclarationError(f"mcp_tools: {sorted(said)} belong beside the server's command, in its settings")
        if isinstance(server, ServerSettings):
            return server
        if name not in config.mcp:
            known = ", ".join(sorted(config.mcp)) or "none"
            where = config.path or "there is no mainspring.toml"
            raise DeclarationError(f"no MCP server {name!r} is configured ({where}); configured: {known}")
        return config.mcp[name]
    if name in config.mcp:
        raise DeclarationError(
            f"{config.path} already says what MCP server {name!r} is; leave the command out, or choose another name"
        )
    place = "url" if server.startswith(("http://", "https://")) else "command"
    return read_server(name, {place: server, **said}, At(f"mcp_tools(name={name!r})"))
