"""HTML as text: what a reader of the page would see, with its links listed beside it as plain data."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

#: Most links listed of one page.
MAX_LINKS = 200

_UNSEEN = frozenset(
    ("script", "style", "template", "noscript", "svg", "math", "iframe", "object", "canvas", "audio", "video", "select")
)
_BLOCKS = frozenset(
    (
        "address",
        "article",
        "aside",
        "blockquote",
        "details",
        "dd",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
    )
) | frozenset(("footer", "form", "header", "hr", "main", "nav", "ol", "p", "section", "summary", "table", "tr", "ul"))
_VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")
)
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_HEADING = re.compile(r"h([1-6])\Z")


class _Reader(HTMLParser):
    def __init__(self, base: str) -> None:
        super().__init__(convert_charrefs=True)
        self.base = base
        self.title = ""
        self.links: list[dict[str, str]] = []
        self._parts: list[str] = []
        self._unseen: list[str] = []  # open elements whose content is not shown, from the first one on
        self._pre = 0
        self._in_title = False
        self._link: tuple[str, int] | None = None  # address, and where its words begin

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if self._unseen:
            if tag not in _VOID:
                self._unseen.append(tag)
            return
        if tag in _VOID:
            if tag == "img" and given.get("alt", "").strip():
                self._parts.append(f"[image: {given['alt'].strip()}]")
            elif tag in ("br", "hr"):
                self._parts.append("\n")
            return
        if tag in _UNSEEN or "hidden" in given or _HIDDEN.search(given.get("style", "")):
            self._unseen.append(tag)
            return
        heading = _HEADING.match(tag)
        if heading:
            self._parts.append(f"\n\n{'#' * int(heading.group(1))} ")
        elif tag == "li":
            self._parts.append("\n- ")
        elif tag in ("td", "th"):
            self._parts.append(" | ")
        elif tag == "pre":
            self._pre += 1
            self._parts.append("\n\n")
        elif tag in _BLOCKS:
            self._parts.append("\n" if tag in ("tr", "div", "dd", "dt") else "\n\n")
        elif tag == "title":
            self._in_title = not self.title
        elif tag == "a" and "href" in given:
            self._end_link()
            self._link = (given["href"], len(self._parts))

    def handle_endtag(self, tag: str) -> None:
        if self._unseen:
            if tag in self._unseen:  # elements left open inside end with it
                del self._unseen[len(self._unseen) - 1 - self._unseen[::-1].index(tag) :]
            return
        if tag == "title":
            self._in_title = False
        elif tag == "a":
            self._end_link()
        elif tag == "pre" and self._pre:
            self._pre -= 1
            self._parts.append("\n\n")
        elif tag in _BLOCKS or _HEADING.match(tag):
            self._parts.append("\n" if tag in ("tr", "div", "dd", "dt") else "\n\n")

    def handle_data(self, data: str) -> None:
        if self._unseen:
            return
        if self._in_title:
            self.title = " ".join(f"{self.title} {data}".split())
            return
        self._parts.append(data if self._pre else re.sub(r"\s+", " ", data))

    def _end_link(self) -> None:
        if self._link is None:
            return
        address, begin = self._link
        self._link = None
        if len(self.links) >= MAX_LINKS:
            return
        try:
            url = urljoin(self.base, address.strip())
            web = urlsplit(url).scheme in ("http", "https")
        except ValueError:
            return
        if web:
            words = " ".join("".join(self._parts[begin:]).split())
            self.links.append({"text": words[:200], "url": url[:2000]})

    def text(self) -> str:
        text = "".join(self._parts)
        text = re.sub(r"[ \t]+\n", "\n", text)
        text = re.sub(r"\n (?! )", "\n", text)
        return re.sub(r"\n{3,}", "\n\n", text).strip()


def html_to_text(html: str, base: str) -> tuple[str, str, list[dict[str, str]]]:
    """`(title, text, links)` of a page. Scripts, styles, comments and hidden elements are left out.

    Args:
        base: the page's address, which relative links are relative to.
    """
    reader = _Reader(base)
    reader.feed(html)
    reader.close()
    return reader.title, reader.text(), reader.links
