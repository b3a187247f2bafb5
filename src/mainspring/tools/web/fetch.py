"""One GET, with every address looked at before anything is sent to it."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urljoin, urlsplit, urlunsplit

from mainspring.errors import ToolError
from mainspring.tools.addresses import Network, forbidden_address, networks, odd_address
from mainspring.tools.web.body import Unpacker

if TYPE_CHECKING:
    import httpx2

MAX_URL = 8_000
_MOVED = (301, 302, 303, 307, 308)
#: Addresses of one host that are tried.
_TRIES = 3

#: Says why a URL must not be fetched, or None; asked of the first URL and of each redirect.
Allow: TypeAlias = Callable[[str], "str | None"]
#: Host and port -> addresses.
Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Place:
    """A URL that was checked: where to connect, and what to ask for."""

    url: str
    scheme: str
    host: str
    port: int

    @property
    def name(self) -> str:
        """Host and port as the Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _port(self.scheme) else f"{host}:{self.port}"


@dataclass(slots=True)
class Page:
    """What came back.

    Args:
        hosts: every host that was asked, in order.
        type, charset: of the Content-Type header, in small letters.
        cut: True when there was more than the limit.
    """

    url: str
    hosts: list[str]
    status: int
    type: str
    charset: str
    data: bytes
    cut: bool


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Fetches pages from public addresses only.

    Args:
        allow: a further rule; it sees the first URL and each redirect.
        networks: private networks that are allowed in so many words, such as ``("10.1.0.0/16",)``.
        max_bytes: most bytes of a page, packed and unpacked; the rest is cut off.
        timeout_s: seconds for everything together.
        max_redirects: redirects that are followed.
        resolve: instead of the system's resolver.
        tls: instead of the usual certificate authorities.
    """

    allow: Allow | None = None
    networks: Iterable[str] = ()
    max_bytes: int = 2_000_000
    timeout_s: float = 30.0
    max_redirects: int = 5
    resolve: Resolve | None = None
    tls: ssl.SSLContext | None = None
    _allowed: tuple[Network, ...] = field(init=False, repr=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "_allowed", networks(self.networks))

    async def get(self, url: str) -> Page:
        """Fetch `url`, following redirects.

        Raises:
            ToolError: the URL or a redirect is not allowed, or nothing came back. Only the caller's own URL is
                quoted, and nothing that a server said.
        """
        try:
            async with asyncio.timeout(self.timeout_s):
                return await self._get(url)
        except TimeoutError:
            raise ToolError(f"nothing complete came back within {self.timeout_s:g} s") from None

    async def _get(self, url: str) -> Page:
        hosts: list[str] = []
        for hop in range(self.max_redirects + 1):
            try:
                place = read_url(url)
                refused = self.allow(place.url) if self.allow is not None else None
                if refused:
                    raise ToolError(refused)
                if place.host not in hosts:
                    hosts.append(place.host)
                found = await self._ask(place, hosts)
            except ToolError as error:
                raise ToolError(f"redirect {hop} was not followed: {error}" if hop else str(error)) from None
            if isinstance(found, Page):
                return found
            try:
                url = urljoin(place.url, found)
                leaves = place.scheme == "https" and urlsplit(url).scheme == "http"
            except ValueError:
                raise ToolError(f"redirect {hop + 1} was not followed: its URL cannot be read") from None
            if leaves:
                raise ToolError(f"redirect {hop + 1} was not followed: it leaves https for http")
        raise ToolError(f"more than {self.max_redirects} redirects")

    async def _ask(self, place: Place, hosts: list[str]) -> Page | str:
        """The page, or where it has moved."""
        import httpx2

        last: Exception | None = None
        for address in (await self._addresses(place))[:_TRIES]:
            try:
                return await self._ask_at(place, address, hosts)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                last = error
            except httpx2.HTTPError as error:
                raise ToolError(f"the exchange with the server failed ({type(error).__name__})") from None
        raise ToolError(f"no connection to the server ({type(last).__name__})")

    async def _addresses(self, place: Place) -> list[str]:
        """The host's addresses. They are looked up once and then connected to as they are: a second look-up, which a
        hostile name server could answer differently, never happens."""
        try:
            ipaddress.ip_address(place.host)
            found: Sequence[str] = [place.host]
        except ValueError:
            found = await (self.resolve or _resolve)(place.host, place.port)
        if not found:
            raise ToolError("the host has no address")
        for address in found:
            reason = forbidden_address(address, self._allowed)
            if reason:
                raise ToolError(f"the host's address is not a public one: {reason}")
        return list(dict.fromkeys(found))

    async def _ask_at(self, place: Place, address: str, hosts: list[str]) -> Page | str:
        import httpx2

        parts = urlsplit(place.url)
        at = f"[{address}]" if ":" in address else address
        url = urlunsplit((place.scheme, f"{at}:{place.port}", parts.path or "/", parts.query, ""))
        headers = {
            "Host": place.name,
            "User-Agent": "Mainspring",
            "Accept": "text/html,application/xhtml+xml,text/*;q=0.9,application/json;q=0.9,*/*;q=0.1",
            "Accept-Encoding": "gzip, deflate",
        }
        # A client of its own for each request keeps no cookies; the environment's proxies and logins are not used.
        async with (
            httpx2.AsyncClient(
                verify=self.tls if self.tls is not None else True,
                trust_env=False,
                follow_redirects=False,
                timeout=self.timeout_s,
            ) as client,
            client.stream("GET", url, headers=headers, extensions={"sni_hostname": place.host}) as response,
        ):
            if response.status_code in _MOVED and "location" in response.headers:
                return str(response.headers["location"])
            return await self._page(place, response, hosts)

    async def _page(self, place: Place, response: httpx2.Response, hosts: list[str]) -> Page:
        kind, charset = _content_type(response.headers.get("content-type", ""))
        unpacker = Unpacker(response.headers.get("content-encoding", ""), self.max_bytes)
        async for piece in response.aiter_raw():
            if not unpacker.feed(piece):
                break
        return Page(place.url, hosts, response.status_code, kind, charset, bytes(unpacker.data), unpacker.cut)


def read_url(url: str) -> Place:
    """A URL, read strictly: what two programs could read differently is refused. Raises ToolError."""
    if len(url) > MAX_URL:
        raise ToolError(f"the URL has {len(url):,} characters; at most {MAX_URL:,} are allowed")
    if any(ord(char) <= 0x20 or ord(char) == 0x7F or char == "\\" for char in url):
        raise ToolError("the URL holds blanks, control characters or backslashes; write them as %XX")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ToolError("the URL cannot be read; write it like https://example.org/page") from None
    if parts.scheme not in ("http", "https"):
        raise ToolError("only http and https URLs can be fetched; write one like https://example.org/page")
    if "@" in parts.netloc:
        raise ToolError("the URL has a login in front of its host; leave it out")
    host = _ascii(host.removesuffix("."))
    if not host or "%" in host or odd_address(host):
        raise ToolError("the URL names no readable host")
    place = Place("", parts.scheme, host, _port(parts.scheme) if port is None else port)
    path, query = (_quoted(part) for part in (parts.path or "/", parts.query))
    return Place(urlunsplit((parts.scheme, place.name, path, query, "")), parts.scheme, host, place.port)


def _ascii(host: str) -> str:
    if host.isascii():
        return host.lower()
    import idna

    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError:
        return ""


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="/:;,?@&=+$!~*'()[]|%")


def _port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def _content_type(header: str) -> tuple[str, str]:
    kind, *parameters = header.lower().split(";")
    charset = next((p.partition("=")[2] for p in parameters if p.strip().startswith("charset=")), "")
    return kind.strip(), charset.strip().strip("\"'")


async def _resolve(host: str, port: int) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise ToolError(f"the host {host} cannot be found") from None
    return [str(entry[4][0]) for entry in found]
