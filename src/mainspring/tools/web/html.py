"""HTML as text: what a reader of the page would see, with its links listed beside it as plain data.

The reading is forgiving, and takes time in proportion to the page's length for every page: where something is never
closed, the rest of the page belongs to it, as in the HTML standard, so that nothing is looked for twice.
"""

from __future__ import annotations

import html as entities
import re
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
_RAW = frozenset(("script", "style", "title", "textarea", "noscript", "iframe", "xmp", "noembed", "noframes"))
_NAME = re.compile(r"[A-Za-z][^\s/>]*")
_ATTRIBUTE = re.compile(r"[^\s/>][^\s/>=]*")
_EQUALS = re.compile(r"\s*=\s*")
_BETWEEN = re.compile(r"[\s/]*")
_UNQUOTED = re.compile(r"[^\s>]*")
_COMMENT_END = re.compile(r"--!?>")
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_HEADING = re.compile(r"h([1-6])\Z")


class _Reader:
    def __init__(self, base: str) -> None:
        self.base = base
        self.title = ""
        self.links: list[dict[str, str]] = []
        self._parts: list[str] = []
        self._unseen = ""  # the element whose content is not shown, and how often it is open
        self._depth = 0
        self._pre = 0
        self._link: tuple[str, int] | None = None  # address, and where its words begin

    def feed(self, text: str) -> None:
        """Read a whole page."""
        at = 0
        while at < len(text):
            tag = text.find("<", at)
            self._data(text[at : tag if tag >= 0 else len(text)])
            if tag < 0:
                break
            at = self._tag(text, tag)
        self._end_link()

    def _tag(self, text: str, at: int) -> int:
        """Read what begins with the ``<`` at `at`; where to go on."""
        if text.startswith("<!--", at):
            end = _COMMENT_END.search(text, at + 2)
            return end.end() if end else len(text)
        after = text[at + 1 : at + 2]
        name = _NAME.match(text, at + (2 if after == "/" else 1))
        if name is None:
            if after not in ("!", "?", "/"):
                self._data("<")
                return at + 1
            close = text.find(">", at)
            return close + 1 if close >= 0 else len(text)
        tag = name.group().lower()
        given: dict[str, str] = {}
        at = _attributes(text, name.end(), given)
        if after == "/":
            self._close(tag)
        elif at < len(text) or text.endswith(">"):
            if tag in _RAW:
                return self._raw(text, tag, at)
            if not (tag in ("svg", "math") and text.endswith("/>", 0, at)):  # only these can close themselves
                self._open(tag, given)
        return at

    def _raw(self, text: str, tag: str, at: int) -> int:
        """An element that holds no other elements."""
        end = re.compile(rf"</{tag}(?=[\s/>])", re.IGNORECASE).search(text, at)
        stop = end.start() if end else len(text)
        if tag == "title" and not self.title and not self._unseen:
            self.title = " ".join(_unescaped(text[at:stop]).split())
        elif tag == "textarea":
            self._data(text[at:stop])
        return _attributes(text, end.end(), {}) if end else len(text)

    def _open(self, tag: str, given: dict[str, str]) -> None:
        if self._unseen:
            self._depth += tag == self._unseen
            return
        if tag in _VOID:
            if tag == "img" and given.get("alt", "").strip():
                self._parts.append(f"[image: {given['alt'].strip()}]")
            elif tag in ("br", "hr"):
                self._parts.append("\n")
            return
        if tag in _UNSEEN or "hidden" in given or _HIDDEN.search(given.get("style", "")):
            self._unseen, self._depth = tag, 1
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
        elif tag == "a" and "href" in given:
            self._end_link()
            self._link = (given["href"], len(self._parts))

    def _close(self, tag: str) -> None:
        if self._unseen:
            self._depth -= tag == self._unseen  # elements left open inside end with it
            self._unseen = self._unseen if self._depth else ""
            return
        if tag == "a":
            self._end_link()
        elif tag == "pre" and self._pre:
            self._pre -= 1
            self._parts.append("\n\n")
        elif tag in _BLOCKS or _HEADING.match(tag):
            self._parts.append("\n" if tag in ("tr", "div", "dd", "dt") else "\n\n")

    def _data(self, data: str) -> None:
        if not self._unseen and data:
            data = _unescaped(data)
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
        text = re.sub(r"(?<![ \t])[ \t]+\n", "\n", text)
        text = re.sub(r"\n (?! )", "\n", text)
        return re.sub(r"\n{3,}", "\n\n", text).strip()


def _attributes(text: str, at: int, given: dict[str, str]) -> int:
    """Read a tag's attributes into `given`; where the tag ends."""
    while at < len(text):
        at = _between(text, at)
        if text[at : at + 1] == ">":
            return at + 1
        name = _ATTRIBUTE.match(text, at)
        if name is None:
            break
        at, value = name.end(), ""
        equals = _EQUALS.match(text, at)
        if equals:
            at = equals.end()
            quote = text[at : at + 1]
            if quote in ("'", '"') and quote:
                end = text.find(quote, at + 1)
                if end < 0:
                    break
                at, value = end + 1, text[at + 1 : end]
            else:
                unquoted = _UNQUOTED.match(text, at)
                value = unquoted.group() if unquoted else ""
                at += len(value)
        given.setdefault(name.group().lower(), _unescaped(value))
    return len(text)


def _between(text: str, at: int) -> int:
    match = _BETWEEN.match(text, at)
    return match.end() if match else at


def _unescaped(text: str) -> str:
    try:
        return entities.unescape(text)
    except ValueError:  # a character's number of thousands of digits
        return text


def html_to_text(html: str, base: str) -> tuple[str, str, list[dict[str, str]]]:
    """`(title, text, links)` of a page. Scripts, styles, comments and hidden elements are left out.

    Args:
        base: the page's address, which relative links are relative to.
    """
    reader = _Reader(base)
    reader.feed(html)
    return reader.title, reader.text(), reader.links
