"""OpenDocument: texts, presentations and sheets, from their `content.xml`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mainspring.library.page import Box, Page
from mainspring.library.read.archive import Archive, plain
from mainspring.library.read.base import FlowReading, Notes, PagesReading, title_of
from mainspring.library.read.blocks import Block, page_of
from mainspring.library.read.protocol import About, ReadLimits
from mainspring.library.read.sheets import rows_as_pages
from mainspring.library.read.tidy import one_line

_OASIS = "{urn:oasis:names:tc:opendocument:xmlns:"
_TEXT, _TABLE, _DRAW = (f"{_OASIS}{part}:1.0}}" for part in ("text", "table", "drawing"))
_OFFICE, _STYLE, _META = (f"{_OASIS}{part}:1.0}}" for part in ("office", "style", "meta"))
_FO, _SVG, _PRESENTATION = (f"{_OASIS}{part}:1.0}}" for part in ("xsl-fo-compatible", "svg-compatible", "presentation"))
_DC = "{http://purl.org/dc/elements/1.1/}"
#: Repeated cells and rows are how empty space is written; more than these hold nothing.
_MOST_REPEATS = 64
_LENGTH = re.compile(r"([\d.]+)(cm|mm|in|pt)")
_POINTS = {"cm": 72 / 2.54, "mm": 72 / 25.4, "in": 72.0, "pt": 1.0}


def open_odt(path: Path, limits: ReadLimits) -> FlowReading:
    about, body, words = _opened(path, limits, "office", "text")
    return FlowReading(path.name, about, lambda: words.flow(body), limits, words.notes)


def open_odp(path: Path, limits: ReadLimits) -> PagesReading:
    about, body, words = _opened(path, limits, "slides", "presentation")
    wide, high = _page_size(path, limits)

    def pages() -> Iterator[Page]:
        for number, slide in enumerate(body.iter(f"{_DRAW}page"), 1):
            blocks = list(words.slide(slide, wide, high))
            heading = next((one_line(block.text) for block in blocks if block.kind == "title"), "")
            page, lost = page_of(
                number, blocks, limits.page_chars, words.notes.removed, heading=heading, width=wide, height=high
            )
            words.notes.lost += lost
            yield page

    return PagesReading(path.name, about, pages, limits, words.notes)


def open_ods(path: Path, limits: ReadLimits) -> PagesReading:
    about, body, words = _opened(path, limits, "sheet", "spreadsheet")

    def pages() -> Iterator[Page]:
        number = 0
        for table in body.iter(f"{_TABLE}table"):
            rows = words.rows(table)
            heading = plain(table.get(f"{_TABLE}name"))
            for page in rows_as_pages(rows, number, limits, words.notes, heading=heading):
                number = page.number
                yield page

    return PagesReading(path.name, about, pages, limits, words.notes)


def _opened(path: Path, limits: ReadLimits, kind: Any, part: str) -> tuple[About, Any, _Words]:
    archive = Archive(path, limits)
    try:
        content = archive.xml("content.xml")
        extra: dict[str, str] = {}
        title = ""
        if "meta.xml" in archive:
            meta = archive.xml("meta.xml")
            title = plain(meta.findtext(f".//{_DC}title"))
            for key, tag in (
                ("author", f"{_META}initial-creator"),
                ("subject", f"{_DC}subject"),
                ("date", f"{_DC}date"),
            ):
                if said := plain(meta.findtext(f".//{tag}")):
                    extra[key] = said
    finally:
        archive.close()
    body = content.find(f"{_OFFICE}body/{_OFFICE}{part}")
    if body is None:
        body = content
    first = body.find(f".//{_TEXT}h")
    words = _Words(content, Notes())
    return About(kind, title_of(path, title, "" if first is None else "".join(first.itertext())), extra), body, words


def _page_size(path: Path, limits: ReadLimits) -> tuple[float, float]:
    archive = Archive(path, limits)
    try:
        root = archive.xml("styles.xml") if "styles.xml" in archive else None
    finally:
        archive.close()
    size = None if root is None else root.find(f".//{_STYLE}page-layout-properties")
    if size is None:
        return 793.7, 595.3
    return _points(size.get(f"{_FO}page-width")) or 793.7, _points(size.get(f"{_FO}page-height")) or 595.3


def _points(length: Any) -> float:
    found = _LENGTH.match(str(length or ""))
    return float(found[1]) * _POINTS[found[2]] if found else 0.0


class _Words:
    """Text of elements, without what styles hide."""

    def __init__(self, content: Any, notes: Notes) -> None:
        self.notes = notes
        self._hidden: dict[str, str] = {}
        for style in content.iter(f"{_STYLE}style"):
            properties = style.find(f"{_STYLE}text-properties")
            if properties is None:
                continue
            ground = str(properties.get(f"{_FO}background-color") or "transparent").lower()
            size = str(properties.get(f"{_FO}font-size") or "")
            if properties.get(f"{_TEXT}display") == "none":
                self._hidden[style.get(f"{_STYLE}name")] = "set to be hidden"
            elif str(properties.get(f"{_FO}color")).lower() == "#ffffff" and ground in ("transparent", "#ffffff"):
                if style.get(f"{_STYLE}family") == "text":
                    self._hidden[style.get(f"{_STYLE}name")] = "in white on white"
            elif 0 < _points(size) < 2:
                self._hidden[style.get(f"{_STYLE}name")] = "smaller than 2 points"

    def flow(self, parent: Any) -> Iterator[Block]:
        for node in parent:
            if node.tag == f"{_TEXT}h":
                level = str(node.get(f"{_TEXT}outline-level") or "1")
                yield Block(self.text(node), "title", level=min(9, int(level)) if level.isdigit() else 1)
            elif node.tag == f"{_TEXT}p":
                yield Block(self.text(node))
            elif node.tag == f"{_TEXT}list":
                items = [self.text(item) for item in node.iter(f"{_TEXT}p", f"{_TEXT}h")]
                yield Block("\n".join(f"- {item}" for item in items if item.strip()), "list")
            elif node.tag == f"{_TABLE}table":
                yield Block("\n".join(" | ".join(row) for row in self.rows(node) if any(row)), "table")
            elif node.tag not in (f"{_TEXT}tracked-changes", f"{_OFFICE}annotation") and isinstance(node.tag, str):
                yield from self.flow(node)

    def slide(self, slide: Any, wide: float, high: float) -> Iterator[Block]:
        for frame in slide.iter(f"{_DRAW}frame", f"{_DRAW}custom-shape"):
            noted = any(outer.tag == f"{_PRESENTATION}notes" for outer in frame.iterancestors())
            x, y, w, h = (_points(frame.get(f"{_SVG}{side}")) for side in ("x", "y", "width", "height"))
            box = Box(*(min(1.0, v) for v in (x / wide, y / high, (x + w) / wide, (y + h) / high))) if w and h else None
            text = "\n".join(block.text for block in self.flow(frame) if block.text.strip())
            titled = frame.get(f"{_PRESENTATION}class") == "title"
            if text:
                yield Block(text, "title" if titled else "text", None if noted else box, level=1 if titled else 0)
            elif frame.find(f"{_DRAW}image") is not None and not noted:
                yield Block("", "figure", box)

    def rows(self, table: Any) -> Iterator[list[str]]:
        for row in table.iter(f"{_TABLE}table-row"):
            cells: list[str] = []
            for cell in row:
                if cell.tag not in (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"):
                    continue
                text = " ".join(self.text(part) for part in cell.iter(f"{_TEXT}p"))
                cells += [text] * _repeats(cell.get(f"{_TABLE}number-columns-repeated"), text)
            again = _repeats(row.get(f"{_TABLE}number-rows-repeated"), "".join(cells))
            for _ in range(again):
                yield cells

    def text(self, element: Any) -> str:
        parts: list[str] = []
        pending: list[Any] = [element]
        while pending:
            node = pending.pop()
            if isinstance(node, str):
                parts.append(node)
                continue
            how = self._hidden.get(node.get(f"{_TEXT}style-name") or "")
            if how:
                self.notes.hide(how, len("".join(node.itertext())))
            elif node.tag == f"{_TEXT}s":
                count = str(node.get(f"{_TEXT}c") or "1")
                parts.append(" " * min(_MOST_REPEATS, int(count) if count.isdigit() else 1))
            elif node.tag == f"{_TEXT}tab":
                parts.append("\t")
            elif node.tag == f"{_TEXT}line-break":
                parts.append("\n")
            elif node.tag != f"{_OFFICE}annotation" and isinstance(node.tag, str):
                inner: list[Any] = [node.text or ""]
                for child in node:
                    inner += [child, child.tail or ""]
                pending.extend(reversed(inner))
        return "".join(parts)


def _repeats(said: Any, text: str) -> int:
    count = int(said) if str(said or "").isdigit() else 1
    return min(count, _MOST_REPEATS) if text.strip() else min(count, 1)
