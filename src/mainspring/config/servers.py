"""What a person says of single tools, and of MCP servers: ``[tools.NAME]`` and ``[mcp.NAME]``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from mainspring.config import checks as check
from mainspring.config.checks import At, known
from mainspring.errors import DeclarationError
from mainspring.tool import Effect, Origin

_SERVER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}\Z")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}\Z")
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class ToolSettings:
    """``[tools.NAME]``: what a person says of a tool. None means that nothing is said.

    Args:
        effect, authority, selector, outside: as `@tool` takes them.
        fields: path of a result's field -> who wrote it (``"system"``, ``"attested"`` or ``"anyone"``).
        readers: who may read what the tool returns.
        idempotency: the argument that receives our key; the model never sees it.
        timeout_s: seconds until a call is given up.
        key_ttl_s: seconds for which the target honours a key.
        where: where it was said, for messages.
    """

    effect: Effect | None = None
    authority: tuple[str, ...] | None = None
    selector: tuple[str, ...] | None = None
    fields: Mapping[str, Origin] | None = None
    outside: bool | None = None
    readers: tuple[str, ...] | None = None
    idempotency: str | None = None
    timeout_s: float | None = None
    key_ttl_s: float | None = None
    where: str = field(default="", compare=False)

    @property
    def keys(self) -> frozenset[str]:
        """The settings that something was said about."""
        return frozenset(k for k in _TOOL if getattr(self, k) is not None)


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """``[mcp.NAME]``: an MCP server, and what a person says of its tools.

    Args:
        name: what its tools' names begin with, and what its results are labelled with.
        command: program and arguments of a server on standard input and output.
        url: address of a server over streamable HTTP.
        env: variables for the command; ``secret:NAME``, or ``{secret:NAME}`` within a text, is filled in.
        headers: HTTP headers, filled in likewise.
        bearer: ``secret:NAME`` of the token that is sent as ``Authorization: Bearer``.
        cwd: folder that the command starts in.
        only: the only tools of it that are offered, by the server's own names; None offers all.
        pinning: ``"first-use"`` accepts what the first listing says; ``"person"`` waits for a person even then.
        connect_s, timeout_s: seconds for starting and listing, and for one call.
        max_result_bytes: most bytes that one answer may have.
        plain_http: allow ``http://`` to another machine.
        tools: the server's name for a tool -> what a person says of it.
    """

    name: str
    command: tuple[str, ...] = ()
    url: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    bearer: str = ""
    cwd: str = ""
    only: tuple[str, ...] | None = None
    pinning: Literal["first-use", "person"] = "first-use"
    connect_s: float = 30.0
    timeout_s: float = 120.0
    max_result_bytes: int = 8_000_000
    plain_http: bool = False
    tools: Mapping[str, ToolSettings] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """What is started or asked, for a person; without secrets, which are never in it."""
        return self.url or shlex.join(self.command)


_TOOL: dict[str, check.Check] = {
    "effect": check.one_of("read", "write", "irreversible"),
    "authority": check.texts,
    "selector": check.texts,
    "fields": check.mapping(check.one_of("system", "attested", "anyone")),
    "outside": check.boolean,
    "readers": check.texts,
    "idempotency": check.text,
    "timeout_s": check.seconds,
    "key_ttl_s": check.seconds,
}


def read_tool(value: Any, at: At) -> ToolSettings:
    """What a table says of a tool. Raises DeclarationError."""
    said = ToolSettings(**known(value, at, _TOOL), where=str(at))
    both = sorted(set(said.authority or ()) & set(said.selector or ()))
    if both:
        raise DeclarationError(f"{at}: {both} cannot be authority and selector at once; authority is the stricter")
    if said.key_ttl_s is not None and said.idempotency is None:
        raise DeclarationError(f"{at}: key_ttl_s says how long a key holds, so it goes with idempotency")
    return said


def _command(value: Any, at: At) -> tuple[str, ...]:
    if isinstance(value, str):
        try:
            value = shlex.split(value)
        except ValueError as error:
            at.wrong(value, f"a command line ({error}), or a list of a program and its arguments")
    if not isinstance(value, list | tuple) or not value or not all(isinstance(v, str) for v in value) or not value[0]:
        at.wrong(value, 'a command line, or a list such as ["npx", "some-server"]')
    if any("\x00" in v for v in value):
        at.wrong(value, "no NUL bytes")
    return tuple(value)


def _url(value: Any, at: At) -> str:
    try:
        parts = urlsplit(check.text(value, at))
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port or an address in brackets that is none
        at.wrong(value, "an address such as https://example.org/mcp")
    if not fine:
        at.wrong(value, "an address such as https://example.org/mcp")
    if parts.username or parts.password:
        raise DeclarationError(f'{at} holds a password; name it instead: bearer = "secret:NAME"')
    return str(value)


def _values(names: re.Pattern[str], what: str) -> check.Check:
    def read(value: Any, at: At) -> dict[str, str]:
        found = check.mapping(check.text)(value, at)
        for key in found:
            if not names.match(key):
                (at / key).wrong(key, what)
        return dict(found)

    return read


def _bearer(value: Any, at: At) -> str:
    if not isinstance(value, str) or not value.startswith("secret:") or not check.references(value):
        raise DeclarationError(f'{at} is no reference; allowed: "secret:NAME", with NAME under [secrets]')
    return value


_SERVER: dict[str, check.Check] = {
    "command": _command,
    "url": _url,
    "env": _values(_VARIABLE, "names of environment variables"),
    "headers": _values(_HEADER, "names of HTTP headers"),
    "bearer": _bearer,
    "cwd": check.text,
    "only": check.texts,
    "pinning": check.one_of("first-use", "person"),
    "connect_s": check.seconds,
    "timeout_s": check.seconds,
    "max_result_bytes": check.whole,
    "plain_http": check.boolean,
    "tools": check.mapping(read_tool),
}


def read_server(name: str, value: Any, at: At) -> ServerSettings:
    """An MCP server from its table. Raises DeclarationError."""
    if not _SERVER_NAME.match(name):
        raise DeclarationError(
            f"{at}: {name!r} cannot name a server; use 1 to 32 letters, digits, '_' or '-', beginning with a letter"
        )
    found = ServerSettings(name, **known(value, at, _SERVER))
    if bool(found.command) == bool(found.url):
        raise DeclarationError(f"{at} needs a command or a url, and not both")
    for wrong, why in (
        (found.url and (found.env or found.cwd), "env and cwd go with a command; use headers or bearer"),
        (found.command and (found.headers or found.bearer), "headers and bearer go with a url; use env"),
    ):
        if wrong:
            raise DeclarationError(f"{at}: {why}")
    parts = urlsplit(found.url)
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK and not found.plain_http:
        raise DeclarationError(
            f"{at / 'url'} is {found.url!r}, which anybody on the way can read and change; "
            "use https://, or say plain_http = true"
        )
    return found
