"""Markdown: sections by heading, tables and code as regions, lines of the file kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.library.page import RegionKind
from mainspring.library.read.base import FlowReading, Notes, title_of
from mainspring.library.read.blocks import Block
from mainspring.library.read.plain import paragraphs, read_text
from mainspring.library.read.protocol import About, ReadLimits

if TYPE_CHECKING:
    from markdown_it.token import Token

_FRONT = re.compile(r"---[ \t]*\n(.*?\n)(?:---|\.\.\.)[ \t]*\n", re.S)
_FIELD = re.compile(r"^(title|author|authors|date|lang|language|subject|description)\s*:\s*(.+)$", re.M | re.I)
#: More than this is not parsed but read as plain text: the parser keeps some 30 times as much in memory.
_MOST = 20_000_000
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.S)


def open_markdown(path: Path, limits: ReadLimits) -> FlowReading:
    text, encoding = read_text(path, limits)
    notes = Notes()
    extra = {"encoding": encoding}
    start = 0
    front = _FRONT.match(text)
    if front:
        extra |= {key.lower(): value.strip().strip("\"'")[:300] for key, value in _FIELD.findall(front[1])}
        start = front.end()
    if len(text) > _MOST:
        notes.add(f"longer than {_MOST:,} characters, so read as plain text, without headings")
        return FlowReading(path.name, About("markdown", title_of(path), extra), lambda: paragraphs(text), limits, notes)
    body, first = text[start:], text.count("\n", 0, start) + 1
    heading = re.search(r"^ {0,3}#{1,2}[ \t]+(.+?)[ \t#]*$", body, re.M)
    title = title_of(path, extra.pop("title", ""), heading[1] if heading else "")
    return FlowReading(
        path.name, About("markdown", title, extra), lambda: markdown_blocks(body, notes, first), limits, notes
    )


def markdown_blocks(text: str, notes: Notes, first_line: int = 1) -> Iterator[Block]:
    """Blocks of Markdown (CommonMark with tables). Text in HTML comments is left out and noted."""
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    lines = text.split("\n")
    at = 0
    while at < len(tokens):
        token = tokens[at]
        end = _end(tokens, at)
        begin, after = token.map or (0, 0)
        kind: RegionKind = "text"
        level = 0
        if token.type == "heading_open":
            kind, level = "title", int(token.tag[1:])
            said = _inline(tokens[at + 1], notes)
        elif token.type == "table_open":
            kind, said = "table", _table(tokens[at : end + 1], notes)
        elif token.type in ("fence", "code_block"):
            kind, said = "code", token.content
        elif token.type in ("bullet_list_open", "ordered_list_open"):
            kind, said = "list", "\n".join(line.rstrip() for line in lines[begin:after])
            said = _uncommented(said, notes)
        elif token.type == "html_block":
            said = _html(token.content, notes)
        elif token.type == "hr":
            said = ""
        elif token.type == "blockquote_open":
            said = _uncommented("\n".join(re.sub(r"^ {0,3}> ?", "", line) for line in lines[begin:after]), notes)
        else:
            said = _inline(tokens[at + 1], notes) if end > at else token.content
        if said.strip():
            yield Block(said.strip("\n"), kind, level=level, line=first_line + begin)
        at = end + 1


def _end(tokens: list[Token], at: int) -> int:
    """Where the block that begins at `at` ends."""
    if tokens[at].nesting != 1:
        return at
    depth = 0
    for index in range(at, len(tokens)):
        depth += tokens[index].nesting
        if depth == 0:
            return index
    return len(tokens) - 1


def _inline(token: Token, notes: Notes) -> str:
    """The words of a paragraph: links and pictures by their text."""
    parts = []
    for child in token.children or []:
        if child.type in ("softbreak", "hardbreak"):
            parts.append("\n")
        elif child.type == "html_inline":
            if child.content.startswith("<!--"):
                notes.hide("in comments", len(child.content) - 7)
        else:
            parts.append(child.content)
    return "".join(parts) if token.children else token.content


def _table(tokens: list[Token], notes: Notes) -> str:
    rows: list[list[str]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            rows[-1].append(_inline(token, notes).replace("\n", " "))
    return "\n".join(" | ".join(row) for row in rows)


def _uncommented(text: str, notes: Notes) -> str:
    for found in _COMMENT.finditer(text):
        notes.hide("in comments", len(found[0]) - 7)
    return _COMMENT.sub("", text)


def _html(text: str, notes: Notes) -> str:
    from mainspring.library.read.web import html_blocks

    return "\n".join(block.text for block in html_blocks(text, notes))
