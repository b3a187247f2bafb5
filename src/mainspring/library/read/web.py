"""HTML: the words that a browser would show, in order; nothing is fetched and nothing runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.errors import ToolError
from mainspring.library.page import RegionKind
from mainspring.library.read.base import FlowReading, Notes, read_bytes, title_of
from mainspring.library.read.blocks import Block
from mainspring.library.read.charset import declared_in, decode
from mainspring.library.read.protocol import About, ReadLimits
from mainspring.library.read.styles import Styles
from mainspring.library.read.tidy import one_line

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: The parser's tree takes some 20 times the text; more than this is refused rather than left to the memory's limit.
MOST_BYTES = 60_000_000
_NEVER = _words(
    "script style template noscript svg math canvas iframe object embed head select option datalist "
    "dialog audio video map area link meta base title input button textarea"
)
#: What has a header of its own, which is not the site's.
_CONTENT = ("article", "main", "section")
#: What stands around a page rather than on it.
_AROUND = _words("nav footer aside")
_BLOCKS = _words(
    "address article aside blockquote body center dd details div dl dt fieldset figcaption figure footer "
    "form h1 h2 h3 h4 h5 h6 header hr html legend li main nav ol p pre section summary table ul tr td th "
    "thead tbody tfoot caption"
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_SPACES = re.compile(r"[ \t\n\r\f]+")
_EMPTY = re.compile(
    r"<(title|script|style|iframe|textarea|noscript|a|b|i|em|strong|span|div|p|td|th|h[1-6]|li|ul|section)"
    r"((?:\s[^<>]*)?)/>",
    re.I,
)
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9-]*)")
#: Elements that end by themselves.
_SHALLOW = _words(
    "area base br col embed hr img input link meta param source track wbr p li dt dd td th tr option "
    "thead tbody tfoot colgroup html head body"
)
#: The parser's time grows with the square of the depth: 2 s for twice this much. Browsers stop nesting at 512.
MOST_DEEP = 10_000


def open_html(path: Path, limits: ReadLimits) -> FlowReading:
    data = read_bytes(path, limits)
    if len(data) > MOST_BYTES:
        raise ToolError(
            f"{path.name} is a web page of {len(data):,} bytes; more than {MOST_BYTES:,} are not parsed; split it"
        )
    text, encoding = decode(data, declared_in(data[:4096]))
    del data
    notes = Notes()
    tree = _parse(text)
    title_node = tree.css_first("title")
    heading = tree.css_first("h1")
    title = title_of(path, title_node.text() if title_node else "", heading.text() if heading else "")
    extra = {"encoding": encoding} | _extra(tree)
    return FlowReading(path.name, About("html", title, extra), lambda: html_blocks(text, notes), limits, notes)


def _parse(text: str) -> LexborHTMLParser:
    try:
        from selectolax.lexbor import LexborHTMLParser
    except ImportError:
        raise ToolError('web pages are read by selectolax; install it: pip install "mainspring[library]"') from None
    if "<?xml" in text[:200] or "http://www.w3.org/1999/xhtml" in text[:2000]:
        text = _EMPTY.sub(r"<\1\2></\1>", text)  # in XML an element may end as it begins, in HTML it stays open
    depth = _depth(text)
    if depth > MOST_DEEP:
        raise ToolError(f"a web page nested {depth:,} elements deep is not parsed (at most {MOST_DEEP:,})")
    return LexborHTMLParser(text)


def _depth(text: str) -> int:
    """How deep the elements stand in each other, at most; those that close by themselves do not count."""
    depth = deepest = 0
    if text.count("<") <= MOST_DEEP:
        return 0
    for found in _TAG.finditer(text):
        if found[2].lower() in _SHALLOW:
            continue
        depth = max(0, depth - 1) if found[1] else depth + 1
        deepest = max(deepest, depth)
    return deepest


def _extra(tree: LexborHTMLParser) -> dict[str, str]:
    extra = {}
    root = tree.css_first("html")
    if root is not None and root.attributes.get("lang"):
        extra["language"] = str(root.attributes["lang"])[:35]
    for name in ("author", "description", "date", "keywords"):
        node = tree.css_first(f'meta[name="{name}"]')
        if node is not None and node.attributes.get("content"):
            extra[name] = one_line(str(node.attributes["content"]))
    return extra


def html_blocks(text: str, notes: Notes) -> Iterator[Block]:
    """The blocks of a page or of a piece of one, in order.

    Left out: scripts, styles and forms; navigation and footers; above the page's heading and in its header, what is
    links only; with a ``main`` element, whatever stands outside; comments, hidden elements and white text. The last
    two are noted because instructions hide there.
    """
    tree = _parse(text)
    root = tree.css_first("main, [role=main]") or _article(tree) or tree.body or tree.root
    if root is None:
        return
    heading = root.css_first("h1")
    yield from _Walk(Styles(tree), notes, headed=heading is not None and bool(heading.text().strip())).blocks(root)


def _article(tree: LexborHTMLParser) -> LexborNode | None:
    articles = tree.css("article")
    return articles[0] if len(articles) == 1 and len(articles[0].text()) > 200 else None


class _Walk:
    """One way through a tree, without recursion: pages are nested thousands deep by those who mean harm."""

    def __init__(self, styles: Styles, notes: Notes, *, headed: bool = False) -> None:
        self._styles = styles
        self._notes = notes
        self._above = headed  # the page's heading is still to come: links are its site's
        self._inside = dict.fromkeys(("a", "header", *_CONTENT), 0)
        self._linked = self._unlinked = False  # whether the words stand in links, and others do not
        self._words: list[str] = []
        self._kind: RegionKind = "text"
        self._level = 0
        self._literal = 0

    def blocks(self, root: LexborNode) -> Iterator[Block]:
        node: LexborNode | None = root
        above: list[LexborNode] = []
        while node is not None:
            entered = False
            if node.is_text_node:
                self._add(node.text_content or "")
            elif node.is_element_node:
                name = node.tag or ""
                if name in _BLOCKS or name == "br":
                    yield from self._before(name)
                whole = self._whole(node, name)
                if whole is not None:
                    yield from whole
                elif node.child is not None:
                    entered = True
                    above.append(node)
                    self._enter(name)
                    node = node.child
            if entered:
                continue
            while node is not None and node.next is None:
                if not above:
                    node = None
                    break
                node = above.pop()
                yield from self._leave(node.tag or "")
            if node is not None:
                if not above and node is root:
                    break
                node = node.next if above else None
        yield from self._flush()

    def _whole(self, node: LexborNode, name: str) -> Iterator[Block] | None:
        """What an element gives as a whole; None when it is gone into."""
        if name in _NEVER or name in _AROUND or (node.attributes.get("role") in ("navigation", "contentinfo")):
            return iter(())
        how = self._styles.hides(node)
        if how:
            self._notes.hide(how, len(node.text().strip()))
            return iter(())
        if name == "table" and node.css_first("table table") is None:
            return self._table(node)
        if name == "img":
            alt = (node.attributes.get("alt") or "").strip()
            return iter([*self._flush(), Block(alt, "figure")]) if len(alt) > 2 else iter(())
        return None

    def _table(self, node: LexborNode) -> Iterator[Block]:
        """Rows as lines; a table of one column is only layout."""
        rows = []
        for row in node.css("tr"):
            cells = []
            for cell in row.css("td, th"):
                inner = " ".join(
                    block.text.replace("\n", " ") for block in _Walk(self._styles, self._notes).blocks(cell)
                )
                cells.append(_SPACES.sub(" ", inner).strip())
            if any(cells):
                rows.append(cells)
        caption = node.css_first("caption")
        if caption is not None and caption.text().strip():
            yield Block(_SPACES.sub(" ", caption.text()).strip(), "caption")
        if rows:
            kind: RegionKind = "table" if max(map(len, rows)) > 1 else "text"
            yield Block("\n".join(" | ".join(row) for row in rows), kind)

    def _add(self, text: str) -> None:
        self._words.append(text if self._literal else _SPACES.sub(" ", text))
        if any(char.isalnum() for char in text):
            if self._inside["a"]:
                self._linked = True
            else:
                self._unlinked = True

    def _before(self, name: str) -> Iterator[Block]:
        if name == "br":
            self._words.append("\n")
        elif name == "li" and self._kind == "list":
            self._words.append("\n- ")
        elif name not in ("tr", "td", "th", "thead", "tbody") or not self._words:
            yield from self._flush()
        else:
            self._words.append("\n" if name == "tr" else " ")

    def _enter(self, name: str) -> None:
        if name in self._inside:
            self._inside[name] += 1
        if name in _HEADINGS:
            self._kind, self._level = "title", _HEADINGS[name]
        elif name == "pre":
            self._kind = "code"
            self._literal += 1
        elif name in ("ul", "ol"):
            self._kind = "list"
        elif name in ("caption", "figcaption"):
            self._kind = "caption"

    def _leave(self, name: str) -> Iterator[Block]:
        if name in self._inside and name != "header":
            self._inside[name] -= 1
        if name == "pre":
            self._literal = max(0, self._literal - 1)
        if name in _BLOCKS and name != "li":
            yield from self._flush()
        if name == "header":
            self._inside[name] -= 1

    def _is_menu(self) -> bool:
        """Whether these words are the site's and not the page's: links only, where sites have theirs."""
        if self._level or not self._linked or self._unlinked:
            return False
        return self._above or (self._inside["header"] > 0 and not any(self._inside[name] for name in _CONTENT))

    def _flush(self) -> Iterator[Block]:
        text = "".join(self._words)
        if self._kind != "code":
            text = "\n".join(line.strip() for line in text.replace("\u00a0", " ").split("\n"))
        text = text.strip("\n")
        if text.strip(" \n-") and not self._is_menu():
            yield Block(text, self._kind, level=self._level)
            self._above = self._above and self._level != 1
        self._words, self._kind, self._level = [], "text", 0
        self._linked = self._unlinked = False
