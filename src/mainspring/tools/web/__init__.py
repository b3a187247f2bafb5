"""The `web_fetch` tool: a public page as text, labelled with the host that wrote it.

from mainspring.tools.web import web_fetch
Agent("reader", tools=[web_fetch])
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from mainspring.errors import ToolError
from mainspring.label import Label
from mainspring.tool import Tool
from mainspring.tools.web.body import decode
from mainspring.tools.web.fetch import Allow, Fetcher, Page
from mainspring.tools.web.html import html_to_text
from mainspring.value import Labelled

__all__ = ["Allow", "Fetcher", "fetch_tool", "web_fetch"]

#: Most characters of a page's text.
MAX_CHARACTERS = 60_000

_HTML = ("text/html", "application/xhtml+xml")
_TEXT = ("json", "xml", "javascript", "yaml", "toml", "csv", "x-www-form-urlencoded", "ld+json", "x-ndjson")
_MADE = Label(frozenset({"made:web_fetch"}))


def fetch_tool(
    *,
    allow: Allow | None = None,
    networks: Iterable[str] = (),
    max_bytes: int = 2_000_000,
    timeout_s: float = 30.0,
    fetcher: Fetcher | None = None,
) -> Tool:
    """The `web_fetch` tool with limits of your own.

    Args:
        allow: says why a URL must not be fetched, or None; it is asked of each redirect too.
        networks: private networks that may be reached, such as ``("10.1.0.0/16",)``; none by default.
        max_bytes: most bytes of a page, packed and unpacked.
        timeout_s: seconds for a page with all its redirects.
        fetcher: instead of one made from the other arguments.
    """
    fetcher = fetcher or Fetcher(allow, tuple(networks), max_bytes, timeout_s)

    async def web_fetch(url: str) -> Labelled:
        """Fetch a public web page or text file, as text with its links listed. The page's words are a stranger's.

        Args:
            url: a complete http or https address.
        """
        page = await fetcher.get(url)
        return await asyncio.to_thread(read_page, page)  # a long page takes a while to read

    return Tool(web_fetch, effect="read", authority=["url"], outside=True)


def read_page(page: Page) -> Labelled:
    """A fetched page as a tool's answer: whoever runs the hosts may have written all of it but the status.

    Raises:
        ToolError: it is no text.
    """
    html = page.type in _HTML or (not page.type and page.data.lstrip()[:1] == b"<")
    if not (html or page.type.startswith("text/") or any(page.type.endswith(t) for t in _TEXT) or not page.type):
        raise ToolError(f"what came back is no text ({len(page.data):,} bytes of another kind)")
    text = decode(page.data, page.charset, html=html, cut=page.cut)
    if not page.charset and "\0" in text:
        raise ToolError(f"what came back is no text ({len(page.data):,} bytes)")
    title, links = "", list[dict[str, str]]()
    if html:
        title, text, links = html_to_text(text, page.url)
    cut = page.cut or len(text) > MAX_CHARACTERS
    answer: dict[str, Any] = {
        "url": page.url,
        "status": page.status,
        "title": title[:500],
        "text": text[:MAX_CHARACTERS],
        "links": links,
        "cut": cut,
    }
    whose = Label(frozenset(f"web:{host}" for host in page.hosts))
    # The status is one of a few hundred numbers, and still the server's choice between them.
    return Labelled(answer, {"": whose, "status": whose.steering().join(_MADE), "cut": whose.steering().join(_MADE)})


web_fetch = fetch_tool()
